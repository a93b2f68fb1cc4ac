"""A write leaves only while the account is ours: looked at once more before every attempt and before the first byte."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

from channelsync.sdk.clock import SystemClock
from channelsync.sdk.errors import NotSent
from channelsync.sdk.http import Backoff, Call
from channelsync.sdk.right_to_write import check_may_write, may_write, writing_while

READ = Call("GET", "/orders", "read")
WRITE = Call("POST", "/quantities", "write", json={"MUG": 3}, idempotent=True)


def test_outside_of_any_block_nothing_is_asked() -> None:
    assert may_write()
    with writing_while(lambda: False):
        assert not may_write()
        with pytest.raises(NotSent, match="shop: quantities"):
            check_may_write("shop: quantities")
    assert may_write()


@respx.mock
async def test_a_write_without_the_right_is_not_sent_and_not_tried_again_but_reads_go_on(
    rig: Callable[..., Any],
) -> None:
    route = respx.route(url__startswith="http://shop.test/api").mock(return_value=httpx.Response(200, json={}))
    async with rig() as the:
        with writing_while(lambda: False):
            with pytest.raises(NotSent, match="ran out before the request left"):
                await the.http.request(WRITE)
            assert route.call_count == 0
            await the.http.request(READ)
    assert route.call_count == 1


@respx.mock
async def test_a_right_that_is_lost_between_two_attempts_ends_the_call(rig: Callable[..., Any]) -> None:
    route = respx.route(url__startswith="http://shop.test/api").mock(return_value=httpx.Response(429))
    async with rig(backoff=Backoff(attempts=5)) as the:
        with writing_while(lambda: route.call_count < 2):
            await the.error(WRITE)
    assert route.call_count == 2


async def test_a_right_that_is_lost_while_connecting_stops_the_request_before_its_first_byte(
    rig: Callable[..., Any], serve: Callable[..., Any]
) -> None:
    received = bytearray()
    connected = asyncio.Event()

    async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        received.extend(await reader.read())

    looks = iter([True, False, False, False])  # held when the attempt begins, lost when the connection stands
    async with serve(listening) as url, rig(base_url=url, clock=SystemClock()) as the:
        with writing_while(lambda: next(looks)), pytest.raises(NotSent):
            await the.http.request(WRITE)
        await connected.wait()
    assert received == b""
