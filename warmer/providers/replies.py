"""What the provider's JSON says, read with tolerance: keys may be absent, null, new or of another type."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from warmer.core.beat import Prediction, Status
from warmer.core.listing import Page
from warmer.core.plain import one_line
from warmer.core.units import parse_instant

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ADDRESS = re.compile(r"[!-~]{1,2000}")
_STATUSES = {status.value: status for status in Status}
_MAX_TEXT = 500
_YEARS = (2000, 2200)
_FAR = timedelta(days=1)
"""No stamp is further ahead of the provider's time. Nothing that happened is; and a deadline is at most some hours."""


def is_id(value: object) -> bool:
    """Whether `value` can be a prediction's id and a plain part of a path."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def clean(value: str, limit: int = _MAX_TEXT) -> str:
    """`value` on one line, at most `limit` letters long."""
    line = one_line(value[: 4 * limit]).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def word(reply: object, *path: str) -> str | None:
    """The non-empty text under `path`, or None."""
    value = at(reply, *path)
    return clean(value) or None if isinstance(value, str) else None


def at(reply: object, *path: str) -> Any:
    """The value under `path` of nested objects, or None where any step is missing."""
    for key in path:
        if not isinstance(reply, Mapping):
            return None
        reply = reply.get(key)
    return reply


def prediction_of(reply: object, received_at: datetime) -> Prediction | None:
    """The prediction that `reply` describes, or None where it is no object with an id.

    `received_at` (the provider's clock) stands in for a missing `created_at`. A status that is missing or unheard of is
    UNKNOWN; `version: "hidden"` is None; a removed input is None, and so is any stamp or figure that cannot be true.
    """
    if not isinstance(reply, Mapping) or not is_id(reply.get("id")):
        return None
    status = reply.get("status")
    version = word(reply, "version")
    given = reply.get("input")
    shows_input = isinstance(given, Mapping) and reply.get("data_removed") is not True
    return Prediction(
        id=reply["id"],
        status=_STATUSES.get(status, Status.UNKNOWN) if isinstance(status, str) else Status.UNKNOWN,
        created_at=_instant(reply.get("created_at"), received_at) or received_at,
        started_at=_instant(reply.get("started_at"), received_at),
        completed_at=_instant(reply.get("completed_at"), received_at),
        predict_s=_seconds(at(reply, "metrics", "predict_time")),
        total_s=_seconds(at(reply, "metrics", "total_time")),
        error=_error(reply.get("error")),
        model=word(reply, "model"),
        version=None if version == "hidden" else version,
        deployment=word(reply, "deployment"),
        deadline=_instant(reply.get("deadline"), received_at),
        input=given if shows_input else None,
        stream=_address(at(reply, "urls", "stream")),
    )


def page_of(reply: object, received_at: datetime) -> Page | None:
    """A page of the account's list; None where the reply is no page.

    An item that is no prediction is left out: one odd row must not hide the others. Of the address of the next page
    only the query is kept: where it points is not trusted with the token.
    """
    items = at(reply, "results")
    if not isinstance(items, list):
        return None
    found = (prediction_of(item, received_at) for item in items)
    return Page(predictions=tuple(p for p in found if p is not None), cursor=_query(at(reply, "next")))


def _address(value: object) -> str | None:
    return value if isinstance(value, str) and _ADDRESS.fullmatch(value) else None


def _query(address: object) -> str | None:
    try:
        return urlsplit(address).query or None if isinstance(address, str) else None
    except ValueError:
        return None


def is_thinkable(moment: datetime) -> bool:
    """Whether a provider's clock can ever have shown it: beyond these years only a fault can be."""
    return _YEARS[0] <= moment.year < _YEARS[1]


def _instant(value: object, received_at: datetime) -> datetime | None:
    """A stamp; None for what is none, or lies far in the future."""
    if not isinstance(value, str):
        return None
    try:
        moment = parse_instant(value)
    except (ValueError, OverflowError):
        return None
    return moment if is_thinkable(moment) and moment - received_at <= _FAR else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _error(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return clean(value) or None
    return clean(word(value, "detail") or word(value, "message") or json.dumps(value, default=str))
