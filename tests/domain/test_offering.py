from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.offering import (
    Ask,
    Coupling,
    Fence,
    Offer,
    Step,
    couple,
    offer,
    offers_for_channels,
)
from channelsync.domain.rules import (
    Buffer,
    Computed,
    CountIncoming,
    Fixed,
    LastUnits,
    Percent,
    Resolved,
    Rule,
    RuleScope,
    RuleValues,
)

CHANNELS = ("shop", "till", "market")
LOCATIONS = ("north", "south", "west")


def resolved(channel: str = "shop", **values: object) -> Resolved:
    """Every value given by a rule of its own, named after the field."""
    given_by = {}
    for name, value in values.items():
        scope = RuleScope() if name == "last_units" else RuleScope(channel=channel)
        given_by[name] = Rule(f"r-{name}", scope, RuleValues(**{name: value}), "test")  # type: ignore[arg-type]
    return Resolved(RuleValues(**values), given_by)  # type: ignore[arg-type]


def ask(
    available: int | Mapping[str, int],
    channel: str = "shop",
    rules: Mapping[str, object] | None = None,
    **more: Any,
) -> Ask:
    there = {"north": available} if isinstance(available, int) else available
    return Ask(key=f"{channel}-key", channel=channel, available=there, rules=resolved(channel, **(rules or {})), **more)


def units(asked: Ask, coupling: Coupling | None = None) -> int:
    return offer(asked, coupling or Coupling()).units


def shown(*asks: Ask) -> dict[str, int]:
    return {key.removesuffix("-key"): offered.units for key, offered in offers_for_channels(asks).items()}


def test_without_rules_everything_available_is_shown() -> None:
    offered = offer(ask({"north": 5, "south": 3}))
    assert offered == Offer(8, (Step("sum of locations", 0, 8, "north 5 + south 3"),))


def test_an_oversold_location_lowers_the_sum_and_an_oversold_sum_shows_0_but_is_told() -> None:
    assert units(ask({"north": 5, "south": -3})) == 2
    offered = offer(ask({"north": 1, "south": -4}))
    assert offered.units == 0
    assert offered.steps == (
        Step("sum of locations", 0, -3, "north 1 + south -4"),
        Step("floor at 0", -3, 0, "3 short"),
    )


def test_a_key_that_no_location_feeds_shows_0() -> None:
    offered = offer(ask({}))
    assert (offered.units, offered.steps[0].why) == (0, "no location feeds it")


def test_every_step_names_its_rule_and_begins_where_the_one_before_ended() -> None:
    rules = {
        "locations": ("north", "south"),
        "share": 50,
        "buffer": Fixed(3),
        "backorder": 20,
        "preorder_from_incoming": CountIncoming(5),
        "last_units": LastUnits(200, ("shop",)),
        "minimum_shown": 2,
        "maximum_shown": 14,
    }
    asked = ask({"north": 90, "south": 11}, rules=rules, incoming=7, multiple=4, cap=13)
    coupling = Coupling(own_fence=10, others=(Fence("till", 4, "r9"), Fence("market", 1, None)), kept_by="shop")
    assert offer(asked, coupling) == Offer(
        13,
        (
            Step("sum of locations", 0, 101, "north 90 + south 11", "r-locations"),
            Step("ring fence of others", 101, 97, "4 only for till", "r9"),
            Step("ring fence of others", 97, 96, "1 only for market", None),
            Step("share", 96, 53, "50 % of 86 and 10 fenced for it", "r-share"),
            Step("buffer", 53, 50, "3 held back", "r-buffer"),
            Step("back-order", 50, 70, "20 may be sold beyond available", "r-backorder"),
            Step("pre-order", 70, 75, "5 of 7 incoming may be sold", "r-preorder_from_incoming"),
            Step("last units", 75, 75, "shop alone keeps the last ones", "r-last_units"),
            Step("pack multiple", 75, 18, "packs of 4, rounded down"),
            Step("minimum shown", 18, 18, "fewer than 2 are shown as 0", "r-minimum_shown"),
            Step("maximum shown", 18, 14, "at most 14", "r-maximum_shown"),
            Step("channel cap", 14, 13, "the channel shows at most 13"),
        ),
    )


@pytest.mark.parametrize(
    ("percent", "available", "expected"), [(50, 7, 3), (0, 7, 0), (100, 7, 7), (33, 100, 33), (99, 1, 0)]
)
def test_a_share_is_rounded_down(percent: int, available: int, expected: int) -> None:
    assert units(ask(available, rules={"share": percent})) == expected


def test_a_share_does_not_lessen_a_shortage() -> None:
    assert offer(ask(-5, rules={"share": 50})).steps[1] == Step("share", -5, -5, "50 % of -5", "r-share")
    assert units(ask(-5, rules={"share": 50, "backorder": 8})) == 3


def test_the_own_ring_fence_is_not_shared() -> None:
    assert units(ask(15, rules={"share": 50}), Coupling(own_fence=5)) == 10
    assert units(ask(15, rules={"share": 0}), Coupling(own_fence=5)) == 5
    assert units(ask(3, rules={"share": 0}), Coupling(own_fence=5)) == 3


@pytest.mark.parametrize(
    ("buffer", "available", "expected"),
    [
        (Fixed(3), 10, 7),
        (Fixed(3), 2, 0),
        (Percent(10), 10, 9),
        (Percent(10), 11, 9),
        (Percent(0), 11, 11),
        (Percent(50), 202, 101),
        (Percent(100), 11, 0),
        (Computed(0.01), 10, 6),
        (Computed(0.01, at_most=3), 10, 7),
        (Computed(0.01, at_most=5), 10, 6),
    ],
)
def test_a_buffer_is_held_back(buffer: Buffer, available: int, expected: int) -> None:
    assert units(ask(available, rules={"buffer": buffer}, computed_buffer=4)) == expected


def test_a_percent_buffer_is_of_the_share_and_of_nothing_when_short() -> None:
    assert units(ask(20, rules={"buffer": Percent(50), "share": 50})) == 5
    assert units(ask(-4, rules={"buffer": Percent(50), "backorder": 10})) == 6


def test_a_buffer_protects_the_limit_of_back_orders_too() -> None:
    assert units(ask(1, rules={"buffer": Fixed(3), "backorder": 10})) == 8


def test_a_computed_buffer_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="shop-key at shop: the buffer is to be computed, but no number came with it"):
        offer(ask(5, rules={"buffer": Computed(0.01)}))


def test_back_orders_fill_what_is_oversold_first() -> None:
    assert units(ask(-4, rules={"backorder": 10})) == 6
    assert units(ask(-14, rules={"backorder": 10})) == 0


@pytest.mark.parametrize(
    ("rule", "expected"), [(None, 2), (CountIncoming(), 9), (CountIncoming(3), 5), (CountIncoming(0), 2)]
)
def test_incoming_counts_only_as_far_as_a_rule_says(rule: CountIncoming | None, expected: int) -> None:
    rules = {} if rule is None else {"preorder_from_incoming": rule}
    assert units(ask(2, rules=rules, incoming=7)) == expected
    assert units(ask(2, rules=rules)) == 2


@pytest.mark.parametrize(("available", "expected"), [(12, 2), (11, 1), (5, 0), (-1, 0)])
def test_packs_are_rounded_down(available: int, expected: int) -> None:
    assert units(ask(available, multiple=6)) == expected


@pytest.mark.parametrize(("available", "expected"), [(5, 5), (4, 0), (-4, 0)])
def test_fewer_than_the_minimum_are_shown_as_0(available: int, expected: int) -> None:
    assert units(ask(available, rules={"minimum_shown": 5})) == expected


def test_minimum_and_maximum_are_in_key_units_and_a_maximum_does_not_hide_all() -> None:
    assert units(ask(24, rules={"minimum_shown": 5}, multiple=6)) == 0
    assert units(ask(24, rules={"minimum_shown": 4, "maximum_shown": 3}, multiple=6)) == 3


def test_a_shortage_stays_in_sight_after_the_minimum() -> None:
    assert offer(ask(-4, rules={"minimum_shown": 5})).steps[-1] == Step("floor at 0", -4, 0, "4 short")


def test_a_cap_cuts_and_a_number_below_it_takes_no_step() -> None:
    assert units(ask(24, cap=9)) == 9
    assert len(offer(ask(9, cap=9)).steps) == 1


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"multiple": 0}, "shop-key at shop: the pack multiple must be 1 or more, not 0"),
        ({"incoming": -1}, "shop-key at shop: incoming, cap and computed buffer must be 0 or more"),
        ({"cap": -1}, "shop-key at shop: incoming, cap and computed buffer must be 0 or more"),
        ({"computed_buffer": -1}, "shop-key at shop: incoming, cap and computed buffer must be 0 or more"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(more: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ask(1, **more)


def test_uncoupled_channels_all_show_everything() -> None:
    assert shown(ask(5, "shop"), ask(5, "till"), ask(5, "market")) == {"shop": 5, "till": 5, "market": 5}


def test_fenced_units_are_seen_by_their_channel_only() -> None:
    fenced = ask(12, "shop", {"ring_fenced": 5})
    assert shown(fenced, ask(12, "till"), ask(12, "market")) == {"shop": 12, "till": 7, "market": 7}
    steps = offers_for_channels([fenced, ask(12, "till")])["till-key"].steps
    assert steps[1] == Step("ring fence of others", 12, 7, "5 only for shop", "r-ring_fenced")


def test_a_fence_takes_no_more_than_is_there() -> None:
    assert shown(ask(3, "shop", {"ring_fenced": 5}), ask(3, "till")) == {"shop": 3, "till": 0}
    assert shown(ask(-3, "shop", {"ring_fenced": 5}), ask(-3, "till", {"backorder": 4})) == {"shop": 0, "till": 1}


def test_fences_larger_than_what_is_there_are_filled_in_turns() -> None:
    fences = {"shop": 100, "till": 2, "market": 50}
    asks = [ask(13, channel, {"ring_fenced": fence}) for channel, fence in fences.items()]
    assert {key: coupling.own_fence for key, coupling in couple(asks).items()} == {
        "shop-key": 6,
        "till-key": 2,
        "market-key": 5,
    }
    assert shown(*asks) == {"shop": 6, "till": 2, "market": 5}


def test_a_channel_with_two_keys_has_one_fence_the_larger_and_both_keys_see_it() -> None:
    single = ask(12, "shop", {"ring_fenced": 5})
    packs = replace(ask(12, "shop", {"ring_fenced": 2}), key="packs-key", multiple=6)
    assert shown(packs, single, ask(12, "till")) == {"shop": 12, "packs": 2, "till": 7}


def test_a_fence_lies_first_where_it_takes_units_from_the_fewest_others() -> None:
    shop = ask({"north": 3, "south": 10}, "shop", {"ring_fenced": 5})
    assert shown(shop, ask({"north": 3}, "till")) == {"shop": 13, "till": 3}
    poorer = ask({"north": 3, "south": 3}, "shop", {"ring_fenced": 5})
    assert shown(poorer, ask({"north": 3}, "till")) == {"shop": 6, "till": 1}


def test_a_key_does_not_lose_the_fence_of_its_channel_to_another_key_elsewhere() -> None:
    for south in (3, 4):
        everywhere = ask({"north": 1, "south": south}, "shop")
        here = replace(ask({"north": 1}, "shop", {"ring_fenced": 4, "share": 0}), key="here-key")
        assert shown(everywhere, here)["here"] == 1


def test_a_fence_reaches_only_the_locations_that_feed_its_channel() -> None:
    till = ask({"north": 3}, "till", {"ring_fenced": 5})
    assert shown(till, ask({"north": 3, "south": 10}, "shop")) == {"till": 3, "shop": 10}


def test_channels_with_fewer_ways_to_fill_their_fence_come_first() -> None:
    north, south = {"north": 2}, {"south": 2}
    asks = [
        ask({**north, **south}, "shop", {"ring_fenced": 2}),
        ask(south, "till", {"ring_fenced": 2}),
        ask(north, "market"),
        ask(north, "phone"),
    ]
    assert shown(*asks) == {"shop": 2, "till": 2, "market": 0, "phone": 0}


def test_an_oversold_location_counts_in_what_can_be_fenced() -> None:
    there = {"north": -4, "south": 6}
    asks = [ask(there, "shop", {"ring_fenced": 3}), ask(there, "till", {"ring_fenced": 3}), ask(there, "market")]
    assert shown(*asks) == {"shop": 1, "till": 1, "market": 0}


def last(at_or_below: int, *preferred: str, **more: object) -> dict[str, object]:
    return {"last_units": LastUnits(at_or_below, preferred), **more}


def test_at_the_last_units_only_the_preferred_channel_shows_them() -> None:
    for available, expected in ((4, {"shop": 4, "till": 4}), (3, {"shop": 0, "till": 3}), (1, {"shop": 0, "till": 1})):
        rules = last(3, "till", "shop")
        assert shown(ask(available, "shop", rules), ask(available, "till", rules)) == expected


def test_the_loser_is_told_who_keeps_the_last_units_and_promises_nothing_later() -> None:
    rules = last(3, "till")
    offers = offers_for_channels([ask(2, "shop", {**rules, "backorder": 9}), ask(2, "till", rules)])
    assert offers["shop-key"].units == 0
    assert offers["shop-key"].steps[-1] == Step("last units", 11, 0, "till alone keeps the last ones", "r-last_units")
    assert offers["till-key"].units == 2


def test_a_preferred_channel_without_a_key_is_passed_over() -> None:
    rules = last(3, "phone", "market", "shop")
    assert shown(ask(2, "shop", rules), ask(2, "market", rules)) == {"shop": 0, "market": 2}
    rules = last(3, "phone")
    assert shown(ask(2, "shop", rules), ask(2, "market", rules)) == {"shop": 2, "market": 0}


def test_last_units_go_to_a_channel_with_a_ring_fence_before_the_preferred_one() -> None:
    rules = last(3, "till", "market", "shop")
    shop, market = ({**rules, "ring_fenced": 2} for _ in range(2))
    assert shown(ask(3, "shop", shop), ask(3, "till", rules)) == {"shop": 3, "till": 0}
    assert shown(ask(3, "shop", shop), ask(3, "till", rules), ask(3, "market", market))["shop"] == 0


def test_last_units_are_counted_over_all_locations_of_the_item() -> None:
    rules = last(3, "till")
    asks = [ask({"north": 2, "south": 9}, "shop", rules), ask({"north": 2}, "till", rules)]
    assert shown(*asks) == {"shop": 11, "till": 2}


def test_last_units_switched_off_do_not_bite() -> None:
    rules = last(0)
    assert shown(ask(0, "shop", {**rules, "backorder": 1}), ask(0, "till", rules)) == {"shop": 1, "till": 0}


@pytest.mark.parametrize(
    ("asks", "complaint"),
    [
        ([ask(1, "shop"), ask(1, "shop")], "shop-key at shop: the key is there twice"),
        ([ask(1, "shop"), ask(2, "till")], "till-key at till: 2 available at north, but 1 for another key of the item"),
        ([ask(1, "shop", last(3, "till")), ask(1, "till")], "keys of one item have different last units"),
    ],
)
def test_keys_that_contradict_one_another_are_refused(asks: list[Ask], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        couple(asks)


# Properties.

numbers = st.integers(-15, 40)
buffers: st.SearchStrategy[Buffer] = st.one_of(
    st.builds(Fixed, st.integers(0, 20)),
    st.builds(Percent, st.integers(0, 100)),
    st.builds(Computed, st.just(0.01), st.none() | st.integers(0, 20)),
)
LAST = LastUnits(6, ("till", "shop"))


@st.composite
def values(draw: st.DrawFn, *, last_units: LastUnits | None = None) -> dict[str, object]:
    choices: dict[str, st.SearchStrategy[object]] = {
        "buffer": buffers,
        "share": st.integers(0, 100),
        "minimum_shown": st.integers(0, 8),
        "maximum_shown": st.integers(0, 30),
        "ring_fenced": st.integers(0, 15),
        "backorder": st.integers(0, 10),
        "preorder_from_incoming": st.builds(CountIncoming, st.none() | st.integers(0, 10)),
    }
    chosen = {name: draw(choice) for name, choice in choices.items() if draw(st.booleans())}
    return chosen if last_units is None else {**chosen, "last_units": last_units}


@st.composite
def asks_of_an_item(draw: st.DrawFn) -> list[Ask]:
    """One to four keys of up to three channels, fed by any of three locations."""
    there = {location: draw(numbers) for location in LOCATIONS}
    last_units = draw(st.none() | st.just(LAST))
    asks = []
    for place, channel in enumerate(draw(st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=4))):
        feeds = draw(st.lists(st.sampled_from(LOCATIONS), unique=True, max_size=3))
        asks.append(
            Ask(
                key=f"k{place}",
                channel=channel,
                available={location: there[location] for location in feeds},
                rules=resolved(channel, **draw(values(last_units=last_units))),
                incoming=draw(st.integers(0, 20)),
                computed_buffer=draw(st.integers(0, 20)),
                multiple=draw(st.sampled_from([1, 1, 2, 6])),
                cap=draw(st.none() | st.integers(0, 30)),
            )
        )
    return asks


def same_feed(asks: Sequence[Ask], there: Mapping[str, int]) -> list[Ask]:
    return [replace(each, available=there) for each in asks]


def one_key_each(asks: Sequence[Ask]) -> list[Ask]:
    return list({each.channel: each for each in asks}.values())


@given(asks_of_an_item())
def test_an_offer_is_never_negative_nor_above_what_may_be_sold(asks: list[Ask]) -> None:
    for each in asks:
        offered = offers_for_channels(asks)[each.key]
        said = each.rules.values
        preorder = said.preorder_from_incoming
        counted = 0
        if preorder is not None:
            counted = each.incoming if preorder.at_most is None else min(each.incoming, preorder.at_most)
        limit = sum(each.available.values()) + (said.backorder or 0) + counted
        assert 0 <= offered.units * each.multiple <= max(0, limit)
        assert offered.units <= (offered.units if said.maximum_shown is None else said.maximum_shown)


@given(asks_of_an_item())
def test_steps_form_a_chain_from_nothing_to_the_number(asks: list[Ask]) -> None:
    for offered in offers_for_channels(asks).values():
        ends = [0, *(step.after for step in offered.steps)]
        assert [step.before for step in offered.steps] == ends[:-1]
        assert ends[-1] == offered.units


@given(asks_of_an_item(), st.sampled_from(LOCATIONS), st.integers(1, 10))
def test_more_available_anywhere_never_lowers_any_offer(asks: list[Ask], location: str, more: int) -> None:
    richer = [
        replace(each, available={name: n + (more if name == location else 0) for name, n in each.available.items()})
        for each in asks
    ]
    before, after = offers_for_channels(asks), offers_for_channels(richer)
    assert all(after[key].units >= before[key].units for key in before)


@given(asks_of_an_item(), st.integers(0, 20), st.integers(1, 10))
def test_a_bigger_buffer_never_shows_more(asks: list[Ask], size: int, more: int) -> None:
    def with_buffer(buffer: Buffer, computed: int) -> list[int]:
        buffered = []
        for each in asks:
            said = replace(each.rules.values, buffer=buffer)
            buffered.append(replace(each, rules=Resolved(said, each.rules.given_by), computed_buffer=computed))
        return [offered.units for offered in offers_for_channels(buffered).values()]

    pairs: list[tuple[Buffer, Buffer]] = [
        (Fixed(size), Fixed(size + more)),
        (Percent(size), Percent(size + more)),
        (Computed(0.01), Computed(0.01)),
        (Computed(0.01, size), Computed(0.01, size + more)),
    ]
    for smaller, bigger in pairs:
        assert all(
            less <= much
            for much, less in zip(with_buffer(smaller, size), with_buffer(bigger, size + more), strict=True)
        )


@given(asks_of_an_item())
def test_at_or_below_the_last_units_at_most_one_channel_shows_any(asks: list[Ask]) -> None:
    there: dict[str, int] = {}
    for each in asks:
        there.update(each.available)
    showing = {each.channel for each in asks if offers_for_channels(asks)[each.key].units > 0}
    if asks[0].rules.values.last_units is not None and sum(there.values()) <= LAST.at_or_below:
        assert len(showing) <= 1


@given(asks_of_an_item())
def test_granted_fences_never_exceed_what_is_there_nor_what_was_asked(asks: list[Ask]) -> None:
    asks = one_key_each(asks)
    couplings = couple(asks)
    there: dict[str, int] = {}
    granted: dict[str, int] = {}
    for each in asks:
        there.update(each.available)
        coupling = couplings[each.key]
        fences = {fence.channel: fence.units for fence in coupling.others}
        assert each.channel not in fences
        granted[each.channel] = max(granted.get(each.channel, 0), coupling.own_fence)
        assert sum(fences.values()) + coupling.own_fence <= sum(max(0, n) for n in each.available.values())
    assert sum(granted.values()) <= sum(max(0, n) for n in there.values())
    for channel, units_granted in granted.items():
        assert units_granted <= max(each.rules.values.ring_fenced or 0 for each in asks if each.channel == channel)


@given(asks_of_an_item(), st.dictionaries(st.sampled_from(LOCATIONS), numbers, min_size=1))
def test_ring_fenced_and_common_units_together_are_exactly_what_is_there(
    asks: list[Ask], there: dict[str, int]
) -> None:
    asks = same_feed(one_key_each(asks), there)
    couplings = couple(asks)
    granted = sum(coupling.own_fence for coupling in couplings.values())
    wanted = sum(each.rules.values.ring_fenced or 0 for each in asks)
    available = sum(there.values())
    assert granted == min(wanted, max(0, available))
    for each in asks:
        coupling = couplings[each.key]
        seen = available - sum(fence.units for fence in coupling.others)
        assert seen - coupling.own_fence == available - granted


@given(asks_of_an_item(), st.lists(st.integers(0, 100), min_size=3, max_size=3))
def test_shares_of_100_percent_in_sum_never_show_more_than_is_there(asks: list[Ask], shares: list[int]) -> None:
    split = dict(zip(CHANNELS, (share * 100 // max(100, sum(shares)) for share in shares), strict=True))
    sharing = []
    for each in one_key_each(asks):
        said = replace(each.rules.values, share=split[each.channel], backorder=None, preorder_from_incoming=None)
        sharing.append(replace(each, rules=Resolved(said, each.rules.given_by)))
    there: dict[str, int] = {}
    for each in sharing:
        there.update(each.available)
    sold = sum(offers_for_channels(sharing)[each.key].units * each.multiple for each in sharing)
    assert sold <= sum(max(0, n) for n in there.values())
    pooled = same_feed(sharing, there)
    sold = sum(offers_for_channels(pooled)[each.key].units * each.multiple for each in pooled)
    assert sold <= max(0, sum(there.values()))


@given(asks_of_an_item())
def test_the_offer_does_not_depend_on_the_order_of_keys_when_fences_fit(asks: list[Ask]) -> None:
    there = {"north": 100}
    asks = same_feed(asks, there)
    forward, backward = offers_for_channels(asks), offers_for_channels(asks[::-1])
    assert {key: offered.units for key, offered in forward.items()} == {
        key: offered.units for key, offered in backward.items()
    }
