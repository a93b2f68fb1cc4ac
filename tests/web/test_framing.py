"""Where a request ends is read in one way, or the request is refused: nobody hides a second one in the first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from channelsync.web.addresses import Listen
from channelsync.web.app import build_app
from channelsync.web.body import BodyRefused, read_body
from channelsync.web.server import bind, serve

HANG_GUARD = 60.0
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
HELLO = b"\r\n\r\nhello"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

TWO_WAYS = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6" + HELLO,
    "a list of lengths": b"Content-Length: 5, 6" + HELLO,
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked" + CHUNKS,
    "chunks and a length": b"Transfer-Encoding: chunked\r\nContent-Length: 5" + CHUNKS,
    "chunks, and a length of nothing": b"Transfer-Encoding: chunked\r\nContent-Length: 0" + CHUNKS,
    "a length with a sign": b"Content-Length: +5" + HELLO,
    "a length below nothing": b"Content-Length: -5" + HELLO,
    "a length in hexadecimal": b"Content-Length: 0x5" + HELLO,
    "a length with an underscore": b"Content-Length: 0_5" + HELLO,
    "a length that is no number": b"Content-Length: five" + HELLO,
    "a length of foreign digits": "Content-Length: \u0665".encode() + HELLO,
    "a length with a blank before its colon": b"Content-Length : 5" + HELLO,
    "a length behind a blank": b"X: y\r\n\tContent-Length: 5\r\n Content-Length: 6\r\nContent-Length: 7 8" + HELLO,
    "chunks with a blank before the colon": b"Transfer-Encoding : chunked" + CHUNKS,
    "an encoding that nobody knows": b"Transfer-Encoding: xchunked" + CHUNKS,
    "chunks within another encoding": b"Transfer-Encoding: chunked, identity" + CHUNKS,
    "another encoding within chunks": b"Transfer-Encoding: gzip, chunked" + CHUNKS,
    "chunks twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + CHUNKS,
    "chunks in quotes": b'Transfer-Encoding: "chunked"' + CHUNKS,
    "chunks and a vertical tab": b"Transfer-Encoding: \x0bchunked" + CHUNKS,
    "a chunk with a sign": CHUNKED + b"\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    "a chunk in another spelling": CHUNKED + b"\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"\r\n\r\n5\r\nhelloXX0\r\n\r\n",
    "a chunk of endless digits": CHUNKED + b"\r\n\r\n" + b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n",
    "a header with a zero byte": b"X: a\x00b\r\nContent-Length: 5" + HELLO,
    "a header that is none": b"Content-Length 5\r\nContent-Length: 5" + HELLO,
}


@pytest.fixture
def served() -> list[tuple[str, bytes]]:
    """The requests that reached the application whole: path and body."""
    return []


@pytest.fixture
async def address(served: list[tuple[str, bytes]]) -> AsyncIterator[tuple[str, int]]:
    """Where it is served: it takes a body, and says which path was asked."""
    anywhere = Listen("127.0.0.1", 0)
    bound, stopped, ready = bind(anywhere), asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> Response:
        try:
            body = await read_body(request, 1_000)
        except BodyRefused as refused:
            return PlainTextResponse(refused.reason, refused.status)
        served.append((request.url.path, body))
        return PlainTextResponse(request.url.path)

    app = build_app([Route("/{path:path}", answer, methods=["GET", "POST"])])
    task = asyncio.create_task(serve(app, anywhere, stopped=stopped, ready=ready, listener=bound))
    async with asyncio.timeout(HANG_GUARD):
        await ready.wait()
        yield bound.getsockname()
        stopped.set()
        await task


async def exchanged(address: tuple[str, int], sent: bytes) -> bytes:
    """All that is answered until the server closes the connection."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    read = b""
    with suppress(ConnectionResetError):
        while part := await reader.read(65_536):
            read += part
    writer.close()
    return read


async def test_two_requests_that_are_framed_well_are_both_served(
    address: tuple[str, int], served: list[tuple[str, bytes]]
) -> None:
    first = b"POST /first HTTP/1.1\r\nHost: x\r\n"
    last = HIDDEN.replace(b"Host: x", b"Host: x\r\nConnection: close")
    for framed in (b"Content-Length: 5" + HELLO, CHUNKED + CHUNKS):
        served.clear()
        answer = await exchanged(address, first + framed + last)
        assert answer.count(b"HTTP/1.1 200") == 2
        assert served == [("/first", b"hello"), ("/hidden", b"")]


@pytest.mark.parametrize("how", list(TWO_WAYS))
async def test_a_request_that_can_be_framed_in_two_ways_is_refused_with_all_that_follows_it(
    address: tuple[str, int], served: list[tuple[str, bytes]], how: str
) -> None:
    answer = await exchanged(address, b"POST /first HTTP/1.1\r\nHost: x\r\n" + TWO_WAYS[how] + HIDDEN)
    assert served == []
    assert answer[9:10] in (b"4", b"5"), answer
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows is not read at all"
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 2_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 2_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 400_000 + b"\r\n",
    ],
    ids=["address", "header", "headers"],
)
async def test_a_head_without_end_is_refused(
    address: tuple[str, int], served: list[tuple[str, bytes]], head: bytes
) -> None:
    assert (await exchanged(address, head))[9:10] in (b"4", b"")
    assert served == []
