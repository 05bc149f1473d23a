"""The commands on a ledger in PostgreSQL, whose password is nowhere to be seen."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from harness.postgres import GUARDED, PASSWORD, Server
from harness.processes import Desk, Sandbox, environment

MODELS = "{model: replicate/hello-world, every: 60s}\n{model: meta/meta-llama-3-8b-instruct, every: 60s}"
BY_REFERENCE = "ledger_password: env:WARMER_LEDGER_PASSWORD"


@pytest.fixture
def guarded(wired: Desk, postgres: Server) -> Iterator[Desk]:
    """A desk whose ledger asks for a password."""
    wired.address = postgres.database(user=GUARDED)
    yield wired
    wired.close()
    postgres.drop(wired.address)


def left_behind(desk: Desk) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(desk.folder.rglob("*")) if path.is_file())


def test_every_command_works_and_shows_no_password(guarded: Desk, sandbox: Sandbox) -> None:
    file = str(guarded.write(MODELS, top=BY_REFERENCE))
    said = b""
    for command in (
        ["once"], ["once"], ["status"], ["report", "--json"], ["export", "beats"], ["plan"], ["check", "--show"],
        ["check", "--online"], ["backfill"],
    ):  # fmt: skip
        ran = guarded.run(*command, "-c", file, WARMER_LEDGER_PASSWORD=PASSWORD)
        assert ran.code == 0, (command, ran)
        said += ran.out.encode() + ran.err.encode()
    assert len(sandbox.creates()) == 2
    assert b"ledger_password: env:WARMER_LEDGER_PASSWORD" in said
    daemon = guarded.start("run", "-c", file, WARMER_LEDGER_PASSWORD=PASSWORD)
    daemon.wait_for("beat.skipped", 2)
    assert daemon.stop() == 0
    assert PASSWORD.encode() not in said + left_behind(guarded)


def test_libpq_s_own_ways_to_a_password_are_open(guarded: Desk) -> None:
    file = str(guarded.write(MODELS))
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passfile = guarded.folder / "pgpass"
    passfile.write_text(f"*:*:*:{GUARDED}:{escaped}\n", "utf-8")
    passfile.chmod(0o600)
    assert guarded.run("status", "-c", file, PGPASSWORD=PASSWORD).code == 0
    assert guarded.run("status", "-c", file, PGPASSFILE=str(passfile)).code == 0


@pytest.mark.parametrize(
    ("top", "given", "code", "words"),
    [
        (BY_REFERENCE, {}, 2, "export WARMER_LEDGER_PASSWORD"),
        (BY_REFERENCE, {"WARMER_LEDGER_PASSWORD": "s3same"}, 1, "its password under `ledger_password`"),
        ("", {}, 1, "its password under `ledger_password`"),
        ("", {"PGPASSWORD": "s3same"}, 1, "its password under `ledger_password`"),
    ],
)
def test_a_password_that_is_missing_or_wrong_is_said_in_one_line(
    guarded: Desk, top: str, given: dict[str, str], code: int, words: str
) -> None:
    file = str(guarded.write(MODELS, top=top))
    for command in ("once", "status", "run"):
        ran = guarded.run(command, "-c", file, **given)
        assert (ran.code, ran.err.count("\n")) == (code, 1), ran
        assert words in ran.err
        assert "s3same" not in ran.err + ran.out


def test_two_passes_in_the_same_second_send_one_beat_a_model(guarded: Desk, sandbox: Sandbox) -> None:
    file = str(guarded.write(MODELS))
    command = [sys.executable, "-m", "warmer", "once", "-c", file]
    env = environment(guarded.folder, PGPASSWORD=PASSWORD)
    running = [subprocess.Popen(command, cwd=guarded.folder, env=env, stdout=subprocess.PIPE) for _ in range(3)]
    for process in running:
        process.communicate(timeout=60)
    assert [process.returncode for process in running] == [0, 0, 0]
    assert set(Counter(call["model"] for call in sandbox.creates()).values()) == {1}
