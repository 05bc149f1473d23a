"""How the daemon is doing: asked by whoever answers for it over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal

from warmer.core.budget import Spending
from warmer.core.health import Check, Gauges, Health, ModelGauges
from warmer.core.interval import owed_interval
from warmer.core.official import is_left_alone
from warmer.core.override import Overrides
from warmer.core.spec import Spec
from warmer.engine.budgets import spendings_of
from warmer.engine.desk import Desk
from warmer.engine.fleet import Fleet
from warmer.engine.overriding import Overriding
from warmer.errors import LedgerError
from warmer.ports import Clock

WRITE_GOOD_FOR_S = 5.0
"""How long one try at writing speaks for the ledger: however many ask, the disk is asked once."""
WRITE_WITHIN_S = 2.0
"""A ledger that takes longer holds up every beat."""
LATE_AT_MOST_S = 30.0
"""A tick that is due for longer is no matter of a busy moment: nobody calls for it any more."""


class Vitals:
    """Implements the `Vitals` port from what the daemon is made of."""

    def __init__(self, fleet: Fleet, desk: Desk, clock: Clock) -> None:
        self._fleet, self._desk, self._clock = fleet, desk, clock
        self._read_at, self._rejected = clock.now(), False
        self._try: asyncio.Future[Check] | None = None
        self._tried_at = 0.0
        self._overriding, self._overrides = Overriding(), Overrides()

    def loaded(self) -> None:
        """The file was read, and is in force."""
        self._read_at, self._rejected = self._clock.now(), False

    def rejected(self) -> None:
        """The file is wrong now; the one before is in force."""
        self._rejected = True

    async def health(self) -> Health:
        """What the daemon can do now. Takes WRITE_WITHIN_S at most."""
        accounts, spec = self._fleet.accounts, self._fleet.spec
        return Health(
            config=self._config(),
            ledger=await self._ledger(),
            schedule=self._schedule(),
            reached=accounts.budgets.reached(spec.caps),
            account=accounts.hold,
            models=len(spec.models),
            members=self._fleet.members or (),
        )

    async def gauges(self) -> Gauges:
        """What is measured now. What only the ledger can tell is left out where it cannot soon."""
        accounts, spec = self._fleet.accounts, self._fleet.spec
        timeouts: Mapping[str, Mapping[str, float]] = {}
        spendings: tuple[Spending, ...] = ()
        try:
            async with asyncio.timeout(WRITE_WITHIN_S):
                timeouts = await self._desk.do(lambda _: self._idle_timeouts(spec))
                self._overrides = await self._desk.do(self._overriding.read)
                spendings = await spendings_of(self._desk, spec, self._clock.now())
        except (LedgerError, TimeoutError):
            pass  # the check of the ledger says so, with what to do
        intervals = await asyncio.to_thread(self._intervals, spec)  # of a thousand models: beats go on meanwhile
        return Gauges(
            models={
                model.name: ModelGauges(
                    next_at=self._fleet.next_at(model.name),
                    idle_timeout_s=timeouts.get(model.name, {}),
                    interval_s=intervals.get(model.name),
                    held=accounts.held(model),
                )
                for model in spec.models
            },
            remaining_usd=_remaining(spendings),
            spendings=spendings,
            reached=accounts.budgets.reached(spec.caps),
            account_held=None if (hold := accounts.hold) is None else hold.reason,
            config_is_latest=not self._rejected,
            config_read_at=self._read_at,
            members=None if self._fleet.members is None else len(self._fleet.members),
        )

    def _config(self) -> Check:
        if not self._rejected:
            return Check(ok=True)
        detail = (
            "the file was changed and is wrong: `config.rejected` in the log says where. The one before is in force"
        )
        return Check(ok=True, detail=detail)

    def _schedule(self) -> Check:
        late = self._fleet.overdue()
        if late is None:
            return Check(ok=False, detail="the schedule does not run: the daemon is on its way in or out")
        if late > timedelta(seconds=LATE_AT_MOST_S):
            detail = f"nobody has called for ticks that are due for {late.total_seconds():.0f} s: restart the daemon"
            return Check(ok=False, detail=detail)
        return Check(ok=True)

    async def _ledger(self) -> Check:
        now = self._clock.monotonic()
        if self._try is None or (self._try.done() and now - self._tried_at >= WRITE_GOOD_FOR_S):
            self._try, self._tried_at = asyncio.ensure_future(self._write()), now
        done, _ = await asyncio.wait({self._try}, timeout=WRITE_WITHIN_S)
        if not done:
            detail = f"the ledger takes over {WRITE_WITHIN_S:g} s to write: look at its disk, and at what else uses it"
            return Check(ok=False, detail=detail)
        return self._try.result()

    async def _write(self) -> Check:
        try:
            await self._desk.do(lambda ledger: ledger.try_writing())
            for account in self._fleet.accounts:
                await account.standing.look()
        except LedgerError as exc:
            return Check(ok=False, detail=str(exc))
        return Check(ok=True)

    def _idle_timeouts(self, spec: Spec) -> dict[str, Mapping[str, float]]:
        found: dict[str, Mapping[str, float]] = {}
        for model in spec.models:
            belief = self._fleet.accounts.of(model).learning.idle_timeout(model.name)
            if belief is not None and belief.gaps:
                low, high = belief.band_s
                found[model.name] = {"low": low, "median": belief.median_s, "high": high}
        return found

    def _intervals(self, spec: Spec) -> dict[str, float]:
        """The longest gaps that beats owe now, also where the ledger does not answer: nobody sends any then."""
        accounts, now = self._fleet.accounts, self._clock.now()
        found: dict[str, float] = {}
        for model in spec.models:
            account = accounts.of(model)
            request = account.contracts.known_request(model)
            if request is not None and is_left_alone(model, request.billing):
                continue
            belief = account.learning.idle_timeout(model.name)
            interval = owed_interval(model, self._overrides.of(model.name), belief, now)
            if interval is not None:
                found[model.name] = interval.total_seconds()
        return found


def _remaining(spendings: Iterable[Spending]) -> Mapping[str, Decimal]:
    """By scope, what the narrowest of its caps leaves."""
    left: dict[str, Decimal] = {}
    for spending in spendings:
        scope = spending.limit.cap.scope
        left[scope] = min(spending.left_usd, left.get(scope, spending.left_usd))
    return left
