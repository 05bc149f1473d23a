"""What is believed of one model's idle time-out, and the next gap to leave.

Each find is current status data: after a gap g an instance was there or was not, which tells on which side of g its
time-out lies, no more. P(cold | g) = e + (1 - 2e) P(T < g), e the share of verdicts that are wrong.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import exp, inf, isfinite, log
from typing import Any

import numpy as np

from warmer.core.idle_timeout.shapes import GAP_STEP, SHORTEST_S, TAIL, Floats, all_shapes

PRIOR_MEDIAN_S, PRIOR_SPREAD = 180.0, 1.6
"""Before the first find: 180 s, within a factor of 5 in two cases of three. Users report one to several minutes."""
TELLS_FROM_S = SHORTEST_S
"""A find after a shorter gap tells nothing of a time-out: no host lets an instance go so soon."""
REMEMBERED = 2000
"""How many of the latest finds make up a belief. A settled one gains nothing from older finds."""

MISREADS = {0.01: 0.45, 0.03: 0.45, 0.1: 0.1}
"""The shares of wrong verdicts that are weighed, with what is thought of each beforehand. Were it a fixed one, a host
whose queues look like boots would pass for one with ever shorter time-outs."""

SHORTER_PER_FIND = 1e-7
"""How likely the time-out is to be another one from a find to the next. Set by what it costs to be wrong: with it three
or four cold verdicts in close succession are believed, and a year of heartbeats sees no false alarm."""
LONGER_PER_FIND = 1e-4
"""How fast a doubt grows that the time-out became longer. Heartbeats at the interval would all stay warm and never
tell, so that the doubt has to grow until it pays to probe: once in some hundred heartbeats."""

PROBE_TELLS = 0.013
"""In nats about the interval: what a heartbeat must tell beyond its price to be sent as a probe."""
HURT_PRICE, COLD_PRICE = 2.5, 0.03
"""In nats: what a customer's cold start caused by probing is worth, and a heartbeat's own."""
RISK_AT_MOST = 0.5
"""A probe is not taken where a request is likelier than this between the interval and the probe."""
SURELY_GONE = 0.99
"""Where an instance is this likely gone there is nothing left to ask."""

LOWERED = 0.85
"""A cold verdict that would lower the interval below this part of itself has to be confirmed."""
SURPRISE = 0.2
"""A cold verdict thought less likely than this is asked for again, at the same gap."""
SAME_GAP = 0.9
"""A warm verdict after at least this part of a doubted gap settles the doubt."""
CHANGED = 0.6
"""An interval once known that falls below this part of itself, or rises as far, belongs to another time-out."""
KNOWN = 1.35
"""The interval counts as known while the band is narrower than this ratio."""

_E = np.array(list(MISREADS))[:, None]
_LN_STEP = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """What one beat or customer's call met after a gap. Leave unsure ones out."""

    gap_s: float  # idle time before it, seconds
    cold: bool

    def __post_init__(self) -> None:
        if not (isfinite(self.gap_s) and self.gap_s >= 0):
            raise ValueError(f"a gap is a number of seconds, 0 or more, not {self.gap_s}: leave out calls without one")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IdleTimeout:
    """A belief about one model's idle time-out. It never changes: `after` gives the next one."""

    interval_s: float
    """The interval in force: the largest gap after which at most 2 % of instances are thought to be gone."""
    median_s: float
    """The best single guess at the time-out; where instances go at one of two times, at the earlier."""
    band_s: tuple[float, float]
    """The middle 80 % of what is thought of `median_s`."""
    gaps: int = 0
    """How many finds it has seen."""
    changed: int = 0
    """How often a time-out that was known turned out to be another one."""
    doubted_s: float | None = None
    """A gap whose cold verdict was so unlikely that a second heartbeat has to confirm it."""

    _packed_mass: bytes
    _prior: Floats  # what was thought of each shape at first
    _known_s: float | None = None  # the interval when it was last known
    _is_held: bool = False  # the interval is kept up, for one more find, against a cold verdict

    @classmethod
    @cache  # a thousand models begin with one and the same
    def unknown(cls, *, prior_median_s: float = PRIOR_MEDIAN_S, prior_spread: float = PRIOR_SPREAD) -> IdleTimeout:
        """Before the first find. `prior_spread` is the sigma of ln(median): 1.6 is a factor of 5."""
        if not (0 < prior_median_s < inf and 0 < prior_spread < inf):
            raise ValueError("the prior's median and spread are positive numbers")
        prior = all_shapes().prior(prior_median_s, prior_spread)
        low, median, high = all_shapes().medians(prior, (0.1, 0.5, 0.9))
        packed = _packed(np.outer(list(MISREADS.values()), prior), prior)
        return cls(
            interval_s=_interval_s(prior), median_s=median, band_s=(low, high), _packed_mass=packed, _prior=prior
        )

    @property
    def is_known(self) -> bool:
        """Whether the band is narrow enough to speak of a known time-out."""
        return self.band_s[1] <= KNOWN * self.band_s[0]

    def after(self, find: Find) -> IdleTimeout:
        """The belief once `find` is known too."""
        shapes = all_shapes()
        cold = _E + (1 - 2 * _E) * shapes.gone(find.gap_s)
        before = self._before(find.gap_s)
        mass = before * (cold if find.cold else 1 - cold)
        mass /= mass.sum()
        by_shape = mass.sum(axis=0)
        low, median, high = shapes.medians(by_shape, (0.1, 0.5, 0.9))
        believed_s = _interval_s(by_shape)
        # One cold verdict may be wrong, so that it lowers nothing by much until the find after it, or, where it was
        # unlikely, until its gap has been tried again. Shorter warm gaps, as customers leave them, settle no doubt.
        is_open = self.doubted_s is not None and not find.cold and find.gap_s < SAME_GAP * self.doubted_s
        is_held = is_open or (find.cold and not self._is_held and believed_s < LOWERED * self.interval_s)
        doubted_s = self.doubted_s if is_open else None
        if is_held and not is_open and find.gap_s >= SHORTEST_S and float((before * cold).sum()) < SURPRISE:
            doubted_s = find.gap_s
        interval_s = max(believed_s, self.interval_s) if is_held else believed_s
        changed, known_s = self._compared(interval_s, is_known=high <= KNOWN * low)
        return IdleTimeout(
            interval_s=interval_s,
            median_s=median,
            band_s=(low, high),
            gaps=self.gaps + 1,
            changed=self.changed + changed,
            doubted_s=doubted_s,
            _packed_mass=_packed(mass, self._prior),
            _prior=self._prior,
            _known_s=known_s,
            _is_held=is_held,
        )

    def unsettled(self) -> IdleTimeout:
        """The belief once there is reason to think that it may all be different: as much as not."""
        was = self._mass
        mass = 0.5 * was + 0.5 * np.outer(was.sum(axis=1), self._prior)
        by_shape = mass.sum(axis=0)
        low, median, high = all_shapes().medians(by_shape, (0.1, 0.5, 0.9))
        return replace(
            self,
            interval_s=_interval_s(by_shape),
            median_s=median,
            band_s=(low, high),
            doubted_s=None,
            _packed_mass=_packed(mass, self._prior),
            _is_held=False,
        )

    def told(self) -> dict[str, Any]:
        """All of it, as JSON takes it. Only of a belief that began with what is usually thought."""
        return {
            "rules": _rules(),
            "interval_s": self.interval_s,
            "median_s": self.median_s,
            "band_s": list(self.band_s),
            "gaps": self.gaps,
            "changed": self.changed,
            "doubted_s": self.doubted_s,
            "mass": b64encode(self._packed_mass).decode(),
            "known_s": self._known_s,
            "is_held": self._is_held,
        }

    @classmethod
    def retold(cls, told: Mapping[str, Any]) -> IdleTimeout:
        """From what `told` gave. Raises ValueError, KeyError or TypeError for all else, beliefs by other rules too."""
        if told["rules"] != _rules():
            raise ValueError("it was learned by other rules")
        low_s, high_s = map(float, told["band_s"])
        return cls(
            interval_s=float(told["interval_s"]),
            median_s=float(told["median_s"]),
            band_s=(low_s, high_s),
            gaps=int(told["gaps"]),
            changed=int(told["changed"]),
            doubted_s=_seconds(told["doubted_s"]),
            _packed_mass=_checked(b64decode(told["mass"])),
            _prior=cls.unknown()._prior,
            _known_s=_seconds(told["known_s"]),
            _is_held=bool(told["is_held"]),
        )

    def gone(self, gaps_s: Sequence[float]) -> tuple[float, ...]:
        """How likely an instance is gone after it has been idle for so long, for each gap."""
        shapes = all_shapes()
        curve = np.minimum(shapes.curve(self._mass.sum(axis=0)), 1.0)
        return tuple(np.interp(np.log(np.maximum(gaps_s, 1.0)), shapes.log_gap, curve).tolist())

    def next_gap_s(self, *, risk_per_s: float, longest_s: float = inf) -> tuple[float, bool]:
        """The gap to leave before the next heartbeat, and whether that heartbeat is a probe.

        A probe leaves more than the interval in force, at the gap whose verdict tells most about the interval for
        what it may cost. `risk_per_s` is the rate at which customers call, as far as known; `longest_s` an upper
        bound that somebody set.
        """
        if not (0 <= risk_per_s < inf and longest_s > 0):
            raise ValueError("the risk is a rate of 0 or more a second, and the longest gap is positive")
        if self.interval_s >= longest_s:
            return longest_s, False
        if self.doubted_s is not None:
            again = min(self.doubted_s, longest_s)
            return again, again > self.interval_s
        probe_s = self._best_probe_s(risk_per_s, longest_s)
        if probe_s is None:
            return self.interval_s, False
        # The gaps weighed are a ladder: where its next step is past the bound, the bound itself is meant.
        return (longest_s if probe_s * exp(GAP_STEP) > longest_s else probe_s), True

    @property
    def _mass(self) -> Floats:
        """What is thought of each share of misreads (rows) with each shape (columns)."""
        below = np.frombuffer(zlib.decompress(self._packed_mass), np.uint16).reshape(len(_E), -1)
        mass: Floats = np.exp(below * -_LN_STEP) * self._prior
        mass /= mass.sum()
        return mass

    def _before(self, gap_s: float) -> Floats:
        """What is thought of each shape at the next find: the time-out may be another one by then.

        It changes with time, not with calls, so that a short gap leaves less room for it.
        """
        room = min(1.0, gap_s / self.interval_s)
        longer = np.where(all_shapes().log_interval > log(self.interval_s), self._prior, 0)
        other = SHORTER_PER_FIND * self._prior + LONGER_PER_FIND / max(longer.sum(), 1e-12) * longer
        mass = self._mass
        before: Floats = (1 - room * other.sum()) * mass + room * np.outer(mass.sum(axis=1), other)
        return before

    def _compared(self, interval_s: float, *, is_known: bool) -> tuple[int, float | None]:
        """1 where the interval is another than the one last known, else 0; and the one known now."""
        last_s = self._known_s
        if last_s is not None and interval_s < CHANGED * last_s:
            return 1, interval_s if is_known else None
        if not is_known:
            return 0, last_s
        return int(last_s is not None and interval_s > last_s / CHANGED), interval_s

    def _best_probe_s(self, risk_per_s: float, longest_s: float) -> float | None:
        """The gap that tells most for its price, in seconds; None where none is worth it."""
        shapes, mass = all_shapes(), self._mass
        by_shape = mass.sum(axis=0)
        curve = shapes.curve(by_shape)
        first = int(np.searchsorted(shapes.log_gap, log(self.interval_s), side="right"))
        last = int(np.searchsorted(shapes.log_gap, log(longest_s), side="right"))
        last = min(last, int(np.searchsorted(curve, SURELY_GONE)))
        asked = 1 - np.exp(-risk_per_s * (np.exp(shapes.log_gap[first:last]) - self.interval_s))
        last = first + int(np.searchsorted(asked, RISK_AT_MOST, side="right"))
        if last == first:
            return None
        gone, asked = curve[first:last], asked[: last - first]
        clear = ((1 - 2 * _E) * mass).sum(axis=0, dtype=np.float32)[:, None]
        by_bin = np.add.reduceat(by_shape, shapes.bins)[:, None]
        cold = np.add.reduceat((_E * mass).sum(axis=0), shapes.bins)[:, None] + np.add.reduceat(
            clear * shapes.shape_gone[:, first:last], shapes.bins
        )
        tells = _doubt(cold.sum(axis=0)) - (by_bin * _doubt(cold / by_bin)).sum(axis=0)
        hurt = np.cumsum(gone * np.diff(asked, prepend=0))  # gone by the time a customer calls
        worth = tells - HURT_PRICE * hurt - COLD_PRICE * gone
        best = int(worth.argmax())
        return exp(float(shapes.log_gap[first + best])) if worth[best] > PROBE_TELLS else None


@cache
def _rules() -> str:
    """What beliefs are made by: one that was made by other rules is no belief here. The first number counts changes."""
    return f"1 {zlib.crc32(IdleTimeout.unknown()._prior.tobytes()):08x}"


def _packed(mass: Floats, prior: Floats) -> bytes:
    """`mass` over the prior, below its highest, in thousandths of ln: a thousand models have a belief each.

    Most of it is alike, so that the quickest compression leaves a third.
    """
    ratio = np.log(mass / prior)
    below = (ratio.max() - ratio) / _LN_STEP + 0.5
    return zlib.compress(np.minimum(below, np.iinfo(np.uint16).max).astype(np.uint16).tobytes(), 1)


def _checked(packed: bytes) -> bytes:
    try:
        size = len(zlib.decompress(packed))
    except zlib.error as exc:
        raise ValueError(f"no belief: {exc}") from exc
    if size != np.uint16().nbytes * len(_E) * len(all_shapes().early):
        raise ValueError("a belief about other shapes")
    return packed


def _seconds(told: object) -> float | None:
    return None if told is None else float(str(told))


def _interval_s(mass: Floats) -> float:
    shapes = all_shapes()
    return exp(float(np.interp(TAIL, shapes.curve(mass), shapes.log_gap)))


def _doubt(chance: Floats) -> Floats:
    """The entropy of a verdict, in nats."""
    chance = np.clip(chance, 1e-4, 1 - 1e-4)
    doubt: Floats = -(chance * np.log(chance) + (1 - chance) * np.log1p(-chance))
    return doubt
