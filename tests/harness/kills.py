"""kill -9 at random instants, again and again, and what came of it by the sandbox's own record.

One daemon with a ledger of its own (`lone`), and workers that share theirs (`crew`). A model's `every` is kept to from
one create to the next, whoever sends it; the last of the models has a budget that is soon spent.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from harness.lives import Death, Lives
from harness.processes import PATIENCE_S, Sandbox, environment
from warmer.core.beat import Observation, Status
from warmer.ledger import Upkeep, open_ledger

ROUNDING_S = 0.1
"""A beat is counted from the claim of the one before, and created a moment later or sooner after it."""
CAP_USD = 0.02
DEADLINE_S = 60.0
SHARED = "engine: shared\n"
OVERTIME_S = 10.0
"""How long past its deadline a prediction may run: the host ends it at the deadline, and we some seconds later."""
IN_HAND = """
    SELECT args ->> 'name' FROM procrastinate_jobs WHERE status = 'doing' AND (worker_id IS NULL OR worker_id = %s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One model, in the sandbox and in the file. Times in seconds of the sandbox's clock."""

    slug: str
    every_s: float
    boot_s: float
    run_s: float = 1.0
    idle_timeout_s: float = 3600.0
    policy: str = "fixed"
    is_late: bool = False  # creates are answered late
    is_capped: bool = False

    @property
    def traits(self) -> str:
        """In the sandbox's file."""
        return (
            f'[models."{self.slug}"]\nkind = "greeting"\nboot_s = {self.boot_s}\nrun_s = {self.run_s}\n'
            f"idle_timeout_s = {self.idle_timeout_s}\n"
        )

    @property
    def entry(self) -> str:
        """In the daemon's."""
        cap = f", budget: {{daily: {CAP_USD}}}" if self.is_capped else ""
        text = "late" if self.is_late else "hi"
        return (
            f"  - {{model: {self.slug}, policy: {self.policy}, every: {self.every_s:g}s, hardware: gpu-t4, "
            f"deadline: {DEADLINE_S:g}s, input: {{text: {text}}}{cap}}}\n"
        )


def world(models: Sequence[Kept]) -> str:
    """The sandbox's file for all of them."""
    account = "catalogue = false\naccount = {creates_per_minute = 60000, reads_per_minute = 60000}\n"
    return account + "".join(model.traits for model in models)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of the kills. What has a name in `broken` is to be none."""

    kills: int = 0
    hits: int = 0  # kills that left a beat open
    beats: int = 0
    waits: list[float] = field(default_factory=list)  # from a kill to the next beat of what was in hand, in intervals
    pauses: list[float] = field(default_factory=list)  # between two beats of a model of theirs, in intervals
    doubled: int = 0  # beats that came too soon after the one before
    astray: int = 0  # predictions of ours that are not on record once, and what is on record and never was
    forgotten: int = 0  # models without a beat after the last kill
    torn: int = 0  # problems that `warmer ledger check` finds
    changed: int = 0  # finished beats that are not as they were
    open: int = 0  # beats on record that have no end when all is over
    overdue: int = 0  # predictions that ran past their deadline
    passed: int = 0  # budgets
    told: list[str] = field(default_factory=list)  # where to look for what is broken

    @property
    def broken(self) -> dict[str, int]:
        """The promises that were not kept, and how often."""
        names = ("doubled", "astray", "forgotten", "torn", "changed", "open", "overdue", "passed")
        return {name: count for name in names if (count := getattr(self, name))}

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in Tally.__slots__})


# -- one daemon ------------------------------------------------------------------------------------------------------


def lone_models(number: int) -> list[Kept]:
    """Those of the `number`th daemon."""
    paces = ((6.0, 0.5), (9.0, 3.0), (12.0, 5.0), (20.0, 8.0), (7.0, 1.0))
    models = [
        Kept(slug=f"lone-{number}/m{index}", every_s=every_s, boot_s=boot_s, run_s=1.5)
        for index, (every_s, boot_s) in enumerate(paces)
    ]
    return [*models, Kept(slug=f"lone-{number}/capped", every_s=5.0, boot_s=0.2, is_capped=True)]


def lone(number: int, folder: Path, sandbox: Sandbox, *, kills: int, speed: float, chance: Random) -> Tally:
    """One `warmer run` after another, on a clock as fast as the sandbox's, and a last one that ends by itself."""
    tally, models = Tally(), lone_models(number)
    address = f"sqlite:///{folder}/ledger.db"
    file = written(folder / "warmer.yaml", models, address, sandbox.url)
    finished: dict[str, Observation] = {}
    lives = Lives(file, sandbox.url, speed, environment(folder))
    try:
        for kill in range(kills):
            lives.begin(early(chance) if chance.random() < 0.7 else late(chance))
            assert lives.over() == -signal.SIGKILL
            tally.kills += 1
            tally.hits += bool(open_since(address))
            if kill % 5 == 0:
                tally.torn += len(Upkeep(address).check().problems)
                now = {beat.prediction_id: beat for beat in beats_of(address) if beat.prediction_id}
                tally.changed += sum(now.get(name) != beat for name, beat in finished.items())
                finished = now
        lives.begin()
        killed_at = now_of(sandbox)
        with suppress(AssertionError):  # it is counted
            until(lambda: not uncalled(sandbox, models, killed_at))
            until(lambda: not [since for since in open_since(address) if since < killed_at])
        assert lives.end() == 0
        tidy(lives, file, models, address, sandbox.url)
    finally:
        lives.close()
    settle(tally, address, models, sandbox, killed_at)
    return tally


def early(chance: Random) -> Death:
    """In the midst of the first beats, which are dense there: claims, creates, readings and ends."""
    return Death(transactions=chance.randrange(1, 60), delay_s=chance.uniform(0, 0.03))


def late(chance: Random) -> Death:
    """Whenever."""
    return Death(transactions=chance.randrange(60, 250), delay_s=chance.uniform(0, 0.3))


# -- workers that share their beats ----------------------------------------------------------------------------------


def crew_models(number: int, count: int, every_s: float) -> list[Kept]:
    """Those of the `number`th crew. Some boot for each beat, some run long, of some the creates are answered late."""
    made = [
        Kept(
            slug=f"crew-{number}/m{index:03}",
            every_s=every_s,
            boot_s=(0.2, 2.0, 4.0)[index // 3 % 3],
            run_s=(0.1, 1.5, 3.0)[index % 7 % 3],
            # One that is aware would learn that it is gone sooner, and call sooner.
            idle_timeout_s=(3600.0, every_s / 2, 3600.0)[index % 3],
            policy=("fixed", "fixed", "aware")[index % 3],
            is_late=index % 5 == 0,
        )
        for index in range(count)
    ]
    return [*made, Kept(slug=f"crew-{number}/capped", every_s=5.0, boot_s=0.2, is_capped=True)]


class Crew:
    """Workers, of which one after the other is killed."""

    def __init__(self, folder: Path, models: Sequence[Kept], address: str, sandbox: Sandbox, workers: int) -> None:
        self.models, self._address, self._sandbox = models, address, sandbox
        self.tally = Tally()
        self._killed = list[tuple[float, set[str]]]()  # when, and what was in hand then
        self._files = [
            written(folder / f"worker-{number}.yaml", models, address, sandbox.url, top=SHARED)
            for number in range(workers)
        ]
        self._lives = [Lives(file, sandbox.url, 1.0, environment(folder)) for file in self._files]
        for lives in self._lives:
            lives.begin()
        sandbox.post("/sandbox/faults", {"kind": "delay", "on": "create", "match": "late", "seconds": 1.5})

    def close(self) -> None:
        """No worker is left."""
        for lives in self._lives:
            lives.close()

    def torment(self, kills: int, chance: Random) -> None:
        """Kill so many times: at random instants of a life, some of them of its beginning."""
        self.wait_for_all()
        while self.tally.kills < kills:
            time.sleep(chance.uniform(0.0, 5.0))
            one = chance.randrange(len(self._lives))
            self.kill(one)
            time.sleep(chance.choice((0.0, chance.uniform(0.0, 4.0))))
            if chance.random() < 0.25 and self.tally.kills < kills:
                death = Death(transactions=chance.randrange(1, 80), delay_s=chance.uniform(0, 0.1))
                self._dies(one, self._lives[one].begin(death))
            self._lives[one].begin()

    def kill(self, one: int) -> None:
        """That worker, now."""
        pid = self._lives[one].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self._dies(one, pid)

    def freeze(self, one: int, seconds: float) -> None:
        """That worker, for so long."""
        pid = self._lives[one].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def wait_for_all(self) -> None:
        """Until each model that may has been called."""
        names = {model.slug for model in self.models}
        until(lambda: names <= calls_of(self._sandbox, self.models).keys())

    def finish(self) -> Tally:
        """Let each model have another beat, leave politely, and look at what came of it all."""
        killed_at = now_of(self._sandbox)
        with suppress(AssertionError):  # it is counted
            until(lambda: not uncalled(self._sandbox, self.models, killed_at))
        for lives in self._lives:
            assert lives.end() == 0
        tidy(self._lives[0], self._files[0], self.models, self._address, self._sandbox.url, top=SHARED)
        self._wait(calls_of(self._sandbox, self.models))
        settle(self.tally, self._address, self.models, self._sandbox, killed_at)
        return self.tally

    def _dies(self, one: int, pid: int) -> None:
        """Note when, and what it had in hand."""
        assert self._lives[one].over() == -signal.SIGKILL
        with psycopg.connect(self._address, autocommit=True) as connection:
            found = connection.execute(IN_HAND, [self._number(one, pid)]).fetchall()
        in_hand = {name for (name,) in found}
        self._killed.append((now_of(self._sandbox).timestamp(), in_hand))
        self.tally.kills += 1
        self.tally.hits += bool(in_hand)

    def _number(self, one: int, pid: int) -> int:
        """By which the queue knew it; 0 where it had not joined."""
        for line in reversed(self._files[one].with_suffix(".jsonl").read_text().splitlines(keepends=True)):
            if '"worker.joined"' in line and line.endswith("\n") and json.loads(line)["pid"] == pid:
                return int(json.loads(line)["worker"])
        return 0

    def _wait(self, calls: dict[str, list[dict[str, Any]]]) -> None:
        for model in self.models:
            if model.is_capped:
                continue
            times = [created(call).timestamp() for call in calls[model.slug]]
            self.tally.pauses += [(later - earlier) / model.every_s for earlier, later in pairwise(times)]
            kills = [at for at, in_hand in self._killed if model.slug in in_hand]
            for at, next_at in pairwise([*kills, inf]):
                after = next((one for one in times if one > at), inf)  # none at all: it is counted as forgotten
                if after < next_at:  # else the next one, too, was in the middle of it
                    self.tally.waits.append((after - at) / model.every_s)


@contextmanager
def crew(
    number: int, folder: Path, sandbox: Sandbox, address: str, *, count: int, every_s: float, workers: int = 3
) -> Iterator[Crew]:
    """Workers on the ledger at `address`; none is left in the end."""
    made = Crew(folder, crew_models(number, count, every_s), address, sandbox, workers)
    try:
        yield made
    finally:
        made.close()


# -- what came of it -------------------------------------------------------------------------------------------------


def settle(tally: Tally, address: str, models: Sequence[Kept], sandbox: Sandbox, killed_at: datetime) -> None:
    """Hold the ledger against the sandbox's record, now that nobody runs any more."""
    calls, beats = calls_of(sandbox, models), list(beats_of(address))
    truth = {call["id"]: call for of_one in calls.values() for call in of_one}
    tally.beats += len(truth)
    for model in models:
        times = [created(call) for call in calls[model.slug]]
        for earlier, later in pairwise(times):
            if (later - earlier).total_seconds() < model.every_s - ROUNDING_S:
                tally.doubled += 1
                tally.told.append(f"{model.slug} at {earlier} and {later}")
        if model.is_capped:
            billed = sandbox.get(f"/sandbox/totals?target={model.slug}")["billed_usd"]
            tally.passed += float(billed or 0) > CAP_USD
    on_record = Counter(beat.prediction_id for beat in beats if beat.prediction_id)
    astray = {name for name, count in on_record.items() if count != 1} | (on_record.keys() ^ truth.keys())
    tally.astray += len(astray)
    tally.told += [f"{name} is on record {on_record[name]} times, and was made: {truth.get(name)}" for name in astray]
    for beat in beats:
        if beat.prediction_id in truth and beat.status is not Status.UNKNOWN:
            tally.changed += beat.status != truth[beat.prediction_id]["status"]
    now = now_of(sandbox)
    for call in truth.values():
        ended = datetime.fromisoformat(call["completed_at"]) if call["completed_at"] else now
        tally.overdue += (ended - created(call)).total_seconds() > DEADLINE_S + OVERTIME_S
        tally.overdue += call["completed_at"] is None
    tally.forgotten += len(uncalled(sandbox, models, killed_at))
    tally.open += len(open_since(address))
    tally.torn += len(Upkeep(address).check().problems)


def tidy(lives: Lives, file: Path, models: Sequence[Kept], address: str, url: str, *, top: str = "") -> None:
    """One more life, in which no model is due: what a busy machine had not the time to end is ended in it."""
    if open_since(address):
        written(file, [replace(model, every_s=3600.0) for model in models], address, url, top=top)
        lives.begin()
        with suppress(AssertionError):  # it is counted
            until(lambda: not open_since(address))
        assert lives.end() == 0


def written(file: Path, models: Sequence[Kept], address: str, url: str, *, top: str = "") -> Path:
    """The daemon's file."""
    file.write_text(
        f"ledger: {address}\nlisten: off\n{top}"
        f"replicate: {{token: env:WARMER_TEST_TOKEN, base_url: '{url}/v1', creates_per_minute: 60000, "
        "reads_per_minute: 60000}\nmodels:\n" + "".join(model.entry for model in models),
        "utf-8",
    )
    return file


def calls_of(sandbox: Sandbox, models: Sequence[Kept]) -> dict[str, list[dict[str, Any]]]:
    """The sandbox's record of our creates by model, in order."""
    found = defaultdict[str, list[dict[str, Any]]](list)
    wanted = {model.slug for model in models}
    for call in sandbox.get("/sandbox/journal?caller=warmer")["predictions"]:
        if call["model"] in wanted:
            found[call["model"]].append(call)
    for calls in found.values():
        calls.sort(key=created)
    return found


def uncalled(sandbox: Sandbox, models: Sequence[Kept], since: datetime) -> set[str]:
    """The models that were not called since then and should have been."""
    calls = calls_of(sandbox, models)
    due = {model.slug for model in models if not model.is_capped}
    return {slug for slug in due if not any(created(call) > since for call in calls[slug])}


def created(call: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(call["created_at"])


def now_of(sandbox: Sandbox) -> datetime:
    return datetime.fromisoformat(sandbox.get("/sandbox/clock")["now"])


def beats_of(address: str) -> list[Observation]:
    ledger = open_ledger(address)
    try:
        return list(ledger.beats())
    finally:
        ledger.close()


def open_since(address: str) -> list[datetime]:
    ledger = open_ledger(address)
    try:
        return [beat.claimed_at for beat in ledger.open_beats()]
    finally:
        ledger.close()


def until(happened: Callable[[], Any]) -> None:
    """Wait for it, and give up loudly: much later than any machine takes that is not too busy."""
    end = time.monotonic() + 5 * PATIENCE_S
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.3)
