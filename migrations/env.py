"""Alembic's entry point. The caller (kernel.migrate) brings the connection, its transaction and its lock."""

from alembic import context

from kernel.orm import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
