"""Offers of the eBay test server: of one SKU only, published, withdrawn, migrated."""

import pytest

from channelsync.lab.marketplace import Wanted

OFFER = "/sell/inventory/v1/offer"
ITEMS = "/sell/inventory/v1/inventory_item"
NEW = {"sku": "MUG-1", "marketplaceId": "EBAY_US", "format": "FIXED_PRICE"}
MIGRATE = "/sell/inventory/v1/bulk_migrate_listing"


@pytest.fixture
def item(ebay):
    ebay("PUT", f"{ITEMS}/MUG-1", {"availability": {"shipToLocationAvailability": {"quantity": 5}}})


def test_there_is_no_list_of_all_offers(ebay):
    ebay.site.api.shop.sell_item("MUG-1", 5)
    assert ebay.error("GET", OFFER) == (400, 25707)
    assert ebay.error("GET", OFFER, sku="NONE") == (404, 25713)
    assert ebay("GET", OFFER, sku="MUG-1")[1]["total"] == 1
    assert ebay.error("GET", OFFER, sku="MUG-1", format="AUCTION") == (404, 25713)


def test_an_offer_is_made_published_sold_and_told(ebay, item):
    status, told = ebay("POST", OFFER, NEW)
    assert status == 201
    path = f"{OFFER}/{told['offerId']}"
    before = ebay("GET", path)[1]
    assert (before["status"], "listing" in before, before["listingDuration"]) == ("UNPUBLISHED", False, "GTC")
    assert ebay.site.marketplace.can_buy("MUG-1") == 0
    listing = ebay("POST", f"{path}/publish", {})[1]["listingId"]
    ebay.site.marketplace.buy("MUG-1", 2)
    after = ebay("GET", path)[1]
    assert (after["status"], after["availableQuantity"]) == ("PUBLISHED", 3)
    assert after["listing"] == {
        "listingId": listing,
        "listingStatus": "ACTIVE",
        "soldQuantity": 2,
        "listingOnHold": False,
    }


def test_a_second_offer_of_a_sku_is_refused_and_names_the_first(ebay, item):
    offer = ebay("POST", OFFER, NEW)[1]["offerId"]
    status, told = ebay("POST", OFFER, NEW)
    assert (status, told["errors"][0]["errorId"]) == (400, 25002)
    assert told["errors"][0]["parameters"] == [{"name": "offerId", "value": offer}]
    assert ebay.error("POST", OFFER, NEW | {"sku": "NONE"}) == (400, 25702)


def test_an_offer_on_another_site_is_a_listing_of_its_own_with_the_same_number(ebay, item):
    offers = [ebay("POST", OFFER, NEW | {"marketplaceId": site})[1]["offerId"] for site in ("EBAY_US", "EBAY_GB")]
    listings = [ebay("POST", f"{OFFER}/{offer}/publish", {})[1]["listingId"] for offer in offers]
    assert len(set(listings)) == 2
    told = ebay("GET", OFFER, sku="MUG-1")[1]
    assert [one["listing"]["listingId"] for one in told["offers"]] == listings
    assert {one["availableQuantity"] for one in told["offers"]} == {5}
    ebay("POST", f"{OFFER}/{offers[0]}/withdraw", {})
    assert ebay.site.marketplace.can_buy("MUG-1") == 5, "it is on sale on the other site still"
    ebay("POST", f"{OFFER}/{offers[1]}/withdraw", {})
    assert ebay.site.marketplace.can_buy("MUG-1") == 0


def test_publishing_needs_a_body_or_the_edge_answers_411(ebay, item):
    offer = ebay("POST", OFFER, NEW)[1]["offerId"]
    reply = ebay.send("POST", f"{OFFER}/{offer}/publish", authorization=f"Bearer {ebay.token}")
    assert (reply.status, reply.headers["content-type"]) == (411, "text/html")
    assert ebay("POST", f"{OFFER}/{offer}/publish", {})[0] == 200


def test_publishing_again_changes_nothing_and_withdrawing_gives_a_new_listing_id(ebay, item):
    path = f"{OFFER}/{ebay('POST', OFFER, NEW)[1]['offerId']}"
    first = ebay("POST", f"{path}/publish", {})[1]
    again = ebay("POST", f"{path}/publish", {})[1]
    assert again["listingId"] == first["listingId"]
    assert again["warnings"][0]["errorId"] == 25402
    assert ebay("POST", f"{path}/withdraw", {})[1]["listingId"] == first["listingId"]
    assert ebay("GET", path)[1]["status"] == "UNPUBLISHED"
    assert ebay.error("POST", f"{path}/withdraw", {}) == (400, 25713)
    assert ebay("POST", f"{path}/publish", {})[1]["listingId"] != first["listingId"]


def test_nothing_is_published_without_units(ebay):
    ebay("PUT", f"{ITEMS}/MUG-1", {"product": {"title": "Mug"}})
    offer = ebay("POST", OFFER, NEW)[1]["offerId"]
    assert ebay.error("POST", f"{OFFER}/{offer}/publish", {}) == (400, 25004)


def test_an_offer_that_is_put_without_its_number_overrides_no_more(ebay, item):
    offer = ebay("POST", OFFER, NEW | {"availableQuantity": 2})[1]["offerId"]
    ebay("POST", f"{OFFER}/{offer}/publish", {})
    assert ebay.site.marketplace.can_buy("MUG-1") == 2
    assert ebay("PUT", f"{OFFER}/{offer}", {"categoryId": "20625"}) == (204, None)
    assert ebay.site.marketplace.can_buy("MUG-1") == 5
    told = ebay("GET", f"{OFFER}/{offer}")[1]
    assert (told["categoryId"], told["marketplaceId"]) == ("20625", "EBAY_US")


def test_a_deleted_offer_ends_its_listing(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)
    assert ebay("DELETE", f"{OFFER}/{sale.id}") == (204, None)
    assert ebay.site.marketplace.can_buy("MUG-1") == 0
    assert ebay.error("GET", f"{OFFER}/{sale.id}") == (404, 25713)


def test_listings_of_the_trading_api_are_migrated_with_their_id_and_number(ebay):
    shop = ebay.site.api.shop
    single, several = shop.sell_legacy(5, sku="MUG-1"), shop.sell_legacy({"RED": 2, "BLUE": 3})
    without, old = shop.sell_legacy(5), shop.sell_legacy(5, sku="OLD", migratable=False)
    asked = [{"listingId": each.item} for each in (single, several, without, old)]
    status, told = ebay("POST", MIGRATE, {"requests": asked})
    assert (status, [row["statusCode"] for row in told["responses"]]) == (207, [200, 200, 400, 400])
    assert {row["errors"][0]["errorId"] for row in told["responses"][2:]} == {25718}
    assert [item["sku"] for item in told["responses"][1]["inventoryItems"]] == ["RED", "BLUE"]
    offer = ebay("GET", OFFER, sku="MUG-1")[1]["offers"][0]
    assert (offer["listing"]["listingId"], offer["availableQuantity"]) == (single.item, 5)
    assert [ebay.site.marketplace.can_buy(sku) for sku in ("MUG-1", "RED", "BLUE")] == [5, 2, 3]
    assert "21919474" in ebay.trading(
        "ReviseInventoryStatus",
        f"<InventoryStatus><ItemID>{single.item}</ItemID><Quantity>1</Quantity></InventoryStatus>",
    )
    assert ebay.error("POST", MIGRATE, {"requests": [{"listingId": str(n)} for n in range(6)]}) == (400, 25709)
    order = ebay.site.marketplace.place([Wanted("RED", 1)]).order.id
    line = ebay("GET", f"/sell/fulfillment/v1/order/{order}")[1]["lineItems"][0]
    assert (line["legacyItemId"], line["legacyVariationId"]) == (several.item, several.variation_ids["RED"])
    shown = ebay.trading("GetItem", f"<ItemID>{several.item}</ItemID>")
    assert (shown.count("<Variation>"), shown.count("<ItemID>")) == (2, 1)
