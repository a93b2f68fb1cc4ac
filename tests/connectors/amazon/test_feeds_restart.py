"""A feed that is open when the process ends: the next one waits for it, and hears what became of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from channelsync.sdk.memory import CONTENT_MAX, ProcessMemory
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_amazon import CONNECTOR
from channelsync_amazon.feeds import LOST_AFTER, MEMORY


def update(sku: str, value: int = 5, *, lowering: bool = False) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(sku), value=value, listing=sku, sku=sku, lowering=lowering or value == 0)


UPDATES = [update(sku) for sku in "ABC"]


@pytest.fixture(autouse=True)
def selling(amazon, words) -> None:
    """A to D are the seller's own; a feed waits in the queue."""
    amazon.on(
        "searchListingsItems",
        lambda asked: words.items(*(words.item(sku) for sku in asked.params["identifiers"].split(","))),
    )
    amazon.on("getListingsItem", lambda asked: words.item(asked.sku))
    amazon.on("patchListingsItem", lambda asked: words.submission(asked.sku))
    amazon.on("createFeedDocument", {"feedDocumentId": "in", "url": f"{words.files}/in?X-Amz-Signature=signed-away"})
    amazon.on("PUT /in", httpx.Response(200))
    amazon.on("createFeed", {"feedId": "1"})
    amazon.on("getFeed", words.feed("IN_QUEUE"))
    amazon.on("getFeedDocument", words.document("out", "feed"))


@pytest.fixture
def memory() -> ProcessMemory:
    return ProcessMemory()


@pytest.fixture
def process(settings, resources, memory):
    """One life of the agent; what it keeps over restarts is the memory alone."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with CONNECTOR.open(settings, replace(resources, memory=memory)) as channel:
            yield channel

    return opened


def states(results: Any) -> list[str]:
    return [one.state for one in results]


async def test_after_a_restart_nothing_is_sent_for_what_an_open_feed_holds(process, amazon, words) -> None:
    async with process() as channel:
        assert states(await channel.push(UPDATES)) == ["accepted"] * 3
    amazon.on("cancelFeed", words.error(400, "InvalidInput"))
    async with process() as channel:
        assert states(await channel.push([update("A", 7), update("B", 0), update("D", 0)])) == [
            "not sent",
            "not sent",
            "accepted",
        ]
    assert [one.sku for one in amazon.of("patchListingsItem")] == ["D"]
    assert len(amazon.of("createFeed")) == 1


async def test_after_a_restart_its_results_arrive(process, amazon, words, memory) -> None:
    async with process() as channel:
        await channel.push(UPDATES)
    amazon.on("getFeed", words.feed("DONE", "out"))
    amazon.on("GET /out", words.feed_result(words.row_issue(2), accepted=2, invalid=1))
    async with process() as channel:
        (first, second) = await channel.push([update("A", 7), update("B", 5)])
    assert (first.state, second.state) == ("accepted", "refused")
    assert "no such SKU" in second.reason
    assert await memory.get(MEMORY) is None, "nothing is open any more"


async def test_it_is_remembered_before_it_is_waited_for(process, amazon, words, memory) -> None:
    kept: list[bytes | None] = []

    def killed(_: Any) -> Any:
        kept.append(memory._kept.get(MEMORY))
        return words.feed("IN_QUEUE")

    amazon.on("getFeed", killed)
    async with process() as channel:
        await channel.push(UPDATES)
    assert kept
    assert kept[0] is not None


async def test_a_feed_that_is_dead_by_then_is_forgotten(process, amazon, words, clock) -> None:
    async with process() as channel:
        await channel.push(UPDATES)
    await clock.sleep(LOST_AFTER.total_seconds() + 1)
    amazon.on("getFeed", words.feed("IN_PROGRESS"))
    async with process() as channel:
        assert states(await channel.push([update("A", 0)])) == ["accepted"]


@pytest.mark.parametrize("content", [b"nonsense", b"[]", b'{"open": [{"feed": "1"}]}'])
async def test_what_cannot_be_read_of_it_is_as_good_as_nothing(process, amazon, memory, content: bytes) -> None:
    await memory.put(MEMORY, content)
    async with process() as channel:
        assert states(await channel.push([update("A", 0)])) == ["accepted"]


async def test_what_is_remembered_of_the_largest_feed_fits(memory) -> None:
    assert 25_000 * len('["A-LONG-SKU-OF-FORTY-CHARACTERS-0123456",99999],') < CONTENT_MAX
    await memory.put(MEMORY, b"x" * CONTENT_MAX)
