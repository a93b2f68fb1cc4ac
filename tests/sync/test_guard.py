"""The guard on both databases: what is held, what held numbers show, and what decisions do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from channelsync.domain.guard import GuardLimits
from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.store import agenda, channels, keys, plans, runs
from channelsync.store.items import item_id
from channelsync.sync import approvals
from channelsync.sync.catch_up import behind, mark_restored
from channelsync.sync.compare_all import Step, compare_all
from channelsync.sync.guard import Guarded, HeldPlan, guard_rules, guard_run
from channelsync.sync.publish import publish_tick
from channelsync.sync.review import Review, digest_of, hold_drift, review, review_configuration
from channelsync.sync.rule_changes import change_rule, plain_rule
from channelsync.sync.stock import By, Refused, Worth, place
from channelsync.sync.stock_count import count
from channelsync.sync.stock_moves import Receipt, receive, write_off
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.targets import compute_targets

START = datetime(2026, 3, 1, tzinfo=UTC)
STRICT = GuardLimits(listings=0.0, zeroed=0.0, units=0.0, value=None, least=1)


@pytest.fixture
def guarded(open_seller: Any) -> Callable[..., Any]:
    """Opens a seller whose channels are guarded, unless told otherwise."""

    async def opened(*names: str, limits: GuardLimits | None = STRICT, **how: Any) -> Any:
        return await open_seller(*names, channel={"guard": limits}, **how)

    return opened


async def as_run(seller: Any, run: str, work: Callable[[Any, By], Any]) -> Any:
    """Something done as a run of its own, a second later."""
    await seller.clock.sleep(1)
    by = By(actor="user:seller", run=run, now=seller.clock.now())

    def unit(connection: Any) -> Any:
        runs.begin_run(connection, run, "a test's command", by.actor, {}, by.now)
        return work(connection, by)

    return await seller.database.transact(unit)


async def counts(seller: Any, run: str, units: int, sku: str = "MUG") -> list[HeldPlan]:
    """So many units are counted, as `channelsync stock count` does it."""

    def work(connection: Any, by: By) -> list[HeldPlan]:
        setup = seller.agent.setup
        count(connection, setup, by, place(connection, setup, sku, "main"), units)
        return guard_run(connection, setup, seller.agent.measures, Guarded(run=run, now=by.now, items={item_id(sku)}))

    held: list[HeldPlan] = await as_run(seller, run, work)
    return held


async def decides(seller: Any, run: str, plan: str, decide: Any = approvals.approve, **how: Any) -> Any:
    agent = seller.agent
    return await as_run(seller, run, lambda c, by: decide(c, agent.setup, agent.measures, by, plan, **how))


async def shown(seller: Any) -> dict[str, int]:
    """What the keys of a seller may show, by listing."""
    agent = seller.agent

    def query(connection: Any) -> dict[str, int]:
        found = compute_targets(connection, agent.setup, agent.measures, agenda.chosen_keys(connection))
        return {one.key.listing: one.units for one in found.values()}

    return await seller.database.query(query)


def buys(seller: Any, listing: str, units: int) -> None:
    """A buyer of the shop orders."""
    seller.shop().buy((seller.shop().items[listing], units))


async def settled(seller: Any) -> None:
    """Every number is as it should be, and was surveyed."""
    for channel in seller.agent.channels.values():
        await poll_orders(seller.agent, channel)
        await publish_tick(seller.agent, channel)
    await seller.clock.sleep(60)


async def test_a_held_raise_shows_the_number_before_until_it_is_approved(guarded: Any) -> None:
    seller = await guarded()
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    (held,) = await counts(seller, "r-1", 90)
    assert (held.listings, held.units, await shown(seller)) == (1, 82, {listing: 8})
    (row,) = await seller.database.query(
        lambda c: approvals.planned_keys(c, seller.agent.setup, seller.agent.measures, held.id)
    )
    assert (row.sku, row.before, row.planned, row.shows, row.now, row.state) == ("MUG", 8, 90, 8, 90, "held")
    assert (await decides(seller, "r-yes", held.id)).released == 1
    assert await shown(seller) == {listing: 90}
    assert await seller.findings() == []


async def test_a_write_off_lowers_what_is_held_and_a_receipt_does_not_raise_it(guarded: Any) -> None:
    seller = await guarded()
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    await counts(seller, "r-1", 90)

    def moves(connection: Any, by: By) -> list[HeldPlan]:
        setup = seller.agent.setup
        write_off(connection, setup, by, place(connection, setup, "MUG", "main"), 3)
        return guard_run(connection, setup, seller.agent.measures, Guarded(run=by.run, now=by.now, relative=True))

    assert await as_run(seller, "r-2", moves) == []
    assert await shown(seller) == {listing: 5}

    def arrives(connection: Any, by: By) -> list[HeldPlan]:
        setup = seller.agent.setup
        receive(connection, setup, by, Receipt(place=place(connection, setup, "MUG", "main"), units=2, at=None))
        return guard_run(connection, setup, seller.agent.measures, Guarded(run=by.run, now=by.now, relative=True))

    for run, left in (("r-3", 7), ("r-4", 8), ("r-5", 8)):
        assert await as_run(seller, run, arrives) == []
        assert await shown(seller) == {listing: left}


async def test_bundles_and_packs_lose_what_their_parts_lose(guarded: Any) -> None:
    seller = await guarded(recipes={"SET": {"MUG": 2}})
    await seller.has("MUG", 20)
    made = {}
    for sku, number, multiple in (("MUG", 20, 1), ("SET", 10, 1), ("MUG", 6, 3)):
        listing = await seller.lists(sku, number)
        await seller.pull()
        await seller.map(listing, sku, multiple)
        made[f"{sku}x{multiple}"] = listing
    await settled(seller)
    (held,) = await counts(seller, "r-1", 200)
    assert held.listings == 3
    buys(seller, made["SETx1"], 2)
    await poll_orders(seller.agent, seller.channel())
    assert await shown(seller) == {made["MUGx1"]: 16, made["SETx1"]: 8, made["MUGx3"]: 4}


async def test_units_above_a_maximum_are_used_up_before_a_held_number_falls(guarded: Any) -> None:
    seller = await guarded(rules=(Rule("#1", RuleScope(), RuleValues(maximum_shown=5), "test"),))
    listing = await seller.sells("MUG", 5, units=20)
    await settled(seller)
    await counts(seller, "r-1", 0)
    for left, number in ((5, 5), (5, 5), (5, 5), (3, 2)):
        seller.shop().items[listing].number = 5
        buys(seller, listing, number)
        await poll_orders(seller.agent, seller.channel())
        assert await shown(seller) == {listing: left}


async def test_a_second_count_takes_the_place_of_the_first_and_the_plan_is_settled(guarded: Any) -> None:
    seller = await guarded(limits=replace(STRICT, listings=None, units=0.5))
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    (held,) = await counts(seller, "r-1", 90)
    assert await counts(seller, "r-2", 10) == []
    assert await shown(seller) == {listing: 10}
    plan = await seller.database.query(lambda c: plans.get_plan(c, held.id))
    assert (plan.state, plan.held, plan.keys) == ("settled", 0, 1)
    with pytest.raises(Refused, match="settled already"):
        await decides(seller, "r-late", held.id)


async def test_two_runs_that_would_hold_one_number_at_once_come_one_after_the_other(
    guarded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has looked before the first has committed: it is repeated as a whole, and takes the number over."""
    seller = await guarded()
    await seller.sells("MUG", 8)
    await settled(seller)
    (first,) = await counts(seller, "run-a", 20)
    holding, early = plans.holding, [True]
    monkeypatch.setattr(plans, "holding", lambda c, ids: {} if early and early.pop() else holding(c, ids))
    (second,) = await counts(seller, "run-b", 30)
    states = {one.id: one.state for one in await seller.database.query(plans.list_plans)}
    assert states == {first.id: "settled", second.id: "open"}


async def test_a_count_of_what_is_shown_ends_the_hold(guarded: Any) -> None:
    seller = await guarded()
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    await counts(seller, "r-1", 90)
    assert await counts(seller, "r-2", 8) == []
    assert await shown(seller) == {listing: 8}
    assert await seller.findings() == []


async def test_a_run_is_judged_on_each_channel_by_its_own_limits(guarded: Any) -> None:
    seller = await guarded("shop", "market")
    channels_now = {**seller.agent.setup.channels}
    channels_now["market"] = replace(channels_now["market"], guard=None)
    seller.agent.setup = replace(seller.agent.setup, channels=channels_now)
    one = await seller.sells("MUG", 8)
    other = await seller.lists("MUG", 8, channel="market")
    await seller.pull("market")
    await seller.map(other, "MUG", channel="market")
    await settled(seller)
    (held,) = await counts(seller, "r-1", 0)
    assert (held.channel, held.zeroed) == ("shop", 1)
    assert await shown(seller) == {one: 8, other: 0}


async def test_value_is_judged_by_the_last_cost_of_a_unit(guarded: Any) -> None:
    seller = await guarded(limits=GuardLimits(listings=None, zeroed=None, units=None, value=0.5, least=1))
    for sku in ("MUG", "LAMP"):
        await seller.sells(sku, 10)
    await settled(seller)

    def arrives(connection: Any, by: By) -> list[HeldPlan]:
        setup = seller.agent.setup
        for sku, cost in (("MUG", "1.00"), ("LAMP", "100.00")):
            worth = Worth(unit_cost=Decimal(cost), currency="EUR")
            where = place(connection, setup, sku, "main")
            receive(connection, setup, by, Receipt(place=where, units=1, at=None, worth=worth))
        return guard_run(connection, setup, seller.agent.measures, Guarded(run=by.run, now=by.now, relative=True))

    assert await as_run(seller, "r-0", arrives) == []
    await settled(seller)
    assert await counts(seller, "r-1", 0, "MUG") == []
    (held,) = await counts(seller, "r-2", 0, "LAMP")
    assert held.reasons == ("1100.00 EUR of stock would move, 99% of 1111.00; the limit is 50%",)


async def test_a_rule_is_judged_against_the_rules_before_and_undone_lets_the_numbers_go(guarded: Any) -> None:
    seller = await guarded()
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    rule = Rule("r-all", RuleScope(), RuleValues(buffer=Fixed(6)), "test")

    def ruled(connection: Any, by: By) -> list[HeldPlan]:
        before = seller.agent.setup
        change_rule(connection, before, "r-all", plain_rule(rule), run=by.run, now=by.now)
        return guard_rules(connection, before, run=by.run, now=by.now)

    (held,) = await as_run(seller, "r-1", ruled)
    seller.agent.setup = replace(seller.agent.setup, stored_rules=(rule,))
    assert await shown(seller) == {listing: 8}
    done = await decides(seller, "r-no", held.id, approvals.reject, undoing=True)
    seller.agent.setup = replace(seller.agent.setup, stored_rules=())
    assert (done.undone.changes, done.again, await shown(seller)) == (1, [], {listing: 8})
    assert (await seller.database.query(lambda c: plans.get_plan(c, held.id))).held == 0


async def test_plans_that_are_not_there_or_over_are_refused(guarded: Any) -> None:
    seller = await guarded()
    await seller.sells("MUG", 8)
    await settled(seller)
    (held,) = await counts(seller, "r-1", 90)
    with pytest.raises(Refused, match="no plan 'p-nothing'"):
        await decides(seller, "r-2", "p-nothing")
    await decides(seller, "r-3", held.id, approvals.reject)
    with pytest.raises(Refused, match="rejected already by user:seller, in run r-3"):
        await decides(seller, "r-4", held.id, approvals.reject)
    assert (await decides(seller, "r-5", held.id)).released == 1


async def test_numbers_that_nothing_explains_are_held_by_a_comparison(guarded: Any) -> None:
    seller = await guarded()
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    await settled(seller)
    asked = Review(run="test", now=seller.clock.now())
    agent = seller.agent
    assert await seller.database.transact(lambda c: review(c, agent.setup, agent.measures, asked)) == []

    def begin(connection: Any) -> Any:
        return review_configuration(connection, agent.setup, agent.measures, asked)

    assert await seller.database.transact(begin) == []
    changed = (Rule("#1", RuleScope(), RuleValues(buffer=Fixed(5)), "test"),)
    agent.setup = replace(agent.setup, rules=changed)
    (held,) = await seller.database.transact(begin)
    assert (held.listings, held.units, await shown(seller)) == (1, 5, {listing: 8})
    assert await seller.database.transact(begin) == []
    state = await seller.database.query(channels.channel_states)
    assert state["shop"].reviewed == digest_of(agent.setup, "shop")


async def test_a_restored_database_writes_nothing_until_the_orders_of_all_channels_are_read(guarded: Any) -> None:
    seller = await guarded("shop", "market", limits=None)
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    now = seller.clock.now()
    assert await seller.database.transact(lambda c: mark_restored(c, now)) == ["market", "shop"]

    async def stops() -> dict[str, str]:
        states = await seller.database.query(channels.channel_states)
        return {name: behind(seller.agent.setup, states, name, now)[0] for name in ("shop", "market")}

    assert await stops() == {"shop": "all", "market": "all"}
    assert await seller.kinds() == ["catching up", "catching up"]
    await seller.clock.sleep(1)
    await poll_orders(seller.agent, seller.channel("shop"))
    assert await stops() == {"shop": "raises", "market": "all"}
    await poll_orders(seller.agent, seller.channel("market"))
    assert (await stops(), await seller.kinds()) == ({"shop": "", "market": ""}, [])
    records = await seller.database.query(lambda c: keys.load_keys(c, agenda.chosen_keys(c)))
    assert {one.listing: one.state.watermark for one in records.values()} == {listing: None}


async def test_a_poll_that_began_before_the_restore_ends_no_waiting(guarded: Any) -> None:
    seller = await guarded(limits=None)
    await settled(seller)
    await seller.database.transact(lambda c: mark_restored(c, seller.clock.now()))
    await seller.database.transact(
        lambda c: channels.save_channel(c, "shop", catch_up_since=seller.clock.now().replace(year=2030))
    )
    await poll_orders(seller.agent, seller.channel())
    assert await seller.kinds() == ["catching up"]


async def test_after_a_start_raises_wait_for_the_first_orders(guarded: Any) -> None:
    seller = await guarded("shop", "market", limits=None)
    for name in ("shop", "market"):
        await poll_orders(seller.agent, seller.channel(name))
    await seller.clock.sleep(60)
    seller.agent.setup = replace(seller.agent.setup, orders_since=seller.clock.now())

    async def stop(seconds: float = 0) -> str:
        states = await seller.database.query(channels.channel_states)
        await seller.clock.sleep(seconds)
        return behind(seller.agent.setup, states, "shop", seller.clock.now())[0]

    assert await stop() == "raises"
    await poll_orders(seller.agent, seller.channel("shop"))
    assert (await stop(), await stop(61)) == ("raises", "")
    await poll_orders(seller.agent, seller.channel("market"))
    assert await stop() == ""


async def test_a_nightly_comparison_puts_nothing_right_of_what_is_held(guarded: Any) -> None:
    seller = await guarded()
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    await settled(seller)
    agent = seller.agent
    agent.setup = replace(agent.setup, rules=(Rule("#1", RuleScope(), RuleValues(buffer=Fixed(5)), "test"),))

    def compared(connection: Any) -> list[Step]:
        now = seller.clock.now()
        return [step for page in compare_all(connection, agent.setup, agent.measures, now) for step in page.steps]

    wrong = await seller.database.query(compared)
    assert (len(wrong), list(await hold_drift(agent, "shop", wrong))) == (1, [])
    assert await shown(seller) == {listing: 8}
    assert await seller.database.query(compared) == []


async def test_a_plan_that_was_decided_is_taken_away_when_it_is_old_and_holds_nothing(guarded: Any) -> None:
    seller = await guarded()
    await seller.sells("MUG", 8)
    await settled(seller)
    (first,) = await counts(seller, "r-1", 90)
    await decides(seller, "r-yes", first.id)
    await settled(seller)
    (second,) = await counts(seller, "r-2", 300)
    await decides(seller, "r-no", second.id, approvals.reject)
    later = seller.clock.now() + timedelta(days=1)
    taken = [await seller.database.transact(lambda c: plans.forget_plan(c, later)) for _ in range(3)]
    left = await seller.database.query(plans.list_plans)
    assert (taken, [one.id for one in left]) == ([1, 0, 0], [second.id])
    assert await seller.database.transact(lambda c: plans.forget_plan(c, START)) == 0


async def test_a_shipment_takes_nothing_more_from_a_held_number_and_a_cancel_gives_it_back(guarded: Any) -> None:
    seller = await guarded()
    listing = await seller.sells("MUG", 8)
    await settled(seller)
    await counts(seller, "r-1", 90)
    shop = seller.shop()
    sales = [shop.buy((shop.items[listing], units)) for units in (2, 3)]
    await poll_orders(seller.agent, seller.channel())
    assert await shown(seller) == {listing: 3}
    shop.ship(sales[0], 2)
    shop.cancel(sales[1])
    await poll_orders(seller.agent, seller.channel())
    assert await shown(seller) == {listing: 6}
