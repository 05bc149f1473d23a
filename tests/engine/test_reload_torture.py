"""A thousand swaps of the file under a running daemon, good and bad, by every way that a file is swapped."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from engine.stage import BLIP, LLAMA, SDXL, START, WHISPER, Loader, Play, gaps
from harness.swaps import MISSING, SETTLED_S, Swapper, Texts, standing

from warmer import config
from warmer.core.spec import AccountSpec, Host, Spec
from warmer.errors import UsageError
from warmer.log import Event
from warmer.ports import Provider
from warmer.testing import run

SWAPS = 1000
STEADY = f"{{model: {BLIP}, policy: fixed, every: 40s, hardware: gpu-t4, traffic: off}}"


class FromFile(Loader):
    """Reads it as `warmer run` does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> Spec:
        return config.load(self.path)


class Tokens(Play):
    """Where one of the tokens is not there."""

    def _connect(self, host: Host) -> Provider:
        if isinstance(host, AccountSpec) and str(host.token) == MISSING:
            raise UsageError("replicate.token: the variable is not set")
        return super()._connect(host)


def test_a_thousand_swaps_apply_each_good_file_whole_and_nothing_of_a_bad_one(
    db: Path, tmp_path: Path, lines: list[Any]
) -> None:
    chance = Random(20261124)
    path = tmp_path / "etc" / "warmer.yaml"
    path.parent.mkdir()
    texts = Texts(chance, ledger=f"sqlite:///{db}", steady=[STEADY], others=[LLAMA, SDXL, WHISPER])
    path.write_text(texts.good())
    undisturbed = Path(shutil.copy(db, tmp_path / "undisturbed.db"))
    swapper = Swapper(path, chance, stamps=True)
    in_force: list[tuple[float, Spec]] = []  # from that second on
    counted = {"good": 0, "bad": 0, "gone": 0}

    async def scene() -> tuple[Play, dict[str, list[float]], float]:
        loader = FromFile(path)
        spec = loader()
        begin = asyncio.get_running_loop().time()
        async with Tokens(db, spec, latency_s=0, load=loader) as play:
            await asyncio.sleep(SETTLED_S)
            in_force.append((0.0, spec))
            for _ in range(SWAPS):
                text = texts.good() if chance.random() < 0.6 else texts.bad()
                told = len(lines)
                await swapper.way()(text.encode())
                swapped_at = asyncio.get_running_loop().time() - begin
                await asyncio.sleep(SETTLED_S + chance.uniform(0, 0.5))
                if chance.random() < 0.05:
                    play.daemon.reload()  # asked for, it is read at once and again
                    await asyncio.sleep(SETTLED_S)
                news = [
                    line for line in lines[told:] if line["event"] in (Event.CONFIG_RELOADED, Event.CONFIG_REJECTED)
                ]
                found = standing(path, spec.ledger)
                fleet = play.daemon._fleet
                if found is not None:
                    counted["good"] += 1
                    assert fleet.spec == found
                    if found.digest != in_force[-1][1].digest:
                        assert news[-1]["event"] == Event.CONFIG_RELOADED
                        assert news[-1]["digest"] == found.digest
                    in_force.append((swapped_at, found))
                elif path.exists():
                    counted["bad"] += 1
                    assert news
                    assert news[-1]["event"] == Event.CONFIG_REJECTED
                    assert news[-1]["where"].startswith(str(path))
                    assert news[-1]["problem"]
                else:
                    counted["gone"] += 1
                assert fleet.spec.digest == in_force[-1][1].digest
                armed = {name for name in (BLIP, LLAMA, SDXL, WHISPER) if fleet.next_at(name) is not None}
                assert armed == {model.name for model in in_force[-1][1].models}
            took_s = asyncio.get_running_loop().time() - begin
            moments = {slug: play.seconds(slug) for slug in (BLIP, LLAMA, SDXL, WHISPER)}
        return play, moments, took_s

    async def without(seconds: float) -> list[float]:
        async with Play(undisturbed, in_force[0][1], latency_s=0, watch=False) as play:
            await asyncio.sleep(seconds)
            return play.seconds(BLIP)

    play, moments, took_s = run(scene())
    assert min(counted.values()) > SWAPS / 20, counted
    assert moments[BLIP] == run(without(took_s))
    calls = play.world.journal.calls(caller="warmer")
    assert len({beat.prediction_id for beat in play.beats()}) == len(calls)
    for call in calls:  # only of a model that was in force about then
        at = (call.created_at - START).total_seconds()
        before = [spec for since, spec in in_force if since <= max(0.0, at - SETTLED_S)][-1]
        about = [spec for since, spec in in_force if abs(since - at) <= SETTLED_S]
        assert any(spec.model(call.target) is not None for spec in (before, *about)), (at, call.target)
    for slug in (LLAMA, SDXL, WHISPER):
        assert moments[slug]
        assert min(gaps(moments[slug])) > 59.99
    assert all(host.closed for host in play.hosts)
    assert timedelta(seconds=took_s) > timedelta(minutes=15)
