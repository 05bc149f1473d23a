"""Figures as a page writes them: short, with their unit, and nothing shown for what it is not."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

UNKNOWN = "unknown"
NONE = "–"


def seconds(value: float | None) -> str:
    """Such as `0.02 s`, `14.2 s`, `280 s`."""
    if value is None:
        return NONE
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s" if value < 100 else f"{value:,.0f} s"


def lasting(value: float | timedelta) -> str:
    """A duration in its two largest units: `18 s`, `4 min 41 s`, `2 h 5 min`, `3 d 2 h`."""
    left = round(value.total_seconds() if isinstance(value, timedelta) else value)
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min" + (f" {left % 60} s" if left % 60 else "")
    minutes = round(left / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    hours = round(left / 3600)
    return f"{hours // 24} d" + (f" {hours % 24} h" if hours % 24 else "")


def share(value: float | None) -> str:
    """Per cent to a tenth; what is less is not shown as nothing."""
    if value is None:
        return NONE
    return "<0.1 %" if 0 < value < 0.0005 else f"{value * 100:.1f} %"


def usd(value: Decimal | None) -> str:
    """Dollars to a cent; below ten cents as finely as beats cost."""
    if value is None:
        return UNKNOWN
    if value >= Decimal("0.1") or not value:
        return f"${value:,.2f}"
    return f"${value:.4f}" if value >= Decimal("0.0001") else "<$0.0001"


def number(count: int, one: str, many: str | None = None) -> str:
    """Such as `1 call`, `4,812 calls`."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def clock(moment: datetime, zone: ZoneInfo, now: datetime) -> str:
    """The time of day, with the day where it is not today's."""
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    return f"{local:%H:%M:%S}" if local.date() == today else f"{local:%a %d %b %H:%M}"


def when(moment: datetime, zone: ZoneInfo, now: datetime) -> str:
    """`in 18 s`, `2 min 3 s ago`, `Mon 30 Nov 07:59`."""
    away = (moment - now).total_seconds()
    if abs(away) < 0.5:
        return "now"
    if abs(away) >= 12 * 3600:
        return f"{moment.astimezone(zone):%a %d %b %H:%M}"
    return f"in {lasting(away)}" if away > 0 else f"{lasting(-away)} ago"
