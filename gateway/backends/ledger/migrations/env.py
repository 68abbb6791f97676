"""What Alembic runs for a migration: on the connection, and in the transaction, that `migrate` hands over."""

from alembic import context

from gateway.backends.ledger.tables import metadata

# Said of SQLite too: it changes its schema in a transaction, though Alembic by default does not count on it.
context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
