# shellcheck shell=bash
# What is looked at: in Chromium, in Prometheus and on its board.

page_packages() {
  needs sqlite3 sqlite3
  needs chromium chromium
  needs promtool prometheus
}
page_versions() {
  echo "sqlite $(sqlite3 --version | cut -d' ' -f1)," \
    "prometheus $(promtool --version 2>&1 | awk 'NR == 1 { print $3 }' | tr -d ,)," \
    "$(chromium --version 2>/dev/null | awk '{ print tolower($1), $2 }')"
}

page_drawn() {
  "$BIN/warmer" backtest --example office --html "$WORK/office.html" >/dev/null &&
    "$BIN/python" tests/lab/draw.py "$WORK/office.html" "$WORK/office.svg" &&
    grep -q '>keep-only-optimum<' "$WORK/office.svg"
}

report_drawn() {
  printf 'ledger: sqlite:///%s\nmodels: [{model: a/b, hardware: gpu-t4}]\n' "$WORK/report.db" >"$WORK/report.yaml" &&
    PYTHONPATH=tests "$BIN/python" -c 'import sys; from datetime import UTC, datetime, timedelta; from pathlib import Path
from harness.records import moments_of, record_calls
calls = moments_of("steady", days=2, begins=datetime.now(UTC) - timedelta(days=3))
record_calls(Path(sys.argv[1]), "a/b", calls, idle_timeout_s=240.0)' "$WORK/report.db" &&
    "$BIN/warmer" report -c "$WORK/report.yaml" --html "$WORK/report.html" >/dev/null &&
    "$BIN/python" tests/lab/draw.py "$WORK/report.html" "$WORK/report.svg" && grep -q '>a/b<' "$WORK/report.svg"
}

alert_rules() {
  cp config/prometheus/warmer.rules.yml tests/lab/rules.test.yml "$WORK" && cd "$WORK" &&
    promtool check rules warmer.rules.yml && promtool test rules rules.test.yml
}

page_in_chromium() {
  "$BIN/python" -m pip install --quiet 'playwright>=1.40' 'axe-playwright-python>=0.1.8' || return
  "$BIN/python" tests/lab/page.py "$("$BIN/python" -c 'from importlib.resources import files
print(files("axe_playwright_python") / "axe.min.js")')"
}

page_checks() {
  check "a backtest's page draws its chart in Chromium, and its console stays empty" page_drawn
  check "a report's page draws its charts too" report_drawn
  check 'alert rules fire when they shall, and only then' alert_rules
  check 'Prometheus scrapes a daemon; every query of the board has data' env PYTHONPATH=tests "$BIN/python" tests/lab/scraped.py
  check "the daemon's page in Chromium: drawn, fresh, asking nobody else, and open to everybody" page_in_chromium
}
