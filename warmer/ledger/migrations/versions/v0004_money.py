"""Money: what beats reserve until their cost is known, and their costs added up."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns and the table, and count what was spent so far; of that nothing is reserved any more."""
    op.add_column("beats", sa.Column("reserved_micros", sa.BigInteger))
    op.add_column("beats", sa.Column("reserved_until", sa.BigInteger))
    is_uncosted = sa.text("cost_micros IS NULL AND reserved_micros IS NOT NULL")
    op.create_index("beats_uncosted", "beats", ["claimed_at"], sqlite_where=is_uncosted, postgresql_where=is_uncosted)
    op.create_table(
        "spending",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("quarter", sa.BigInteger, primary_key=True),
        sa.Column("micros", sa.BigInteger, nullable=False),
    )
    op.execute("""
        INSERT INTO spending
        SELECT model, claimed_at / 900000000 * 900000000, sum(cost_micros)
        FROM beats WHERE cost_micros > 0 GROUP BY 1, 2
    """)
    op.execute("INSERT INTO spending SELECT '', quarter, sum(micros) FROM spending GROUP BY 2")
