"""A daemon whose file is swapped under it, as a process, beside one that is left alone; by a sandbox's own record."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import median

from harness.processes import PATIENCE_S, Daemon, Desk, Sandbox
from harness.swaps import SETTLED_S, Swapper, Texts, standing

STEADY = {"steady/two": 2, "steady/three": 3, "steady/five": 5, "steady/eleven": 11}
"""Unchanged in every file, and the seconds between their beats."""
ALONE = {f"alone/{slug.partition('/')[2]}": every for slug, every in STEADY.items()}
"""The same, in the file that nobody touches."""
OTHERS = ("other/one", "other/two", "other/three")
MODELS = (*STEADY, *ALONE, *OTHERS)
_NEXT = re.compile(r'^warmer_next_beat_timestamp_seconds\{model="([^"]+)"\} (\S+)$', re.M)
_SAME_S = 0.0005
_EARLY_S, _LATE = 0.1, 1.9
"""What is doubled comes too soon; where one is lost, the next is a whole interval late."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of it."""

    swaps: Counter[str] = field(default_factory=Counter)  # by what stood there afterwards: good, bad, gone
    reloaded: int = 0  # times that the daemon took a file, and that it refused one
    rejected: int = 0
    astray: list[str] = field(default_factory=list)  # after which it did not do what the file says
    phases: int = 0  # of unchanged models, looked at before and after a swap
    moved: list[float] = field(default_factory=list)  # seconds, of those that were not the same
    beats: int = 0  # of unchanged models
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unrecorded: int = 0  # creates and rows of the ledger that have no counterpart
    late_ms: float = 0.0  # median of what a beat comes later than its interval asks for
    alone_ms: float = 0.0  # the same where nobody swaps


class _Followed:
    """A daemon's log as it grows, and its metrics."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon, self._read = daemon, 0
        self.digest, self.counted = "", Counter[str]()
        opened = daemon.wait_for("web.opened")[0]
        daemon.wait_for("daemon.ready")
        self._url = f"{opened['url']}/metrics"

    def look(self) -> None:
        """Take in what it has said meanwhile."""
        with self._daemon.log.open("rb") as file:
            file.seek(self._read)
            whole, _, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + (1 if whole else 0)
        for line in map(json.loads, whole.splitlines()):
            self.counted[line["event"]] += 1
            if line["event"] in ("daemon.started", "config.reloaded"):
                self.digest = line["digest"]

    async def took(self, digest: str) -> bool:
        """Whether that file came into force."""
        return await self._until(lambda: self.digest == digest)

    async def refused(self, before: int) -> bool:
        """Whether more files were refused than before."""
        return await self._until(lambda: self.counted["config.rejected"] > before)

    async def _until(self, condition: Callable[[], bool]) -> bool:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.look()
            if condition():
                return True
            await asyncio.sleep(0.05)
        return False

    def next_at(self) -> dict[str, float]:
        """When each model is decided on next, in seconds since 1970."""
        with urllib.request.urlopen(self._url, timeout=PATIENCE_S) as reply:
            return {model: float(at) for model, at in _NEXT.findall(reply.read().decode())}


def torment(folder: Path, sandbox: Sandbox, swaps: int, chance: Random) -> Tally:
    """So many swaps under a daemon, one after the other, each as soon as the one before is followed."""
    desks = [Desk(folder / name, sandbox.url) for name in ("swapped", "alone")]
    for desk in desks:
        desk.folder.mkdir()
    try:
        return asyncio.run(_torment(*desks, sandbox, swaps, chance))
    finally:
        for desk in desks:
            desk.close()


async def _torment(desk: Desk, alone: Desk, sandbox: Sandbox, swaps: int, chance: Random) -> Tally:
    tally = Tally()
    texts = Texts(
        chance,
        ledger=desk.address,
        steady=[_entry(slug, every) for slug, every in STEADY.items()],
        others=OTHERS,
        every_s=(1, 2, 4),
        account=("token: env:WARMER_TEST_TOKEN", f"base_url: '{sandbox.url}/v1'"),
    )
    desk.file = desk.folder / "etc" / "warmer.yaml"
    desk.file.parent.mkdir()
    desk.file.write_text(texts.good())
    alone.write("\n".join(_entry(slug, every) for slug, every in ALONE.items()))
    daemons = [one.start("run", "-c", str(one.file)) for one in (desk, alone)]
    followed, swapper = _Followed(daemons[0]), Swapper(desk.file, chance)
    spec = standing(desk.file, desk.address)
    for number in range(swaps):
        followed.look()
        rejected, before = followed.counted["config.rejected"], followed.next_at()
        text = texts.good() if chance.random() < 0.6 else texts.bad()
        way = swapper.way()
        await way(text.encode())
        found = standing(desk.file, desk.address)
        if found is not None:
            spec, what, follows = found, "good", await followed.took(found.digest)
        elif desk.file.exists():
            what, follows = "bad", await followed.refused(rejected)
        else:
            await asyncio.sleep(SETTLED_S / 2)
            what, follows = "gone", True
        tally.swaps[what] += 1
        after = followed.next_at()
        if not follows or spec is None or after.keys() != {model.name for model in spec.models}:
            tally.astray.append(f"{number}: {way.__name__}, {what}: {sorted(after)}")
        _compare(before, after, tally)
    for daemon in daemons:
        assert daemon.stop() == 0, daemon.log.read_text()
    followed.look()
    tally.reloaded, tally.rejected = (followed.counted[f"config.{what}"] for what in ("reloaded", "rejected"))
    _count(sandbox, desk, tally)
    return tally


def _entry(slug: str, every: int) -> str:
    return f"{{model: {slug}, policy: fixed, every: {every}s, hardware: gpu-t4, traffic: off}}"


def _compare(before: dict[str, float], after: dict[str, float], tally: Tally) -> None:
    """Whether unchanged models that have not come to their next beat meanwhile still have it at the same moment."""
    now = time.time()
    for model in STEADY:
        if before.get(model, 0.0) > now:
            tally.phases += 1
            if abs(by := after.get(model, 0.0) - before[model]) > _SAME_S:
                tally.moved.append(by)


def _count(sandbox: Sandbox, desk: Desk, tally: Tally) -> None:
    creates: dict[str, list[datetime]] = {model: [] for model in MODELS}
    ids = set[str]()
    for call in sandbox.creates():
        creates[call["model"]].append(datetime.fromisoformat(call["created_at"]))
        if call["model"] not in ALONE:
            ids.add(call["id"])
    for model, every in STEADY.items():
        tally.beats += len(creates[model])
        for sooner, later in pairwise(sorted(creates[model])):
            gap = (later - sooner).total_seconds()
            if gap < every - _EARLY_S:
                tally.doubled.append(f"{model} at {later}: after {gap:.3f} s")
            elif gap > every * _LATE:
                tally.lost.append(f"{model} at {later}: after {gap:.3f} s")
    with closing(sqlite3.connect(desk.ledger)) as connection:
        rows = {one for (one,) in connection.execute("SELECT prediction_id FROM beats WHERE prediction_id IS NOT NULL")}
    tally.unrecorded = len(ids ^ rows)
    tally.late_ms, tally.alone_ms = (_late_ms(creates, models) for models in (STEADY, ALONE))


def _late_ms(creates: dict[str, list[datetime]], models: dict[str, int]) -> float:
    late = [
        (later - sooner).total_seconds() - every
        for model, every in models.items()
        for sooner, later in pairwise(sorted(creates[model]))
    ]
    return 1000 * median(late)
