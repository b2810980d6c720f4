"""The steps from an empty database to the present one, run by `Store.migrate`.

A new step: `alembic revision` is not needed; add `versions/000N_what.py` whose `down_revision` is
the newest one, and the store's contract suite checks that its result is what `tables.py` says.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from scheduler.errors import IncompatibleStore

# Any number will do that nothing else in the same database locks by.
_LOCK = 0x46727567616C


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's settings, without a file: scripts from this package, the connection passed in."""
    config = Config()
    folder = str(Path(__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The newest revision that this version knows."""
    revision = ScriptDirectory.from_config(configuration()).get_current_head()
    if revision is None:
        raise IncompatibleStore("this installation has no migrations")
    return revision


def current(connection: Connection) -> str | None:
    """The revision of a database; None when it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Run the missing steps in one transaction, one process at a time.

    Raises IncompatibleStore when the database is at a revision this version does not know.
    """
    with (
        engine.connect().execution_options(write=True) as connection,
        connection.begin(),
    ):
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        check_known(connection)
        command.upgrade(configuration(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Undo the steps after `revision`; `base` leaves nothing."""
    with (
        engine.connect().execution_options(write=True) as connection,
        connection.begin(),
    ):
        check_known(connection)
        command.downgrade(configuration(connection), revision)


def check_known(connection: Connection) -> None:
    """Raises IncompatibleStore when a newer version wrote the database."""
    at = current(connection)
    scripts = ScriptDirectory.from_config(configuration())
    if at is not None and at not in {script.revision for script in scripts.walk_revisions()}:
        raise IncompatibleStore(
            f"the database is at revision {at!r}, written by a newer version of Frugal; this one"
            f" knows revisions up to {head()!r}: update Frugal, or use another database"
        )
