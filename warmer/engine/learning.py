"""Keeps what the ledger teaches of each model in step with the ledger: nothing of it lives anywhere else."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from math import log

from warmer.core.adaptive import Adaptive, Notes
from warmer.core.history import Glance
from warmer.core.idle_timeout import REMEMBERED, IdleTimeout
from warmer.core.learned import Learned
from warmer.core.price import USUAL_RUN_S, beat_price, boot_beats
from warmer.core.prospect import USUAL_BOOT_S, Prospect, has_moved, local_seconds, moment_at, offset_at
from warmer.core.spec import ModelSpec, PolicyName
from warmer.core.state import Knowledge
from warmer.core.traffic import RECENT, calls_per_s
from warmer.core.worth import Goal, Price, Purse, Silent, Within, worth_of
from warmer.engine.lesson import Lesson
from warmer.log import Event, get
from warmer.ports import Ledger

_TOLD_AGAIN = log(1.1)
"""A time-out that moved by a tenth is news."""
_DEARER = log(1.5)
"""A heartbeat whose price moved by half makes a forecast anew, as an interval that moved does."""


@dataclass(slots=True)
class _Record:
    """One model's, as far as it was read."""

    entry: ModelSpec
    lesson: Lesson | None = None
    calls: list[datetime] = field(default_factory=list)
    decider: Adaptive | None = None
    worth: float | None = None  # of a cold start, in heartbeats, where the file gives its price
    offset: timedelta = timedelta(0)
    told_s: float | None = None  # the time-out that was last said to be learned
    told_pays: bool = True
    is_new: bool = True

    @property
    def latest(self) -> Learned:
        """All that is known."""
        return Learned() if self.lesson is None else self.lesson.latest


class Learning:
    """What is known of each model. Every method blocks for as long as the ledger takes.

    `models` gives the entries in force. `tells`: whether what is learned goes to the log.
    """

    def __init__(self, models: Callable[[], Sequence[ModelSpec]], *, tells: bool = False) -> None:
        self._models, self._tells = models, tells
        self._records: dict[str, _Record] = {}
        self._goals: dict[float, Goal] = {}
        self._missed: set[float] = set()
        self._imported_at: datetime | None = None

    def glance(self, ledger: Ledger, entry: ModelSpec, now: datetime) -> Glance:
        """What the ledger has of `entry`: of what it teaches, that which has come to light since it was last read."""
        if not entry.traffic:  # gaps that nobody saw the whole of teach nothing
            return Glance(history=ledger.history(entry.name))
        seen = self._glance(ledger, self._record(entry), now)
        if seen.imported_at != self._imported_at:  # the past has changed: whatever was made of it is made anew
            self._imported_at = seen.imported_at
            self._records.clear()
            self._goals.clear()
            seen = self._glance(ledger, self._record(entry), now)
        return seen

    def knowledge(self, ledger: Ledger, entry: ModelSpec, now: datetime, seen: Glance | None = None) -> Knowledge:
        """What the record of `entry` teaches. `now` is by the provider's clock, as the record is.

        `seen`: of this very moment; without it, the ledger is asked.
        """
        seen = seen or self.glance(ledger, entry, now)
        if not entry.traffic:
            return Knowledge()
        record = self._record(entry)
        self._learn(ledger, record, now, seen)
        prospect = self._prospect(ledger, record, seen.calls, now) if entry.policy is PolicyName.ADAPTIVE else None
        return Knowledge(learned=record.latest, calls_per_s=calls_per_s(record.calls, now), prospect=prospect)

    def idle_timeout(self, model: str) -> IdleTimeout | None:
        """What was thought of the time-out of `model` when it was last decided; None before."""
        record = self._records.get(model)
        return None if record is None else record.latest.idle_timeout

    def learned(self, model: str) -> Learned | None:
        """What was known of the host of `model` when it was last decided; None before."""
        record = self._records.get(model)
        return None if record is None else record.latest

    def goal(self, entry: ModelSpec) -> Goal | None:
        """What holds the cold target of `entry`, over all models that have the same."""
        return self._goals.get(entry.cold_share_target) if entry.policy is PolicyName.ADAPTIVE else None

    def _record(self, entry: ModelSpec) -> _Record:
        record = self._records.get(entry.name)
        if record is None or record.entry != entry:
            record = self._records[entry.name] = _Record(entry=entry)
        return record

    def _glance(self, ledger: Ledger, record: _Record, now: datetime) -> Glance:
        if record.lesson is None:
            record.lesson = Lesson.kept_of(ledger, record.entry, self._imported_at, now)
        goes_by_all = record.entry.policy is PolicyName.ADAPTIVE
        # As many again as are gone by, should the clock be set back.
        since = None if goes_by_all else now - 2 * RECENT
        return ledger.glance(
            record.entry.name,
            finds_since=record.lesson.until,
            finds=REMEMBERED,
            calls_after=record.calls[-1] if record.calls else since,
            and_one_before=not record.calls and not goes_by_all,
        )

    def _learn(self, ledger: Ledger, record: _Record, now: datetime, seen: Glance) -> None:
        self._take_calls(record, seen.calls)
        lesson = record.lesson = record.lesson or Lesson()
        lesson.go_on(ledger, record.entry, now, seen.evidence, hurried=self._tells)
        if self._tells:
            lesson.keep(ledger, record.entry, self._imported_at)
        if lesson.is_whole:
            self._tell_idle_timeout(record)
            record.is_new = False

    def _take_calls(self, record: _Record, fresh: Sequence[datetime]) -> None:
        """`adaptive` goes by all calls there are, other policies by the latest."""
        record.calls += fresh
        if record.calls and record.entry.policy is not PolicyName.ADAPTIVE:
            first = bisect_right(record.calls, record.calls[-1] - RECENT)
            del record.calls[: max(0, first - 1)]  # one older one tells that the record is

    # -- the idle time-out -------------------------------------------------------------------------------------------

    def _tell_idle_timeout(self, record: _Record) -> None:
        belief = record.latest.idle_timeout
        if not belief.is_known or (
            record.told_s is not None and abs(log(belief.median_s / record.told_s)) < _TOLD_AGAIN
        ):
            return
        record.told_s, was_s = belief.median_s, record.told_s
        if self._tells and not record.is_new:  # what an earlier life had learned is no news
            get().info(
                Event.IDLE_TIMEOUT_LEARNED,
                model=record.entry.name,
                idle_timeout_s=round(belief.median_s, 1),
                low_s=round(belief.band_s[0], 1),
                high_s=round(belief.band_s[1], 1),
                was_s=None if was_s is None else round(was_s, 1),
                interval_s=round(belief.interval_s, 1),
                gaps=belief.gaps,
            )

    # -- customers' calls --------------------------------------------------------------------------------------------

    def _prospect(self, ledger: Ledger, record: _Record, fresh: Sequence[datetime], now: datetime) -> Prospect:
        zone = record.entry.hours.zone
        offset = offset_at(now, zone)
        decider = record.decider
        if decider is not None and offset == record.offset:  # before it goes: what they needed, its purse must hear
            for at_s in local_seconds(fresh, zone, now):
                decider.seen(at_s)
        if decider is None or self._is_outdated(ledger, record, decider, offset):
            decider = self._forecast(ledger, record, now)
        decider.boot_s = record.latest.boot_s or USUAL_BOOT_S
        self._tell_worth(record, decider)
        return Prospect(decider=decider, offset=offset)

    def _is_outdated(self, ledger: Ledger, record: _Record, decider: Adaptive, offset: timedelta) -> bool:
        """Whether the decider counts by another clock, interval or price than what holds now."""
        if offset != record.offset or has_moved(_interval_s(record), decider):
            return True
        if not record.worth or not (worth := self._worth(ledger, record)):
            return False
        return abs(log(worth / record.worth)) > _DEARER

    def _forecast(self, ledger: Ledger, record: _Record, now: datetime) -> Adaptive:
        """The decider of `record`, made anew from all its calls."""
        if record.entry.cold_start_price is not None:
            record.worth = self._worth(ledger, record)
            return self._made(ledger, record, now, Price(record.worth or 0.0))
        target = record.entry.cold_share_target
        goal = self._goals.get(target)
        if goal is not None:  # it knows what these calls needed
            decider = self._made(ledger, record, now, Silent(goal))
            decider.purse = _inside(goal, record)
            return decider
        goal = self._goals[target] = Goal(target)
        pool = [record, *self._others(ledger, record, now)]
        notes = [Notes() for _ in pool]
        deciders = [self._made(ledger, one, now, note) for one, note in zip(pool, notes, strict=True)]
        for at_s, needed in merge(*(note.needs for note in notes), key=lambda need: need[0]):
            goal.seen(at_s, needed)
        for one, decider in zip(pool, deciders, strict=True):
            decider.purse = _inside(goal, one)
        return deciders[0]

    def _others(self, ledger: Ledger, record: _Record, now: datetime) -> Iterator[_Record]:
        """The records of the models that share the target of `record`, up to date."""
        for entry in self._models():
            alike = entry.policy is PolicyName.ADAPTIVE and entry.cold_start_price is None and entry.traffic
            if alike and entry.name != record.entry.name and entry.cold_share_target == record.entry.cold_share_target:
                other = self._record(entry)
                self._learn(ledger, other, now, self._glance(ledger, other, now))
                yield other

    def _made(self, ledger: Ledger, record: _Record, now: datetime, purse: Purse) -> Adaptive:
        entry, latest = record.entry, ledger.latest_beat(record.entry.name)
        record.offset = offset_at(now, entry.hours.zone)
        interval_s, boot_s = _interval_s(record), record.latest.boot_s or USUAL_BOOT_S
        billing = entry.billing_or(latest.billing if latest else None)
        decider = record.decider = Adaptive(
            interval_s=interval_s,
            boot_s=boot_s,
            purse=_inside(purse, record),
            boot_price=boot_beats(billing, boot_s=boot_s, interval_s=interval_s),
        )
        for at_s in local_seconds(record.calls, entry.hours.zone, now):
            decider.seen(at_s)
        return decider

    def _worth(self, ledger: Ledger, record: _Record) -> float | None:
        """How many heartbeats one cold start is worth, by what the latest one took; None where nobody knows."""
        entry, latest = record.entry, ledger.latest_beat(record.entry.name)
        billing = entry.billing_or(latest.billing if latest else None)
        run_s = (latest.run_s if latest else None) or USUAL_RUN_S
        usd = beat_price(entry.price, run_s, billing, kept_s=_interval_s(record))
        return None if entry.cold_start_price is None else worth_of(entry.cold_start_price, usd)

    def _tell_worth(self, record: _Record, decider: Adaptive) -> None:
        entry, target = record.entry, record.entry.cold_share_target
        if entry.cold_start_price is not None:
            self._tell_verdict(record, decider)
            return
        goal = self._goals[target]
        if self._tells and goal.out_of_reach and target not in self._missed:
            get().warning(
                Event.COLD_TARGET_MISSED, target=target, share=round(goal.share, 4), calls=round(goal.requests)
            )
        (self._missed.add if goal.out_of_reach else self._missed.discard)(target)

    def _tell_verdict(self, record: _Record, decider: Adaptive) -> None:
        verdict = decider.verdict
        if verdict.worth_warming == record.told_pays:
            return
        record.told_pays = verdict.worth_warming
        if self._tells:
            get().info(
                Event.MODEL_JUDGED,
                model=record.entry.name,
                worth_warming=verdict.worth_warming,
                cold_starts=round(verdict.cold_starts, 1),
                avoidable=round(verdict.avoided, 1),
                worth_beats=None if record.worth is None else round(record.worth, 1),
            )


def _inside(purse: Purse, record: _Record) -> Purse:
    """`purse`, for the calls in the active hours of `record` alone."""
    hours, offset = record.entry.hours, record.offset
    return Within(purse, lambda at_s: hours.always or hours.contains(moment_at(at_s, offset)))


def _interval_s(record: _Record) -> float:
    """What a heartbeat of the model buys."""
    return record.latest.interval_s(record.entry.every)
