from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.domain.rules import (
    FIELDS,
    BadRule,
    Computed,
    CountIncoming,
    Fixed,
    LastUnits,
    Percent,
    Resolved,
    Rule,
    RuleBook,
    RuleScope,
    RuleValues,
    Subject,
    resolve,
)

SUBJECT = Subject(channel="shop", location="north", sku_class="fragile", item="mug", listing="L1")

MOST_SPECIFIC_FIRST = (
    RuleScope(listing="L1"),
    RuleScope(item="mug", channel="shop"),
    RuleScope(item="mug", location="north"),
    RuleScope(item="mug"),
    RuleScope(sku_class="fragile", channel="shop"),
    RuleScope(sku_class="fragile"),
    RuleScope(channel="shop"),
    RuleScope(location="north"),
    RuleScope(),
)

NOT_FITTING = (
    RuleScope(listing="L2"),
    RuleScope(listing="L1", channel="till"),
    RuleScope(item="cup", channel="shop"),
    RuleScope(item="mug", channel="till"),
    RuleScope(item="mug", location="south"),
    RuleScope(item="cup"),
    RuleScope(sku_class="fragile", channel="till"),
    RuleScope(sku_class="heavy"),
    RuleScope(channel="till"),
    RuleScope(location="south"),
)


def rule(name: str, scope: RuleScope, **values: object) -> Rule:
    return Rule(name, scope, RuleValues(**values), f"config.toml:{name}")  # type: ignore[arg-type]


def buffers(*scopes: RuleScope) -> list[Rule]:
    return [rule(f"r{place}", scope, buffer=Fixed(place)) for place, scope in enumerate(scopes)]


def test_nothing_is_said_without_rules() -> None:
    resolved = resolve([], SUBJECT)
    assert resolved == Resolved()
    assert resolved.values == RuleValues()
    assert resolved.values.said() == ()
    assert resolved.rule_id("buffer") is None


@pytest.mark.parametrize("winner", range(len(MOST_SPECIFIC_FIRST)))
def test_the_more_specific_rule_wins_in_the_order_of_the_table(winner: int) -> None:
    rules = buffers(*MOST_SPECIFIC_FIRST)[winner:]
    for ordered in (rules, rules[::-1]):
        resolved = resolve(ordered, SUBJECT)
        assert resolved.values.buffer == Fixed(winner)
        assert resolved.rule_id("buffer") == f"r{winner}"


@pytest.mark.parametrize("scope", NOT_FITTING, ids=str)
def test_a_rule_for_others_does_not_bite(scope: RuleScope) -> None:
    assert resolve(buffers(scope), SUBJECT) == Resolved()


@pytest.mark.parametrize("scope", MOST_SPECIFIC_FIRST[:-1], ids=str)
def test_a_subject_that_lacks_what_a_rule_names_is_not_meant(scope: RuleScope) -> None:
    bare = Subject(channel="till", item="cup")
    assert resolve(buffers(scope), bare) == Resolved()


def test_a_rule_for_a_location_does_not_bite_where_several_locations_are_added_up() -> None:
    rules = buffers(RuleScope(location="north"), RuleScope(item="mug", location="north"))
    assert resolve(rules, Subject(channel="shop", item="mug", location=None)) == Resolved()


def test_each_field_has_its_own_winner_and_says_which_rule_that_is() -> None:
    everything = rule("all", RuleScope(), buffer=Fixed(1), share=50, may_raise=False)
    for_shop = rule("shop", RuleScope(channel="shop"), buffer=Percent(10), do_not_touch=False)
    for_mug = rule("mug", RuleScope(item="mug"), share=0)
    resolved = resolve([for_mug, for_shop, everything], SUBJECT)
    assert resolved.values == RuleValues(buffer=Percent(10), share=0, may_raise=False, do_not_touch=False)
    assert resolved.given_by == {
        "buffer": for_shop,
        "share": for_mug,
        "may_raise": everything,
        "do_not_touch": for_shop,
    }
    assert str(for_shop) == "rule shop for channel shop (config.toml:shop)"


def test_of_two_rules_of_one_rank_the_later_wins() -> None:
    rules = buffers(RuleScope(item="mug"), RuleScope(item="mug"))
    assert resolve(rules, SUBJECT).rule_id("buffer") == "r1"
    listings = buffers(RuleScope(listing="L1", channel="shop"), RuleScope(listing="L1"))
    assert resolve(listings, SUBJECT).rule_id("buffer") == "r1"
    assert resolve(listings[::-1], SUBJECT).rule_id("buffer") == "r0"


def test_two_rules_of_one_id_are_refused_and_both_places_named() -> None:
    one, other = rule("a", RuleScope(), share=1), Rule("a", RuleScope(item="x"), RuleValues(share=2), "run 7")
    with pytest.raises(BadRule, match=r"rule a \(run 7\): its id is taken by config.toml:a; rename one"):
        RuleBook([one, other])


KNOWN = {scope.named() for scope in MOST_SPECIFIC_FIRST} | {("listing", "channel")}
ALL_SCOPES = [
    RuleScope(listing=listing, item=item, sku_class=sku_class, channel=channel, location=location)
    for listing, item, sku_class, channel, location in product(
        (None, "L1"), (None, "mug"), (None, "fragile"), (None, "shop"), (None, "north")
    )
]


@pytest.mark.parametrize("scope", [scope for scope in ALL_SCOPES if scope.named() not in KNOWN], ids=str)
def test_an_unknown_combination_is_refused_with_what_can_be_combined(scope: RuleScope) -> None:
    with pytest.raises(BadRule, match=r"rule a \(config.toml:a\): .* cannot be combined; what can: listing"):
        rule("a", scope, share=1)


def test_there_are_ten_known_combinations() -> None:
    assert len([scope for scope in ALL_SCOPES if scope.named() in KNOWN]) == 10
    assert str(RuleScope(sku_class="fragile", channel="shop")) == "class fragile + channel shop"
    assert str(RuleScope()) == "everything"


@pytest.mark.parametrize(
    ("scope", "values", "complaint"),
    [
        (RuleScope(), {}, "it says nothing"),
        (RuleScope(channel="shop"), {"last_units": LastUnits(3, ("shop",))}, "last_units couples all channels"),
        (RuleScope(listing="L1"), {"last_units": LastUnits(3, ("shop",))}, "last_units couples all channels"),
        (RuleScope(location="north"), {"last_units": LastUnits(3, ("shop",))}, "last_units couples all channels"),
        (RuleScope(item="mug"), {"ring_fenced": 3}, "must say for which channel; item mug names none"),
        (RuleScope(location="north"), {"locations": ("north",)}, "locations cannot be set for a location"),
        (RuleScope(), {"buffer": Fixed(-1)}, "buffer must be 0 or more, not -1"),
        (RuleScope(), {"buffer": Percent(101)}, "buffer must be 0 to 100 percent, not 101"),
        (RuleScope(), {"buffer": Percent(-1)}, "buffer must be 0 to 100 percent, not -1"),
        (RuleScope(), {"buffer": Computed(0)}, "probability must be 1e-9 or more and less than 1, not 0"),
        (RuleScope(), {"buffer": Computed(1)}, "probability must be 1e-9 or more and less than 1, not 1"),
        (RuleScope(), {"buffer": Computed(0.01, -1)}, "buffer must be 0 or more, not -1"),
        (RuleScope(), {"share": 101}, "share must be 0 to 100 percent, not 101"),
        (RuleScope(), {"share": -1}, "share must be 0 to 100 percent, not -1"),
        (RuleScope(), {"minimum_shown": -1}, "minimum_shown must be 0 or more, not -1"),
        (RuleScope(), {"maximum_shown": -1}, "maximum_shown must be 0 or more, not -1"),
        (RuleScope(channel="shop"), {"ring_fenced": -1}, "ring_fenced must be 0 or more, not -1"),
        (RuleScope(), {"backorder": -1}, "backorder must be 0 or more, not -1"),
        (RuleScope(), {"preorder_from_incoming": CountIncoming(-1)}, "preorder_from_incoming must be 0 or more"),
        (RuleScope(), {"locations": ()}, "locations names nothing"),
        (RuleScope(), {"locations": ("a", "b", "a")}, "locations names one twice: a, b, a"),
        (RuleScope(), {"last_units": LastUnits(3)}, "last_units names nothing"),
        (RuleScope(), {"last_units": LastUnits(-3, ("a",))}, "last_units must be 0 or more, not -3"),
        (RuleScope(), {"last_units": LastUnits(3, ("a", "a"))}, "last_units names one twice"),
    ],
)
def test_a_value_that_means_nothing_is_refused(scope: RuleScope, values: dict[str, object], complaint: str) -> None:
    with pytest.raises(BadRule, match=complaint):
        rule("a", scope, **values)


@pytest.mark.parametrize(
    ("scope", "values"),
    [
        (RuleScope(), {"last_units": LastUnits(0)}),
        (RuleScope(sku_class="fragile"), {"last_units": LastUnits(1, ("shop",))}),
        (RuleScope(), {"buffer": Percent(0), "share": 100, "maximum_shown": 0, "backorder": 0}),
        (RuleScope(), {"buffer": Computed(1e-9, 0)}),
        (RuleScope(), {"buffer": Computed(0.5)}),
        (RuleScope(), {"preorder_from_incoming": CountIncoming()}),
        (RuleScope(channel="shop"), {"locations": ("north", "south"), "ring_fenced": 0}),
        (RuleScope(listing="L1"), {"ring_fenced": 2, "may_lower": False}),
    ],
)
def test_values_at_the_edge_are_accepted(scope: RuleScope, values: dict[str, object]) -> None:
    assert set(rule("a", scope, **values).values.said()) == set(values)


@pytest.mark.parametrize(
    ("values", "shown", "wanted", "refusal"),
    [
        ({}, 3, 5, None),
        ({"may_raise": True, "may_lower": True, "do_not_touch": False}, 3, 1, None),
        ({"may_raise": False}, 3, 5, "may_raise is off: rule a for everything (config.toml:a)"),
        ({"may_raise": False}, 3, 1, None),
        ({"may_lower": False}, 3, 1, "may_lower is off: rule a for everything (config.toml:a)"),
        ({"may_lower": False}, 3, 5, None),
        ({"do_not_touch": True}, 3, 1, "do not touch: rule a for everything (config.toml:a)"),
        ({"do_not_touch": True}, 3, 5, "do not touch: rule a for everything (config.toml:a)"),
        ({"do_not_touch": True}, 3, 3, None),
        ({"may_lower": False, "may_raise": False}, 3, 3, None),
    ],
)
def test_the_switches_say_why_a_number_may_not_change(
    values: dict[str, object], shown: int, wanted: int, refusal: str | None
) -> None:
    rules = [rule("a", RuleScope(), **values)] if values else []
    assert resolve(rules, SUBJECT).refusal(shown, wanted) == refusal


def test_a_rule_book_keeps_subjects_apart_that_rules_tell_apart() -> None:
    book = RuleBook(
        [
            rule("mug", RuleScope(item="mug"), share=1),
            rule("cup", RuleScope(item="cup"), share=2),
            rule("L1", RuleScope(listing="L1"), backorder=3),
            rule("L2", RuleScope(listing="L2"), backorder=4),
        ]
    )
    for _ in range(2):
        for item, share in (("mug", 1), ("pot", None), ("cup", 2), ("pan", None)):
            for listing, backorder in (("L1", 3), ("L3", None), ("L2", 4), (None, None)):
                resolved = book.resolve(Subject(channel="shop", item=item, listing=listing))
                assert (resolved.values.share, resolved.values.backorder) == (share, backorder)


subjects = st.builds(
    Subject,
    channel=st.sampled_from(["shop", "till"]),
    item=st.sampled_from(["mug", "cup", "pot"]),
    location=st.sampled_from([None, "north", "south"]),
    sku_class=st.sampled_from([None, "fragile", "heavy"]),
    listing=st.sampled_from([None, "L1", "L2", "L3"]),
)
rule_lists = st.lists(
    st.tuples(st.sampled_from(MOST_SPECIFIC_FIRST + NOT_FITTING), st.integers(0, 100), st.booleans()), max_size=12
)


@given(rule_lists, st.lists(subjects, min_size=1, max_size=6))
def test_a_rule_book_answers_every_subject_as_the_plain_search_does(
    said: list[tuple[RuleScope, int, bool]], asked: list[Subject]
) -> None:
    rules = [
        rule(f"r{place}", scope, **({"share": number} if is_share else {"backorder": number}))
        for place, (scope, number, is_share) in enumerate(said)
    ]
    book = RuleBook(rules)
    for subject in asked:
        resolved = resolve(book, subject)
        for field in FIELDS:
            speaking = [
                each
                for each in rules
                if field in each.values.said()
                and all(getattr(each.scope, name) == getattr(subject, name) for name in each.scope.named())
            ]
            winner = max(speaking, key=lambda each: (each.rank, rules.index(each)), default=None)
            assert resolved.given_by.get(field) == winner
            assert getattr(resolved.values, field) == (winner and getattr(winner.values, field))
