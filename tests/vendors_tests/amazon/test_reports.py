"""Reports: tab-separated, late, not made anew for an hour, and cancelled where there is nothing to tell."""

import csv
import gzip
import io

import pytest

from vendor_amazon import AmazonHabits

REPORTS = "/reports/2021-06-30"
UK = "A1F83G8C2ARO7P"
GERMANY = "A1PA6795UKMFR9"
TAKES = AmazonHabits().report_delay[1]


@pytest.fixture
def start(call):
    def started(kind, ids=(UK,), **more):
        return call.ok("POST", f"{REPORTS}/reports", {"reportType": kind, "marketplaceIds": list(ids), **more})[
            "reportId"
        ]

    return started


@pytest.fixture
def rows(call, start):
    """Makes a report, waits for it, and reads it."""

    async def read(kind, ids=(UK,), **more):
        name = start(kind, ids, **more)
        await call.wait(seconds=TAKES)
        found = call.ok("GET", f"{REPORTS}/reports/{name}")
        assert found["processingStatus"] == "DONE", found
        document = call.ok("GET", f"{REPORTS}/documents/{found['reportDocumentId']}")
        status, content = call.document(document["url"])
        assert status == 200
        assert call.headers["content-type"] == "text/plain;charset=Cp1252"
        if "compressionAlgorithm" in document:
            content = gzip.decompress(content)
        return list(csv.DictReader(io.StringIO(content.decode("cp1252")), delimiter="\t", quoting=csv.QUOTE_NONE))

    return read


async def test_all_listings_are_in_the_report_with_their_numbers(site, rows):
    site.catalogue.list_item("MUG", 7, title="Té — 5\t€")
    site.catalogue.list_item("EMPTY", 0)
    site.catalogue.list_item("FBA", 0, fba=True)
    site.catalogue.list_item("GERMAN", 1, marketplace_ids=(GERMANY,))
    site.marketplace.buy("MUG", 2, paid=False)
    found = {row["seller-sku"]: row for row in await rows("GET_MERCHANT_LISTINGS_ALL_DATA")}
    assert set(found) == {"MUG", "EMPTY", "FBA"}
    assert found["MUG"]["item-name"] == "Té — 5 €"
    told = [(each["quantity"], each["fulfillment-channel"], each["status"]) for each in found.values()]
    assert told == [("5", "DEFAULT", "Active"), ("0", "DEFAULT", "Inactive"), ("", "AMAZON_EU", "Active")]
    assert [each["pending-quantity"] for each in found.values()] == ["2", "0", "0"]


async def test_the_inactive_are_in_a_report_of_their_own(site, rows):
    site.catalogue.list_item("MUG", 7)
    site.catalogue.list_item("EMPTY", 0)
    assert [row["seller-sku"] for row in await rows("GET_MERCHANT_LISTINGS_INACTIVE_DATA")] == ["EMPTY"]


async def test_a_report_is_not_made_anew_within_the_hour(site, rows, call):
    item = site.catalogue.list_item("MUG", 7)
    kind = "GET_MERCHANT_LISTINGS_ALL_DATA"
    assert (await rows(kind))[0]["quantity"] == "7"
    site.marketplace.edit_number(site.marketplace.offers["MUG"].keys[0], 3)
    assert site.catalogue.quantity(item) == 3
    assert (await rows(kind))[0]["quantity"] == "7"
    await call.wait(hours=1)
    assert (await rows(kind))[0]["quantity"] == "3"


async def test_the_suppressed_and_the_stranded_are_told_with_their_reason(site, rows):
    site.catalogue.list_item("MUG", 7)
    site.catalogue.suppress("MUG", "SEARCH_SUPPRESSED", marketplace_ids=(UK,))
    (row,) = await rows("GET_MERCHANTS_LISTINGS_FYP_REPORT")
    assert (row["SKU"], row["Reason"]) == ("MUG", "INVALID_IMAGE")
    site.catalogue.list_item("FBA", 0, fba=True)
    site.pool.receive("FBA", 12)
    site.marketplace.switch("FBA", on=False)
    (row,) = await rows("GET_STRANDED_INVENTORY_UI_DATA")
    assert (row["sku"], row["fulfillable-qty"], row["stranded-reason"]) == ("FBA", "12", "Closed listing")


async def test_returns_are_told_by_day_with_their_order(site, rows, call):
    site.catalogue.list_item("MUG", 7)
    order = site.marketplace.buy("MUG", 3).order
    site.marketplace.ship(order.id)
    await call.wait(days=2)
    site.marketplace.bring_back(order.id, order.lines[0].id, 1)
    site.marketplace.bring_back(order.id, order.lines[0].id, 1, quarantined=True)
    assert site.catalogue.quantity(site.catalogue.item("MUG")) == 4
    await call.wait(seconds=1)
    found = await rows("GET_FLAT_FILE_RETURNS_DATA_BY_RETURN_DATE", dataStartTime="2017-06-03T00:00:00Z")
    assert [(row["Order ID"], row["Merchant SKU"], row["Return quantity"]) for row in found] == [
        (order.id, "MUG", "1"),
        (order.id, "MUG", "1"),
    ]
    assert {row["Return Reason"] for row in found} == {"CR-UNWANTED_ITEM", "CR-DEFECTIVE"}


async def test_a_report_without_rows_is_cancelled_and_one_may_end_badly(call, site, start):
    names = [start("GET_STRANDED_INVENTORY_UI_DATA")]
    await call.wait(seconds=TAKES)
    site.reports.outcome = "FATAL"
    names.append(start("GET_MERCHANT_LISTINGS_ALL_DATA"))
    await call.wait(seconds=TAKES)
    found = [call.ok("GET", f"{REPORTS}/reports/{name}") for name in names]
    assert [each["processingStatus"] for each in found] == ["CANCELLED", "FATAL"]
    assert not any("reportDocumentId" in each for each in found)
    listed = call.ok("GET", f"{REPORTS}/reports", reportTypes="GET_MERCHANT_LISTINGS_ALL_DATA")
    assert [each["reportId"] for each in listed["reports"]] == names[1:]


async def test_a_document_may_say_itself_that_it_is_zipped(call, site, start):
    site.catalogue.list_item("MUG", 7)
    for _ in range(6):
        name = start("GET_MERCHANT_LISTINGS_ALL_DATA")
        await call.wait(seconds=TAKES)
        found = call.ok("GET", f"{REPORTS}/reports/{name}")["reportDocumentId"]
        document = call.ok("GET", f"{REPORTS}/documents/{found}", enableContentEncodingUrlHeader="true")
        call.document(document["url"])
        assert ("content-encoding" in call.headers) == ("compressionAlgorithm" in document)


def test_what_amazon_would_not_take_is_refused(call, start):
    def refused(**body):
        return call.code("POST", f"{REPORTS}/reports", body)

    assert refused(reportType="GET_SOMETHING", marketplaceIds=[UK]) == (400, "InvalidInput")
    assert refused(reportType="GET_MERCHANT_LISTINGS_ALL_DATA") == (400, "InvalidInput")
    late = "2017-06-02T00:00:00Z"
    assert refused(reportType="GET_MERCHANT_LISTINGS_ALL_DATA", marketplaceIds=[UK], dataEndTime=late)[0] == 400
    assert call.code("GET", f"{REPORTS}/reports/1") == (404, "NotFound")
    assert call.code("GET", f"{REPORTS}/documents/1") == (404, "NotFound")
    assert call("DELETE", f"{REPORTS}/reports/{start('GET_MERCHANT_LISTINGS_ALL_DATA')}")[0] == 200
