"""`warmer once`: one pass for a CronJob, or a short daemon. Safe when two start at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from warmer.core.beat import Reason, Status
from warmer.core.shard import Shard
from warmer.core.spec import ModelSpec, Spec
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.engine.fleet import DRAIN, Fleet
from warmer.engine.floors import Floors
from warmer.engine.heartbeat import Tick
from warmer.engine.recovery import Recovery
from warmer.engine.schedule_local import LocalSchedule
from warmer.errors import AccountRefused, CreditExhausted, ProviderError
from warmer.ports import Clock, Ledger, OnDue, Provider, Schedule

DONE, SOME_FAILED, ACCOUNT_SAID_NO, NO_MONEY_LEFT = 0, ProviderError.exit_code, AccountRefused.exit_code, 5


async def once(
    spec: Spec,
    *,
    provider: Provider,
    ledger: Ledger,
    clock: Clock,
    lasting: timedelta | None = None,
    shard: Shard | None = None,
    schedule: Callable[[OnDue], Schedule] = LocalSchedule,
) -> int:
    """Tick every model, or those of `shard`, once or for as long as `lasting`. Returns the exit code.

    Floors, and beats that were left open, are looked after whole by every pass: one shard's pod may be missing.

    Beats that are still out when `lasting` is over are left to the host, which ends them at their deadline; the next
    pass picks them up from the ledger. A signal to stop ends the pass early, in the same way.
    """
    desk = Desk(ledger)
    ticks = list[Tick]()
    account = Account.over(provider, desk, clock, lambda: spec.models, shared_as=spec.shared_as)
    floors = Floors(desk, clock, lambda: spec.models)
    ticked = replace(spec, models=tuple(model for model in spec.models if shard is None or shard.holds(model.name)))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = (
        _short_daemon(spec, ticked, account, floors, desk, clock, ticks, lasting, schedule)
        if lasting
        else _pass(spec, ticked, account, floors, desk, clock, ticks)
    )
    running = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            running.cancel()
        await asyncio.gather(running, return_exceptions=not running.done())
    finally:
        stopped.cancel()
        await provider.close()
        desk.close()
    return exit_code(ticks, floors.troubles.values(), is_stopped=bool(floors.stopped))


async def _pass(
    spec: Spec, ticked: Spec, account: Account, floors: Floors, desk: Desk, clock: Clock, ticks: list[Tick]
) -> None:
    async def one(model: ModelSpec) -> None:
        ticks.append(await account.heartbeat.tick(model))

    recovery = Recovery(desk, clock, lambda: account.heartbeat.out, lambda _: None)
    under_way = list[asyncio.Future[None]]()
    try:
        await floors.sweep(account, spec)
        await recovery.sweep(account, spec)
        await recovery.settled()
        under_way += [asyncio.ensure_future(one(model)) for model in ticked.models]
        await asyncio.gather(*under_way)
        await floors.settled()
    finally:
        await recovery.abandon()
        await floors.abandon()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _short_daemon(
    spec: Spec,
    ticked: Spec,
    account: Account,
    floors: Floors,
    desk: Desk,
    clock: Clock,
    ticks: list[Tick],
    lasting: timedelta,
    schedule: Callable[[OnDue], Schedule],
) -> None:
    fleet = Fleet(ticked, account, clock, on_tick=ticks.append)
    timers = schedule(fleet.due)
    timers.start()
    recovery = Recovery(desk, clock, lambda: account.heartbeat.out, fleet.poke)
    sweeping = asyncio.gather(
        recovery.keep_on(lambda: account, lambda: spec, at_start=False), floors.keep_on(lambda: account, lambda: spec)
    )
    try:
        fleet.start(timers)
        await clock.sleep(lasting.total_seconds())
        fleet.stop()
        await fleet.drained(DRAIN)
    finally:
        timers.stop()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await recovery.abandon()
        await fleet.abandon()
        await floors.abandon()


def exit_code(ticks: Sequence[Tick], of_floors: Iterable[ProviderError] = (), *, is_stopped: bool = False) -> int:
    """What a pass ends with. A beat that was not due, or that another process sent, counts as done.

    `is_stopped`: the budget has kept a floor from being raised.
    """
    errors = [tick.error for tick in ticks if tick.error is not None]
    errors += of_floors
    if any(isinstance(error, (AccountRefused, CreditExhausted)) for error in errors):
        return ACCOUNT_SAID_NO
    seen = [tick.observation for tick in ticks if tick.observation is not None]
    if errors or any(observation.status is not Status.SUCCEEDED for observation in seen):
        return SOME_FAILED
    stopped = is_stopped or any(tick.reason in (Reason.OVER_BUDGET, Reason.PRICE_UNKNOWN) for tick in ticks)
    return NO_MONEY_LEFT if stopped else DONE
