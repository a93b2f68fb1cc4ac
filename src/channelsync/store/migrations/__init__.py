"""How the database came to its tables, one file a step; and how far a given database has come."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect

from channelsync.store.database import Database
from channelsync.store.database_errors import SchemaTooNew, SchemaTooOld
from channelsync.store.tables import metadata

FOLDER = Path(__file__).parent
REVISION_TABLE = "alembic_version"


async def upgrade(database: Database, revision: str = "head", *, folder: Path = FOLDER) -> None:
    """Brings the tables to `revision`, in one transaction: all of it or nothing.

    Two processes that upgrade at once do it one after the other. Raises SchemaTooNew for a database that a later
    version has upgraded. folder: holds env.py, the template and `versions`.
    """
    await _refuse_newer(database, folder)
    await database.migrate(lambda connection: command.upgrade(_config(folder, connection), revision))


async def downgrade(database: Database, revision: str, *, folder: Path = FOLDER) -> None:
    """Takes the tables back to `revision`, or to nothing at `base`; what they held beyond it is lost."""
    await _refuse_newer(database, folder)
    await database.migrate(lambda connection: command.downgrade(_config(folder, connection), revision))


def upgrade_within(connection: Connection, revision: str = "head", *, folder: Path = FOLDER) -> None:
    """As `upgrade`, within a transaction of `Database.migrate` that does more than that."""
    command.upgrade(_config(folder, connection), revision)


async def current(database: Database) -> str | None:
    """The revision of the database's tables; None: it has none."""
    return await database.query(revision_of)


def revision_of(connection: Connection) -> str | None:
    """The revision of the connection's tables; None: it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def knows(revision: str, *, folder: Path = FOLDER) -> bool:
    """Whether this version has been at that revision."""
    return revision in _known(folder)


@cache
def tables_at(revision: str, *, folder: Path = FOLDER) -> tuple[str, ...]:
    """The names of all tables that there are at a revision: the migrations make them in memory."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        command.upgrade(_config(folder, connection), revision)
        names = inspect(connection).get_table_names()
    engine.dispose()
    return tuple(sorted(set(names) - {REVISION_TABLE}))


async def check_schema(database: Database, *, folder: Path = FOLDER) -> None:
    """Raises SchemaTooOld or SchemaTooNew unless the tables are exactly those of this version."""
    await _refuse_newer(database, folder)
    revision, head = await current(database), _scripts(folder).get_current_head()
    if revision != head:
        raise SchemaTooOld(f"{database.name} is at revision {revision or 'none'}, the code at {head}")


async def differences(database: Database) -> list[object]:
    """What still tells the database's tables from those in the code; empty when the migrations cover everything.

    CHECK constraints are not compared: Alembic does not see them.
    """
    return await database.query(lambda c: list(compare_metadata(_comparing(c), metadata)))


def write_revision(connection: Connection, message: str, *, folder: Path = FOLDER) -> Path:
    """Writes the next file of `versions` from what the connection's tables lack of the code's; read it critically."""
    number = f"{len(_known(folder)) + 1:04d}"
    command.revision(_config(folder, connection), message, autogenerate=True, rev_id=number)
    return Path(_scripts(folder).get_revision(number).path)


async def _refuse_newer(database: Database, folder: Path) -> None:
    revision, known = await current(database), _known(folder)
    if revision is not None and revision not in known:
        newest = max(known, default="none")
        raise SchemaTooNew(f"{database.name} is at revision {revision}, of which this version knows {newest} at most")


def _known(folder: Path) -> list[str]:
    return [script.revision for script in _scripts(folder).walk_revisions()]


def _scripts(folder: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(folder))


def _config(folder: Path, connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def _comparing(connection: Connection) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
