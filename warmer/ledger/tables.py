"""The tables, as the code sees them. Their making is in `migrations`: a released one is never edited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware instant as whole microseconds since 1970: exact, sortable and alike in every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        """Refuses a naive datetime: its zone would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger keeps aware instants only")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        """UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


metadata = sa.MetaData()

beats = sa.Table(
    "beats",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("instance", sa.Integer, primary_key=True),  # with the two above: what two processes cannot both claim
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("claimed_at", Instant, nullable=False),  # our clock; all other stamps are the provider's
    sa.Column("request", sa.Text),  # JSON, to find a beat whose reply was lost; gone once it is finished
    sa.Column("prediction_id", sa.Text, unique=True),
    sa.Column("created_at", Instant),
    sa.Column("started_at", Instant),
    sa.Column("completed_at", Instant),
    sa.Column("gap_s", sa.Float),
    sa.Column("wait_s", sa.Float),
    sa.Column("run_s", sa.Float),
    sa.Column("verdict", sa.Text),
    sa.Column("status", sa.Text),  # null while the beat is out
    sa.Column("error", sa.Text),
    sa.Column("cost_micros", sa.BigInteger),  # null: unknown, which is not 0
    sa.Column("cost_is_estimated", sa.Boolean),  # null: by a warmer that knew exact costs only
    sa.Column("price", sa.Text),
    sa.Column("billing", sa.Text),
    sa.Column("version", sa.Text),
    sa.Column("reserved_micros", sa.BigInteger),  # the most it may cost; what it counts as until its cost is known
    sa.Column("reserved_until", Instant),  # our clock: its deadline
    sa.Column("first_token_s", sa.Float),  # null: not measured
    sa.Column("boot_s", sa.Float),  # null: met none, or its host does not tell
    sa.Index("beats_by_end", "model", "completed_at"),
)

beat_at = sa.func.coalesce(beats.c.created_at, beats.c.claimed_at)
"""When a beat was: its creation, or its claim where it never reached the provider."""

sa.Index("beats_by_time", beats.c.model, beat_at)
sa.Index("beats_in_order", beat_at)
_is_open = beats.c.status.is_(None)
sa.Index("beats_open", beats.c.model, beats.c.slot, sqlite_where=_is_open, postgresql_where=_is_open)
_is_uncosted = beats.c.cost_micros.is_(None)
sa.Index("beats_uncosted", beats.c.claimed_at, sqlite_where=_is_uncosted, postgresql_where=_is_uncosted)
sa.Index(
    "beats_uncosted_of", beats.c.model, beats.c.claimed_at, sqlite_where=_is_uncosted, postgresql_where=_is_uncosted
)

spending = sa.Table(
    "spending",  # the known costs of beats, added up: a month of them is too many to go through at every beat
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),  # a model, or "" for all of them
    sa.Column("quarter", Instant, primary_key=True),  # of an hour, UTC, in which they were claimed
    sa.Column("micros", sa.BigInteger, nullable=False),
    # Of beats that are gone and whose cost nobody will ever know: the most that it was, and of how many not even that.
    sa.Column("held_micros", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("unknown_beats", sa.BigInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("prediction_id", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),  # two entries of the file may be one model at the provider
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("completed_at", Instant),
    sa.Column("gap_s", sa.Float),
    sa.Column("wait_s", sa.Float),
    sa.Column("run_s", sa.Float),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("version", sa.Text),
    sa.Column("input_hash", sa.Text),  # salted, so that repeated inputs are told; never an input
    sa.Index("requests_by_time", "model", "created_at"),
    sa.Index("requests_by_end", "model", "completed_at"),
    sa.Index("requests_in_order", "created_at"),
)

ticks = sa.Table(
    "ticks",
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("hour", Instant, primary_key=True),  # the full hour, UTC
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

hourly_beats = sa.Table(
    "hourly_beats",  # what beats add up to, see `warmer.core.rollup`; it stays when they are gone
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("begins", Instant, primary_key=True),
    sa.Column("policy", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("first_at", Instant, nullable=False),
    sa.Column("ends", Instant, nullable=False),
    sa.Column("beats", sa.Integer, nullable=False),
    sa.Column("cold", sa.Integer, nullable=False),
    sa.Column("unsure", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("known_micros", sa.BigInteger, nullable=False),
    sa.Column("unknown", sa.Integer, nullable=False),
    sa.Column("estimated", sa.Integer, nullable=False),
    sa.Column("boots", sa.LargeBinary),  # null: none
    sa.Column("longest_boot_s", sa.Float),
    sqlite_with_rowid=False,
)

hourly_calls = sa.Table(
    "hourly_calls",  # the same of customers' calls
    metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("begins", Instant, primary_key=True),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("cold", sa.Integer, nullable=False),
    sa.Column("unsure", sa.Integer, nullable=False),
    sa.Column("waits", sa.LargeBinary),
    sa.Column("longest_wait_s", sa.Float),
    sa.Column("boots", sa.LargeBinary),
    sa.Column("longest_boot_s", sa.Float),
    sqlite_with_rowid=False,
)

touched = sa.Table(
    "touched",  # hours whose sums are not, or not any more, what their rows add up to: those count, not the sums
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),  # beats, requests
    sa.Column("hour", Instant, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)

kept = sa.Table(
    "kept",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("since", Instant, nullable=False),  # a full hour: what was before is gone, but for its sums
    sqlite_with_rowid=False,
)

salts = sa.Table(
    "salts",  # of the hashes of inputs: one row, made with the table
    metadata,
    sa.Column("salt", sa.LargeBinary, primary_key=True),
)

imports = sa.Table(
    "imports",
    metadata,
    sa.Column("started_at", Instant, primary_key=True),
    sa.Column("since", Instant, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("newest_at", Instant),
    sa.Column("cursor", sa.Text),
    sa.Column("finished_at", Instant),
)

floors = sa.Table(
    "floors",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # with the one above: what two processes cannot both begin
    sa.Column("revision", sa.Integer, nullable=False),  # rises by one with each writing: nor can they both go on
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("found", sa.Integer, nullable=False),
    sa.Column("held", sa.Integer, nullable=False),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("begun_at", Instant, nullable=False),
    sa.Column("asked_at", Instant, nullable=False),
    sa.Column("overruled", sa.Integer),
    sa.Column("closes_at", Instant),
    sa.Column("ended_at", Instant),  # null while something is to be put back
    sa.Column("price", sa.Text),  # JSON, of a second of one instance; null: unknown
)

_has_not_ended = floors.c.ended_at.is_(None)
sa.Index("floors_open", floors.c.deployment, sqlite_where=_has_not_ended, postgresql_where=_has_not_ended)

floor_spells = sa.Table(
    "floor_spells",
    metadata,
    sa.Column("deployment", sa.Text, primary_key=True),
    sa.Column("raised_at", Instant, primary_key=True),
    sa.Column("lowered_at", Instant),  # null while it lasts
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("instances", sa.Integer, nullable=False),  # more than were found
    sa.Column("price", sa.Text),  # JSON, of a second of one instance; null: unknown
    sa.Index("floor_spells_by_end", "lowered_at"),
)

notes = sa.Table(
    "notes",  # what the processes of one ledger tell each other, and what people ask of them all
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
