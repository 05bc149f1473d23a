"""Moves the floors of deployments: written down before it asks, read back after, and looked at again every minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial

from warmer.core.beat import Answer, Reason
from warmer.core.budget import Limit, limits_until
from warmer.core.floor import (
    NOTHING,
    Ask,
    Floor,
    Instances,
    Leave,
    News,
    Wish,
    as_held,
    held_from,
    next_edge,
    plan_floor,
    put_back_at,
    reserves_more,
    wish_of,
)
from warmer.core.price import Price, price_of
from warmer.core.spec import ModelSpec, PolicyName, Target, TargetKind
from warmer.core.stake import stake_of
from warmer.core.state import Hold, ModelState
from warmer.engine.account import Account
from warmer.engine.accounts import Accounts
from warmer.engine.budgets import FLOORS_EVERY
from warmer.engine.desk import Desk
from warmer.engine.learning import Learning
from warmer.engine.overriding import Overriding
from warmer.engine.pause import pause
from warmer.errors import Doubtful, LedgerError, ModelRefused, ProviderError, Unavailable
from warmer.log import Event, get
from warmer.ports import Clock

EVERY_S = FLOORS_EVERY.total_seconds()
"""Between two looks: what died, was lost, or was done by somebody else is found out within this time."""
_STEPS = 7
"""To end one raise and begin the next takes five: end, ask, read back, and a writing or two lost to another process.
One more where a cap stops it."""
_ROUNDING_S = 0.001


class Floors:
    """Puts every floor to what the file asks of it, and back to what it was where no entry asks any more."""

    def __init__(
        self,
        desk: Desk,
        clock: Clock,
        models: Callable[[], Sequence[ModelSpec]],
        poke: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`poke` is told the name of each model that is to be decided on anew."""
        self._desk, self._clock = desk, clock
        self._models, self._poke = models, poke
        self._learning, self._overriding = Learning(models), Overriding()
        self._under_way = dict[str, asyncio.Task[None]]()
        self._again = set[str]()  # those that were asked for while they were under way
        self._poked = asyncio.Event()
        self.troubles = dict[str, ProviderError]()
        """What the provider said last of each deployment that could not be put right."""
        self.stopped = dict[str, Hold]()
        """What the budget has against each deployment's hours: its floor is not raised, or not for all of them."""

    async def sweep(self, accounts: Accounts) -> float:
        """Begin to put every floor right. Returns the seconds after which to look again. Raises LedgerError."""
        entries = {model.target.slug: model for model in accounts.spec.models if model.policy is PolicyName.FLOOR}
        kept = await self._desk.do(lambda ledger: ledger.open_floors())
        nap_s = EVERY_S
        for deployment in dict.fromkeys((*entries, *(floor.deployment for floor in kept))):
            entry = entries.get(deployment)
            account = accounts.of_floor(entry)
            if deployment in self._under_way:
                self._again.add(deployment)
            else:
                task = asyncio.get_running_loop().create_task(self._settle(account, deployment, entry))
                self._under_way[deployment] = task
                task.add_done_callback(partial(self._ended, deployment))
            if entry is not None:
                now = self._clock.now()
                edges = [next_edge(now, entry, await self._state(account, entry))]
                if entry.caps:
                    edges += [put_back_at(floor, now) for floor in kept if floor.deployment == deployment]
                nap_s = min([nap_s, *((edge - now).total_seconds() for edge in edges if edge is not None)])
        return max(nap_s, _ROUNDING_S)

    async def keep_on(self, accounts: Callable[[], Accounts]) -> None:
        """Sweep every minute, and when hours begin and end, until cancelled."""
        while True:
            self._poked.clear()
            nap_s = EVERY_S
            with suppress(LedgerError):  # said by the desk; the next sweep looks again
                nap_s = await self.sweep(accounts())
            await pause(self._clock, nap_s, self._poked)

    def poke(self) -> None:
        """Look again at once: the file has changed."""
        self._poked.set()

    @property
    def under_way(self) -> frozenset[asyncio.Task[None]]:
        """The floors that are being put right."""
        return frozenset(self._under_way.values())

    async def settled(self) -> None:
        """Return when every floor that is being put right is, or could not be."""
        if self._under_way:
            await asyncio.wait(self.under_way)

    async def abandon(self) -> None:
        """Leave every floor where it is: what was asked for is in the ledger, and the next life looks at it."""
        tasks = self.under_way
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tell_left(self) -> None:
        """Say what stays raised, and billed, while nobody looks after it."""
        try:
            kept = await self._desk.do(lambda ledger: ledger.open_floors())
        except LedgerError:
            return  # said by the desk
        for floor in kept:
            if floor.overruled is None:
                instances = max(floor.held, floor.wanted)
                get().warning(
                    Event.FLOOR_LEFT,
                    model=floor.model,
                    deployment=floor.deployment,
                    instances=instances,
                    found=floor.found,
                )

    def _ended(self, deployment: str, task: asyncio.Task[None]) -> None:
        del self._under_way[deployment]
        if deployment in self._again:
            self._again.remove(deployment)
            self.poke()
        if not task.cancelled() and (bug := task.exception()) is not None:
            get().error(Event.TICK_CRASHED, model=deployment, exc_info=bug)

    # -- one floor ---------------------------------------------------------------------------------------------------

    async def _settle(self, account: Account, deployment: str, entry: ModelSpec | None) -> None:
        try:
            if await self._put_right(account, deployment, entry):
                self.troubles.pop(deployment, None)
        except LedgerError:
            pass  # said by the desk; the next sweep puts it right
        except ProviderError as exc:
            known = self.troubles.get(deployment)
            if type(known) is not type(exc):
                name = entry.name if entry is not None else deployment
                get().warning(Event.FLOOR_FAILED, model=name, deployment=deployment, error=str(exc))
            self.troubles[deployment] = exc
            # A hold that is on has been said, and lasts as long as it was meant to.
            if entry is not None and account.standing.hold(entry) is None:
                await account.standing.failed(entry, exc)

    async def _put_right(self, account: Account, deployment: str, entry: ModelSpec | None) -> bool:
        """Look, write down, act, and look again, until nothing is left to do. False where a hold stands before that."""
        scaler = account.provider.scaler
        target = _target(deployment)
        stopped: Hold | None = None  # by the budget: nothing more is raised
        is_over = False  # nor may what is raised stay
        asked: Floor | None = None  # whose reply nobody has looked at yet
        has_asked = False
        price = _price_of(entry, None)
        await account.standing.look()
        for _ in range(_STEPS):
            wish = await self._wish(account, entry)
            known = await self._desk.do(lambda ledger: ledger.floor(deployment))
            if stopped is not None:
                wish = NOTHING if is_over else as_held(wish, known, self._clock.now())
            if asked is not None and asked.wanted > asked.found and known is not None and known.ended_at is not None:
                # Another process ended this raise while our request was on its way: it is to be put back once more.
                known = replace(asked, number=known.number + 1, revision=1)
                if not await self._keep(known, price):
                    continue
            is_ended = known is None or known.ended_at is not None
            is_held = entry is not None and account.standing.hold(entry) is not None
            if is_ended and (is_held or wish == NOTHING):
                self._note_budget(deployment, entry, stopped, wish)
                return wish == NOTHING
            if scaler is None:
                raise ModelRefused(f"the host of {deployment} has no floors", "choose another `policy`")
            actual = await scaler.instances(target)
            price = _price_of(entry, actual)
            if entry is not None and entry.caps and wish.instances:
                account.heartbeat.budgets.floor_costs(entry, price)
                if stopped is None and (stopped := await self._over(account, entry, known, price)) is not None:
                    is_over = True
                    continue
            name = entry.name if entry is not None else deployment
            step = plan_floor(self._clock.now(), deployment, name, wish, known, actual.least)
            if isinstance(step, Leave):
                self._note_budget(deployment, entry, stopped, wish)
                return True
            if not isinstance(step, Ask):
                answer = await self._keep(step.floor, price, entry, known, wish)
                if answer:
                    asked = None
                    self._say(step.news, step.floor, actual, wish)
                    self._free(known, step.floor)
                stopped = stopped or await self._stopped_by(account, entry, answer, price, wish, known)
                continue
            raised_for = entry if step.floor.wanted > actual.least else None
            if raised_for is not None and account.standing.hold(raised_for) is not None:
                return False
            if has_asked:
                raise Unavailable(
                    f"deployment {deployment} stands at {actual.least} instances after {step.floor.wanted} were asked "
                    "for. It is worth another try later"
                )
            _check_most(actual, step.floor)
            # Before anything else is waited for: others come due at the same moment.
            if raised_for is not None and await account.standing.set_out() is not None:
                return False
            answer = await self._keep(step.floor, price, entry, known, wish)
            if answer:
                asked, has_asked = step.floor, True
                await self._ask(account, raised_for, target, step.floor.wanted)
            stopped = stopped or await self._stopped_by(account, entry, answer, price, wish, known)
        return False

    async def _ask(self, account: Account, raised_for: ModelSpec | None, target: Target, instances: int) -> None:
        """Ask once. Where nobody can tell whether that was carried out, the next look does."""
        scaler = account.provider.scaler
        if scaler is None:
            return
        try:
            await scaler.set_minimum(target, instances)
        except (Doubtful, Unavailable) as exc:
            seen = await scaler.instances(target)
            if seen.least != instances:
                raise exc from None
        # That an account without credit may lower a floor says nothing of its credit.
        if raised_for is not None:
            await account.standing.accepted(raised_for)
            account.standing.succeeded(raised_for)

    async def _keep(
        self,
        floor: Floor,
        price: Price | None,
        entry: ModelSpec | None = None,
        before: Floor | None = None,
        wish: Wish = NOTHING,
    ) -> Answer:
        """Write it down; with what it is to hold beyond what `before` does reserved, where caps bind `entry`."""
        now = self._clock.now()
        binding, since = tuple[Limit, ...](), now
        if entry is not None and reserves_more(floor, before):
            binding = limits_until(entry.caps, now, floor.closes_at, entry.hours.zone)
            since = held_from(wish, before, now)
        return await self._desk.do(
            lambda ledger: ledger.keep_floor(floor, at=now, price=price, limits=binding, since=since)
        )

    async def _over(self, account: Account, entry: ModelSpec, known: Floor | None, price: Price | None) -> Hold | None:
        """Why the floor of `entry` may not even stand as it does: nobody knows its price, or a cap was lowered."""
        if known is not None and known.ended_at is None and known.overruled is not None:
            return None
        if price is None or price.per_second is None:
            return Hold(reason=Reason.PRICE_UNKNOWN, until=None)
        if known is None or known.ended_at is not None:
            return None
        return await account.heartbeat.budgets.hold(entry, Decimal(0))

    async def _stopped_by(
        self,
        account: Account,
        entry: ModelSpec | None,
        answer: Answer,
        price: Price | None,
        wish: Wish,
        known: Floor | None,
    ) -> Hold | None:
        if entry is None or answer.stopped_by is None:
            return None
        hold = stake_of(entry, price, held_from(wish, known, self._clock.now()), wish.until)
        return await account.heartbeat.budgets.floor_stopped(entry, answer.stopped_by, hold)

    def _note_budget(self, deployment: str, entry: ModelSpec | None, stopped: Hold | None, wish: Wish) -> None:
        """Keep what the budget has against it; its model is decided on anew where that is news."""
        was = self.stopped.pop(deployment, None)
        if stopped is not None:
            self.stopped[deployment] = stopped
        is_news = (was is None) != (stopped is None)
        if entry is not None and is_news and (stopped is not None or wish.instances):
            self._poke(entry.name)

    def _free(self, before: Floor | None, floor: Floor) -> None:
        """Let all that rests for want of money decide anew, where `floor` leaves some of what was kept for it."""
        now = self._clock.now()
        was_kept = before is not None and before.overruled is None
        is_left = floor.ended_at is not None or floor.overruled is not None
        if was_kept and is_left and (floor.closes_at is None or put_back_at(floor, now) is not None):
            for model in self._models():
                if model.caps:
                    self._poke(model.name)

    async def _wish(self, account: Account, entry: ModelSpec | None) -> Wish:
        if entry is None:
            return NOTHING
        return wish_of(self._clock.now(), entry, await self._state(account, entry))

    async def _state(self, account: Account, entry: ModelSpec) -> ModelState:
        """What its hours go by: overrides, and the boots on record where the lead goes by them."""
        overrides = (await self._desk.do(self._overriding.read)).of(entry.name)
        if entry.lead is not None or entry.hours.always:
            return ModelState(overrides=overrides)
        now = self._clock.now() + account.provider.skew
        knowledge = await self._desk.do(lambda ledger: self._learning.knowledge(ledger, entry, now))
        return ModelState(learned=knowledge.learned, overrides=overrides)

    def _say(self, news: News | None, floor: Floor, actual: Instances, wish: Wish) -> None:
        facts = {
            "model": floor.model,
            "deployment": floor.deployment,
            "instances": actual.least,
            "found": floor.found,
            "release": actual.release,
        }
        match news:
            case News.RAISED:
                get().info(Event.FLOOR_RAISED, until=wish.until, **facts)
            case News.LOWERED:
                held = (floor.ended_at or floor.asked_at) - floor.begun_at
                get().info(Event.FLOOR_LOWERED, held_s=max(held, timedelta(0)).total_seconds(), **facts)
            case News.OVERRULED:
                get().warning(Event.FLOOR_OVERRULED, until=wish.until, **facts)


def _target(deployment: str) -> Target:
    owner, _, name = deployment.partition("/")
    return Target(kind=TargetKind.DEPLOYMENT, owner=owner, name=name)


def _price_of(entry: ModelSpec | None, actual: Instances | None) -> Price | None:
    """Of a second of one instance: the entry's, or that of the hardware that the API tells."""
    hardware = actual.hardware if actual is not None else None
    return price_of(hardware) if entry is None else entry.price_on(hardware)


def _check_most(actual: Instances, floor: Floor) -> None:
    if actual.most is not None and floor.wanted > max(actual.most, actual.least):
        raise ModelRefused(
            f"deployment {floor.deployment} may have {actual.most} instances at most, not {floor.wanted}",
            f"write `instances: {max(actual.most, 1)}`, or raise its max_instances",
        )
