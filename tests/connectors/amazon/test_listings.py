"""Listings, reads, the check of the account, and what its marketplaces are like."""

import gzip

import httpx
import pytest
from structlog.testing import capture_logs

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller, TryLater
from channelsync.sdk.values import QuantityKey
from channelsync_amazon import CONNECTOR
from channelsync_amazon.channel import SEARCHES_ANEW

US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"
HEADER = "item-name\tseller-sku\tquantity\tfulfillment-channel\tstatus\n"


async def test_few_listings_are_searched_page_by_page(channel, amazon, words, everything) -> None:
    amazon.on(
        "searchListingsItems",
        words.items(words.item("A", 1), token="t-1", results=2),
        words.items(words.item("B", 2), results=2),
    )
    found = await everything(channel.listings())
    assert [(one.listing, list(one.shown.values())) for one in found] == [("A", [1]), ("B", [2])]
    first, second = amazon.of("searchListingsItems")
    assert first.params == {
        "marketplaceIds": US,
        "includedData": "summaries,issues,fulfillmentAvailability,relationships",
        "issueLocale": "en_US",
        "sortBy": "sku",
        "sortOrder": "ASC",
        "pageSize": "20",
    }
    assert second.params == first.params | {"pageToken": "t-1"}


async def test_a_page_of_listings_that_leads_back_to_itself_is_an_error(channel, amazon, words, everything) -> None:
    amazon.on("searchListingsItems", words.items(words.item("A", 1), token="t-1", results=2))
    with pytest.raises(ChannelMisbehaved, match="leads back"):
        await everything(channel.listings())


async def test_a_search_that_finds_now_more_now_fewer_comes_to_an_end(channel, amazon, words, everything) -> None:
    def searched(asked):
        if "pageToken" in asked.params:
            return words.items(words.item("B", 2), results=2)
        return words.items(words.item("A", 1), token="t-1", results=3)

    amazon.on("searchListingsItems", searched)
    assert [one.listing for one in await everything(channel.listings())] == ["A", "B"]
    assert len(amazon.of("searchListingsItems")) == 2 * (1 + SEARCHES_ANEW)


async def test_a_listing_that_cannot_be_read_spoils_no_other(channel, amazon, words, everything, capsys) -> None:
    broken = httpx.Response(
        200, json=words.items(words.item("A", 1), {"sku": "B", "summaries": "none"}, words.item("C", 3))
    )
    amazon.on("searchListingsItems", broken)
    assert [one.listing for one in await everything(channel.listings())] == ["A", "C"]
    assert "listing.unreadable" in capsys.readouterr().out


def reported(amazon, words, text: str | bytes, **more) -> None:
    """The search finds a thousand, no new ones, and any by name; the first report is this, the others are empty."""

    def searched(asked):
        if "identifiers" in asked.params:
            return words.items(*(words.item(sku, 5) for sku in asked.params["identifiers"].split(",")))
        return (
            words.items() if "createdAfter" in asked.params else words.items(words.item("A"), token="t", results=1000)
        )

    amazon.on("searchListingsItems", searched)
    amazon.on("createReport", lambda asked: {"reportId": asked.body["reportType"]})

    def state(asked):
        main = asked.sku == "GET_MERCHANT_LISTINGS_ALL_DATA"
        return words.report("DONE", "all") if main else words.report("CANCELLED")

    amazon.on("getReport", words.report("IN_QUEUE"), words.report("IN_PROGRESS"), state)
    amazon.on("getReportDocument", words.document("all", **more))
    content = text.encode() if isinstance(text, str) else text
    amazon.on("GET /all", httpx.Response(200, content=content, headers={"Content-Type": "text/plain;charset=utf-8"}))


async def test_the_names_of_many_listings_come_by_report_and_all_else_by_search(
    channel, amazon, words, everything, clock
) -> None:
    begun = clock.now()
    reported(amazon, words, HEADER + "Mug\tA\t9\tDEFAULT\tInactive\nJug\tB\t9\tDEFAULT\tActive\n")
    found = await everything(channel.listings())
    assert [(one.listing, one.state.value, list(one.shown.values())) for one in found] == [
        ("A", "active", [5]),
        ("B", "active", [5]),
    ], "a report may be hours old: no number of it may pass for a read"
    assert amazon.of("createReport")[0].body == {
        "reportType": "GET_MERCHANT_LISTINGS_ALL_DATA",
        "marketplaceIds": [US],
    }
    asked = amazon.of("searchListingsItems")
    assert [one.params.get("identifiers") for one in asked] == [None, None, "A,B"]
    assert clock.now() > begun, "a report takes its time"
    (download,) = amazon.of("GET /all")
    assert "x-amz-access-token" not in download.headers, "that host gets none of our credentials"


async def test_what_is_too_new_for_the_report_is_searched_for(channel, amazon, words, everything) -> None:
    reported(amazon, words, HEADER + "Mug\tA\t9\tDEFAULT\tActive\n")
    first = words.items(words.item("A"), token="t", results=1000)
    new = words.items(words.item("N"), token="n", results=2), words.items(words.item("O"), results=2)
    amazon.on("searchListingsItems", first, *new, words.items(*(words.item(sku, 3) for sku in "ANO")))
    assert [one.listing for one in await everything(channel.listings())] == ["A", "N", "O"]
    assert [one.params.get("createdAfter") for one in amazon.of("searchListingsItems")] == [
        None,
        "2017-05-31T09:00:00.000Z",
        "2017-05-31T09:00:00.000Z",
        None,
    ]


async def test_a_packed_report_is_unpacked(channel, amazon, words, everything) -> None:
    text = gzip.compress((HEADER + "Krug f\u00fcr Tee\tKR\u00dcGE\t5\tDEFAULT\tActive\n").encode("cp1252"))
    reported(amazon, words, text, compressionAlgorithm="GZIP")
    (found,) = await everything(channel.listings())
    assert found.sku == "KR\u00dcGE", "what is not UTF-8 is read as what western Windows writes"


@pytest.mark.parametrize(
    "text",
    [b"\x1f\x8bnot really", gzip.compress((HEADER + "Mug\tA\t5\tDEFAULT\tActive\n" * 99).encode(), mtime=0)[:-20]],
    ids=["no gzip", "cut"],
)
async def test_a_report_that_is_cut_or_no_gzip_is_an_error(channel, amazon, words, everything, text: bytes) -> None:
    reported(amazon, words, text, compressionAlgorithm="GZIP")
    with pytest.raises(AnswerUnreadable, match="a document is"):
        await everything(channel.listings())


async def test_other_reports_tell_more_reasons(channel, amazon, words, everything) -> None:
    rows = HEADER + "Mug\tA\t5\tDEFAULT\tInactive\nJug\tB\t\tAMAZON_NA\tInactive\nCup\tP\t\tDEFAULT\tIncomplete\n"
    reported(amazon, words, rows)
    parent = [{"marketplaceId": US, "relationships": [{"type": "VARIATION", "childSkus": ["C"]}]}]
    details = words.items(
        words.item("A", 5, summaries=[words.summary(US)], issues=[words.issue("1", action="LISTING_SUPPRESSED")]),
        words.item("B", None, "AMAZON_NA", summaries=[words.summary(US)]),
        words.item("P", relationships=parent),
    )
    first = words.items(words.item("A", 1), token="t", results=1000)
    amazon.on("searchListingsItems", first, words.items(), details)
    amazon.on("getReport", lambda asked: words.report("DONE", asked.sku))
    amazon.on("getReportDocument", lambda asked: words.document(asked.sku))
    amazon.on("GET /GET_MERCHANT_LISTINGS_ALL_DATA", httpx.Response(200, text=rows))
    fyp = "Status\tReason\tSKU\nSuppressed\tImage\tA\n"
    amazon.on("GET /GET_MERCHANTS_LISTINGS_FYP_REPORT", httpx.Response(200, text=fyp))
    stranded = "status-primary\tstranded-reason\tsku\nStranded\tNo offer\tB\n"
    amazon.on("GET /GET_STRANDED_INVENTORY_UI_DATA", httpx.Response(200, text=stranded))
    found = {one.listing: one for one in await everything(channel.listings())}
    assert set(found) == {"A", "B"}, "the parent of variations is none"
    assert found["A"].reasons == ("LISTING_SUPPRESSED: 1: something is wrong", "suppressed: Suppressed: Image")
    assert found["B"].fulfilled_by_channel
    assert found["B"].reasons[-1] == "stranded: Stranded: No offer"


@pytest.mark.parametrize("status", ["FATAL", "IN_PROGRESS"])
async def test_a_report_that_dies_is_tried_later(channel, amazon, words, everything, status: str) -> None:
    reported(amazon, words, HEADER)
    amazon.on("getReport", words.report(status))
    with pytest.raises(TryLater, match=status):
        await everything(channel.listings())


async def test_a_report_about_nothing_is_empty(channel, amazon, words, everything) -> None:
    reported(amazon, words, HEADER)
    amazon.on("getReport", words.report("CANCELLED"))
    assert await everything(channel.listings()) == []


async def test_a_report_that_only_adds_reasons_may_be_missing(channel, amazon, words, everything) -> None:
    reported(amazon, words, HEADER + "Mug\tA\t5\tDEFAULT\tActive\n")
    amazon.on("getReport", words.report("DONE", "all"), words.report("FATAL"))
    assert [one.listing for one in await everything(channel.listings())] == ["A"]


async def test_a_report_that_only_adds_reasons_may_be_forbidden(channel, amazon, words, everything) -> None:
    reported(amazon, words, HEADER + "Mug\tA\t5\tDEFAULT\tActive\nJug\tB\t\tAMAZON_NA\tActive\n")
    no = words.error(403, "Unauthorized", "Access to requested resource is denied.")
    amazon.on(
        "createReport", lambda asked: no if "STRANDED" in (name := asked.body["reportType"]) else {"reportId": name}
    )
    with capture_logs() as logs:
        assert {one.listing for one in await everything(channel.listings())} >= {"A"}
    assert ["Amazon Fulfillment" in one["why"] for one in logs if one["event"] == "amazon.report_left_out"] == [True]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_document_that_is_not_given_out_any_more_is_tried_later(
    channel, amazon, words, everything, status: int
) -> None:
    reported(amazon, words, HEADER)
    amazon.on("GET /all", httpx.Response(status, text="<Error>Request has expired</Error>"))
    with pytest.raises(TryLater):
        await everything(channel.listings())


async def test_an_address_that_is_not_safe_is_not_called(channel, amazon, words, everything) -> None:
    reported(amazon, words, HEADER)
    amazon.on("getReportDocument", {"reportDocumentId": "all", "url": "http://documents.example/all"})
    with pytest.raises(ChannelMisbehaved, match="address"):
        await everything(channel.listings())


async def test_a_listing_of_two_marketplaces_is_one(settings, resources, amazon, words, everything) -> None:
    reported(amazon, words, HEADER)
    amazon.on(
        "getReport", lambda asked: words.report("DONE", "all") if "ALL_DATA" in asked.sku else words.report("CANCELLED")
    )
    amazon.on("GET /all", httpx.Response(200, text=f"{HEADER}Mug\tA\t5\tDEFAULT\tActive\n"))
    both = settings.model_copy(update={"marketplaces": (US, CA)})
    async with CONNECTOR.open(both, resources) as channel:
        (found,) = await everything(channel.listings())
    assert found.listing == "A"
    asked = [one.body["marketplaceIds"] for one in amazon.of("createReport")]
    assert asked[:2] == [[US], [CA]]


# By name


async def test_listings_by_id_are_searched_twenty_at_a_time(channel, amazon, words) -> None:
    def answer(asked):
        return words.items(*(words.item(sku, 1) for sku in asked.params["identifiers"].split(",")))

    amazon.on("searchListingsItems", answer)
    names = [f"SKU-{number}" for number in range(25)]
    found = await channel.listings_by_id([*reversed(names)])
    assert [one.listing for one in found] == [*reversed(names)]
    assert [len(one.params["identifiers"].split(",")) for one in amazon.of("searchListingsItems")] == [20, 5]
    assert {one.params["identifiersType"] for one in amazon.of("searchListingsItems")} == {"SKU"}


async def test_what_the_search_does_not_show_is_asked_for_by_itself(channel, amazon, words) -> None:
    amazon.on("searchListingsItems", words.items(words.item("B", 2)))
    known = {"A": words.item("A", 1), "X": words.error(404, "NOT_FOUND")}
    amazon.on("getListingsItem", lambda asked: known[asked.sku])
    found = await channel.listings_by_id(["A", "X", "B"])
    assert [one.listing for one in found] == ["A", "B"]
    assert await channel.listings_by_id([]) == []


@pytest.mark.parametrize("sku", ["A/B", "A#B", "A B", "A%2FB", "A?B", "Ü", "A,B", "A+B", "../A"])
async def test_a_sku_may_hold_any_sign(channel, amazon, words, sku: str) -> None:
    amazon.on("getListingsItem", words.item(sku, 4))
    (read,) = await channel.read([QuantityKey(sku)])
    assert read.value == 4
    assert amazon.of("getListingsItem")[0].sku == sku


async def test_a_sku_with_a_comma_is_never_searched_for(channel, amazon, words) -> None:
    amazon.on("searchListingsItems", words.items(words.item("A", 1), words.item("B", 2)))
    amazon.on("getListingsItem", words.item("C,D", 3))
    reads = await channel.read([QuantityKey(sku) for sku in ("A", "C,D", "B")])
    assert [one.value for one in reads] == [1, 3, 2]
    assert amazon.of("searchListingsItems")[0].params["identifiers"] == "A,B"


# Reads


async def test_one_key_is_read_by_itself(channel, amazon, words, clock) -> None:
    amazon.on("getListingsItem", words.item("MUG", 5))
    (read,) = await channel.read([QuantityKey("MUG")])
    assert (read.value, read.committed, read.held) == (5, None, None)
    assert read.asked <= read.answered <= clock.now()
    assert amazon.operations == ["getListingsItem"]


async def test_several_keys_are_read_in_one_call_in_their_order(channel, amazon, words) -> None:
    amazon.on("searchListingsItems", words.items(words.item("A", 1), words.item("B", 2)))
    amazon.on("getListingsItem", words.error(404, "NOT_FOUND"))
    reads = await channel.read([QuantityKey(sku) for sku in ("B", "X", "A")])
    assert [(one.key.key, one.value) for one in reads] == [("B", 2), ("X", None), ("A", 1)]
    assert amazon.operations == ["searchListingsItems", "getListingsItem"]
    assert await channel.read([]) == []


async def test_a_key_that_flipped_to_amazons_fulfilment_has_no_number(channel, amazon, words) -> None:
    amazon.on("getListingsItem", words.item("MUG", 7, "AMAZON_NA"))
    (read,) = await channel.read([QuantityKey("MUG")])
    assert read.value is None


async def test_a_key_at_a_location_is_none_of_amazons(channel, amazon) -> None:
    (read,) = await channel.read([QuantityKey("MUG", "somewhere")])
    assert read.value is None
    assert amazon.operations == []


async def test_more_keys_than_fit_into_a_call_are_refused(channel) -> None:
    with pytest.raises(ValueError, match="20"):
        await channel.read([QuantityKey(f"SKU-{number}") for number in range(21)])


async def test_a_number_that_cannot_be_read_is_no_missing_key(channel, amazon, words) -> None:
    row = words.item("MUG", 5) | {"fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT", "quantity": 0.5}]}
    amazon.on("getListingsItem", httpx.Response(200, json=row))
    (read,) = await channel.read([QuantityKey("MUG")])
    assert read.value is None
    assert read.unreadable


@pytest.mark.parametrize("answer", [{"envelope": {}}, [], {"sku": 7}])
async def test_an_answer_that_is_no_listing_is_an_error(channel, amazon, answer) -> None:
    amazon.on("getListingsItem", httpx.Response(200, json=answer))
    with pytest.raises(AnswerUnreadable):
        await channel.read([QuantityKey("MUG")])


@pytest.mark.parametrize("lost", [httpx.Response(404, html="<h1>Not here</h1>"), httpx.Response(404)])
async def test_a_404_that_is_not_amazons_takes_no_listing_and_no_order_away(channel, amazon, lost) -> None:
    amazon.on("getListingsItem", lost)
    amazon.on("getOrder", lost)
    with pytest.raises(AnswerUnreadable):
        await channel.read([QuantityKey("MUG")])
    with pytest.raises(AnswerUnreadable):
        await channel.orders_by_id(["250-0000000-0000001"])


# The account


async def test_the_identity_is_the_seller_in_the_region(channel, amazon, words) -> None:
    amazon.on("searchListingsItems", words.items())
    amazon.on("getOrder", words.error(404, "NotFound"))
    identity = await channel.check()
    assert identity.name == "A3TH9S8BH6GOGM/na"
    assert amazon.operations == ["searchListingsItems", "getOrder"], "no search for orders is spent on a check"


async def test_a_check_tells_which_role_is_missing(channel, amazon, words) -> None:
    amazon.on("searchListingsItems", words.items())
    amazon.on("getOrder", words.error(403, "Unauthorized", "Access to requested resource is denied."))
    with pytest.raises(NeedsSeller, match="Inventory and Order Tracking"):
        await channel.check()


async def test_the_marketplaces_are_looked_at(settings, resources, amazon, words) -> None:
    told = [words.participation(US, suspended=True), words.participation("A1AM78C64UM0Y8")]
    amazon.on("getMarketplaceParticipations", {"payload": [*told, words.participation("A2Q3Y263D00KWC", there=False)]})
    named = settings.model_copy(update={"marketplaces": (US, CA)})
    async with CONNECTOR.open(named, resources) as channel:
        points = await channel.inspect()
    assert [one.fine for one in points] == [False, False, False]
    assert "switched off" in points[0].found
    assert CA in points[1].advice
    assert "A1AM78C64UM0Y8" in points[2].found
    assert "A2Q3Y263D00KWC" not in points[2].found


async def test_marketplaces_that_are_right_are_fine(channel, amazon, words) -> None:
    amazon.on("getMarketplaceParticipations", {"payload": [words.participation(US)]})
    assert [one.fine for one in await channel.inspect()] == [True]


async def test_marketplaces_that_may_not_be_read_are_one_thing_to_mend(channel, amazon, words) -> None:
    amazon.on("getMarketplaceParticipations", words.error(403, "Unauthorized", "Access is denied."))
    (point,) = await channel.inspect()
    assert "Selling Partner Insights" in point.advice
