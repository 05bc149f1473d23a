"""Beats of which not even the most that they may have cost is known are found as fast as the others without a cost."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the index anew, over all beats without a cost."""
    is_uncosted = sa.text("cost_micros IS NULL")
    op.drop_index("beats_uncosted", "beats")
    op.create_index("beats_uncosted", "beats", ["claimed_at"], sqlite_where=is_uncosted, postgresql_where=is_uncosted)
