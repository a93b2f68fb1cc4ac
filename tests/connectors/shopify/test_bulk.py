"""All listings by a bulk operation, and page by page where Shopify cannot do it in bulk."""

import json
from typing import Any

import httpx
import pytest

from channelsync.sdk.errors import ChannelMisbehaved
from channelsync_shopify import CONNECTOR
from channelsync_shopify.settings import ShopifySettings

BUCKET = "https://storage.example/bulk.jsonl?X-Goog-Signature=abc"


@pytest.fixture
async def channel(settings, resources):
    async with CONNECTOR.open(settings, resources) as opened:
        yield opened


async def everything(found: Any) -> list[Any]:
    return [one async for one in found]


def bulk_lines(words, *, parent_is_the_item: bool) -> bytes:
    """The result of a bulk operation over two variants, children before and after their parents."""
    rows = []
    for n in (101, 102):
        row = words.variant(n, levels=[words.level(7, n), words.level(8, 1)])
        levels = row["inventoryItem"].pop("inventoryLevels")["nodes"]
        del row["productVariantComponents"]
        parent = row["inventoryItem"]["id"] if parent_is_the_item else row["id"]
        rows += [one | {"__typename": "InventoryLevel", "__parentId": parent} for one in levels]
        rows.append(row)
    part = {"__typename": "ProductVariantComponent", "quantity": 2, "__parentId": words.gid("ProductVariant", 102)}
    rows.append(part | {"id": "x", "productVariant": {"id": words.gid("ProductVariant", 101)}})
    return b"\n".join(json.dumps(row).encode() for row in rows) + b"\n"


@pytest.fixture
def in_bulk(shop, words):
    """Many listings: a bulk operation that goes through these states and leaves this file."""

    def ready(*states: Any, content: bytes | None = None, size: int | None = None) -> None:
        def state(one: str) -> dict[str, Any]:
            done = one == "COMPLETED"
            more = {"url": BUCKET if done and content != b"nothing" else None, "fileSize": size, "errorCode": None}
            return {"id": "gid://shopify/BulkOperation/1", "status": one, **more}

        shop.on("ListingsCount", words.answer({"productVariantsCount": {"count": 5000}}))
        started = {"bulkOperation": {"id": "gid://shopify/BulkOperation/1", "status": "CREATED"}, "userErrors": []}
        shop.on("BulkStart", words.answer({"bulkOperationRunQuery": started}))
        shop.on("BulkState", *(words.answer({"bulkOperation": state(one)}) for one in states))
        shop.on("Listings", words.answer({"productVariants": words.page(words.variant(999))}))
        shop.router.get(BUCKET).mock(return_value=httpx.Response(200, content=content or b""))

    return ready


@pytest.mark.parametrize("parent_is_the_item", [True, False])
async def test_many_listings_are_pulled_in_bulk_and_are_the_same(
    channel, shop, words, in_bulk, *, parent_is_the_item: bool
) -> None:
    in_bulk("CREATED", "RUNNING", "COMPLETED", content=bulk_lines(words, parent_is_the_item=parent_is_the_item))
    found = await everything(channel.listings())
    levels = {n: [words.level(7, n), words.level(8, 1)] for n in (101, 102)}
    parts = [{"id": "x", "quantity": 2, "productVariant": {"id": words.gid("ProductVariant", 101)}}]
    shop.on(
        "ListingsById",
        words.answer(
            {
                "nodes": [
                    words.variant(101, levels=levels[101]),
                    words.variant(102, levels=levels[102], productVariantComponents=words.page(*parts)),
                ]
            }
        ),
    )
    assert found == await channel.listings_by_id(["101", "102"])
    assert shop.variables("Listings") == []
    (download,) = [call.request for call in shop.router.calls if call.request.method == "GET"]
    assert not [name for name in download.headers if "shopify" in name.lower()], "the file's host gets no token"


@pytest.mark.parametrize("state", ["FAILED", "CANCELED", "EXPIRED", "CANCELING"])
async def test_a_bulk_operation_that_fails_falls_back_to_pages(channel, in_bulk, state: str) -> None:
    in_bulk("RUNNING", state)
    assert [one.listing for one in await everything(channel.listings())] == ["999"]


async def test_a_bulk_operation_that_never_ends_falls_back_to_pages(channel, in_bulk, clock) -> None:
    in_bulk("RUNNING")
    began = clock.monotonic()
    assert [one.listing for one in await everything(channel.listings())] == ["999"]
    assert 3540 <= clock.monotonic() - began <= 3600


@pytest.mark.parametrize("code", ["OPERATION_IN_PROGRESS", "LIMIT_REACHED", "INVALID"])
async def test_a_bulk_operation_that_is_refused_falls_back_to_pages(channel, shop, words, in_bulk, code: str) -> None:
    in_bulk("COMPLETED")
    error = {"code": code, "field": None, "message": "already in progress"}
    shop.on("BulkStart", words.answer({"bulkOperationRunQuery": {"bulkOperation": None, "userErrors": [error]}}))
    assert [one.listing for one in await everything(channel.listings())] == ["999"]


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_result_that_is_not_given_out_falls_back_to_pages_and_stops_nobody(
    channel, shop, in_bulk, status: int
) -> None:
    in_bulk("COMPLETED")
    shop.router.get(BUCKET).mock(return_value=httpx.Response(status, text="<Error>expired</Error>"))
    for _ in range(2):
        assert [one.listing for one in await everything(channel.listings())] == ["999"]


async def test_a_result_that_is_too_large_falls_back_to_pages(channel, in_bulk) -> None:
    in_bulk("COMPLETED", content=b"{}", size=10**10)
    assert [one.listing for one in await everything(channel.listings())] == ["999"]


async def test_a_bulk_operation_that_finds_nothing_has_no_file(channel, in_bulk) -> None:
    in_bulk("COMPLETED", content=b"nothing")
    assert await everything(channel.listings()) == []


@pytest.mark.parametrize("content", [b'{"id": "gid://sho', b"[]", b'{"id": "x", "__parentId": "nobody"}'])
async def test_a_result_that_cannot_be_read_is_an_error_and_never_half_a_pull(channel, in_bulk, content) -> None:
    in_bulk("COMPLETED", content=content)
    with pytest.raises(ChannelMisbehaved):
        await everything(channel.listings())


async def test_bulk_can_be_switched_off(settings: ShopifySettings, resources, shop, words) -> None:
    shop.on("Listings", words.answer({"productVariants": words.page(words.variant(1))}))
    async with CONNECTOR.open(settings.model_copy(update={"bulk_from": None}), resources) as channel:
        assert len(await everything(channel.listings())) == 1
    assert [name for name, _ in shop.asked] == ["Listings"]
