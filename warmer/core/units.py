"""Durations, instants and money as people and files write them, and back."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

MICRO = Decimal("0.000001")
"""The smallest amount of money kept, in USD: ledgers hold whole micro-dollars."""

_DURATION = re.compile(
    r"(?:(?P<d>\d+(?:\.\d+)?)d)?(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m(?!s))?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s)?(?:(?P<ms>\d+(?:\.\d+)?)ms)?",
    re.ASCII,
)
_MICROSECONDS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}


def parse_duration(text: str) -> timedelta:
    """`30s`, `5m`, `1h30m`, `2d`, `500ms` as a duration.

    Raises ValueError, saying what to write, for anything else - a bare number among it: its unit would be a guess.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match.group(0):
        raise ValueError(f"{text!r} is not a duration: write a number and a unit, such as 30s, 5m or 1h30m")
    try:
        exact = sum(Decimal(number) * _MICROSECONDS[unit] for unit, number in match.groupdict().items() if number)
        return timedelta(microseconds=round(exact))
    except ArithmeticError as exc:
        raise ValueError(f"{text!r} is longer than any duration can be") from exc


def format_duration(duration: timedelta) -> str:
    """The spelling that `parse_duration` reads back to the microsecond: `1h30m`, `50s`, `500ms`, `0.5ms`.

    Raises ValueError for a negative one: no notation here has a sign.
    """
    left = duration // timedelta(microseconds=1)
    if left < 0:
        raise ValueError(f"{duration} is negative: a duration is 0 or more")
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, _MICROSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if left:
        parts.append(f"{Decimal(left) / _MICROSECONDS['ms']:f}ms")
    return "".join(parts) or "0s"


def parse_instant(text: str) -> datetime:
    """An ISO 8601 instant with a zone, as UTC. Any number of fraction digits is read, six are kept.

    The API writes 3 to 9 digits. Raises ValueError, saying what to write, where the text is no instant or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(f"{text!r} has no time zone: end it with Z, or an offset such as +01:00")
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC") from exc


def format_instant(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`, as every log line and JSON document writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_micros(usd: Decimal) -> int:
    """USD as whole micro-dollars, half to even: unbiased over many small amounts."""
    # One rounding, of the amount as it is: a division first would round to its own precision.
    return int(usd.quantize(MICRO, rounding=ROUND_HALF_EVEN).scaleb(6))


def from_micros(micros: int) -> Decimal:
    """Whole micro-dollars as USD."""
    return Decimal(micros) * MICRO


def to_whole_micros(usd: Decimal) -> Decimal:
    """USD to a whole micro-dollar, as they are stored."""
    return from_micros(to_micros(usd))


def format_usd(usd: Decimal | None) -> str | None:
    """A decimal string for JSON and logs, without exponent; None stays None: unknown is never 0."""
    return None if usd is None else f"{usd:f}"


def finite(value: object) -> float | None:
    """The number that a host's JSON or header holds, as such or as a text; None for anything else, and for infinity."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
