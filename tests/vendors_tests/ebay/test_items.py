"""Inventory items of the eBay test server: pages by number, whole replacement, locations."""

import pytest

ITEMS = "/sell/inventory/v1/inventory_item"
LOCATIONS = "/sell/inventory/v1/location"


def put(ebay, sku, units=None, **more):
    content = {"product": {"title": "Mug", "description": "Blue", "ean": ["4006381333931"]}, "condition": "NEW"} | more
    if units is not None:
        content["availability"] = {"shipToLocationAvailability": {"quantity": units}}
    return ebay("PUT", f"{ITEMS}/{sku}", content)


def test_an_item_is_read_as_it_was_put(ebay):
    assert put(ebay, "MUG-1", 7) == (204, None)
    status, told = ebay("GET", f"{ITEMS}/MUG-1")
    assert (status, told["sku"], told["locale"]) == (200, "MUG-1", "en_US")
    assert told["availability"]["shipToLocationAvailability"]["quantity"] == 7
    assert told["product"]["ean"] == ["4006381333931"]


def test_what_a_put_leaves_out_is_lost_the_number_as_well(ebay):
    ebay.site.api.shop.sell_item("MUG-1", 7, in_offer=False)
    assert put(ebay, "MUG-1", 7)[0] == 204
    assert ebay("PUT", f"{ITEMS}/MUG-1", {"product": {"title": "Mug"}})[0] == 204
    told = ebay("GET", f"{ITEMS}/MUG-1")[1]
    assert told["product"] == {"title": "Mug"}
    assert told["availability"] == {}
    assert "condition" not in told
    assert ebay.site.marketplace.can_buy("MUG-1") == 0


def test_a_put_needs_its_language(ebay):
    reply = ebay.send(
        "PUT", f"{ITEMS}/A", b"{}", authorization=f"Bearer {ebay.login()}", content_type="application/json"
    )
    assert reply.status == 400
    assert b"25709" in reply.body


def test_offset_is_the_number_of_a_page_and_size_that_of_pages(ebay):
    for number in range(5):
        ebay.site.api.shop.sell_item(f"MUG-{number}", number + 1)
    pages = [ebay("GET", ITEMS, limit=2, offset=page)[1] for page in range(4)]
    assert [[item["sku"] for item in page["inventoryItems"]] for page in pages] == [
        ["MUG-0", "MUG-1"],
        ["MUG-2", "MUG-3"],
        ["MUG-4"],
        [],
    ]
    assert {(page["total"], page["size"], page["limit"]) for page in pages} == {(5, 3, 2)}
    assert ["next" in page for page in pages] == [True, True, False, False]
    assert ["prev" in page for page in pages] == [False, True, True, True]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"limit": "all"}, {"offset": -1}])
def test_bad_pages_are_refused(ebay, query):
    assert ebay.error("GET", ITEMS, **query) == (400, 25706)


def test_listings_of_the_trading_api_are_not_seen(ebay):
    ebay.site.api.shop.sell_legacy(5, sku="MUG-1")
    assert ebay("GET", ITEMS)[1]["total"] == 0
    assert ebay.error("GET", f"{ITEMS}/MUG-1") == (404, 25710)


def test_up_to_25_items_are_read_at_once_and_unknown_ones_fail_alone(ebay):
    path = "/sell/inventory/v1/bulk_get_inventory_item"
    ebay.site.api.shop.sell_item("MUG-1", 7)
    status, told = ebay("POST", path, {"requests": [{"sku": "MUG-1"}, {"sku": "NONE"}]})
    assert (status, [row["statusCode"] for row in told["responses"]]) == (207, [200, 404])
    assert told["responses"][0]["inventoryItem"]["sku"] == "MUG-1"
    assert told["responses"][1]["errors"][0]["errorId"] == 25702
    assert ebay.error("POST", path, {"requests": [{"sku": f"S{n}"} for n in range(26)]}) == (400, 25727)
    assert ebay.error("POST", path, {"requests": [{"sku": "A"}, {"sku": "A"}]}) == (400, 25734)
    assert ebay("POST", path, {"requests": [{"sku": "MUG-1"}]})[0] == 200


@pytest.mark.parametrize("sku", ["MUG 1", "MUG#1", "M" * 51])
def test_what_is_no_sku_is_refused(ebay, sku):
    assert ebay.error("GET", f"{ITEMS}/{sku}") == (400, 25707)


@pytest.mark.parametrize(
    ("content", "number"),
    [
        ({"availability": {"shipToLocationAvailability": {"quantity": "7"}}}, 2004),
        ({"availability": {"shipToLocationAvailability": {"quantity": 7.5}}}, 2004),
        ({"availability": {"shipToLocation": {"quantity": 7}}}, 2004),
        ({"availability": {"shipToLocationAvailability": {"quantity": -1}}}, 25004),
    ],
)
def test_what_the_description_or_ebay_does_not_allow_is_refused(ebay, content, number):
    assert ebay.error("PUT", f"{ITEMS}/MUG-1", content) == (400, number)


def test_items_put_in_a_batch_fail_alone(ebay):
    row = {"locale": "en_US", "product": {"title": "Mug"}}
    rows = [row | {"sku": "MUG-1"}, row | {"sku": "MUG 2"}]
    status, told = ebay("POST", "/sell/inventory/v1/bulk_create_or_replace_inventory_item", {"requests": rows})
    assert (status, [each["statusCode"] for each in told["responses"]]) == (207, [200, 400])
    assert list(ebay.site.api.shop.items) == ["MUG-1"]


def test_a_deleted_item_takes_its_offer_and_its_listing_with_it(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 7)
    assert ebay("DELETE", f"{ITEMS}/MUG-1") == (204, None)
    assert ebay.error("GET", f"/sell/inventory/v1/offer/{sale.id}") == (404, 25713)
    assert ebay.site.marketplace.can_buy("MUG-1") == 0
    assert put(ebay, "MUG-1", 3)[0] == 204
    assert ebay("GET", f"{ITEMS}/MUG-1")[1]["availability"]["shipToLocationAvailability"]["quantity"] == 3


def test_locations_are_listed_made_and_switched(ebay):
    assert ebay("GET", LOCATIONS)[1]["total"] == 1
    address = {"location": {"address": {"country": "US", "postalCode": "95125"}}, "name": "Shed"}
    assert ebay("POST", f"{LOCATIONS}/shed", address) == (204, None)
    assert ebay.error("POST", f"{LOCATIONS}/shed", address) == (409, 25803)
    assert ebay("POST", f"{LOCATIONS}/shed/disable", {})[0] == 200
    assert ebay("GET", f"{LOCATIONS}/shed")[1]["merchantLocationStatus"] == "DISABLED"
    assert ebay("POST", f"{LOCATIONS}/shed/enable", {})[0] == 200
    assert ebay.error("GET", f"{LOCATIONS}/loft") == (404, 25805)


def test_units_by_location_are_kept_and_locations_of_a_listing_are_mapped(ebay):
    sale = ebay.site.api.shop.sell_item("MUG-1", 5)
    where = [{"merchantLocationKey": "main", "quantity": 5}]
    ebay.write({"sku": "MUG-1", "shipToLocationAvailability": {"quantity": 5, "availabilityDistributions": where}})
    told = ebay("GET", f"{ITEMS}/MUG-1")[1]["availability"]["shipToLocationAvailability"]
    assert told["availabilityDistributions"] == where
    path = f"/sell/inventory/v1/listing/{sale.listing}/sku/MUG-1/locations"
    assert ebay.error("GET", path) == (404, 25904)
    assert ebay("PUT", path, {"locations": [{"merchantLocationKey": "main"}]}) == (204, None)
    assert ebay("GET", path)[1] == {"locations": [{"merchantLocationKey": "main"}]}
    assert ebay.error("PUT", path, {"locations": [{"merchantLocationKey": "moon"}]}) == (400, 25900)
    assert ebay.error("GET", path.replace("MUG-1", "MUG-2")) == (400, 25905)
    assert ebay("DELETE", path) == (204, None)
