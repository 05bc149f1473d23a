"""A thousand swaps of the file under a running daemon, good and bad, by every way that a file is swapped."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from engine.stage import BLIP, LLAMA, SDXL, START, WHISPER, Loader, Play, gaps

from warmer import config
from warmer.core.spec import Spec
from warmer.errors import ConfigError, UsageError
from warmer.log import Event
from warmer.ports import Provider
from warmer.testing import run

SWAPS = 1000
SETTLED_S = 0.9
"""By then a file that holds still has been looked at twice, and read."""
GLIMPSE_S = 0.15
"""What stands there for no longer is seen once at the most."""
MISSING = "env:WARMER_NO_SUCH_VARIABLE"
STEADY = f"  - {{model: {BLIP}, policy: fixed, every: 40s, hardware: gpu-t4, traffic: off}}\n"


class FromFile(Loader):
    """Reads it as `warmer run` does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> Spec:
        return config.load(self.path)


class Tokens(Play):
    """Where one of the tokens is not there."""

    def _connect(self, spec: Spec) -> Provider:
        if str(spec.account.token) == MISSING:
            raise UsageError("replicate.token: the variable is not set")
        return super()._connect(spec)


class Swapper:
    """Puts one text after another in the file's place."""

    def __init__(self, path: Path, chance: Random) -> None:
        self.path, self._chance, self._count = path, chance, 0

    def _stamp(self, path: Path) -> Path:
        # Time stands still here while somebody writes; on a disk it does not.
        self._count += 1
        os.utime(path, ns=(self._count * 10**6, self._count * 10**6))
        return path

    def _written(self, text: bytes) -> Path:
        staged = self.path.with_name("staged")
        staged.write_bytes(text)
        return self._stamp(staged)

    async def rename_over(self, text: bytes) -> None:
        self._written(text).replace(self.path)

    async def swap_links(self, text: bytes) -> None:
        """As Kubernetes does with a ConfigMap."""
        folder = self.path.parent
        data = folder / "..data"
        old = data.resolve() if data.is_symlink() else folder / "nothing"
        dated = folder / f"..{self._count}"
        dated.mkdir()
        self._written(text).replace(dated / self.path.name)
        (folder / "link").symlink_to(dated.name)
        (folder / "link").replace(data)
        (folder / "link").symlink_to(f"..data/{self.path.name}")
        (folder / "link").replace(self.path)
        shutil.rmtree(old, ignore_errors=True)

    async def write_in_place(self, text: bytes) -> None:
        """The file is shorter for a moment, as a program leaves it that does not write aside first."""
        if not self.path.exists():
            return await self.rename_over(text)
        self.path.write_bytes(text[: self._chance.randrange(len(text) + 1)])
        self._stamp(self.path)
        await asyncio.sleep(self._chance.uniform(0, GLIMPSE_S))
        self.path.write_bytes(text)
        self._stamp(self.path)
        return None

    async def write_half(self, text: bytes) -> None:
        """And nobody ever writes the rest."""
        await self.write_in_place(text[: self._chance.randrange(len(text))])

    async def delete_and_return(self, text: bytes) -> None:
        self.path.unlink(missing_ok=True)
        await asyncio.sleep(self._chance.choice([GLIMPSE_S, SETTLED_S]))
        await self.rename_over(text)

    async def delete(self, _: bytes) -> None:
        self.path.unlink(missing_ok=True)

    async def flicker(self, text: bytes) -> None:
        """Several within a moment: the last one counts."""
        for length in (len(text) // 2, len(text) // 3):
            await self.rename_over(text[:length])
            await asyncio.sleep(self._chance.uniform(0, GLIMPSE_S / 2))
        await self.rename_over(text)

    async def folder_there(self, text: bytes) -> None:
        """A mount that comes late leaves a folder under the name for a while."""
        self.path.unlink(missing_ok=True)
        self.path.mkdir()
        await asyncio.sleep(SETTLED_S)
        self.path.rmdir()
        await self.rename_over(text)


def good_text(chance: Random, ledger: Path) -> str:
    lines = [
        STEADY.replace(BLIP, slug).replace("40s", f"{chance.choice([60, 90, 120])}s")
        for slug in chance.sample([LLAMA, SDXL, WHISPER], chance.randrange(3))
    ]
    lines.insert(chance.randrange(len(lines) + 1), STEADY)
    account = chance.choice(["", "", "", "replicate: {reads_per_minute: 2000}\n"])
    return f"# {chance.random()}\nledger: sqlite:///{ledger}\n{account}models:\n{''.join(lines)}"


def bad_text(chance: Random, ledger: Path) -> str:
    text = good_text(chance, ledger)
    spoil: Callable[[str], str] = chance.choice(
        [
            lambda text: text.replace("every", "evry"),
            lambda text: text + STEADY,  # twice
            lambda text: text + "models: []\n",
            lambda text: "timezone: Mars/Olympus\n" + text,
            lambda text: text.replace("traffic: off", "hours: Feb 31 10:00-12:00"),
            lambda text: text.replace("every: 40s", "every: 40"),
            lambda text: text.replace("ledger.db", "another.db"),
            lambda text: (
                text.replace("replicate: {reads_per_minute: 2000}\n", "") + f"replicate: {{token: {MISSING}}}\n"
            ),
            lambda text: text.replace("hardware", "\thardware"),
            lambda text: text + "\x00",
            lambda text: text.replace("models:", "models: {"),
        ]
    )
    return spoil(text)


def standing(path: Path, ledger: str | None) -> Spec | None:
    """What stands there, where a daemon on that ledger can follow it."""
    try:
        spec = config.load(path)
    except ConfigError:
        return None
    return spec if spec.ledger == ledger and str(spec.account.token) != MISSING else None


def test_a_thousand_swaps_apply_each_good_file_whole_and_nothing_of_a_bad_one(
    db: Path, tmp_path: Path, lines: list[Any]
) -> None:
    chance = Random(20261124)
    path = tmp_path / "etc" / "warmer.yaml"
    path.parent.mkdir()
    path.write_text(f"ledger: sqlite:///{db}\nmodels:\n{STEADY}")
    undisturbed = Path(shutil.copy(db, tmp_path / "undisturbed.db"))
    swapper = Swapper(path, chance)
    plain = [swapper.rename_over, swapper.swap_links, swapper.write_in_place]
    rare = [swapper.write_half, swapper.delete_and_return, swapper.delete, swapper.flicker, swapper.folder_there]
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
                text = (good_text if chance.random() < 0.6 else bad_text)(chance, db).encode()
                way = chance.choice(plain if chance.random() < 0.6 else rare)
                told = len(lines)
                await way(text)
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
