from channelsync.domain.rule_conflicts import Conflict, conflicts
from channelsync.domain.rules import Fixed, LastUnits, Rule, RuleScope, RuleValues


def rule(name: str, scope: RuleScope, **values: object) -> Rule:
    return Rule(name, scope, RuleValues(**values), f"config.toml:{name}")  # type: ignore[arg-type]


def test_rules_that_speak_of_different_things_do_not_conflict() -> None:
    rules = [
        rule("a", RuleScope(), buffer=Fixed(1)),
        rule("b", RuleScope(item="mug"), buffer=Fixed(2)),
        rule("c", RuleScope(item="mug"), share=50),
        rule("d", RuleScope(item="cup"), buffer=Fixed(2)),
        rule("e", RuleScope(listing="L1", channel="shop"), buffer=Fixed(2)),
        rule("f", RuleScope(listing="L1", channel="till"), buffer=Fixed(2)),
    ]
    assert conflicts(rules) == ()


def test_a_tie_is_reported_with_the_winner() -> None:
    rules = [rule("a", RuleScope(item="mug"), buffer=Fixed(1)), rule("b", RuleScope(item="mug"), buffer=Fixed(2))]
    assert conflicts(rules) == (
        Conflict(
            "buffer",
            ("a", "b"),
            "buffer is said twice for item mug: rule b for item mug (config.toml:b) wins over "
            "rule a for item mug (config.toml:a); remove one",
        ),
    )


def test_a_listing_with_and_without_its_channel_is_a_tie() -> None:
    rules = [
        rule("a", RuleScope(listing="L1"), buffer=Fixed(1), share=1),
        rule("b", RuleScope(listing="L1", channel="shop"), buffer=Fixed(2), share=2),
    ]
    assert [(each.field, each.rules) for each in conflicts(rules)] == [("buffer", ("a", "b")), ("share", ("a", "b"))]


def test_shares_above_100_percent_are_reported() -> None:
    rules = [
        rule("a", RuleScope(item="mug", channel="shop"), share=60),
        rule("b", RuleScope(item="mug", channel="till"), share=41),
    ]
    assert conflicts(rules) == (
        Conflict(
            "share",
            ("a", "b"),
            "shares add up to 101 %, so the same units are shown twice: rule a for item mug + channel shop "
            "(config.toml:a); rule b for item mug + channel till (config.toml:b)",
        ),
    )


def test_shares_of_100_percent_or_of_other_items_are_no_conflict() -> None:
    rules = [
        rule("a", RuleScope(item="mug", channel="shop"), share=60),
        rule("b", RuleScope(item="mug", channel="till"), share=40),
        rule("c", RuleScope(item="cup", channel="shop"), share=100),
        rule("d", RuleScope(sku_class="fragile", channel="shop"), share=100),
        rule("e", RuleScope(), share=100),
        rule("f", RuleScope(listing="L1", channel="till"), share=100),
        rule("g", RuleScope(listing="L2"), share=100),
        rule("h", RuleScope(channel="phone"), buffer=Fixed(1)),
        rule("i", RuleScope(item="pot", channel="shop"), share=100),
        rule("j", RuleScope(item="pot", channel="till"), share=0),
    ]
    assert conflicts(rules) == ()


def test_last_units_preferred_elsewhere_than_the_ring_fence_are_reported() -> None:
    last = rule("a", RuleScope(item="mug"), last_units=LastUnits(3, ("shop", "till")))
    fence = rule("b", RuleScope(channel="till"), ring_fenced=5)
    (found,) = conflicts([last, fence])
    assert (found.field, found.rules) == ("last_units", ("a", "b"))
    assert "units that only till may sell cannot be left to another" in found.text


def test_last_units_and_ring_fence_of_one_channel_or_of_other_items_are_no_conflict() -> None:
    rules = [
        rule("a", RuleScope(item="mug"), last_units=LastUnits(3, ("shop",))),
        rule("b", RuleScope(item="mug", channel="shop"), ring_fenced=5),
        rule("c", RuleScope(item="cup", channel="till"), ring_fenced=5),
        rule("d", RuleScope(channel="till"), ring_fenced=0),
        rule("e", RuleScope(listing="L1"), ring_fenced=5),
        rule("f", RuleScope(sku_class="fragile"), last_units=LastUnits(0)),
    ]
    assert conflicts(rules) == ()
