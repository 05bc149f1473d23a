"""The ledger over SQLAlchemy Core."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from warmer.core.beat import (
    Answer,
    BeatKey,
    Claim,
    Observation,
    OpenBeat,
    Prediction,
    Reason,
    Status,
    Use,
    Verdict,
)
from warmer.core.budget import Limit, Spending, in_the_way
from warmer.core.floor import Floor, Spell
from warmer.core.history import Before, Evidence, Glance, History
from warmer.core.past import LONGEST_USE
from warmer.core.price import Cost, Price
from warmer.core.rollup import hour_of
from warmer.core.stake import unheld
from warmer.core.units import to_micros
from warmer.core.verdict import BASELINE_WAITS
from warmer.ledger import queries
from warmer.ledger.archive import Archive
from warmer.ledger.calls import Calls
from warmer.ledger.database import Access
from warmer.ledger.money import add_up, spendings
from warmer.ledger.notes import Notebook
from warmer.ledger.queries import Fact, Kept
from warmer.ledger.rows import (
    cost_columns,
    dump_request,
    evidence_of,
    floor_of,
    floor_row,
    observation_of,
    open_beat_of,
    use_of,
)
from warmer.ledger.spells import OPEN_FLOORS, keep_spell, spells_of
from warmer.ledger.sums import BEGINNING, Kind, touch
from warmer.ledger.tables import beat_at, beats, floors, requests, ticks

_Rows = Mapping[int, Sequence[sa.Row[Any]]]
"""By what they tell: `Fact` or `Kept`."""


class SqlLedger(Archive, Calls, Notebook):
    """Implements the `Ledger` port. Every method is one transaction."""

    # -- beats -------------------------------------------------------------------------------------------------------

    def claim(self, claim: Claim) -> Answer:
        """Write down the intent to send and reserve its money, unless the beat is claimed already or passes a cap."""
        key, reserve = claim.key, claim.reserve_usd
        row = {
            "model": key.model,
            "instance": key.instance,
            "slot": key.slot,
            "policy": claim.policy,
            "reason": claim.reason.value,
            "claimed_at": claim.at,
            "request": dump_request(claim.request),
            "reserved_micros": None if reserve is None else to_micros(reserve),
            "reserved_until": claim.at + claim.request.deadline,
        }
        with self._write() as connection:  # nobody else writes from here to the end: what is left stays left
            if reserve is not None:
                stopped_by = in_the_way(spendings(connection, claim.limits, claim.at), reserve)
                if stopped_by is not None:
                    is_known = connection.execute(queries.CLAIMED, _of(key)).first() is not None
                    return Answer(taken=False, stopped_by=None if is_known else stopped_by)
            taken = connection.execute(self._claiming, row).rowcount == 1
            if taken:
                self._count(connection, key.model, claim.reason, claim.at)
            return Answer(taken=taken)

    def sent(self, key: BeatKey, prediction: Prediction) -> bool:
        """The provider accepted the beat. False, and nothing is changed, where the prediction is another beat's."""
        facts = {**_of(key), "prediction_id": prediction.id, "created_at": prediction.created_at}
        with self._write(Access.BESIDE) as connection:
            kept = _kept_of(connection, key, prediction.id)
            if kept[Kept.OTHERS]:
                return False
            self._claim_back(connection, prediction.id, kept)
            if not connection.execute(queries.SENT, facts).rowcount:
                self._touch_beat(connection, kept, prediction.created_at)
                connection.execute(queries.FOUND, facts)
            return True

    def _claim_back(self, connection: sa.Connection, prediction_id: str, kept: _Rows) -> None:
        """The account's list may have shown it as a stranger's before its id was known to be ours."""
        if rows := kept[Kept.STRANGER]:
            touch(connection, self._insert, Kind.REQUESTS, [(row.model, row.at) for row in rows])
            connection.execute(sa.delete(requests).where(requests.c.prediction_id == prediction_id))

    def _touch_beat(self, connection: sa.Connection, kept: _Rows, *more: datetime) -> None:
        """The beat is changed, and counts to the hour of `more` from now on, too."""
        for row in kept[Kept.OWN]:
            touch(connection, self._insert, Kind.BEATS, [(row.model, at) for at in (row.at, *more)])

    def finish(self, key: BeatKey, observation: Observation, settled: Mapping[str, Cost] | None = None) -> bool:
        """Record how the beat ended, and what earlier ones are known to have cost. False where that was on record."""
        may_be_out = observation.status is Status.UNKNOWN
        micros = None if observation.cost_usd is None else to_micros(observation.cost_usd)
        facts = {
            "prediction_id": observation.prediction_id,
            # None where it never reached the provider; where that is not known, it counts as a beat.
            "created_at": observation.created_at if observation.prediction_id or may_be_out else None,
            "started_at": observation.started_at,
            "completed_at": observation.completed_at,
            "gap_s": observation.gap_s,
            "wait_s": observation.wait_s,
            "run_s": observation.run_s,
            "verdict": observation.verdict.value,
            "status": observation.status.value,
            "error": observation.error,
            **cost_columns(observation.cost),
            "price": observation.price,
            "billing": observation.billing.value if observation.billing else None,
            "version": observation.version,
            "first_token_s": observation.first_token_s,
            "boot_s": observation.boot_s,
            "request": None,
        }
        # What an earlier beat cost is changed by what it was.
        with self._write(Access.ALONE if settled else Access.BESIDE) as connection:
            kept = _kept_of(connection, key, observation.prediction_id)
            if observation.prediction_id:
                self._claim_back(connection, observation.prediction_id, kept)
            self._touch_beat(connection, kept, observation.created_at)
            end = {**_of(key), **facts, "is_seen": not may_be_out}
            is_news = connection.execute(queries.FINISH, end).rowcount == 1
            if is_news and micros:
                for own in kept[Kept.OWN]:
                    add_up(connection, self._insert, key.model, own.claimed_at, micros)
            for prediction_id, cost in (settled or {}).items() if is_news else ():
                self._settle_cost(connection, prediction_id, cost)
            return is_news

    def spendings(self, limits: Iterable[Limit], at: datetime) -> tuple[Spending, ...]:
        """What counts against each of the limits at `at`, our own clock."""
        with self._read() as connection:
            return spendings(connection, limits, at)

    def _settle_cost(self, connection: sa.Connection, prediction_id: str, cost: Cost) -> None:
        by_id = beats.c.prediction_id == prediction_id
        columns = cost_columns(cost)
        was = connection.execute(sa.select(beats, beat_at.label("at")).where(by_id)).mappings().first()
        if was is None:  # gone: what it was thought to have cost stays
            return
        touch(connection, self._insert, Kind.BEATS, [(was["model"], was["at"])])
        connection.execute(sa.update(beats).where(by_id).values(columns))
        if change := (columns["cost_micros"] or 0) - (was["cost_micros"] or 0):
            add_up(connection, self._insert, was["model"], was["claimed_at"], change)

    def open_beats(self) -> tuple[OpenBeat, ...]:
        """Beats that were claimed and are not finished, oldest first."""
        with self._read(Access.GLANCE) as connection:
            return tuple(open_beat_of(row) for row in connection.execute(queries.OPEN_BEATS).mappings())

    def history(self, model: str) -> History:
        """What is known of one model."""
        return _history(*self._told(queries.HISTORY, {"model": model}))

    def glance(
        self,
        model: str,
        *,
        finds_since: datetime | None = None,
        finds: int,
        calls_after: datetime | None = None,
        and_one_before: bool = False,
    ) -> Glance:
        """The history of one model, and what else has come to light of it, at one instant."""
        asked = {"model": model, "since": finds_since or BEGINNING, "limit": finds, "after": calls_after or BEGINNING}
        told, open_beat = self._told(queries.GLANCE, {**asked, "before": int(and_one_before)})
        evidence = [evidence_of(row._mapping) for row in reversed(told[Fact.FIND])]
        return Glance(
            history=_history(told, open_beat),
            imported_at=_latest(told[Fact.IMPORTED]),
            evidence=tuple(sorted(evidence, key=lambda one: one.at)),
            calls=tuple(sorted(row.at for row in told[Fact.CALL])),
        )

    def _told(self, query: sa.CompoundSelect[Any], asked: Mapping[str, Any]) -> tuple[_Rows, OpenBeat | None]:
        """The rows of `query`, and the beat that is out, at one instant."""
        with self._read(Access.GLANCE) as connection:
            told = _by_kind(connection.execute(query, asked))
        if not told[Fact.OPEN_SLOT]:
            return told, None
        with self._read() as connection:
            told = _by_kind(connection.execute(query, asked))
            row = connection.execute(queries.OPEN_BEAT, {"model": asked["model"]}).mappings().first()
            return told, open_beat_of(row) if row else None

    def known_beats(self, prediction_ids: Iterable[str]) -> frozenset[str]:
        """Those of the ids that are beats of ours."""
        with self._read() as connection:
            return frozenset(
                known for (known,) in queries.among(connection, list(prediction_ids), beats.c.prediction_id)
            )

    def beats(self, *, since: datetime | None = None, model: str | None = None) -> Iterator[Observation]:
        """Finished beats, oldest first."""
        query = sa.select(beats).where(beats.c.status.is_not(None)).order_by(beat_at, beats.c.model, beats.c.slot)
        if since is not None:
            query = query.where(beat_at >= since)
        if model is not None:
            query = query.where(beats.c.model == model)
        with self._read() as connection:
            for row in connection.execute(query, execution_options=queries.BY_AND_BY).mappings():
                yield observation_of(row)

    def latest_beat(self, model: str, *, sent: bool = False) -> Observation | None:
        """The finished beat of `model` that was created last. `sent`: of those that reached the provider."""
        query = queries.LATEST_SENT if sent else queries.LATEST_BEAT
        with self._read(Access.GLANCE) as connection:
            row = connection.execute(query, {"model": model}).mappings().first()
            return observation_of(row) if row else None

    def latest_beats(self, model: str, count: int) -> tuple[Observation, ...]:
        """The last `count` finished beats of `model`, the newest first."""
        with self._read(Access.GLANCE) as connection:
            rows = connection.execute(queries.LATEST_BEATS, {"model": model, "limit": count}).mappings()
            return tuple(observation_of(row) for row in rows)

    def verdicts(self, model: str, count: int) -> tuple[Verdict, ...]:
        """What the last beats of `model` found, the newest first: of those that could tell, and were no probes."""
        with self._read(Access.GLANCE) as connection:
            rows = connection.execute(queries.VERDICTS, {"model": model, "limit": count})
            return tuple(Verdict(row.verdict) for row in rows)

    # -- both --------------------------------------------------------------------------------------------------------

    def uses(self, model: str, start: datetime, end: datetime) -> tuple[Use, ...]:
        """Beats and calls of `model` that were waiting or running at some time from `start` to `end`."""
        with self._read(Access.GLANCE) as connection:
            return _uses(connection.execute(queries.USES, _from_to(model, start, end)))

    def before(self, model: str, moment: datetime, reach: timedelta = timedelta(0)) -> Before:
        """What was going on with `model` when something came at `moment`, and within `reach` before."""
        asked = {**_from_to(model, moment - reach, moment), "moment": moment}
        with self._read(Access.GLANCE) as connection:
            told = _by_kind(connection.execute(queries.BEFORE, asked))
        uses = _uses(told[Fact.USE])
        goes_on = any(use.created_at < moment and _reaches(use, moment) for use in uses)
        return Before(
            uses=uses,
            last_activity=moment if goes_on else _latest(told[Fact.END_BEFORE]),
            warm_waits=_warm_waits(told),
        )

    def evidence(self, model: str, *, since: datetime | None = None, limit: int) -> tuple[Evidence, ...]:
        """What the latest `limit` beats and calls that ended after `since` met, oldest first; unsure ones left out."""
        asked = {"model": model, "since": since or BEGINNING, "limit": limit}
        with self._read(Access.GLANCE) as connection:
            rows = connection.execute(queries.EVIDENCE, asked).mappings().all()
        return tuple(map(evidence_of, reversed(rows)))

    def call_times(self, model: str, *, after: datetime | None = None) -> tuple[datetime, ...]:
        """When customers called `model`, later than `after`, in order."""
        with self._read(Access.GLANCE) as connection:
            asked = {"model": model, "after": after or BEGINNING}
            return tuple(connection.execute(queries.CALL_TIMES, asked).scalars())

    # -- floors ------------------------------------------------------------------------------------------------------

    def floor(self, deployment: str) -> Floor | None:
        """The latest raise of that deployment's floor, whether it has ended or not."""
        with self._read(Access.GLANCE) as connection:
            row = connection.execute(queries.FLOOR, {"deployment": deployment}).mappings().first()
            return floor_of(row) if row else None

    def open_floors(self) -> tuple[Floor, ...]:
        """The raises that have not ended."""
        with self._read(Access.GLANCE) as connection:
            return tuple(floor_of(row) for row in connection.execute(OPEN_FLOORS).mappings())

    def keep_floor(
        self,
        floor: Floor,
        *,
        at: datetime,
        price: Price | None = None,
        limits: Iterable[Limit] = (),
        since: datetime | None = None,
    ) -> Answer:
        """Write a raise down, or how it goes on, and what it holds. Not taken where another process has meanwhile.

        `at`: now, by our own clock. `price`: of a second of one of its instances. Nor taken where it would pass one of
        `limits`, counted as if it were held from `since` on.
        """
        row = floor_row(floor, price)
        before = (
            floors.c.deployment == floor.deployment,
            floors.c.number == floor.number,
            floors.c.revision == floor.revision - 1,
        )
        known = None
        with self._write() as connection:
            if floor.revision == 1:
                result = connection.execute(self._insert(floors).values(row).on_conflict_do_nothing())
            else:
                known = connection.execute(sa.select(floors).where(*before)).mappings().first()
                result = connection.execute(sa.update(floors).where(*before).values(row))
            if result.rowcount != 1:
                return Answer(taken=False)
            was = floor_of(known) if known else None
            keep_spell(connection, self._insert, floor, was, at=at, price=price)
            counting = spendings(connection, limits, at, unheld(floor, price, since, at))
            over = in_the_way(counting, Decimal(0))
            if over is not None:
                connection.rollback()
            return Answer(taken=over is None, stopped_by=over)

    def floor_spells(self, since: datetime) -> tuple[Spell, ...]:
        """For how long floors were raised, by how many instances: what went on after `since`, our own clock."""
        with self._read() as connection:
            return spells_of(connection, since)

    # -- ticks -------------------------------------------------------------------------------------------------------

    def count_tick(self, model: str, reason: Reason, at: datetime) -> None:
        """One more tick of `model` ended with `reason`."""
        with self._write(Access.BESIDE) as connection:
            self._count(connection, model, reason, at)

    def _count(self, connection: sa.Connection, model: str, reason: Reason, at: datetime) -> None:
        row = {"model": model, "hour": hour_of(at), "reason": reason.value, "count": 1}
        connection.execute(self._counting, row)

    @cached_property
    def _claiming(self) -> Any:
        return self._insert(beats).on_conflict_do_nothing()

    @cached_property
    def _counting(self) -> Any:
        return self._insert(ticks).on_conflict_do_update(
            index_elements=["model", "hour", "reason"], set_={"count": ticks.c.count + 1}
        )

    def ticks(self, since: datetime) -> Mapping[tuple[str, Reason], int]:
        """How many ticks ended with which reason, by model, in the hours from `since` on."""
        query = (
            sa.select(ticks.c.model, ticks.c.reason, sa.func.sum(ticks.c.count))
            .where(ticks.c.hour >= hour_of(since))
            .group_by(ticks.c.model, ticks.c.reason)
        )
        with self._read() as connection:
            return {(model, Reason(reason)): int(count) for model, reason, count in connection.execute(query)}

    def try_writing(self) -> None:
        """Write the schema's revision over itself: through to disk, as a claim is."""
        with self._write() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")


def _kept_of(connection: sa.Connection, key: BeatKey, prediction_id: str | None) -> _Rows:
    """What is on record of a beat, and of the prediction that it is."""
    return _by_kind(connection.execute(queries.KEPT_OF, {**_of(key), "sought": prediction_id}))


def _by_kind(rows: Iterable[sa.Row[Any]]) -> _Rows:
    by_kind = defaultdict[int, list[sa.Row[Any]]](list)
    for row in rows:
        by_kind[row[0]].append(row)
    return by_kind


def _history(told: _Rows, open_beat: OpenBeat | None) -> History:
    return History(
        slots=int(told[Fact.SLOTS][0].number or 0),
        open_beat=open_beat,
        last_beat_at=_latest(told[Fact.LAST_BEAT]),
        last_claim_at=_latest(told[Fact.LAST_CLAIM]),
        last_activity=_latest(told[Fact.LAST_END]),
        running_since=_latest(told[Fact.RUNNING]),
        warm_waits=_warm_waits(told),
    )


def _warm_waits(told: _Rows) -> tuple[float, ...]:
    waits = sorted(told[Fact.WARM_WAIT], key=lambda row: row.at, reverse=True)
    return tuple(row.number for row in waits[:BASELINE_WAITS])


def _of(key: BeatKey) -> dict[str, Any]:
    return {"of_model": key.model, "of_slot": key.slot, "of_instance": key.instance}


def _latest(rows: Iterable[sa.Row[Any]]) -> datetime | None:
    return max((row.at for row in rows if row.at is not None), default=None)


def _from_to(model: str, start: datetime, end: datetime) -> dict[str, Any]:
    # Nothing runs longer than the provider allows, which makes an index range of the earliest.
    return {"model": model, "earliest": start - LONGEST_USE, "start": start, "end": end}


def _uses(rows: Iterable[sa.Row[Any]]) -> tuple[Use, ...]:
    return tuple(sorted((use_of(row._mapping) for row in rows), key=lambda use: use.created_at))


def _reaches(use: Use, moment: datetime) -> bool:
    return use.status.is_open or (use.completed_at is not None and use.completed_at > moment)
