"""What the unit promises, read from its text. Whether systemd takes it, and runs it so, is for `make lab`."""

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
DROP_IN = settings("notify-reload.conf")


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


def test_newer_systemd_signals_by_itself_and_waits_for_the_answer() -> None:
    assert DROP_IN == {"Service.Type": ["notify-reload"], "Service.ExecReload": [""]}


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
