"""Listings and numbers: how each is counted, and when a listing can be bought."""

from typing import Any

import pytest

from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync_woocommerce import translate_listings, wire

PLAIN = {
    "id": 10,
    "name": "Mug",
    "type": "simple",
    "status": "publish",
    "sku": "MUG",
    "global_unique_id": "4006381333931",
    "purchasable": True,
    "manage_stock": True,
    "stock_quantity": 7,
    "stock_status": "instock",
    "backorders": "no",
    "parent_id": 0,
    "variations": [],
    "attributes": [],
}
ROOF = PLAIN | {
    "id": 15,
    "name": "Shirt",
    "type": "variable",
    "sku": "SHIRT",
    "variations": [16, 17],
    "manage_stock": False,
    "stock_quantity": None,
}
LARGE = PLAIN | {"id": 18, "name": "L", "type": "variation", "sku": "SHIRT-L", "parent_id": 15, "stock_quantity": 5}


def row(base: dict[str, Any], **changes: Any) -> wire.Row:
    return wire.Row.model_validate(base | changes)


def plain(**changes: Any) -> Listing:
    found = translate_listings.product_of(row(PLAIN, **changes))
    assert found is not None
    return found


def large(parent: dict[str, Any] = ROOF, **changes: Any) -> Listing:
    return translate_listings.variation_of(row(LARGE, **changes), row(parent))


def test_a_plain_listing_is_translated_field_by_field() -> None:
    key = QuantityKey("10")
    assert plain() == Listing(
        listing="10", sku="MUG", title="Mug", barcode="4006381333931", keys=(key,), shown={key: 7}
    )


def test_a_variation_is_a_listing_with_its_own_number() -> None:
    key = QuantityKey("15:18")
    assert large() == Listing(
        listing="15:18", sku="SHIRT-L", title="Shirt - L", barcode="4006381333931", keys=(key,), shown={key: 5}
    )


def test_variations_that_share_their_parents_number_are_listings_of_one_key() -> None:
    parent = ROOF | {"manage_stock": True, "stock_quantity": 12}
    key = QuantityKey("15")
    for number in (18, 19):
        found = large(parent, id=number, manage_stock="parent", stock_quantity=12)
        assert (found.listing, found.keys, found.shown, found.tracked) == (f"15:{number}", (key,), {key: 12}, True)


def test_untracked_unknown_and_0_are_three_things() -> None:
    key = QuantityKey("10")
    assert plain(stock_quantity=0, stock_status="outofstock").shown == {key: 0}
    uncounted = plain(manage_stock=False, stock_quantity=None)
    assert (uncounted.shown, uncounted.tracked, uncounted.keys) == ({}, False, (key,))
    assert plain(stock_quantity=-42, stock_status="outofstock").shown == {key: -42}, "an oversold one stays below 0"


@pytest.mark.parametrize(
    ("backorders", "counted", "below"), [("no", True, False), ("notify", True, True), ("yes", True, True)]
)
def test_backorders_sell_below_zero(backorders: str, counted: bool, below: bool) -> None:
    assert plain(backorders=backorders, manage_stock=counted).sells_below_zero == below
    assert not plain(backorders=backorders, manage_stock=False, stock_quantity=None).sells_below_zero


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"stock_quantity": 0, "stock_status": "outofstock"}, ListingState.ACTIVE, ""),
        ({"stock_quantity": -2, "stock_status": "onbackorder", "backorders": "notify"}, ListingState.ACTIVE, ""),
        ({"catalog_visibility": "hidden"}, ListingState.ACTIVE, ""),
        ({"status": "draft"}, ListingState.INACTIVE, "status is draft"),
        ({"status": "pending"}, ListingState.INACTIVE, "status is pending"),
        ({"status": "private"}, ListingState.INACTIVE, "status is private"),
        ({"status": "future"}, ListingState.INACTIVE, "status is future"),
        ({"status": "trash"}, ListingState.ENDED, "status is trash"),
        ({"purchasable": False}, ListingState.INACTIVE, "no price"),
        ({"stock_quantity": 2, "stock_status": "outofstock"}, ListingState.INACTIVE, "threshold"),
        (
            {"manage_stock": False, "stock_quantity": None, "stock_status": "outofstock"},
            ListingState.INACTIVE,
            "nobody",
        ),
    ],
)
def test_a_listing_that_cannot_be_bought_says_why(changes: dict[str, Any], state: ListingState, reason: str) -> None:
    found = plain(**changes)
    assert found.state is state
    assert reason in "; ".join(found.reasons)
    assert bool(found.reasons) == bool(reason)


@pytest.mark.parametrize(("status", "state"), [("draft", ListingState.INACTIVE), ("trash", ListingState.ENDED)])
def test_a_variation_cannot_be_bought_while_its_parent_is_not_published(status: str, state: ListingState) -> None:
    found = large(ROOF | {"status": status})
    assert (found.state, found.reasons) == (state, (f"parent's status is {status}",))


def test_a_variation_that_shows_its_parents_sku_has_none() -> None:
    assert large(sku="SHIRT").sku is None
    assert large(sku="").sku is None
    assert plain(sku="", global_unique_id="").sku is None
    assert plain(sku="", global_unique_id="").barcode is None


def test_the_title_of_a_variation_of_an_older_shop_is_made_of_its_options() -> None:
    assert (
        large(name="", attributes=[{"id": 0, "name": "Size", "option": "XL"}, {"option": None}, 7]).title
        == "Shirt - XL"
    )
    assert large(name="", attributes=[]).title == "Shirt"


@pytest.mark.parametrize(
    ("changes", "roof"),
    [
        ({}, False),
        ({"variations": [16]}, True),
        ({"type": "variable"}, True),
        ({"type": "variable-subscription"}, True),
    ],
)
def test_a_roof_over_variations_is_not_bought_itself(changes: dict[str, Any], roof: bool) -> None:
    assert translate_listings.varies(row(PLAIN, **changes)) == roof
    assert (translate_listings.product_of(row(PLAIN, **changes)) is None) == roof


@pytest.mark.parametrize("kind", ["grouped", "external", "variation"])
def test_what_is_sold_elsewhere_is_no_listing(kind: str) -> None:
    assert translate_listings.product_of(row(PLAIN, type=kind)) is None


def test_a_type_of_a_plugin_is_a_listing() -> None:
    assert plain(type="subscription").listing == "10"


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("15", (15, 0)),
        ("15:18", (15, 18)),
        ("", None),
        ("0", None),
        ("015", None),
        ("15:", None),
        ("15:0", None),
        ("15/18", None),
        ("1 5", None),
        ("-15", None),
        ("\u0661\u0665", None),
        ("no-such-key", None),
        ("9" * 40, None),
    ],
)
def test_a_name_means_an_item_and_perhaps_a_variation(name: str, ids: tuple[int, int] | None) -> None:
    assert translate_listings.ids_of(name) == ids
    if ids is not None:
        assert translate_listings.name_of(*ids) == name


def test_the_shop_has_no_locations() -> None:
    assert translate_listings.ids_of_key(QuantityKey("15", "north")) is None
