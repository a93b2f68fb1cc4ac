"""An HTTP server inside our own process: one address, one application, until it is told to stop.

It is uvicorn, which leaves three things to whoever runs it: the socket, so that a port that is taken is our own clear
error; the signals, which are the daemon's; and clients that never finish what they send.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from channelsync.web.addresses import CannotListen, Listen

__all__ = ["CannotListen", "Listen", "bind", "serve"]

log = structlog.get_logger(__name__)

HEAD_WITHIN = 10.0
"""Seconds that a client has for the head of a request, however it drips."""

KEEP_ALIVE = 15
"""Seconds that a connection is kept for the next request. Longer than proxies need, so that they close it first."""

CONNECTIONS_MAX = 1_000
"""Connections at once; beyond them requests are answered 503 at once."""

FINISH_WITHIN = 4
"""Seconds that requests under way have when the server stops."""


def bind(listen: Listen) -> socket.socket:
    """A socket on this address that `serve` can take. Raises CannotListen."""
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"cannot listen on {listen}: {error}. See `listen` below [web].") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setblocking(False)  # noqa: FBT003 - that is how sockets take it
        bound.bind(address)
        bound.listen()
    except OSError as error:
        bound.close()
        raise CannotListen(
            f"cannot listen on {listen}: {error.strerror or error}. Another program uses it, or it is none of this "
            "machine's addresses; see `listen` below [web]."
        ) from error
    return bound


async def serve(
    app: ASGIApp,
    listen: Listen,
    *,
    stopped: asyncio.Event,
    ready: asyncio.Event | None = None,
    listener: socket.socket | None = None,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serves until `stopped` is set or it is cancelled; requests under way are finished, for 5 seconds at most.

    ready: set once connections are taken. listener: what `bind` gave for `listen`, for whoever must know a port that
    was chosen; it is closed. trusted_proxies: addresses and networks whose X-Forwarded-For and X-Forwarded-Proto are
    believed; of everybody else they are ignored. Raises CannotListen.
    """
    bound = listener or bind(listen)
    server = _Server(
        uvicorn.Config(
            app,
            http=_Http,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=FINISH_WITHIN,
        )
    )
    host, port = bound.getsockname()[:2]
    serving = asyncio.create_task(server.serve([bound]), name=f"serve {host}:{port}")
    try:
        await _first(serving, server.listening)
        if server.started:
            log.info("web.listening", address=str(Listen(host, port)))
            if ready is not None:
                ready.set()
        await _first(serving, stopped)
    finally:
        server.should_exit = True
        await asyncio.wait([serving])
        bound.close()
    serving.result()


async def _first(serving: asyncio.Task[None], event: asyncio.Event) -> None:
    """Returns once an event is set, or serving has ended already."""
    waiting = asyncio.create_task(_set(event))
    try:
        await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def _set(event: asyncio.Event) -> None:
    await event.wait()


class _Server(uvicorn.Server):
    """uvicorn's own, which says when it listens and takes no signals. listening: set once connections are taken."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to take connections."""
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process: the daemon has its own way to stop."""
        yield


class _Http(H11Protocol):
    """HTTP/1.1 with a deadline for the head of a request, and for a body that goes on after its answer.

    uvicorn waits for both as long as the client likes; the body of a request under way is the application's to read.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came; the time for its first request begins."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes came; a head that is still not whole has only what is left of its time."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went."""
        super().connection_lost(exc)
        self._unwatch()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE and self.conn.our_state is not h11.DONE:
            self._unwatch()
        elif self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(HEAD_WITHIN, self.timeout_keep_alive_handler)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
