"""Alembic runs this file for every command; the connection comes from `scheduler.migrations`."""

from __future__ import annotations

from alembic import context

from scheduler.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # on SQLite too: the transaction is begun by hand
    render_as_batch=True,  # SQLite cannot alter most things in place
)
with context.begin_transaction():
    context.run_migrations()
