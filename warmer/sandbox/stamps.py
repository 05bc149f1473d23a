"""Times as the real API writes and reads them."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime, timedelta

SHORTEST_LIFE = timedelta(seconds=5)  # of Cancel-After. Source: the API's OpenAPI document
LONGEST_HOLD = timedelta(seconds=60)  # of Prefer: wait


def stamp(moment: datetime, salt: str = "") -> str:
    """ISO 8601 in UTC with `Z`. The fraction has 3, 6, 8 or 9 digits, by `salt`: recordings have them all."""
    digest = zlib.crc32(salt.encode())
    digits = (6, 3, 8, 9)[digest % 4] if salt else 6
    fraction = f"{moment.microsecond:06d}{digest % 900 + 100}"[:digits]
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{fraction}Z"


def read_stamp(text: str) -> datetime:
    """An ISO 8601 time; without a zone it is UTC. ValueError where it is none."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_hold(prefer: str | None) -> timedelta | None:
    """The hold that a `Prefer` header asks for; None where it asks for none. Above 60 s it is 60 s."""
    match = re.fullmatch(r"\s*wait(?:=([1-9][0-9]?))?\s*", prefer or "")
    if match is None:
        return None
    return min(timedelta(seconds=int(match[1])), LONGEST_HOLD) if match[1] else LONGEST_HOLD


def read_duration(text: str) -> timedelta:
    """A `Cancel-After` duration: `90`, `90s`, `1h30m45s`. ValueError where it is none, or is below 5 s."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not a duration: write it like 90s, 10m or 1h30m45s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    span = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if span < SHORTEST_LIFE:
        raise ValueError(f"{text!r} is too short: the minimum is 5 seconds")
    return span
