"""A daemon at work on the sandbox, scraped by a real Prometheus: its metrics, the alert rules and the board.

What it prints is told to whoever runs it; it ends at once, with 1, at what is not as it should be.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.processes import Daemon, Desk, Sandbox, sandbox_at

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "config" / "grafana" / "warmer.json"
RULES = ROOT / "config" / "prometheus" / "warmer.rules.yml"
PATIENCE_S = 100.0
MODELS = """
{model: meta/meta-llama-3-8b-instruct, every: 1s, policy: fixed, hardware: gpu-l40s, budget: {monthly: 3.00}}
{model: salesforce/blip, name: captions, every: 2s, hardware: gpu-t4}
{model: replicate/hello-world, every: 11s, hardware: cpu}
{model: stability-ai/sdxl, policy: observe}
{model: nobody/there, hardware: gpu-t4}
"""
VARIABLES = {"$__rate_interval": "20s", "$__range": "1m", "$model": ".*", "${source}": "here"}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="warmer-scraped-") as folder:
        place, started = Path(folder), list[subprocess.Popen[Any]]()
        try:
            with sandbox_at(place) as sandbox:
                look(place, sandbox, started)
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(20)


def look(place: Path, sandbox: Sandbox, started: list[subprocess.Popen[Any]]) -> None:
    desk = Desk(place, sandbox.url)
    desk.write(MODELS, top="budget: {daily: 2.00}\n", listen="127.0.0.1:0")
    daemon = desk.start("run", "-c", str(desk.file))
    started.append(daemon.process)
    address = daemon.wait_for("web.opened")[0]["url"]
    check_metrics(address, daemon, sandbox)
    prometheus = prometheus_at(place, address, started)

    def ask(path: str, **query: str) -> Any:
        with urllib.request.urlopen(f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as reply:
            return json.load(reply)["data"]

    rules = until("the rules are evaluated", lambda: evaluated(ask("rules")))
    print(f"{rules} rules were evaluated without an error")
    queries = queries_of(json.loads(BOARD.read_text("utf-8")))

    def empty() -> list[str]:
        sandbox.post("/sandbox/customer", {"model": "stability-ai/sdxl", "input": {"prompt": "a cat"}})
        return [query for query in queries if not has_data(ask("query", query=query))]

    until("every query of the board has data", lambda: not empty(), empty)
    print(f"each of {len(queries)} queries of {len(panels_of(BOARD))} panels has data")
    alerts = until("a model that is not there is told", lambda: ask("alerts")["alerts"])
    print("pending or firing:", *sorted({alert["labels"]["alertname"] for alert in alerts}))


def check_metrics(address: str, daemon: Daemon, sandbox: Sandbox) -> None:
    """A scrape in which each metric has a value, by the rules of promtool."""
    sandbox.post("/sandbox/customer", {"model": "stability-ai/sdxl", "input": {"prompt": "a cat"}})
    daemon.wait_for("beat.done", count=5)
    with urllib.request.urlopen(f"http://{address.removeprefix('http://')}/metrics", timeout=10) as reply:
        text = reply.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    if done.returncode or done.stderr or done.stdout:
        sys.exit(f"promtool check metrics: {done.stdout.decode()} {done.stderr.decode()}")
    names = re.findall(rb"^# TYPE (\S+)", text, re.MULTILINE)
    models = {one.decode() for one in re.findall(rb'model="([^"]*)"', text)}
    print(f"promtool takes {len(names)} metrics; their models are {', '.join(sorted(models))}")


def prometheus_at(place: Path, address: str, started: list[subprocess.Popen[Any]]) -> str:
    scraped = address.removeprefix("http://").rstrip("/")
    (place / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: ['{RULES}']\n"
        f"scrape_configs: [{{job_name: warmer, static_configs: [{{targets: ['{scraped}']}}]}}]\n"
    )
    log = place / "prometheus.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={place / 'prometheus.yml'}",
                f"--storage.tsdb.path={place / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"]},
        )
    started.append(process)
    found = until(
        "Prometheus listens", lambda: re.search(r"Listening on\"? address=(127\.0\.0\.1:\d+)", log.read_text())
    )
    url = f"http://{found[1]}"
    until("Prometheus is ready", lambda: is_ready(url))
    return url


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=10) as reply:
            return bool(reply.status == 200)
    except OSError:  # 503 is one too
        return False


def evaluated(told: Any) -> int:
    """How many rules there are, once each was evaluated."""
    rules = [rule for group in told["groups"] for rule in group["rules"]]
    for rule in rules:
        if rule.get("lastError"):
            sys.exit(f"{rule['name']}: {rule['lastError']}")
    return len(rules) if rules and all(rule["health"] == "ok" for rule in rules) else 0


def panels_of(board: Path) -> list[Any]:
    return list(json.loads(board.read_text("utf-8"))["panels"])


def queries_of(board: Any) -> list[str]:
    """Those of every panel, as Grafana would put them."""
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for variable, value in VARIABLES.items():
        found = [query.replace(variable, value) for query in found]
    return found


def has_data(told: Any) -> bool:
    return any(sample["value"][1] != "NaN" for sample in told["result"])


def until(what: str, is_so: Callable[[], Any], why: Callable[[], Any] = lambda: "") -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := is_so():
            return found
        time.sleep(0.5)
    sys.exit(f"not so: {what}. {why()}")


if __name__ == "__main__":
    main()
