"""Durations, instants and money as people and files write them, and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

MICRO = Decimal("0.000001")
"""The smallest amount of money kept, in USD: ledgers hold whole micro-dollars."""

_DURATION = re.compile(
    r"(?:(?P<d>\d+(?:\.\d+)?)d)?(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m(?!s))?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s)?(?:(?P<ms>\d+(?:\.\d+)?)ms)?"
)
_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_duration(text: str) -> timedelta:
    """`30s`, `5m`, `1h30m`, `2d`, `500ms` as a duration.

    Raises ValueError, saying what to write, for anything else - a bare number among it: its unit would be a guess.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match.group(0):
        raise ValueError(f"{text!r} is not a duration: write a number and a unit, such as 30s, 5m or 1h30m")
    try:
        return timedelta(seconds=sum(float(n) * _SECONDS[unit] for unit, n in match.groupdict().items() if n))
    except OverflowError as exc:
        raise ValueError(f"{text!r} is longer than any duration can be") from exc


def format_duration(duration: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back: `1h30m`, `50s`, `500ms`."""
    left = round(duration.total_seconds() * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(_SECONDS[unit] * 1000)
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_instant(text: str) -> datetime:
    """An ISO 8601 instant with a zone, as UTC. Any number of fraction digits is read, six are kept.

    The API writes 3 to 9 digits. Raises ValueError where the text is no instant or has no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def format_instant(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`, as every log line and JSON document writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_micros(usd: Decimal) -> int:
    """USD as whole micro-dollars, half to even: unbiased over many small amounts."""
    return int((usd / MICRO).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def from_micros(micros: int) -> Decimal:
    """Whole micro-dollars as USD."""
    return Decimal(micros) * MICRO


def format_usd(usd: Decimal | None) -> str | None:
    """A decimal string for JSON and logs, without exponent; None stays None: unknown is never 0."""
    return None if usd is None else f"{usd:f}"
