"""The beats of one model whose cost is not known are found without going through those of all."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the index."""
    is_uncosted = sa.text("cost_micros IS NULL")
    op.create_index(
        "beats_uncosted_of",
        "beats",
        ["model", "claimed_at"],
        sqlite_where=is_uncosted,
        postgresql_where=is_uncosted,
    )
