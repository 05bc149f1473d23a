"""Salted hashes of what customers sent, to tell repeated inputs, and the salt of this ledger."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column, and a salt that no other ledger has."""
    op.add_column("requests", sa.Column("input_hash", sa.Text))
    salts = op.create_table("salts", sa.Column("salt", sa.LargeBinary, primary_key=True))
    op.bulk_insert(salts, [{"salt": secrets.token_bytes(16)}])
