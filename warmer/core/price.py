"""What a second, or an output, of a beat costs, and who pays for what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

from warmer.core.units import MICRO


class Billing(StrEnum):
    """Who is billed for what. Source: the provider's billing documentation."""

    PUBLIC = "public"  # active seconds only; setup and idle are free
    PRIVATE = "private"  # every second an instance is online
    FAST_BOOT = "fast_boot"  # active seconds only, private or not
    OFFICIAL = "official"  # per unit of output; always on
    DEPLOYMENT = "deployment"  # every second an instance is online
    OWN = "own"  # a machine of the owner's own, paid whether called or not: of a beat its run, where that has a price
    CALL = "call"  # per call of an endpoint, however long it takes

    @property
    def bills_run_only(self) -> bool:
        """Whether a beat costs its run, or its call, and nothing else: booting and idling are free."""
        return self in (Billing.PUBLIC, Billing.FAST_BOOT, Billing.OWN, Billing.CALL)

    @property
    def bills_outputs(self) -> bool:
        """Whether a beat costs what an output does, or a call: `Price.per_output`."""
        return self in (Billing.OFFICIAL, Billing.CALL)


class Known(StrEnum):
    """How a sum of money is known."""

    EXACT = "exact"  # measured seconds times a price: what the provider bills, if the price is right
    ESTIMATED = "estimated"  # with seconds or outputs that nobody tells us
    UNKNOWN = "unknown"  # it is no number, and never 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An amount of money and how it is known. Costs add up: what is unknown makes the sum unknown."""

    usd: Decimal | None
    is_estimated: bool = False

    @property
    def known(self) -> Known:
        """In one word."""
        return Known.UNKNOWN if self.usd is None else Known.ESTIMATED if self.is_estimated else Known.EXACT

    def __add__(self, other: Cost) -> Cost:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Cost(usd=usd, is_estimated=self.is_estimated or other.is_estimated)


FREE = Cost(usd=Decimal(0))
UNKNOWN = Cost(usd=None)


PRICES_READ_ON = date(2026, 11, 18)
"""The day the table below was last compared with the public price page."""

_BASE = {
    "cpu": "0.000100",
    "gpu-t4": "0.000225",
    "gpu-a40-small": "0.000575",
    "gpu-a40-large": "0.000725",
    "gpu-l40s": "0.000975",
    "gpu-a100-large": "0.001400",
    "gpu-h100": "0.001525",
}


def _multi_gpu() -> dict[str, Decimal]:
    """The multi-GPU SKUs, n times the single one. L40S alone puts its count before the name."""
    table: dict[str, Decimal] = {}
    for sku in ("gpu-a40-large", "gpu-a100-large", "gpu-h100"):
        table |= {f"{sku}-{n}x": Decimal(_BASE[sku]) * n for n in (2, 4, 8)}
    return table | {f"gpu-{n}x-l40s": Decimal(_BASE["gpu-l40s"]) * n for n in (2, 4, 8)}


PER_SECOND: dict[str, Decimal] = {sku: Decimal(usd) for sku, usd in _BASE.items()} | _multi_gpu()
"""USD a second by hardware SKU. A model's own `price` in the file goes before it."""


_TEXT = re.compile(r"(?P<usd>\d+(?:\.\d+)?)/(?P<unit>s|output) (?P<source>.+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one second costs, or one output, and how that is known. Raises ValueError where it is both or neither."""

    per_second: Decimal | None = None  # USD
    per_output: Decimal | None = None  # USD
    source: str  # "file", or "SKU@DATE" of a table

    def __post_init__(self) -> None:
        given = [usd for usd in (self.per_second, self.per_output) if usd is not None]
        if len(given) != 1:
            raise ValueError("a price is of a second or of an output")
        if not given[0].is_finite() or given[0] < 0:
            raise ValueError("a price is a number of USD, 0 or more")

    @classmethod
    def read(cls, text: str) -> Price:
        """What `str` of it gave. Raises ValueError for anything else."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no price: it is as in 0.000225/s gpu-t4@{PRICES_READ_ON}")
        usd = Decimal(match["usd"])
        if match["unit"] == "s":
            return cls(per_second=usd, source=match["source"])
        return cls(per_output=usd, source=match["source"])

    def __str__(self) -> str:
        usd, unit = (self.per_second, "s") if self.per_output is None else (self.per_output, "output")
        return f"{usd:f}/{unit} {self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """What a second costs by hardware SKU, as of one day."""

    read_on: date
    per_second: Mapping[str, Decimal]  # USD


PAID_ANYWAY = Price(per_second=Decimal(0), source="own")
"""Of a machine of the owner's own, unless the file says what a second costs: the bill is the same without beats."""

TABLE = PriceTable(read_on=PRICES_READ_ON, per_second=PER_SECOND)
"""The package's own."""


USUAL_RUN_S = 0.3
"""What a minimal heartbeat runs for, until the model's own is known."""


def price_of(hardware: str | None, table: PriceTable = TABLE) -> Price | None:
    """The table's price of a hardware SKU; None where the SKU is not given or not in the table."""
    per_second = table.per_second.get(hardware) if hardware else None
    return Price(per_second=per_second, source=f"{hardware}@{table.read_on}") if per_second is not None else None


def beat_price(price: Price | None, run_s: float, billing: Billing, *, kept_s: float) -> Decimal | None:
    """What a heartbeat is reckoned at, in USD: where every second online is billed, it buys `kept_s` of them.

    For weighing one against a cold start; what one did cost is `core.cost`. None where nothing has a price.
    """
    if billing is Billing.CALL:
        return None if price is None else price.per_output
    if price is None or price.per_second is None or billing is Billing.OFFICIAL:
        return None
    seconds = run_s if billing.bills_run_only else run_s + kept_s
    return Decimal(str(seconds)) * price.per_second


def boot_beats(billing: Billing, *, boot_s: float, interval_s: float) -> float:
    """What a boot costs, in heartbeats of which each buys `interval_s`: nothing where only the run is billed."""
    return 0.0 if billing.bills_run_only else boot_s / interval_s


def worst_case(price: Price | None, billing: Billing, deadline: timedelta, kept_s: float) -> Decimal | None:
    """The most that one beat may cost, in USD, rounded up to the micro-dollar; None where no price says it.

    It runs until `deadline`, and where every second online is billed its instance then idles for `kept_s`. An official
    model gives one output, and one call is one call. No beat that keeps its deadline costs more, however it ends.
    """
    if price is None:
        return None
    if billing.bills_outputs:
        usd = price.per_output
    elif price.per_second is None:
        usd = None
    else:
        seconds = Decimal(str(deadline.total_seconds()))
        usd = (seconds if billing.bills_run_only else seconds + Decimal(str(kept_s))) * price.per_second
    return None if usd is None else usd.quantize(MICRO, rounding=ROUND_CEILING)
