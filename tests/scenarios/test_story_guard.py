"""Stories of the guard: what one run would change too much of a channel is held there, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from channelsync.domain.guard import GuardLimits
from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.store import plans
from channelsync.store.items import item_id
from channelsync.sync import approvals
from channelsync.sync.catch_up import mark_restored
from channelsync.sync.guard import Guarded, HeldPlan, guard_run, with_stored_rules
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.rule_changes import change_rule, plain_rule, refresh_rules
from channelsync.sync.stock import place
from channelsync.sync.stock_import import How, import_rows
from channelsync.sync.stock_import_file import read_file
from channelsync.sync.stock_import_rows import Declared
from channelsync.sync.stock_moves import Receipt, receive
from channelsync.sync.switches import change_channel

SKUS = [f"sku-{number:02}" for number in range(20)]
LIMITS = GuardLimits(listings=0.2, zeroed=0.1, units=0.5, least=3)


def nothing(*arguments: Any, **named: Any) -> None:
    """Does nothing."""


def imported(world: Any, run: str, numbers: Mapping[str, int]) -> Any:
    """Importing a file of physical numbers, and its guard."""

    def work(connection: Any) -> list[HeldPlan]:
        agent, now = world.agent, world.clock.now()
        rows = "".join(f"{sku},{units}\n" for sku, units in numbers.items())
        file = read_file(f"{run}.csv", f"sku,units\n{rows}".encode())
        how = How(declared=Declared(basis="physical", as_of=now, location="main"))
        touched: set[str] = set()
        import_rows(connection, agent.setup, world.by(run), file, how, touched)
        return guard_run(connection, agent.setup, agent.measures, Guarded(run=run, now=now, items=touched))

    return work


async def imports(world: Any, run: str, numbers: Mapping[str, int]) -> list[HeldPlan]:
    """A file of physical numbers is imported, as `channelsync stock import` does it."""
    held: list[HeldPlan] = await world.as_run(run, imported(world, run, numbers))
    return held


async def decides(world: Any, run: str, plan: str, how: str = "approve") -> Any:
    """The seller approves, rejects, or rejects and undoes."""
    agent = world.agent

    def work(connection: Any) -> Any:
        said = (connection, agent.setup, agent.measures, world.by(run), plan)
        return approvals.approve(*said) if how == "approve" else approvals.reject(*said, undoing=how == "undo")

    return await world.as_run(run, work)


async def plan_of(world: Any, name: str) -> Any:
    return await world.agent.database.query(lambda c: plans.get_plan(c, name))


def shows(world: Any, name: str) -> set[int]:
    """The numbers that a marketplace shows, of all SKUs."""
    return {world.shows(name, sku) for sku in SKUS}


async def guarded_world(open_world: Any) -> Any:
    """Twenty SKUs of 8 units each on two marketplaces; the shop is guarded."""
    world = await open_world(["shop", "market"], dict.fromkeys(SKUS, 8))
    channels = {**world.agent.setup.channels}
    channels["shop"] = replace(channels["shop"], guard=LIMITS)
    world.agent.setup = replace(world.agent.setup, channels=channels)
    return world


@pytest.mark.fails_without("sync.guard.beyond", lambda *arguments: ())
async def test_a_file_with_shifted_columns_is_held_on_the_guarded_channel_alone(open_world) -> None:
    world = await guarded_world(open_world)
    held = await imports(world, "r-shifted", dict.fromkeys(SKUS, 8000))
    assert [(one.channel, one.listings, one.zeroed) for one in held] == [("shop", 20, 0)]
    await world.lives(4)
    assert shows(world, "shop") == {8}
    assert shows(world, "market") == {8000}
    assert await world.available("sku-03") == 8000
    assert [one.kind for one in await world.found()] == ["held for approval"]
    number = next(one for one in (await world.explained(sku="sku-03")).numbers if one.channel == "shop")
    assert f"held by plan {held[0].id} of run r-shifted" in number.steps[-1].why


@pytest.mark.fails_without("sync.holds.held_offer", lambda hold, taken, target: hold.before)
async def test_what_orders_take_leaves_a_held_channel_too(open_world) -> None:
    world = await guarded_world(open_world)
    await imports(world, "r-shifted", dict.fromkeys(SKUS, 8000))
    await world.lives(2)
    world.sells("market", 3, "sku-00")
    world.sells("shop", 1, "sku-01")
    await world.poll()
    await world.lives(3)
    assert (world.shows("shop", "sku-00"), world.shows("shop", "sku-01")) == (5, 7)
    assert world.shows("shop", "sku-02") == 8


async def test_what_a_drop_holds_provisionally_leaves_a_held_channel_too(open_world) -> None:
    world = await guarded_world(open_world)
    await imports(world, "r-zero", dict.fromkeys(SKUS, 0))
    world.sells("market", 3, "sku-00")
    await world.sweeps("market")
    assert await world.held() == [3]
    await world.tick("shop")
    assert world.shows("shop", "sku-00") == 5


@pytest.mark.fails_without("sync.guard.beyond", lambda *arguments: ())
async def test_a_file_of_the_wrong_location_zeroes_nothing_until_somebody_has_looked(open_world) -> None:
    world = await guarded_world(open_world)
    held = await imports(world, "r-wrong-place", dict.fromkeys(SKUS, 0))
    assert [(one.channel, one.listings, one.zeroed) for one in held] == [("shop", 20, 20)]
    await world.lives(3)
    assert (shows(world, "shop"), shows(world, "market")) == ({8}, {0})


@pytest.mark.fails_without("sync.approvals.as_planned", lambda *arguments, **named: True)
async def test_an_approved_plan_goes_out_less_what_the_world_has_overtaken(open_world) -> None:
    world = await guarded_world(open_world)
    (held,) = await imports(world, "r-big", dict.fromkeys(SKUS, 100))
    world.sells("market", 2, "sku-00")
    await world.poll()

    def arrives(connection: Any) -> Any:
        setup, said = world.agent.setup, world.by("r-receipt")
        receive(connection, setup, said, Receipt(place=place(connection, setup, "sku-01", "main"), units=50, at=None))
        guarded = Guarded(run="r-receipt", now=said.now, relative=True)
        return guard_run(connection, setup, world.agent.measures, guarded)

    assert await world.as_run("r-receipt", arrives) == []
    await world.lives(2)
    assert (world.shows("shop", "sku-00"), world.shows("shop", "sku-01")) == (6, 8)

    done = await decides(world, "r-yes", held.id)
    assert (done.released, [(one.sku, one.planned, one.now) for one in done.overtaken]) == (19, [("sku-01", 100, 150)])
    assert done.again == []
    await world.lives(4)
    assert (world.shows("shop", "sku-00"), world.shows("shop", "sku-01")) == (98, 150)
    assert {world.shows("shop", sku) for sku in SKUS[2:]} == {100}
    assert await world.found() == []
    decided = await plan_of(world, held.id)
    assert (decided.state, decided.decided_by, decided.decided_run) == ("approved", "user:seller", "r-yes")


@pytest.mark.fails_without("sync.approvals._Deciding._judge", lambda *arguments: [])
async def test_what_was_overtaken_by_too_much_waits_anew(open_world) -> None:
    world = await guarded_world(open_world)
    (held,) = await imports(world, "r-big", dict.fromkeys(SKUS, 100))

    def arrive(connection: Any) -> Any:
        setup, said = world.agent.setup, world.by("r-receipts")
        for sku in SKUS[:10]:
            wanted = Receipt(place=place(connection, setup, sku, "main"), units=50, at=None)
            receive(connection, setup, said, wanted)
        guarded = Guarded(run="r-receipts", now=said.now, relative=True)
        return guard_run(connection, setup, world.agent.measures, guarded)

    await world.as_run("r-receipts", arrive)
    done = await decides(world, "r-yes", held.id)
    assert (done.released, len(done.overtaken), [one.listings for one in done.again]) == (10, 10, [10])
    await world.lives(3)
    assert {world.shows("shop", sku) for sku in SKUS[:10]} == {8}
    assert {world.shows("shop", sku) for sku in SKUS[10:]} == {100}


@pytest.mark.fails_without("sync.approvals.undo_guarded", lambda *arguments: (None, []))
async def test_a_rejected_plan_stays_held_until_its_run_is_undone(open_world) -> None:
    world = await guarded_world(open_world)
    (held,) = await imports(world, "r-shifted", dict.fromkeys(SKUS, 8000))
    await decides(world, "r-no", held.id, "reject")
    await world.lives(2)
    assert (shows(world, "shop"), shows(world, "market")) == ({8}, {8000})
    assert await world.found() == []
    world.sells("market", 1, "sku-00")
    await world.poll()
    await decides(world, "r-back", held.id, "undo")
    await world.lives(4)
    assert (world.shows("shop", "sku-00"), world.shows("market", "sku-00")) == (7, 7)
    assert {world.shows(name, sku) for name in ("shop", "market") for sku in SKUS[1:]} == {8}
    assert (await plan_of(world, held.id)).held == 0


@pytest.mark.fails_without("sync.guard.Judging.again", nothing)
async def test_a_corrected_file_takes_the_place_of_the_one_that_is_held(open_world) -> None:
    world = await guarded_world(open_world)
    (held,) = await imports(world, "r-shifted", dict.fromkeys(SKUS, 8000))
    right = dict.fromkeys(SKUS, 8) | {"sku-05": 20}
    assert await imports(world, "r-right", right) == []
    await world.lives(3)
    assert {sku: world.shows("shop", sku) for sku in SKUS} == right
    assert (await plan_of(world, held.id)).state == "settled"
    assert await world.found() == []


@pytest.mark.fails_without("domain.guard.Decimal", lambda share: 0)
async def test_a_run_within_the_limits_goes_out_at_once(open_world) -> None:
    world = await guarded_world(open_world)
    assert await imports(world, "r-few", dict.fromkeys(SKUS[:4], 9)) == []
    await world.lives(2)
    assert {world.shows("shop", sku) for sku in SKUS[:4]} == {9}
    assert len(await imports(world, "r-more", dict.fromkeys(SKUS[:5], 11))) == 1


@pytest.mark.fails_without("sync.guard.beyond", lambda *arguments: ())
async def test_orders_that_sell_everything_out_are_never_held(open_world) -> None:
    world = await guarded_world(open_world)
    for sku in SKUS:
        world.sells("market", 8, sku)
    await world.poll()
    await world.lives(2)
    assert shows(world, "shop") == {0}
    held = await imports(world, "r-receipt", dict.fromkeys(SKUS, 30))
    assert [one.listings for one in held] == [20]


async def test_a_held_channel_that_is_stopped_gets_no_lowering(open_world) -> None:
    world = await guarded_world(open_world)
    await imports(world, "r-shifted", dict.fromkeys(SKUS, 8000))
    await world.as_run(
        "r-stop", lambda c: change_channel(c, "shop", {"stop": "all"}, run="r-stop", now=world.clock.now())
    )
    world.sells("market", 3, "sku-00")
    await world.poll()
    await world.lives(2)
    assert world.shows("shop", "sku-00") == 8


@pytest.mark.fails_without("sync.guard.beyond", lambda *arguments: ())
async def test_a_rule_that_hides_everything_waits_for_approval(open_world) -> None:
    world = await guarded_world(open_world)

    def ruled(connection: Any) -> list[HeldPlan]:
        before, now = world.agent.setup, world.clock.now()
        rule = Rule("r-all", RuleScope(), RuleValues(buffer=Fixed(8)), "the story")
        change_rule(connection, before, "r-all", plain_rule(rule), run="r-rule", now=now)
        after = with_stored_rules(connection, before)
        guarded = Guarded(run="r-rule", now=now, items=None, before=before)
        return guard_run(connection, after, world.agent.measures, guarded)

    held = await world.as_run("r-rule", ruled)
    assert [(one.channel, one.zeroed) for one in held] == [("shop", 20)]
    await refresh_rules(world.agent)
    await world.lives(3)
    assert (shows(world, "shop"), shows(world, "market")) == ({8}, {0})
    await decides(world, "r-yes", held[0].id)
    await world.lives(2)
    assert shows(world, "shop") == {0}


@pytest.mark.fails_without("sync.approvals._Deciding.judged", lambda *arguments: None)
async def test_mappings_that_would_move_everything_wait_though_each_transaction_moves_little(open_world) -> None:
    world = await guarded_world(open_world)
    for sku in SKUS:
        await world.as_run("r-0", lambda c, sku=sku: maps(world, c, "r-0", [Wanted("shop", f"shop-{sku}", None)]))
        world.edits("shop", 3, sku)
    world.passes(minutes=1)
    await world.pulls("shop")
    for number in range(0, 20, 2):
        wanted = [Wanted("shop", f"shop-{sku}", item_id(sku)) for sku in SKUS[number : number + 2]]
        await world.as_run("r-match", lambda c, wanted=wanted: maps(world, c, "r-match", wanted))
        await world.tick("shop")
    agent = world.agent
    held = await agent.database.transact(
        lambda c: approvals.conclude(c, agent.setup, agent.measures, "r-match", world.clock.now())
    )
    assert [(one.channel, one.listings, one.units) for one in held] == [("shop", 20, 100)]
    await world.lives(3)
    assert shows(world, "shop") == {3}
    await decides(world, "r-yes", held[0].id)
    await world.lives(4)
    assert shows(world, "shop") == {8}


def maps(world: Any, connection: Any, run: str, wanted: Sequence[Wanted]) -> list[HeldPlan]:
    """One transaction of a run that maps listings."""
    agent, now = world.agent, world.clock.now()
    done = map_listings(connection, agent.setup, wanted, by="story", run=run, now=now)
    guarded = Guarded(run=run, now=now, shown=done.shown, gather=True)
    return guard_run(connection, agent.setup, agent.measures, guarded)


async def test_an_empty_catalogue_is_a_plan_and_its_approval_ends_the_listings(open_world) -> None:
    world = await guarded_world(open_world)
    shelf = world.market("shop")._shelf
    there, shelf.offers = shelf.offers, {}
    world.passes(minutes=1)
    await world.pulls("shop")
    (plan,) = await world.agent.database.query(lambda c: plans.list_plans(c, states=("open",)))
    assert (plan.kind, plan.counts["missing"]) == ("catalogue", 20)
    assert [one.kind for one in await world.found()] == ["catalogue shrank"]
    world.passes(minutes=5)
    await world.pulls("shop")
    done = await decides(world, "r-gone", plan.id)
    assert done.gone == 20
    assert sorted({one.kind for one in await world.found()}) == ["listing gone"]
    shelf.offers = there


async def test_a_run_that_cannot_be_judged_changes_nothing(open_world) -> None:
    world = await guarded_world(open_world)

    def killed(connection: Any) -> Any:
        imported(world, "r-shifted", dict.fromkeys(SKUS, 8000))(connection)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await world.as_run("r-shifted", killed)
    await world.lives(2)
    assert (shows(world, "shop"), shows(world, "market")) == ({8}, {8})
    assert await world.agent.database.query(plans.list_plans) == []


@pytest.mark.fails_without("sync.decide_writes.behind", lambda *arguments: ("", ""))
async def test_after_a_restore_nothing_is_pushed_before_the_orders_since_were_read(open_world) -> None:
    world = await guarded_world(open_world)
    world.sells("market", 3, "sku-00")
    await world.agent.database.transact(lambda c: mark_restored(c, world.clock.now()))
    await imports(world, "r-counted", {"sku-01": 12})
    world.wires["shop"].pushed.clear()
    await world.lives(3, poll=False)
    assert (world.wires["shop"].values, world.wires["market"].values) == ([], [])
    assert {one.kind for one in await world.found()} == {"catching up"}
    await world.poll("shop")
    await world.lives(2, poll=False)
    assert (world.shows("shop", "sku-01"), world.wires["market"].values) == (8, [])
    await world.poll("market")
    await world.lives(4, poll=False)
    assert (world.shows("shop", "sku-00"), world.shows("shop", "sku-01")) == (5, 12)
    assert (world.shows("market", "sku-00"), world.shows("market", "sku-01")) == (5, 12)
    assert await world.found() == []
    assert await world.held() == []
