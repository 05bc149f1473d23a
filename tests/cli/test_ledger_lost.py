"""A daemon whose server goes away and comes back."""

from __future__ import annotations

from harness.postgres import server
from harness.processes import Desk, Sandbox

from warmer.ledger import open_ledger


def test_a_daemon_holds_while_its_ledger_is_away_and_goes_on_by_itself(wired: Desk, sandbox: Sandbox) -> None:
    with server() as own:
        wired.address = own.database()
        file = wired.write(
            "{model: replicate/hello-world, policy: fixed, every: 1s}\n"
            "{model: black-forest-labs/flux-schnell, policy: fixed, billing: official, every: 1s}"
        )
        daemon = wired.start("run", "-c", str(file))
        daemon.wait_for("beat.done", 4)
        own.stop()
        (failed,) = daemon.wait_for("ledger.failed")
        said_by_then = len(daemon.lines())
        own.start()
        daemon.wait_for("ledger.resumed")
        before = len(daemon.events("beat.done"))
        daemon.wait_for("beat.done", before + 4)
        assert daemon.stop() == 0

        assert wired.address in failed["error"]
        assert failed["error"].endswith(
            (
                "wait, or start it",
                "whether the server runs and lets this machine in",
            )
        )
        assert len(daemon.events("ledger.failed")) == len(daemon.events("ledger.resumed")) == 1
        meanwhile = daemon.lines()[said_by_then:]
        resumed = next(index for index, line in enumerate(meanwhile) if line["event"] == "ledger.resumed")
        assert [line for line in meanwhile[:resumed] if line["event"] == "beat.sent"] == []
        assert not [line for line in daemon.lines() if line["event"] in ("tick.crashed", "library.warned")]
        # What was out in that moment is open in the ledger, for recovery to find in the account's list.
        ledger = open_ledger(wired.address)
        finished = {beat.prediction_id for beat in ledger.beats()}
        lost = {call["id"] for call in sandbox.creates()} - finished
        assert len(lost) <= len(ledger.open_beats()) <= 2
        ledger.close()
