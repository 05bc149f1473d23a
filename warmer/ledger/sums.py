"""Beats and calls added up by the hour: by the database where their rows are new, as it is kept where they are not.

`touched` has the hours of which rows have changed since they were added up. There the rows count, elsewhere the sums:
so that each row counts once, whenever and however far there has been added up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from warmer.core.beat import Reason, Status, Verdict
from warmer.core.board import Calls
from warmer.core.rollup import BeatSums, CallSums, beat_hours, call_hours, hour_of
from warmer.core.units import from_micros, to_micros
from warmer.core.waits import NO_WAITS, Waits
from warmer.ledger.tables import Instant, beat_at, beats, hourly_beats, hourly_calls, kept, requests, touched

HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000
_QUARTER_US = HOUR_US // 4
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

Insert = Callable[[sa.Table], Any]


class Kind(StrEnum):
    """What is added up, by the name of its table."""

    BEATS = "beats"
    REQUESTS = "requests"


ROWS = {Kind.BEATS: beats, Kind.REQUESTS: requests}
AT: dict[Kind, sa.ColumnElement[Any]] = {Kind.BEATS: beat_at, Kind.REQUESTS: requests.c.created_at}
SUMS = {Kind.BEATS: hourly_beats, Kind.REQUESTS: hourly_calls}


def micros(at: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """An instant as the number that it is kept as."""
    return sa.type_coerce(at, sa.BigInteger)


def instant(number: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    """The reverse."""
    return sa.type_coerce(number, Instant)


def _floor(at: sa.ColumnElement[Any], step: int) -> sa.ColumnElement[Any]:
    # Written out: what is grouped by has to be the same to the letter.
    return instant(micros(at) - micros(at) % sa.literal_column(str(step)))


def touch(connection: sa.Connection, insert: Insert, kind: Kind, rows: Iterable[tuple[str, datetime]]) -> None:
    """The rows of these models at these times are changed in this very transaction."""
    # In order: two processes that mark the same hours do not wait for each other crosswise.
    marks = [
        {"kind": kind, "hour": hour, "model": model} for hour, model in sorted({(hour_of(at), m) for m, at in rows})
    ]
    if marks:
        one_or_all = marks if len(marks) > 1 else marks[0]  # a list of one is sent as many are, which takes longer
        connection.execute(_marking(insert), one_or_all)


@cache
def _marking(insert: Insert) -> Any:
    return insert(touched).on_conflict_do_nothing()


def beat_sums(connection: sa.Connection, since: datetime, zone: ZoneInfo, model: str | None) -> list[BeatSums]:
    """What beats since then add up to. Of an hour that `since` lies within and whose rows are gone, all count."""
    rolled, *by_row = _asked(Kind.BEATS, since, model)
    found = [_beats_of(*row) for row in connection.execute(*rolled)]
    for (sums, boots), values in by_row:
        found += beat_hours(_beat_quarters(connection, sums, boots, values), zone)
    return found


def call_sums(connection: sa.Connection, since: datetime, zone: ZoneInfo, model: str | None) -> list[CallSums]:
    """The same of calls."""
    rolled, *by_row = _asked(Kind.REQUESTS, since, model)
    found = [_calls_of(*row) for row in connection.execute(*rolled)]
    for (sums, waits), values in by_row:
        found += call_hours(_call_quarters(connection, sums, waits, values), zone)
    return found


def beat_totals(connection: sa.Connection, since: datetime, until: datetime) -> list[BeatSums]:
    """What beats of the hours that begin between add up to, by model, policy and reason: of many models at once."""
    found: list[BeatSums] = []
    rolled, *by_row = _asked(Kind.BEATS, hour_of(since), None)
    for query, values in (rolled, *((sums, values) for (sums, _), values in by_row)):
        part = query.subquery()
        key = (part.c.model, part.c.policy, part.c.reason)
        totals = sa.select(
            *key,
            sa.func.min(part.c.first_at, type_=Instant),
            sa.func.max(part.c.ends, type_=Instant),
            *(sa.func.sum(part.c[name]) for name in _COUNTED),
        ).where(part.c.begins >= since, part.c.begins < until)
        for model, policy, reason, first_at, ends, *counts in connection.execute(totals.group_by(*key), values):
            beats, cold, unsure, failed, known, unknown, estimated = map(int, counts)
            found.append(
                _beats_of(
                    model,
                    since,
                    policy,
                    reason,
                    first_at,
                    ends,
                    beats,
                    cold,
                    unsure,
                    failed,
                    known,
                    unknown,
                    estimated,
                    None,
                    None,
                )
            )
    return found


_COUNTED = ("beats", "cold", "unsure", "failed", "known_micros", "unknown", "estimated")


def call_counts(connection: sa.Connection, since: datetime) -> dict[str, Calls]:
    """How many calls there were of each model, from the full hour of `since` on."""
    found: dict[str, Calls] = {}
    rolled, *by_row = _asked(Kind.REQUESTS, hour_of(since), None)
    for query, values in (rolled, *((sums, values) for (sums, _), values in by_row)):
        part = query.subquery()
        counts = (sa.func.sum(part.c[name]) for name in ("calls", "cold", "unsure"))
        for model, calls, cold, unsure in connection.execute(
            sa.select(part.c.model, *counts).group_by(part.c.model), values
        ):
            more = Calls(calls=int(calls), cold=int(cold), unsure=int(unsure))
            found[model] = found.get(model, Calls()) + more
    return found


def add_up(connection: sa.Connection, insert: Insert, before: datetime, zone: ZoneInfo, limit: int) -> bool:
    """Add up the hours that were touched and began before then, of some models at a time. False where none is left.

    What the sums were is forgotten, and they are made anew from the rows: to do so twice changes nothing.
    """
    return any(_add_up(connection, insert, kind, before, zone, limit) for kind in Kind)


def _add_up(
    connection: sa.Connection, insert: Insert, kind: Kind, before: datetime, zone: ZoneInfo, limit: int
) -> bool:
    coming = (
        sa.select(touched.c.hour, touched.c.model)
        .where(touched.c.kind == kind, touched.c.hour < before)
        .order_by(touched.c.hour, touched.c.model)
        .limit(limit)
    )
    found = connection.execute(coming).all()
    if not found:
        return False
    hour = found[0].hour
    models = [row.model for row in found if row.hour == hour]
    connection.execute(
        insert(kept).on_conflict_do_nothing(), [{"kind": kind, "model": one, "since": BEGINNING} for one in models]
    )
    gone = sa.select(kept.c.model).where(kept.c.kind == kind, kept.c.model.in_(models), kept.c.since > hour)
    lost = set(connection.execute(gone).scalars())  # their sums are all there is
    there = [one for one in models if one not in lost]
    sums = SUMS[kind]
    connection.execute(
        sa.delete(sums).where(sums.c.model.in_(there), sums.c.begins >= hour, sums.c.begins < hour + HOUR)
    )
    values = {"models": there, "since": hour, "next_hour": hour + HOUR}
    rows: list[dict[str, Any]]
    if kind is Kind.BEATS:
        rows = [_beats_row(one) for one in beat_hours(_beat_quarters(connection, *_OF_HOUR[kind], values), zone)]
    else:
        rows = [_calls_row(one) for one in call_hours(_call_quarters(connection, *_OF_HOUR[kind], values), zone)]
    if rows:
        connection.execute(sa.insert(sums), rows)
    marks = (touched.c.kind == kind, touched.c.hour == hour, touched.c.model.in_(models))
    connection.execute(sa.delete(touched).where(*marks))
    return True


def _number(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


_BY_BEATS = (beats.c.model, _floor(beat_at, _QUARTER_US).label("begins"), beats.c.policy, beats.c.reason)
_OF_BEATS = (
    sa.func.min(beat_at, type_=Instant).label("first_at"),
    sa.func.max(sa.func.coalesce(beats.c.completed_at, beat_at, type_=Instant), type_=Instant).label("ends"),
    sa.func.count().label("beats"),
    _number(beats.c.verdict == Verdict.COLD.value).label("cold"),
    _number(beats.c.verdict == Verdict.UNSURE.value).label("unsure"),
    _number(beats.c.status.not_in([status.value for status in Status if status.is_good])).label("failed"),
    sa.func.coalesce(sa.func.sum(beats.c.cost_micros), 0).label("known_micros"),
    _number(beats.c.cost_micros.is_(None)).label("unknown"),
    _number(beats.c.cost_is_estimated.is_(sa.true())).label("estimated"),
)
_BY_CALLS = (requests.c.model, _floor(requests.c.created_at, _QUARTER_US).label("begins"))
_OF_CALLS = (
    sa.func.count().label("calls"),
    _number(requests.c.verdict == Verdict.COLD.value).label("cold"),
    _number(requests.c.verdict == Verdict.UNSURE.value).label("unsure"),
)


_GROUPED = {Kind.BEATS: (_BY_BEATS, _OF_BEATS), Kind.REQUESTS: (_BY_CALLS, _OF_CALLS)}
_MODEL, _SINCE, _HOUR, _NEXT = (
    sa.bindparam(name, type_=kind)
    for name, kind in (("model", sa.Text), ("since", Instant), ("hour", Instant), ("next_hour", Instant))
)
_Pair = tuple[sa.Select[Any], sa.Select[Any]]
_booting_s = sa.case((beats.c.boot_s > beats.c.wait_s, beats.c.boot_s), else_=beats.c.wait_s).label("wait_s")
"""`Observation.booting_s` of one that is cold."""


def _quarters(kind: Kind, source: sa.FromClause, *where: sa.ColumnElement[bool]) -> _Pair:
    """What rows add up to by the quarter of an hour; and the single waits among them that are told by percentiles."""
    (by, of), table = _GROUPED[kind], ROWS[kind]
    if kind is Kind.BEATS:
        where = (table.c.status.is_not(None), *where)
    wait_s = _booting_s if kind is Kind.BEATS else table.c.wait_s
    waits = sa.select(*by, wait_s, table.c.verdict).select_from(source).where(table.c.wait_s.is_not(None), *where)
    if kind is Kind.BEATS:
        waits = waits.where(table.c.verdict == Verdict.COLD.value)
    return sa.select(*by, *of).select_from(source).where(*where).group_by(*by), waits


_OF_HOUR = {
    kind: _quarters(
        kind,
        ROWS[kind],
        ROWS[kind].c.model.in_(sa.bindparam("models", expanding=True)),
        AT[kind] >= _SINCE,
        AT[kind] < _NEXT,
    )
    for kind in Kind
}


def _is_gone(kind: Kind, model: sa.ColumnElement[str], hour: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.exists().where(kept.c.kind == kind, kept.c.model == model, kept.c.since > hour)


@cache
def _rolled(kind: Kind, *, one: bool) -> sa.Select[Any]:
    """The sums that count: all rows of their hour do, and none has changed, or they are gone."""
    sums = SUMS[kind]
    marked = sa.and_(
        touched.c.kind == kind, touched.c.model == sums.c.model, touched.c.hour == _floor(sums.c.begins, HOUR_US)
    )
    is_gone = sums.c.begins < kept.c.since
    query = (
        sa.select(sums)
        .select_from(kept.join(sums, sums.c.model == kept.c.model).outerjoin(touched, marked))
        .where(
            kept.c.kind == kind,
            sums.c.begins >= _HOUR,
            sa.or_(sums.c.begins >= _NEXT, is_gone),
            sa.or_(touched.c.model.is_(None), is_gone),
        )
    )
    return query.where(kept.c.model == _MODEL) if one else query


@cache
def _marked(kind: Kind, *, one: bool) -> _Pair:
    """Of the rows of touched hours."""
    table, at = ROWS[kind], micros(AT[kind])
    # As a sum each, which has no column's type: else an index on an expression is not used for it.
    begins, ends = (micros(touched.c.hour) + sa.literal_column(str(after)) for after in (0, HOUR_US))
    of_mark = sa.and_(table.c.model == touched.c.model, at >= begins, at < ends)
    where = [touched.c.kind == kind, touched.c.hour >= _NEXT, ~_is_gone(kind, touched.c.model, touched.c.hour)]
    return _quarters(kind, touched.join(table, of_mark), *where, *([touched.c.model == _MODEL] if one else []))


@cache
def _part(kind: Kind, *, one: bool) -> _Pair:
    """Of the rows of an hour of which not all are asked for."""
    table, at = ROWS[kind], AT[kind]
    where = [at >= _SINCE, at < _NEXT, ~_is_gone(kind, table.c.model, _HOUR)]
    return _quarters(kind, table, *where, *([table.c.model == _MODEL] if one else []))


def _asked(kind: Kind, since: datetime, model: str | None) -> tuple[Any, ...]:
    """The query for the sums, and those for what is read row by row, each with what it asks for."""
    hour, one = hour_of(since), model is not None
    next_hour = hour if hour == since else hour + HOUR
    values = {"since": since, "hour": hour, "next_hour": next_hour} | ({"model": model} if one else {})

    def of(*names: str) -> dict[str, Any]:
        return {name: values[name] for name in (*names, *(["model"] if one else []))}

    rolled = (_rolled(kind, one=one), of("hour", "next_hour"))
    marked = (_marked(kind, one=one), of("next_hour"))
    return (
        (rolled, marked)
        if hour == since
        else (rolled, marked, (_part(kind, one=one), of("since", "hour", "next_hour")))
    )


def _beat_quarters(
    connection: sa.Connection, sums: sa.Select[Any], boots: sa.Select[Any], values: Mapping[str, Any]
) -> list[BeatSums]:
    found = connection.execute(sums, values).all()
    met = defaultdict[tuple[Any, ...], list[float]](list)
    if any(row.cold for row in found):
        for *key, wait_s, _ in connection.execute(boots, values):
            met[tuple(key)].append(wait_s)
    return [replace(_beats_of(*[*row, None, None]), boots=Waits.of(met[tuple(row[:4])])) for row in found]


def _call_quarters(
    connection: sa.Connection, sums: sa.Select[Any], waits: sa.Select[Any], values: Mapping[str, Any]
) -> list[CallSums]:
    found = connection.execute(sums, values).all()
    waited, met = defaultdict[tuple[Any, ...], list[float]](list), defaultdict[tuple[Any, ...], list[float]](list)
    for *key, wait_s, verdict in connection.execute(waits, values) if found else ():
        waited[tuple(key)].append(wait_s)
        if verdict == Verdict.COLD.value:
            met[tuple(key)].append(wait_s)
    return [
        replace(
            _calls_of(*[*row, None, None, None, None]),
            waits=Waits.of(waited[tuple(row[:2])]),
            boots=Waits.of(met[tuple(row[:2])]),
        )
        for row in found
    ]


def _waits_in(packed: bytes | None, longest_s: float | None) -> Waits:
    return NO_WAITS if packed is None else Waits(packed=bytes(packed), longest_s=longest_s)


def _beats_of(
    model: str,
    begins: datetime,
    policy: str,
    reason: str,
    first_at: datetime,
    ends: datetime,
    beats: int,
    cold: int,
    unsure: int,
    failed: int,
    known_micros: int,
    unknown: int,
    estimated: int,
    boots: bytes | None,
    longest_boot_s: float | None,
) -> BeatSums:
    """In the order of the columns of `hourly_beats`."""
    return BeatSums(
        model=model,
        begins=begins,
        policy=policy,
        reason=Reason(reason),
        first_at=first_at,
        ends=ends,
        beats=beats,
        cold=cold,
        unsure=unsure,
        failed=failed,
        known_usd=from_micros(int(known_micros)),
        unknown=unknown,
        estimated=estimated,
        boots=_waits_in(boots, longest_boot_s),
    )


def _beats_row(one: BeatSums) -> dict[str, Any]:
    boots = one.boots.compact()
    return {
        "model": one.model,
        "begins": one.begins,
        "policy": one.policy,
        "reason": one.reason.value,
        "first_at": one.first_at,
        "ends": one.ends,
        "beats": one.beats,
        "cold": one.cold,
        "unsure": one.unsure,
        "failed": one.failed,
        "known_micros": to_micros(one.known_usd),
        "unknown": one.unknown,
        "estimated": one.estimated,
        "boots": boots.packed or None,
        "longest_boot_s": boots.longest_s,
    }


def _calls_of(
    model: str,
    begins: datetime,
    calls: int,
    cold: int,
    unsure: int,
    waits: bytes | None,
    longest_wait_s: float | None,
    boots: bytes | None,
    longest_boot_s: float | None,
) -> CallSums:
    """In the order of the columns of `hourly_calls`."""
    return CallSums(
        model=model,
        begins=begins,
        calls=calls,
        cold=cold,
        unsure=unsure,
        waits=_waits_in(waits, longest_wait_s),
        boots=_waits_in(boots, longest_boot_s),
    )


def _calls_row(one: CallSums) -> dict[str, Any]:
    waits, boots = one.waits.compact(), one.boots.compact()
    return {
        "model": one.model,
        "begins": one.begins,
        "calls": one.calls,
        "cold": one.cold,
        "unsure": one.unsure,
        "waits": waits.packed or None,
        "longest_wait_s": waits.longest_s,
        "boots": boots.packed or None,
        "longest_boot_s": boots.longest_s,
    }
