"""A place on an SFTP server. The server's key is pinned; the library (asyncssh) is loaded when a place needs it."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.files.place import PART, Entry, NoSuchFile, TooLarge, check_name, is_seen

PORT = 22
SECONDS_MAX = 60.0
"""One thing asked of the server takes no longer, connecting included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpServer:
    """A folder on a server, who we are there, and by which keys we know it.

    address: sftp://HOST[:PORT]/FOLDER; a folder is below the one in which we begin, with two slashes it is not.
    host_keys: as `ssh-keyscan` prints them, without the host's name. bytes_max: a larger file is not read.
    """

    address: str
    username: str | None
    password: SecretStr | None = None
    private_key: SecretStr | None = None
    passphrase: SecretStr | None = None
    host_keys: tuple[str, ...]
    bytes_max: int


def _library() -> Any:
    try:
        import asyncssh
    except ImportError as error:
        raise NeedsSeller(
            "Install the library for SFTP, in the folder of the clone: pip install '.[sftp]'. This place begins with sftp://."
        ) from error
    return asyncssh


class SftpPlace:
    """A folder on a server, over one connection that is made when it is needed and again when it was lost.

    owner: the channel or feed whose place it is, for messages.
    """

    def __init__(self, server: SftpServer, owner: str) -> None:
        parts = urlsplit(server.address)
        self._host, self._port = parts.hostname or "", parts.port or PORT
        path = unquote(parts.path)
        self._base = ("/" if path.startswith("//") else "") + path.strip("/") or "."
        self._server = server
        self._owner = owner
        self._connection: Any = None
        self._client: Any = None
        self._connecting = asyncio.Lock()

    async def aclose(self) -> None:
        """Ends the connection."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    async def entries(self, folder: str) -> list[Entry]:
        async with self._asking(f"list {folder}") as client:
            path = await self._inside(client, folder)
            listed = await client.readdir(path)
        found = [
            Entry(one.filename, one.attrs.size or 0, datetime.fromtimestamp(one.attrs.mtime or 0, UTC))
            for one in listed
            if is_seen(one.filename) and stat.S_ISREG(one.attrs.permissions or 0)
        ]
        return sorted(found, key=lambda one: (one.modified, one.name))

    async def fetch(self, folder: str, name: str) -> bytes:
        most = self._server.bytes_max
        async with self._asking(f"read {folder}/{name}") as client:
            path = f"{await self._inside(client, folder)}/{check_name(name)}"
            try:
                told = await client.lstat(path)
                if not stat.S_ISREG(told.permissions or 0):
                    raise NoSuchFile(name)
                async with client.open(path, "rb") as file:
                    content: bytes = await file.read(most + 1)
            except _library().SFTPNoSuchFile:
                raise NoSuchFile(name) from None
        if len(content) > most:
            raise TooLarge(f"it is larger than {most} bytes")
        return content

    async def put(self, folder: str, name: str, content: bytes) -> None:
        named = False
        try:
            async with self._asking(f"write {folder}/{name}") as client:
                inside = await self._inside(client, folder)
                part = f"{inside}/.{check_name(name)}{PART}"
                await self._write_part(client, part, content)
                named = True
                await self._rename(client, part, f"{inside}/{name}", replace=True)
        except TryLater as error:
            if named:
                raise OutcomeUnknown(f"{error}; the file may be there") from error
            raise

    async def move(self, folder: str, name: str, to: str, new: str) -> None:
        async with self._asking(f"move {folder}/{name}") as client:
            source = f"{await self._inside(client, folder)}/{check_name(name)}"
            target = f"{await self._inside(client, to)}/{check_name(new)}"
            try:
                await self._rename(client, source, target, replace=False)
            except _library().SFTPNoSuchFile:
                raise NoSuchFile(name) from None

    async def make(self, folder: str) -> None:
        async with self._asking(f"make {folder}") as client:
            if not await client.isdir(self._base):
                raise NeedsSeller(f"Create the folder {self._base} on {self._host}: it is the place of {self._owner}.")
            await client.makedirs(f"{self._base}/{folder}", exist_ok=True)
            await self._inside(client, folder)

    async def _write_part(self, client: Any, part: str, content: bytes) -> None:
        ssh = _library()
        with contextlib.suppress(ssh.SFTPNoSuchFile):
            await client.remove(part)  # left by a crash; a link in its place must not be followed
        async with client.open(part, "xb") as file:
            await file.write(content)
            # Servers that cannot do this decide themselves when what they hold is safe.
            with contextlib.suppress(ssh.SFTPOpUnsupported):
                await file.fsync()

    async def _rename(self, client: Any, source: str, target: str, *, replace: bool) -> None:
        """Renames; where a name must be replaced by the rename that does so at once, as OpenSSH has it."""
        if not replace:
            await client.rename(source, target)
            return
        try:
            await client.posix_rename(source, target)
        except _library().SFTPOpUnsupported:
            if await client.exists(target):
                await client.remove(target)
            await client.rename(source, target)

    async def _inside(self, client: Any, folder: str) -> str:
        """The folder, followed to where it really is. Raises NeedsSeller where that is outside of the place."""
        base, real = await client.realpath(self._base), await client.realpath(f"{self._base}/{folder}")
        if real != base and not real.startswith(base.rstrip("/") + "/"):
            raise NeedsSeller(f"Make {folder} on {self._host} a real folder: it leads out of the place.")
        return str(real)

    @asynccontextmanager
    async def _asking(self, what: str) -> AsyncIterator[Any]:
        """The client, connected; what the server says becomes what the daemon does next."""
        ssh = _library()
        what = f"{self._owner}: {what} on {self._host}"
        try:
            async with asyncio.timeout(SECONDS_MAX):
                yield await self._connected()
        except ssh.HostKeyNotVerifiable as error:
            raise NeedsSeller(
                f"{self._host} shows another key than `host_keys` of {self._owner} say. Ask who runs it whether the"
                " key was changed; if not, somebody is in its place."
            ) from error
        except (ssh.PermissionDenied, ssh.KeyEncryptionError, ssh.KeyImportError) as error:
            raise NeedsSeller(
                f"Renew username, password or key of {self._owner}: {self._host} does not let us in."
            ) from error
        except ssh.SFTPPermissionDenied as error:
            raise NeedsSeller(f"Give our user the right for it: {what}.") from error
        except (ssh.SFTPNoSuchFile, ssh.SFTPNoSuchPath) as error:
            raise NeedsSeller(f"Create the folder in {self._base} on {self._host} to {what}: it is missing.") from error
        except ssh.SFTPOpUnsupported as error:
            raise ChannelMisbehaved(f"{what}: the server cannot do this") from error
        except (ssh.Error, OSError, TimeoutError) as error:
            await self._drop()
            raise TryLater(f"{what}: {type(error).__name__}") from error

    async def _connected(self) -> Any:
        ssh, mine = _library(), self._server
        async with self._connecting:
            if self._connection is not None and self._connection.is_closed():
                await self._drop()
            if self._client is None:
                keys: list[Any] = []
                if mine.private_key is not None:
                    lock = None if mine.passphrase is None else mine.passphrase.get_secret_value()
                    keys = [ssh.import_private_key(mine.private_key.get_secret_value(), lock)]
                self._connection = await ssh.connect(
                    self._host,
                    self._port,
                    username=mine.username,
                    password=None if mine.password is None else mine.password.get_secret_value(),
                    client_keys=keys or None,
                    known_hosts=(self._host_keys(), [], []),
                    agent_path=None,
                    config=None,
                    keepalive_interval=30,
                )
                self._client = await self._connection.start_sftp_client()
        return self._client

    def _host_keys(self) -> list[Any]:
        ssh = _library()
        try:
            return [ssh.import_public_key(key) for key in self._server.host_keys]
        except ssh.KeyImportError as error:
            raise NeedsSeller(
                f"Put host_keys of {self._owner} right: each is a type and a key, as in `ssh-ed25519 AAAA...`."
            ) from error

    async def _drop(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.abort()
