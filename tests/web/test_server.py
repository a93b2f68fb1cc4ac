"""The server: it listens where it is told, cuts off clients that never finish, believes its proxies, and stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from channelsync.web import server
from channelsync.web.addresses import CannotListen, Listen, checked_proxy
from channelsync.web.app import build_app
from channelsync.web.server import bind, serve

HANG_GUARD = 60.0
ANYWHERE = Listen("127.0.0.1", 0)
Endpoint = Callable[[Request], Awaitable[Response]]
Serving = Callable[..., AbstractAsyncContextManager[tuple[str, int]]]


async def who(request: Request) -> Response:
    client = request.client.host if request.client else ""
    return PlainTextResponse(f"{client} {request.url.scheme}")


@pytest.fixture
def serving() -> Serving:
    """Serves an endpoint at /: `async with serving(endpoint) as (host, port)`."""

    @asynccontextmanager
    async def served(endpoint: Endpoint = who, **options: Any) -> AsyncIterator[tuple[str, int]]:
        bound = bind(ANYWHERE)
        address = bound.getsockname()
        stopped, ready = asyncio.Event(), asyncio.Event()
        app = build_app([Route("/", endpoint, methods=["GET", "POST"])])
        task = asyncio.create_task(serve(app, ANYWHERE, stopped=stopped, ready=ready, listener=bound, **options))
        async with asyncio.timeout(HANG_GUARD):
            await ready.wait()
            yield address[0], address[1]
            stopped.set()
            await task

    return served


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:8080", Listen("127.0.0.1", 8080)),
        ("[::1]:9464", Listen("::1", 9464)),
        ("localhost:0", Listen("localhost", 0)),
    ],
)
def test_an_address_is_read_and_written_the_same(text: str, listen: Listen) -> None:
    assert Listen.parse(text) == listen
    assert str(listen) == text


@pytest.mark.parametrize("text", ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "::1:80", "a b:1"])
def test_what_is_no_address_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:8080"):
        Listen.parse(text)


@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.0.0.5", "::1", "fd00::/8"])
def test_proxies_are_addresses_and_networks(text: str) -> None:
    assert checked_proxy(text) == text


@pytest.mark.parametrize("text", ["", "*", "proxy.example", "10.0.0.1/8", "10.0.0.0/99"])
def test_what_is_neither_address_nor_network_is_no_proxy(text: str) -> None:
    with pytest.raises(ValueError, match="network"):
        checked_proxy(text)


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = Listen("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(CannotListen, match=rf"{listen}.*Another program uses it.*\[web\]"):
            bind(listen)


def test_an_address_of_another_machine_is_a_clear_error() -> None:
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1:80"):
        bind(Listen("192.0.2.1", 80))


async def test_forwarded_addresses_are_believed_of_trusted_proxies_only(serving: Serving) -> None:
    forwarded = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
    for trusted, told in (
        ((), "127.0.0.1 http"),
        (("10.0.0.0/8",), "127.0.0.1 http"),
        (("127.0.0.0/8",), "203.0.113.9 https"),
    ):
        async with serving(trusted_proxies=trusted) as (host, port), httpx.AsyncClient() as client:
            answer = await client.get(f"http://{host}:{port}/", headers=forwarded)
        assert answer.text == told, trusted


async def test_the_answer_does_not_say_what_serves_it(serving: Serving) -> None:
    async with serving() as (host, port), httpx.AsyncClient() as client:
        answer = await client.get(f"http://{host}:{port}/")
    assert "server" not in answer.headers
    assert "date" in answer.headers


@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nX-A"])
@pytest.mark.fault(15, "A client whose headers drip is cut off at a deadline, and others are answered meanwhile")
async def test_a_client_that_never_finishes_the_head_of_its_request_is_cut_off(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "HEAD_WITHIN", 0.3)
    async with serving() as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(sent)
        dripping = asyncio.create_task(drip(writer))
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://{host}:{port}/")).status_code == 200
        assert await rest(reader) == b"", "nothing was asked, and the connection is closed"
        dripping.cancel()
        writer.close()


async def test_the_deadline_of_a_head_counts_for_every_request_of_a_connection(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(server, "HEAD_WITHIN", 0.3)
        dripping = asyncio.create_task(drip(writer))
        await rest(reader)
        dripping.cancel()
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection is closed; one that is closed over what we still send is reset."""
    read = b""
    with suppress(ConnectionResetError):
        while part := await reader.read(1_000):
            read += part
    return read


async def drip(writer: asyncio.StreamWriter) -> None:
    """Half a header a moment, for ever."""
    with suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)


async def test_a_body_that_goes_on_after_its_answer_is_cut_off(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_WITHIN", 0.3)
    async with serving() as (host, port):  # the endpoint reads no body
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        dripping = asyncio.create_task(drip(writer))
        await rest(reader)
        dripping.cancel()
        writer.close()


async def test_beyond_so_many_connections_requests_are_to_come_again(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 3)
    async with serving() as (host, port):

        async def asked() -> int:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://{host}:{port}/")).status_code

        assert await asked() == 200
        idle = [(await asyncio.open_connection(host, port))[1] for _ in range(2)]
        assert await asked() == 503
        for one in idle:
            one.close()
        while await asked() != 200:
            pass


async def test_a_request_that_states_its_length_twice_is_refused(serving: Serving) -> None:
    async with serving() as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert (await rest(reader)).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_a_request_under_way_is_finished_when_the_server_stops() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> Response:
        asked.set()
        await go_on.wait()
        return PlainTextResponse("done")

    bound, stopped = bind(ANYWHERE), asyncio.Event()
    port = bound.getsockname()[1]
    app = build_app([Route("/", slow)])
    task = asyncio.create_task(serve(app, ANYWHERE, stopped=stopped, listener=bound))
    async with asyncio.timeout(HANG_GUARD), httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/"))
        await asked.wait()
        stopped.set()
        await asyncio.sleep(0)
        go_on.set()
        assert (await asking).text == "done"
        await task
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


async def test_a_request_that_hangs_does_not_keep_the_server_from_stopping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FINISH_WITHIN", 0)
    asked = asyncio.Event()

    async def hangs(_request: Request) -> Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    bound, stopped = bind(ANYWHERE), asyncio.Event()
    port = bound.getsockname()[1]
    task = asyncio.create_task(serve(build_app([Route("/", hangs)]), ANYWHERE, stopped=stopped, listener=bound))
    async with asyncio.timeout(HANG_GUARD), httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await asking).status_code == 500
