"""`warmer once`: one pass for a CronJob, or a short daemon. Safe when two start at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from warmer.core.beat import Reason
from warmer.core.shard import Shard
from warmer.core.spec import ModelSpec, Spec
from warmer.core.state import Hold
from warmer.engine.accounts import Accounts, Connect, open_accounts
from warmer.engine.alerting import Alerting
from warmer.engine.desk import Desk
from warmer.engine.fleet import DRAIN, Fleet
from warmer.engine.floors import Floors
from warmer.engine.heartbeat import Tick
from warmer.engine.housekeeping import Housekeeping
from warmer.engine.recovery import Recovery
from warmer.errors import AccountRefused, CreditExhausted, LedgerError, ProviderError, Throttled
from warmer.log import Event, get
from warmer.ports import Clock, Contacts, Ledger, OnDue, Schedule

_HOUSEKEEPING_S = 0.5
"""What a pass gives to it at its end."""
_ACCOUNT_HELD = {
    Reason.ACCOUNT_REFUSED: AccountRefused.exit_code,
    Reason.CREDIT_EXHAUSTED: CreditExhausted.exit_code,
    Reason.THROTTLED: Throttled.exit_code,
}
"""The holds that a pass may find, and what it ends with where they last."""
DONE, SOME_FAILED, ACCOUNT_SAID_NO, NO_MONEY_LEFT = 0, ProviderError.exit_code, AccountRefused.exit_code, 5


def _local_timers(on_due: OnDue) -> Schedule:
    from warmer.engine.schedule_local import LocalSchedule  # heavy: a single pass has no timers

    return LocalSchedule(on_due)


async def once(
    spec: Spec,
    *,
    connect: Connect,
    ledger: Ledger,
    clock: Clock,
    lasting: timedelta | None = None,
    shard: Shard | None = None,
    keeps_holds: bool = False,
    retry: bool = False,
    contacts: Contacts | None = None,
    schedule: Callable[[OnDue], Schedule] = _local_timers,
) -> int:
    """Tick every model, or those of `shard`, once or for as long as `lasting`. Returns the exit code.

    Floors, and beats that were left open, are looked after whole by every pass: one shard's pod may be missing.

    Beats that are still out when `lasting` is over are left to the host, which ends them at their deadline; the next
    pass picks them up from the ledger. A signal to stop ends the pass early, in the same way.

    `keeps_holds`: all passes on the ledger keep to the holds of an account together; else this one begins without any.
    `retry`: a hold that stands is over.

    `contacts` are told at the end of what is wrong, and given a sign of life unless the account is refused. A pass that
    is stopped tells nothing: the next one does.
    """
    desk = Desk(ledger)
    accounts = open_accounts(spec, connect, desk, clock, spec.entries_of, keeps_holds=keeps_holds, lifts=retry)
    alerting = Alerting(desk, clock, lambda: spec, lambda: accounts)
    alerting.contacts = contacts
    own = replace(spec, models=tuple(model for model in spec.models if shard is None or shard.holds(model.name)))
    floors = Floors(desk, clock, lambda: spec.models)
    work = _Pass(spec=spec, own=own, accounts=accounts, floors=floors, alerting=alerting, desk=desk, clock=clock)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = asyncio.ensure_future(work.go_on(lasting, schedule) if lasting else work.go())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        is_through = running.done()
        if not is_through:
            running.cancel()
        await asyncio.gather(running, return_exceptions=not is_through)
        held = accounts.hold
        code = exit_code(work.ticks, floors.troubles.values(), is_stopped=bool(floors.stopped), held=held)
        if is_through and contacts is not None:
            await _tell(alerting, contacts, is_well=code != ACCOUNT_SAID_NO)
        return code
    finally:
        stopped.cancel()
        if contacts is not None:
            await contacts.close()
        for account in accounts:
            await account.provider.close()
        desk.close()


@dataclass(frozen=True, kw_only=True)
class _Pass:
    """What a pass goes by, and what became of its ticks."""

    spec: Spec
    own: Spec  # with the models that this one ticks
    accounts: Accounts
    floors: Floors
    alerting: Alerting
    desk: Desk
    clock: Clock
    ticks: list[Tick] = field(default_factory=list)

    async def go(self) -> None:
        """Tick every model once."""
        accounts, rested = self.accounts, dict[str, Tick]()  # for the account's sake

        async def one(model: ModelSpec) -> None:
            tick = await accounts.of(model).heartbeat.tick(model)
            self._ended(tick)
            if tick.reason in _ACCOUNT_HELD:
                rested[model.name] = tick

        recovery = Recovery(self.desk, self.clock, lambda: accounts.out, lambda _: None)
        under_way = list[asyncio.Future[None]]()
        try:
            await self.floors.sweep(accounts)
            await recovery.sweep(accounts)
            await recovery.settled()
            under_way += [asyncio.ensure_future(one(model)) for model in self.own.models]
            await asyncio.gather(*under_way)
            # One of them has tried, and the account is well.
            again = [m for m in self.own.models if m.name in rested and not accounts.of(m).standing.account_hold]
            if again:
                for model in again:
                    self.ticks.remove(rested[model.name])
                under_way += [asyncio.ensure_future(one(model)) for model in again]
                await asyncio.gather(*under_way)
            await self.floors.settled()
            with contextlib.suppress(LedgerError):  # said by the desk; the next pass goes on with it
                await Housekeeping(self.desk, self.clock).sweep(self.spec, within_s=_HOUSEKEEPING_S)
        finally:
            await recovery.abandon()
            await self.floors.abandon()
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def go_on(self, lasting: timedelta, schedule: Callable[[OnDue], Schedule]) -> None:
        """Be a daemon for so long."""
        fleet = Fleet(self.own, self.accounts, self.clock, on_tick=self._ended)
        timers = schedule(fleet.due)
        timers.start()
        recovery = Recovery(self.desk, self.clock, lambda: self.accounts.out, fleet.poke)
        housekeeping = Housekeeping(self.desk, self.clock)
        sweeping = asyncio.gather(
            housekeeping.keep_on(lambda: self.spec, at_once=True),
            recovery.keep_on(lambda: self.accounts, at_start=False),
            self.floors.keep_on(lambda: self.accounts),
            self.alerting.keep_on(),
        )
        try:
            fleet.start(timers)
            await self.clock.sleep(lasting.total_seconds())
            fleet.stop()
            await fleet.drained(DRAIN)
        finally:
            timers.stop()
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            await recovery.abandon()
            await fleet.abandon()
            await self.floors.abandon()

    def _ended(self, tick: Tick) -> None:
        self.ticks.append(tick)
        self.alerting.ticked(tick)


async def _tell(alerting: Alerting, contacts: Contacts, *, is_well: bool) -> None:
    with contextlib.suppress(LedgerError):  # said by the desk; the next pass tells
        await alerting.look()
    if is_well and contacts.takes_pings and (error := await contacts.ping()) is not None:
        get().warning(Event.PING_FAILED, error=error)


def exit_code(
    ticks: Sequence[Tick],
    of_floors: Iterable[ProviderError] = (),
    *,
    is_stopped: bool = False,
    held: Hold | None = None,
) -> int:
    """What a pass ends with. A beat that was not due, or that another process sent, counts as done.

    `is_stopped`: the budget has kept a floor from being raised. `held`: what holds the account in the end.
    """
    errors = [tick.error for tick in ticks if tick.error is not None]
    errors += of_floors
    if any(isinstance(error, (AccountRefused, CreditExhausted)) for error in errors):
        return ACCOUNT_SAID_NO
    seen = [tick.observation for tick in ticks if tick.observation is not None]
    if errors or any(not observation.status.is_good for observation in seen):
        return SOME_FAILED
    if held is not None and held.reason in _ACCOUNT_HELD:  # as a pass before this one found out
        return _ACCOUNT_HELD[held.reason]
    stopped = is_stopped or any(tick.reason in (Reason.OVER_BUDGET, Reason.PRICE_UNKNOWN) for tick in ticks)
    return NO_MONEY_LEFT if stopped else DONE
