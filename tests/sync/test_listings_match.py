"""Matching proposes what is certain, shows what is a guess, and never touches blanks and duplicates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.store import items, listings
from channelsync.store.items import Item, item_id
from channelsync.store.listings import StoredListing
from channelsync.sync import listings_apply
from channelsync.sync.listings_apply import apply_proposals, load_catalog
from channelsync.sync.listings_match import Catalog, Proposal, barcode_form, in_store, packs_of, propose, sku_form
from channelsync.sync.take_orders import poll_orders

AT = datetime(2026, 3, 1, tzinfo=UTC)
GTIN, OTHER_GTIN = "4006381333931", "5901234123457"


def item(sku: str, *, barcode: str | None = None, merged_into: str | None = None) -> Item:
    return Item(id=item_id(sku), sku=sku, barcode=barcode, merged_into=merged_into and item_id(merged_into))


_NUMBERS = iter(range(1, 10**6))


def listing(sku: str | None, **fields: Any) -> StoredListing:
    """A listing of the channel "shop" on a number of its own, which is not mapped."""
    number = next(_NUMBERS)
    given: dict[str, Any] = {
        "channel": "shop",
        "listing": f"L{number}",
        "sku": sku,
        "title": "",
        "barcode": None,
        "state": "active",
        "reasons": (),
        "parts": (),
        "tracked": True,
        "sells_below_zero": False,
        "fulfilled_by_channel": False,
        "item": None,
        "multiple": 1,
        "mapped_by": "",
        "mapped_at": None,
        "seen_at": AT,
        "gone_at": None,
        "keys": (number,),
        **fields,
    }
    return StoredListing(**given)


def proposed(
    *listings: StoredListing,
    known: tuple[Item, ...] = (item("MUG"),),
    aliases: dict[str, str] | None = None,
    create: bool = False,
) -> list[Proposal]:
    return propose(Catalog(items=known, aliases=aliases or {}, listings=listings, create=create))


def only(*listings: StoredListing, **known: Any) -> tuple[str, str, int]:
    """Confidence, SKU and multiple of the one proposal."""
    (one,) = proposed(*listings, **known)
    return one.confidence, one.sku, one.multiple


NONE = ("none", "", 1)


# Certain


def test_the_very_same_sku_is_certain() -> None:
    assert only(listing("MUG")) == ("certain", "MUG", 1)


def test_an_alias_is_certain() -> None:
    assert only(listing("CUP"), aliases={"CUP": item_id("MUG")}) == ("certain", "MUG", 1)


def test_the_sku_of_a_merged_item_stands_for_the_one_it_became() -> None:
    assert only(listing("CUP"), known=(item("MUG"), item("CUP", merged_into="MUG"))) == ("certain", "MUG", 1)


def test_the_barcode_of_one_item_is_certain_when_no_sku_says_otherwise() -> None:
    mugs = (item("MUG", barcode=GTIN),)

    assert only(listing("B-77", barcode=GTIN), known=mugs) == ("certain", "MUG", 1)
    assert only(listing("B-77", barcode=f"0{GTIN}"), known=mugs) == ("certain", "MUG", 1), "the same as GTIN-14"


def test_a_pack_that_was_mapped_elsewhere_is_certain_with_its_multiple() -> None:
    elsewhere = listing("MUG-6", channel="market", item=item_id("MUG"), multiple=6)

    assert only(elsewhere, listing("MUG-6")) == ("certain", "MUG", 6)


def test_a_pack_that_the_channel_itself_describes_is_certain() -> None:
    single = listing("B-1", listing="single", item=item_id("MUG"), multiple=2)

    assert only(single, listing("B-6", parts=(("single", 3),))) == ("certain", "MUG", 6)


def test_a_listing_on_the_number_of_a_mapped_one_means_the_same() -> None:
    mapped = listing("B-1", item=item_id("MUG"), multiple=2, keys=(7,))

    assert only(mapped, listing(None, keys=(7,))) == ("certain", "MUG", 2)


# Never


@pytest.mark.parametrize("sku", [None, "", "   "])
def test_a_blank_sku_is_never_certain(sku: str | None) -> None:
    assert only(listing(sku)) == NONE
    assert only(listing(sku, barcode=GTIN), known=(item("MUG", barcode=GTIN),)) == ("guess", "MUG", 1)


def test_two_listings_of_one_sku_in_a_channel_are_matched_by_nobody() -> None:
    found = proposed(listing("MUG"), listing("MUG"), listing("MUG", channel="market"))

    assert [(one.channel, one.confidence) for one in found] == [
        ("market", "certain"),
        ("shop", "none"),
        ("shop", "none"),
    ]


def test_a_duplicate_stays_one_when_its_twin_is_mapped_and_goes_with_it_when_it_is_gone() -> None:
    assert only(listing("MUG", item=item_id("MUG")), listing("MUG")) == NONE
    assert only(listing("MUG", item=item_id("MUG"), gone_at=AT), listing("MUG")) == ("certain", "MUG", 1)


def test_listings_of_one_sku_on_one_number_are_no_duplicates() -> None:
    found = proposed(listing("MUG", keys=(7,)), listing("MUG", keys=(7,)))

    assert [one.confidence for one in found] == ["certain", "certain"]


def test_a_barcode_of_two_items_or_of_two_listings_says_nothing() -> None:
    two_items = (item("MUG", barcode=GTIN), item("CUP", barcode=GTIN))
    assert only(listing("B-1", barcode=GTIN), known=two_items) == NONE

    found = proposed(listing("B-1", barcode=GTIN), listing("B-2", barcode=GTIN), known=(item("MUG", barcode=GTIN),))
    assert [one.confidence for one in found] == ["none", "none"]


def test_a_sku_and_a_barcode_of_different_items_contradict_one_another() -> None:
    known = (item("MUG", barcode=OTHER_GTIN), item("CUP", barcode=GTIN))

    (one,) = proposed(listing("MUG", barcode=GTIN), known=known)

    assert (one.confidence, one.item) == ("none", None)
    assert "its barcode is that of CUP" in one.why


def test_a_sku_that_is_mapped_otherwise_elsewhere_is_not_certain() -> None:
    elsewhere = listing("MUG", channel="market", item=item_id("MUG"), multiple=6)

    (one,) = proposed(elsewhere, listing("MUG"))

    assert one.confidence == "none"
    assert "6 of MUG" in one.why


def test_what_the_channel_ships_from_its_own_units_is_not_ours() -> None:
    assert only(listing("MUG", fulfilled_by_channel=True)) == NONE


def test_listings_on_one_number_that_look_like_different_items_are_matched_by_nobody() -> None:
    known = (item("MUG"), item("CUP"))

    found = proposed(listing("MUG", keys=(7,)), listing("CUP", keys=(7,)), known=known)

    assert [(one.confidence, one.item) for one in found] == [("none", None), ("none", None)]


def test_mapped_and_gone_listings_get_no_proposal() -> None:
    assert proposed(listing("MUG", item=item_id("MUG")), listing("CUP", gone_at=AT)) == []


# Guesses


@pytest.mark.parametrize("sku", ["mug", "MUG ", "M UG", "\uff2d\uff35\uff27"])
def test_other_capitals_blanks_and_unicode_forms_are_guesses(sku: str) -> None:
    assert only(listing(sku)) == ("guess", "MUG", 1)


@pytest.mark.parametrize(
    "sku", ["MUG x6", "MUG X 6", "MUG-x6", "MUGx6", "MUG \u00d7 6", "6x MUG", "6 x MUG", "MUG-6er", "MUG 6pk", "mug x6"]
)
def test_what_reads_like_a_pack_is_a_guess_with_its_multiple(sku: str) -> None:
    assert only(listing(sku)) == ("guess", "MUG", 6)


@pytest.mark.parametrize("sku", ["MUG x1", "MUG-66", "MUG x", "x6", "MUGx0"])
def test_what_does_not_read_like_a_pack_is_none(sku: str) -> None:
    assert only(listing(sku)) == NONE


def test_a_sku_that_ends_like_a_pack_and_is_an_items_own_is_certain() -> None:
    assert only(listing("MUG x6"), known=(item("MUG"), item("MUG x6"))) == ("certain", "MUG x6", 1)


def test_what_looks_like_two_items_is_no_guess() -> None:
    (one,) = proposed(listing("Mug"), known=(item("MUG"), item("mug")))

    assert (one.confidence, one.why) == ("none", "its SKU looks like MUG, mug")


def test_two_listings_that_look_like_one_item_are_no_guesses() -> None:
    assert [one.confidence for one in proposed(listing("mug"), listing("Mug"))] == ["none", "none"]


def test_a_pack_is_no_guess_when_its_barcode_is_another_items() -> None:
    known = (item("MUG"), item("CUP", barcode=GTIN))

    assert only(listing("MUG x6", barcode=GTIN), known=known) == NONE


@pytest.mark.parametrize("fields", [{"title": "Mug, pack of 6"}, {"title": "6-pack mug"}, {"sku": "B x6"}])
def test_the_barcode_of_a_single_on_what_reads_like_a_pack_is_not_trusted(fields: dict[str, Any]) -> None:
    known = (item("MUG", barcode=GTIN),)
    pack = listing(**{"sku": "B-77", "barcode": GTIN, **fields})

    (one,) = proposed(pack, known=known)

    assert (one.confidence, one.item) == ("none", None)
    assert one.why == "its barcode is that of MUG, but it reads like a pack of it"


def test_a_barcode_that_anybody_may_give_out_is_a_guess() -> None:
    own = "2000000000008"
    assert only(listing("B-77", barcode=own), known=(item("MUG", barcode=own),)) == ("guess", "MUG", 1)


def test_the_first_sku_of_a_renamed_item_is_a_guess() -> None:
    renamed = Item(id=item_id("CUP"), sku="CUP-BLUE")

    assert only(listing("CUP"), known=(renamed,)) == ("guess", "CUP-BLUE", 1)


# New items


def test_without_being_asked_no_item_is_made() -> None:
    (one,) = proposed(listing("LAMP"))

    assert (one.confidence, one.why) == ("none", "no item has its SKU")


def test_a_sku_that_no_item_has_may_become_one() -> None:
    (one,) = proposed(listing("LAMP"), create=True)

    assert (one.confidence, one.sku, one.new) == ("certain", "LAMP", True)


@pytest.mark.parametrize(
    "listings",
    [
        (listing("LAMP x6"),),
        (listing("LAMP "),),
        (listing("LAMP\u200b"),),
        (listing("LAMP", parts=(("L1", 1), ("L2", 1))),),
        (listing("LAMP", gone_at=None), listing("lamp", channel="market", item=item_id("MUG"))),
        (listing("LAMP", barcode=GTIN, title="pack of 6"),),
    ],
    ids=["a pack", "a blank", "unseen", "a bundle", "nearly the same elsewhere", "another item's barcode"],
)
def test_no_item_is_made_where_something_speaks_against_it(listings: tuple[StoredListing, ...]) -> None:
    (one,) = proposed(*listings, known=(item("MUG", barcode=GTIN),), create=True)

    assert one.confidence == "none"
    assert not one.new


# The pieces


@pytest.mark.parametrize(
    ("barcode", "form"),
    [
        ("4006381333931", "04006381333931"),
        ("400-6381 333931", "04006381333931"),
        ("036000291452", "00036000291452"),
        ("96385074", "00000096385074"),
        ("14006381333938", "14006381333938"),
        ("4006381333932", ""),
        ("0000000000000", ""),
        ("does not apply", ""),
        ("123", ""),
        ("", ""),
        (None, ""),
        ("\u0664\u0660\u0660\u0666\u0663\u0668\u0661\u0663\u0663\u0663\u0669\u0663\u0661", ""),
    ],
)
def test_a_barcode_counts_only_when_it_is_one(barcode: str | None, form: str) -> None:
    assert barcode_form(barcode) == form


def test_barcodes_that_companies_give_out_for_themselves_are_known() -> None:
    own = ["2000000000008", "0200000000004", "0400000000008", "20000004"]
    assert [in_store(barcode_form(one)) for one in own] == [True] * 4
    assert not in_store(barcode_form(GTIN))


def test_forms_and_packs() -> None:
    assert sku_form(" Mug\u00a0Blue ") == "mugblue"
    assert packs_of("MUG x12") == [("MUG", 12)]
    assert packs_of("MUG") == []


# On a real database


async def test_applying_maps_some_at_a_time_and_makes_items_with_title_and_barcode(
    seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings_apply, "MAPPED_AT_ONCE", 2)
    for sku in ("MUG", "CUP", "LAMP"):
        await seller.lists(sku, 5)
    await seller.pull()
    shop = seller.shop()
    shop.buy((shop.items["item-1"], 2))
    await poll_orders(seller.agent, seller.channel())
    catalog = await seller.database.query(lambda c: load_catalog(c, create=True))

    done = await apply_proposals(seller.agent, propose(catalog))

    assert (len(done.mapped), sorted(done.items), done.booked) == (3, ["CUP", "LAMP", "MUG"], 1)
    assert (await seller.position("MUG")).reserved == 2
    assert await seller.kinds() == []
    assert [(one.channel, one.skus) for one in done.left_alone] == [("shop", ("CUP", "LAMP", "MUG"))]
    stored = await seller.database.query(listings.get_listings)
    assert [one.item for one in stored] == [item_id(sku) for sku in ("MUG", "CUP", "LAMP")]
    known = await seller.database.query(items.all_items)
    assert {one.sku: one.title for one in known} == {"CUP": "CUP", "LAMP": "LAMP", "MUG": "MUG"}
