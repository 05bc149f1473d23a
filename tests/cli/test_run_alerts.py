"""A real daemon tells a real receiver, by addresses that it never says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.processes import PATIENCE_S, Desk, Sandbox
from harness.receiver import Receiver

SECRET = "CanaryThatMustNotSing"
TOP = "alerts: {to: env:WARMER_ALERTS, ping: env:WARMER_PING}"


def test_a_refused_model_is_told_once_and_a_sign_of_life_is_given(wired: Desk) -> None:
    with Receiver() as receiver:
        file = wired.write("{model: nobody/there}\n{model: replicate/hello-world, every: 1s}", top=TOP)
        daemon = wired.start(
            "run",
            "-c",
            str(file),
            WARMER_ALERTS=f"json://127.0.0.1:{receiver.port}/{SECRET}",
            WARMER_PING=f"http://127.0.0.1:{receiver.port}/ping-{SECRET}",
        )
        (sent,) = daemon.wait_for("alert.sent")
        assert (sent["kind"], sent["scope"], sent["over"]) == ("model_disabled", "nobody/there", False)
        beats = len(daemon.events("beat.done"))
        daemon.wait_for("beat.done", count=beats + 2)
        assert daemon.stop() == 0
        (note,) = receiver.posted
        assert note["title"] == "warmer: model disabled, nobody/there"
        assert note["message"] == sent["text"]
        assert set(receiver.asked) == {f"/ping-{SECRET}"}
        assert SECRET not in daemon.log.read_text()


def test_passes_tell_an_episode_once_and_give_a_sign_of_life_each(wired: Desk, sandbox: Sandbox) -> None:
    with Receiver() as receiver:
        file = wired.write("{model: nobody/there}\n{model: replicate/hello-world, every: 1s}", top=TOP)
        env = {
            "WARMER_ALERTS": f"json://127.0.0.1:{receiver.port}/{SECRET}",
            "WARMER_PING": f"http://127.0.0.1:{receiver.port}/ping-{SECRET}",
        }
        ran = [wired.run("once", "-c", str(file), **env) for _ in range(2)]
        ran.append(wired.run("once", "-c", str(file), "--for", "2s", **env))
        assert [one.code for one in ran] == [3, 3, 3]
        (note,) = receiver.posted
        assert note["title"] == "warmer: model disabled, nobody/there"
        assert [one.out.count('"alert.sent"') for one in ran] == [1, 0, 0]
        assert receiver.asked == [f"/ping-{SECRET}"] * 3
        sandbox.post("/sandbox/faults", {"kind": "status", "status": 401})
        refused = wired.run("once", "-c", str(file), **env)
        assert refused.code == 4
        assert len(receiver.asked) == 3
        assert receiver.posted[-1]["title"] == "warmer: account refused, all models"
        assert SECRET not in "".join(one.out + one.err for one in [*ran, refused])


def test_passes_tell_of_a_cold_streak(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text('[models."acme/hasty"]\nkind = "greeting"\nboot_s = 4.0\nrun_s = 0.05\nidle_timeout_s = 0.1\n')
    desk = Desk(tmp_path, start_sandbox("--world", str(world)).url)
    with Receiver() as receiver:
        file = desk.write("{model: acme/hasty, every: 1s, policy: fixed}", top="alerts: {to: env:TO}")
        for passes in range(1, 5):
            assert desk.run("once", "-c", str(file), TO=f"json://127.0.0.1:{receiver.port}/").code == 0
            assert len(receiver.posted) == (passes >= 3)
        assert receiver.posted[0]["title"] == "warmer: cold streak, acme/hasty"


def test_a_receiver_that_hangs_holds_up_neither_beats_nor_the_end(wired: Desk) -> None:
    with Receiver() as receiver:
        receiver.hangs.set()
        file = wired.write(
            "{model: nobody/there}\n{model: replicate/hello-world, every: 1s}", top="alerts: {to: env:TO}"
        )
        daemon = wired.start("run", "-c", str(file), TO=f"json://127.0.0.1:{receiver.port}/{SECRET}")
        assert receiver.arrived.wait(PATIENCE_S)
        beats = len(daemon.events("beat.done"))
        daemon.wait_for("beat.done", count=beats + 2)
        assert daemon.stop() == 0
        assert daemon.events("daemon.stopped", drained=True)


def test_an_address_that_is_missing_is_named_by_its_reference(wired: Desk) -> None:
    ran = wired.run("run", "-c", str(wired.write("{model: a/b}", top="alerts: {to: [env:NOT_SET]}")))
    assert ran.code == 2
    assert "env:NOT_SET" in ran.err
