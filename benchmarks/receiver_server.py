"""One of the servers that `benchmarks.receiver` compares, in a process of its own: it tells its address and serves.

bare: verifies the signature and answers. row: verifies, writes the event in a transaction of its own, answers.
ours: the receiver of `channelsync run`, in a process that looks for garbage as rarely as that one. All three verify by
the same scheme behind the same HTTP server.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack

import structlog
from pydantic import SecretStr
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from benchmarks.receiver_events import CHANNEL, SECRET
from channelsync.runtime.garbage import collect_rarely
from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.clock import Clock, SystemClock
from channelsync.sdk.discovery import installed
from channelsync.sdk.resources import unused
from channelsync.sdk.webhooks import WebhookHint
from channelsync.store import inbox
from channelsync.store.database import Database, open_database
from channelsync.store.inbox import Arrived
from channelsync.sync.inbox import Inbox, arrived
from channelsync.sync.receiving import Door, Receiver
from channelsync.sync.vault import Seals
from channelsync.web.addresses import Listen
from channelsync.web.app import build_app
from channelsync.web.receiver import ReceiverCounters, receiver_routes
from channelsync.web.server import bind, serve

_BODY_LIMIT = 1_000_000
_ADDRESS = Listen("127.0.0.1", 0)


def _scheme(clock: Clock) -> WebhookScheme:
    connector = installed().connector("sandbox")
    settings = connector.settings.model_validate(
        {"base_url": "http://127.0.0.1:9", "refresh_token": "none", "webhook_secrets": [SecretStr(SECRET)]}
    )
    assert connector.webhooks is not None
    scheme = connector.webhooks(settings, unused(CHANNEL, connector.budgets(settings), clock))
    assert scheme is not None
    return scheme


def _plain(scheme: WebhookScheme, clock: Clock, database: Database | None) -> ASGIApp:
    """The handler that anybody would write. database None: it keeps nothing."""

    async def post(request: Request) -> Response:
        body = await request.body()
        hint = await scheme.verify(request.headers, body, clock.now())
        if not isinstance(hint, WebhookHint):
            return Response(status_code=401)
        if database is not None:
            one = arrived(CHANNEL, hint, body, Seals(()), clock.now())
            await database.transact(lambda connection: _insert(connection, one))
        return Response(status_code=200)

    return Starlette(routes=[Route("/webhooks/{channel}", post, methods=["POST"])])


def _insert(connection: Connection, one: Arrived) -> None:
    inbox.keep_deliveries(connection, [one], "")


async def main(kind: str, url: str) -> None:
    """Serves until the process is killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    clock = SystemClock()
    scheme = _scheme(clock)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(url))
        if kind == "ours":
            kept = await stack.enter_async_context(Inbox(database))
            collect_rarely()
            receiver = Receiver({CHANNEL: Door(CHANNEL, scheme)}, kept, clock, Seals(()))
            app: ASGIApp = build_app(receiver_routes(receiver, ReceiverCounters(), body_limit=_BODY_LIMIT))
        else:
            app = _plain(scheme, clock, database if kind == "row" else None)
        listener = bind(_ADDRESS)
        print("http://{}:{}".format(*listener.getsockname()[:2]), flush=True)
        await serve(app, _ADDRESS, stopped=asyncio.Event(), listener=listener)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
