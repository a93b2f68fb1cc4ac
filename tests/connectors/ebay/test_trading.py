"""Listings that are not migrated: the Trading API's calls, and its answers row by row."""

import re

import httpx
import pytest

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync_ebay import CONNECTOR
from channelsync_ebay.settings import EbaySettings

PLAIN = (
    "<Item><ItemID>110000000001</ItemID><Title>A mug &amp; more</Title><SKU>MUG</SKU><ListingType>FixedPriceItem"
    "</ListingType><Quantity>9</Quantity><QuantityAvailable>{left}</QuantityAvailable><SellingStatus>"
    "<QuantitySold>4</QuantitySold><HighBidder><UserID>Canary Birdwhistle</UserID></HighBidder></SellingStatus></Item>"
)
VARIED = (
    "<Item><ItemID>110000000002</ItemID><Title>Shirts</Title><Quantity>20</Quantity><Variations>"
    "<Variation><SKU>SHIRT-S</SKU><Quantity>7</Quantity><SellingStatus><QuantitySold>2</QuantitySold></SellingStatus>"
    "</Variation><Variation><SKU>SHIRT-M</SKU><Quantity>3</Quantity></Variation>"
    "<Variation><Quantity>3</Quantity></Variation></Variations></Item>"
)
AUCTION = "<Item><ItemID>110000000003</ItemID><ListingType>Chinese</ListingType><Quantity>1</Quantity></Item>"
ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "many">]><GetItemResponse xmlns="urn:ebay:apis:eBLBaseComponents"><Ack>Success</Ack>'
    "<Item><ItemID>110000000001</ItemID><Title>&a;</Title><Quantity>1</Quantity></Item></GetItemResponse>"
)
KEY, SMALL = QuantityKey("item:110000000001"), QuantityKey("item:110000000002:SHIRT-S")


def listed(*items: str, pages: int = 1) -> str:
    total = f"<PaginationResult><TotalNumberOfPages>{pages}</TotalNumberOfPages></PaginationResult>"
    return f"<ActiveList><ItemArray>{''.join(items)}</ItemArray>{total}</ActiveList>"


def error(code: str, text: str = "It cannot be done.", severity: str = "Error") -> str:
    return (
        f"<Errors><ShortMessage>No.</ShortMessage><LongMessage>{text}</LongMessage><ErrorCode>{code}</ErrorCode>"
        f"<SeverityCode>{severity}</SeverityCode></Errors>"
    )


def failure(*errors: str, ack: str = "Failure", told: str = "") -> str:
    return f"<Ack>{ack}</Ack>{''.join(errors)}{told}"


def changed(item: str, sku: str = "") -> str:
    named = f"<SKU>{sku}</SKU>" if sku else ""
    return f"<InventoryStatus><ItemID>{item}</ItemID>{named}<Quantity>3</Quantity></InventoryStatus>"


def update(key: QuantityKey, value: int = 3) -> QuantityUpdate:
    return QuantityUpdate(key=key, value=value, listing=key.key)


@pytest.fixture
def settings(settings) -> EbaySettings:
    return settings.model_copy(update={"legacy_listings": True, "site": 77})


class TestListings:
    async def test_what_is_not_migrated_comes_after_what_is(self, seller, ebay, words) -> None:
        details = {"listingId": "110000000009", "listingStatus": "ACTIVE"}
        ebay.on("GET", "/inventory_item$", words.items(words.item()))
        ebay.on("GET", "/offer$", words.offers(words.offer(listing=details)))
        migrated = "<Item><ItemID>110000000009</ItemID><Quantity>5</Quantity></Item>"
        ebay.on_trading(
            "GetMyeBaySelling", listed(PLAIN.format(left=5), migrated, pages=2), listed(VARIED, AUCTION, pages=2)
        )
        found = [one async for one in seller.listings()]
        assert [(one.listing, one.sku, *one.shown.values()) for one in found] == [
            ("MUG-BLUE", "MUG-BLUE", 5),
            ("item:110000000001", "MUG", 5),
            ("item:110000000002:SHIRT-S", "SHIRT-S", 5),
            ("item:110000000002:SHIRT-M", "SHIRT-M", 3),
        ]
        assert found[1].title == "A mug & more"
        assert "Canary" not in repr(found)
        pages = [re.search("<PageNumber>(.)", one)[1] for one in ebay.calls("GetMyeBaySelling")]
        assert pages == ["1", "2"]

    async def test_one_by_its_name(self, seller, ebay) -> None:
        ebay.on_trading("GetItem", VARIED)
        found = await seller.listings_by_id(["item:110000000002:SHIRT-M", "item:110000000002:NONE"])
        assert [one.listing for one in found] == ["item:110000000002:SHIRT-M"]

    async def test_one_that_ended_says_so(self, seller, ebay) -> None:
        ended = PLAIN.format(left=5).replace(
            "<SellingStatus>", "<SellingStatus><ListingStatus>Completed</ListingStatus>"
        )
        ebay.on_trading("GetItem", ended)
        (found,) = await seller.listings_by_id([KEY.key])
        assert (found.state, found.reasons) == ("ended", ("Completed: the listing has ended",))

    async def test_without_any_there_are_none(self, seller, ebay, words) -> None:
        ebay.on("GET", "/inventory_item$", words.items())
        ebay.on_trading("GetMyeBaySelling", "")
        assert [one async for one in seller.listings()] == []


class TestRead:
    async def test_each_item_is_asked_for_once(self, seller, ebay, words) -> None:
        ebay.on_trading("GetItem", VARIED)
        keys = [QuantityKey("item:110000000002:SHIRT-M"), SMALL, QuantityKey("item:110000000002:NONE")]
        reads = await seller.read(keys)
        assert [(one.key, one.value) for one in reads] == [(keys[0], 3), (keys[1], 5), (keys[2], None)]
        assert len(ebay.calls("GetItem")) == 1
        assert "<ItemID>110000000002</ItemID>" in ebay.calls("GetItem")[0]

    @pytest.mark.parametrize("code", ["17", "21917182"])
    async def test_an_item_that_is_no_more_has_no_value(self, seller, ebay, code: str) -> None:
        ebay.on_trading("GetItem", failure(error(code)))
        (read,) = await seller.read([KEY])
        assert (read.key, read.value) == (KEY, None)

    async def test_both_kinds_go_in_one_read(self, seller, ebay, words) -> None:
        found = {"sku": "MUG-BLUE", "statusCode": 200, "inventoryItem": words.item()}
        ebay.on("POST", "/bulk_get_inventory_item$", {"responses": [found]})
        ebay.on("GET", "/offer$", words.offers(words.offer()))
        ebay.on_trading("GetItem", PLAIN.format(left=2))
        assert [one.value for one in await seller.read([KEY, QuantityKey("MUG-BLUE")])] == [2, 5]

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (failure(error("10007")), TryLater),
            (failure(error("518")), TryLater),
            (failure(error("99999")), ChannelMisbehaved),
            ("", AnswerUnreadable),
            (httpx.Response(200, text="<html>"), AnswerUnreadable),
            (httpx.Response(200, text=""), AnswerUnreadable),
            (httpx.Response(200, json={"Ack": "Success"}), AnswerUnreadable),
            (httpx.Response(200, content=ENTITIES.encode()), AnswerUnreadable),
            (httpx.Response(503), TryLater),
        ],
    )
    async def test_an_answer_that_is_none_is_an_error(self, seller, ebay, answer, kind) -> None:
        ebay.on_trading("GetItem", answer)
        with pytest.raises(kind):
            await seller.read([KEY])


class TestPush:
    async def test_four_rows_go_at_a_time_with_what_a_call_needs(self, seller, ebay) -> None:
        ebay.on_trading("ReviseInventoryStatus", "")
        keys = [QuantityKey(f"item:11000000000{place}") for place in range(5)] + [SMALL]
        results = await seller.push([update(key) for key in keys])
        assert results == [PushResult.accepted(key) for key in keys]
        first, second = ebay.calls("ReviseInventoryStatus")
        assert first.count("<InventoryStatus>") == 4
        assert "<ItemID>110000000002</ItemID><SKU>SHIRT-S</SKU><Quantity>3</Quantity>" in second
        sent = ebay.of("/ws/api.dll")[0]
        assert sent.headers["x-ebay-api-iaf-token"] == "v^1.1#token-1"
        assert (sent.headers["x-ebay-api-siteid"], sent.headers["content-type"]) == ("77", "text/xml;charset=utf-8")

    async def test_a_sku_is_escaped(self, seller, ebay) -> None:
        ebay.on_trading("ReviseInventoryStatus", "")
        await seller.push([update(QuantityKey("item:110000000002:A<B&C"))])
        assert "<SKU>A&lt;B&amp;C</SKU>" in ebay.calls("ReviseInventoryStatus")[0]

    @pytest.mark.parametrize("sku", ["", "MUG"])
    async def test_rows_that_are_not_told_of_go_again_one_by_one(self, seller, ebay, sku: str) -> None:
        """A listing's own SKU is told, although we name it by its number."""
        told = changed("110000000001", sku)
        part = failure(error("21916750", "The item has ended."), ack="PartialFailure", told=told)
        alone = failure(error("21916750", "The item has ended."))
        ebay.on_trading("ReviseInventoryStatus", part, "", alone)
        other = QuantityKey("item:110000000005")
        results = await seller.push([update(KEY), update(SMALL), update(other)])
        assert [one.state for one in results] == ["accepted", "accepted", "refused"]
        assert "ended" in results[2].reason
        assert [one.count("<InventoryStatus>") for one in ebay.calls("ReviseInventoryStatus")] == [3, 1, 1]

    async def test_a_row_that_a_success_does_not_tell_of_is_asked_for_alone_and_then_unknown(
        self, seller, ebay
    ) -> None:
        ebay.on_trading("ReviseInventoryStatus", changed("110000000001"))
        results = await seller.push([update(KEY), update(SMALL)])
        assert [one.state for one in results] == ["accepted", "unknown"]
        assert [one.count("<InventoryStatus>") for one in ebay.calls("ReviseInventoryStatus")] == [2, 1]

    async def test_a_failure_changed_nothing_whatever_it_tells_of(self, seller, ebay) -> None:
        ebay.on_trading("ReviseInventoryStatus", failure(error("1"), told=changed("110000000001")))
        assert [one.state for one in await seller.push([update(KEY)])] == ["refused"]

    async def test_a_warning_is_no_refusal(self, seller, ebay) -> None:
        ebay.on_trading("ReviseInventoryStatus", failure(error("21917091", severity="Warning"), ack="Warning"))
        assert [one.state for one in await seller.push([update(KEY)])] == ["accepted"]

    async def test_a_refused_0_says_what_to_switch_on(self, seller, ebay) -> None:
        ebay.on_trading("ReviseInventoryStatus", failure(error("515", "Quantity 0 is not allowed.")))
        (result,) = await seller.push([update(KEY, 0)])
        assert "out-of-stock control" in result.reason

    async def test_a_system_error_is_unknown(self, seller, ebay) -> None:
        ebay.on_trading("ReviseInventoryStatus", failure(error("10007")))
        with pytest.raises(OutcomeUnknown):
            await seller.push([update(KEY)])

    async def test_a_token_that_is_not_taken_is_renewed_once(self, seller, ebay) -> None:
        ebay.on_trading("ReviseInventoryStatus", failure(error("21917053")), "")
        assert [one.state for one in await seller.push([update(KEY)])] == ["accepted"]
        ebay.on_trading("ReviseInventoryStatus", failure(error("932", "Auth token is hard expired.")))
        with pytest.raises(NeedsSeller, match="hard expired"):
            await seller.push([update(KEY)])


async def test_without_the_switch_such_names_are_skus(settings, ebay, resources, words) -> None:
    ebay.on("POST", "/bulk_get_inventory_item$", {"responses": [{"sku": KEY.key, "statusCode": 404}]})
    async with CONNECTOR.open(settings.model_copy(update={"legacy_listings": False}), resources) as seller:
        assert [one.value for one in await seller.read([KEY])] == [None]
    assert ebay.of("/ws/api.dll") == []
