"""Why a listing cannot be bought that does not say so itself: out of reports, asked for only when they may tell."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from channelsync.sdk.contract import ContractClock
from channelsync.sdk.resources import unused
from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync_amazon import CONNECTOR

US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"
SUPPRESSED, STRANDED = "GET_MERCHANTS_LISTINGS_FYP_REPORT", "GET_STRANDED_INVENTORY_UI_DATA"
ROWS = {
    SUPPRESSED: "Status\tReason\tSKU\nSuppressed\tImage\tA\nSuppressed\tImage\tF\n",
    STRANDED: "status-primary\tstranded-reason\tsku\nStranded\tNo offer\tF\nStranded\tNo offer\tA\n",
}
NO_REASON = "not buyable, and Amazon gives no reason (status: none)"
OF_SUPPRESSED, OF_STRANDED = "suppressed: Suppressed: Image", "stranded: Stranded: No offer"

Told = Callable[..., None]


@pytest.fixture
def told(amazon: Any, words: Any) -> Told:
    """Lists these, by search and by name, and makes the reports."""

    def tell(*items: dict[str, Any]) -> None:
        def searched(asked: Any) -> Any:
            wanted = asked.params["identifiers"].split(",") if "identifiers" in asked.params else None
            return words.items(*(one for one in items if wanted is None or one["sku"] in wanted))

        amazon.on("searchListingsItems", searched)
        amazon.on("createReport", lambda asked: {"reportId": asked.body["reportType"]})
        amazon.on("getReport", lambda asked: words.report("DONE", asked.sku))
        amazon.on("getReportDocument", lambda asked: words.document(asked.sku))
        for name, rows in ROWS.items():
            amazon.on(f"GET /{name}", httpx.Response(200, text=rows))

    return tell


def reports(amazon: Any) -> list[tuple[str, str]]:
    """What was asked for, and where."""
    return [(one.body["reportType"], *one.body["marketplaceIds"]) for one in amazon.of("createReport")]


def by_name(found: list[Listing]) -> dict[str, Listing]:
    return {one.listing: one for one in found}


async def test_no_report_is_asked_for_where_none_can_tell_more(channel, amazon, words, everything, told) -> None:
    hidden, issue = words.summary(US), words.issue("1", action="LISTING_SUPPRESSED")
    told(
        words.item("A", 5),
        words.item("SOLD-OUT", 0, summaries=[hidden]),
        words.item("SAYS-WHY", 5, summaries=[hidden], issues=[issue]),
        words.item("NO-OFFER", fulfillmentAvailability=[], summaries=[hidden]),
        words.item("F", None, "AMAZON_NA"),
    )
    found = by_name(await everything(channel.listings()))
    assert len(found) == 5
    assert found["SAYS-WHY"].state is ListingState.INACTIVE
    assert amazon.operations == ["searchListingsItems"]


async def test_what_gives_no_reason_is_looked_for_among_the_suppressed(
    channel, amazon, words, everything, told
) -> None:
    told(words.item("A", 5, summaries=[words.summary(US)]), words.item("B", 5), words.item("C", 5, summaries=[]))
    found = await everything(channel.listings())
    assert [one.listing for one in found] == ["B", "C", "A"], "what is asked about comes last"
    assert by_name(found)["A"].reasons == (NO_REASON, OF_SUPPRESSED)
    assert by_name(found)["B"].reasons == ()
    assert reports(amazon) == [(SUPPRESSED, US)], "nothing that Amazon fulfils: nothing can be stranded"


async def test_what_amazon_fulfils_and_nobody_can_buy_is_looked_for_among_the_stranded(
    channel, amazon, words, everything, told
) -> None:
    told(words.item("F", None, "AMAZON_NA", summaries=[words.summary(US)], issues=[words.issue("1")]))
    (found,) = await everything(channel.listings())
    assert found.reasons == ("1: something is wrong", OF_STRANDED)
    assert reports(amazon) == [(STRANDED, US)], "it has a reason of its own"


async def test_each_report_is_asked_for_once_whatever_the_number_of_listings(
    settings, resources, amazon, words, everything, told
) -> None:
    hidden = [words.summary(US), words.summary(CA, "BUYABLE")]
    many = [words.item(f"M-{number}", 5, summaries=hidden) for number in range(25)]
    told(words.item("F", None, "AMAZON_NA", summaries=hidden[:1]), words.item("A", 5, summaries=hidden), *many)
    both = settings.model_copy(update={"marketplaces": (US, CA)})
    async with CONNECTOR.open(both, resources) as channel:
        found = by_name(await everything(channel.listings()))
    assert len(found) == 27
    assert found["F"].reasons == (f"{US}: {NO_REASON}", OF_SUPPRESSED, OF_STRANDED)
    assert found["A"].state is ListingState.ACTIVE, "it can be bought elsewhere"
    assert found["A"].reasons[1] == OF_SUPPRESSED
    assert sorted(reports(amazon)) == sorted((name, place) for name in ROWS for place in (US, CA))


async def test_listings_without_a_question_do_not_wait_for_the_reports(channel, amazon, words, told) -> None:
    told(words.item("A", 5, summaries=[words.summary(US)]), words.item("B", 5))
    listings = channel.listings()
    assert (await anext(listings)).listing == "B"
    assert reports(amazon) == []
    assert (await anext(listings)).listing == "A"
    assert reports(amazon) == [(SUPPRESSED, US)]


async def test_what_was_asked_about_is_told_as_it_is_once_the_reports_are_there(
    channel, amazon, words, everything, told
) -> None:
    told()
    hidden = [words.summary(US)]
    amazon.on(
        "searchListingsItems",
        words.items(words.item("A", 5, summaries=hidden), words.item("GONE", 5, summaries=hidden)),
        words.items(words.item("A", 3)),
    )
    amazon.on("getListingsItem", words.error(404, "NOT_FOUND"))
    (found,) = await everything(channel.listings())
    assert (found.listing, found.shown, found.state) == ("A", {QuantityKey("A"): 3}, ListingState.ACTIVE)
    assert found.reasons == (OF_SUPPRESSED,)


@pytest.mark.parametrize("failure", ["forbidden", "dead", "cut"])
async def test_a_report_that_fails_is_left_out_and_no_listing_with_it(
    channel, amazon, words, everything, told, failure: str
) -> None:
    told(words.item("F", None, "AMAZON_NA", summaries=[words.summary(US)]))
    if failure == "forbidden":
        amazon.on("createReport", words.error(403, "Unauthorized", "Access to requested resource is denied."))
    elif failure == "dead":
        amazon.on("getReport", words.report("FATAL"))
    else:
        amazon.on("getReportDocument", lambda asked: words.document(asked.sku, compressionAlgorithm="GZIP"))
        for name in ROWS:
            amazon.on(f"GET /{name}", httpx.Response(200, content=b"\x1f\x8bnot really"))
    with capture_logs() as logs:
        (found,) = await everything(channel.listings())
    assert found.reasons == (NO_REASON,)
    assert [one["report"] for one in logs if one["event"] == "amazon.report_left_out"] == [SUPPRESSED, STRANDED]


async def test_no_report_is_asked_for_about_single_listings(channel, amazon, words, told) -> None:
    told(words.item("F", None, "AMAZON_NA", summaries=[words.summary(US)]))
    (found,) = await channel.listings_by_id(["F"])
    assert found.reasons == (NO_REASON,)
    assert amazon.operations == ["searchListingsItems"]


async def test_units_that_strand_at_amazon_have_their_reason_in_a_small_shop_too(
    site, settings_of, clock: ContractClock
) -> None:
    for sku in ("FBA", "SOLD"):
        site.catalogue.list_item(sku, 0, fba=True)
        site.pool.receive(sku, 10)
    site.catalogue.list_item("MUG", 5)
    settings = settings_of(site)
    resources = unused("amazon-eu", CONNECTOR.budgets(settings), clock, transport=site.transport)
    async with CONNECTOR.open(settings, resources) as channel:
        await clock.sleep(1200)
        assert {one.reasons async for one in channel.listings()} == {()}
        assert "createReport" not in site.api.calls
        site.catalogue.switch("FBA", on=False)
        await clock.sleep(1200)
        found = by_name([one async for one in channel.listings()])
    assert any(reason.startswith("stranded: ") for reason in found["FBA"].reasons)
    assert (found["MUG"].reasons, found["SOLD"].reasons) == ((), ())
    assert (site.api.problems, site.api.refused, site.api.ignored, site.api.buckets.violations) == ([], [], [], [])
