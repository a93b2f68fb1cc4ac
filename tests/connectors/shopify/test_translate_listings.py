"""Every kind of listing and number, as Shopify writes them."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.sdk.values import ListingState, QuantityKey
from channelsync_shopify import translate, translate_listings, wire_listings


def listing(row: dict[str, Any]) -> Any:
    return translate_listings.listing_of(wire_listings.Variant.model_validate(row))


def test_a_listing_has_a_key_for_each_location_of_the_sellers_own(words: SimpleNamespace) -> None:
    found = listing(words.variant(levels=[words.level(7, 5), words.level(8, -2), words.level(9, 4, theirs=True)]))
    here, there = QuantityKey("1101", "7"), QuantityKey("1101", "8")
    assert (found.listing, found.sku, found.barcode) == ("101", "SKU-101", "4006381333931")
    assert found.keys == (here, there)
    assert found.shown == {here: 5, there: -2}
    assert found.held == {here: 0, there: 0}
    assert (found.state, found.reasons, found.tracked) == (ListingState.ACTIVE, (), True)
    assert not found.fulfilled_by_channel
    assert not found.sells_below_zero


def test_what_was_taken_off_for_a_cause_is_told(words: SimpleNamespace) -> None:
    found = listing(words.variant(levels=[words.level(7, 5, reserved=2, damaged=1), words.level(9, 0, theirs=True)]))
    assert found.held == {QuantityKey("1101", "7"): 3}
    assert listing(words.variant(tracked=False)).held == {}


def test_an_untracked_variant_has_keys_and_no_number(words: SimpleNamespace) -> None:
    found = listing(words.variant(tracked=False))
    assert (found.tracked, found.keys, found.shown) == (False, (QuantityKey("1101", "7"),), {})
    assert found.state is ListingState.ACTIVE


def test_a_variant_that_sells_when_out_of_stock_says_so(words: SimpleNamespace) -> None:
    assert listing(words.variant(inventoryPolicy="CONTINUE")).sells_below_zero


def test_a_variant_that_only_others_keep_is_not_ours(words: SimpleNamespace) -> None:
    found = listing(words.variant(levels=[words.level(9, 4, theirs=True)]))
    assert (found.fulfilled_by_channel, found.keys) == (True, ())


def test_a_bundle_names_its_parts_and_has_no_number_of_its_own(words: SimpleNamespace) -> None:
    parts = [{"id": "x", "quantity": n, "productVariant": {"id": words.gid("ProductVariant", n)}} for n in (1, 2)]
    found = listing(words.variant(requiresComponents=True, productVariantComponents=words.page(*parts)))
    assert (found.parts, found.keys, found.shown) == ((("1", 1), ("2", 2)), (), {})
    assert (found.tracked, found.fulfilled_by_channel, found.state) == (True, False, ListingState.ACTIVE)


def product(status: str = "ACTIVE", published: int | None = 2, healthy: int | None = 2) -> dict[str, Any]:
    def count(number: int | None) -> dict[str, int] | None:
        return None if number is None else {"count": number}

    return {
        "id": "gid://shopify/Product/1",
        "status": status,
        "resourcePublicationsCount": count(published),
        "availablePublicationsCount": count(healthy),
    }


@pytest.mark.parametrize(
    ("more", "state", "reason"),
    [
        ({"product": product("DRAFT")}, ListingState.INACTIVE, "DRAFT"),
        ({"product": product("ARCHIVED")}, ListingState.ENDED, "ARCHIVED"),
        ({"product": product("UNLISTED")}, ListingState.ACTIVE, ""),
        ({"product": product(published=0, healthy=0)}, ListingState.INACTIVE, "no sales channel"),
        ({"product": product(published=2, healthy=0)}, ListingState.INACTIVE, "report a problem"),
        ({"product": product(published=2, healthy=1)}, ListingState.ACTIVE, ""),
        ({"product": product(published=None, healthy=None)}, ListingState.ACTIVE, ""),
        ({"levels": []}, ListingState.INACTIVE, "no location"),
        ({"levels": [], "tracked": False}, ListingState.ACTIVE, ""),
        ({"availableForSale": False}, ListingState.INACTIVE, "not available for sale"),
    ],
)
def test_why_a_listing_cannot_be_bought(
    words: SimpleNamespace, more: dict[str, Any], state: ListingState, reason: str
) -> None:
    found = listing(words.variant(**more))
    assert found.state is state
    assert (reason in " ".join(found.reasons)) if reason else (found.reasons == ())


def test_a_listing_that_is_sold_out_is_still_active(words: SimpleNamespace) -> None:
    found = listing(words.variant(levels=[words.level(7, 0)], availableForSale=False))
    assert (found.state, found.reasons) == (ListingState.ACTIVE, ())


# Names


@pytest.mark.parametrize("name", ["", "no-such-key", "-1", "1.0", "gid://shopify/Order/1", "²", "1" * 20])
def test_what_is_no_number_names_nothing_at_shopify(name: str) -> None:
    assert translate.gid_of("Order", name) is None


@given(st.integers(0, 10**18))
def test_a_global_id_and_its_number_are_the_same_name(number: int) -> None:
    gid = translate.gid_of("Order", str(number))
    assert gid is not None
    assert translate.number_of(gid) == str(number)
    assert translate.number_of(f"{gid}?inventory_item_id=1") == str(number)
