"""The HTTP transport over real sockets: drips, resets, lies about length, bombs, redirects, kept connections."""

import asyncio
import gzip
import socket
import struct
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from channelsync.sdk.clock import SystemClock
from channelsync.sdk.errors import AnswerUnreadable, ChannelError, ChannelMisbehaved, NotSent, OutcomeUnknown, TryLater
from channelsync.sdk.http import Answer, Call, Timeouts

READ = Call("GET", "/orders", "read")
WRITE = Call("POST", "/quantities", "write", json={"MUG": 3})
IDEMPOTENT = replace(WRITE, idempotent=True)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Real = Callable[..., Awaitable[ChannelError | Answer]]


async def take_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return head


def saying(*parts: bytes) -> Handler:
    """Answers each connection's first request with these bytes, then closes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.writelines(parts)
        await writer.drain()

    return handler


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.fixture
def real(rig: Callable[..., Any], serve: Callable[..., Any]) -> Real:
    """What one attempt at a call comes to, with a real server and real time."""

    async def run(handler: Handler, call: Call, **settings: Any) -> ChannelError | Answer:
        async with serve(handler) as url, rig(base_url=url, clock=SystemClock(), **settings) as the:
            try:
                return await the.http.request(replace(call, attempts=1))
            except ChannelError as error:
                return error

    return run


def reply(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    stated = len(body) if length is None else length
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % stated, *headers, b"", body])


@pytest.mark.fault(28, "cut off at the total deadline")
@pytest.mark.parametrize(("call", "expected"), [(READ, TryLater), (WRITE, OutcomeUnknown)])
async def test_a_body_that_drips_is_cut_off_at_the_total_deadline(
    call: Call, expected: type[ChannelError], real: Real
) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    error = await real(drip, call, timeouts=Timeouts(read=30, total=0.2))
    assert type(error) is expected
    assert "deadline" in str(error)


@pytest.mark.parametrize(("call", "expected"), [(READ, TryLater), (WRITE, OutcomeUnknown)])
async def test_a_channel_that_never_answers_is_given_up_at_the_deadline(
    call: Call, expected: type[ChannelError], real: Real
) -> None:
    async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    assert type(await real(silence, call, timeouts=Timeouts(read=30, total=0.1))) is expected


async def test_a_deadline_that_passes_while_connecting_means_that_nothing_was_sent(rig: Callable[..., Any]) -> None:
    class Unreachable(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await request.extensions["trace"]("connection.connect_tcp.started", {})
            await asyncio.Event().wait()
            raise AssertionError

    async with rig(clock=SystemClock(), transport=Unreachable(), timeouts=Timeouts(total=0.01)) as the:
        assert type(await the.error(WRITE)) is NotSent


@pytest.mark.parametrize(("call", "expected"), [(READ, TryLater), (WRITE, OutcomeUnknown)])
async def test_a_reset_after_the_request_leaves_a_write_unknown(
    call: Call, expected: type[ChannelError], real: Real
) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        reset(writer)

    assert type(await real(cut, call)) is expected


SHORT = [
    ("fewer bytes than stated", reply(b'{"orders": []}', length=500)),
    ("whole JSON but fewer bytes than stated", reply(b"[1]", length=4)),
    ("chunks without an end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n"),
    ("half a gzip", reply(gzip.compress(b"[1, 2, 3]")[:-9], b"Content-Encoding: gzip")),
]


@pytest.mark.fault(29, "an error, never taken for the whole")
@pytest.mark.parametrize("sent", [row[1] for row in SHORT], ids=[row[0] for row in SHORT])
async def test_an_answer_that_is_cut_short_is_never_taken_for_the_whole(sent: bytes, real: Real) -> None:
    assert type(await real(saying(sent), READ)) is TryLater
    assert type(await real(saying(sent), WRITE)) is OutcomeUnknown


UNREADABLE = [
    ("more bytes than stated", reply(b'{"orders": []}', length=5)),
    ("a body above the cap", reply(b"[" + b" " * 5000 + b"]")),
    ("a body above the cap that does not say so", b"HTTP/1.1 200 OK\r\n\r\n[" + b" " * 5000 + b"]"),
    ("no gzip where it says so", reply(b"[1, 2, 3]", b"Content-Encoding: gzip")),
    ("a packing that we did not ask for", reply(b"[1, 2, 3]", b"Content-Encoding: br")),
    ("gzip in gzip above the cap", reply(gzip.compress(b" " * 900) * 2, b"Content-Encoding: gzip")),
]


@pytest.mark.fault(30, "an error, never an empty list")
@pytest.mark.parametrize("sent", [row[1] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
async def test_a_body_that_is_not_what_it_says_is_refused(sent: bytes, real: Real) -> None:
    assert type(await real(saying(sent), READ, body_bytes_max=1000)) is AnswerUnreadable


async def test_a_gzip_bomb_is_stopped_at_the_cap_without_being_unpacked(real: Real) -> None:
    bomb = reply(gzip.compress(b"0" * 50_000_000), b"Content-Encoding: gzip")
    tracemalloc.start()
    try:
        error = await real(saying(bomb), READ, body_bytes_max=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(error) is AnswerUnreadable
    assert "more than 1000000 bytes" in str(error)
    assert peak < 10_000_000


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"[1, 2, 3]"), gzip.compress(b"[1, ") + gzip.compress(b"2, 3]")],
    ids=["one member", "two members"],
)
async def test_gzip_is_unpacked_member_by_member(packed: bytes, real: Real) -> None:
    answer = await real(saying(reply(packed, b"Content-Encoding: gzip")), READ)
    assert isinstance(answer, Answer)
    assert answer.json() == [1, 2, 3]


async def test_a_body_exactly_at_the_cap_is_taken(real: Real) -> None:
    for sent in (reply(b"[1]"), reply(gzip.compress(b"[1]"), b"Content-Encoding: gzip")):
        assert isinstance(await real(saying(sent), READ, body_bytes_max=len(gzip.compress(b"[1]"))), Answer)


async def test_the_answer_to_head_has_no_body_to_miss(real: Real) -> None:
    head = Call("HEAD", "/orders", "read", expect="bytes")
    assert isinstance(await real(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"), head), Answer)


@pytest.mark.fault(25, "nothing was sent, and it is said so")
async def test_nobody_listening_and_no_tls_mean_that_nothing_was_sent(
    rig: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serve(no_tls) as url:
        pass
    async with rig(base_url=url, clock=SystemClock()) as the:
        assert type(await the.error(replace(WRITE, attempts=1))) is NotSent
    async with (
        serve(no_tls) as plain,
        rig(base_url=plain.replace("http", "https"), clock=SystemClock()) as the,
    ):
        assert type(await the.error(replace(WRITE, attempts=1))) is NotSent


@pytest.mark.fault(38, "not followed: neither request nor credentials get there")
async def test_a_redirect_to_another_host_gets_neither_the_request_nor_the_credentials(
    real: Real, serve: Callable[..., Any]
) -> None:
    reached: list[bytes] = []

    async def elsewhere(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        reached.append(await take_request(reader))

    async with serve(elsewhere) as other:
        moved = b"HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: %s/?token=abc\r\n\r\n"
        secret = {"Authorization": SecretStr("Bearer canary123")}
        error = await real(saying(moved % other.encode()), WRITE, headers=secret)
    assert type(error) is ChannelMisbehaved
    assert f"redirect to {other}/?token=[redacted]" in str(error)
    assert reached == []


def closing_kept_connections(log: list[str]) -> Handler:
    """Keeps each connection after its first request, and resets it on the second."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        log.append("answered")
        writer.write(reply(b"[]"))
        await take_request(reader)
        log.append("reset")
        reset(writer)

    return handler


@pytest.mark.fault(27, "a call that may be repeated is, at no cost")
@pytest.mark.parametrize("call", [READ, IDEMPOTENT])
async def test_a_kept_connection_found_closed_costs_a_repeatable_call_no_attempt(
    call: Call, rig: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    log: list[str] = []
    async with serve(closing_kept_connections(log)) as url, rig(base_url=url, clock=SystemClock()) as the:
        for _ in range(3):
            await the.http.request(replace(call, attempts=1))
        assert the.breaker.state.failures == 0
    assert log == ["answered", "reset", "answered", "reset", "answered"]


@pytest.mark.fault(27, "another write has an unknown outcome")
async def test_a_kept_connection_found_closed_leaves_other_writes_unknown(
    rig: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    log: list[str] = []
    async with serve(closing_kept_connections(log)) as url, rig(base_url=url, clock=SystemClock()) as the:
        await the.http.request(WRITE)
        assert type(await the.error(WRITE)) is OutcomeUnknown
    assert log == ["answered", "reset"]


class Scripted(httpx.AsyncBaseTransport):
    """Fails each request after these steps of its way, as httpcore names them."""

    def __init__(self, steps: list[str], *errors: Exception) -> None:
        self.steps, self.errors = steps, list(errors)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for step in self.steps:
            await request.extensions["trace"](f"{step}.started", {})
        raise self.errors.pop(0)


SENT = "http11.send_request_headers"
RESET = httpx.ReadError("reset")


@pytest.mark.parametrize(
    ("steps", "requests"), [([SENT], 2), (["connection.connect_tcp", SENT], 1)], ids=["kept", "new"]
)
async def test_only_a_kept_connection_found_closed_is_replaced_and_only_once(
    rig: Callable[..., Any], steps: list[str], requests: int
) -> None:
    transport = Scripted(steps, *[RESET] * 9)
    async with rig(transport=transport) as the:
        assert type(await the.error(replace(READ, attempts=1))) is TryLater
    assert len(transport.errors) == 9 - requests


async def test_a_write_on_a_kept_connection_found_closed_stays_unknown_even_if_its_repetition_never_left(
    rig: Callable[..., Any],
) -> None:
    async with rig(transport=Scripted([SENT], RESET, httpx.ConnectError("refused"))) as the:
        assert type(await the.error(replace(IDEMPOTENT, attempts=1))) is OutcomeUnknown


async def test_an_answer_cut_short_on_a_kept_connection_is_no_closed_connection(
    rig: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    requests: list[bytes] = []

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await take_request(reader))
        writer.write(reply(b"[]"))
        requests.append(await take_request(reader))
        writer.write(reply(b"[", length=2))

    async with serve(half) as url, rig(base_url=url, clock=SystemClock()) as the:
        await the.http.request(READ)
        assert type(await the.error(replace(READ, attempts=1))) is TryLater
    assert len(requests) == 2


async def test_no_answer_in_time_on_a_kept_connection_is_no_closed_connection(
    rig: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    requests: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await take_request(reader))
        writer.write(reply(b"[]"))
        requests.append(await take_request(reader))
        await reader.read()

    async with serve(once) as url, rig(base_url=url, clock=SystemClock(), timeouts=Timeouts(read=0.05)) as the:
        await the.http.request(READ)
        assert type(await the.error(replace(READ, attempts=1))) is TryLater
    assert len(requests) == 2


async def test_cookies_are_not_kept(rig: Callable[..., Any], serve: Callable[..., Any]) -> None:
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await take_request(reader))
            writer.write(reply(b"[]", b"Set-Cookie: a=b"))

    async with serve(handler) as url, rig(base_url=url, clock=SystemClock()) as the:
        await the.http.request(READ)
        await the.http.request(READ)
    assert b"cookie" not in heads[1].lower()


async def test_a_cancelled_call_gives_its_connection_and_its_probe_back(
    rig: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    arrived = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        arrived.set()
        await reader.read()

    async with serve(hold) as url, rig(base_url=url, clock=SystemClock(), connections_max=1) as the:
        for _ in range(2):
            arrived.clear()
            task = asyncio.create_task(the.http.request(READ))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert the.breaker.state.failures == 0
