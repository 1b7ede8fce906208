"""Run by Alembic: applies migrations within the transaction that `dataseal.ledger.store.upgrade` gives."""

from __future__ import annotations

from alembic import context

from dataseal.ledger.store.models import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
context.run_migrations()
