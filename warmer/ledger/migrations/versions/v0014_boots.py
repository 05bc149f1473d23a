"""How long the boot took that a beat met, where the host tells."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column: of earlier beats it was not told."""
    op.add_column("beats", sa.Column("boot_s", sa.Float))
