"""What the engine needs of the world: the protocols, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from warmer.core.beat import (
    Answer,
    BeatKey,
    BeatRequest,
    Claim,
    Contract,
    Observation,
    OpenBeat,
    Prediction,
    Reason,
    Request,
    Use,
)
from warmer.core.budget import Limit, Spending
from warmer.core.floor import Floor, Instances, Spell
from warmer.core.health import Gauges, Health, Member
from warmer.core.history import Evidence, History
from warmer.core.listing import Import, Page
from warmer.core.price import Cost, Price
from warmer.core.spec import Listen, Target

RECENT_AT_MOST = 10_000
"""How many predictions `Provider.recent` gives. An account that may create 600 a minute makes as many in 17 minutes,
and a list of 100 a page is read as far within half a minute: whoever needs more of it takes the pages."""


class Clock(Protocol):
    """Time as warmer sees it. Nothing else reads a clock."""

    def now(self) -> datetime:
        """The wall clock, aware, UTC: for active hours and ledger rows."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever go forward: for durations, never for dates."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return `seconds` of this clock later; at once if not positive."""
        ...


class OnDue(Protocol):
    """What a schedule calls: `name` is due, and has been for `late_s` where the schedule alone can tell."""

    def __call__(self, name: str, late_s: float | None = None) -> asyncio.Task[Any] | None:
        """The tick that is under way then, if any."""
        ...


class Schedule(Protocol):
    """Calls a function once for each name that is armed: the daemon's timers."""

    @property
    def is_shared(self) -> bool:
        """Whether the names of all processes are one: what one arms, any of them may be called for."""
        ...

    @property
    def members(self) -> Sequence[Member]:
        """The processes that share it; none where it is this one's alone."""
        ...

    def start(self) -> None:
        """Begin to call; needs the running loop."""
        ...

    def arm(self, name: str, delay_s: float) -> None:
        """Call for `name` once, `delay_s` from now.

        Replaces what was armed for it. A shared one keeps what was armed for sooner.
        """
        ...

    def disarm(self, name: str) -> None:
        """Forget `name`; harmless where nothing is armed."""
        ...

    def stop(self) -> None:
        """No more calls; what was called for goes on."""
        ...

    async def alone(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, which does not end, in one process at a time: here, while no other does."""
        ...

    async def close(self) -> None:
        """Let go of what is behind it, at the very end."""
        ...


class Provider(Protocol):
    """A host of models. Every method may raise the ProviderError branch of `warmer.errors`."""

    async def describe(self, target: Target) -> Contract:
        """What the provider says of the target now: version to send, billing class, input schema."""
        ...

    async def versions(self, target: Target) -> tuple[str, ...]:
        """The target's versions, newest first; empty where the provider does not list them."""
        ...

    async def admit(self) -> None:
        """Return when the account's rate allows one more create: first come, first served."""
        ...

    async def create(self, request: BeatRequest) -> Prediction:
        """Send one prediction, once. Raises Doubtful where it may have been accepted without a reply."""
        ...

    async def read(self, prediction_id: str) -> Prediction:
        """The prediction as it stands."""
        ...

    async def cancel(self, prediction_id: str) -> None:
        """Ask for the prediction to be stopped; harmless on a finished one."""
        ...

    def pages(self, since: datetime | None = None, *, cursor: str | None = None) -> AsyncIterator[Page]:
        """The account's predictions, newest first, page by page: those created at or after `since`, or all there are.

        `since` is by the provider's clock; `cursor` goes on where the page that gave it ended. Raises ModelRefused
        where the provider does not take that cursor any more.
        """
        ...

    async def recent(self, since: datetime, *, limit: int = RECENT_AT_MOST) -> tuple[Prediction, ...]:
        """The account's predictions created at or after `since` (provider's clock), newest first, at most `limit`."""
        ...

    async def verify(self) -> str:
        """The account's name: the cheapest proof that the token is good."""
        ...

    @property
    def skew(self) -> timedelta:
        """How far the provider's clock is ahead of ours, by its last reply; zero where it is within two seconds."""
        ...

    @property
    def scaler(self) -> Scaler | None:
        """What moves the floors of the account's deployments; None where the host has none."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


class Scaler(Protocol):
    """Deployments that hold instances. Both methods may raise the ProviderError branch of `warmer.errors`."""

    async def instances(self, target: Target) -> Instances:
        """What the deployment may scale to now."""
        ...

    async def set_minimum(self, target: Target, instances: int) -> Instances:
        """Ask once for another floor, and return what the reply says.

        Raises Doubtful or Unavailable where it may have been carried out: look before repeating.
        """
        ...


class Notes(Protocol):
    """What the processes of one ledger tell each other."""

    def change_note(self, name: str, change: Callable[[str, float], str]) -> None:
        """Put what `change` makes of it in the place of what is kept under `name`, in one step over all processes.

        `change` is given the text, empty at first, and the time by the one clock of all of them, in seconds. It may be
        called in another thread. Blocks, shortly; may raise LedgerError.
        """
        ...


class Ledger(Notes, Protocol):
    """The durable record. Methods block, shortly; each is atomic and may raise LedgerError."""

    def claim(self, claim: Claim) -> Answer:
        """Write down the intent to send and reserve the most it may cost, in one step over all processes.

        Not taken where another process has claimed the same beat, or where it would pass one of the claim's limits.
        """
        ...

    def sent(self, key: BeatKey, prediction: Prediction) -> bool:
        """The provider accepted the beat. False, and nothing is changed, where the prediction is another beat's."""
        ...

    def finish(self, key: BeatKey, observation: Observation, settled: Mapping[str, Cost] | None = None) -> bool:
        """Record how the beat ended, and what earlier ones are known to have cost by now, by prediction id.

        Both or neither: False, and nothing is changed, where the end was on record already.
        """
        ...

    def spendings(self, limits: Iterable[Limit], at: datetime) -> tuple[Spending, ...]:
        """What counts against each of the limits at `at`, our own clock, whichever process spent it."""
        ...

    def open_beats(self) -> tuple[OpenBeat, ...]:
        """Beats that were claimed and are not finished, oldest first."""
        ...

    def history(self, model: str) -> History:
        """What is known of one model, for `core.state.fold`."""
        ...

    def known_beats(self, prediction_ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids that are beats of ours."""
        ...

    def add_requests(self, requests: Iterable[Request]) -> int:
        """Record customers' calls, once each by prediction id; a later reading completes an earlier one. New ones."""
        ...

    def keep_import(self, progress: Import, calls: Iterable[Request] = ()) -> Mapping[str, int]:
        """Record how far an import has come, and the calls it came upon; returns how many of them are new, by model.

        Calls that were on record stay as they are, but for those that had not ended. One that is finished is the end of
        all that were not.
        """
        ...

    def unfinished_imports(self) -> tuple[Import, ...]:
        """The imports that were begun and not finished, the latest first."""
        ...

    def imported_at(self) -> datetime | None:
        """When an import was last finished, by our clock: the past may be another one since."""
        ...

    def settle(self, calls: Iterable[Request]) -> None:
        """Put the gaps and the verdicts of calls that are on record to those given."""
        ...

    def open_requests(self, since: datetime) -> tuple[Request, ...]:
        """Customers' calls created at or after `since` that were last seen unfinished."""
        ...

    def uses(self, model: str, start: datetime, end: datetime) -> tuple[Use, ...]:
        """Beats and calls of `model` that were waiting or running at some time from `start` to `end`."""
        ...

    def last_activity_before(self, model: str, moment: datetime) -> datetime | None:
        """End of the model's last use that had ended by `moment`; `moment` itself where one was still going on."""
        ...

    def salt(self) -> bytes:
        """What hashes of inputs are salted with in this ledger, and in no other."""
        ...

    def newest_request_at(self) -> datetime | None:
        """Creation of the newest customer call on record, over all models."""
        ...

    def evidence(self, model: str, *, since: datetime | None = None, limit: int) -> tuple[Evidence, ...]:
        """What the latest `limit` of the model's beats and calls that ended after `since` met, oldest first.

        Only what tells something: warm or cold for sure, after a gap no shorter than a host could tell.
        """
        ...

    def call_times(self, model: str, *, after: datetime | None = None) -> tuple[datetime, ...]:
        """When customers called `model`, later than `after`, in order."""
        ...

    def floor(self, deployment: str) -> Floor | None:
        """The latest raise of that deployment's floor, `owner/name`, whether it has ended or not."""
        ...

    def open_floors(self) -> tuple[Floor, ...]:
        """The raises that have not ended."""
        ...

    def keep_floor(
        self,
        floor: Floor,
        *,
        at: datetime,
        price: Price | None = None,
        limits: Iterable[Limit] = (),
        since: datetime | None = None,
    ) -> Answer:
        """Write down the beginning of a raise, or how it goes on from the revision before; and what it holds from now.

        `at`: now, by our own clock. `price`: of a second of one of its instances. What it is to hold is reserved with
        that, in one step over all processes. Not taken where another process has done so meanwhile: read it again. Nor
        where it would pass one of `limits`, counted as if it were held from `since` on.
        """
        ...

    def floor_spells(self, since: datetime) -> tuple[Spell, ...]:
        """For how long floors were raised, by how many instances: what went on after `since`, our own clock.

        In order of their beginning; for `core.floor.held_cost`.
        """
        ...

    def count_tick(self, model: str, reason: Reason, at: datetime) -> None:
        """One more tick of `model` ended with `reason`."""
        ...

    def ticks(self, since: datetime) -> Mapping[tuple[str, Reason], int]:
        """How many ticks ended with which reason, by model, in the hours from `since` on."""
        ...

    def beats(self, *, since: datetime | None = None, model: str | None = None) -> Iterator[Observation]:
        """Finished beats, oldest first."""
        ...

    def latest_beat(self, model: str, *, sent: bool = False) -> Observation | None:
        """The finished beat of `model` that was created last. `sent`: of those that reached the provider."""
        ...

    def requests(self, *, since: datetime | None = None, model: str | None = None) -> Iterator[Request]:
        """Customers' calls, oldest first."""
        ...

    def try_writing(self) -> None:
        """Write something that changes nothing; raises LedgerError where no beat could be recorded now."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Vitals(Protocol):
    """How the daemon is doing."""

    async def health(self) -> Health:
        """What it can do now; within a few seconds, whatever hangs."""
        ...

    async def gauges(self) -> Gauges:
        """What is measured now; within a few seconds, whatever hangs."""
        ...


class Listener(Protocol):
    """Answers for the daemon over HTTP."""

    async def open(self, at: Listen | None, vitals: Vitals) -> None:
        """Answer at `at` from now on and nowhere else, by what `vitals` says; None is nowhere at all.

        Raises nothing for an address that cannot be had: that is logged, and beats matter more.
        """
        ...

    async def close(self) -> None:
        """Answer nowhere any more; within about a second."""
        ...


class Meter(Protocol):
    """Counts what happens in this process. Methods return at once and raise nothing."""

    def beat(self, seen: Observation) -> None:
        """A beat has ended, and its end is on record."""
        ...

    def settled(self, model: str, costs: Mapping[str, Cost]) -> None:
        """What earlier beats of `model` are known to have cost by now, by prediction id."""
        ...

    def calls(self, ended: Iterable[Request]) -> None:
        """Customers' calls that were seen to have ended, each once."""
        ...

    def tick(self, late_s: float) -> None:
        """A tick began, so many seconds after it was due."""
        ...


class Unmetered:
    """Counts nothing."""

    def beat(self, seen: Observation) -> None:
        """Not counted."""

    def settled(self, model: str, costs: Mapping[str, Cost]) -> None:
        """Not counted."""

    def calls(self, ended: Iterable[Request]) -> None:
        """Not counted."""

    def tick(self, late_s: float) -> None:
        """Not counted."""


UNMETERED = Unmetered()
