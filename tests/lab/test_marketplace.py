"""A marketplace sells from its own numbers, and its log tells what truly happened."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from channelsync.lab.marketplace import Marketplace, Wanted
from channelsync.lab.marketplace_referee import judged
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_values import ENDED, NumberKey, Offer, Order, State, Status, units

MUG = NumberKey("K-mug")
Opener = Callable[..., Marketplace]


def mugs(open_marketplace: Opener, rules: MarketplaceRules = PRESETS["plain"], number: int = 10) -> Marketplace:
    market = open_marketplace(rules)
    market.open_listing(Offer(listing="mug", sku="MUG"), number)
    return market


def ordered(market: Marketplace, wanted: int, **how: bool) -> Order:
    order = market.buy("mug", wanted, **how).order
    assert order is not None
    return order


# Buying


def test_a_sale_lowers_the_number_by_itself(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    sale = market.buy("mug", 3)
    assert (sale.units, sale.missed, market.number(MUG)) == (3, 0, 7)


def test_a_buyer_who_finds_too_few_takes_those_or_none_and_is_logged(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace, number=2)
    assert market.buy("mug", 3, partial=False).order is None
    assert market.buy("mug", 3).units == 2
    assert market.buy("mug", 1).order is None
    assert [(entry.what, entry.units) for entry in market.log] == [
        ("turned away", 3),
        ("sold", 2),
        ("turned away", 1),
        ("turned away", 1),
    ]


def test_a_basket_gets_of_each_line_what_the_lines_before_it_left(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    market.open_listing(Offer(listing="mug-de", sku="MUG", keys=(MUG,)))
    sale = market.place([Wanted("mug", 8, "a"), Wanted("mug-de", 8, "b")], order="O-1")
    assert sale.order is not None
    assert [(line.id, line.ordered) for line in sale.order.lines] == [("a", 8), ("b", 2)]
    assert (sale.missed, market.number(MUG)) == (6, 0)


def test_an_order_of_nothing_or_of_an_id_that_is_taken_is_an_error_of_the_lab(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    market.place([Wanted("mug", 1)], order="O-1")
    for basket, order in (([], ""), ([Wanted("mug", 0)], ""), ([Wanted("mug", 1)], "O-1")):
        with pytest.raises(ValueError, match="there already"):
            market.place(basket, order=order)
    assert market.number(MUG) == 9


def test_an_untracked_listing_sells_without_limit_and_moves_no_number(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace, number=1)
    market.set_policy("mug", tracked=False)
    assert market.can_buy("mug") is None
    assert market.buy("mug", 50).units == 50
    assert market.number(MUG) == 1
    assert market.read([MUG]) == [None]


def test_a_listing_that_the_channel_fulfils_takes_none_of_our_units(open_marketplace: Opener) -> None:
    market = open_marketplace(PRESETS["plain"])
    market.open_listing(Offer(listing="theirs", sku="MUG", own=False), 0)
    assert market.buy("theirs", 5).units == 5
    assert judged([market.log], {"MUG": 3}).oversold_units == 0


def test_a_listing_that_was_switched_off_is_not_sold_until_it_is_switched_on(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    market.switch("mug", on=False)
    assert market.buy("mug", 1).order is None
    market.switch("mug", on=True)
    assert market.buy("mug", 1).units == 1


def test_listings_of_one_key_sell_from_one_number(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    market.open_listing(Offer(listing="mug-de", sku="MUG", site="de", keys=(MUG,)), 99)
    market.buy("mug-de", 4)
    assert market.can_buy("mug") == 6


# Locations, packs and bundles


def test_an_order_that_no_location_can_serve_alone_is_split_into_lines(open_marketplace: Opener) -> None:
    market = open_marketplace(PRESETS["assigns locations"])
    north, south = NumberKey("K", "north"), NumberKey("K", "south")
    market.open_listing(Offer(listing="mug", sku="MUG", keys=(north, south)), {north: 2, south: 3})
    one = market.buy("mug", 3).order
    two = market.buy("mug", 2).order
    assert one is not None
    assert two is not None
    assert [(line.location, line.ordered) for line in (*one.lines, *two.lines)] == [("south", 3), ("north", 2)]
    market.edit_number(north, 1)
    market.edit_number(south, 2)
    split = market.place([Wanted("mug", 4, "a")]).order
    assert split is not None
    assert [(line.id, line.location, line.ordered) for line in split.lines] == [("a", "south", 2), ("a.2", "north", 1)]


def bundle(open_marketplace: Opener, preset: str) -> Marketplace:
    """A set of 2 mugs and 1 pot; 10 mugs, 3 pots, and 4 sets of its own."""
    market = mugs(open_marketplace, PRESETS[preset])
    market.open_listing(Offer(listing="pot", sku="POT"), 3)
    market.open_listing(Offer(listing="set", sku="SET", parts=(("mug", 2), ("pot", 1))), 4)
    return market


def test_a_bundle_moves_its_own_number_or_its_components_or_both(open_marketplace: Opener) -> None:
    after = {}
    for preset in ("plain", "bundles move components", "bundles move both"):
        market = bundle(open_marketplace, preset)
        assert market.buy("set", 9).units == (4 if preset == "plain" else 3)
        after[preset] = {key.key: market.number(key) for key in market.quantity_keys()}
    assert after == {
        "plain": {"K-mug": 10, "K-pot": 3, "K-set": 0},
        "bundles move components": {"K-mug": 4, "K-pot": 0},
        "bundles move both": {"K-mug": 4, "K-pot": 0, "K-set": 1},
    }


def test_the_log_tells_what_a_bundle_takes_whatever_its_numbers_do(open_marketplace: Opener) -> None:
    market = bundle(open_marketplace, "plain")
    market.buy("set", 4)
    assert judged([market.log], {"MUG": 10, "POT": 3}).oversold == {"POT": 1}


def test_a_bundle_of_parts_that_are_not_listed_is_refused(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    with pytest.raises(ValueError, match=r"\['pot'\] of set are not listed"):
        market.open_listing(Offer(listing="set", sku="SET", parts=(("mug", 2), ("pot", 1))))


# What happens to orders


def test_every_change_of_an_order_has_a_later_version_and_no_two_orders_share_one(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    one, two = ordered(market, 2), ordered(market, 2)
    seen = [one.updated_at, two.updated_at]
    seen.append(market.ship(one.id, {one.lines[0].id: 1}).updated_at)
    seen.append(market.cancel(two.id).updated_at)
    seen.append(market.ship(one.id).updated_at)
    assert seen == sorted(set(seen))


def test_a_change_that_changes_nothing_makes_no_version(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    order = ordered(market, 2)
    assert market.pay(order.id) is order
    assert market.edit(order.id, order.lines[0].id, 2) is order
    shipped = market.ship(order.id)
    assert market.ship(order.id) is shipped
    assert market.cancel(order.id) is shipped


def test_an_order_is_done_when_all_is_shipped_and_cancelled_when_all_is_cancelled(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    order = ordered(market, 3)
    line = order.lines[0].id
    assert market.ship(order.id, {line: 1}).status is Status.OPEN
    done = market.cancel(order.id, {line: 9})
    assert (done.status, units(done.lines[0].cancelled), market.number(MUG)) == (Status.DONE, 2, 9)
    other = ordered(market, 3)
    gone = market.cancel(other.id)
    assert (gone.status, gone.cancelled_at is not None, gone.lines[0].open) == (Status.CANCELLED, True, 0)


def test_a_cancelled_order_cannot_be_shipped_or_edited_but_what_was_shipped_comes_back(
    open_marketplace: Opener,
) -> None:
    market = mugs(open_marketplace, PRESETS["gives back on restock"])
    order = ordered(market, 3)
    line = order.lines[0].id
    market.ship(order.id, {line: 1})
    gone = market.cancel(order.id)
    assert market.ship(order.id) is gone
    assert market.edit(order.id, line, 5) is gone
    assert market.number(MUG) == 9
    assert market.bring_back(order.id, line, 5).lines[0].away == 0
    assert market.number(MUG) == 10


def test_an_edit_up_takes_what_there_is_and_an_edit_down_never_goes_below_what_happened(
    open_marketplace: Opener,
) -> None:
    market = mugs(open_marketplace, number=5)
    order = ordered(market, 3)
    line = order.lines[0].id
    assert market.edit(order.id, line, 9).lines[0].ordered == 5
    assert market.log[-1].what == "turned away"
    market.ship(order.id, {line: 2})
    assert market.edit(order.id, line, 0).lines[0].ordered == 2
    assert market.number(MUG) == 3


def test_a_shipment_taken_back_is_open_again(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    order = ordered(market, 3)
    line = order.lines[0].id
    market.ship(order.id, {line: 1})
    market.ship(order.id)
    back = market.take_back_shipment(order.id, line, 2)
    assert (back.status, back.lines[0].open, units(back.lines[0].shipped)) == (Status.OPEN, 2, 1)


def test_a_shipment_taken_back_from_a_cancelled_order_is_cancelled_too(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    order = ordered(market, 3)
    line = order.lines[0].id
    market.ship(order.id, {line: 1})
    market.cancel(order.id)
    back = market.take_back_shipment(order.id, line, 1)
    assert (back.status, units(back.lines[0].cancelled), market.number(MUG)) == (Status.CANCELLED, 3, 10)
    assert judged([market.log], {"MUG": 10}).left["MUG"] == 10


def test_units_written_off_and_money_refunded_free_no_units(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    order = ordered(market, 3)
    assert market.write_off(order.id, order.lines[0].id, 1).lines[0].open == 2
    refunded = market.refund(order.id, 50)
    assert (str(refunded.refunded), refunded.lines[0].open, market.number(MUG)) == ("14.98", 2, 7)


def test_returned_units_are_for_sale_again_and_quarantined_ones_are_not(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    order = ordered(market, 3)
    line = order.lines[0].id
    market.ship(order.id)
    market.bring_back(order.id, line, 1, quarantined=True)
    after = market.bring_back(order.id, line, 9)
    assert (units(after.lines[0].quarantined), units(after.lines[0].returned)) == (1, 2)
    assert judged([market.log], {"MUG": 10}).left["MUG"] == 9


# Humans


def test_a_listing_created_anew_has_a_new_id_and_key_and_the_old_one_has_ended(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    market.recreate("mug", "mug-2")
    market.recreate("mug-2", "mug-3", new_key=False)
    assert market.offers["mug"].state is State.ENDED
    assert market.buy("mug", 1).order is None
    assert market.buy("mug-3", 1).units == 1
    assert market.read([MUG, NumberKey("K-mug-2")])[0] is None
    assert market.number(NumberKey("K-mug-2")) == 9


def test_a_hold_takes_units_off_without_an_order_and_gives_them_back(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    market.hold(MUG, 4)
    assert (market.can_buy("mug"), market.orders) == (6, {})
    market.hold(MUG, -4)
    assert market.number(MUG) == 10


def test_every_change_of_a_number_is_logged_with_its_cause(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    order = ordered(market, 2)
    market.cancel(order.id)
    market.edit_number(MUG, 5)
    market.hold(MUG, 1)
    assert [(c.why, c.before, c.after) for c in market.changes] == [
        ("opened", 10, 10),
        ("sold", 10, 8),
        ("given back", 8, 10),
        ("human edit", 10, 5),
        ("hold", 5, 4),
    ]


def test_ended_is_said_in_the_reasons(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace, PRESETS["zero ends"], number=1)
    market.buy("mug", 1)
    assert market.offers["mug"].reasons == [ENDED]


def test_time_only_goes_on_when_the_lab_says_so(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace)
    before = market.now()
    for _ in range(100):
        market.buy("mug", 1)
    assert market.now() - before == timedelta(0)
