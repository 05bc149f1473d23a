"""Advice against the truth: every way that is open, lived through to its bill, in 1,000 drawn cases.

The truth is told by loops of this file's own, that share nothing with the replays: one over a house with one instance
that boots, serves one at a time, idles and is billed, and for 100 of the cases one over the sandbox itself. Nine days
with some hundred calls each, so that all of it takes no longer than it has to; boots and runs spread as the sandbox's
do. Only the policy `adaptive` and the hours worth trying are taken from warmer: they are what is compared, not how.

Two ways whose true sums are within 1 % of one another are equally good advice.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
from harness.cases import cases

from warmer.core.adaptive import Adaptive
from warmer.core.advise import Advice, advise
from warmer.core.backtest.entry import Traffic
from warmer.core.hours import ActiveHours
from warmer.core.price import PER_SECOND, Billing, Price
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.tune_hours import COVERED, suggest_hours
from warmer.core.ways import Billed, Way
from warmer.core.worth import Goal, Within
from warmer.core.worth import Price as Worth
from warmer.sandbox.catalogue import schema
from warmer.sandbox.predictions import Found
from warmer.sandbox.traits import Deployment, Kind, Traits, Version, version_id
from warmer.sandbox.world import World

IN_A_TEST, IN_THE_SANDBOX = cases(500), cases(100)
CASES = 2 * IN_A_TEST
DAYS = 9
END = DAYS * 86_400.0
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
BOOT_SPREAD, RUN_SPREAD = 0.15, 0.1
P95 = 1.645
_HOSTED = [billing for billing in Billing if billing not in (Billing.OWN, Billing.CALL)]
LINES = ("24/7", "24/7", "Mo-Fr 08:00-18:00", "07:00-23:00")
SECONDS_A_MONTH = 30 * 86_400.0
Window = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One owner's question, and what is true of the model."""

    entry: ModelSpec
    billing: Billing
    calls: tuple[float, ...]  # seconds after MONDAY
    idle_timeout_s: float
    boot_s: float  # median
    call_s: float  # median run
    beat_s: float
    seed: int

    @property
    def usd_per_second(self) -> float:
        assert self.entry.price is not None
        return float(self.entry.price.per_second or 0)

    @property
    def host(self) -> Billed:
        """What a ledger tells of it."""
        return Billed(
            idle_timeout_s=self.idle_timeout_s,
            trusted_s=0.9 * self.idle_timeout_s,
            boot_s=self.boot_s,
            lead_s=self.boot_s * math.exp(P95 * BOOT_SPREAD),
            run_s=self.beat_s,
            billing=self.billing,
            is_known=True,
            call_s=self.call_s * math.exp(RUN_SPREAD**2 / 2),
        )

    @property
    def moments(self) -> list[datetime]:
        return [MONDAY + timedelta(seconds=at) for at in self.calls]


# -- drawing ---------------------------------------------------------------------------------------------------------


def drawn(number: int) -> Case:
    """Case `number`, always the same. Every other one is hard: what it asks for is near to where two ways are alike."""
    case = _drawn(number)
    if number % 2 == 0 or case.billing is Billing.OFFICIAL:
        return case
    random = Random(f"hard {number}")
    found = asked(case)
    at, entry = found.break_even, case.entry
    worths = [at.heartbeat_cold_start_usd, at.floor_cold_start_usd, at.always_on_cold_start_usd]
    known = [worth for worth in worths if worth]
    if known and random.random() < 0.6:
        price = Decimal(f"{float(random.choice(known)) * math.exp(random.gauss(0, 0.1)):.6f}") or Decimal("0.000001")
        entry = replace(entry, cold_target=None, cold_start_price=price)
    if random.random() < 0.6:
        sums = [float(one.cost.usd) for one in found.options if one.applies and one.cost.usd]
        per_hour = random.choice(sums) / 720 * math.exp(random.gauss(0, 0.1))
        entry = replace(entry, self_host_per_hour=Decimal(f"{per_hour:.6f}"))
    return replace(case, entry=entry)


def _drawn(number: int) -> Case:
    """The first IN_THE_SANDBOX are such that the sandbox lives through them quickly."""
    random = Random(f"advice {number}")
    slow = number < IN_THE_SANDBOX
    billing = random.choices(_HOSTED, (3, 3, 1, 0 if slow else 1, 6))[0]
    is_deployment = billing is Billing.DEPLOYMENT
    policies = [PolicyName.AWARE, PolicyName.FIXED, PolicyName.OBSERVE, PolicyName.ADAPTIVE]
    policy = random.choices([*policies, PolicyName.FLOOR], (5, 1, 2, 1, 4 if is_deployment else 0))[0]
    if slow and policy not in (PolicyName.AWARE, PolicyName.FLOOR):
        policy = PolicyName.AWARE
    idle_timeout_s = math.exp(random.uniform(math.log(240 if slow else 90), math.log(900)))
    every = timedelta(seconds=round(random.uniform(60, 0.9 * idle_timeout_s))) if policy is PolicyName.FIXED else None
    aims: dict[str, Any] = {"cold_target": random.choice((0.01, 0.02, 0.05, 0.1, 0.2, 0.5))}
    if random.random() < 0.5:
        aims = {"cold_start_price": Decimal(repr(round(math.exp(random.uniform(-7, 2)), 4)))}
    per_second = random.choice(list(PER_SECOND.values()))
    price = Price(per_second=per_second, source="file")
    if billing is Billing.OFFICIAL:
        price = Price(per_output=Decimal(random.choice(("0.003", "0.04", "0.5"))), source="file")
    per_hour = round(float(per_second) * 3600 * random.uniform(0.02, 1), 4) if random.random() > 0.4 else None
    hours = ActiveHours(lines=(random.choice(LINES),), zone=ZoneInfo("UTC"))
    call_s = math.exp(random.uniform(math.log(0.3), math.log(15)))
    return Case(
        entry=ModelSpec(
            name="m",
            target=Target(kind=TargetKind.DEPLOYMENT if is_deployment else TargetKind.MODEL, owner="acme", name="m"),
            hours=hours,
            policy=policy,
            every=every,
            price=price,
            billing=billing,
            self_host_per_hour=None if per_hour is None else Decimal(repr(per_hour)),
            **aims,
        ),
        billing=billing,
        calls=_calls(random),
        idle_timeout_s=idle_timeout_s,
        boot_s=math.exp(random.uniform(math.log(5), math.log(120))),
        call_s=call_s,
        beat_s=call_s if slow else random.uniform(0.1, 0.6),
        seed=number,
    )


def _calls(random: Random) -> tuple[float, ...]:
    """60 to some 700, spread evenly, over working hours, by a clock, or in visits."""
    a_day = math.exp(random.uniform(math.log(7), math.log(70)))
    pattern = random.choice(("steady", "office", "clock", "visits"))
    found: list[float] = []
    at = random.uniform(0, 40_000)
    while at < END:
        day, second = divmod(at, 86_400)
        if pattern != "office" or (day % 7 < 5 and 9 * 3600 <= second < 17 * 3600):
            found.append(at)
        match pattern:
            case "office":
                at += random.expovariate(3 * a_day / 86_400)
            case "clock":
                at += 86_400 / a_day + random.uniform(-5, 5)
            case "visits":
                at += random.expovariate(1 / 90) if random.random() < 0.75 else random.expovariate(a_day / 4 / 86_400)
            case _:
                at += random.expovariate(a_day / 86_400)
    is_usable = len(found) >= 60 and found[0] < 86_400  # the record begins with the first call's day
    return tuple(round(at, 3) for at in found) if is_usable else _calls(random)


# -- the truth -------------------------------------------------------------------------------------------------------


class House(Protocol):
    """Where a model runs: calls come in the order of time, each at the earliest when the one before has come."""

    def idle_since(self, before: float) -> float | None:
        """The end of the last use; None where nothing was used yet, or that is not over `before` then."""

    def use(self, at: float, run_s: float, *, customer: bool) -> None:
        """A call, or a heartbeat."""

    def close(self) -> tuple[list[float], float]:
        """How long each customer waited for a boot, and the whole bill, in USD."""


class OneInstance:
    """The truth of this file's own."""

    def __init__(self, case: Case, windows: Sequence[Window], billing: Billing) -> None:
        self._case, self._windows, self._billing = case, list(windows), billing
        self._random = Random(f"house {case.seed}")
        self._up_at = self._ready_at = 0.0
        self._off_at: float | None = None  # when it goes, unless used; None: there is none
        self._free_at: float | None = None
        self._online_s = self._ran_s = 0.0
        self._waits: list[float] = []

    def idle_since(self, before: float) -> float | None:
        return self._free_at if self._free_at is not None and self._free_at < before else None

    def use(self, at: float, run_s: float, *, customer: bool) -> None:
        self._raise_until(at)
        if self._off_at is None or at > self._off_at:
            self._boot(at)
        starts = max(at, self._ready_at, self._free_at or 0.0)
        run_s *= math.exp(self._random.normalvariate(0, RUN_SPREAD))
        self._ran_s += run_s
        self._free_at = starts + run_s
        self._off_at = max(self._off_at or 0.0, self._free_at + self._case.idle_timeout_s)
        if customer:
            self._waits.append(max(0.0, self._ready_at - at))

    def close(self) -> tuple[list[float], float]:
        self._raise_until(END)
        self._go()
        seconds = self._ran_s if self._billing in (Billing.PUBLIC, Billing.FAST_BOOT) else self._online_s
        return self._waits, seconds * self._case.usd_per_second

    def _raise_until(self, at: float) -> None:
        while self._windows and self._windows[0][0] <= at:
            raised, put_back = self._windows.pop(0)
            if self._off_at is None or raised > self._off_at:
                self._boot(raised)
            self._off_at = max(self._off_at or 0.0, put_back)

    def _boot(self, at: float) -> None:
        self._go()
        boot_s = self._case.boot_s * math.exp(self._random.normalvariate(0, BOOT_SPREAD))
        self._up_at, self._ready_at = at, at + boot_s
        self._off_at = self._ready_at + self._case.idle_timeout_s

    def _go(self) -> None:
        if self._off_at is not None:
            self._online_s += max(0.0, min(self._off_at, END) - self._up_at)
        self._off_at = None


class Sandbox:
    """The sandbox's world, which knows nothing of advice."""

    def __init__(self, case: Case, windows: Sequence[Window], billing: Billing) -> None:
        self._edges = sorted((at, wanted) for window in windows for at, wanted in zip(window, (1, 0), strict=True))
        only = Version(id=version_id("acme/m", 1), created_at=MONDAY, openapi_schema=schema("blip"))
        traits = Traits(
            owner="acme",
            name="m",
            kind=Kind.CAPTION,
            hardware="gpu-t4",
            versions=(only,),
            private=case.billing is Billing.PRIVATE,
            fast_boot=case.billing is Billing.FAST_BOOT,
            idle_timeout_s=case.idle_timeout_s,
            boot_s=case.boot_s,
            boot_spread=BOOT_SPREAD,
            run_s=case.call_s,
            run_spread=RUN_SPREAD,
        )
        self._is_deployment = billing is Billing.DEPLOYMENT
        deployment = Deployment(owner="acme", name="up", model="acme/m", version=only.id, hardware="gpu-t4")
        self._target = "acme/up" if self._is_deployment else "acme/m"
        self._world = World(begin=MONDAY, seed=case.seed, models=[traits], deployments=[deployment])
        self._used: list[Any] = []
        # All hardware of the sandbox behaves alike: what this one costs in the case is a factor of the bill.
        self._scale = case.usd_per_second / float(PER_SECOND["gpu-t4"])

    def _reach(self, at: float) -> None:
        while self._edges and self._edges[0][0] <= at:
            edge, wanted = self._edges.pop(0)
            if edge < END:
                self._world.release(MONDAY + timedelta(seconds=edge), self._target, min_instances=wanted)
        self._world.advance(MONDAY + timedelta(seconds=at))

    def idle_since(self, before: float) -> float | None:
        if not self._used:
            return None
        latest = self._used[-1]
        while latest.completed_at is None:
            then = self._world.next_event()
            if then is None or (then - MONDAY).total_seconds() >= before:
                return None
            self._world.advance(then)
        ended: float = (latest.completed_at - MONDAY).total_seconds()
        return ended

    def use(self, at: float, run_s: float, *, customer: bool) -> None:
        self._reach(at)
        caller = "customer" if customer else "warmer"
        sent = {"image": "data:image/png;base64,AA=="}
        self._used.append(self._world.create(MONDAY + timedelta(seconds=at), self._target, sent, caller=caller))

    def close(self) -> tuple[list[float], float]:
        self._reach(END)
        waits = [
            one.wait.total_seconds() if one.found is Found.COLD and one.wait is not None else 0.0
            for one in self._used
            if one.caller == "customer"
        ]
        return waits, float(self._world.journal.billed_usd(MONDAY + timedelta(seconds=END))) * self._scale


class Beats(Protocol):
    """When a policy sends its next heartbeat."""

    def seen(self, at: float) -> None:
        """A customer called."""

    def due(self, since: float, idle_since: float | None, before: float) -> float | None:
        """The next one from `since` on and before then."""


class Aware:
    """One each time the model has been idle for so long in the hours."""

    def __init__(self, idle_s: float, windows: Sequence[Window]) -> None:
        self._idle_s, self._windows = idle_s, windows

    def seen(self, at: float) -> None:
        pass

    def due(self, since: float, idle_since: float | None, before: float) -> float | None:
        if idle_since is None:
            return None
        return _inside(max(since, idle_since + self._idle_s), self._windows, before)


class Cron:
    """One every so many seconds in the hours, whoever else calls."""

    def __init__(self, every_s: float, windows: Sequence[Window]) -> None:
        self._every_s, self._windows, self._next = every_s, windows, 0.0

    def seen(self, at: float) -> None:
        pass

    def due(self, since: float, idle_since: float | None, before: float) -> float | None:
        at = _inside(max(since, self._next), self._windows, before)
        if at is not None:
            self._next = at + self._every_s
        return at


class Forecast:
    """The policy `adaptive` itself."""

    def __init__(self, case: Case, idle_s: float, windows: Sequence[Window]) -> None:
        self._windows, self._idle_s = windows, idle_s
        bills_run = case.billing.bills_run_only
        aim = case.entry.cold_start_price
        beat_usd = (case.beat_s + (0 if bills_run else idle_s)) * case.usd_per_second
        open_s = [at for window in _windows(case.entry.hours, 0.0) for at in window]
        purse = Within(Goal(case.entry.cold_share_target), lambda at: bisect_right(open_s, at) % 2 == 1)
        self._policy = Adaptive(
            interval_s=idle_s,
            boot_s=case.boot_s,
            purse=purse if aim is None else Worth(min(float(aim) / beat_usd, 1e6)),
            boot_price=0.0 if bills_run else case.boot_s / idle_s,
        )

    def seen(self, at: float) -> None:
        self._policy.seen(at)

    def due(self, since: float, idle_since: float | None, before: float) -> float | None:
        now = since
        while True:
            at = self._policy.next_look(now, idle_since)
            found = None if at == math.inf else _inside(at, self._windows, before)
            if found is None:
                return None
            if self._policy.send(found, warm=idle_since is not None and found <= idle_since + self._idle_s):
                self._policy.sent(found)
                return found
            now = found


def _inside(at: float, windows: Sequence[Window], before: float) -> float | None:
    for begins, ends in windows[max(0, bisect_right(windows, (at, math.inf)) - 1) :]:
        if at < ends:
            at = max(at, begins)
            return at if at < before else None
    return None


def _windows(hours: ActiveHours, lead_s: float) -> list[Window]:
    found: list[Window] = []
    for opens, closes in hours.windows(MONDAY, MONDAY + timedelta(seconds=END)):
        begins, ends = ((one - MONDAY).total_seconds() for one in (opens, closes))
        found.append((max(begins - lead_s, 0.0, found[-1][1] if found else 0.0), ends))
    return found


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What one way came to."""

    way: Way
    usd: float  # a month
    cold_inside: float  # share of the calls in the hours, but for the first of all
    cold: float  # calls a month


def lived(case: Case, way: Way, house: House, beats: Beats | None = None) -> Lived:
    for number, at in enumerate(case.calls):
        now = case.calls[number - 1] if number else 0.0
        while beats is not None:
            idle_since = house.idle_since(at)
            if idle_since is None and number:
                break  # still running when the next one comes
            now = max(now, idle_since or 0.0)
            due = beats.due(now, idle_since, at)
            if due is None:
                break
            house.use(due, case.beat_s, customer=False)
            now = due
        house.use(at, case.call_s, customer=True)
        if beats is not None:
            beats.seen(at)
    now = case.calls[-1]
    while beats is not None and (idle_since := house.idle_since(END)) is not None:
        due = beats.due(max(now, idle_since), idle_since, END)
        if due is None:
            break
        house.use(due, case.beat_s, customer=False)
        now = due
    waits, usd = house.close()
    was_cold = [wait > 0 for wait in waits[1:]]
    inside = [cold for cold, at in zip(was_cold, case.moments[1:], strict=True) if case.entry.hours.contains(at)]
    months = END / SECONDS_A_MONTH
    return Lived(
        way=way,
        usd=usd / months,
        cold_inside=sum(inside) / len(inside) if inside else 0.0,
        cold=sum(was_cold) / months,
    )


def exhaustive(case: Case, house: type[OneInstance] | type[Sandbox]) -> list[Lived]:
    """Every way that is open to the owner, as well as it can be done."""
    entry, found = case.entry, list[Lived]()
    if case.billing is Billing.OFFICIAL:
        assert entry.price is not None
        outputs = len(case.calls) * float(entry.price.per_output or 0) * SECONDS_A_MONTH / END
        found.append(Lived(way=Way.LEAVE_COLD, usd=outputs, cold_inside=0.0, cold=0.0))
    else:
        lead_s = case.boot_s * math.exp(P95 * BOOT_SPREAD)
        hours = [entry.hours]
        if case.billing is Billing.DEPLOYMENT or entry.policy is PolicyName.OBSERVE:
            suggested = (suggest_hours(case.moments, entry.hours, covered=covered) for covered in COVERED)
            hours += [one for one in suggested if one is not None]
        found.append(lived(case, Way.LEAVE_COLD, house(case, (), case.billing)))
        for beats in _heartbeats(case, hours, lead_s):
            found.append(lived(case, Way.HEARTBEAT, house(case, (), case.billing), beats))
        if case.billing is Billing.DEPLOYMENT:
            for one in hours:
                if not one.always:
                    found.append(lived(case, Way.FLOOR, house(case, _windows(one, lead_s), case.billing)))
            found.append(lived(case, Way.ALWAYS_ON, house(case, [(0.0, END)], case.billing)))
    if entry.self_host_per_hour is not None:
        machines = math.ceil(len(case.calls) * case.call_s / END)
        usd = machines * float(entry.self_host_per_hour) * SECONDS_A_MONTH / 3600
        found.append(Lived(way=Way.SELF_HOST, usd=usd, cold_inside=0.0, cold=0.0))
    return found


def _heartbeats(case: Case, hours: Sequence[ActiveHours], lead_s: float) -> list[Beats]:
    entry, trusted_s = case.entry, 0.9 * case.idle_timeout_s
    own = _windows(entry.hours, lead_s)
    match entry.policy:
        case PolicyName.AWARE:
            return [Aware(trusted_s, own)]
        case PolicyName.FIXED:
            assert entry.every is not None
            return [Cron(entry.every.total_seconds(), own)]
        case PolicyName.ADAPTIVE:
            return [Forecast(case, trusted_s, own)]
        case _:
            return [*(Aware(trusted_s, _windows(one, lead_s)) for one in hours), Forecast(case, trusted_s, own)]


# -- the comparison --------------------------------------------------------------------------------------------------


def is_best(case: Case, advice: Advice, ways: Sequence[Lived]) -> bool:
    """Whether nothing does better than the way advised by more than 1 %."""
    price = case.entry.cold_start_price
    best_of = [one for one in ways if one.way is advice.way]
    if not best_of:
        return False
    if price is not None:
        least = min(one.usd + one.cold * float(price) for one in ways)
        return min(one.usd + one.cold * float(price) for one in best_of) <= 1.01 * least
    holding = [one for one in ways if one.cold_inside <= case.entry.cold_share_target]
    if not holding:
        return min(one.cold_inside for one in best_of) <= min(one.cold_inside for one in ways)
    held_by = [one.usd for one in best_of if one in holding]
    return bool(held_by) and min(held_by) <= 1.01 * min(one.usd for one in holding)


def asked(case: Case) -> Advice:
    traffic = Traffic.of_moments("past", "m", case.moments, ZoneInfo("UTC"))
    return advise(case.entry, traffic.until(MONDAY + timedelta(seconds=END)), case.host)


wrong: dict[int, str] = {}
"""Cases in which something else would have been better."""


def told(case: Case, advice: Advice, ways: Sequence[Lived]) -> str:
    truth = ", ".join(f"{one.way} ${one.usd:.4f} {one.cold_inside:.4f} ({one.cold:.1f})" for one in ways)
    reckoned = ", ".join(f"{one.way} ${one.cost.usd} {one.cold_share_in_hours}" for one in advice.options)
    return f"case {case.seed}: advised {advice.way}; true: {truth}; reckoned: {reckoned}"


@pytest.mark.parametrize("first", range(0, CASES, IN_A_TEST))
def test_advice_is_what_exhaustive_search_finds_best(first: int) -> None:
    wrong = []
    for number in range(first, first + IN_A_TEST):
        case = drawn(number)
        ways = exhaustive(case, Sandbox if number < IN_THE_SANDBOX else OneInstance)
        advice = asked(case)
        if not is_best(case, advice, ways):
            wrong.append(told(case, advice, ways))
    assert len(wrong) <= 0.01 * IN_A_TEST, "\n".join(wrong)


def test_the_cases_are_of_all_kinds_and_no_way_is_always_best() -> None:
    cases = [drawn(number) for number in range(IN_THE_SANDBOX, IN_THE_SANDBOX + 60)]
    assert {case.billing for case in cases} == set(_HOSTED)
    assert {case.entry.policy for case in cases} == set(PolicyName)
    # To be best day and night takes calls around the clock, no machine of one's own and a tight aim: it is rare.
    assert {asked(case).way for case in cases} >= set(Way) - {Way.ALWAYS_ON}
