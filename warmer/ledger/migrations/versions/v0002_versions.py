"""The version that ran, with each beat and call: a new one is another container."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; of rows from before the version is not known."""
    op.add_column("beats", sa.Column("version", sa.Text))
    op.add_column("requests", sa.Column("version", sa.Text))
