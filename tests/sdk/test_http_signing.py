"""The HTTP transport: every request that leaves is signed by itself, and what signs it is hidden."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import respx
from pydantic import SecretStr

from channelsync.sdk.clock import SystemClock
from channelsync.sdk.http import Call

READ = Call("GET", "/orders", "read")


@respx.mock
async def test_every_attempt_is_signed_anew(rig: Callable[..., Any]) -> None:
    route = respx.route(url__startswith="http://shop.test/api")
    route.side_effect = [httpx.Response(503), httpx.ReadTimeout("silence"), httpx.Response(200, json=[])]
    times: list[float] = []

    def sign(request: httpx.Request) -> tuple[SecretStr, ...]:
        times.append(the.clock.passed)
        request.headers["x-nonce"] = f"nonce-{len(times)}"
        request.url = request.url.copy_add_param("nonce", str(len(times)))
        return (SecretStr(f"nonce-{len(times)}"),)

    async with rig(sign=sign) as the:
        await the.http.request(READ)
    sent = [call.request for call in route.calls]
    assert [one.headers["x-nonce"] for one in sent] == ["nonce-1", "nonce-2", "nonce-3"]
    assert [one.url.params["nonce"] for one in sent] == ["1", "2", "3"], (
        "none keeps what an earlier one was signed with"
    )
    assert times == sorted(set(times)), "each is signed when it leaves, not when the call began"


@respx.mock
async def test_what_signs_a_request_is_shown_nowhere(rig: Callable[..., Any]) -> None:
    respx.route().respond(400, text="the signature c2lnbmVk is wrong")

    def sign(request: httpx.Request) -> tuple[SecretStr, ...]:
        request.headers["authorization"] = "Signature c2lnbmVk"
        return (SecretStr("c2lnbmVk"),)

    async with rig(sign=sign) as the:
        error = await the.error(READ)
    assert "c2lnbmVk" not in str(error)
    assert "is wrong" in str(error)


async def test_the_repetition_on_a_kept_connection_found_closed_is_signed_anew(
    serve: Callable[[Callable[..., Any]], AbstractAsyncContextManager[Any]], rig: Callable[..., Any]
) -> None:
    nonces: list[bytes] = []

    async def closing_the_second_time(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            nonces.append(head.split(b"x-nonce: ")[1].split(b"\r\n")[0])
            if len(nonces) == 2:
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
            await writer.drain()

    def sign(request: httpx.Request) -> tuple[SecretStr, ...]:
        sign_count.append(len(sign_count) + 1)
        request.headers["x-nonce"] = str(len(sign_count))
        return ()

    sign_count: list[int] = []
    async with (
        serve(closing_the_second_time) as url,
        rig(base_url=url, clock=SystemClock(), sign=sign) as the,
    ):
        await the.http.request(READ)
        await the.http.request(READ)
    assert nonces == [b"1", b"2", b"3"]
