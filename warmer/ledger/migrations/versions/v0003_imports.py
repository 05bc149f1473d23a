"""Imports of the account's past predictions, and how far they have come."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "imports",
        sa.Column("started_at", sa.BigInteger, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("newest_at", sa.BigInteger),
        sa.Column("cursor", sa.Text),
        sa.Column("finished_at", sa.BigInteger),
    )
