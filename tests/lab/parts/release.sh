# shellcheck shell=bash
# What is released: made twice, installed, and used as a person would who has nothing but that.

TOOLS=$WORK/tools       # an environment of what from PyPI looks at warmer from outside
INSTALLED=$WORK/fresh   # one with the wheel

release_packages() {
  needs git git
  needs man man-db
  needs zsh zsh
  needs fish fish
}
release_versions() {
  echo "$(git --version | cut -d' ' -f1,3), man-db $(man --version | cut -d' ' -f2), bash ${BASH_VERSION%%(*}," \
    "$(zsh --version | cut -d' ' -f1,2), fish $(fish --version | cut -d' ' -f3)"
}

built_twice() {
  local one=$WORK/one other=$WORK/else/where/two
  copied_to "$one" && copied_to "$other" && find "$other" -exec touch -d '2020-02-29 12:00' {} + || return
  (umask 022 && make --silent -C "$one" dist VENV="$TOOLS") >/dev/null &&
    (umask 077 && TZ=Asia/Tokyo LC_ALL=C SOURCE_DATE_EPOCH=1 make --silent -C "$other" dist VENV="$TOOLS") >/dev/null &&
    cat "$one/dist/SHA256SUMS" && diff -r "$one/dist" "$other/dist" && cp -r "$one/dist" "$WORK/dist"
}

bill_of_materials() {
  "$BIN/python" - requirements.lock "$WORK"/dist/*.cdx.json <<'PYTHON'
import json, re, sys
lock, bill = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
pinned = set(re.findall(r"^([a-z0-9-]+)==([^ ;\n]+)", lock, re.M))
told = json.loads(bill)
parts = {(part["name"], part["version"]) for part in told["components"]}
assert parts == pinned, parts ^ pinned
assert told["metadata"]["component"]["name"] == "warmer"
assert "serialNumber" not in told and "timestamp" not in told["metadata"]
hashes = set(re.findall(r"sha256:([0-9a-f]{64})", lock))
missing = [each for each in hashes if each not in bill]
assert not missing, f"{len(missing)} of {len(hashes)} hashes"
print(f"CycloneDX {told['specVersion']}: {len(parts)} packages, {len(hashes)} hashes of their files")
PYTHON
}

# Typed in a folder with the wheel and nothing else.
readme_followed() {
  local page=$PWD/README.md blocks=$PWD/tests/lab/blocks.py
  python3 -m venv "$INSTALLED" && mkdir "$WORK/reader" && cp "$WORK"/dist/*.whl "$WORK/reader" && cd "$WORK/reader" || return
  PATH=$INSTALLED/bin:$PATH XDG_STATE_HOME=$WORK/reader/state PIP_QUIET=1 python3 "$blocks" "$page" --where wheel
}

manual() {
  local said page=$INSTALLED/share/man/man1/warmer.1
  said=$(MANWIDTH=100 man --warnings=w --local-file "$page" 2>&1 >"$WORK/manual.txt") && [ -z "$said" ] || { echo "$said"; return 1; }
  PATH=$INSTALLED/bin:$PATH man --where warmer &&
    for command in $("$BIN/python" -c 'import typer.main; from warmer.cli.app import app; print(*typer.main.get_command(app).commands)'); do
      grep -q "warmer $command" "$WORK/manual.txt" || { echo "nothing of $command"; return 1; }
    done
}

# completes SHELL
completes() { PATH=$INSTALLED/bin:$PATH "$BIN/python" tests/lab/completed.py "$1"; }

# The hook from this checkout, in a repository of somebody's, by the real pre-commit.
refused_by_hook() {
  local hooks=$WORK/hooks theirs=$WORK/theirs
  export PRE_COMMIT_HOME=$WORK/pre-commit GIT_CONFIG_GLOBAL=$WORK/gitconfig
  git config --global user.name lab && git config --global user.email lab@example.test || return
  copied_to "$hooks" && git -C "$hooks" init --quiet && git -C "$hooks" add --all && git -C "$hooks" commit --quiet -m all &&
    "$TOOLS/more/bin/pre-commit" --version && mkdir "$theirs" && cd "$theirs" && git init --quiet || return
  cat >.pre-commit-config.yaml <<YAML
repos:
  - repo: $hooks
    rev: $(git -C "$hooks" rev-parse HEAD)
    hooks: [{id: warmer-check}]
YAML
  "$TOOLS/more/bin/pre-commit" install >/dev/null && mkdir one other || return
  echo 'models: [{model: acme/chat}]' | tee one/warmer.yaml >other/warmer.yaml
  git add --all && git commit --quiet -m good && echo 'two good files: committed' || return
  printf 'models:\n  - model: acme/chat\n    evry: 30s\n' >other/warmer.yaml
  git add --all
  if git commit --quiet -m bad >refusal 2>&1; then echo 'a bad one too'; return 1; fi
  grep 'other/warmer.yaml:3:5: ' refusal
}

in_an_editor() {
  local check=$TOOLS/more/bin/check-jsonschema
  "$check" --version && "$INSTALLED/bin/warmer" schema >"$WORK/schema.json" &&
    "$check" --schemafile "$WORK/schema.json" config/warmer.yaml config/examples/*.yaml || return
  printf 'models:\n  - model: acme/chat\n    polcy: aware\n' >"$WORK/bad.yaml"
  if "$check" --schemafile "$WORK/schema.json" "$WORK/bad.yaml" >"$WORK/found"; then return 1; fi
  grep polcy "$WORK/found"
}

tools_fetched() {
  python3 -m venv "$TOOLS/more" && "$TOOLS/more/bin/python" -m pip install --quiet pre-commit check-jsonschema
}

release_checks() {
  check 'wheel, sdist and SBOM are the same bytes in two folders, at two times, by two users' built_twice
  check 'the SBOM names what the lock does' bill_of_materials
  check "README's commands, from the wheel to the first beat and on" readme_followed
  check 'its man page is found, formats without a warning and has every command' manual
  for shell in bash zsh fish; do check "$shell completes commands and names of models" completes $shell; done
  check 'pre-commit and check-jsonschema are fetched' tools_fetched
  check 'as a hook of pre-commit it lets a good file through and refuses a bad one' refused_by_hook
  check "an editor's engine takes the sample by the schema, and finds a slip" in_an_editor
}
