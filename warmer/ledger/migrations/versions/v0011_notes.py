"""What the processes of one ledger tell each other."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table."""
    op.create_table("notes", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
