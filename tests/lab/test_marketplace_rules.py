"""Every rule of a marketplace bites: one with it and one without behave differently."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_numbers import Result, Update
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import NumberKey, Offer, Order, State
from channelsync.sdk.values import Applies

MUG = NumberKey("K-mug")
Opener = Callable[..., Marketplace]
Client = Any  # see conftest
Opened = Callable[..., tuple[Site, Client]]


def mugs(open_marketplace: Opener, preset: str, number: int = 10, **how: Any) -> Marketplace:
    market = open_marketplace(PRESETS[preset], **how)
    market.open_listing(Offer(listing="mug", sku="MUG"), number)
    return market


def ordered(market: Marketplace, wanted: int = 1, **how: bool) -> Order:
    order = market.buy("mug", wanted, **how).order
    assert order is not None
    return order


def push(market: Marketplace, **update: Any) -> Result:
    return market.push([Update(key=MUG, **update)])[0]


def read(market: Marketplace) -> int | None:
    reading = market.read([MUG])[0]
    return None if reading is None else reading.number


# The presets themselves


def test_every_rule_has_a_named_marketplace_that_differs_in_it() -> None:
    plain = PRESETS["plain"]
    same = {
        field.name
        for field in fields(MarketplaceRules)
        if all(getattr(rules, field.name) == getattr(plain, field.name) for rules in PRESETS.values())
    }
    assert not same


def test_all_presets_differ() -> None:
    assert len({repr(rules) for rules in PRESETS.values()}) == len(PRESETS)


def test_rules_that_contradict_one_another_are_refused() -> None:
    with pytest.raises(ValueError, match="set applies"):
        MarketplaceRules(apply_delay=(1.0, 2.0))
    with pytest.raises(ValueError, match="multiple of rounds_to"):
        MarketplaceRules(cap=7, rounds_to=5)
    with pytest.raises(ValueError, match=r"not declared: \['stalenes'\]"):
        MarketplaceRules(understates={"stalenes": 1})


def test_a_marketplace_declares_the_truth_unless_it_understates_it() -> None:
    assert PRESETS["no compare-and-set, stale 3 min"].declares()["staleness_s"] == 180.0
    assert PRESETS["staler than declared"].declares()["staleness_s"] == 10.0
    assert PRESETS["deducts at payment"].declares()["deducts"] == "as told"


# Writes


def test_with_compare_and_set_a_write_fails_when_another_number_is_in_force(open_marketplace: Opener) -> None:
    results = {}
    for preset in ("plain", "compare-and-set"):
        market = mugs(open_marketplace, preset)
        market.buy("mug", 1)
        result = push(market, number=5, expected=10)
        results[preset] = (result.status, result.number, market.number(MUG))
    assert results == {"plain": ("accepted", None, 5), "compare-and-set": ("conflict", 9, 9)}


def test_a_later_applied_write_compares_again_when_it_is_applied(open_marketplace: Opener, clock: Any) -> None:
    market = mugs(open_marketplace, "applies later with compare-and-set")
    assert push(market, number=5, expected=10).status == "accepted"
    market.buy("mug", 1)
    clock.go(60)
    assert market.number(MUG) == 9
    assert market.changes[-1].why == "dropped write"


def test_a_repeated_idempotency_key_changes_nothing_for_a_day(open_marketplace: Opener, clock: Any) -> None:
    numbers = {}
    for preset in ("plain", "idempotency keys"):
        market = mugs(open_marketplace, preset)
        push(market, number=5, idempotency="one")
        market.buy("mug", 2)
        assert push(market, number=5, idempotency="one").status == "accepted"
        numbers[preset] = market.number(MUG)
    assert numbers == {"plain": 5, "idempotency keys": 3}
    clock.go(86_400)
    push(market, number=5, idempotency="one")
    assert market.number(MUG) == 5


def test_a_refused_write_may_be_repeated_under_its_idempotency_key(open_marketplace: Opener) -> None:
    market = open_marketplace(replace(PRESETS["idempotency keys"], compare_and_set=True))
    market.open_listing(Offer(listing="mug", sku="MUG"), 10)
    assert push(market, number=5, expected=9, idempotency="one").status == "conflict"
    market.buy("mug", 1)
    assert push(market, number=5, expected=9, idempotency="one").status == "accepted"


def test_a_relative_write_adds_where_that_is_possible(open_marketplace: Opener) -> None:
    assert push(mugs(open_marketplace, "plain"), change=3).code == "no_relative_writes"
    market = mugs(open_marketplace, "relative writes")
    push(market, change=-4)
    assert market.number(MUG) == 6


def test_the_answer_states_the_number_in_force_where_the_rules_say_so(open_marketplace: Opener) -> None:
    assert push(mugs(open_marketplace, "plain"), number=4).number is None
    assert push(mugs(open_marketplace, "answers with the number"), number=4).number == 4
    later = replace(PRESETS["applies later, in order"], answers_with_number=True)
    market = open_marketplace(later)
    market.open_listing(Offer(listing="mug", sku="MUG"), 10)
    assert push(market, number=4).number == 10


def test_writes_are_applied_at_once_or_later(open_marketplace: Opener, clock: Any) -> None:
    at_once, later = mugs(open_marketplace, "plain"), mugs(open_marketplace, "applies later, in order")
    for market in (at_once, later):
        push(market, number=4)
    assert (at_once.number(MUG), later.number(MUG)) == (4, 10)
    clock.go(60)
    assert later.number(MUG) == 4


def overtaken(open_marketplace: Opener, preset: str, clock: Any) -> int:
    """In how many of 40 runs the second of two writes does not have the last word."""
    runs = 0
    for seed in range(40):
        market = mugs(open_marketplace, preset, seed=seed)
        push(market, number=4)
        clock.go(1)
        push(market, number=3)
        clock.go(60)
        runs += market.number(MUG) == 4
    return runs


def test_in_any_order_a_write_may_overtake_another(open_marketplace: Opener, clock: Any) -> None:
    assert overtaken(open_marketplace, "applies later, in order", clock) == 0
    assert 5 < overtaken(open_marketplace, "applies later, in any order", clock) < 35


def test_a_write_that_is_applied_later_swallows_what_sold_meanwhile(open_marketplace: Opener, clock: Any) -> None:
    market = mugs(open_marketplace, "applies later, in order")
    push(market, number=10)
    market.buy("mug", 3)
    clock.go(60)
    assert market.number(MUG) == 10
    assert market.changes[-1].why == "write"


def test_an_accepted_write_may_never_be_applied(open_marketplace: Opener, clock: Any) -> None:
    market = mugs(open_marketplace, "loses accepted writes")
    for number in range(200):
        assert push(market, number=number).status == "accepted"
        clock.go(30)
    dropped = [change for change in market.changes if change.why == "dropped write"]
    assert 15 < len(dropped) < 80


def test_numbers_above_the_cap_are_cut_when_written_or_when_read_or_refused(open_marketplace: Opener) -> None:
    seen = {}
    for preset in ("plain", "cap on writing", "cap on reading", "refuses above the cap"):
        market = mugs(open_marketplace, preset)
        status = push(market, number=50).status
        market.buy("mug", 1)
        seen[preset] = (status, read(market), market.number(MUG))
    assert seen == {
        "plain": ("accepted", 49, 49),
        "cap on writing": ("accepted", 19, 19),
        "cap on reading": ("accepted", 20, 49),
        "refuses above the cap": ("refused", 9, 9),
    }


def test_units_that_come_back_do_not_raise_a_number_above_its_cap(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace, "cap on writing", number=20)
    order = market.buy("mug", 3).order
    assert order is not None
    push(market, number=20)
    market.cancel(order.id)
    assert market.number(MUG) == 20


def test_numbers_are_rounded_down_when_written_or_when_read(open_marketplace: Opener) -> None:
    seen = {}
    for preset in ("plain", "rounds to 5", "shows multiples of 5"):
        market = mugs(open_marketplace, preset)
        push(market, number=9)
        market.buy("mug", 1)
        seen[preset] = (read(market), market.number(MUG))
    assert seen == {"plain": (8, 8), "rounds to 5": (4, 4), "shows multiples of 5": (5, 8)}


def test_a_key_can_be_revised_only_so_often_a_day(open_marketplace: Opener, clock: Any) -> None:
    market = mugs(open_marketplace, "three revisions a day")
    codes = [push(market, number=number).code for number in range(4)]
    assert codes == [None, None, None, "revisions_spent"]
    clock.go(86_400)
    assert push(market, number=7).status == "accepted"


def test_the_revisions_of_all_listings_of_a_page_count_together(open_marketplace: Opener) -> None:
    market = open_marketplace(PRESETS["three revisions a day"])
    keys = [NumberKey("K-red"), NumberKey("K-blue"), NumberKey("K-plate")]
    for key, page in zip(keys, ("mugs", "mugs", ""), strict=True):
        market.open_listing(Offer(listing=key.key, sku=key.key, page=page, keys=(key,)), 10)
    red, blue, plate = keys
    codes = [market.push([Update(key=key, number=4)])[0].code for key in (red, blue, red, blue, red, plate)]
    assert codes == [None, None, None, "revisions_spent", "revisions_spent", None]


def test_writes_to_keys_that_are_not_there_not_ours_or_over_are_refused_one_by_one(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace, "zero ends")
    market.open_listing(Offer(listing="theirs", sku="X", own=False), 1)
    market.open_listing(Offer(listing="free", sku="Y", tracked=False), 1)
    market.open_listing(Offer(listing="over", sku="Z"), 1)
    market.buy("over", 1)
    keys = [NumberKey(name) for name in ("K-none", "K-theirs", "K-free", "K-over", "K-mug")]
    results = market.push([Update(key=key, number=3) for key in keys])
    assert [result.code for result in results] == ["unknown_key", "not_yours", "not_tracked", "ended", None]
    assert push(market, number=-1).code == "bad_number"
    assert market.number(MUG) == 3


# Reads


def test_a_stale_read_shows_the_number_as_it_was(open_marketplace: Opener, clock: Any) -> None:
    fresh, stale = mugs(open_marketplace, "plain"), mugs(open_marketplace, "no compare-and-set, stale 3 min")
    clock.go(600)
    for market in (fresh, stale):
        market.buy("mug", 4)
    clock.go(90)
    assert {read(fresh) for _ in range(50)} == {6}
    assert {read(stale) for _ in range(50)} == {6, 10}
    clock.go(90)
    assert {read(stale) for _ in range(50)} == {6}


def test_a_stale_read_lacks_our_own_write_too_and_compare_and_set_does_not(
    open_marketplace: Opener, clock: Any
) -> None:
    market = mugs(open_marketplace, "compare-and-set, stale 3 min")
    clock.go(600)
    push(market, number=4)
    clock.go(1)
    assert 10 in {read(market) for _ in range(50)}
    assert push(market, number=3, expected=10).status == "conflict"
    assert push(market, number=3, expected=4).status == "accepted"


def test_a_long_history_of_a_stale_number_is_forgotten_only_where_no_read_needs_it(
    open_marketplace: Opener, clock: Any
) -> None:
    market = mugs(open_marketplace, "no compare-and-set, stale 3 min")
    for number in range(1030):
        market.edit_number(MUG, number)
        clock.go(1)
    seen = {read(market) for _ in range(300)}
    assert seen <= set(range(849, 1030))
    assert seen & set(range(849, 860))


def test_a_physical_number_falls_at_shipment_and_buyers_see_it_less_what_is_committed(
    open_marketplace: Opener,
) -> None:
    seen = {}
    for preset in ("plain", "physical, committed readable"):
        market = mugs(open_marketplace, preset)
        order = ordered(market, 4)
        before = (market.number(MUG), market.can_buy("mug"))
        market.ship(order.id)
        seen[preset] = (before, (market.number(MUG), market.can_buy("mug")))
    assert seen == {"plain": ((6, 6), (6, 6)), "physical, committed readable": ((10, 6), (6, 6))}


def test_committed_and_held_are_told_only_where_they_are_readable(opened: Opened) -> None:
    told = {}
    for preset in ("plain", "physical, committed readable", "physical, blind", "names its holds"):
        site, client = opened(PRESETS[preset])
        site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 10)
        site.marketplace.buy("mug", 3)
        site.marketplace.hold(MUG, 2)
        row = client.json("POST", "/v1/numbers/read", {"keys": [{"key": "K-mug"}]})["numbers"][0]
        told[preset] = (row["number"], row["committed"], row["held"])
    assert told == {
        "plain": (5, None, None),
        "physical, committed readable": (8, 3, None),
        "physical, blind": (8, None, None),
        "names its holds": (5, None, 2),
    }


def test_a_number_sold_out_shows_0_or_switches_the_listing_off_or_ends_it(open_marketplace: Opener) -> None:
    states = {}
    for preset in ("plain", "zero deactivates", "zero ends"):
        market = mugs(open_marketplace, preset, number=1)
        market.buy("mug", 1)
        sold_out = market.offers["mug"].state
        push(market, number=5)
        states[preset] = (sold_out, market.offers["mug"].state, read(market))
    assert states == {
        "plain": (State.ACTIVE, State.ACTIVE, 5),
        "zero deactivates": (State.INACTIVE, State.ACTIVE, 5),
        "zero ends": (State.ENDED, State.ENDED, None),
    }


def test_a_listing_that_opens_with_nothing_has_not_ended_and_one_that_has_ended_cannot_be_switched_on(
    open_marketplace: Opener,
) -> None:
    market = mugs(open_marketplace, "zero ends", number=0)
    assert market.offers["mug"].state is State.ACTIVE
    market.edit_number(MUG, 1)
    market.buy("mug", 1)
    market.switch("mug", on=False)
    market.switch("mug", on=True)
    assert (market.offers["mug"].state, market.offers["mug"].reasons) == (State.ENDED, ["ended"])


def test_a_listing_that_a_human_switched_off_stays_off_when_its_number_is_raised(open_marketplace: Opener) -> None:
    market = mugs(open_marketplace, "zero deactivates")
    market.switch("mug", on=False)
    push(market, number=0)
    push(market, number=5)
    assert market.offers["mug"].state is State.INACTIVE
    market.switch("mug", on=True)
    assert market.offers["mug"].state is State.ACTIVE


def test_with_backorders_a_listing_sells_below_zero_and_without_them_it_cannot_be_set_to(
    open_marketplace: Opener,
) -> None:
    with pytest.raises(ValueError, match="knows no backorders"):
        mugs(open_marketplace, "plain").set_policy("mug", sells_below_zero=True)
    market = mugs(open_marketplace, "backorders", number=1)
    market.set_policy("mug", sells_below_zero=True)
    assert market.buy("mug", 3).units == 3
    assert market.number(MUG) == -2


@pytest.mark.parametrize("applies", [Applies.IN_ORDER, Applies.ANY_ORDER])
def test_writes_and_lapses_that_were_due_happen_at_their_own_times(
    open_marketplace: Opener, clock: Any, applies: Applies
) -> None:
    rules = replace(PRESETS["plain"], applies=applies, apply_delay=(10.0, 10.0), pending_limit=5.0)
    market = open_marketplace(rules)
    market.open_listing(Offer(listing="mug", sku="MUG"), 10)
    start = clock.now()
    ordered(market, 3, paid=False)
    push(market, number=4)
    clock.go(3_600)
    assert market.number(MUG) == 4
    assert [((c.at - start).total_seconds(), c.why) for c in market.changes[2:]] == [
        (5.0, "given back"),
        (10.0, "write"),
    ]
