"""How the cost of a beat is known."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column: until now only exact costs were kept."""
    op.add_column("beats", sa.Column("cost_is_estimated", sa.Boolean))
