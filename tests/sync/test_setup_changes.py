"""Another set-up puts on the agenda what may have to show another number now, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.store.channels import ChannelState
from channelsync.store.items import item_id
from channelsync.store.tables import metadata
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.setup_changes import affected_by, mark_changed

KEY = metadata.tables["quantity_key"]
MUG, CUP = item_id("MUG"), item_id("CUP")


def rule(buffer: int, number: int = 1, **scope: Any) -> Rule:
    return Rule(f"#{number}", RuleScope(**scope), RuleValues(buffer=Fixed(buffer)), f"config.toml line {number}")


def changed(setup: Setup, name: str, **fields: Any) -> Setup:
    return replace(setup, channels={**setup.channels, name: replace(setup.channels[name], **fields)})


def affected(before: Setup, after: Setup, states: dict[str, ChannelState] | None = None) -> Any:
    return affected_by(before, after, states or {})


@pytest.fixture
async def setup(open_seller: Any) -> Setup:
    return (await open_seller("shop", "market")).agent.setup


async def test_the_same_set_up_affects_nothing(setup: Setup) -> None:
    assert affected(setup, setup).nothing
    assert affected(setup, changed(setup, "shop", poll=timedelta(seconds=7), sweep=timedelta(days=9))).nothing


async def test_a_rule_that_moved_in_the_file_is_the_same_rule(setup: Setup) -> None:
    one, other = replace(setup, rules=(rule(1, 1, item=MUG),)), replace(setup, rules=(rule(1, 5, item=MUG),))
    assert affected(one, other).nothing


async def test_both_the_old_and_the_new_rule_are_affected_and_so_is_another_order(setup: Setup) -> None:
    one, other = replace(setup, rules=(rule(1, item=MUG),)), replace(setup, rules=(rule(2, item=MUG),))
    assert len(affected(one, other).rules) == 2
    two = (rule(1, 1, channel="shop"), rule(2, 2, channel="shop"))
    turned = affected(replace(setup, rules=two), replace(setup, rules=two[::-1]))
    assert len(turned.rules) == 2


async def test_another_recipe_affects_the_bundle_and_a_class_its_items(setup: Setup) -> None:
    made = Recipe(item_id("SET"), "virtual", (Part(MUG, 2),))
    assert affected(setup, replace(setup, recipes={made.item: made})).items == {made.item}
    assert affected(setup, replace(setup, classes={MUG: "fragile"})).items == {MUG}


async def test_a_channel_whose_switches_changed_is_affected_and_its_mode_asks_for_reads(setup: Setup) -> None:
    assert affected(setup, changed(setup, "shop", paused=True)).channels == {"shop"}
    assert affected(setup, changed(setup, "shop", mode="observe")).anew == {"shop"}
    state = ChannelState(
        name="shop",
        identity="",
        cursor=None,
        covered_to=None,
        orders_asked_at=None,
        orders_failed="",
        unreadable_since=None,
        stop="",
        zeroed=False,
        mode="live",
        connected_at=None,
        catch_up_since=None,
        budgets=b"",
        breaker=b"",
    )
    assert affected(setup, changed(setup, "shop", mode="observe"), {"shop": state}).nothing


async def test_channels_that_come_or_go_affect_everything(setup: Setup) -> None:
    fewer = replace(setup, channels={name: one for name, one in setup.channels.items() if name != "market"})
    assert affected(setup, fewer).everything
    assert affected(fewer, setup).anew == {"market"}
    assert affected(setup, replace(setup, locations=("main", "outlet"))).everything


async def test_only_what_is_affected_comes_on_the_agenda(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    for sku in ("MUG", "CUP"):
        for name in ("shop", "market"):
            await seller.sells(sku, 5, channel=name)
    await seller.database.transact(lambda c: c.execute(update(KEY).values(due_at=None)))
    before = seller.agent.setup
    after = replace(before, rules=(rule(1, item=MUG),))
    found = affected(before, after)
    await seller.database.transact(lambda c: mark_changed(c, before, after, found, seller.clock.now()))
    due = await seller.database.query(
        lambda c: c.execute(select(KEY.c.channel, KEY.c.item).where(KEY.c.due_at.is_not(None))).all()
    )
    assert sorted(tuple(row) for row in due) == [("market", MUG), ("shop", MUG)]


def test_what_counts_of_a_channel_is_every_field_that_changes_numbers() -> None:
    """A new field of ChannelSetup must be put on one side or the other."""
    numbers = {"capabilities", "locations", "remotes", "paused", "drift"}
    modes, often = {"mode", "only_observe"}, {"poll", "poll_quiet", "tick", "sweep", "listings", "audit"}
    others = {"name", "connector", "by_sku", "hot_reads", "read_share", "guard", "kept"}
    assert set(ChannelSetup.__dataclass_fields__) == numbers | modes | often | others
