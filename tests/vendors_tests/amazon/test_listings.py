"""Listings: read, searched and patched as Amazon does it."""

import pytest

from vendor_amazon import AMAZON_RULES, AmazonHabits, Rate

UK = "A1F83G8C2ARO7P"
GERMANY = "A1PA6795UKMFR9"
GRACE = AMAZON_RULES.apply_delay[1]


@pytest.fixture
def at(site):
    """The path of a listing."""
    return lambda sku="": f"/listings/2021-08-01/items/{site.seller_id}" + (f"/{sku}" if sku else "")


def patched(value, op="merge", path="/attributes/fulfillment_availability", kind="PRODUCT"):
    return {"productType": kind, "patches": [{"op": op, "path": path, "value": [value]}]}


def mfn(quantity, **more):
    return {"fulfillment_channel_code": "DEFAULT", "quantity": quantity, **more}


def test_a_listing_tells_only_what_was_asked_for(call, site, at):
    site.catalogue.list_item("MUG", 7, title="A mug")
    plain = call.ok("GET", at("MUG"), marketplaceIds=UK)
    assert set(plain) == {"sku", "summaries"}
    assert plain["summaries"][0]["status"] == ["BUYABLE", "DISCOVERABLE"]
    more = call.ok("GET", at("MUG"), marketplaceIds=f"{UK},{GERMANY}", includedData="fulfillmentAvailability,issues")
    assert more["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 7}]
    assert more["issues"] == []
    everything = "summaries,attributes,issues,offers,fulfillmentAvailability,relationships,productTypes"
    assert len(call.ok("GET", at("MUG"), marketplaceIds=UK, includedData=everything)) == 8


def test_a_listing_that_is_none_or_is_not_sold_there_is_not_found(call, site, at):
    site.catalogue.list_item("MUG", 7, marketplace_ids=(UK,))
    assert call.code("GET", at("CUP"), marketplaceIds=UK) == (404, "NOT_FOUND")
    assert call.code("GET", at("MUG"), marketplaceIds=GERMANY) == (404, "NOT_FOUND")
    assert call("GET", at("MUG"), marketplaceIds=UK)[0] == 200


def test_a_sku_may_hold_a_slash_and_a_space(call, site, at):
    site.catalogue.list_item("A/B c", 7)
    assert call.ok("GET", at("A/B c"), marketplaceIds=UK)["sku"] == "A/B c"


def test_wrong_parameters_are_refused(call, site, at):
    site.catalogue.list_item("MUG", 7)
    assert call.code("GET", at("MUG")) == (400, "InvalidInput")
    assert call.code("GET", at("MUG"), marketplaceIds="ATVPDKIKX0DER") == (400, "InvalidInput")
    assert call.code("GET", at("MUG"), marketplaceIds=UK, includedData="everything") == (400, "InvalidInput")
    assert call.code("GET", "/listings/2021-08-01/items/ANOTHER/MUG", marketplaceIds=UK) == (403, "Unauthorized")
    assert call.code("GET", at(), marketplaceIds=UK, pageSize=21) == (400, "InvalidInput")
    assert call.code("GET", at(), marketplaceIds=UK, identifiers="MUG") == (400, "InvalidInput")


async def test_a_merged_quantity_is_accepted_at_once_and_live_minutes_later(call, site, at):
    site.catalogue.list_item("MUG", 7, availability={"lead_time_to_ship_max_days": 3})
    answer = call.ok("PATCH", at("MUG"), patched(mfn(4)), marketplaceIds=UK)
    assert (answer["status"], answer["issues"]) == ("ACCEPTED", [])
    assert answer["submissionId"]

    def now():
        found = call.ok("GET", at("MUG"), marketplaceIds=UK, includedData="attributes")["attributes"]
        return found["fulfillment_availability"]

    assert now() == [mfn(7, lead_time_to_ship_max_days=3)]
    await call.wait(seconds=GRACE)
    assert now() == [mfn(4, lead_time_to_ship_max_days=3)]


async def test_a_replaced_attribute_drops_what_is_not_named(call, site, at):
    site.catalogue.list_item("MUG", 7, availability={"lead_time_to_ship_max_days": 3})
    call.ok("PATCH", at("MUG"), patched(mfn(4), "replace"), marketplaceIds=UK)
    await call.wait(seconds=GRACE)
    found = call.ok("GET", at("MUG"), marketplaceIds=UK, includedData="attributes")["attributes"]
    assert found["fulfillment_availability"] == [mfn(4)]


async def test_a_preview_changes_nothing_and_gives_the_asin(call, site, at):
    item = site.catalogue.list_item("MUG", 7)
    query = {"marketplaceIds": UK, "mode": "VALIDATION_PREVIEW", "includedData": "identifiers,issues"}
    answer = call.ok("PATCH", at("MUG"), patched(mfn(4)), **query)
    assert answer["status"] == "VALID"
    assert answer["identifiers"] == [{"marketplaceId": UK, "asin": item.asin}]
    await call.wait(seconds=GRACE)
    assert site.catalogue.quantity(item) == 7
    del query["mode"]
    assert call.code("PATCH", at("MUG"), patched(mfn(4)), **query) == (400, "InvalidInput")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (patched({"quantity": 4}), "99022"),
        (patched(mfn(-1)), "90244"),
        (patched(mfn("4")), "90244"),
        (patched(mfn(4), path="/attributes/fulfillmentAvailability"), "90000900"),
        (patched(mfn(4), kind="LUGGAGE"), "4000003"),
    ],
)
async def test_an_invalid_submission_is_a_200_with_its_issues_and_changes_nothing(call, site, at, body, code):
    item = site.catalogue.list_item("MUG", 7)
    answer = call.ok("PATCH", at("MUG"), body, marketplaceIds=UK)
    assert answer["status"] == "INVALID"
    assert [(each["code"], each["severity"]) for each in answer["issues"]] == [(code, "ERROR")]
    await call.wait(seconds=GRACE)
    assert site.catalogue.quantity(item) == 7


def test_a_listing_may_refuse_every_submission(call, site, at):
    site.catalogue.list_item("MUG", 7).refuses = "You need approval to list this."
    answer = call.ok("PATCH", at("MUG"), patched(mfn(4)), marketplaceIds=UK)
    assert (answer["status"], answer["issues"][0]["message"]) == ("INVALID", "You need approval to list this.")


async def test_a_patch_of_a_sku_that_is_not_listed_is_accepted_and_nothing_comes_of_it(call, at):
    assert call.ok("PATCH", at("CUP"), patched(mfn(4)), marketplaceIds=UK)["status"] == "ACCEPTED"
    await call.wait(seconds=GRACE)
    assert call.code("GET", at("CUP"), marketplaceIds=UK) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "body",
    [
        {"patches": []},
        {"productType": "PRODUCT", "patches": [{"op": "merge"}]},
        {"productType": "PRODUCT", "patches": [{"op": "set", "path": "/attributes/fulfillment_availability"}]},
        patched(mfn(4), path="/attributes/fulfillment_availability/0/quantity"),
        patched(mfn(4), path="/fulfillment_availability"),
    ],
)
def test_a_patch_that_cannot_be_understood_is_refused(call, site, at, body):
    site.catalogue.list_item("MUG", 7)
    assert call.code("PATCH", at("MUG"), body, marketplaceIds=UK) == (400, "InvalidInput")


def test_what_the_models_do_not_name_is_passed_over_and_noted(call, site, at):
    site.catalogue.list_item("MUG", 7)
    call.ok("GET", at("MUG"), marketplaceIds=UK, details="true")
    call.ok("PATCH", at("MUG"), {**patched(mfn(4)), "sku": "MUG"}, marketplaceIds=UK)
    assert [each.partition(": the")[0] for each in site.api.ignored] == [
        "getListingsItem: query details",
        "patchListingsItem: body.sku",
    ]


def test_a_body_of_another_kind_is_refused(call, at):
    call.login()
    call.ok("GET", "/sellers/v1/marketplaceParticipations")
    status, _ = call.send(
        "PATCH", at("MUG"), b"{}", f"marketplaceIds={UK}".encode(), x_amz_access_token=call.token, content_type="a/b"
    )
    assert status == 415


def test_what_cannot_be_bought_is_not_buyable(call, site, at):
    def status(sku):
        return call.ok("GET", at(sku), marketplaceIds=UK)["summaries"][0]["status"]

    site.catalogue.list_item("EMPTY", 0)
    assert status("EMPTY") == ["DISCOVERABLE"]
    site.catalogue.list_item("CLOSED", 5)
    site.marketplace.switch("CLOSED", on=False)
    assert status("CLOSED") == ["DISCOVERABLE"]
    item = site.catalogue.list_item("SUPPRESSED", 5)
    site.catalogue.suppress("SUPPRESSED", "LISTING_SUPPRESSED", marketplace_ids=(UK,))
    assert status("SUPPRESSED") == []
    assert item.actions(GERMANY) == set()
    found = call.ok("GET", at("SUPPRESSED"), marketplaceIds=UK, includedData="issues")["issues"]
    assert found[0]["enforcements"]["actions"] == [{"action": "LISTING_SUPPRESSED"}]


def test_what_amazon_fulfils_has_its_channel_and_no_number_of_ours(call, site, at):
    site.catalogue.list_item("FBA", 0, fba=True)
    found = call.ok("GET", at("FBA"), marketplaceIds=UK, includedData="fulfillmentAvailability,summaries")
    assert found["fulfillmentAvailability"] == [{"fulfillmentChannelCode": "AMAZON_EU"}]
    assert found["summaries"][0]["fnSku"]


def test_a_listing_that_changes_hands_takes_its_number_along(call, site, at):
    site.catalogue.list_item("MUG", 7)
    order = site.marketplace.buy("MUG", 2).order

    def availability():
        return call.ok("GET", at("MUG"), marketplaceIds=UK, includedData="fulfillmentAvailability")[
            "fulfillmentAvailability"
        ]

    site.catalogue.convert("MUG", fba=True)
    assert availability() == [{"fulfillmentChannelCode": "AMAZON_EU"}]
    theirs = site.marketplace.buy("MUG", 2).order
    assert (site.book.by_amazon(order), site.book.by_amazon(theirs)) == (False, True)
    site.catalogue.convert("MUG", fba=False)
    assert availability() == [{"fulfillmentChannelCode": "DEFAULT", "quantity": 5}]
    site.catalogue.remove("MUG")
    assert call.code("GET", at("MUG"), marketplaceIds=UK) == (404, "NOT_FOUND")


def test_a_search_pages_through_all_and_tells_how_many_there_are(call, site, at):
    for number in range(45):
        site.catalogue.list_item(f"SKU-{number:03}", number)
    query = {"marketplaceIds": UK, "pageSize": 20, "sortBy": "sku", "sortOrder": "ASC"}
    found, token = [], {}
    while True:
        page = call.ok("GET", at(), **query, **token)
        assert page["numberOfResults"] == 45
        found += [item["sku"] for item in page["items"]]
        if "nextToken" not in page.get("pagination", {}):
            break
        token = {"pageToken": page["pagination"]["nextToken"]}
    assert found == [f"SKU-{number:03}" for number in range(45)]
    assert call.code("GET", at(), **query, pageToken="guessed") == (400, "InvalidInput")


def test_a_search_leads_through_a_thousand_at_most(open_site, caller_of, at):
    site = open_site(habits=AmazonHabits(rates={"searchListingsItems": Rate(5.0, 1_000)}))
    call = caller_of(site)
    for number in range(1_005):
        site.catalogue.list_item(f"SKU-{number:04}", 1)
    query = {"marketplaceIds": UK, "pageSize": 20, "sortBy": "sku", "sortOrder": "ASC"}
    seen, token = 0, {}
    while True:
        page = call.ok("GET", at(), **query, **token)
        seen += len(page["items"])
        if "nextToken" not in page.get("pagination", {}):
            break
        token = {"pageToken": page["pagination"]["nextToken"]}
    assert (seen, page["numberOfResults"]) == (1_000, 1_005)


async def test_a_search_finds_by_identifier_by_status_and_by_change(call, site, at):
    full, empty = site.catalogue.list_item("FULL", 3), site.catalogue.list_item("EMPTY", 0)

    def found(**query):
        items = call.ok("GET", at(), marketplaceIds=UK, **query)["items"]
        return sorted(item["sku"] for item in items)

    assert found(identifiers="FULL,OTHER", identifiersType="SKU") == ["FULL"]
    assert found(identifiers=empty.asin, identifiersType="ASIN") == ["EMPTY"]
    assert found(withStatus="BUYABLE") == ["FULL"]
    assert found(withoutStatus="BUYABLE") == ["EMPTY"]
    await call.wait(seconds=1)
    call.ok("PATCH", at("FULL"), patched(mfn(4)), marketplaceIds=UK)
    await call.wait(seconds=GRACE)
    assert found(lastUpdatedAfter="2017-06-01T09:00:01Z") == ["FULL"]
    assert full.updated > full.created
