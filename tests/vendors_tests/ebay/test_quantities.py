"""bulk_update_price_quantity of the eBay test server: rows, two numbers, revisions, refusals."""

from dataclasses import replace

import pytest

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace import Wanted
from channelsync.sdk.contract.world import START
from channelsync.sdk.values import Applies
from vendor_ebay import EBAY_RULES, EbayBehaviour
from vendor_ebay.errors import ending_soon, no_revision, over_selling_limit

ITEMS = "/sell/inventory/v1/inventory_item"


def item(sku, units):
    return {"sku": sku, "shipToLocationAvailability": {"quantity": units}}


def both(sale, units):
    return item(sale.sku, units) | {"offers": [{"offerId": sale.id, "availableQuantity": units}]}


def numbers(ebay, sku):
    """The item's number, the offer's, and what a buyer can buy."""
    told = ebay("GET", f"{ITEMS}/{sku}")[1]["availability"]["shipToLocationAvailability"]["quantity"]
    offer = ebay("GET", "/sell/inventory/v1/offer", sku=sku)[1]["offers"][0]
    return told, offer["availableQuantity"], ebay.site.marketplace.can_buy(sku)


def test_a_batch_of_25_skus_is_written_and_answered_row_by_row(ebay):
    sales = [ebay.site.api.shop.sell_item(f"MUG-{n}", 1) for n in range(25)]
    status, rows = ebay.write(*[both(sale, 5) for sale in sales])
    assert status == 200
    assert [(row["sku"], row["offerId"], row["statusCode"]) for row in rows] == [
        (sale.sku, sale.id, 200) for sale in sales
    ]
    assert numbers(ebay, "MUG-24") == (5, 5, 5)
    assert ebay.write(*[item(f"MUG-{n}", 1) for n in range(26)])[1][0]["errorId"] == 25709


def test_one_refused_row_does_not_hold_up_its_neighbours(ebay):
    good = ebay.site.api.shop.sell_item("MUG-1", 1)
    bad = ebay.site.api.shop.sell_item("MUG-2", 1)
    ebay.site.api.shop.refusals["MUG-2"] = no_revision("It is being looked at.")
    status, rows = ebay.write(both(good, 5), both(bad, 5), item("NONE", 5), item("MUG-1", -1))
    assert (status, [row["statusCode"] for row in rows]) == (207, [200, 400, 404, 400])
    assert [row["errors"][0]["errorId"] for row in rows[1:]] == [25019, 25702, 25004]
    assert "It is being looked at." in rows[1]["errors"][0]["message"]
    assert [ebay.site.marketplace.can_buy(sku) for sku in ("MUG-1", "MUG-2")] == [5, 1]


def test_the_number_of_the_offer_overrides_that_of_the_item(ebay):
    ebay.site.api.shop.sell_item("MUG-1", 10, in_offer=True)
    assert ebay.write(item("MUG-1", 3))[0] == 200
    assert numbers(ebay, "MUG-1") == (3, 10, 10), "written, accepted, and in force nowhere"
    ebay.site.api.shop.sell_item("MUG-2", 10, in_offer=False)
    ebay.write(item("MUG-2", 3))
    assert numbers(ebay, "MUG-2") == (3, 3, 3)


def test_where_the_lower_number_counts_both_are_kept_and_the_lower_one_is_in_force(opened):
    ebay = opened(behaviour=EbayBehaviour(lower_counts=True))
    sale = ebay.site.api.shop.sell_item("MUG-1", 10, in_offer=True)
    ebay.write(item("MUG-1", 3))
    assert numbers(ebay, "MUG-1") == (3, 10, 3)
    ebay.site.marketplace.place([Wanted("MUG-1", 2)])
    assert numbers(ebay, "MUG-1") == (1, 8, 1), "a sale lowers both"
    ebay.write(item("MUG-1", 20))
    assert numbers(ebay, "MUG-1") == (20, 8, 8)
    ebay.write(both(sale, 6))
    assert numbers(ebay, "MUG-1") == (6, 6, 6)
    ebay.site.api.shop.sell_item("MUG-2", 10, in_offer=False)
    ebay.write(item("MUG-2", 12))
    assert numbers(ebay, "MUG-2") == (12, 12, 12), "an offer without a number of its own has the item's"
    other = ebay.site.api.shop.sale_of("MUG-2")
    ebay.write({"offers": [{"offerId": other.id, "availableQuantity": 4}]})
    assert numbers(ebay, "MUG-2") == (12, 4, 4)


@pytest.mark.parametrize(("lower_counts", "in_force"), [(False, 10), (True, 3)])
def test_an_offer_may_be_refused_though_its_item_is_taken(opened, lower_counts, in_force):
    ebay = opened(behaviour=EbayBehaviour(lower_counts=lower_counts, item_rows=True))
    sale = ebay.site.api.shop.sell_item("MUG-1", 10)
    ebay.site.api.shop.offer_refusals[sale.id] = no_revision("It is being looked at.")
    status, rows = ebay.write(both(sale, 3))
    assert (status, [row["statusCode"] for row in rows]) == (207, [200, 400])
    assert numbers(ebay, "MUG-1") == (3, 10, in_force)


def test_a_number_written_to_the_offer_alone_overrides_from_then_on(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 10, in_offer=False)
    assert ebay.write({"offers": [{"offerId": sale.id, "availableQuantity": 4}]})[0] == 200
    assert numbers(ebay, "MUG-1") == (10, 4, 4)
    ebay.write(item("MUG-1", 2))
    assert numbers(ebay, "MUG-1") == (2, 4, 4)


def test_a_sale_lowers_both_numbers_and_a_cancelled_order_raises_them(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 10)
    ebay.write(both(sale, 6))
    ebay.write(item("MUG-1", 9))
    order = ebay.site.marketplace.place([Wanted("MUG-1", 2)], paid=False).order
    assert numbers(ebay, "MUG-1") == (7, 4, 4), "an unpaid order lowers the number"
    ebay.site.marketplace.cancel(order.id)
    assert numbers(ebay, "MUG-1") == (9, 6, 6)


@pytest.mark.parametrize(
    ("row", "number"),
    [
        ({"shipToLocationAvailability": {"quantity": 1}}, 25709),
        ({"sku": "MUG-1"}, 25709),
        ({"sku": "MUG-1", "offers": [{"offerId": "1", "availableQuantity": 1}]}, 25713),
        ({"offers": [{"offerId": "1", "availableQuantity": 1}]}, 25713),
        ({"sku": "MUG-1", "offers": [{"offerId": "OTHER", "availableQuantity": 1}]}, 25709),
        ({"sku": "MUG-1", "offers": [{"offerId": "OWN"}]}, 25709),
    ],
)
def test_a_row_that_names_too_little_or_the_wrong_offer_is_refused(ebay, row, number):
    ids = {"OWN": ebay.site.api.shop.sell_item("MUG-1", 1).id, "OTHER": ebay.site.api.shop.sell_item("MUG-2", 1).id}
    for offer in row.get("offers", ()):
        offer["offerId"] = ids.get(offer["offerId"], offer["offerId"])
    status, rows = ebay.write(row)
    assert (status, rows[0]["errors"][0]["errorId"]) == (207, number)


def test_a_batch_that_names_an_offer_twice_is_refused_whole(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 1)
    assert ebay.write(both(sale, 2), both(sale, 3))[1][0]["errorId"] == 25709
    assert ebay.site.marketplace.can_buy("MUG-1") == 1


def test_an_offer_that_is_not_published_is_not_available(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 1)
    ebay("POST", f"/sell/inventory/v1/offer/{sale.id}/withdraw", {})
    assert ebay.write({"offers": [{"offerId": sale.id, "availableQuantity": 2}]})[1][0]["errors"][0]["errorId"] == 25713


def test_prices_are_written_with_or_without_numbers(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 1)
    price = {"value": "12.50", "currency": "USD"}
    assert ebay.write({"offers": [{"offerId": sale.id, "price": price}]})[0] == 200
    assert ebay("GET", f"/sell/inventory/v1/offer/{sale.id}")[1]["pricingSummary"]["price"] == price
    assert ebay.site.marketplace.can_buy("MUG-1") == 1


async def test_the_251st_revision_of_a_listing_waits_for_the_next_day(ebay, clock):
    sale = ebay.site.api.shop.sell_item("MUG-1", 1)
    other = ebay.site.api.shop.sell_item("MUG-2", 1)
    for turn in range(250):
        assert ebay.write(both(sale, turn))[0] == 200, "the item's and the offer's number are one revision"
    status, rows = ebay.write(both(sale, 99), both(other, 99))
    assert (status, [row["statusCode"] for row in rows]) == (207, [400, 200])
    assert rows[0]["errors"][0]["errorId"] == 25019
    assert ebay.site.marketplace.can_buy("MUG-1") == 249
    await clock.sleep(15 * 3_600)
    ebay.login()
    assert ebay.write(both(sale, 99))[0] == 200


def test_a_write_to_a_sku_on_two_sites_revises_both_listings(ebay):
    shop, now = ebay.site.api.shop, ebay.site.marketplace.time()
    here, there = shop.sell_item("MUG-1", 1), shop.sell_elsewhere("MUG-1", "EBAY_GB")
    offers = [{"offerId": one.id, "availableQuantity": 5} for one in (here, there)]
    status, rows = ebay.write(item("MUG-1", 5) | {"offers": offers})
    assert (status, [row["statusCode"] for row in rows]) == (200, [200, 200])
    assert [shop.revisions.of(one.listing, now) for one in (here, there)] == [1, 1]
    for _ in range(249):
        assert shop.revisions.count([there.listing], now) is None
    assert [row["statusCode"] for row in ebay.write(item("MUG-1", 6) | {"offers": offers})[1]] == [400, 400]
    assert [shop.revisions.of(one.listing, now) for one in (here, there)] == [1, 250]
    assert ebay.site.marketplace.can_buy("MUG-1") == 5


def test_zero_hides_a_listing_and_a_raise_brings_it_back(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)

    def status():
        return ebay("GET", f"/sell/inventory/v1/offer/{sale.id}")[1]["listing"]["listingStatus"]

    listing = sale.listing
    ebay.write(both(sale, 0))
    assert (status(), ebay.site.marketplace.can_buy("MUG-1")) == ("OUT_OF_STOCK", 0)
    ebay.write(both(sale, 2))
    assert (status(), ebay.site.marketplace.can_buy("MUG-1"), sale.listing) == ("ACTIVE", 2, listing)


async def test_a_sku_that_somebody_else_writes_is_refused_with_25025(opened, clock):
    ebay = opened(behaviour=EbayBehaviour(busy_after_write=2.0))
    sale = ebay.site.api.shop.sell_item("MUG-1", 1)
    assert ebay.write(both(sale, 2))[0] == 200
    status, rows = ebay.write(both(sale, 3))
    assert (status, rows[0]["statusCode"], rows[0]["errors"][0]["errorId"]) == (207, 500, 25025)
    assert ebay.error("PUT", f"{ITEMS}/MUG-1", {"product": {"title": "Mug"}}) == (500, 25025)
    await clock.sleep(2)
    assert ebay.write(both(sale, 3))[0] == 200
    await clock.sleep(2)
    ebay.site.api.shop.contended["MUG-1"] = 1
    assert [ebay.write(both(sale, 4))[0] for _ in range(2)] == [207, 200], "one write met another, the next did not"


def test_a_listing_on_hold_cannot_be_revised(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)
    ebay.site.api.shop.hold("MUG-1")
    assert ebay.write(both(sale, 2))[1][0]["errors"][0]["errorId"] == 25097
    told = ebay("GET", f"/sell/inventory/v1/offer/{sale.id}")[1]["listing"]
    assert told["listingOnHold"]
    assert ebay.site.marketplace.can_buy("MUG-1") == 0
    ebay.site.api.shop.hold("MUG-1", on=False)
    assert ebay.site.marketplace.can_buy("MUG-1") == 5


def test_a_hold_that_can_be_mended_lets_revisions_through_with_a_warning(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)
    ebay.site.api.shop.hold("MUG-1", fixable=True)
    status, rows = ebay.write(both(sale, 2))
    assert (status, rows[0]["statusCode"], rows[0]["warnings"][0]["errorId"]) == (200, 200, 25096)
    status, told = ebay("PUT", f"{ITEMS}/MUG-1", {"availability": {"shipToLocationAvailability": {"quantity": 2}}})
    assert (status, told["warnings"][0]["errorId"]) == (200, 25096)


@pytest.mark.parametrize(("why", "number"), [(ending_soon("110"), 25038), (over_selling_limit(), 25026)])
def test_the_site_may_refuse_for_its_own_reasons(ebay, why, number):
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)
    ebay.site.api.shop.refusals["MUG-1"] = why
    assert ebay.write(both(sale, 2))[1][0]["errors"][0]["errorId"] == number


def test_an_ended_listing_cannot_be_revised(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)
    for end, status in (
        (lambda: ebay.site.marketplace.switch("MUG-1", on=False), "ENDED"),
        (lambda: ebay.site.api.shop.end_by_ebay("MUG-1"), "EBAY_ENDED"),
    ):
        end()
        assert ebay("GET", f"/sell/inventory/v1/offer/{sale.id}")[1]["listing"]["listingStatus"] == status
        assert ebay.write(both(sale, 2))[1][0]["errors"][0]["errorId"] == 25019


def test_the_item_gets_a_row_of_its_own_where_this_ebay_gives_it(opened):
    ebay = opened(behaviour=EbayBehaviour(item_rows=True))
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)
    assert [row.get("offerId") for row in ebay.write(both(sale, 2))[1]] == [None, sale.id]


def test_spoilt_batches_lose_rows_or_refuse_some(opened, clock):
    ebay = opened()
    sales = [ebay.site.api.shop.sell_item(f"MUG-{n}", 1) for n in range(4)]
    for kind, rows in ((FaultKind.PARTIAL, [500, 200, 500, 200]), (FaultKind.ROWS_MISSING, [200, 200])):
        ebay.site.api.faults = FaultPlan([Fault(kind=kind, starts=START, ends=START.replace(year=2018))])
        assert [row["statusCode"] for row in ebay.write(*[both(sale, 5) for sale in sales])[1]] == rows
    assert [ebay.site.marketplace.can_buy(sale.sku) for sale in sales] == [5, 5, 5, 5]


def test_writes_on_their_way_are_seen_later_where_the_rules_say_so(opened):
    ebay = opened(rules=replace(EBAY_RULES, applies=Applies.IN_ORDER, apply_delay=(5.0, 5.0)))
    sale = ebay.site.api.shop.sell_item("MUG-1", 1)
    ebay.write(both(sale, 5))
    assert ebay.site.marketplace.can_buy("MUG-1") == 1
