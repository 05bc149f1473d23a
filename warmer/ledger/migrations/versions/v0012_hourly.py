"""What beats and calls add up to by the hour, so that old ones may go."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_HOUR = 3_600_000_000
_WHEN = {"beats": "coalesce(created_at, claimed_at)", "requests": "created_at"}


def upgrade() -> None:
    """Create the tables, and mark all hours that there are as still to be added up. Leaner indexes by time."""
    op.create_table(
        "hourly_beats",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("begins", sa.BigInteger, primary_key=True),
        sa.Column("policy", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("ends", sa.BigInteger, nullable=False),
        sa.Column("beats", sa.Integer, nullable=False),
        sa.Column("cold", sa.Integer, nullable=False),
        sa.Column("unsure", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("known_micros", sa.BigInteger, nullable=False),
        sa.Column("unknown", sa.Integer, nullable=False),
        sa.Column("estimated", sa.Integer, nullable=False),
        sa.Column("boots", sa.LargeBinary),
        sa.Column("longest_boot_s", sa.Float),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "hourly_calls",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("begins", sa.BigInteger, primary_key=True),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("cold", sa.Integer, nullable=False),
        sa.Column("unsure", sa.Integer, nullable=False),
        sa.Column("waits", sa.LargeBinary),
        sa.Column("longest_wait_s", sa.Float),
        sa.Column("boots", sa.LargeBinary),
        sa.Column("longest_boot_s", sa.Float),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "touched",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "kept",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    for column in ("held_micros", "unknown_beats"):
        op.add_column("spending", sa.Column(column, sa.BigInteger, nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "sqlite":
        _in_half_the_room()
    for table, when in _WHEN.items():
        marks = f"SELECT DISTINCT '{table}', {when} / {_HOUR} * {_HOUR}, model FROM {table}"  # noqa: S608  # our own names
        op.execute(f"INSERT INTO touched (kind, hour, model) {marks}")
        op.drop_index(f"{table}_in_order", table)
        op.create_index(f"{table}_in_order", table, [sa.text(when)])


def _in_half_the_room() -> None:
    """SQLite keeps a table whose key is not one number twice, once as an index, where it is not told otherwise."""
    op.rename_table("spending", "spending_before")
    op.create_table(
        "spending",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("quarter", sa.BigInteger, primary_key=True),
        sa.Column("micros", sa.BigInteger, nullable=False),
        sa.Column("held_micros", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("unknown_beats", sa.BigInteger, nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
    op.rename_table("ticks", "ticks_before")
    op.create_table(
        "ticks",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    for table in ("spending", "ticks"):
        op.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")  # noqa: S608  # our own names
        op.drop_table(f"{table}_before")
