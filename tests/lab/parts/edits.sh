# shellcheck shell=bash
# The file, edited while a daemon runs.

edits_packages() {
  needs vim.tiny vim-tiny
  needs nano nano
  needs git git
}
edits_versions() {
  echo "vim $(vim.tiny --version | awk 'NR == 1 { print $5 }'), nano $(nano --version | awk 'NR == 1 { print $4 }')," \
    "sed $(sed --version | awk 'NR == 1 { print $NF }'), $(git --version)"
}

edits_checks() {
  check 'an edit is in force within a second, however it is made, or refused with its line' \
    env PYTHONPATH=tests "$BIN/python" tests/lab/edits.py
}
