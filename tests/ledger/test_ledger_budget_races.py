"""Promise 4: money is reserved before it is spent; a cap holds under any number of parallel ticks and restarts."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from subprocess import Popen
from typing import Any

from warmer.core.budget import Cap, Limit, Period
from warmer.ledger import open_ledger

TICKS = 250
KILLS = 6
CAP, CAP_OF_ONE = Decimal("0.050000"), Decimal("0.015000")
WORST = Decimal("0.000700")
DAY = datetime(2026, 11, 21, tzinfo=UTC)
LIMITS = tuple(
    Limit(cap=Cap(model=model, period=Period.DAILY, usd=usd), start=DAY, end=DAY + timedelta(days=1))
    for model, usd in ((None, CAP), ("m/0", CAP_OF_ONE))
)
TICKING = """
import random, sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from warmer.core.beat import BeatKey, BeatRequest, Claim, Observation, Reason, Status, Verdict
from warmer.core.budget import Cap, Limit, Period
from warmer.core.price import Billing
from warmer.core.spec import Target, TargetKind
from warmer.ledger import open_ledger

address, seed, ticks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
day = datetime(2026, 11, 21, tzinfo=UTC)
target = Target(kind=TargetKind.MODEL, owner="meta", name="llama")
request = BeatRequest(target=target, version=None, billing=Billing.PUBLIC, input={}, deadline=timedelta(minutes=10))
limits = {
    model: tuple(
        Limit(cap=Cap(model=scope, period=Period.DAILY, usd=Decimal(usd)), start=day, end=day + timedelta(days=1))
        for scope, usd in ((None, "0.050000"), ("m/0", "0.015")) if scope in (None, model)
    )
    for model in ("m/0", "m/1", "m/2")
}
ledger = open_ledger(address)
print("ready", flush=True)
sys.stdin.readline()
for tick in range(ticks):
    model = f"m/{chance.randrange(3)}"
    key = BeatKey(model=model, slot=ledger.history(model).slots + 1)
    at = day + timedelta(hours=9, seconds=tick)
    taken = ledger.claim(Claim(
        key=key, at=at, policy="fixed", reason=Reason.IDLE, request=request, reserve_usd=Decimal("0.000700"),
        limits=limits[model],
    ))
    if taken:
        cost = Decimal(chance.randrange(0, 701)) / 1_000_000
        ledger.finish(key, Observation(
            model=model, prediction_id=f"{seed}-{tick}", policy="fixed", reason=Reason.IDLE, created_at=at,
            started_at=at, completed_at=at, gap_s=None, wait_s=0.0, run_s=1.0, verdict=Verdict.WARM,
            status=Status.SUCCEEDED, error=None, cost_usd=cost, price=None, billing=Billing.PUBLIC,
        ))
    print("tick", bool(taken), flush=True)
"""


def passed(address: str) -> dict[str | None, Decimal]:
    """By scope, what the rows themselves say may be spent: known costs, and reservations of what is out."""
    ledger = open_ledger(address)
    try:
        found: dict[str | None, Decimal] = {None: Decimal(0)}
        rows = [(beat.model, beat.cost_usd or Decimal(0)) for beat in ledger.beats()]
        rows += [(beat.key.model, WORST) for beat in ledger.open_beats()]
        for model, usd in rows:
            for scope in (None, model):
                found[scope] = found.get(scope, Decimal(0)) + usd
        return found
    finally:
        ledger.close()


def counted(address: str) -> list[Decimal]:
    """What the ledger counts against each limit."""
    ledger = open_ledger(address)
    try:
        return [one.settled_usd + one.reserved_usd for one in ledger.spendings(LIMITS, DAY)]
    finally:
        ledger.close()


class Ticking:
    """A process that has so many ticks to do, and goes on in another one where it is killed."""

    def __init__(self, spawn: Callable[..., Any], address: str, seed: int) -> None:
        self._spawn, self._address, self._seed = spawn, address, seed
        self.left, self.taken, self.lives = TICKS, 0, 0
        self._begin()

    def _begin(self) -> None:
        name = str(100 * self._seed + self.lives)
        self._process: Popen[str] = self._spawn(TICKING, self._address, name, str(self.left))
        self.lives += 1
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def die_after(self, ticks: int) -> None:
        """SIGKILL, wherever it is by then; what it had still to do is done by another process."""
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline() for _ in range(ticks)]
        self._process.kill()
        self._note(lines + self._process.communicate()[0].splitlines(keepends=True))
        self._begin()
        self.go()

    def end(self) -> None:
        self._note(self._process.communicate(timeout=120)[0].splitlines(keepends=True))

    def _note(self, lines: list[str]) -> None:
        told = [line for line in lines if line.startswith("tick") and line.endswith("\n")]
        assert [line for line in lines if line and line not in told] == []  # "" is the end of one that had done all
        self.left -= len(told)
        self.taken += told.count("tick True\n")


def test_promise_4_a_thousand_parallel_ticks_of_four_processes_never_pass_a_cap_though_some_are_killed(
    spawn: Callable[..., Any], address: str
) -> None:
    open_ledger(address).close()
    chance = random.Random(4)
    processes = [Ticking(spawn, address, seed) for seed in range(4)]
    for process in processes:
        process.go()
    for _ in range(KILLS):
        chance.choice(processes).die_after(chance.randrange(5, 25))
        spent = passed(address)
        assert spent[None] <= CAP
        assert spent.get("m/0", Decimal(0)) <= CAP_OF_ONE
    for process in processes:
        process.end()
    spent = passed(address)
    assert counted(address) == [spent[limit.cap.model] for limit in LIMITS]

    assert [process.left for process in processes] == [0] * 4
    assert sum(process.lives for process in processes) == 4 + KILLS
    assert CAP - WORST < spent[None] <= CAP  # all of it was of use, and not a micro-dollar more
    assert 0 < spent["m/0"] <= CAP_OF_ONE  # its own cap is all used unless that of all is reached before
    assert 0 < sum(process.taken for process in processes) < 4 * TICKS
