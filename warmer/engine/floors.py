"""Moves the floors of deployments: written down before it asks, read back after, and looked at again every minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from warmer.core.floor import NOTHING, Ask, Floor, Instances, Leave, News, Wish, next_edge, plan_floor, wish_of
from warmer.core.price import TABLE, Price, price_of
from warmer.core.spec import ModelSpec, PolicyName, Spec, Target, TargetKind
from warmer.core.state import ModelState
from warmer.engine.account import Account
from warmer.engine.desk import Desk
from warmer.engine.learning import Learning
from warmer.errors import Doubtful, LedgerError, ModelRefused, ProviderError, Unavailable
from warmer.log import Event, get
from warmer.ports import Clock

EVERY_S = 60.0
"""Between two looks: what died, was lost, or was done by somebody else is found out within this time."""
_STEPS = 6
"""To end one raise and begin the next takes five: end, ask, read back, and a writing or two lost to another process."""
_ROUNDING_S = 0.001


class Floors:
    """Puts every floor to what the file asks of it, and back to what it was where no entry asks any more."""

    def __init__(self, desk: Desk, clock: Clock, models: Callable[[], Sequence[ModelSpec]]) -> None:
        self._desk, self._clock = desk, clock
        self._learning = Learning(models)
        self._under_way = dict[str, asyncio.Task[None]]()
        self._again = set[str]()  # those that were asked for while they were under way
        self._poked = asyncio.Event()
        self.troubles = dict[str, ProviderError]()
        """What the provider said last of each deployment that could not be put right."""

    async def sweep(self, account: Account, spec: Spec) -> float:
        """Begin to put every floor right. Returns the seconds after which to look again. Raises LedgerError."""
        entries = {model.target.slug: model for model in spec.models if model.policy is PolicyName.FLOOR}
        kept = await self._desk.do(lambda ledger: ledger.open_floors())
        nap_s = EVERY_S
        for deployment in dict.fromkeys((*entries, *(floor.deployment for floor in kept))):
            entry = entries.get(deployment)
            if deployment in self._under_way:
                self._again.add(deployment)
            else:
                task = asyncio.get_running_loop().create_task(self._settle(account, deployment, entry))
                self._under_way[deployment] = task
                task.add_done_callback(partial(self._ended, deployment))
            if entry is not None:
                now = self._clock.now()
                edge = next_edge(now, entry, await self._state(account, entry))
                nap_s = nap_s if edge is None else min(nap_s, (edge - now).total_seconds())
        return max(nap_s, _ROUNDING_S)

    async def keep_on(self, account: Callable[[], Account], spec: Callable[[], Spec]) -> None:
        """Sweep every minute, and when hours begin and end, until cancelled."""
        while True:
            self._poked.clear()
            nap_s = EVERY_S
            with suppress(LedgerError):  # said by the desk; the next sweep looks again
                nap_s = await self.sweep(account(), spec())
            nap, poke = asyncio.ensure_future(self._clock.sleep(nap_s)), asyncio.ensure_future(self._poked.wait())
            try:
                await asyncio.wait({nap, poke}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                nap.cancel()
                poke.cancel()

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
                account.standing.failed(entry, exc)

    async def _put_right(self, account: Account, deployment: str, entry: ModelSpec | None) -> bool:
        """Look, write down, act, and look again, until nothing is left to do. False where a hold stands before that."""
        scaler = account.provider.scaler
        target = _target(deployment)
        asked: Floor | None = None  # whose reply nobody has looked at yet
        has_asked = False
        price = _price_of(entry, None)
        for _ in range(_STEPS):
            wish = await self._wish(account, entry)
            known = await self._desk.do(lambda ledger: ledger.floor(deployment))
            if asked is not None and asked.wanted > asked.found and known is not None and known.ended_at is not None:
                # Another process ended this raise while our request was on its way: it is to be put back once more.
                known = replace(asked, number=known.number + 1, revision=1)
                if not await self._keep(known, price):
                    continue
            is_ended = known is None or known.ended_at is not None
            is_held = entry is not None and account.standing.hold(entry) is not None
            if is_ended and (is_held or wish == NOTHING):
                return wish == NOTHING
            if scaler is None:
                raise ModelRefused(f"the host of {deployment} has no floors", "choose another `policy`")
            actual = await scaler.instances(target)
            price = _price_of(entry, actual)
            name = entry.name if entry is not None else deployment
            step = plan_floor(self._clock.now(), deployment, name, wish, known, actual.least)
            if isinstance(step, Leave):
                return True
            if not isinstance(step, Ask):
                if await self._keep(step.floor, price):
                    asked = None
                    self._say(step.news, step.floor, actual, wish)
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
            if raised_for is not None:
                account.standing.begin_trial()  # before anything is waited for: others come due at the same moment
            if await self._keep(step.floor, price):
                asked, has_asked = step.floor, True
                await self._ask(account, raised_for, target, step.floor.wanted)
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
            account.standing.accepted(raised_for)
            account.standing.succeeded(raised_for)

    async def _keep(self, floor: Floor, price: Price | None) -> bool:
        now = self._clock.now()
        return await self._desk.do(lambda ledger: ledger.keep_floor(floor, at=now, price=price))

    async def _wish(self, account: Account, entry: ModelSpec | None) -> Wish:
        if entry is None:
            return NOTHING
        return wish_of(self._clock.now(), entry, await self._state(account, entry))

    async def _state(self, account: Account, entry: ModelSpec) -> ModelState:
        """What the lead goes by: the boots on record, where it goes by anything."""
        if entry.lead is not None or entry.hours.always:
            return ModelState()
        now = self._clock.now() + account.provider.skew
        knowledge = await self._desk.do(lambda ledger: self._learning.knowledge(ledger, entry, now))
        return ModelState(learned=knowledge.learned)

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
    if entry is not None and entry.price is not None:
        return entry.price
    return price_of(actual.hardware if actual is not None else None, entry.prices if entry is not None else TABLE)


def _check_most(actual: Instances, floor: Floor) -> None:
    if actual.most is not None and floor.wanted > max(actual.most, actual.least):
        raise ModelRefused(
            f"deployment {floor.deployment} may have {actual.most} instances at most, not {floor.wanted}",
            f"write `instances: {max(actual.most, 1)}`, or raise its max_instances",
        )
