"""How long the first token of a beat took."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column: of earlier beats it was not measured."""
    op.add_column("beats", sa.Column("first_token_s", sa.Float))
