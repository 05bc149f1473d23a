"""A file that somebody would like to try: read, held against the one in force and planned, and nothing of it applied.

It is read where there is nothing to be found: in a process without environment, by rules that open no file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from warmer import config
from warmer.core.changes import Changes, fixed_key
from warmer.core.plain import plain
from warmer.core.spec import Spec
from warmer.core.trial import Change, ChangeKind, Edit, Expected, Trial
from warmer.engine.aside import Aside
from warmer.engine.desk import Desk
from warmer.errors import ConfigError
from warmer.log import Event, get
from warmer.ports import Clock

if TYPE_CHECKING:
    from warmer.core.plan import ModelPlan
    from warmer.ports import Ledger

CALLED = "tried"
"""What stands for the file's path in its faults."""
WITHIN_S = 8.0
"""To read it, and again to plan it: together less than an exchange over HTTP may take."""
PLANNED_AT_MOST = 100
"""Models of a file."""
_DAYS = 7
_SHOWN = 200
_RESTART = "`{}` cannot change while the daemon runs: restart it for that, or keep the old value"


class Trials:
    """Tries one file at a time."""

    def __init__(self, desk: Desk, clock: Clock, within_s: float = WITHIN_S) -> None:
        self._desk, self._clock, self._within_s = desk, clock, within_s
        self._reading = Aside()
        self._planning = Aside.with_ledger()

    async def run(self, text: bytes, in_force: Spec) -> Trial:
        """What putting `text` in force would change. Raises TimeoutError where even reading it takes too long."""
        try:
            found, spec = await self._reading.do(_read, text, in_force, within_s=self._within_s)
        except ConfigError as exc:
            get().info(Event.CONFIG_TRIED, digest=None, added=[], changed=[], removed=[], faults=len(exc.faults))
            return Trial(ok=False, faults=exc.faults)
        get().info(
            Event.CONFIG_TRIED,
            digest=found.digest,
            added=list(found.named(ChangeKind.ADDED)),
            changed=list(found.named(ChangeKind.CHANGED)),
            removed=list(found.named(ChangeKind.REMOVED)),
            faults=0,
        )
        return await self._planned(found, in_force, spec)

    def close(self) -> None:
        """Leave what is under way."""
        self._reading.close()
        self._planning.close()

    async def _planned(self, found: Trial, old: Spec, new: Spec) -> Trial:
        if max(len(old.models), len(new.models)) > PLANNED_AT_MOST:
            return _with(found, {}, {}, f"over {PLANNED_AT_MOST} models take too long here: see `warmer plan`")
        ledger = await self._desk.do(lambda ledger: ledger)  # which is opened anew elsewhere
        try:
            was, becomes = await self._planning.do(_plan, ledger, old, new, self._clock.now(), within_s=self._within_s)
        except TimeoutError:
            return _with(found, {}, {}, "it takes too long here: see `warmer plan`")
        return _with(found, was, becomes, None)


def _read(text: bytes, in_force: Spec) -> tuple[Trial, Spec]:
    spec = config.parse(text, path=CALLED, in_force=in_force)
    was, becomes = config.show(in_force), config.show(spec)
    olds, news = ({one["name"]: one for one in shown.pop("models")} for shown in (was, becomes))
    names = Changes.between(in_force, spec)
    changes = (
        *(Change(model=name, change=ChangeKind.ADDED, edits=_edits({}, news[name])) for name in names.added),
        *(
            Change(model=name, change=ChangeKind.CHANGED, edits=_edits(olds[name], news[name]))
            for name in names.changed
        ),
        *(Change(model=name, change=ChangeKind.REMOVED) for name in names.removed),
    )
    fixed = fixed_key(in_force, spec)
    found = Trial(
        ok=fixed is None,
        digest=spec.digest,
        models=len(spec.models),
        restart=None if fixed is None else _RESTART.format(fixed),
        file=_edits(was, becomes),
        changes=changes,
    )
    return found, spec


def _edits(was: Mapping[str, Any], becomes: Mapping[str, Any]) -> tuple[Edit, ...]:
    keys = dict.fromkeys([*was, *becomes])
    return tuple(
        Edit(key=key, was=_text(was.get(key)), becomes=_text(becomes.get(key)))
        for key in keys
        if was.get(key) != becomes.get(key)
    )


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _plan(ledger: Ledger, old: Spec, new: Spec, start: datetime) -> tuple[Mapping[str, Expected], ...]:
    from warmer.engine.planning import plan_file

    end = start + timedelta(days=_DAYS)
    return tuple(_expected(plan_file(spec, ledger, start, end)) for spec in (old, new))


def _expected(planned: Sequence[ModelPlan]) -> Mapping[str, Expected]:
    return {
        one.model: Expected(
            beats_per_day=one.beats / _DAYS, cost_usd_per_day=None if one.cost_usd is None else one.cost_usd / _DAYS
        )
        for one in planned
    }


def _with(found: Trial, was: Mapping[str, Expected], becomes: Mapping[str, Expected], why: str | None) -> Trial:
    changes = tuple(
        replace(one, now=_rounded(was.get(one.model)), then=_rounded(becomes.get(one.model))) for one in found.changes
    )
    return replace(found, changes=changes, now=_sum(was), then=_sum(becomes), why=why)


def _sum(expected: Mapping[str, Expected]) -> Expected | None:
    if not expected:
        return None
    costs = [one.cost_usd_per_day for one in expected.values()]
    known = [cost for cost in costs if cost is not None]
    return _rounded(
        Expected(
            beats_per_day=sum(one.beats_per_day for one in expected.values()),
            cost_usd_per_day=sum(known, Decimal(0)) if len(known) == len(costs) else None,
        )
    )


def _rounded(one: Expected | None) -> Expected | None:
    if one is None:
        return None
    usd = one.cost_usd_per_day
    return Expected(
        beats_per_day=round(one.beats_per_day, 1),
        cost_usd_per_day=None if usd is None else usd.quantize(Decimal("0.000001")),
    )
