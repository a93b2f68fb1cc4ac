"""Two fronts of a marketplace's API: an HTTP server on a socket, and a transport that calls it in process.

Both ask `HttpApi.handle` and let its replies meet their fate. Time passes on the lab's clock only.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qsl

import httpx
from starlette.requests import Request as StarletteRequest
from starlette.types import Receive, Scope, Send

from channelsync.lab.marketplace_http import HttpApi, Reply, Request
from channelsync.lab.marketplace_rules import NOTHING, Span
from channelsync.sdk.clock import Clock

HANGS = 60.0
"""Seconds that a server keeps a connection open to which it will never answer."""

_DROPS = 5  # a dripping answer comes in so many pieces


class InProcessTransport(httpx.AsyncBaseTransport):
    """Reaches a marketplace without sockets; what happens to connections becomes httpx's errors.

    The request is on its way for a time drawn from the rules' latency, and so is the answer. A reply that is never
    sent runs into the request's own read timeout, or ends after `HANGS` seconds.
    """

    def __init__(self, api: HttpApi, clock: Clock, rng: random.Random) -> None:
        self._api = api
        self._clock = clock
        self._rng = rng

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        latency = self._api.marketplace.rules.latency
        body = request.content if isinstance(request.stream, httpx.ByteStream) else await request.aread()
        await self._travel(latency)
        reply = self._api.handle(
            Request(
                request.method, request.url.path, _query(request.url.query), request.headers, body, request.url.query
            )
        )
        match reply.fate:
            case "is refused":
                raise httpx.ConnectError("connection refused", request=request)
            case "is reset":
                raise httpx.ReadError("connection reset", request=request)
            case "is never sent":
                await self._clock.sleep(_read_timeout(request))
                raise httpx.ReadTimeout("no answer in time", request=request)
        await self._travel(latency)
        return self._response(reply)

    async def _travel(self, latency: Span) -> None:
        if latency != NOTHING:
            await self._clock.sleep(self._rng.uniform(*latency))

    def _response(self, reply: Reply) -> httpx.Response:
        if reply.fate == "arrives":
            return httpx.Response(reply.status, headers=reply.headers, content=reply.body)
        headers = {**reply.headers, "content-length": str(len(reply.body))}
        stream = _CutShort(reply) if reply.fate == "is cut short" else _Dripping(reply, self._clock)
        return httpx.Response(reply.status, headers=headers, stream=stream)


class _CutShort(httpx.AsyncByteStream):
    """A body of which half is missing."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield _half(self._reply.body)
        if self._reply.body:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


class _Dripping(httpx.AsyncByteStream):
    """A body that comes piece by piece."""

    def __init__(self, reply: Reply, clock: Clock) -> None:
        self._reply = reply
        self._clock = clock

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in _pieces(self._reply.body):
            await self._clock.sleep(self._reply.seconds / _DROPS)
            yield piece


class MarketplaceApp:
    """The marketplace as an ASGI application, for a server on a socket."""

    def __init__(self, api: HttpApi, clock: Clock, rng: random.Random) -> None:
        self._api = api
        self._clock = clock
        self._rng = rng

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        request = StarletteRequest(scope, receive)
        raw = scope["query_string"]
        asked = Request(request.method, request.url.path, _query(raw), request.headers, await request.body(), raw)
        latency = self._api.marketplace.rules.latency
        if latency != NOTHING:
            await self._clock.sleep(self._rng.uniform(*latency))
        reply = self._api.handle(asked)
        if reply.fate == "is never sent":
            await self._clock.sleep(HANGS)
        if reply.fate in ("is never sent", "is reset", "is refused"):
            await _hang_up(send)
            return
        if latency != NOTHING:
            await self._clock.sleep(self._rng.uniform(*latency))
        await self._send(reply, send)

    async def _send(self, reply: Reply, send: Send) -> None:
        headers = {**reply.headers, "content-length": str(len(reply.body))}
        if reply.status == 204:
            del headers["content-length"]
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": raw})
        if reply.fate == "is cut short":
            await send({"type": "http.response.body", "body": _half(reply.body), "more_body": True})
            await _hang_up(send)
            return
        if reply.fate == "drips":
            for piece in _pieces(reply.body):
                await self._clock.sleep(reply.seconds / _DROPS)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.body", "body": reply.body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class HungUp(Exception):
    """The marketplace drops the connection; a server that cannot be told so answers 500 instead."""


async def _hang_up(send: Send) -> None:
    """Closes the connection without (the rest of) an answer.

    ASGI has no word for it, so uvicorn's own transport is closed, which hangs on its `send`. Two turns of the loop
    later uvicorn knows that the connection is gone, and says nothing about the missing answer.
    """
    transport: Any = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise HungUp
    transport.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def _query(raw: bytes) -> dict[str, str]:
    return dict(parse_qsl(raw.decode("latin-1"))) if raw else {}


def _read_timeout(request: httpx.Request) -> float:
    timeout = request.extensions.get("timeout", {}).get("read")
    return HANGS if timeout is None else float(timeout)


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _pieces(body: bytes) -> Iterator[bytes]:
    size = max(1, -(-len(body) // _DROPS))
    return (body[at : at + size] for at in range(0, len(body), size))
