"""Which prediction of the account's list is the create whose reply was lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from warmer.core.beat import BeatRequest, Prediction
from warmer.core.spec import TargetKind

BEFORE = timedelta(seconds=2)
"""The clocks agree no better than this."""
AFTER = timedelta(seconds=90)
"""A create that has not been carried out by then never was: connections are given up long before."""
_DEADLINE_SLACK_S = 1.0  # Cancel-After is sent in whole seconds


def find_lost(
    request: BeatRequest,
    claimed_at: datetime,
    listed: Sequence[Prediction],
    known: frozenset[str],
    skews: Collection[timedelta],
) -> Prediction | None:
    """The listed prediction that `request` made, or None where there is none.

    `claimed_at` is by our clock, `skews` how far the provider's may have been ahead; `known` are the ids of other
    beats. The list
    is not bound to show everything (inputs go after an hour, some replies name no deadline): what it shows must fit,
    and a customer's call that merely looks alike must not be taken for the beat. Those that show our deadline go
    first; of them, the earliest is the one.
    """

    def is_of_then(found: Prediction) -> bool:
        return any(-BEFORE <= found.created_at - claimed_at - skew <= AFTER for skew in skews)

    fits = [p for p in listed if p.id not in known and is_of_then(p) and _fits(request, p)]
    return min(fits, key=lambda p: (p.deadline is None, p.created_at), default=None)


def _fits(request: BeatRequest, found: Prediction) -> bool:
    target = request.target
    deadline = _same_deadline(request.deadline, found)
    given = None if found.input is None else _shows(found.input, request.input)
    if deadline is False or given is False:
        return False
    version = None if None in (request.version, found.version) else request.version == found.version
    if version is False:
        return False
    is_deployment = target.kind is TargetKind.DEPLOYMENT
    if found.deployment is not None:
        return is_deployment and found.deployment == target.slug
    named = not is_deployment and (found.model == target.slug or version is True)
    # Some models report themselves under another name: then only the rest of the evidence, whole, will do.
    return named or (deadline is True and given is True)


def _same_deadline(wanted: timedelta, found: Prediction) -> bool | None:
    """Whether the prediction has our deadline; None where it shows none."""
    if found.deadline is None:
        return None
    return abs((found.deadline - found.created_at - wanted).total_seconds()) <= _DEADLINE_SLACK_S


def _shows(listed: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Whether what was sent is in what is listed. The provider may add defaults, and keeps files elsewhere."""
    return all(key in listed and (_is_file(value) or listed[key] == value) for key, value in sent.items())


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("data:")
