# `make demo` and `make test` are all a fresh machine needs: both create and fill .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.filled

.PHONY: demo test check fuzz lab lock audit bench-learning bench-policy bench-pods bench-kills bench-ledger bench-shared bench-faults soak restart clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## the main job on the embedded sandbox, in under a minute
	$(BIN)/warmer demo

test: $(STAMP)  ## every test that needs no root and no service
	@rm -f .tested
	$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder; echo $$? >.tested; exit $$(cat .tested)

.PHONY: again
again:  ## the tests that failed last, three at the most, with nothing beside them: a busy machine may have been to blame
	@test "$$(cat .tested)" = 1
	@$(BIN)/python -c 'import json; failed = json.load(open(".pytest_cache/v/cache/lastfailed")); exit(len(failed) > 3)'
	$(BIN)/python -m pytest -v --last-failed --last-failed-no-failures none

.PHONY: thorough
thorough: $(STAMP)  ## all drawn cases, weeks of virtual time and whole matrices: most of an hour
	WARMER_THOROUGH=1 $(BIN)/python -m pytest -n 2 --dist loadfile tests/core tests/config tests/providers tests/engine tests/ledger

check: $(STAMP)  ## style, types and the borders between the rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/.fuzz: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	@touch $@

fuzz: $(VENV)/.fuzz  ## what reads foreign bytes, for two minutes, or longer by hand: make fuzz MINUTES=30
	$(BIN)/python tests/fuzz $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: quietly
quietly: $(VENV)/.fuzz  ## the same, a little behind all else: a find is told by the clock on the wall
	nice -n 5 $(MAKE) fuzz

lab: $(STAMP)  ## the ways in, validated by the tools of their hosts (installs Debian packages: run as root)
	bash tests/lab/run

bench-learning: $(STAMP)  ## how fast an idle time-out is learned, on made-up hosts
	$(BIN)/python benchmarks/learning.py --runs 40

bench-policy: $(STAMP)  ## the policies' goals on real traces, from ../shared/traces
	$(BIN)/python benchmarks/policy.py

.PHONY: bench-reloads
SWAPS ?= 1000
bench-reloads: $(STAMP)  ## swaps of the file under a running daemon, good and bad, with figures: make bench-reloads SWAPS=100
	$(BIN)/python benchmarks/reloads.py --swaps $(SWAPS)

PAIRS ?= 100
bench-pods: $(STAMP)  ## pods of a CronJob that meet, on both kinds of ledger: make bench-pods PAIRS=20
	$(BIN)/python benchmarks/pods.py --pairs $(PAIRS)

.PHONY: bench-page
bench-page: $(STAMP)  ## the page over 90 days of a thousand models while they beat, with figures: some ten minutes
	$(BIN)/python benchmarks/page.py $(PAGE)

KILLS ?= --shared 200 --lone 500
bench-kills: $(STAMP)  ## kill -9 at random instants, of workers that share the beats and of lone daemons, with figures
	$(BIN)/python benchmarks/kills.py $(KILLS)

bench-faults: $(STAMP)  ## every fault at the start, in the middle, over a reload, a kill -9 and under caps: some six minutes
	$(BIN)/python benchmarks/faults.py $(if $(SPEED),--speed $(SPEED))

bench-shared: $(STAMP)  ## two workers that divide 2,000 beats a minute on a PostgreSQL, with figures: make bench-shared MINUTES=5
	$(BIN)/python benchmarks/shared.py $(if $(MINUTES),--minutes $(MINUTES))

soak: $(STAMP)  ## a thousand models every minute on a real daemon, with figures: make soak MINUTES=30
	$(BIN)/python benchmarks/soak.py $(if $(MINUTES),--minutes $(MINUTES))

restart: $(STAMP)  ## two starts of a thousand models with two thousand finds of each on record, with figures
	$(BIN)/python benchmarks/restart.py

LEDGER ?= --rows 1000000 --days 30
bench-ledger: $(STAMP)  ## how large a ledger becomes, and how quickly it is read: make bench-ledger LEDGER="--rows 10000000 --days 365"
	$(BIN)/python benchmarks/ledger.py $(LEDGER)

lock:  ## requirements.lock anew: the newest of all that warmer needs to run, each file by its hash
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet uv
	$(VENV)/lock/bin/uv pip compile pyproject.toml --extra sandbox --extra shared --extra alerts --python-version 3.11 --universal --upgrade \
		--generate-hashes --no-header --no-emit-index-url --quiet --output-file requirements.lock
	$(VENV)/lock/bin/uv pip compile --group release --python-version 3.11 --universal --upgrade \
		--generate-hashes --no-header --no-emit-index-url --quiet --output-file requirements-release.lock

.PHONY: man
man: $(STAMP)  ## man/warmer.1 anew, from the commands as they stand
	$(BIN)/python man/write.py >man/warmer.1

.PHONY: dist
dist:  ## wheel, sdist and SBOM in dist/: the same bytes wherever and whenever they are built
	$(PYTHON) -m venv $(VENV)/dist
	$(VENV)/dist/bin/python -m pip install --quiet --require-hashes --requirement requirements-release.lock
	rm -rf dist
	@# A date from outside would make other bytes of the same source.
	env --unset=SOURCE_DATE_EPOCH $(VENV)/dist/bin/python -m build --no-isolation
	env --unset=SOURCE_DATE_EPOCH PYTHONWARNINGS=ignore $(VENV)/dist/bin/cyclonedx-py requirements requirements.lock \
		--pyproject pyproject.toml --output-reproducible --output-file "$$(echo dist/*.tar.gz | sed s/.tar.gz/.cdx.json/)"
	cd dist && sha256sum *.whl *.tar.gz *.json >SHA256SUMS

.PHONY: locked
locked:  ## warmer installed as SECURITY.md says: by the lock, each file held against its hash
	$(PYTHON) -m venv --clear $(VENV)/locked
	$(VENV)/locked/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(VENV)/locked/bin/python -m pip install --quiet --no-deps .
	$(VENV)/locked/bin/python -m pip check
	$(VENV)/locked/bin/warmer schema | cmp - config/warmer.schema.json

audit:  ## known faults of what the lock names; asks the package index
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet pip-audit
	$(VENV)/audit/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip

PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib/systemd/system
SYSTEMD ?= $(shell systemctl --version 2>/dev/null | awk 'NR == 1 { print $$2 }')

.PHONY: install install-units uninstall
install: install-units  ## the command and its units, as root; again to upgrade. With extras: make install EXTRAS=postgres,alerts
	umask 022 && $(PYTHON) -m venv $(PREFIX)/lib/warmer && \
		$(PREFIX)/lib/warmer/bin/python -m pip install --quiet '.$(if $(EXTRAS),[$(EXTRAS)])'
	install -d $(PREFIX)/bin $(PREFIX)/share/man/man1
	ln -sf ../lib/warmer/bin/warmer $(PREFIX)/bin/warmer
	ln -sf ../../../lib/warmer/share/man/man1/warmer.1 $(PREFIX)/share/man/man1/warmer.1
	@if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

install-units:  ## the units alone; for a package: make install-units DESTDIR=root PREFIX=/usr SYSTEMD=257
	install -d $(DESTDIR)$(UNITS)
	for unit in systemd/*.service systemd/*.timer; do \
		sed 's|/usr/local/bin|$(PREFIX)/bin|' $$unit | install -m 644 /dev/stdin $(DESTDIR)$(UNITS)/$${unit##*/} || exit; \
	done
	if [ '$(or $(SYSTEMD),0)' -ge 254 ]; then for unit in warmer warmer@; do \
		install -D -m 644 systemd/systemd-254.conf $(DESTDIR)$(UNITS)/$$unit.service.d/systemd-254.conf || exit; \
	done; fi

uninstall:  ## what install has put there; the files in /etc/warmer and the ledgers in /var/lib stay
	rm -rf $(PREFIX)/lib/warmer $(PREFIX)/bin/warmer $(PREFIX)/share/man/man1/warmer.1
	rm -rf $(addprefix $(UNITS)/,$(notdir $(wildcard systemd/*.service systemd/*.timer)) warmer.service.d warmer@.service.d)
	@if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

clean:
	rm -rf $(VENV) .fuzz build dist .mypy_cache .tested .pytest_cache .ruff_cache .import_linter_cache
