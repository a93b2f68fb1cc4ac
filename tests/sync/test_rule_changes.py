"""Stored rules: one for each scope."""

from __future__ import annotations

from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.sync.rule_changes import rule_id


def test_two_scopes_never_share_an_id_however_short_it_is() -> None:
    mug, cup = RuleScope(item="MUG"), RuleScope(item="CUP")
    first = Rule(rule_id(mug, ()), mug, RuleValues(buffer=Fixed(1)), "by hand")
    assert first.id == rule_id(mug, [first])
    assert len(first.id) == len("r-12345678")
    other = Rule(rule_id(cup, ()), mug, RuleValues(buffer=Fixed(1)), "by hand")  # as if they were alike
    assert rule_id(cup, [other]) == rule_id(cup, ()) + rule_id(cup, [other])[-1]
