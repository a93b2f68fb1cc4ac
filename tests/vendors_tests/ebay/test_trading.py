"""The Trading calls of the eBay test server: XML, tokens, listings as the old API tells them, ReviseInventoryStatus."""

import re
from dataclasses import replace

import pytest

from channelsync.lab.marketplace import Wanted
from vendor_ebay import EbayBehaviour
from vendor_ebay.oauth import BASE

SELLING = "<ActiveList><Include>true</Include></ActiveList>"


def found(xml, tag):
    """The texts of all elements of a name."""
    return re.findall(rf"<{tag}(?: [^>]*)?>([^<]*)</{tag}>", xml)


def revise(ebay, *rows):
    def element(row):
        return "".join(f"<{name}>{value}</{name}>" for name, value in row.items())

    inner = "".join(f"<InventoryStatus>{element(row)}</InventoryStatus>" for row in rows)
    return ebay.trading("ReviseInventoryStatus", inner)


def refusal(xml):
    return found(xml, "Ack"), found(xml, "ErrorCode")


def test_quantity_counts_sold_units_in(ebay):
    legacy = ebay.site.api.shop.sell_legacy(10, sku="MUG-1")
    ebay.site.marketplace.place([Wanted(legacy.names[0], 3)])
    one = ebay.trading("GetItem", f"<ItemID>{legacy.item}</ItemID>")
    assert (found(one, "Ack"), found(one, "Quantity"), found(one, "QuantitySold")) == (["Success"], ["10"], ["3"])
    assert (found(one, "SKU"), found(one, "ListingStatus")) == (["MUG-1"], ["Active"])
    listed = ebay.trading("GetMyeBaySelling", SELLING)
    assert found(listed, "QuantityAvailable") == ["7"]


def test_variations_have_numbers_of_their_own(ebay):
    legacy = ebay.site.api.shop.sell_legacy({"RED": 2, "BLUE": 3})
    ebay.site.marketplace.place([Wanted(legacy.variations["RED"], 1)])
    one = ebay.trading("GetItem", f"<ItemID>{legacy.item}</ItemID>").partition("<Variations>")[2]
    assert (found(one, "SKU"), found(one, "Quantity"), found(one, "QuantitySold")) == (
        ["RED", "BLUE"],
        ["2", "3"],
        ["1", "0"],
    )
    assert found(revise(ebay, {"ItemID": legacy.item, "SKU": "RED", "Quantity": 8}), "Quantity") == ["8"]
    assert ebay.site.marketplace.can_buy(f"item:{legacy.item}:RED") == 8
    assert refusal(revise(ebay, {"ItemID": legacy.item, "Quantity": 8})) == (["Failure"], ["21916799"])


def test_listings_of_the_inventory_api_are_shown_too_but_cannot_be_revised(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)
    legacy = ebay.site.api.shop.sell_legacy(5)
    listed = ebay.trading("GetMyeBaySelling", SELLING)
    assert found(listed, "ItemID") == [sale.listing, legacy.item]
    assert refusal(revise(ebay, {"ItemID": sale.listing, "Quantity": 1})) == (["Failure"], ["21919474"])


def test_four_listings_are_revised_in_one_call_and_no_more(ebay):
    items = [ebay.site.api.shop.sell_legacy(1).item for _ in range(5)]
    told = revise(ebay, *[{"ItemID": item, "Quantity": 5} for item in items[:4]])
    assert (found(told, "Ack"), found(told.partition("</Fees>")[2], "Quantity")) == (["Success"], ["5"] * 4)
    assert [ebay.site.marketplace.can_buy(f"item:{item}") for item in items] == [5, 5, 5, 5, 1]
    assert refusal(revise(ebay, *[{"ItemID": item, "Quantity": 6} for item in items])) == (["Failure"], ["37"])
    assert refusal(revise(ebay, *[{"ItemID": items[0], "Quantity": 6}] * 2)) == (["Failure"], ["37"])


def test_a_row_that_fails_leaves_its_neighbours_alone(ebay):
    good, gone = ebay.site.api.shop.sell_legacy(1), ebay.site.api.shop.sell_legacy(1)
    ebay.site.marketplace.switch(gone.names[0], on=False)
    rows = [{"ItemID": each, "Quantity": 5} for each in ("1", gone.item, good.item)]
    told = revise(ebay, *rows)
    assert refusal(told) == (["PartialFailure"], ["17", "291"])
    assert found(told.partition("<InventoryStatus>")[2], "ItemID") == [good.item]
    assert ebay.site.marketplace.can_buy(good.names[0]) == 5


@pytest.mark.parametrize("row", [{"Quantity": -1}, {"Quantity": "many"}, {"Quantity": "1.5"}])
def test_what_is_no_number_is_refused(ebay, row):
    legacy = ebay.site.api.shop.sell_legacy(1)
    assert refusal(revise(ebay, {"ItemID": legacy.item} | row)) == (["Failure"], ["515"])
    assert refusal(revise(ebay, {"ItemID": legacy.item})) == (["Failure"], ["37"])


def test_zero_is_refused_without_out_of_stock_control_and_the_last_sale_ends_the_listing(opened):
    ebay = opened(behaviour=EbayBehaviour(out_of_stock_control=False))
    legacy = ebay.site.api.shop.sell_legacy(2)
    name = legacy.names[0]
    assert refusal(revise(ebay, {"ItemID": legacy.item, "Quantity": 0})) == (["Failure"], ["515"])
    ebay.site.marketplace.place([Wanted(name, 2)])
    one = ebay.trading("GetItem", f"<ItemID>{legacy.item}</ItemID>")
    assert found(one, "ListingStatus") == ["Completed"]
    assert refusal(revise(ebay, {"ItemID": legacy.item, "Quantity": 5})) == (["Failure"], ["291"])


def test_a_variation_may_be_zero_while_another_has_units(opened):
    ebay = opened(behaviour=EbayBehaviour(out_of_stock_control=False))
    item = ebay.site.api.shop.sell_legacy({"RED": 1, "BLUE": 1}).item
    assert found(revise(ebay, {"ItemID": item, "SKU": "RED", "Quantity": 0}), "Ack") == ["Success"]
    assert refusal(revise(ebay, {"ItemID": item, "SKU": "BLUE", "Quantity": 0})) == (["Failure"], ["515"])


def test_with_out_of_stock_control_zero_hides_a_listing(ebay):
    asked = "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
    assert found(ebay.trading("GetUserPreferences", asked), "OutOfStockControlPreference") == ["true"]
    legacy = ebay.site.api.shop.sell_legacy(2)
    assert found(revise(ebay, {"ItemID": legacy.item, "Quantity": 0}), "Ack") == ["Success"]
    one = ebay.trading("GetItem", f"<ItemID>{legacy.item}</ItemID>")
    assert (found(one, "ListingStatus"), found(one, "ReasonHideFromSearch")) == (["Active"], ["OutOfStock"])
    assert found(revise(ebay, {"ItemID": legacy.item, "Quantity": 3}), "Ack") == ["Success"]
    assert ebay.site.marketplace.can_buy(legacy.names[0]) == 3
    ebay.trading("SetUserPreferences", "<OutOfStockControlPreference>false</OutOfStockControlPreference>")
    assert refusal(revise(ebay, {"ItemID": legacy.item, "Quantity": 0})) == (["Failure"], ["515"])


def test_a_sku_alone_names_a_listing_that_is_tracked_by_sku(ebay):
    tracked = ebay.site.api.shop.sell_legacy(1, sku="MUG-1", tracked_by_sku=True)
    ebay.site.api.shop.sell_legacy(1, sku="MUG-2")
    assert found(revise(ebay, {"SKU": "MUG-1", "Quantity": 4}), "Ack") == ["Success"]
    assert ebay.site.marketplace.can_buy(tracked.names[0]) == 4
    assert refusal(revise(ebay, {"SKU": "MUG-2", "Quantity": 4})) == (["Failure"], ["21916799"])


def test_variations_share_the_250_revisions_of_their_listing(ebay):
    item = ebay.site.api.shop.sell_legacy({"RED": 1, "BLUE": 1}).item
    for turn in range(125):
        for sku in ("RED", "BLUE"):
            assert found(revise(ebay, {"ItemID": item, "SKU": sku, "Quantity": turn + 2}), "Ack") == ["Success"]
    assert found(revise(ebay, {"ItemID": item, "SKU": "RED", "Quantity": 1}), "Ack") == ["Failure"]


def test_a_seller_list_needs_a_range_and_pages(ebay):
    for number in range(3):
        ebay.site.api.shop.sell_legacy({"RED": number, "BLUE": 1})
    times = "<EndTimeFrom>2017-06-01T00:00:00.000Z</EndTimeFrom><EndTimeTo>2017-09-01T00:00:00.000Z</EndTimeTo>"
    page = "<Pagination><EntriesPerPage>2</EntriesPerPage><PageNumber>{}</PageNumber></Pagination>"
    coarse = "<GranularityLevel>Coarse</GranularityLevel>"
    first = ebay.trading("GetSellerList", times + page.format(1) + coarse)
    assert (found(first, "HasMoreItems"), found(first, "TotalNumberOfEntries")) == (["true"], ["3"])
    assert found(first, "SKU") == [], "variations are told when they are asked for"
    last = ebay.trading(
        "GetSellerList", times + page.format(2) + coarse + "<IncludeVariations>true</IncludeVariations>"
    )
    assert (found(last, "HasMoreItems"), found(last, "SKU")) == (["false"], ["RED", "BLUE"])
    assert refusal(ebay.trading("GetSellerList", times)) == (["Failure"], ["37"])
    assert refusal(ebay.trading("GetSellerList", page.format(1))) == (["Failure"], ["37"])
    assert refusal(ebay.trading("GetSellerList", times.replace("2017-09", "2018-09") + page.format(1)))[0] == [
        "Failure"
    ]
    many = "<Pagination><EntriesPerPage>201</EntriesPerPage></Pagination>"
    asked = SELLING.replace("</ActiveList>", f"{many}</ActiveList>")
    assert refusal(ebay.trading("GetMyeBaySelling", asked)) == (["Failure"], ["37"])


async def test_orders_come_in_the_old_words_as_well(ebay, clock):
    legacy = ebay.site.api.shop.sell_legacy({"RED": 5})
    order = ebay.site.marketplace.place([Wanted(legacy.variations["RED"], 2)], paid=False).order
    await clock.sleep(31)
    told = ebay.trading("GetOrders", "<NumberOfDays>1</NumberOfDays>")
    assert (found(told, "OrderID"), found(told, "OrderStatus")) == ([order.id], ["Active"])
    assert (found(told, "QuantityPurchased"), found(told, "ItemID")) == (["2"], [legacy.item])
    ebay.site.marketplace.cancel(order.id)
    by_id = f"<OrderIDArray><OrderID>{order.id}</OrderID></OrderIDArray>"
    assert found(ebay.trading("GetOrders", by_id), "OrderStatus") == ["Cancelled"]
    assert refusal(ebay.trading("GetOrders", "")) == (["Failure"], ["37"])


async def test_tokens_headers_and_xml_are_checked_and_the_status_stays_200(ebay, clock):
    assert refusal(ebay.trading("GetItem", "", x_ebay_api_iaf_token="")) == (["Failure"], ["930"])
    assert refusal(ebay.trading("GetItem", "", x_ebay_api_iaf_token="x")) == (["Failure"], ["21916984"])
    application = ebay.token_for(grant_type="client_credentials", scope=BASE)[1]["access_token"]
    assert refusal(ebay.trading("GetItem", "", x_ebay_api_iaf_token=application)) == (["Failure"], ["21916984"])
    assert refusal(ebay.trading("GetItem", "", x_ebay_api_siteid="")) == (["Failure"], ["37"])
    assert refusal(ebay.trading("GetItem", "", x_ebay_api_compatibility_level="")) == (["Failure"], ["37"])
    assert refusal(ebay.trading("EndEverything", "")) == (["Failure"], ["2"])
    assert refusal(ebay.trading("GetItem", "<ItemID>")) == (["Failure"], ["5"])
    assert refusal(ebay.trading("GetItem", "<ItemID>1</ItemID>")) == (["Failure"], ["17"])
    await clock.sleep(7_200)
    assert refusal(ebay.trading("GetItem", "")) == (["Failure"], ["21917053"])


def test_calls_of_a_day_are_limited(opened):
    behaviour = EbayBehaviour()
    ebay = opened(behaviour=replace(behaviour, quotas=dict(behaviour.quotas) | {"TradingAPI": 1}))
    asked = "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
    assert found(ebay.trading("GetUserPreferences", asked), "Ack") == ["Success"]
    assert refusal(ebay.trading("GetUserPreferences", asked)) == (["Failure"], ["518"])
    assert [each.endpoint for each in ebay.site.api.meter.violations] == ["TradingAPI"]
