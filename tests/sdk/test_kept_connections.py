"""Connections that the other side has given up are all closed, whatever becomes of the request that finds them."""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_site import open_site
from channelsync.lab.marketplace_values import Offer
from channelsync.lab.webhook_sender import WebhookPlan, WebhookSender
from channelsync.sdk import outbound
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.http import Call, Timeouts
from channelsync.sdk.outbound import Outbound

MANY = 12
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Other:
    """A server that answers many requests at once, so that each has a connection, and then gives up all of these."""

    address: str
    all_there: asyncio.Barrier
    hung_up: asyncio.Event

    async def gives_up(self) -> None:
        self.hung_up.set()
        for _ in range(MANY * 4):  # both ends hear of it
            await asyncio.sleep(0)


@pytest.fixture
async def other(serve: Callable[[Any], AbstractAsyncContextManager[str]]) -> AsyncIterator[Other]:
    all_there, hung_up = asyncio.Barrier(MANY), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
        if not hung_up.is_set():
            await all_there.wait()
        writer.write(ANSWER)
        await hung_up.wait()

    async with serve(answer) as address:
        yield Other(address, all_there, hung_up)


@pytest.fixture
def closed_all() -> Callable[[], bool]:
    """Says whether nothing was left for the garbage collector to close."""

    def nothing_is_left() -> bool:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", ResourceWarning)
            gc.collect()
        return [str(one.message) for one in said] == []

    gc.collect()
    return nothing_is_left


async def failure(hasty: Any) -> str:
    """How a call fails; the error itself, which knows all that was open, is gone afterwards."""
    try:
        await hasty.http.request(Call("GET", "/", "read"))
    except ChannelError as error:
        return type(error).__name__
    return ""


async def test_by_a_call_that_is_out_of_time(other: Other, rig: Any, closed_all: Callable[[], bool]) -> None:
    wire = httpx.AsyncHTTPTransport()
    patient = rig(base_url=other.address, transport=wire)
    hasty = rig(base_url=other.address, transport=wire, timeouts=Timeouts(total=1e-9))
    async with patient:
        await asyncio.gather(*(patient.http.request(Call("GET", "/", "read")) for _ in range(MANY)))
        await other.gives_up()
        assert await failure(hasty) == "TryLater"
    assert closed_all()


async def test_by_a_message_that_is_out_of_time(
    other: Other, monkeypatch: pytest.MonkeyPatch, closed_all: Callable[[], bool]
) -> None:
    async def here(host: str, _port: int) -> list[str]:
        return [host]

    async with Outbound(other.address, allow_private=True, resolve=here) as sending:
        await asyncio.gather(*(sending.post(b"{}", {}) for _ in range(MANY)))
        await other.gives_up()
        monkeypatch.setattr(outbound, "SECONDS_MAX", 1e-9)
        assert (await sending.post(b"{}", {})).problem.startswith("no answer within")
    assert closed_all()


@pytest.mark.parametrize("turns", range(1, MANY))
async def test_by_a_delivery_that_is_cancelled(turns: int, other: Other, closed_all: Callable[[], bool]) -> None:
    site = open_site("agora", PRESETS["plain"], SystemClock())
    site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 100)
    site.api.subscriptions.add("agora", other.address, ("order.created",))
    async with httpx.AsyncClient() as client:
        sender = WebhookSender(site.api, client, SystemClock(), random.Random(1), WebhookPlan(delay=(0.0, 0.0)))
        running = asyncio.create_task(sender.run())
        for _ in range(MANY):
            site.marketplace.buy("mug", 1)
        async with asyncio.timeout(60):
            while len(sender.log) < MANY:  # noqa: ASYNC110 - the log wakes nobody
                await asyncio.sleep(0)
        await other.gives_up()
        site.marketplace.buy("mug", 1)
        for _ in range(turns + 3):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert closed_all()
