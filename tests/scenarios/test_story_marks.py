"""Stories of what puts a number on the agenda: whatever changes what it should show, whichever channel it is on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.util import await_only

from channelsync.domain.quantities import PositionKey
from channelsync.domain.rules import CountIncoming, Fixed, LastUnits, Rule, RuleScope, RuleValues
from channelsync.lab.stage import LOCATION
from channelsync.runtime.first_look import look_before_publishing
from channelsync.store import agenda, ledger, rules, runs
from channelsync.store.database_errors import DatabaseConflict, DatabaseUnavailable
from channelsync.store.items import item_id
from channelsync.sync import rule_changes
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.rule_changes import change_rule, plain_rule, rule_id
from channelsync.sync.setup_changes import affected_by, mark_changed
from channelsync.sync.stock import By, Place
from channelsync.sync.stock_incoming import expect
from channelsync.sync.switches import change_channel
from channelsync.sync.undo import undo

SET = {"set": {"tea": 2, "cup": 1}}
EVERYTHING = RuleScope()
THE_TEA = RuleScope(item=item_id("tea"))
PLACES = ("main", "outlet")


async def says(world: Any, scope: RuleScope, **values: Any) -> None:
    """`channelsync rules set`; the daemon has not heard of it yet."""
    agent, now = world.agent, world.clock.now()
    rule = Rule(rule_id(scope, ()), scope, RuleValues(**values), "a command")
    await agent.database.transact(
        lambda c: change_rule(c, agent.setup, rule.id, plain_rule(rule), run=agent.run, now=now)
    )


async def ruled(world: Any, scope: RuleScope, **values: Any) -> None:
    """A command said so, and the daemon heard of it."""
    await says(world, scope, **values)
    assert await rule_changes.refresh_rules(world.agent)


async def switches(world: Any, name: str, **switched: Any) -> None:
    """`channelsync channels ...`."""
    agent, now = world.agent, world.clock.now()
    await agent.database.transact(lambda c: change_channel(c, name, switched, run=agent.run, now=now))


def its_own_numbers(connection: Connection, now: datetime) -> None:
    """Of all channels only the market is looked at."""
    agenda.mark_channel_due(connection, "market", now)


# The configuration


@pytest.mark.fails_without("sync.review.digest_of", lambda setup, channel: "as before")
@pytest.mark.fails_without("store.agenda.mark_all_due", lambda connection, now: None)
async def test_a_configuration_that_is_another_one_after_a_restart_is_followed(open_world) -> None:
    world = await open_world(["shop", "market"])
    await look_before_publishing(world.agent, None)
    await world.lives(15)
    assert world.shown() == [10, 10]
    world.rule(channel="shop", buffer=Fixed(3))  # while no daemon ran
    await look_before_publishing(world.agent, None)
    await world.lives(15)
    assert world.shown() == [7, 10]


@pytest.mark.fails_without("store.agenda.mark_all_due", its_own_numbers)
async def test_other_locations_of_a_channel_are_followed_by_those_that_rules_leave_what_it_does_not_show(
    open_world,
) -> None:
    world = await open_world(["shop", "market"], 4, channel={"locations": ("main",)}, locations=PLACES)
    await world.receives(5, location="outlet")
    await ruled(world, EVERYTHING, last_units=LastUnits(5, ("market",)))
    await world.lives(5)
    assert world.shown() == [0, 4]
    agent, before, now = world.agent, world.agent.setup, world.clock.now()
    market = replace(before.channels["market"], locations=PLACES)
    agent.setup = after = replace(before, channels={**before.channels, "market": market})
    world.channel("market").setup = market
    found = affected_by(before, after, {})
    await agent.database.transact(lambda c: mark_changed(c, before, after, found, now))
    await world.lives(5)
    assert world.shown() == [4, 9]


# Rules


@pytest.mark.fails_without("sync.setup.Setup.shown_by", lambda setup, item: frozenset({item}))
async def test_a_rule_on_a_part_is_followed_by_its_bundles(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 10, "cup": 9}, recipes=SET)
    assert (world.shown("tea"), world.shown("set")) == ([10, 10], [5, 5])
    await ruled(world, RuleScope(item=item_id("tea"), channel="market"), ring_fenced=6)
    await world.lives(5)
    assert (world.shown("tea"), world.shown("set")) == ([4, 10], [2, 5])


@pytest.mark.fails_without("sync.setup.Setup.shown_by", lambda setup, item: frozenset({item}))
async def test_a_rule_on_the_class_of_a_part_is_followed_by_its_bundles(open_world) -> None:
    classes = {item_id("tea"): "scarce"}
    world = await open_world(["shop", "market"], {"tea": 4, "cup": 9}, recipes=SET, classes=classes)
    await ruled(world, RuleScope(sku_class="scarce"), last_units=LastUnits(5, ("market",)))
    await world.lives(5)
    assert (world.shown("tea"), world.shown("set")) == ([0, 4], [0, 2])


@pytest.mark.fails_without("store.agenda.items_of_listing", lambda connection, listing: set())
@pytest.mark.fails_without("sync.setup.Setup.shown_by", lambda setup, item: frozenset({item}))
async def test_a_rule_on_a_listing_of_a_part_is_followed_by_its_bundles(open_world) -> None:
    world = await open_world(["shop", "market"], {"tea": 10, "cup": 9}, recipes=SET)
    await ruled(world, RuleScope(listing="market-tea"), ring_fenced=6)
    await world.lives(5)
    assert (world.shown("tea"), world.shown("set")) == ([4, 10], [2, 5])


@pytest.mark.fails_without("store.agenda.mark_all_due", its_own_numbers)
async def test_a_rule_that_leaves_other_locations_to_the_keeper_of_the_last_units_is_followed_by_the_others(
    open_world,
) -> None:
    world = await open_world(["shop", "market"], 4, channel={"locations": ("main",)}, locations=PLACES)
    await world.receives(5, location="outlet")
    await ruled(world, EVERYTHING, last_units=LastUnits(5, ("market",)))
    await world.lives(5)
    assert world.shown() == [0, 4]
    await ruled(world, RuleScope(channel="market"), locations=PLACES)
    await world.lives(5)
    assert world.shown() == [4, 9]


def believed_at_once(original: Any) -> Any:
    """The new rules hold, whether anybody was told of them or not."""

    async def refresh(agent: Any) -> bool:
        try:
            return bool(await original(agent))
        finally:
            agent.setup = replace(agent.setup, stored_rules=await agent.database.query(rules.stored_rules))

    return refresh


@pytest.mark.fails_without("sync.rule_changes.refresh_rules", around=believed_at_once)
async def test_a_rule_of_which_nobody_can_be_told_at_once_is_told_of_later(
    open_world, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world(["shop", "market"])
    await says(world, RuleScope(channel="shop"), buffer=Fixed(3))
    await world.tick()  # before the daemon has heard of it

    def fails(*arguments: Any) -> None:
        raise DatabaseUnavailable("for a moment")

    with monkeypatch.context() as broken:
        broken.setattr(rule_changes, "mark_affected", fails)
        with pytest.raises(DatabaseUnavailable):
            await rule_changes.refresh_rules(world.agent)
    await rule_changes.refresh_rules(world.agent)
    await world.lives(5)
    assert world.shown() == [7, 10]


# Holidays


@pytest.mark.fails_without("store.agenda.mark_all_due", its_own_numbers)
async def test_the_last_units_go_to_the_others_while_their_keeper_is_on_holiday(open_world) -> None:
    world = await open_world(["shop", "market"], 3)
    await ruled(world, THE_TEA, last_units=LastUnits(3, ("market",)))
    await world.lives(5)
    assert world.shown() == [0, 3]
    await switches(world, "market", zeroed=True)
    await world.lives(5)
    assert world.shown() == [3, 0]
    await switches(world, "market", zeroed=False)
    await world.lives(5)
    assert world.shown() == [0, 3]


@pytest.mark.fails_without("store.agenda.mark_all_due", its_own_numbers)
async def test_a_ring_fence_holds_again_when_the_holiday_of_its_channel_ends(open_world) -> None:
    world = await open_world(["shop", "market"], 3)
    await switches(world, "market", zeroed=True)
    await ruled(world, RuleScope(channel="market"), ring_fenced=2)
    await world.lives(5)
    assert world.shown() == [3, 0]
    await switches(world, "market", zeroed=False)
    await world.tick("shop")
    assert world.shown() == [1, 0]
    await world.lives(5)
    assert world.shown() == [1, 3]


# What a listing means, and whose it is


def of_itself_alone(original: Callable[..., None]) -> Any:
    """What a listing showed before concerns nobody else."""

    def restart(mapping: Any, *arguments: Any) -> None:
        original(mapping, *arguments)
        mapping.left = set()

    return restart


@pytest.mark.fails_without("sync.listings_map._Mapping.restart", around=of_itself_alone)
async def test_the_last_units_go_to_the_others_when_the_listing_of_their_keeper_is_unmapped(open_world) -> None:
    world = await open_world(["shop", "market"], 3)
    await ruled(world, THE_TEA, last_units=LastUnits(3, ("market",)))
    await world.lives(5)
    assert world.shown() == [0, 3]
    agent, now, wanted = world.agent, world.clock.now(), [Wanted("market", "market-tea", None)]
    await agent.database.transact(lambda c: map_listings(c, agent.setup, wanted, by="story", run=agent.run, now=now))
    await world.lives(5)
    assert world.shows("shop") == 3


@pytest.mark.fails_without("sync.listings_map._Mapping.restart", around=of_itself_alone)
async def test_the_last_units_go_to_the_others_when_the_listing_of_their_keeper_means_something_else(
    open_world,
) -> None:
    world = await open_world(["shop", "market"], {"tea": 3, "cup": 30})
    await ruled(world, THE_TEA, last_units=LastUnits(3, ("market",)))
    await world.lives(5)
    assert world.shown() == [0, 3]
    await world.maps("market", "market-tea", "cup")
    await world.lives(5)
    assert world.shown() == [3, 30]


def unnoticed(original: Callable[..., set[str]]) -> Any:
    """Nobody hears whose number it is now."""

    def save(*arguments: Any) -> set[str]:
        original(*arguments)
        return set()

    return save


@pytest.mark.fails_without("store.listings.save_listings", around=unnoticed)
async def test_the_last_units_go_to_the_others_while_the_channel_of_their_keeper_fulfils_its_listing(
    open_world,
) -> None:
    world = await open_world(["shop", "market"], 3)
    await ruled(world, THE_TEA, last_units=LastUnits(3, ("market",)))
    await world.lives(5)
    assert world.shown() == [0, 3]
    offer = world.market("market").offers["market-tea"]
    offer.own = False
    await world.pulls("market")
    await world.lives(5)
    assert world.shows("shop") == 3
    offer.own = True
    await world.pulls("market")
    await world.lives(5)
    assert world.shown() == [0, 3]


# Units on their way


def untold(original: Callable[..., bool]) -> Any:
    """Nobody hears of what is on its way after all."""
    nobody = SimpleNamespace(shown_by=lambda item: frozenset())
    return lambda connection, setup, by, change: original(connection, nobody, by, change)


@pytest.mark.fails_without("sync.undo_changes.restore", around=untold)
async def test_units_that_are_not_on_their_way_after_all_are_offered_no_more(open_world) -> None:
    world = await open_world(["shop", "market"], 2)
    await ruled(world, RuleScope(channel="shop"), preorder_from_incoming=CountIncoming())
    agent, place = world.agent, Place("tea", PositionKey(item_id("tea"), LOCATION))

    async def command(run: str, does: Callable[[Connection, By], object]) -> None:
        by = By(actor="user:story", run=run, now=world.clock.now())

        def unit(connection: Connection) -> None:
            runs.begin_run(connection, run, "stock", "user", {}, by.now)
            does(connection, by)

        await agent.database.transact(unit)

    await command("expected", lambda c, by: expect(c, agent.setup, by, place, 8, reference="po-1"))
    await world.lives(5)
    assert world.shown() == [10, 2]
    await command("undone", lambda c, by: undo(c, agent.setup, by, "expected"))
    await world.lives(5)
    assert world.shown() == [2, 2]


# What others change while a publisher waits for its locks


def meanwhile(monkeypatch: pytest.MonkeyPatch, world: Any, does: Callable[[Connection], object]) -> None:
    """Another process does this just before the next publisher gets the positions that it asks for."""
    keeping = ledger.keep_positions

    def keep(*arguments: Any) -> Any:
        monkeypatch.setattr(ledger, "keep_positions", keeping)
        await_only(world.agent.database.transact(does))
        return keeping(*arguments)

    monkeypatch.setattr(ledger, "keep_positions", keep)


def without_a_number(original: Any) -> Any:
    """What was mapped anew meanwhile is taken to need nothing."""

    def targets(*arguments: Any) -> Any:
        try:
            return original(*arguments)
        except DatabaseConflict:
            return {}

    return targets


@pytest.mark.postgresql
@pytest.mark.parametrize("story_url", ["postgresql"], indirect=True)
@pytest.mark.fails_without("sync.decide_writes._locked_targets", around=without_a_number)
async def test_a_mapping_that_is_made_while_a_publisher_waits_for_its_locks_is_followed(
    open_world, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world(["shop", "market"], {"tea": 10, "cup": 4})
    await world.receives(-2)  # so the number is due anyway
    agent, now, wanted = world.agent, world.clock.now(), [Wanted("shop", "shop-tea", item_id("cup"))]
    meanwhile(
        monkeypatch,
        world,
        lambda c: map_listings(c, agent.setup, wanted, by="story", run=agent.run, now=now),
    )
    await world.tick("shop")
    await world.lives(5)
    assert world.shown() == [4, 8]


def as_it_began(original: Any) -> Any:
    """A transaction knows the switches as they were when it first looked."""
    known: dict[Connection, Any] = {}

    def states(connection: Connection) -> Any:
        return known.setdefault(connection, original(connection))

    return states


@pytest.mark.postgresql
@pytest.mark.parametrize("story_url", ["postgresql"], indirect=True)
@pytest.mark.fails_without("store.channels.channel_states", around=as_it_began)
async def test_a_channel_that_goes_live_while_a_publisher_waits_for_its_locks_is_written_to(
    open_world, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await open_world(["shop", "market"])
    await switches(world, "shop", mode="observe")
    await world.lives(5)
    await world.receives(-2)
    await world.lives(5)
    assert world.shown() == [10, 8]
    await world.receives(0)
    agent, now = world.agent, world.clock.now()
    meanwhile(monkeypatch, world, lambda c: change_channel(c, "shop", {"mode": ""}, run=agent.run, now=now))
    await world.tick("shop")
    await world.lives(5)
    assert world.shown() == [8, 8]
