"""Amounts of USD, as the file writes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from warmer.config.faults import WrongValueError
from warmer.config.values import kind_of
from warmer.core.units import MICRO

MAX_PER_SECOND = Decimal(10)
"""USD. Eight of the dearest GPUs cost a thousandth of it: more is a slip of the decimal point."""
MAX_PER_OUTPUT = Decimal(100)
MAX_PER_HOUR = Decimal(1000)
"""USD. A minute of the dearest video costs a tenth of it: more is a slip of the decimal point."""
MAX_CAP = Decimal(1_000_000)
"""USD a day or a month: more is no cap."""
MAX_COLD_START_PRICE = Decimal(1000)
"""USD for one avoided cold start: more is a slip of the decimal point."""


def read_cold_start_price(value: Any) -> Decimal:
    """USD that one avoided cold start is worth."""
    usd = _usd(value, "0.01", MAX_COLD_START_PRICE)
    if usd == 0:
        raise WrongValueError("at 0 USD nothing is worth a heartbeat", "write `policy: observe`, or a price above 0")
    return usd


def read_per_hour(value: Any) -> Decimal:
    """USD for an hour of a GPU."""
    return _usd(value, "1.20", MAX_PER_HOUR)


def read_cap(value: Any) -> Decimal:
    """USD that a day or a month may cost."""
    usd = _usd(value, "2.00", MAX_CAP)
    if usd == 0:
        raise WrongValueError("at 0 USD nothing is sent", "write `policy: observe`, or a cap above 0")
    if usd != usd.quantize(MICRO):
        raise WrongValueError("this cap has over 6 decimals", "round it: money is kept in millionths of a USD")
    return usd


def read_per_second(value: Any) -> Decimal:
    """USD a second."""
    return _usd(value, "0.000225", MAX_PER_SECOND, " a second")


def read_per_output(value: Any) -> Decimal:
    """USD an output."""
    return _usd(value, "0.003", MAX_PER_OUTPUT, " an output")


def _usd(value: Any, example: str, most: Decimal, each: str = "") -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise WrongValueError(
            f"{kind_of(value)} stands where an amount of USD is meant", f"write a number without quotes: {example}"
        )
    if value < 0:
        raise WrongValueError("this price is negative", f"write 0 or more USD{each}")
    if value > most:
        raise WrongValueError(f"this price is over {most} USD{each}", f"write USD{each}, such as {example}")
    usd = Decimal(value)
    exponent = usd.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -12:
        raise WrongValueError(
            "this price has over 12 decimals", "round it: a millionth of a USD is the smallest amount kept"
        )
    return usd
