"""Writes the next migration after a change of `tables.py`: python -m channelsync.store.migrations "what changed".

Needs ruff, to lay the file out. A migration of a released version is never changed; the one of the next version is
deleted and written anew until it is released.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from channelsync.store.database import open_database
from channelsync.store.migrations import FOLDER, upgrade, write_revision

_PLAIN = {
    "sa.BLOB()": "sa.LargeBinary()",
    "sa.DATETIME()": "sqlmodel.sql.sqltypes.UTCDateTime()",
    "sa.VARCHAR()": "sqlmodel.sql.sqltypes.AutoString()",
    "sa.TEXT()": "sa.Text()",
    "sa.text(\"('')\")": "sa.text(\"''\")",
}
"""What is read back from SQLite, where a table or a column is dropped or has a default: PostgreSQL must know it too."""


async def write(message: str, folder: Path = FOLDER) -> Path:
    """Upgrades an empty SQLite file and writes down, among the migrations of `folder`, what it lacks."""
    with tempfile.TemporaryDirectory() as scratch:
        async with open_database(f"sqlite:///{scratch}/migrated.db") as database:
            await upgrade(database, folder=folder)
            path = await database.migrate(lambda connection: write_revision(connection, message, folder=folder))
    lines = path.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if not line.lstrip().startswith("# ###"))
    for said, plain in _PLAIN.items():
        text = text.replace(said, plain)
    path.write_text(text)
    for tidy in (["format"], ["check", "--add-noqa"]):  # a long migration has more statements than a function should
        subprocess.run([sys.executable, "-m", "ruff", *tidy, "--quiet", path], check=True)  # noqa: S603, ASYNC221
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(write(' '.join(sys.argv[1:])))}\n")
