"""`warmer run`: starts loudly, reloads whole or not at all, leaves politely."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from warmer.core.beat import BeatKey
from warmer.core.changes import fixed_key
from warmer.core.spec import PolicyName, Spec
from warmer.engine.account import Account
from warmer.engine.accounts import Accounts, Connect, open_accounts
from warmer.engine.alerting import Alerting
from warmer.engine.board import Board
from warmer.engine.console import Console
from warmer.engine.desk import Desk
from warmer.engine.fleet import DRAIN, Fleet
from warmer.engine.floors import Floors
from warmer.engine.housekeeping import Housekeeping
from warmer.engine.inbox import Inbox
from warmer.engine.journal import Journal
from warmer.engine.lifesign import Lifesign
from warmer.engine.overriding import OverrideWatch
from warmer.engine.recovery import Recovery
from warmer.engine.schedule_local import LocalSchedule
from warmer.engine.supervisor import Supervisor
from warmer.engine.vitals import Vitals
from warmer.engine.watch import POLL_S, Watched
from warmer.errors import ConfigError, LedgerError, ProviderError, WarmerError
from warmer.log import Event, get
from warmer.ports import UNMETERED, Clock, Contacts, Ledger, Listener, Meter, OnDue, Schedule
from warmer.version import __version__

CUT = timedelta(seconds=1.8)
"""How long cancelling what is left may take. Together with DRAIN under 5 s."""
_TRAFFIC_EVERY_S = 300.0
_TRAFFIC_OFTEN_S = 10.0
"""Where a model waits for its customers to call: their call is followed by a beat before the instance is gone."""


class Daemon:
    """The models of one file, kept warm until told to stop."""

    def __init__(
        self,
        spec: Spec,
        *,
        load: Callable[[], Spec],
        connect: Connect,
        ledger: Ledger,
        clock: Clock,
        schedule: Callable[[OnDue], Schedule] = LocalSchedule,
        supervisor: Supervisor | None = None,
        listener: Listener | None = None,
        meter: Meter = UNMETERED,
        admin_token: Callable[[Spec], str | None] = lambda spec: None,
        contacts: Callable[[Spec], Contacts | None] = lambda spec: None,
    ) -> None:
        """`load` reads the file anew, in another thread, and may raise a WarmerError.

        `listener` answers over HTTP where the file says; without one, nobody does. `admin_token` reads what changes
        over HTTP ask for, and `contacts` the addresses of whoever is told of what is wrong; they may raise a
        WarmerError too.
        """
        self._load, self._connect, self._clock = load, connect, clock
        self._desk, self._meter = Desk(ledger), meter
        self._alerting = Alerting(self._desk, clock, lambda: self._fleet.spec, lambda: self._fleet.accounts)
        self._fleet = Fleet(spec, self._open(spec), clock, meter=meter, on_tick=self._alerting.ticked)
        self._schedule = schedule(self._fleet.due)
        self._supervisor, self._listener = supervisor or Supervisor(), listener
        self._vitals = Vitals(self._fleet, self._desk, clock)
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._retired = dict[Account, frozenset[asyncio.Task[Any]]]()  # and the tasks that still go by it
        self._recovery = Recovery(self._desk, clock, self._out, self._fleet.poke)
        self._housekeeping = Housekeeping(self._desk, clock)
        self._floors = Floors(self._desk, clock, lambda: self._fleet.spec.models, self._fleet.poke)
        self._overrides = OverrideWatch(self._desk, clock, self._overridden)
        self._admin_token = admin_token
        self._console = Console(self._fleet, self._desk, clock, self._overrides)
        self._console.admin_token = admin_token(spec)
        self._journal = Journal()
        self._board = Board(self._fleet, self._desk, clock, self._console, self._journal)
        self._inbox = Inbox(self._accounts, clock, meter, say=self._schedule.say if self._schedule.is_shared else None)
        self._schedule.heed(self._inbox.hear)
        self._contacts, self._alerting.contacts = contacts, contacts(spec)
        self._lifesign = Lifesign(self._vitals, clock, lambda: self._alerting.contacts, self._alerting.wanted)

    @property
    def console(self) -> Console:
        """What may be asked of it."""
        return self._console

    async def run(self, *, watch: bool = True, signals: bool = True) -> None:
        """Serve until `stop`; returns once nothing of ours is left running at the provider."""
        with self._journal.kept():
            await self._run(watch=watch, signals=signals)

    async def _run(self, *, watch: bool, signals: bool) -> None:
        spec = self._fleet.spec
        get().info(
            Event.DAEMON_STARTED,
            version=__version__,
            config=spec.path,
            digest=spec.digest,
            models=len(spec.models),
            base_url=spec.account.base_url,
        )
        if signals:
            self._heed_signals()
        self._schedule.start()
        self._fleet.start(self._schedule)
        chores = [asyncio.ensure_future(self._schedule.alone(self._look_after))]
        if watch:
            chores.append(asyncio.ensure_future(self._watch(Watched(spec.path))))
            chores.append(asyncio.ensure_future(self._overrides.keep_on()))
        chores.append(asyncio.ensure_future(self._alerting.keep_on()))
        chores.append(asyncio.ensure_future(self._lifesign.keep_on()))
        chores.append(asyncio.ensure_future(self._inbox.keep_on()))
        if (every := self._supervisor.watchdog_s) is not None:
            chores.append(asyncio.ensure_future(self._show_life(every)))
        await self._listen()
        get().info(Event.DAEMON_READY, models=len(spec.models))
        self._supervisor.ready(self._status())
        asked = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({asked, *chores}, return_when=asyncio.FIRST_COMPLETED)
            ended = [chore for chore in chores if chore.done()]
        finally:
            await self._leave([asked, *chores])
        for chore in ended:
            chore.result()  # raises: none ends but by a bug, and a daemon half alive is worse than one restarted

    def stop(self) -> None:
        """Leave politely."""
        self._stop.set()

    def reload(self) -> None:
        """Read the file again, soon."""
        self._reload.set()

    # -- signals, file, watchdog -------------------------------------------------------------------------------------

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _watch(self, file: Watched) -> None:
        await self._follow_file(asked=False)  # it may have changed between its first reading and the first look at it
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._reload.wait()
            asked = self._reload.is_set()  # also where it was set in the very moment that the waiting ended
            self._reload.clear()
            if asked or file.changed():
                self._supervisor.reloading()
                await self._follow_file(asked=asked)
                await self._listen()
                self._supervisor.ready(self._status())
            await self._dismiss()

    async def _listen(self) -> None:
        if self._listener is not None:
            await self._listener.open(self._fleet.spec.listen, self._vitals, self._console, self._board, self._inbox)

    async def _follow_file(self, *, asked: bool) -> None:
        old = self._fleet.spec
        try:
            # A thousand models take half a second to read: beats do not wait for that.
            spec = await asyncio.to_thread(self._load)
            if (key := fixed_key(old, spec)) is not None:
                raise WarmerError(f"`{key}` cannot change while the daemon runs: restart it, or put the old value back")
            if spec.digest == old.digest and not asked:
                self._vitals.loaded()
                return
            admin_token = self._admin_token(spec)
            before = self._alerting.contacts
            contacts = self._contacts(spec) if asked or spec.alerts != old.alerts else before
            # A reload that was asked for reads the tokens again even where the file is the same: one may be new.
            accounts = self._open(spec, self._fleet.accounts, afresh=asked)
        except ConfigError as exc:
            for fault in exc.faults:
                where = f"{fault.file}:{fault.line}:{fault.column}"
                get().error(Event.CONFIG_REJECTED, where=where, problem=fault.problem, hint=fault.hint)
            self._vitals.rejected()
            return
        except WarmerError as exc:
            get().error(Event.CONFIG_REJECTED, where=old.path, problem=str(exc), hint="")
            self._vitals.rejected()
            return
        for account in set(self._fleet.accounts) - set(accounts):
            self._retired[account] = self._fleet.tasks | self._floors.under_way
        changes = self._fleet.apply(spec, accounts)
        self._inbox.poke()
        self._console.admin_token = admin_token
        self._alerting.contacts = contacts
        if before is not None and contacts is not before:
            await before.close()
        self._floors.poke()
        self._vitals.loaded()
        get().info(
            Event.CONFIG_RELOADED,
            digest=spec.digest,
            models=len(spec.models),
            added=list(changes.added),
            changed=list(changes.changed),
            removed=list(changes.removed),
        )

    def _overridden(self, names: Collection[str] | None) -> None:
        self._fleet.poke_many(names)
        self._floors.poke()

    async def _dismiss(self) -> None:
        """Close the connections of accounts that nothing goes by any more."""
        for account, ticks in list(self._retired.items()):
            if not account.outgoing.out and all(task.done() for task in ticks):
                del self._retired[account]
                await account.provider.close()

    async def _show_life(self, every_s: float) -> None:
        while True:
            self._supervisor.alive()
            await asyncio.sleep(every_s)

    def _status(self) -> str:
        return f"{len(self._fleet.spec.models)} models, file {self._fleet.spec.digest}"

    # -- chores ------------------------------------------------------------------------------------------------------

    async def _look_after(self) -> None:
        """What is done once, by however many processes the file is run. Ends by a bug alone."""
        accounts = lambda: self._fleet.accounts  # noqa: E731 - it changes
        # What is out may be a living process's, where there are others.
        at_start = not self._schedule.is_shared
        work = [
            asyncio.ensure_future(chore)
            for chore in (
                self._recovery.keep_on(accounts, at_start=at_start),
                self._read_traffic(),
                self._housekeeping.keep_on(lambda: self._fleet.spec),
                self._floors.keep_on(accounts),
            )
        ]
        try:
            ended, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for chore in work:
                chore.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        for chore in ended:
            chore.result()

    async def _read_traffic(self) -> None:
        """Customers call outside the active hours too: the record must not have a hole there."""
        while True:
            waiting = any(model.policy is PolicyName.ADAPTIVE for model in self._fleet.spec.models)
            every_s = _TRAFFIC_OFTEN_S if waiting else _TRAFFIC_EVERY_S
            await self._clock.sleep(every_s)
            accounts = self._fleet.accounts
            for account in {accounts.of(model) for model in self._fleet.spec.models if model.traffic}:
                try:
                    await account.traffic.refresh(every_s)
                except (ProviderError, LedgerError) as exc:
                    get().warning(Event.TRAFFIC_FAILED, error=str(exc))

    # -- leaving -----------------------------------------------------------------------------------------------------

    async def _leave(self, chores: Sequence[asyncio.Future[Any]]) -> None:
        self._supervisor.stopping()
        self._journal.end()
        self._fleet.stop()
        self._schedule.stop()
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        hushing = asyncio.ensure_future(self._hush())
        for account in self._accounts():
            account.outgoing.ask()
        finished = await self._drained(DRAIN) or await self._cut()
        await self._recovery.abandon()
        await self._fleet.abandon()
        await self._floors.abandon()
        if len(self._schedule.members) <= 1:  # else the others go on looking after them
            await self._floors.tell_left()
        await self._schedule.close()
        for account in self._accounts():
            await account.provider.close()
        await hushing
        if self._alerting.contacts is not None:
            await self._alerting.contacts.close()
        await self._console.close()
        self._board.close()
        self._desk.close()
        get().info(Event.DAEMON_STOPPED, drained=finished)

    async def _hush(self) -> None:
        if self._listener is not None:
            await self._listener.close()

    async def _cut(self) -> bool:
        """Cancel what is still out at the provider, as soon as it is known by name, and record how it ended."""
        end = asyncio.get_running_loop().time() + CUT.total_seconds()
        cancelled = set[str]()
        while (left := end - asyncio.get_running_loop().time()) > 0.001:  # less is a rounding of the loop's own timers
            try:
                async with asyncio.timeout(left):
                    for account in self._accounts():
                        cancelled |= await account.outgoing.cancel_out(but=cancelled)
            except TimeoutError:
                break
            if await self._drained(timedelta(seconds=min(0.2, left))):
                return True
        return False

    async def _drained(self, within: timedelta) -> bool:
        """Whether every beat that this process follows, and every floor it moves, has come to its end by then."""
        tasks: set[asyncio.Task[Any]] = {*self._fleet.tasks, *self._recovery.following, *self._floors.under_way}
        if not tasks:
            return True
        _, left = await asyncio.wait(tasks, timeout=within.total_seconds())
        return not left

    def _out(self) -> frozenset[BeatKey]:
        return frozenset().union(*(account.outgoing.out for account in self._accounts()))

    def _accounts(self) -> tuple[Account, ...]:
        """Those in force, and those before them: they may have beats out."""
        return (*self._retired, *self._fleet.accounts)

    def _open(self, spec: Spec, before: Accounts | None = None, *, afresh: bool = False) -> Accounts:
        return open_accounts(
            spec,
            self._connect,
            self._desk,
            self._clock,
            lambda label: self._fleet.spec.entries_of(label),
            called=lambda name: self._fleet.called(name),
            meter=self._meter,
            lifts=True,
            before=before,
            afresh=afresh,
        )
