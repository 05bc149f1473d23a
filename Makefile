# `make demo` and `make test` are all a fresh machine needs: both create and fill .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.filled

.PHONY: demo test check fuzz lab lock audit bench-learning bench-policy soak clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## the main job on the embedded sandbox, in under a minute
	$(BIN)/warmer demo

test: $(STAMP)  ## every test that needs no root and no service
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP)  ## style, types and the borders between the rooms
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

FUZZ := tests/config/test_config_hostile.py tests/providers/test_any_reply.py tests/cli/test_traces_any_bytes.py tests/web/test_hosts.py

fuzz: $(STAMP)  ## what reads foreign bytes, for some ten minutes instead of the half one it has among the tests
	WARMER_FUZZ_TIMES=20 $(BIN)/python -m pytest -n 2 $(FUZZ)

lab: $(STAMP)  ## the ways in, validated by the tools of their hosts (installs Debian packages: run as root)
	bash tests/lab/run

bench-learning: $(STAMP)  ## how fast an idle time-out is learned, on made-up hosts
	$(BIN)/python benchmarks/learning.py --runs 40

bench-policy: $(STAMP)  ## the policies' goals on real traces, from ../shared/traces
	$(BIN)/python benchmarks/policy.py

MINUTES ?= 5
soak: $(STAMP)  ## a thousand models every minute on a real daemon, with figures: make soak MINUTES=30
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES)

lock:  ## requirements.lock anew: the newest of all that warmer needs to run, each file by its hash
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet uv
	$(VENV)/lock/bin/uv pip compile pyproject.toml --extra sandbox --extra shared --python-version 3.11 --universal --upgrade \
		--generate-hashes --no-header --no-emit-index-url --quiet --output-file requirements.lock

audit:  ## known faults of what the lock names; asks the package index
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet pip-audit
	$(VENV)/audit/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
