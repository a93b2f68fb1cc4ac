"""Listings: states with Amazon's own reasons, whose units they are, what the reports say."""

from dataclasses import replace
from typing import Any

import pytest

from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync_amazon import translate_listings, wire

US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"
MUG = QuantityKey("MUG")


def read(row: dict[str, Any], marketplaces: tuple[str, ...] = (US,)) -> Listing:
    found = translate_listings.listing_of(wire.Item.model_validate(row), marketplaces)
    assert found is not None
    return found


def test_a_listing_that_can_be_bought(words) -> None:
    assert read(words.item("MUG", 5)) == Listing(
        listing="MUG", sku="MUG", title="A mug", state=ListingState.ACTIVE, keys=(MUG,), shown={MUG: 5}
    )


@pytest.mark.parametrize(
    ("status", "quantity", "state"),
    [
        (("BUYABLE", "DISCOVERABLE"), 5, ListingState.ACTIVE),
        (("BUYABLE",), 5, ListingState.ACTIVE),
        (("DISCOVERABLE",), 5, ListingState.INACTIVE),
        ((), 5, ListingState.INACTIVE),
        (("BUYABLE",), 0, ListingState.INACTIVE),
        ((), 0, ListingState.INACTIVE),
    ],
)
def test_it_can_be_bought_where_amazon_says_buyable_and_there_are_units(words, status, quantity, state) -> None:
    row = words.item("MUG", quantity, summaries=[words.summary(US, *status)])
    assert read(row).state is state


def test_it_can_be_bought_where_one_marketplace_sells_it(words) -> None:
    row = words.item("MUG", 5, summaries=[words.summary(US), words.summary(CA, "BUYABLE")])
    found = read(row, (US, CA))
    assert found.state is ListingState.ACTIVE
    assert found.reasons == (f"{US}: not buyable, and Amazon gives no reason (status: none)",)


# (severity, action, exemption, buyable) -> is it a reason
ISSUES: dict[str, tuple[str, str | None, str, bool, bool]] = {
    "an error of a listing that cannot be bought": ("ERROR", None, "", False, True),
    "an error of a listing that can be bought": ("ERROR", None, "", True, False),
    "a warning": ("WARNING", None, "", False, False),
    "an information": ("INFO", None, "", False, False),
    "taken down": ("ERROR", "LISTING_SUPPRESSED", "NOT_EXEMPT", False, True),
    "removed from the catalogue": ("ERROR", "CATALOG_ITEM_REMOVED", "NOT_EXEMPT", False, True),
    "an attribute was rejected": ("WARNING", "ATTRIBUTE_SUPPRESSED", "NOT_EXEMPT", False, True),
    "hidden from search, though buyable": ("WARNING", "SEARCH_SUPPRESSED", "NOT_EXEMPT", True, True),
    "exempt for good": ("ERROR", "LISTING_SUPPRESSED", "EXEMPT", False, False),
    "exempt for now": ("ERROR", "LISTING_SUPPRESSED", "EXEMPT_UNTIL_EXPIRY_DATE", False, False),
}


@pytest.mark.parametrize("case", list(ISSUES))
def test_which_issues_are_reasons(words, case: str) -> None:
    severity, action, exemption, buyable, counts = ISSUES[case]
    more = {} if action is None else {"exemption": exemption}
    row = words.item(
        "MUG",
        5,
        summaries=[words.summary(US, *(("BUYABLE",) if buyable else ()))],
        issues=[words.issue("18155", severity, action, **more)],
    )
    reasons = read(row).reasons
    did = "" if action is None else f"{action}: "
    assert (reasons == (f"{did}18155: something is wrong",)) is counts
    assert bool(reasons) is (counts or not buyable), "what cannot be bought has a reason, if only that there is none"


def test_an_issue_of_another_marketplace_is_no_reason_here(words) -> None:
    row = words.item(
        "MUG",
        5,
        summaries=[words.summary(US), words.summary(CA)],
        issues=[words.issue("1", marketplaceIds=[CA]), words.issue("2", marketplaceIds=[US, CA])],
    )
    assert read(row, (US, CA)).reasons == (
        f"{US}: 2: something is wrong",
        f"{CA}: 1: something is wrong",
        f"{CA}: 2: something is wrong",
    )


def test_a_listing_that_is_sold_out_needs_no_reason(words) -> None:
    assert read(words.item("MUG", 0, summaries=[words.summary(US)])).reasons == ()


def test_a_listing_of_no_marketplace_of_ours_says_so(words) -> None:
    assert read(words.item("MUG", 5, summaries=[])).reasons == ("it is listed in none of the marketplaces",)


@pytest.mark.parametrize("code", ["AMAZON_NA", "AMAZON_EU", "AMAZON_JP"])
@pytest.mark.parametrize("quantity", [None, 5])
def test_what_amazon_fulfils_is_not_ours(words, code: str, quantity: int | None) -> None:
    found = read(words.item("MUG", quantity, code))
    assert found.fulfilled_by_channel
    assert (found.keys, found.shown, found.state) == ((MUG,), {}, ListingState.ACTIVE)
    assert found.tracked
    assert found.kept == (), "no pool is named"


@pytest.mark.parametrize(("code", "kept"), [("AMAZON_EU", ("DE", "UK")), ("DEFAULT", ()), ("d7679e14-031b", ())])
def test_what_amazon_fulfils_has_a_key_for_each_pool_besides(words, code: str, kept: tuple[str, ...]) -> None:
    item = wire.Item.model_validate(words.item("MUG", 5, code))
    found = translate_listings.listing_of(item, (US,), ("DE", "UK"))
    assert found.kept == tuple(QuantityKey("MUG", pool) for pool in kept)
    assert replace(found, kept=()) == translate_listings.listing_of(item, (US,)), "and nothing else"


def test_where_amazon_fulfils_too_our_own_units_are_not_written(words) -> None:
    both = [{"fulfillmentChannelCode": "DEFAULT", "quantity": 3}, {"fulfillmentChannelCode": "AMAZON_NA"}]
    row = words.item("MUG", fulfillmentAvailability=both)
    assert read(row).fulfilled_by_channel
    assert translate_listings.number_of(wire.Item.model_validate(row)) is None


def test_an_offer_without_a_number_is_not_counted(words) -> None:
    found = read(words.item("MUG", None))
    assert (found.tracked, found.keys, found.shown) == (False, (MUG,), {})


def test_units_kept_per_supply_source_have_no_key(words) -> None:
    found = read(words.item("MUG", 3, "d7679e14-031b", summaries=[words.summary(US)]))
    assert (found.keys, found.shown, found.tracked) == ((), {}, True)
    assert found.reasons == (translate_listings.PER_SOURCE,)


def test_a_listing_without_an_offer_says_so(words) -> None:
    found = read(words.item("MUG", fulfillmentAvailability=[], summaries=[words.summary(US)]))
    assert (found.keys, found.state) == ((), ListingState.INACTIVE)
    assert found.reasons == ("it has no offer",)


def test_the_parent_of_variations_is_no_listing(words) -> None:
    child = {"type": "VARIATION", "childSkus": ["MUG-RED"]}
    row = words.item("MUG", relationships=[{"marketplaceId": US, "relationships": [child]}])
    assert translate_listings.listing_of(wire.Item.model_validate(row), (US,)) is None
    parent = {"type": "VARIATION", "parentSkus": ["MUG"]}
    row = words.item("MUG-RED", relationships=[{"marketplaceId": US, "relationships": [parent]}])
    assert read(row).listing == "MUG-RED"


HEADER = "item-name\tlisting-id\tseller-sku\tprice\tquantity\tfulfillment-channel\tpending-quantity\tstatus"


def test_a_report_is_read_with_its_quotes_and_without_its_empty_lines() -> None:
    text = f'{HEADER}\r\n8" mug\t1\tMUG-8"\t9\t5\tDEFAULT\t0\tActive\r\n\r\nShort\t2\tJUG\r\n'
    rows = translate_listings.rows_of(text)
    assert [row["seller-sku"] for row in rows] == ['MUG-8"', "JUG"]
    assert rows[0]["item-name"] == '8" mug'
    assert translate_listings.rows_of("") == []
    assert translate_listings.skus_of([*rows, {"item-name": "nameless"}]) == ['MUG-8"', "JUG"]


def test_a_report_without_skus_is_an_error() -> None:
    with pytest.raises(AnswerUnreadable, match="seller-sku"):
        translate_listings.skus_of(translate_listings.rows_of("Artikelbezeichnung\tH\u00e4ndler-SKU\nTasse\tMUG\n"))
    assert translate_listings.skus_of([]) == []


def test_whose_units_a_row_of_the_listings_report_is_about() -> None:
    rows = translate_listings.rows_of(
        f"{HEADER}\nMug\t1\tA\t9\t5\tDEFAULT\t0\tActive\nMug\t1\tB\t9\t\tAMAZON_EU\t0\tActive\nMug\t1\tC\n"
    )
    assert [translate_listings.row_by_amazon(row) for row in rows] == [False, True, False]


def test_the_reports_on_suppressed_and_stranded_listings_add_reasons(words) -> None:
    fyp = "Status\tReason\tSKU\tASIN\tIssue Description\nSearch suppressed\tMissing info\tMUG\tB1\tMain image\n"
    lost = "status-primary\tstranded-reason\terror-message\tsku\nOut of sale\tPricing error\t\tMUG\n"
    told = (
        translate_listings.suppressed(translate_listings.rows_of(fyp)),
        translate_listings.stranded(translate_listings.rows_of(lost)),
    )
    listing = read(words.item("MUG", 5, summaries=[words.summary(US)], issues=[words.issue()]))
    assert translate_listings.with_reasons(listing, *told).reasons == (
        "90220: something is wrong",
        "suppressed: Search suppressed: Missing info: Main image",
        "stranded: Out of sale: Pricing error",
    )
    assert translate_listings.with_reasons(read(words.item("JUG")), *told).reasons == ()
