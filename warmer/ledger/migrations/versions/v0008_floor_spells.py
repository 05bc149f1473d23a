"""For how long a deployment's floor was raised by how many instances, and their price."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table: of floors that were raised before, nobody knows the price."""
    op.create_table(
        "floor_spells",
        sa.Column("deployment", sa.Text, primary_key=True),
        sa.Column("raised_at", sa.BigInteger, primary_key=True),
        sa.Column("lowered_at", sa.BigInteger),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("price", sa.Text),
    )
