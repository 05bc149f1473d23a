"""Values as JSON has them: the one rule for log lines, documents and tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from warmer.core.units import format_instant, format_usd


def one_line(text: str) -> str:
    """`text` on one line, without signs that move a cursor or turn what stands beside them round.

    For what a stranger wrote: a reply, a file, a trace. It is shown in terminals and logs.
    """
    if text.isprintable():
        return text
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def plain(value: Any, text: Callable[[str], str] = str) -> Any:
    """`value` at any depth: money as decimal strings, instants as ISO 8601 UTC, durations as seconds.

    Every string passes through `text`, those made of keys and of foreign objects among them.
    """
    match value:
        case Enum():
            return plain(value.value, text)
        case None | bool() | int():
            return value
        case str():
            return text(value)
        case float():
            return round(value, 6) if math.isfinite(value) else None  # JSON has no word for the others
        case Decimal():
            return format_usd(value)
        case datetime():
            return format_instant(value)
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {text(str(plain(key, text))): plain(item, text) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item, text) for item in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: plain(getattr(value, field.name), text) for field in dataclasses.fields(value)}
        case _:
            return text(str(value))
