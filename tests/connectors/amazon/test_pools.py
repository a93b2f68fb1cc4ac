"""Units that Amazon keeps: read pool by pool, told apart, never written."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channelsync.sdk.contract import ContractClock
from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller
from channelsync.sdk.resources import unused
from channelsync.sdk.values import KeyRead, QuantityKey, QuantityUpdate
from channelsync_amazon import CONNECTOR, pools
from channelsync_amazon.channel import AmazonChannel
from channelsync_amazon.pools import AtAmazon, units_of
from channelsync_amazon.settings import AmazonSettings

US, CA, MX = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1AM78C64UM0Y8"
SETTINGS: dict[str, Any] = {
    "seller_id": "A3TH9S8BH6GOGM",
    "region": "na",
    "client_id": "x",
    "client_secret": "y",
    "refresh_token": "z",
}


def details(there: int = 9, orders: int = 2, reserved: int = 5, searched: int = 1, unfit: int = 4) -> dict[str, Any]:
    return {
        "fulfillableQuantity": there,
        "inboundWorkingQuantity": 100,
        "inboundShippedQuantity": 100,
        "inboundReceivingQuantity": 100,
        "reservedQuantity": {"totalReservedQuantity": reserved, "pendingCustomerOrderQuantity": orders},
        "researchingQuantity": {"totalResearchingQuantity": searched},
        "unfulfillableQuantity": {"totalUnfulfillableQuantity": unfit},
    }


def row(sku: str = "MUG", told: Any = None, **more: Any) -> dict[str, Any]:
    return {"sellerSku": sku, "inventoryDetails": details() if told is None else told, **more}


def page(*rows: Any, pool: str = US, token: str | None = None) -> dict[str, Any]:
    granularity = {"granularityType": "Marketplace", "granularityId": pool}
    found = {"payload": {"granularity": granularity, "inventorySummaries": list(rows)}}
    return found if token is None else found | {"pagination": {"nextToken": token}}


def facts(read: KeyRead) -> tuple[int | None, int | None, int | None, str]:
    return read.value, read.committed, read.held, read.unreadable


@pytest.fixture
def settings(settings: AmazonSettings) -> AmazonSettings:
    return settings.model_copy(update={"marketplaces": (US, CA), "fba_pools": (US, CA)})


# The settings


def test_no_pool_is_read_unless_it_is_named() -> None:
    assert AmazonSettings(**SETTINGS, marketplaces=(US, CA)).fba_pools == ()
    assert AmazonSettings(**SETTINGS, marketplaces=(US, CA), fba_pools=(CA,)).fba_pools == (CA,)


@pytest.mark.parametrize(("named", "why"), [((US, US), "named twice"), ((US, MX), MX), (("uk",), "match")])
def test_a_pool_is_one_of_the_marketplaces_and_named_once(named: tuple[str, ...], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        AmazonSettings(**SETTINGS, marketplaces=(US, CA), fba_pools=named)


# What a row tells


def test_a_row_tells_what_can_be_bought_what_is_ordered_and_what_else_lies_there() -> None:
    assert units_of([row()], ["MUG"]) == {"MUG": AtAmazon(9, 2, (5 - 2) + 1 + 4)}


def test_a_sku_that_amazon_tells_nothing_about_has_nothing_there() -> None:
    assert units_of([row()], ["JUG"]) == {"JUG": AtAmazon(0, 0, 0)}


def test_orders_that_amazon_counts_before_all_that_is_reserved_take_nothing_off_the_rest() -> None:
    assert units_of([row(told=details(orders=3, reserved=1))], ["MUG"]) == {"MUG": AtAmazon(9, 3, 5)}


def test_several_kinds_of_one_sku_count_together_and_each_once() -> None:
    rows = [row(fnSku="X001"), row(told=details(1, 0, 0, 0, 0), fnSku="B001"), row(fnSku="X001")]
    assert units_of(rows, ["MUG"]) == {"MUG": AtAmazon(10, 2, 8)}


PARTS = (
    ("fulfillableQuantity",),
    ("reservedQuantity",),
    ("reservedQuantity", "totalReservedQuantity"),
    ("reservedQuantity", "pendingCustomerOrderQuantity"),
    ("researchingQuantity",),
    ("researchingQuantity", "totalResearchingQuantity"),
    ("unfulfillableQuantity",),
    ("unfulfillableQuantity", "totalUnfulfillableQuantity"),
)


@pytest.mark.parametrize("part", PARTS)
def test_a_number_that_is_missing_is_not_0(part: tuple[str, ...]) -> None:
    told = details()
    del (told if len(part) == 1 else told[part[0]])[part[-1]]
    found = units_of([row(told=told), row("JUG")], ["MUG", "JUG"])
    assert isinstance(found["MUG"], str)
    assert ".".join(part) in found["MUG"]
    assert found["JUG"] == AtAmazon(9, 2, 8), "its neighbours are read"


@pytest.mark.parametrize("bad", [2.5, "2", None, -1, True])
def test_a_number_that_is_none_cannot_be_read(bad: Any) -> None:
    found = units_of([row(told=details(there=bad))], ["MUG"])
    assert isinstance(found["MUG"], str)
    assert "fulfillableQuantity" in found["MUG"]


@pytest.mark.parametrize("told", [{}, [], 0])
def test_a_row_without_details_says_so(told: Any) -> None:
    assert units_of([row(told=told)], ["MUG"]) == {"MUG": pools.NO_DETAILS}
    assert units_of([{"sellerSku": "MUG"}], ["MUG"]) == {"MUG": pools.NO_DETAILS}


def test_one_kind_that_cannot_be_read_leaves_the_sum_unknown() -> None:
    assert units_of([row(fnSku="X001"), row(told=[], fnSku="B001")], ["MUG"]) == {"MUG": pools.NO_DETAILS}


@pytest.mark.parametrize("nameless", [{}, "MUG", {"sellerSku": ""}, {"inventoryDetails": details()}])
def test_a_row_of_no_sku_may_be_of_any_that_has_none(nameless: Any) -> None:
    assert units_of([row(), nameless], ["MUG", "JUG"]) == {"MUG": AtAmazon(9, 2, 8), "JUG": pools.NAMELESS}


@given(st.lists(st.integers(0, 10**6), min_size=5, max_size=5))
def test_every_unit_there_is_told_once(numbers: list[int]) -> None:
    there, orders, more, searched, unfit = numbers
    found = units_of([row(told=details(there, orders, orders + more, searched, unfit))], ["MUG"])["MUG"]
    assert isinstance(found, AtAmazon)
    assert found.fulfillable + found.committed + found.held == sum(numbers)


# What is asked


async def test_each_pool_is_asked_for_its_own_units(channel, amazon, clock) -> None:
    own = {US: page(row(), row("JUG", details(1, 0, 0, 0, 0))), CA: page(row("JUG", details(7, 0, 0, 0, 0)), pool=CA)}
    amazon.on("getInventorySummaries", lambda asked: own[asked.params["granularityId"]])
    keys = [QuantityKey(sku, pool) for sku, pool in (("JUG", CA), ("MUG", US), ("MUG", CA), ("JUG", US))]
    reads = await channel.read(keys)
    assert [one.key for one in reads] == keys
    assert [facts(one) for one in reads] == [(7, 0, 0, ""), (9, 2, 8, ""), (0, 0, 0, ""), (1, 0, 0, "")]
    first, second = amazon.of("getInventorySummaries")
    assert first.params == {
        "details": "true",
        "granularityType": "Marketplace",
        "granularityId": US,
        "marketplaceIds": US,
        "sellerSkus": "MUG,JUG",
    }
    assert second.params == first.params | {"granularityId": CA, "marketplaceIds": CA, "sellerSkus": "JUG,MUG"}
    assert amazon.operations == ["getInventorySummaries"] * 2
    assert all(one.asked <= one.answered <= clock.now() for one in reads)


async def test_keys_of_both_kinds_are_read_in_one_go_whatever_is_wrong_with_either(channel, amazon, words) -> None:
    listed = words.item("MUG", 5) | {
        "fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT", "quantity": 0.5}]
    }
    amazon.on("getListingsItem", httpx.Response(200, json=listed))
    amazon.on("getInventorySummaries", page(row()))
    ours, kept, again = await channel.read([QuantityKey("MUG"), QuantityKey("MUG", US), QuantityKey("MUG", US)])
    assert (ours.value, bool(ours.unreadable)) == (None, True)
    assert facts(kept) == (9, 2, 8, "")
    assert again == kept
    assert amazon.operations == ["getListingsItem", "getInventorySummaries"]


async def test_a_place_that_is_no_pool_has_no_number_and_is_not_asked_for(channel, amazon) -> None:
    (read,) = await channel.read([QuantityKey("MUG", MX)])
    assert facts(read) == (None, None, None, "")
    assert amazon.asked == []


async def test_units_at_amazon_are_asked_for_fifty_at_a_time(channel, amazon) -> None:
    def told(asked):
        return page(*(row(sku, details(int(sku[4:]), 0, 0, 0, 0)) for sku in asked.params["sellerSkus"].split(",")))

    amazon.on("getInventorySummaries", told)
    keys = [QuantityKey(f"SKU-{number}", US) for number in range(120)]
    assert [one.value for one in await channel.read(keys)] == list(range(120))
    sizes = [len(one.params["sellerSkus"].split(",")) for one in amazon.of("getInventorySummaries")]
    assert sizes == [50, 50, 20]


async def test_a_sku_with_a_comma_is_asked_for_by_itself(channel, amazon) -> None:
    def told(asked):
        alone = asked.params.get("sellerSku")
        return page(row("A,B", details(3, 0, 0, 0, 0))) if alone else page(row("A"), row("B"))

    amazon.on("getInventorySummaries", told)
    reads = await channel.read([QuantityKey(sku, US) for sku in ("A", "A,B", "B")])
    assert [one.value for one in reads] == [9, 3, 9]
    asked = [(one.params.get("sellerSkus"), one.params.get("sellerSku")) for one in amazon.of("getInventorySummaries")]
    assert asked == [("A,B", None), (None, "A,B")]


async def test_pages_are_read_to_the_end_and_their_units_counted_together(channel, amazon, clock) -> None:
    amazon.on(
        "getInventorySummaries",
        page(row(fnSku="X001"), token="t-1"),
        page(row(told=details(1, 0, 0, 0, 0), fnSku="B001"), row("JUG"), token="t-2"),
        page(),
    )
    begun = clock.now()
    mug, jug = await channel.read([QuantityKey("MUG", US), QuantityKey("JUG", US)])
    assert (facts(mug), facts(jug)) == ((10, 2, 8, ""), (9, 2, 8, ""))
    assert (mug.asked, mug.answered) == (begun, clock.now()), "from the first page to the last"
    assert mug.answered > begun, "the third page waits for its turn"
    first, second, third = amazon.of("getInventorySummaries")
    assert (second.params, third.params) == (first.params | {"nextToken": "t-1"}, first.params | {"nextToken": "t-2"})


async def test_a_page_of_units_that_leads_back_to_itself_is_an_error(channel, amazon) -> None:
    amazon.on("getInventorySummaries", page(row(), token="t-1"))
    with pytest.raises(ChannelMisbehaved, match="leads back"):
        await channel.read([QuantityKey("MUG", US)])


async def test_a_row_that_cannot_be_read_says_why_and_spoils_no_other(channel, amazon) -> None:
    answer = httpx.Response(200, json=page(row("MUG", {"fulfillableQuantity": "nine"}), row("JUG"), {"asin": "B1"}))
    amazon.on("getInventorySummaries", answer)
    mug, jug, cup = await channel.read([QuantityKey(sku, US) for sku in ("MUG", "JUG", "CUP")])
    assert [(one.value, one.committed, one.held) for one in (mug, jug, cup)] == [
        (None, None, None),
        (9, 2, 8),
        (None, None, None),
    ]
    assert "fulfillableQuantity" in mug.unreadable
    assert cup.unreadable == pools.NAMELESS


@pytest.mark.parametrize("answer", [{}, {"payload": None}, {"payload": {"inventorySummaries": None}}, []])
async def test_an_answer_without_units_is_an_error_and_no_zero(channel, amazon, answer: Any) -> None:
    amazon.on("getInventorySummaries", httpx.Response(200, json=answer))
    with pytest.raises(AnswerUnreadable):
        await channel.read([QuantityKey("MUG", US)])


async def test_a_role_that_is_missing_is_named(channel, amazon, words) -> None:
    amazon.on("getInventorySummaries", words.error(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(NeedsSeller, match="role Product Listing or Amazon Fulfillment"):
        await channel.read([QuantityKey("MUG", US)])


async def test_the_check_looks_whether_each_pool_can_be_read(channel, amazon, words) -> None:
    amazon.on("getMarketplaceParticipations", {"payload": [words.participation(US), words.participation(CA)]})
    refusal = words.error(403, "Unauthorized", "Access to requested resource is denied.")
    amazon.on("getInventorySummaries", page(), refusal)
    us, ca = [one for one in await channel.inspect() if one.what == "units at Amazon"]
    assert (us.fine, ca.fine) == (True, False)
    assert "Product Listing or Amazon Fulfillment" in ca.advice
    amazon.on("getInventorySummaries", words.error(400, "InvalidInput", "The seller has no such units."))
    told = [one.advice for one in await channel.inspect() if one.what == "units at Amazon"]
    assert [f"Take {pool} out of fba_pools" in advice for pool, advice in zip((US, CA), told, strict=True)] == [
        True,
        True,
    ]


# Nothing is written there


async def test_what_amazon_keeps_is_never_written(channel, amazon) -> None:
    keys = [QuantityKey("MUG", US), QuantityKey("MUG", MX)]
    results = await channel.push([QuantityUpdate(key=key, value=0, listing="MUG") for key in keys])
    assert [one.state for one in results] == ["refused", "refused"]
    assert "not ours" in results[0].reason
    assert MX in results[1].reason
    assert amazon.asked == []


# On the server


@pytest.fixture
async def on_the_server(site, settings_of, clock: ContractClock) -> AsyncIterator[AmazonChannel]:
    """The channel at the vendor's test server; its first marketplace is the one pool that is read."""
    pools_there = site.marketplace_ids[:1]
    settings = settings_of(site, fba_pools=pools_there)
    resources = unused("amazon-eu", CONNECTOR.budgets(settings), clock, transport=site.transport)
    async with CONNECTOR.open(settings, resources) as opened:
        yield opened
    assert (site.api.problems, site.api.refused, site.api.ignored, site.api.buckets.violations) == ([], [], [], [])


async def test_units_that_are_ordered_are_committed_until_they_leave(on_the_server, site, clock) -> None:
    site.catalogue.list_item("FBA", 0, fba=True)
    site.pool.receive("FBA", 10, inbound=6, unfulfillable=2)
    key = QuantityKey("FBA", site.marketplace_ids[0])

    async def told():
        (read,) = await on_the_server.read([key])
        await clock.sleep(1)
        return facts(read)

    assert await told() == (10, 0, 2, ""), "what is on its way is not there yet"
    order = site.marketplace.buy("FBA", 3).order.id
    assert await told() == (7, 3, 2, "")
    site.marketplace.ship(order)
    assert await told() == (7, 0, 2, "")


async def test_a_listing_that_flips_has_units_at_amazon_while_amazon_fulfils_it(on_the_server, site, clock) -> None:
    site.catalogue.list_item("MUG", 9)
    key = QuantityKey("MUG", site.marketplace_ids[0])
    seen = []
    for fba in (None, True, False):
        if fba is not None:
            site.catalogue.convert("MUG", fba=fba)
            site.pool.receive("MUG", 5)
        await clock.sleep(1200)
        (listing,) = await on_the_server.listings_by_id(["MUG"])
        (read,) = await on_the_server.read([key])
        assert listing.keys == (QuantityKey("MUG"),)
        seen.append((listing.kept, read.value))
    assert seen == [((), 0), ((key,), 5), ((), 0)]
    update = QuantityUpdate(key=key, value=1, listing="MUG")
    assert [one.state for one in await on_the_server.push([update])] == ["refused"]


async def test_units_of_many_listings_are_those_that_lie_there(on_the_server, site) -> None:
    keys = []
    for number in range(60):
        sku = f"FBA,{number}" if number % 20 == 0 else f"FBA-{number}"
        site.catalogue.list_item(sku, 0, fba=True)
        site.pool.receive(sku, number)
        keys.append(QuantityKey(sku, site.marketplace_ids[0]))
    reads = await on_the_server.read(keys)
    assert [one.value for one in reads] == list(range(60))
    assert site.api.calls["getInventorySummaries"] == 2 + 3, "57 in two calls, three by themselves"
