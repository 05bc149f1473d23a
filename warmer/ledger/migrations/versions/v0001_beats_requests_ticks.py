"""Beats, customers' calls and ticks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "beats",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("instance", sa.Integer, primary_key=True),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("claimed_at", sa.BigInteger, nullable=False),
        sa.Column("request", sa.Text),
        sa.Column("prediction_id", sa.Text, unique=True),
        sa.Column("created_at", sa.BigInteger),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("gap_s", sa.Float),
        sa.Column("wait_s", sa.Float),
        sa.Column("run_s", sa.Float),
        sa.Column("verdict", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("cost_micros", sa.BigInteger),
        sa.Column("price", sa.Text),
        sa.Column("billing", sa.Text),
    )
    at = sa.text("coalesce(created_at, claimed_at)")
    is_open = sa.text("status IS NULL")
    op.create_index("beats_by_end", "beats", ["model", "completed_at"])
    op.create_index("beats_by_time", "beats", ["model", at])
    op.create_index("beats_in_order", "beats", [at, "model", "slot"])
    op.create_index("beats_open", "beats", ["model", "slot"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "requests",
        sa.Column("prediction_id", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("gap_s", sa.Float),
        sa.Column("wait_s", sa.Float),
        sa.Column("run_s", sa.Float),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
    )
    op.create_index("requests_by_time", "requests", ["model", "created_at"])
    op.create_index("requests_by_end", "requests", ["model", "completed_at"])
    op.create_index("requests_in_order", "requests", ["created_at", "model", "prediction_id"])
    op.create_table(
        "ticks",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True),
        sa.Column("reason", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
