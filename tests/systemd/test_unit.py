"""What the units promise, read from their text. Whether systemd takes them, and runs them so, is for `make lab`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "systemd"

Settings = dict[str, list[str]]


def settings(file: str) -> Settings:
    """The assignments of a unit file as `Section.Key`, repeated ones in order. An empty one stays: it clears."""
    found: Settings = {}
    section = ""
    for line in (FOLDER / file).read_text("utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(f"{section}.{key}", []).append(value)
    return found


UNIT = settings("warmer.service")
TEMPLATE = settings("warmer@.service")
ONCE = settings("warmer-once.service")
TIMER = settings("warmer-once.timer")
DROP_IN = settings("systemd-254.conf")

OF_A_DAEMON = {
    *("Service.Type", "Service.ExecStart", "Service.ExecReload", "Service.WatchdogSec"),
    *("Service.Restart", "Service.RestartSec", "Service.RestartPreventExitStatus"),
    *("Unit.Description", "Install.WantedBy"),
}
OF_A_PASS = {
    *("Service.Type", "Service.ExecStart", "Service.TimeoutStartSec", "Service.SuccessExitStatus"),
    "Unit.Description",
}


def seconds(value: str) -> int:
    assert value.endswith("s"), f"{value}: write the unit"
    return int(value.removesuffix("s"))


def test_started_means_ready() -> None:
    assert UNIT["Service.Type"] == ["notify"]
    assert UNIT["Service.ExecStart"] == ["/usr/local/bin/warmer run -c /etc/warmer/warmer.yaml"]
    assert "Service.ExecStartPre" not in UNIT


def test_reload_checks_the_file_and_then_signals() -> None:
    assert UNIT["Service.ExecReload"] == [
        "/usr/local/bin/warmer check -c /etc/warmer/warmer.yaml",
        "/bin/kill -HUP $MAINPID",
    ]


def test_newer_systemd_signals_by_itself_waits_for_the_answer_and_restarts_by_steps() -> None:
    assert DROP_IN == {
        "Service.Type": ["notify-reload"],
        "Service.ExecReload": [""],
        "Service.RestartSteps": ["5"],
        "Service.RestartMaxDelaySec": ["1min"],
    }


def test_account_of_its_own_differs_from_the_service_in_its_names_alone() -> None:
    names = {
        "warmer-%i": "warmer",
        "/etc/warmer/%i.yaml": "/etc/warmer/warmer.yaml",
        "/etc/warmer/%i.token": "/etc/warmer/replicate-token",
        " (%i)": "",
    }

    def renamed(value: str) -> str:
        for own, common in names.items():
            value = value.replace(own, common)
        return value

    assert {key: [renamed(value) for value in values] for key, values in TEMPLATE.items()} == UNIT
    assert all("%i" in TEMPLATE[f"Service.{key}"][0] for key in ("User", "StateDirectory", "LoadCredential"))


def test_pass_of_the_timer_is_confined_as_the_service_is() -> None:
    service = {key: values for key, values in UNIT.items() if key not in OF_A_DAEMON}
    assert {key: values for key, values in ONCE.items() if key not in OF_A_PASS} == service


def test_timer_starts_a_pass_each_minute_and_never_two() -> None:
    assert TIMER["Timer.OnCalendar"] == ["*-*-* *:*:00"]
    assert TIMER["Timer.AccuracySec"] == ["1s"]
    assert ONCE["Service.Type"] == ["oneshot"]
    assert ONCE["Service.ExecStart"] == ["/usr/local/bin/warmer once --for 55s -c /etc/warmer/warmer.yaml"]
    assert "Install.WantedBy" not in ONCE


def test_cap_that_keeps_a_beat_back_is_no_failure_of_a_pass() -> None:
    assert ONCE["Service.SuccessExitStatus"] == ["5"]


def test_service_and_pass_are_one_user_with_one_ledger() -> None:
    for unit in (UNIT, ONCE):
        assert unit["Service.User"] == unit["Service.StateDirectory"] == ["warmer"]


def test_memory_is_bounded_and_never_swapped() -> None:
    assert UNIT["Service.MemoryMax"] == ["512M"]
    assert UNIT["Service.MemorySwapMax"] == ["0"]
    assert UNIT["Service.OOMPolicy"] == ["continue"]  # a comparison aside is ended alone
    assert "Service.MemoryHigh" not in UNIT


def test_restarts_whatever_a_restart_can_mend() -> None:
    assert UNIT["Service.Restart"] == ["on-failure"]
    assert UNIT["Service.RestartPreventExitStatus"] == ["2"]
    start_limit_interval_s, start_limit_burst = 10, 5  # systemd's defaults
    (pause,) = UNIT["Service.RestartSec"]
    assert seconds(pause) * start_limit_burst > start_limit_interval_s


def test_a_hanging_loop_is_aborted_and_a_polite_stop_has_time() -> None:
    assert UNIT["Service.WatchdogSec"] == ["30s"]
    (stop,) = UNIT["Service.TimeoutStopSec"]
    assert seconds(stop) > 5


def test_user_is_dynamic_and_owns_the_state_directory_alone() -> None:
    assert UNIT["Service.DynamicUser"] == ["yes"]
    assert UNIT["Service.StateDirectory"] == ["warmer"]
    assert UNIT["Service.StateDirectoryMode"] == ["0700"]
    assert UNIT["Service.UMask"] == ["0077"]


def test_token_is_a_credential_and_in_no_environment() -> None:
    assert UNIT["Service.LoadCredential"] == ["replicate-token:/etc/warmer/replicate-token"]
    assert UNIT["Service.Environment"] == ["PYTHONFAULTHANDLER=1"]
    assert "Service.EnvironmentFile" not in UNIT
    assert "Service.PassEnvironment" not in UNIT
    assert UNIT["Service.LimitCORE"] == ["0"]


def test_service_holds_no_privilege() -> None:
    assert UNIT["Service.CapabilityBoundingSet"] == [""]
    assert UNIT["Service.AmbientCapabilities"] == [""]
    for key in ("NoNewPrivileges", "PrivateUsers", "RestrictSUIDSGID", "RestrictNamespaces", "MemoryDenyWriteExecute"):
        assert UNIT[f"Service.{key}"] == ["yes"]
    assert UNIT["Service.SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


def test_service_can_reach_the_network_and_the_notify_socket() -> None:
    (families,) = UNIT["Service.RestrictAddressFamilies"]
    assert families.split() == ["AF_INET", "AF_INET6", "AF_UNIX"]
    assert "Service.PrivateNetwork" not in UNIT
