"""`backtest` as a process."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from harness.processes import Desk, Sandbox

from warmer.core.situations import NAMES

KEYS = [
    "trace",
    "policy",
    "parameters",
    "models",
    "requests",
    "cold_requests",
    "cold_share",
    "cold_first_requests",
    "heartbeats",
    "heartbeat_seconds",
    "boot_seconds",
    "online_seconds",
    "added_latency_s",
    "cost_usd",
]


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "two.csv.gz"
    rows = "".join(f"{at},a\n{at + 3},b\n" for at in range(30_000, 80_000, 200))
    path.write_bytes(gzip.compress(f"t,model\n{rows}".encode()))
    return str(path)


def test_rows_have_the_promised_keys_and_the_references_come_first(desk: Desk, trace: str) -> None:
    document = desk.run("backtest", trace, "--policy", "aware,ski", "--json").document
    assert document["schema"] == 1
    assert [row["policy"] for row in document["rows"]] == ["none", "cron-30s", "cron-30s-08-20", "aware", "ski"]
    assert [row["policy"] for row in document["yardsticks"]] == ["keep-only-optimum", "best-fixed-stop"]
    for row in document["rows"] + document["yardsticks"]:
        assert list(row) == KEYS
        assert list(row["added_latency_s"]) == ["mean", "p50", "p95", "p99"]
        assert (row["trace"], row["models"], row["requests"], row["cost_usd"]) == ("two", 2, 500, None)
        assert row["cold_share"] == pytest.approx(row["cold_requests"] / 500)
    none, cron, by_day, aware, ski = document["rows"]
    assert (none["cold_requests"], none["heartbeats"]) == (500, 0)
    assert cron["heartbeats"] == 2 * 23 * 120  # to the end of the last call's hour
    assert by_day["heartbeats"] == 2 * 12 * 120
    assert aware["cold_requests"] == aware["cold_first_requests"] == 2
    assert aware["parameters"] == {"interval_s": 50.0}
    assert ski["parameters"] == {"interval_s": 50.0, "cold_start_worth": 80.0}


def test_two_runs_print_the_same_bytes(desk: Desk, trace: str) -> None:
    first, second = (desk.run("backtest", trace, "--example", "dying", "--json"), desk.run("backtest", trace, "--json"))
    assert first.code == 2
    assert second.out == desk.run("backtest", trace, "--json").out != ""


def test_a_known_idle_time_out_saves_heartbeats(desk: Desk, trace: str) -> None:
    def aware(*options: str) -> dict[str, float]:
        ran = desk.run("backtest", trace, "--policy", "aware", "--price-per-second", "0.000225", "--json", *options)
        row: dict[str, float] = ran.document["rows"][3]
        return row

    short, known = aware(), aware("--idle-timeout", "5m", "--interval", "280s")
    assert known["heartbeats"] < 0.2 * short["heartbeats"]
    assert known["cost_usd"] == "0.000000" if known["heartbeats"] == 0 else float(known["cost_usd"]) > 0
    assert aware("--boot", "0s")["added_latency_s"] == {"mean": 0.0, "p50": 0.0, "p95": 0.0, "p99": 0.0}
    wrong = aware("--interval", "2m")  # trusts the instance to stay for longer than it does
    assert wrong["cold_share"] > 0.4


def test_a_table_is_plain_text_in_a_pipe(desk: Desk, trace: str) -> None:
    ran = desk.run("backtest", trace)
    assert ran.code == 0
    assert ran.err == ""
    assert "\x1b" not in ran.out
    lines = ran.out.splitlines()
    assert lines[0].split()[:3] == ["trace", "policy", "cold"]
    assert [line.split()[1] for line in lines[1:-1]] == [
        *("none", "cron-30s", "cron-30s-08-20", "fixed", "aware", "ski", "learned-stop", "adaptive", "hybrid"),
        *("keep-only-optimum", "best-fixed-stop"),
    ]


@pytest.mark.parametrize("name", ["office", "rare"])
def test_who_has_no_history_can_try_an_example(desk: Desk, name: str) -> None:
    row = desk.run("backtest", "--example", name, "--policy", "ski", "--json").document["rows"][3]
    assert row["trace"] == name
    assert 0 < row["cold_share"] < 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--example", "offices"], f"write one of {', '.join(NAMES)}"),
        (["--example", "office", "--policy", "awre"], "write one of none, fixed, aware"),
        (["--example", "office", "--cold-target", "2"], "such as 2%"),
        (["--example", "office", "--cold-start-worth", "nan"], "0 heartbeats or more"),
        (["--example", "office", "--interval", "0s"], "longer than nothing"),
        (["--example", "office", "--idle-timeout", "60"], "such as 30s"),
        (["--example", "office", "--price-per-second", "-1"], "USD a second"),
        (
            ["--example", "office", "--interval", "auto", "--policy", "ski"],
            "ski learns no interval: give it one, or choose",
        ),
        (["--example", "office", "--interval", "0s"], "the interval must be longer than nothing"),
        (["there-is-none.csv"], "there-is-none.csv: cannot be read"),
    ],
)
def test_wrong_usage_says_what_to_write(desk: Desk, arguments: list[str], told: str) -> None:
    ran = desk.run("backtest", *arguments)
    assert ran.code == 2
    assert told in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_nothing_to_replay_says_where_traffic_can_come_from(desk: Desk) -> None:
    nowhere = desk.run("backtest")
    assert nowhere.code == 2
    assert "--example office" in nowhere.err
    empty = desk.run("backtest", "-c", str(desk.write("{model: a/b}")))
    assert empty.code == 2
    assert "no customer's call yet" in empty.err


def test_the_ledgers_calls_can_be_replayed(wired: Desk, sandbox: Sandbox) -> None:
    file = str(wired.write("{model: replicate/hello-world, every: 1s}"))
    call = {"model": "replicate/hello-world", "input": {"text": "x"}, "caller": "customer"}
    for _ in range(3):
        sandbox.post("/sandbox/customer", call)
    assert wired.run("once", "-c", file).code == 0
    row = wired.run("backtest", "-c", file, "--json").document["rows"][0]
    assert (row["trace"], row["models"], row["requests"]) == ("ledger", 1, 3)


def test_adaptive_holds_a_target_or_goes_by_a_price_and_names_the_one_it_goes_by(desk: Desk) -> None:
    def row(*args: str) -> Any:
        ran = desk.run("backtest", "--example", "office", "--policy", "adaptive", "--json", *args)
        assert ran.code == 0, ran.err
        (found,) = [row for row in ran.document["rows"] if row["policy"] == "adaptive"]
        return found

    priced, held = row("--cold-start-worth", "80"), row("--cold-target", "5%")
    assert priced["parameters"] == {"interval_s": 50.0, "cold_start_worth": 80.0}
    assert held["parameters"] == {"interval_s": 50.0, "cold_target": 0.05}
    assert held["cold_share"] < 0.07
    assert row("--cold-target", "5%") == held
    assert desk.run("backtest", "--example", "office", "--policy", "ski", "--cold-target", "5%").code == 2


def test_an_interval_that_nobody_tells_is_learned_by_the_policies_that_can(desk: Desk, tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("t,model\n" + "".join(f"{at},a\n" for at in range(100, 20_000, 700)))
    document = desk.run("backtest", str(few), "--interval", "auto", "--idle-timeout", "5m", "--json").document
    rows = {row["policy"]: row for row in document["rows"]}
    assert list(rows) == ["none", "cron-30s", "cron-30s-08-20", "fixed", "aware", "adaptive"]
    assert rows["aware"]["parameters"] == {"interval_s": "learned"}
    assert 0 < rows["aware"]["heartbeats"] < 0.3 * rows["cron-30s"]["heartbeats"]
    printed = desk.run("backtest", str(few), "--interval", "auto")
    assert printed.out.endswith("Without an --interval there is no ski, learned-stop, hybrid: they learn none.\n")
