"""Bodies are read whole and in time, or not at all: a cap on their bytes, a deadline, nothing compressed."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from channelsync.web.addresses import Listen
from channelsync.web.app import build_app, problem
from channelsync.web.body import CLOSE, BodyRefused, read_body
from channelsync.web.server import bind, serve

LIMIT = 100_000
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


class Endpoint:
    """Reads a body and says how long it is. within: its deadline."""

    def __init__(self) -> None:
        self.within = 30.0
        self.read: list[int] = []

    async def __call__(self, request: Request) -> Response:
        try:
            body = await read_body(request, LIMIT, self.within)
        except BodyRefused as refused:
            return problem(refused.status, refused.reason, CLOSE)
        self.read.append(len(body))
        return JSONResponse(len(body))


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
async def address(endpoint: Endpoint) -> AsyncIterator[tuple[str, int]]:
    """Where the endpoint is served."""
    anywhere = Listen("127.0.0.1", 0)
    bound, stopped, ready = bind(anywhere), asyncio.Event(), asyncio.Event()
    host, port = bound.getsockname()

    async def answer(request: Request) -> Response:
        return await endpoint(request)

    app = build_app([Route("/", answer, methods=["POST"])])
    task = asyncio.create_task(serve(app, anywhere, stopped=stopped, ready=ready, listener=bound))
    async with asyncio.timeout(60):
        await ready.wait()
        yield host, port
        stopped.set()
        await task


@pytest.mark.parametrize("size", [0, 1, 70_000, LIMIT])
async def test_a_body_up_to_the_limit_is_read_whole(address: tuple[str, int], size: int) -> None:
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*address)) as client:
        assert (await client.post("/", content=b"x" * size)).json() == size
        assert (await client.post("/", content=chunks(size))).json() == size


async def chunks(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 9_000):
        yield b"x" * min(9_000, size - start)


@pytest.mark.fault(14, "413 at the cap, the connection is closed, and no more than the cap is held in memory")
async def test_a_body_beyond_the_limit_is_refused_before_it_is_sent(
    address: tuple[str, int], endpoint: Endpoint
) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HEAD + b"Content-Length: 50000000\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()
    assert endpoint.read == []
    writer.close()


@pytest.mark.fault(14, "chunks without end are cut off at the cap, and are not held in memory")
async def test_a_body_of_chunks_without_end_is_refused_at_the_limit_and_is_not_held(address: tuple[str, int]) -> None:
    tracemalloc.start()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    answering = asyncio.create_task(reader.read())
    sent = 0
    with suppress(ConnectionError):
        while not answering.done():
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()
            sent += 0x10000
    writer.close()
    with suppress(ConnectionError):  # the answer may be lost when what we send meets a closed socket
        assert (await answering).startswith(b"HTTP/1.1 413")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000 + sent / 4


@pytest.mark.fault(14, "a body that is shorter than announced is no body")
async def test_a_body_that_is_shorter_than_announced_is_no_body(address: tuple[str, int], endpoint: Endpoint) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HEAD + b"Content-Length: 50\r\n\r\nonly this")
    await writer.drain()
    writer.close()
    await reader.read()
    assert endpoint.read == []


async def test_what_follows_an_announced_body_is_no_part_of_it(address: tuple[str, int], endpoint: Endpoint) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HEAD + b"Content-Length: 4\r\nConnection: close\r\n\r\n1234 and more than that")
    with suppress(ConnectionResetError):
        await reader.read()
    assert endpoint.read == [4]
    writer.close()


@pytest.mark.fault(15, "a body that drips is answered 408 at its deadline")
async def test_a_body_that_drips_is_cut_off_at_its_deadline(address: tuple[str, int], endpoint: Endpoint) -> None:
    endpoint.within = 0.3
    reader, writer = await asyncio.open_connection(*address)
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")

    async def drip() -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer.lower()
    dripping.cancel()
    writer.close()
    assert endpoint.read == []


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "identity, gzip", "x"])
@pytest.mark.fault(16, "415: a compressed body is not unpacked at all")
async def test_a_compressed_body_is_refused_unread(address: tuple[str, int], endpoint: Endpoint, coding: str) -> None:
    bomb = gzip.compress(b"\x00" * 10_000_000)
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*address)) as client:
        answer = await client.post("/", content=bomb, headers={"content-encoding": coding})
    assert answer.status_code == 415
    assert endpoint.read == []
