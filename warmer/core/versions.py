"""Which versions customers call, where it is not the one that beats go to: every version is a container of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from warmer.core.beat import Prediction
from warmer.core.spec import ModelSpec, TargetKind

WITHIN = timedelta(days=1)
"""Older calls tell nothing of what customers run now."""
LATEST = 20
"""So many of the latest calls are counted: who moves to another version has them all there soon."""
LEAST = 5
"""Fewer are somebody who tries something."""
_CONTAINER = re.compile(r"[0-9a-f]{64}")
"""What an official model ran is hidden, or has other words for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A customer's call of a model, be it of the version that beats go to or of another. The stamp is the provider's.

    No more of it is kept than that: a call of another version keeps no instance of ours, and is no use of it.
    """

    id: str
    at: datetime
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Most of a model's latest calls ran versions that no beat goes to."""

    version: str  # the one that most of them ran
    calls: int  # of that one
    of: int  # calls that were counted
    since: datetime  # the first of them


def is_container(version: str | None) -> bool:
    """Whether it names a version that runs in containers of its own."""
    return version is not None and _CONTAINER.fullmatch(version) is not None


def calls_of(predictions: Iterable[Prediction]) -> dict[str, list[Call]]:
    """Those of `predictions` that ran a version of a model by itself, by `owner/name`.

    A deployment runs what its release says, and an official model what its owner does.
    """
    found: dict[str, list[Call]] = {}
    for one in predictions:
        if one.model and one.version and not one.deployment and is_container(one.version):
            found.setdefault(one.model, []).append(Call(id=one.id, at=one.created_at, version=one.version))
    return found


def latest(calls: Iterable[Call], now: datetime) -> tuple[Call, ...]:
    """The calls that count at `now` (the provider's clock), once each, oldest first: LATEST of the last day at most."""
    young = {call.id: call for call in calls if now - call.at < WITHIN}
    return tuple(sorted(young.values(), key=lambda call: (call.at, call.id))[-LATEST:])


def elsewhere(calls: Iterable[Call], warmed: Collection[str], now: datetime) -> Elsewhere | None:
    """Whether customers run other versions than those that are `warmed`: more than half of the latest calls, LEAST
    of them at least. None where they do not, or where so few calls tell nothing."""
    counted = latest(calls, now)
    others = Counter(call.version for call in counted if call.version not in warmed)
    if others.total() < LEAST or 2 * others.total() <= len(counted):
        return None
    version, most = max(others.items(), key=lambda one: (one[1], one[0]))
    return Elsewhere(version=version, calls=most, of=len(counted), since=counted[0].at)


def hint(entry: ModelSpec, found: Elsewhere) -> str:
    """What to write so that the version that customers run is warmed."""
    slug = entry.target.slug
    write = f"write `model: {slug}:{found.version}`"
    return f"{write}, or `model: {slug}` if that is the latest" if entry.target.version else write


def has_versions(entry: ModelSpec) -> bool:
    """Whether beats of `entry` go to one version of several, and customers' calls are read at all."""
    return entry.target.kind is TargetKind.MODEL and entry.traffic
