"""What a model's record teaches of its host: how long an idle instance is kept, and how long a boot takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import inf, log
from statistics import median_high
from typing import Any

from warmer.core.history import Evidence
from warmer.core.idle_timeout import TELLS_FROM_S, Find, IdleTimeout
from warmer.core.insight import Percentiles
from warmer.core.spec import AUTO_INTERVAL

BOOTS = 50
"""How many of the latest boots are remembered."""
LATEST_BOOTS = 5
"""The median of so many is no chance any more."""
OTHER_BOOT = 2.5
"""Boots whose median is this many times another one's are of another container. Of boots that spread by half (sigma of
the logarithm .5) five look so once in a thousand times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What is believed of one model. It never changes: `after` gives the next one."""

    idle_timeout: IdleTimeout = field(default_factory=IdleTimeout.unknown)
    boots_s: tuple[float, ...] = ()  # the latest waits for a boot, oldest first
    versions: frozenset[str] = frozenset()  # that were seen running
    prices: frozenset[str] = frozenset()  # "0.000225/s", that it was billed at

    def after(self, seen: Evidence) -> Learned:
        """The belief once `seen` is known too.

        A version or price that was never seen is another container, and so is one that boots in quite another time:
        what was learned of the one before is then a guess among others.
        """
        versions, prices = _with(self.versions, seen.version), _with(self.prices, _amount(seen.price))
        known = replace(self, versions=versions, prices=prices)
        if 0 < len(self.versions) < len(versions) or 0 < len(self.prices) < len(prices):
            known = replace(known, idle_timeout=known.idle_timeout.unsettled(), boots_s=())
        if seen.cold and seen.wait_s is not None and seen.wait_s > 0:
            known = known._after_boot(seen.wait_s)
        if seen.gap_s is not None and seen.gap_s >= TELLS_FROM_S:
            find = Find(gap_s=round(seen.gap_s, 3), cold=seen.cold)  # no host keeps time any finer
            known = replace(known, idle_timeout=known.idle_timeout.after(find))
        return known

    def after_all(self, seen: Iterable[Evidence]) -> Learned:
        """The belief once all of `seen` is known too, oldest first."""
        known = self
        for one in seen:
            known = known.after(one)
        return known

    def told(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return {
            "idle_timeout": self.idle_timeout.told(),
            "boots_s": list(self.boots_s),
            "versions": sorted(self.versions),
            "prices": sorted(self.prices),
        }

    @classmethod
    def retold(cls, told: Mapping[str, Any]) -> Learned:
        """From what `told` gave. Raises ValueError, KeyError or TypeError for what it never gives."""
        return cls(
            idle_timeout=IdleTimeout.retold(told["idle_timeout"]),
            boots_s=tuple(map(float, told["boots_s"])),
            versions=frozenset(told["versions"]),
            prices=frozenset(told["prices"]),
        )

    @property
    def trusted_s(self) -> float:
        """How long an idle instance is trusted to stay: the interval in force, or a usual one until it is known."""
        known_s = self.idle_timeout.interval_s
        return known_s if self.idle_timeout.is_known else max(known_s, AUTO_INTERVAL.total_seconds())

    def interval_s(self, every: timedelta | None) -> float:
        """What a heartbeat buys: the time that an idle instance is trusted to stay, `every` at most."""
        return min(self.trusted_s, inf if every is None else every.total_seconds())

    @property
    def boot_s(self) -> float | None:
        """The median wait for a boot; None where none was seen."""
        return Percentiles.of(self.boots_s).p50

    @property
    def lead_s(self) -> float | None:
        """The p95 wait for a boot: a beat that early before a window opens leaves the model warm at its opening."""
        return Percentiles.of(self.boots_s).p95

    def _after_boot(self, wait_s: float) -> Learned:
        boots_s = (*self.boots_s, wait_s)[-BOOTS:]
        latest, earlier = boots_s[-LATEST_BOOTS:], boots_s[:-LATEST_BOOTS]
        if len(earlier) >= LATEST_BOOTS and abs(log(median_high(latest) / median_high(earlier))) > log(OTHER_BOOT):
            return replace(self, idle_timeout=self.idle_timeout.unsettled(), boots_s=latest)
        return replace(self, boots_s=boots_s)


def _with(known: frozenset[str], seen: str | None) -> frozenset[str]:
    return known if seen is None or seen in known else known | {seen}


def _amount(price: str | None) -> str | None:
    """A price without where it is from: a table read on another day is the same hardware still."""
    return None if price is None else price.partition(" ")[0]
