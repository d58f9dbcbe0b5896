"""Alembic's environment for every step's database: runs in the transaction that it is given."""

from alembic import context
from sqlalchemy import Connection, text

# Any constant will do: it keeps two workers of one step from migrating its PostgreSQL database at once.
_LOCK = 7_233_001

connection: Connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
