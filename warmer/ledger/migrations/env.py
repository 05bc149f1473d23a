"""Alembic's entry: runs on the connection that `warmer.ledger.opening` hands over, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
