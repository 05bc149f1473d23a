"""The durable record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar
from zoneinfo import ZoneInfo

if TYPE_CHECKING:  # heavy, and here only named
    from warmer.core.beat import (
        Answer,
        BeatKey,
        Claim,
        Observation,
        OpenBeat,
        Prediction,
        Reason,
        Request,
        Use,
        Verdict,
    )
    from warmer.core.board import Calls, Marks, Met
    from warmer.core.budget import Limit, Spending
    from warmer.core.floor import Floor, Spell
    from warmer.core.history import Before, Evidence, Glance, History
    from warmer.core.listing import Import
    from warmer.core.price import Cost, Price
    from warmer.core.rollup import BeatSums, CallSums

T = TypeVar("T")


class Notes(Protocol):
    """What the processes of one ledger tell each other, and what people ask of them all."""

    def change_note(self, name: str, change: Callable[[str, float], tuple[str, T]]) -> T:
        """Put what `change` makes of it in the place of what is kept under `name`, in one step over all processes.

        `change` is given the text, empty at first, and the time by the one clock of all of them, in seconds; what it
        returns beside the new text is returned. It may be called in another thread. Blocks, shortly; may raise
        LedgerError.
        """
        ...


class Ledger(Notes, Protocol):
    """The durable record. Methods block, shortly; each is atomic and may raise LedgerError."""

    def at_one_instant(self) -> AbstractContextManager[None]:
        """What this thread reads within is the ledger of one instant, and cheaper. Nothing is written within."""
        ...

    def note(self, name: str) -> str:
        """What is kept under `name`; empty where nothing is."""
        ...

    def claim(self, claim: Claim) -> Answer:
        """Write down the intent to send and reserve the most it may cost, in one step over all processes.

        Its tick is counted with it. Not taken where another process has claimed the same beat, or where it would pass
        one of the claim's limits.
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

    def glance(
        self,
        model: str,
        *,
        finds_since: datetime | None = None,
        finds: int,
        calls_after: datetime | None = None,
        and_one_before: bool = False,
    ) -> Glance:
        """`history`, `imported_at`, `evidence` and `call_times` at one instant, in one way to the ledger and back.

        `finds`: so many of the latest. `and_one_before`: the last call up to `calls_after`, too.
        """
        ...

    def known_beats(self, prediction_ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids that are beats of ours."""
        ...

    def add_requests(self, requests: Iterable[Request]) -> int:
        """Record customers' calls, once each by prediction id; a later reading completes an earlier one. New ones."""
        ...

    def tell(self, call: Request) -> bool:
        """Record a call that was told by who made it; its end, where that was told later. Whether it is new.

        Nothing is changed where it is one of our beats, or was seen meanwhile.
        """
        ...

    def forget_told(self, model: str, prediction_ids: Iterable[str]) -> None:
        """Those calls of `model`, which were told without their ids, were seen under their own."""
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

    def before(self, model: str, moment: datetime, reach: timedelta = timedelta(0)) -> Before:
        """What was going on with `model` when something came at `moment`: its uses at some time of `reach` before."""
        ...

    def salt(self) -> bytes:
        """What hashes of inputs are salted with in this ledger, and in no other."""
        ...

    def newest_request_at(self, since: datetime | None = None) -> datetime | None:
        """Creation of the newest customer call on record that was seen, over all models; of those since then."""
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
        """One more tick of `model` ended with `reason`, and no beat was claimed."""
        ...

    def beat_sums(self, since: datetime, zone: ZoneInfo, *, model: str | None = None) -> Sequence[BeatSums]:
        """What finished beats since then add up to, by model, hour, policy and reason, those among them that are gone.

        Of an hour that `since` lies within and whose beats are gone, all of them count.
        """
        ...

    def call_sums(self, since: datetime, zone: ZoneInfo, *, model: str | None = None) -> Sequence[CallSums]:
        """What customers' calls since then add up to, by model and hour; as with beats."""
        ...

    def beat_totals(self, since: datetime, until: datetime) -> Sequence[BeatSums]:
        """What finished beats of the hours between add up to, by model, policy and reason; their boots left out."""
        ...

    def call_counts(self, since: datetime) -> Mapping[str, Calls]:
        """How many calls customers made of each model, from the full hour of `since` on."""
        ...

    def marks(self, model: str, since: datetime) -> Marks:
        """When `model` was used since then, to the `SLOT`."""
        ...

    def met(
        self, since: datetime, *, limit: int, model: str | None = None, only_cold_calls: bool = False
    ) -> tuple[Met, ...]:
        """What the latest `limit` beats and calls since then met, oldest first.

        `only_cold_calls`: of as many of the latest calls, those alone that were found cold.
        """
        ...

    def add_up(self, before: datetime, zone: ZoneInfo) -> bool:
        """Add up some more of the hours that ended before then, by the days of `zone`. False where none is left."""
        ...

    def models_on_record(self) -> Sequence[str]:
        """The models of which something was added up, those among them that no file has any more."""
        ...

    def on_record(self) -> Mapping[str, datetime]:
        """Since when all beats of a model are on record, of models of which some are gone."""
        ...

    def let_go(
        self,
        model: str,
        now: datetime,
        *,
        beats: timedelta,
        calls: timedelta,
        newest_beats: int = ...,
        newest_calls: int = ...,
    ) -> bool:
        """Let some more of the model's beats and calls go that are so old and no more needed. False where none is left.

        Only what was added up goes. So many of the newest stay whatever their age, and what is out.
        """
        ...

    def condense(self, now: datetime) -> bool:
        """Keep old ticks, and what caps went by, in less room, some more of them. False where nothing is left to do."""
        ...

    def ticks(self, since: datetime) -> Mapping[tuple[str, Reason], int]:
        """How many ticks ended with which reason, by model, in the hours from `since` on; in the days, of old ones."""
        ...

    def beats(self, *, since: datetime | None = None, model: str | None = None) -> Iterator[Observation]:
        """Finished beats that are on record still, oldest first."""
        ...

    def latest_beat(self, model: str, *, sent: bool = False) -> Observation | None:
        """The finished beat of `model` that was created last. `sent`: of those that reached the provider."""
        ...

    def latest_beats(self, model: str, count: int) -> tuple[Observation, ...]:
        """The last `count` finished beats of `model`, the newest first."""
        ...

    def verdicts(self, model: str, count: int) -> tuple[Verdict, ...]:
        """What the last beats of `model` found, the newest first: of those that could tell, and were no probes."""
        ...

    def requests(self, *, since: datetime | None = None, model: str | None = None) -> Iterator[Request]:
        """Customers' calls that are on record still, oldest first."""
        ...

    def try_writing(self) -> None:
        """Write something that changes nothing; raises LedgerError where no beat could be recorded now."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
