"""Which schema a database has, and how it comes to have ours: Alembic's migrations in ``migrations/versions``.

A ledger is opened only with the schema that this dataseal knows. An older one is brought up to it by ``dataseal ledger
upgrade``, in one transaction; never in passing, since other machines may share a database and run the older dataseal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from dataseal.ledger.errors import IntegrityError, UsageError
from dataseal.ledger.store.models import REVISION, VERSION_TABLE

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def revision(connection: Connection) -> str | None:
    """The database's schema; None when it has none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()  # noqa: S608  a constant
    return str(found[0]) if len(found) == 1 else None


def demand(connection: Connection) -> None:
    """Checks that the database has the schema that this dataseal reads.

    Raises:
        UsageError: it has another one. IntegrityError: it is no ledger.
    """
    found = demand_known(connection)
    if found != REVISION:
        raise UsageError(
            f"the ledger has schema {found}; this dataseal reads {REVISION}",
            hint="run `dataseal ledger upgrade`; other machines that share the ledger need this dataseal then",
        )


def demand_known(connection: Connection) -> str:
    """The schema of a ledger that this dataseal made, or could have.

    Raises:
        UsageError: it is of a newer one. IntegrityError: it is no ledger.
    """
    found = revision(connection)
    if found is None:
        if inspect(connection).has_table("entries"):
            raise UsageError(
                "the ledger was made by a dataseal before its first release, and can't be read by this one",
                hint="publish it with the dataseal that made it, and `dataseal ledger import` it into a new workspace",
            )
        raise IntegrityError(
            "the ledger file is damaged or is not a ledger: it says no schema", hint="restore it from a backup"
        )
    if found not in known():
        raise UsageError(
            f"the ledger has schema {found}, of a newer dataseal; this one reads {REVISION}", hint="upgrade dataseal"
        )
    return found


def demand_nothing(connection: Connection) -> None:
    """Checks that the database is empty.

    Raises:
        UsageError: it holds tables.
    """
    if names := inspect(connection).get_table_names():
        raise UsageError(
            f"the database holds tables already ({', '.join(sorted(names)[:8])}); a ledger is never overwritten",
            hint="give the ledger a database of its own, or open the one that is there",
        )


def apply(connection: Connection) -> None:
    """Brings the database to `REVISION`, within the connection's transaction."""
    from alembic import command  # lazy: an upgrade is rare
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)


def known() -> tuple[str, ...]:
    """Every schema that there was, oldest first."""
    names = (path.name for path in (_MIGRATIONS / "versions").glob("r[0-9]*_*.py"))
    return tuple(sorted(name[1:].partition("_")[0] for name in names))
