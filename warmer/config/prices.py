"""A price table of the owner's own: another YAML file, whole in place of the package's."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

from warmer.config import amounts, values
from warmer.config.document import MAX_BYTES, Document, read_document
from warmer.config.faults import Faults, Place, WrongValueError, quote
from warmer.config.files import read_file
from warmer.core.price import TABLE, PriceTable
from warmer.core.spec import Spec

_SHAPE = "`date: 2026-12-01` and under `per_second:` one `gpu-t4: 0.000225` a line"


def read_table(document: Document, path: str, faults: Faults) -> PriceTable:
    """The table that `prices` names, relative to the folder of the file at `path`; without one, the package's.

    What is wrong with the key goes to `faults`. Raises ConfigError for what is wrong in the table.
    """
    written = document.value.get("prices") if isinstance(document.value, dict) else None
    if not isinstance(written, str) or not written:
        return TABLE  # where it is no text, that is told where the keys are read
    try:
        found = Path(path).parent / written
        content = read_file(found, MAX_BYTES)
    except (OSError, ValueError):
        hint = "write its path, relative to this file, and look at its mode"
        faults.add(document.place(("prices",)), f"there is no price table at {quote(written)}", hint)
        return TABLE
    return parse_table(content, path=str(found))


def known_table(document: Document, in_force: Spec, faults: Faults) -> PriceTable:
    """The same without reading any file: the table of the spec that is in force, where `prices` names that one."""
    written = document.value.get("prices") if isinstance(document.value, dict) else None
    if not isinstance(written, str) or not written:
        return TABLE
    if written == in_force.prices:
        return in_force.models[0].prices
    faults.add(
        document.place(("prices",)),
        "another price table than the one in force is not read for a trial",
        "name that one, or leave `prices` out; `warmer check` reads any",
    )
    return TABLE


def parse_table(content: bytes, *, path: str) -> PriceTable:
    """The price table in `content`. Raises ConfigError with every fault; `path` names the file in them."""
    faults = Faults(path)
    document = read_document(content, faults)
    table = document.value
    if not isinstance(table, dict) or table.keys() != {"date", "per_second"} or not table["per_second"]:
        raise faults.fatal(Place(1, 1), "this is no price table", f"write {_SHAPE}")
    read_on = _date(table["date"], document, faults)
    prices = {}
    for sku, usd in table["per_second"].items() if isinstance(table["per_second"], dict) else ():
        try:
            if not re.fullmatch(values.SKU, sku):
                raise WrongValueError(f"{quote(sku)} is not a SKU", "write it as the provider does, such as gpu-t4")
            prices[sku] = amounts.read_per_second(usd)
        except WrongValueError as error:
            faults.add(document.place(("per_second", sku)), error.problem, error.hint)
    if not faults and not prices:
        faults.add(document.place(("per_second",)), "these are no prices", f"write {_SHAPE}")
    if faults or read_on is None:
        raise faults.error()
    return PriceTable(read_on=read_on, per_second=prices)


def _date(value: Any, document: Document, faults: Faults) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else _wrong()
    except ValueError:
        faults.add(document.place(("date",)), "this is not the date of a price table", "write it as in 2026-12-01")
        return None


def _wrong() -> date:
    raise ValueError
