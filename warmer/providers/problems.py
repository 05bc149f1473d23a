"""What a reply that is no success means, and what its reader should do next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from warmer.core.units import finite
from warmer.errors import (
    AccountRefused,
    CreditExhausted,
    Doubtful,
    ModelRefused,
    ProviderError,
    Throttled,
    Unavailable,
)
from warmer.providers.rate import Limit
from warmer.providers.replies import at, clean, word

DEFAULT_RETRY = timedelta(seconds=10)
"""Where a 429 names no time: the spacing of the strongest limit known, 6 a minute."""
LONGEST_RETRY = timedelta(hours=1)
"""A longer hint is cut to this: asking once an hour harms nobody."""
_ABSURD_S = 86_400.0  # a hint of more than a day is taken for garbage

_NUMBER = r"(\d{1,9}(?:\.\d{1,3})?)"
_TEXT_HINTS = (
    re.compile(rf"~\s?{_NUMBER}\s?s\b"),
    re.compile(rf"\bin ~?{_NUMBER} ?s(?:ec(?:ond)?s?)?\b", re.IGNORECASE),
)
_STATED = re.compile(
    r"reduced to (\d{1,6}) requests? per minute(?: with a burst of (\d{1,6}) requests?)?", re.IGNORECASE
)


def problem_of(
    status: int, body: object, *, about: str, now: datetime, retry_after: str | None = None, creating: bool = False
) -> ProviderError:
    """The error that a reply with `status` (not 2xx) and JSON `body` stands for.

    `about` names what was asked for, `now` is the provider's clock, `retry_after` the header. With `creating`, a reply
    that does not come from the API itself leaves in doubt whether a prediction was made.
    """
    detail = _detail(body)
    said = f"{status}: {detail}" if detail else f"{status}"
    is_problem = isinstance(body, Mapping)
    if status == 401:
        return AccountRefused(
            f"the provider does not accept the token ({said}). Put a valid one where `replicate.token` points"
        )
    if status == 402:
        return CreditExhausted(
            f"the account has no credit or reached its spend limit ({said}). Add credit or raise the limit; "
            "beats go on by themselves a few minutes later"
        )
    if status == 429:
        wait = retry_hint(body, retry_after, now)
        return Throttled(
            f"the account asked too often ({said}). warmer waits {wait.total_seconds():.0f} s by itself; if this comes "
            "back, send fewer beats, or check the credit: limits shrink as it runs low",
            wait,
        )
    if is_problem and status in (400, 403, 404, 413, 422):
        return ModelRefused(f"the provider refuses {about} ({said})", *_remedy(status, body, about))
    if is_problem and 400 <= status < 500 and status != 408:
        return Unavailable(
            f"the provider does not take the request for {about} ({said}). It is worth another try later"
        )
    if 300 <= status < 400:
        problem = (
            f"the provider redirects ({status}), which is never followed: set `replicate.base_url` to its final address"
        )
    elif status < 500:
        problem = f"what answered is not the API ({said}): check `replicate.base_url` and the proxy"
    else:
        problem = f"the provider failed ({said}). It is worth another try later"
    return (Doubtful if creating else Unavailable)(f"asked for {about}, {problem}")


def retry_hint(body: object, retry_after: str | None, now: datetime) -> timedelta:
    """How long to wait after a 429: the longest of all valid hints, or DEFAULT_RETRY where there is none.

    Hints are the `Retry-After` header (seconds or an HTTP date), `retry_after` of the body, and the words of its
    `detail` ("resets in ~30s", "available in 1 second"). Negative, endless and absurd ones are not valid.
    """
    hints = [_header_s(retry_after, now), finite(at(body, "retry_after"))]
    detail = word(body, "detail") or ""
    hints += [finite(found) for pattern in _TEXT_HINTS for found in pattern.findall(detail)]
    valid = [hint for hint in hints if hint is not None and 0 <= hint <= _ABSURD_S]
    if not valid:
        return DEFAULT_RETRY
    return min(LONGEST_RETRY, timedelta(seconds=max(1.0, *valid)))


def stated_limit(body: object) -> Limit | None:
    """The limit for creates that a 429 says the account is down to, or None."""
    match = _STATED.search(word(body, "detail") or "")
    if match is None or int(match[1]) < 1:
        return None
    return Limit(per_minute=int(match[1]), burst=max(1, int(match[2] or 1)))


def _header_s(value: str | None, now: datetime) -> float | None:
    if value is None:
        return None
    if (seconds := finite(value.strip())) is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _detail(body: object) -> str:
    parts = [word(body, "title"), word(body, "detail") or word(body, "error")]
    return clean(" - ".join(part for part in parts if part))


def is_wrong_version(status: int, body: object) -> bool:
    """Whether a create was refused because its version is not there, or not for this account."""
    return status == 422 and not _fields(body) and "version" in _detail(body).lower()


def _remedy(status: int, body: object, about: str) -> tuple[str, str]:
    """What to change in the model's entry, and at which key of it."""
    if status == 404:
        return (
            f"check the spelling of {about}, that it was not deleted, and that the token's account may see it where it "
            "is private; only official models run without a version",
            "target",
        )
    if status == 403:
        return f"let the token's account run {about}, or take the entry out", "target"
    if status == 413:
        return "make `input` smaller", "input"
    if fields := _fields(body):
        return f"correct `input`: {fields}", "input"
    if is_wrong_version(status, body):
        slug, is_pinned, _ = about.partition(":")
        if is_pinned:
            hint = f"write {slug} for its latest version, or pin one that `warmer inspect {slug} --json` lists"
        else:
            hint = "of a new version nothing need be written: it is looked up with the next try"
        return f"{hint}; take the entry out if {slug} is gone, or let the token's account run it", "target"
    return "correct `input`; `warmer inspect` shows what the model takes", "input"


def _fields(body: object) -> str:
    """The fields that the provider names as wrong, and what it says of each."""
    entries = at(body, "invalid_fields")
    if not isinstance(entries, list):
        return ""
    named = [
        ": ".join(
            part for part in ((word(entry, "field") or "").removeprefix("input."), word(entry, "description")) if part
        )
        for entry in entries[:10]
    ]
    return clean("; ".join(part for part in named if part))
