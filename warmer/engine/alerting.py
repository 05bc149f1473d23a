"""Tells people of what is wrong while they do not look: sees the signs, keeps the episodes, sends the alerts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from typing import TypeVar

from warmer.core.alert import Alert, AlertKind, Episode, Episodes, Sign, advance, told
from warmer.core.beat import Reason, Verdict
from warmer.core.budget import ALL_MODELS, Spending
from warmer.core.note import read_note
from warmer.core.spec import Spec
from warmer.engine.accounts import Accounts
from warmer.engine.budgets import spendings_of
from warmer.engine.desk import Desk
from warmer.engine.heartbeat import Tick
from warmer.errors import LedgerError
from warmer.log import Event, get
from warmer.ports import Clock, Contacts

T = TypeVar("T")

LOOK_S = 15.0
"""Between two looks for signs."""
COUNT_EVERY_S = 60.0
"""Between two looks at what counts against the caps: of a thousand models they may be a thousand."""
COLD_STREAK = 3
"""So many beats in a row that are cold: one is the first of a day, two are bad luck."""
NEARLY = Decimal("0.8")
"""Of a cap."""
AT_MOST_TOLD = 20
"""Alerts that one message tells in full."""
_NOTE = "alerts"
_REFUSED = (Reason.ACCOUNT_REFUSED, Reason.CREDIT_EXHAUSTED)


class Alerting:
    """One for each process; all of one ledger tell of an episode once."""

    def __init__(self, desk: Desk, clock: Clock, spec: Callable[[], Spec], accounts: Callable[[], Accounts]) -> None:
        self._desk, self._clock, self._spec, self._accounts = desk, clock, spec, accounts
        self._cold = set[str]()  # the models whose last beat from here was
        self._counted: tuple[float, list[Sign]] | None = None  # when, by the monotonic clock, and what was seen
        self._contacts: Contacts | None = None
        self._are_there = asyncio.Event()

    @property
    def contacts(self) -> Contacts | None:
        """Whom to tell; None: nobody."""
        return self._contacts

    @contacts.setter
    def contacts(self, contacts: Contacts | None) -> None:
        self._contacts = contacts
        if contacts is None:
            self._are_there.clear()
        else:
            self._are_there.set()

    async def wanted(self) -> None:
        """Return as soon as there is somebody to tell."""
        await self._are_there.wait()

    def ticked(self, tick: Tick) -> None:
        """A tick has ended. A probe is cold on purpose, if it is."""
        seen = tick.observation
        if seen is None or seen.reason is Reason.PROBE:
            return
        if seen.verdict is Verdict.COLD:
            self._cold.add(seen.model)
        elif seen.verdict is Verdict.WARM:
            self._cold.discard(seen.model)

    async def keep_on(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.wanted()
            await self._clock.sleep(LOOK_S)
            with suppress(LedgerError):  # said by the desk
                await self.look()

    async def look(self) -> None:
        """Tell what there is to be told. Raises LedgerError; to be sent or not is no error."""
        contacts, spec = self.contacts, self._spec()
        if contacts is None or not contacts.takes_alerts:
            return
        known = _parsed(await self._desk.do(lambda ledger: ledger.note(_NOTE)))
        signs = await self._signs(spec, known)
        now = self._clock.now()
        if advance(known, signs, now) == (known, ()):
            return  # as nearly always: nothing is written
        alerts = await self._change(lambda found: advance(found, signs, now))
        if alerts:
            await self._tell(contacts, alerts)

    async def _tell(self, contacts: Contacts, alerts: Sequence[Alert]) -> None:
        title, text = message(alerts)
        failures = await contacts.tell(title, text)
        for to, error in failures.items():
            get().warning(Event.ALERT_FAILED, to=to, alerts=len(alerts), error=error)
        if len(failures) == contacts.takes_alerts:
            return  # each comes back after a pause, some times
        for alert in alerts:
            get().info(Event.ALERT_SENT, kind=alert.kind, scope=alert.scope, over=alert.is_over, text=alert.text)
        await self._change(lambda found: (told(found, alerts), None))

    async def _change(self, change: Callable[[Episodes], tuple[Episodes, T]]) -> T:
        """Put what `change` makes of the episodes in their place, in one step over all processes."""

        def rewrite(text: str, _: float) -> tuple[str, T]:
            found, result = change(_parsed(text))
            return _text(found), result

        return await self._desk.do(lambda ledger: ledger.change_note(_NOTE, rewrite))

    # -- signs -------------------------------------------------------------------------------------------------------

    async def _signs(self, spec: Spec, known: Episodes) -> list[Sign]:
        accounts = self._accounts()
        found = [*await self._cold_streaks(spec, known), *await self._budgets(spec)]
        refused = [
            (account.title, hold.reason)
            for account in accounts
            if (hold := account.standing.account_hold) is not None and hold.reason in _REFUSED
        ]
        if refused:
            title, reason = refused[0]
            whose = "no model" if len(refused) == len(accounts.each) else f"no model of {title}"
            what = "the token is refused" if reason is Reason.ACCOUNT_REFUSED else "there is no credit left"
            text = f"{whose} is kept warm: {what}. The log says what to do (account.paused)"
            found.append(Sign(kind=AlertKind.ACCOUNT_REFUSED, scope=ALL_MODELS, text=text))
        for model in spec.models:
            if model.alerts and accounts.of(model).standing.held(model.name) is Reason.MODEL_DISABLED:
                text = (
                    f"{model.name} is not kept warm: the provider refuses it as {model.where} has it. "
                    "The log says what to do (model.disabled)"
                )
                found.append(Sign(kind=AlertKind.MODEL_DISABLED, scope=model.name, text=text))
        return found

    async def _cold_streaks(self, spec: Spec, known: Episodes) -> list[Sign]:
        self._cold = {name for name in self._cold if spec.model(name)}
        ongoing = {one.scope for one in known.values() if one.kind is AlertKind.COLD_STREAK and not one.is_over}
        signs = []
        for name in sorted(self._cold | ongoing):
            entry = spec.model(name)
            if entry is not None and not entry.alerts:
                continue
            last = await self._last_verdicts(name)
            is_streak = last.count(Verdict.COLD) == COLD_STREAK
            if last[:1] == (Verdict.WARM,):
                self._cold.discard(name)  # another process has seen it warm since
            elif is_streak or name in ongoing:
                text = (
                    f"{name} is cold though it is kept warm: its last {COLD_STREAK} beats were. "
                    "A shorter `every` may help; `warmer advise` says whether beats are worth it"
                )
                signs.append(Sign(kind=AlertKind.COLD_STREAK, scope=name, text=text))
        return signs

    async def _last_verdicts(self, model: str) -> Sequence[Verdict]:
        return await self._desk.do(lambda ledger: ledger.verdicts(model, COLD_STREAK))

    async def _budgets(self, spec: Spec) -> list[Sign]:
        at = self._clock.monotonic()
        if self._counted is None or at - self._counted[0] >= COUNT_EVERY_S:
            self._counted = at, await self._count(spec)
        now = self._clock.now()
        return [sign for sign in self._counted[1] if sign.until is None or sign.until > now]

    async def _count(self, spec: Spec) -> list[Sign]:
        silent = {model.name for model in spec.models if not model.alerts}
        reached = self._accounts().budgets.reached(spec.caps)
        found = []
        for spending in await spendings_of(self._desk, spec, self._clock.now()):
            limit = spending.limit
            if limit.cap.model in silent:
                continue
            used = limit.cap.usd - spending.left_usd
            if limit in reached or not spending.left_usd:
                kind, what = AlertKind.BUDGET_REACHED, "no more beats are sent"
            elif used >= NEARLY * limit.cap.usd:
                kind, what = AlertKind.BUDGET_NEARLY_USED, f"{used / limit.cap.usd:.0%} are used"
            else:
                continue
            found.append(Sign(kind=kind, scope=str(limit.cap), text=_of(spending, what), until=limit.end))
        return found


def message(alerts: Sequence[Alert]) -> tuple[str, str]:
    """Title and text of the one message that tells all of these."""
    lines = [f"{'Over: ' if one.is_over else ''}{one.text}" for one in alerts[:AT_MOST_TOLD]]
    if more := len(alerts) - len(lines):
        lines.append(f"and {more} more: see the log (alert.sent)")
    (what, *others) = alerts
    title = f"warmer: {what.kind.replace('_', ' ')}, {what.scope}{' is over' if what.is_over else ''}"
    return (title if not others else f"warmer: {len(alerts)} alerts"), "\n".join(lines)


def _of(spending: Spending, what: str) -> str:
    cap, end = spending.limit.cap, spending.limit.end
    used = cap.usd - spending.left_usd
    return (
        f"the {cap.period} budget of {cap.scope}: {what}, {used:.4f} of {cap.usd} USD count. "
        f"It begins anew at {end.isoformat()}"
    )


def _parsed(text: str) -> Episodes:
    return read_note(text, dict[str, Episode]) or {}


def _text(episodes: Mapping[str, Episode]) -> str:
    return json.dumps({key: asdict(one) for key, one in episodes.items()}, ensure_ascii=False) if episodes else ""
