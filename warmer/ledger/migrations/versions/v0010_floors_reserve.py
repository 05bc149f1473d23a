"""What raised floors are kept money for: their price, and indexes by which each claim finds those that count."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add them. The price of a raise that is under way is unknown until it is written down anew."""
    op.add_column("floors", sa.Column("price", sa.Text))
    is_open = sa.text("ended_at IS NULL")
    op.create_index("floors_open", "floors", ["deployment"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index("floor_spells_by_end", "floor_spells", ["lowered_at"])
