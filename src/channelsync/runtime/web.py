"""What a process offers over HTTP: whose routes, on which address. Whoever has routes adds them here."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.routing import BaseRoute

from channelsync.runtime.config import Loaded
from channelsync.runtime.config_models import Config
from channelsync.runtime.receiver import receiving
from channelsync.sdk.clock import Clock
from channelsync.sdk.discovery import Catalogue
from channelsync.sdk.tasks import beside
from channelsync.store.database import Database
from channelsync.sync.agent import Agent
from channelsync.sync.inbox import tell_arrivals
from channelsync.sync.readiness import readiness
from channelsync.web.addresses import Listen
from channelsync.web.api.rates import Rates
from channelsync.web.api.routes import api_routes
from channelsync.web.app import build_app
from channelsync.web.feeds import feed_routes
from channelsync.web.health import health_routes
from channelsync.web.receiver import ReceiverCounters, receiver_routes
from channelsync.web.server import bind, serve


@dataclass(slots=True, kw_only=True)
class Web:
    """The server of one process.

    loaded: the configuration as it is now. listener: what `listener_of` gave; None: there is no server. routes: what is
    answered beside webhooks. counters: what its receiver has seen. arrived: set when something new is in the inbox, for
    whoever follows it in this process.
    """

    database: Database
    clock: Clock
    loaded: Callable[[], Loaded]
    catalogue: Catalogue
    listener: socket.socket | None
    routes: Sequence[BaseRoute] = ()
    counters: ReceiverCounters = field(default_factory=ReceiverCounters)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, stopped: asyncio.Event) -> None:
        """Serves until `stopped` is set. Begun again, it takes the address anew. Raises CannotListen, DatabaseError."""
        if self.listener is None:
            return
        web = self.loaded().config.web
        tell = asyncio.Event()

        def kept() -> None:
            self.arrived.set()
            tell.set()

        async with (
            beside(tell_arrivals(self.database, self.clock, tell), name="web: tell arrivals"),
            receiving(self.loaded, self.catalogue, self.database, self.clock, self.counters, kept) as receiver,
        ):
            await serve(
                build_app([*receiver_routes(receiver, self.counters, body_limit=web.body_limit), *self.routes]),
                Listen.parse(web.listen),
                stopped=stopped,
                listener=self.listener if self.listener.fileno() >= 0 else None,
                trusted_proxies=web.trusted_proxies,
            )


def daemon_routes(agent: Agent, loaded: Callable[[], Loaded]) -> list[BaseRoute]:
    """What a daemon answers beside webhooks; those who serve more add their routes here."""
    rates = Rates(clock=agent.clock, per_minute=loaded().config.web.api_rate)
    return [
        *health_routes(agent.beats, lambda: readiness(agent)),
        *api_routes(agent, rates=rates),
        *feed_routes(agent, lambda: {one.name: one.setup for one in loaded().config.feeds}),
    ]


@contextmanager
def listener_of(config: Config) -> Iterator[socket.socket | None]:
    """The socket of the configured address, held from the start, so that a port that is taken is told at once.

    None: no server is wanted. Raises CannotListen.
    """
    bound = bind(Listen.parse(config.web.listen)) if config.web.listen else None
    try:
        yield bound
    finally:
        if bound is not None:
            bound.close()
