"""What people ask for beside the file, for a while: models that rest, models that are kept warm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from warmer.core.hours import ActiveHours
from warmer.core.hours_notation import Stretch, union
from warmer.core.spec import ModelSpec, PolicyName

LONGEST = timedelta(days=366)
"""No override with an end lasts longer: what is meant for good belongs in the file."""
_INSTANT = timedelta(microseconds=1)
_BY_NEED = (PolicyName.ADAPTIVE, PolicyName.OBSERVE)
"""Policies that send nothing to a model which somebody wants warm, unless they find it worth it themselves."""


def lasting(given: timedelta) -> timedelta:
    """`given`, for how long an override is to last. Raises ValueError, saying what to write, for one that cannot be."""
    if not timedelta(0) < given <= LONGEST:
        raise ValueError(f"an override lasts for more than nothing and {LONGEST.days}d at most: write such as 2h")
    return given


class Kind(StrEnum):
    """What is asked for."""

    PAUSE = "pause"  # nothing is sent, no floor is held
    WARM = "warm"  # kept warm, as in the active hours
    RESUME = "resume"  # as the file says, though all models are paused


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One wish, in force until it is over or taken back. By our own clock."""

    kind: Kind
    since: datetime
    until: datetime | None = None  # None: until it is taken back

    def is_over(self, now: datetime) -> bool:
        """Whether its time has passed."""
        return self.until is not None and now >= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """All there are. What is asked of a model goes before what is asked of all; the last word of each counts."""

    every: Override | None = None  # of all models, those that come into the file later too
    models: Mapping[str, Override] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, model: str) -> tuple[Override, ...]:
        """Those that concern `model`, the one that goes before first."""
        return tuple(one for one in (self.models.get(model), self.every) if one is not None)

    def paused(self, names: Iterable[str], now: datetime, until: datetime | None = None) -> Overrides:
        """With these models paused, or all where none is named: whatever was asked to be sent is not, then."""
        pause = Override(kind=Kind.PAUSE, since=now, until=until)
        if names := tuple(names):
            return self._with(dict.fromkeys(names, pause), now)
        left = {name: one for name, one in self._left(now).items() if one.kind is Kind.PAUSE}
        return Overrides(every=_kept(self.every, pause, now), models=left)

    def warmed(self, names: Iterable[str], now: datetime, until: datetime) -> Overrides:
        """With these models kept warm until then."""
        return self._with(dict.fromkeys(names, Override(kind=Kind.WARM, since=now, until=until)), now)

    def resumed(self, names: Iterable[str], now: datetime) -> Overrides:
        """With these models as the file says, or all where none is named."""
        if not (names := tuple(names)):
            return Overrides()
        every, left = self._every(now), self._left(now)
        if every is None:
            return Overrides(models={name: one for name, one in left.items() if name not in names})
        return self._with(dict.fromkeys(names, Override(kind=Kind.RESUME, since=now, until=every.until)), now)

    def left(self, now: datetime) -> Overrides:
        """Those that are not over."""
        return Overrides(every=self._every(now), models=self._left(now))

    def _with(self, new: Mapping[str, Override], now: datetime) -> Overrides:
        known = self._left(now)
        return Overrides(
            every=self._every(now),
            models=known | {name: _kept(known.get(name), one, now) for name, one in new.items()},
        )

    def _every(self, now: datetime) -> Override | None:
        return None if self.every is None or self.every.is_over(now) else self.every

    def _left(self, now: datetime) -> dict[str, Override]:
        return {name: one for name, one in self.models.items() if not one.is_over(now)}


def _kept(known: Override | None, new: Override, now: datetime) -> Override:
    """`new`, begun when `known` was where that asks for the same and is not over: to ask twice is to ask once."""
    same = known is not None and known.kind is new.kind and not known.is_over(now)
    return replace(new, since=known.since) if same and known is not None else new


def binding(overrides: Iterable[Override], now: datetime) -> Override | None:
    """The one of a model's that is in force at `now`."""
    return next((one for one in overrides if not one.is_over(now)), None)


def heeded(spec: ModelSpec, overrides: Iterable[Override], now: datetime) -> ModelSpec | None:
    """`spec` as it is to be read at `now`; None where it is paused.

    A model that is to be warm counts as inside its active hours. Who waits for a call to be likely, or sends nothing
    at all, gives way to `aware`: that the model is worth it was said. Caps, holds and floors rule as ever.
    """
    override = binding(overrides, now)
    if override is None or override.kind is Kind.RESUME:
        return spec
    if override.kind is Kind.PAUSE or override.until is None:
        return None
    hours = OpenedHours(
        lines=spec.hours.lines,
        zone=spec.hours.zone,
        country=spec.hours.country,
        opened=(min(override.since, now), override.until),
    )
    return replace(spec, hours=hours, policy=PolicyName.AWARE if spec.policy in _BY_NEED else spec.policy)


def windows(spec: ModelSpec, overrides: tuple[Override, ...], start: datetime, end: datetime) -> tuple[Stretch, ...]:
    """When `spec` is to be warm between two moments, its overrides heeded: in order, in UTC."""
    ends = sorted({one.until for one in overrides if one.until is not None and start < one.until < end})
    found = list[Stretch]()
    for since, until in zip((start, *ends), (*ends, end), strict=True):
        if (heeding := heeded(spec, overrides, since)) is not None:
            found += heeding.hours.windows(since, until)
    return tuple(union(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedHours(ActiveHours):
    """Hours that are open for one stretch more."""

    opened: Stretch  # aware

    def contains(self, moment: datetime) -> bool:
        """Whether `moment` is in a window, or in the stretch."""
        since, until = self.opened
        return since <= moment < until or ActiveHours.contains(self, moment)

    def _edges(self, start: datetime, end: datetime) -> Iterator[datetime]:
        since, until = self.opened
        edges = [edge for edge in ActiveHours._edges(self, start, min(since, end)) if edge < since]
        # Where the hours are open just before, or go on after, the stretch has no edge of its own there.
        if not ActiveHours.contains(self, since - _INSTANT):
            edges.append(since)
        if not ActiveHours.contains(self, until):
            edges.append(until)
        yield from (edge for edge in edges if start < edge < end)
        yield from (edge for edge in ActiveHours._edges(self, max(start, until), end) if edge > until)
