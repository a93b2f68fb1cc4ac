"""Listings and numbers: what eBay's items, offers and rows of the Trading API mean."""

import pytest

from channelsync.sdk.values import ListingState, QuantityKey
from channelsync_ebay import translate_listings, wire
from channelsync_ebay.legacy import listing_of as legacy_listing_of
from channelsync_ebay.trading import LegacyRow
from channelsync_ebay.translate_listings import Legacy

HELD = {"listingId": "1", "listingStatus": "ACTIVE", "listingOnHold": True}
ACTIVE, INACTIVE, ENDED = ListingState.ACTIVE, ListingState.INACTIVE, ListingState.ENDED


def parse(item, *offers):
    return wire.Item.model_validate(item), [wire.Offer.model_validate(one) for one in offers]


@pytest.mark.parametrize(
    ("offers", "state", "reason"),
    [
        ([{}], ACTIVE, ""),
        ([{"listing": None}], ACTIVE, ""),
        ([{"status": "UNPUBLISHED", "listing": None}], INACTIVE, "UNPUBLISHED"),
        ([], INACTIVE, "no offer"),
        ([{"listing": {"listingId": "1", "listingStatus": "OUT_OF_STOCK"}}], INACTIVE, "OUT_OF_STOCK"),
        ([{"listing": {"listingId": "1", "listingStatus": "INACTIVE"}}], INACTIVE, "INACTIVE"),
        ([{"listing": {"listingId": "1", "listingStatus": "NOT_LISTED"}}], INACTIVE, "NOT_LISTED"),
        ([{"listing": HELD}], INACTIVE, "on hold"),
        ([{"listing": {"listingId": "1", "listingStatus": "ENDED"}}], ENDED, "ENDED"),
        ([{"listing": {"listingId": "1", "listingStatus": "EBAY_ENDED"}}], ENDED, "EBAY_ENDED"),
        ([{"status": "UNPUBLISHED", "listing": {"listingId": "1", "listingStatus": "ENDED"}}], ENDED, "ENDED"),
        ([{"listing": {"listingId": "1", "listingStatus": "ENDED"}}, {"offerId": "2"}], ACTIVE, ""),
        ([{"format": "AUCTION"}], INACTIVE, "no offer"),
    ],
)
def test_a_state_of_a_listing_means(words, offers, state, reason) -> None:
    listing = translate_listings.listing_of(*parse(words.item(), *(words.offer() | one for one in offers)))
    assert listing.state is state
    assert reason in " ".join(listing.reasons)
    assert bool(listing.reasons) is (state is not ACTIVE)


def test_a_listing_is_called_by_its_sku_and_shows_one_number(words) -> None:
    listing = translate_listings.listing_of(*parse(words.item(), words.offer()))
    key = QuantityKey("MUG-BLUE")
    assert (listing.listing, listing.sku, listing.keys, listing.shown) == ("MUG-BLUE", "MUG-BLUE", (key,), {key: 5})
    assert (listing.title, listing.barcode, listing.tracked) == ("MUG-BLUE, the mug", "4006381333931", True)


@pytest.mark.parametrize(
    ("offers", "pages"),
    [
        ([{"listing": {"listingId": "12", "listingStatus": "ACTIVE"}}], ["12"]),
        ([{"listing": {"listingId": "12", "listingStatus": "OUT_OF_STOCK"}}], ["12"]),
        ([{"listing": {"listingId": "11", "listingStatus": "ENDED"}}, {"listing": {"listingId": "12"}}], ["12"]),
        ([{"listing": {"listingId": "11"}, "format": "AUCTION"}, {"listing": {"listingId": "12"}}], ["12"]),
        ([{"listing": {"listingId": "13"}}, {"listing": {"listingId": "12"}}], ["12", "13"]),
        ([{"listing": {"listingId": "12"}}, {"listing": {"listingId": "13"}}], ["12", "13"]),
        ([{"listing": {"listingId": "12"}}, {"listing": {"listingId": "12"}}], ["12"]),
        ([{"listing": None}], [""]),
        ([{"status": "UNPUBLISHED", "listing": {"listingId": "12"}}], [""]),
        ([], [""]),
    ],
)
def test_its_revisions_are_counted_by_each_listing_that_it_is_live_on(words, offers, pages) -> None:
    listing = translate_listings.listing_of(*parse(words.item(), *(words.offer() | one for one in offers)))
    assert [listing.page, *listing.further_pages] == pages


@pytest.mark.parametrize("code", ["Does not apply", "Nicht zutreffend", ""])
def test_what_is_no_barcode_is_none(words, code: str) -> None:
    item = words.item(product={"title": "A mug", "ean": [code]})
    assert translate_listings.listing_of(*parse(item)).barcode is None


@pytest.mark.parametrize(
    ("units", "offers", "sent", "expected"),
    [
        (5, [5], None, 5),
        (5, [5], 5, 5),
        (5, [3], None, 3),
        (5, [3], 5, 3),
        (5, [3], 3, 3),
        (5, [None], None, 5),
        (5, [], None, 5),
        (9, [3, 7], None, 7),
        (3, [5], None, 5),
        (3, [5], 3, 5),
        (3, [5], 5, 3),
        (3, [5], 4, 5),
        (0, [5], None, 5),
        (0, [5], 5, 0),
        (None, [5], None, 5),
        (None, [5], 5, 0),
    ],
)
def test_where_item_and_offer_differ_the_number_that_is_not_ours_is_told(words, units, offers, sent, expected) -> None:
    item, made = parse(words.item(units=units), *(words.offer(str(place), one) for place, one in enumerate(offers)))
    assert translate_listings.number_of(item, made, sent) == expected
    assert translate_listings.listing_of(item, made, sent).shown == {QuantityKey("MUG-BLUE"): expected}


@pytest.mark.parametrize(("units", "expected"), [(0, 0), (None, 0), (1, 5)])
def test_nothing_is_for_sale_where_the_listing_says_so_too(words, units, expected) -> None:
    out = words.offer(units=5, listing={"listingId": "1", "listingStatus": "OUT_OF_STOCK"})
    item, made = parse(words.item(units=units), out)
    assert translate_listings.number_of(item, made) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "AUCTION"},
        {"status": "UNPUBLISHED"},
        {"listing": {"listingId": "1", "listingStatus": "ENDED"}},
        {"listing": {"listingId": "1", "listingStatus": "NOT_LISTED"}},
    ],
)
def test_an_offer_that_is_not_live_does_not_count(words, changes) -> None:
    item, offers = parse(words.item(units=5), words.offer(units=1, **changes))
    assert translate_listings.sold_here(offers) == []
    assert translate_listings.number_of(item, offers) == 5


@pytest.mark.parametrize(
    ("row", "state", "units"),
    [
        (LegacyRow(Legacy("110012345678"), "MUG", "A mug", 4), ACTIVE, 4),
        (LegacyRow(Legacy("110012345678", "MUG-S"), "MUG-S", "A mug", 0), INACTIVE, 0),
        (LegacyRow(Legacy("110012345678"), None, "A mug", 4, "Completed"), ENDED, 4),
        (LegacyRow(Legacy("110012345678"), None, "A mug", 0, "Ended"), ENDED, 0),
    ],
)
def test_a_row_of_the_trading_api_means(row, state, units) -> None:
    listing = legacy_listing_of(row)
    assert (listing.state, listing.listing, listing.sku) == (state, row.name.name, row.sku)
    assert (listing.shown, listing.page) == ({QuantityKey(row.name.name): units}, "110012345678")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("item:110012345678", Legacy("110012345678")),
        ("item:110012345678:MUG:S", Legacy("110012345678", "MUG:S")),
        ("item:12", None),
        ("item:", None),
        ("item:11001234567x", None),
        ("MUG-BLUE", None),
    ],
)
def test_names_of_listings_that_are_not_migrated(name: str, expected) -> None:
    assert translate_listings.legacy_of(name) == expected
    if expected is not None:
        assert expected.name == name
