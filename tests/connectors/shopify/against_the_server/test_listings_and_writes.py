"""Listings of every kind that Shopify knows, and writes that meet others'."""

import pytest

from channelsync.lab.marketplace_values import NumberKey
from channelsync.sdk.values import QuantityKey, QuantityUpdate


async def test_an_item_at_many_locations_has_a_key_for_each(both) -> None:
    catalogue = both.site.shop.catalogue
    places = {catalogue.primary: 1, **{catalogue.add_location(f"Place {n}"): n for n in range(2, 14)}}
    offer = catalogue.offer("MUG", places)
    keys = [QuantityKey(offer.keys[0].key, place) for place in places]
    async with both.open() as channel:
        (listing,) = await channel.listings_by_id([offer.listing])
        assert listing.shown == dict(zip(keys, places.values(), strict=True))
        assert [one.value for one in await channel.read(keys)] == list(places.values())
        results = await channel.push(
            [QuantityUpdate(key=key, value=50, listing=offer.listing, expected=n, idempotency=f"{n}")
             for key, n in zip(keys, places.values(), strict=True)]
        )  # fmt: skip
    assert {one.state for one in results} == {"accepted"}
    assert {both.site.marketplace.number(NumberKey(key.key, key.location)) for key in keys} == {50}


async def test_a_variant_that_is_not_tracked_has_no_number_and_a_bundles_parent_no_key(both) -> None:
    catalogue = both.site.shop.catalogue
    loose = catalogue.offer("LOOSE", 5, tracked=False)
    part = catalogue.offer("PART", 12)
    bundle = catalogue.offer("BUNDLE", parts=[(part.listing, 3)])
    async with both.open() as channel:
        found = {one.sku: one for one in await channel.listings_by_id([loose.listing, part.listing, bundle.listing])}
        (read,) = await channel.read([QuantityKey(loose.keys[0].key, loose.keys[0].location)])
    assert (found["LOOSE"].tracked, found["LOOSE"].shown, read.value) == (False, {}, None)
    assert (found["BUNDLE"].keys, found["BUNDLE"].parts) == ((), ((part.listing, 3),))


@pytest.mark.parametrize("how", ["draft", "archived", "unpublished"])
async def test_a_listing_that_cannot_be_bought_says_why(both, how: str) -> None:
    catalogue = both.site.shop.catalogue
    offer = catalogue.offer("MUG", 5)
    product = catalogue.product_of(offer.listing)
    if how == "unpublished":
        for one in catalogue.publications:
            catalogue.publish(product, one.number, on=False)
    else:
        catalogue.set_status(product, "DRAFT" if how == "draft" else "ARCHIVED")
    async with both.open() as channel:
        (listing,) = await channel.listings_by_id([offer.listing])
    assert listing.state == ("ended" if how == "archived" else "inactive")
    assert any(how.upper() in reason or "published on no sales channel" in reason for reason in listing.reasons)


# Writing


async def test_one_stale_row_of_many_spoils_no_other(both) -> None:
    offers = [both.site.shop.catalogue.offer(f"MUG-{number}", 10) for number in range(30)]
    stale = {3, 17, 29}
    for place in stale:
        both.site.marketplace.edit_number(offers[place].keys[0], 9)
    updates = [
        QuantityUpdate(
            key=QuantityKey(one.keys[0].key, one.keys[0].location),
            value=5,
            listing=one.listing,
            expected=10,
            idempotency="once",
        )
        for one in offers
    ]
    async with both.open() as channel:
        results = await channel.push(updates)
    assert [one.state for one in results] == [
        "conflict" if place in stale else "accepted" for place in range(len(offers))
    ]
    assert [both.site.marketplace.number(one.keys[0]) for one in offers] == [
        9 if place in stale else 5 for place in range(len(offers))
    ]


async def test_a_write_that_is_sent_again_changes_nothing_twice(both) -> None:
    """Between the two a buyer has bought: without the key the second would put the unit back."""
    offer = both.site.shop.catalogue.offer("MUG", 10)
    key = QuantityKey(offer.keys[0].key, offer.keys[0].location)
    update = QuantityUpdate(key=key, value=7, listing=offer.listing, idempotency="once")
    async with both.open() as channel:
        (first,) = await channel.push([update])
        both.site.marketplace.buy(offer.listing, 1)
        (second,) = await channel.push([update])
    assert (first.state, second.state) == ("accepted", "accepted")
    assert both.site.marketplace.number(offer.keys[0]) == 6
