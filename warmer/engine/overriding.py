"""What people ask for beside the file, kept in the ledger: read for every decision, and noticed when it changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from warmer.core.override import Kind, Override, Overrides
from warmer.core.plain import plain
from warmer.core.units import parse_instant
from warmer.engine.desk import Desk
from warmer.errors import LedgerError
from warmer.log import Event, get
from warmer.ports import Clock, Ledger

LOOK_S = 1.0
"""Between two looks at the one row that has them: a model that sleeps until Monday is woken within this time."""
_NOTE = "overrides"
_ALL = "all models"


class Overriding:
    """Reads them. What is read over and over again is one text, which hardly ever changes."""

    def __init__(self) -> None:
        self._text, self._known = "", Overrides()

    def read(self, ledger: Ledger) -> Overrides:
        """Those in the ledger, over or not. Raises LedgerError where they cannot be read."""
        text = ledger.note(_NOTE)
        if text != self._text:
            self._text, self._known = text, _parsed(text)
        return self._known


def read_overrides(ledger: Ledger) -> Overrides:
    """The same, once."""
    return _parsed(ledger.note(_NOTE))


def change_overrides(ledger: Ledger, change: Callable[[Overrides], Overrides]) -> Overrides:
    """Put what `change` makes of them in their place, in one step over all processes. Returns that."""

    def rewrite(text: str, _: float) -> tuple[str, Overrides]:
        made = change(_parsed(text))
        return _text(made), made

    return ledger.change_note(_NOTE, rewrite)


class OverrideWatch:
    """Notices those that begin and end: says so once, and has their models decided anew."""

    def __init__(self, desk: Desk, clock: Clock, changed: Callable[[Collection[str] | None], None]) -> None:
        """`changed` is told the names of the models; None: all there are."""
        self._desk, self._clock, self._changed = desk, clock, changed
        self._overriding = Overriding()
        self._known: Mapping[str, Override] = {}

    async def keep_on(self) -> None:
        """Look every second, until cancelled."""
        while True:
            with suppress(LedgerError):  # said by the desk
                await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """See what has changed. Raises LedgerError."""
        now, was = self._clock.now(), self._known
        left = (await self._desk.do(self._overriding.read)).left(now)
        self._known = found = dict(left.models) | ({} if left.every is None else {_ALL: left.every})
        begun = {scope: one for scope, one in found.items() if was.get(scope) != one}
        ended = {scope: one for scope, one in was.items() if scope not in found}
        for scope, one in ended.items():
            why = "over" if one.is_over(now) else "resumed"
            get().info(Event.OVERRIDE_ENDED, scope=scope, kind=one.kind, why=why)
        for scope, one in begun.items():
            get().info(Event.OVERRIDE_SET, scope=scope, kind=one.kind, since=one.since, until=one.until)
        if changed := begun.keys() | ended.keys():
            self._changed(None if _ALL in changed else changed)


def _text(overrides: Overrides) -> str:
    models = {name: plain(one) for name, one in sorted(overrides.models.items())}
    return json.dumps({"all": plain(overrides.every), "models": models}, ensure_ascii=False)


def _parsed(text: str) -> Overrides:
    if not text:
        return Overrides()
    try:
        told = json.loads(text)
        return Overrides(every=_one(told["all"]), models={name: _override(one) for name, one in told["models"].items()})
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise LedgerError(
            f"the overrides in the ledger cannot be read: {exc}. A newer warmer wrote them: use that"
        ) from exc


def _one(told: Mapping[str, Any] | None) -> Override | None:
    return None if told is None else _override(told)


def _override(told: Mapping[str, Any]) -> Override:
    return Override(
        kind=Kind(told["kind"]), since=_instant(told["since"]), until=told["until"] and _instant(told["until"])
    )


def _instant(text: str) -> datetime:
    return parse_instant(text)
