"""What the day on four channels is judged by: how things are named, and how calls and wrong numbers are counted."""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from channelsync.lab.baskets import Basket, BasketLine, Day, DayCounts
from channelsync.lab.trading_day import Cancel, Edit, Return, Ship, TradingDay, plan_trading_day
from channelsync.sdk.contract import CANARY, ContractClock
from channelsync.store.codec import dump
from channelsync.store.tables import metadata
from vendor_day.buyers import buyers_in
from vendor_day.naming import in_words_of
from vendor_day.stalls import FEED_FROM, VendorStall, in_batches, open_stalls, patches_or_feed
from vendor_day.trouble import DOWN, outage_of, trouble_of
from vendor_day.watching import Watch
from vendor_day.wrong import Wrong

DAY = date(2017, 12, 23)
BEGINS = datetime(2017, 12, 23, tzinfo=UTC)

# Read when this file is imported: the suite clears our settings from the environment of each test.
_CONTRACTS = os.environ.get("CHANNELSYNC_CONTRACTS")  # noqa: TID251


@pytest.fixture(scope="module")
def stalls() -> Mapping[str, VendorStall]:
    if not _CONTRACTS:
        pytest.skip("set CHANNELSYNC_CONTRACTS to the folder of the vendors' contracts")
    return open_stalls(ContractClock(), seed=1, contracts=Path(_CONTRACTS))


@pytest.fixture(scope="module")
def drawn(stalls: Mapping[str, VendorStall]) -> TradingDay:
    """Two hundred baskets of three wares each."""
    baskets = tuple(
        Basket(
            f"b{n}",
            BEGINS + timedelta(minutes=7 * n),
            f"outlet {n % 9}",
            tuple(BasketLine(f"s{(n + k) % 11}", 1 + k) for k in range(3)),
        )
        for n in range(200)
    )
    return plan_trading_day(Day(DAY, baskets, DayCounts(200, 600, 11, 9), 0, 0), seed=1, marketplaces=list(stalls))


@pytest.fixture(scope="module")
def plan(stalls: Mapping[str, VendorStall], drawn: TradingDay) -> TradingDay:
    return in_words_of(stalls, drawn)


def test_every_channel_sells_and_nothing_of_the_plan_is_lost(
    stalls: Mapping[str, VendorStall], drawn: TradingDay, plan: TradingDay
) -> None:
    assert {order.marketplace for order in plan.orders} == set(stalls)
    assert [order.placed_at for order in plan.orders] == [order.placed_at for order in drawn.orders]
    assert len({(one.marketplace, one.listing_id) for one in plan.listings}) == len(drawn.listings)
    offered = {(one.marketplace, one.listing_id): one.contents for one in plan.listings}
    usual = {one.listing_id: one.contents for one in drawn.listings}
    for renamed, before in zip(plan.orders, drawn.orders, strict=True):
        assert [(offered[renamed.marketplace, one.listing_id], one.quantity) for one in renamed.lines] == [
            (usual[one.listing_id], one.quantity) for one in before.lines
        ]


def test_orders_and_lines_have_names_of_their_own(plan: TradingDay) -> None:
    assert len({(order.marketplace, order.order_id) for order in plan.orders}) == len(plan.orders)
    for name in ("amazon", "ebay"):
        lines = [line.line_id for order in plan.orders if order.marketplace == name for line in order.lines]
        assert len(set(lines)) == len(lines)


def test_what_follows_an_order_is_what_the_channel_tells_of(plan: TradingDay, drawn: TradingDay) -> None:
    def follows(name: str) -> set[type]:
        return {type(event) for order in plan.orders if order.marketplace == name for event in order.after}

    assert follows("shopify") == {Cancel, Edit, Ship, Return}
    assert follows("ebay") == follows("amazon") == {Cancel, Ship}
    parts = [
        e for o in plan.orders if o.marketplace == "woocommerce" for e in o.after if isinstance(e, Ship) and e.lines
    ]
    assert parts == []
    assert any(isinstance(e, Ship) and e.lines for o in drawn.orders if o.marketplace == "woocommerce" for e in o.after)
    for order in plan.orders:
        lines = {line.line_id for line in order.lines}
        assert all(event.line_id in lines for event in order.after if isinstance(event, Edit | Return))


def test_people_type_over_numbers_that_are_there(stalls: Mapping[str, VendorStall], plan: TradingDay) -> None:
    for name, stall in stalls.items():
        keys = {stall.names.key(one.listing_id) for one in plan.listings if one.marketplace == name}
        typed = {deed.key for deed in trouble_of(plan, DAY, stall, seed=1).deeds if deed.key is not None}
        assert typed
        assert typed <= keys


def test_one_channel_is_down_while_the_others_sell_most(plan: TradingDay) -> None:
    down = outage_of(plan)
    others = [order.placed_at for order in plan.orders if order.marketplace != DOWN]
    inside = sum(moment in down for moment in others)
    assert inside >= len(others) * (down.ends - down.starts) / (plan.ends_at() - BEGINS)


def test_calls_are_counted_in_full_batches() -> None:
    assert in_batches(25)([[True] * 3], 26) == 2
    assert in_batches(25)([[True] * 20, [False] * 5], 25) == 1


def test_amazons_lowerings_go_alone_and_many_raises_in_one_feed() -> None:
    assert patches_or_feed([[False, False], [True]], 3) == 3
    assert patches_or_feed([[False] * FEED_FROM], 99) == FEED_FROM
    assert patches_or_feed([[False, *[True] * FEED_FROM]], 99) == 2
    assert patches_or_feed([[True] * (FEED_FROM - 1), [True]], 99) == FEED_FROM


@pytest.mark.parametrize("told", [*CANARY, "canary@BIRDWHISTLE.example"])
def test_a_buyer_is_found_wherever_one_stands_in_the_database(told: str) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        metadata.create_all(connection)
        assert buyers_in(connection) == ()
        row = {"id": "r-1", "command": "run", "actor": "", "started_at": BEGINS, "outcome": "", "undone_by": ""}
        connection.execute(metadata.tables["run"].insert().values(**row, arguments=dump({"name": told})))
        (found,) = buyers_in(connection)
    assert found.startswith("run: ")
    engine.dispose()


def test_a_number_stands_wrong_while_neither_it_nor_what_it_should_be_changes() -> None:
    wrong = {"ebay": (Wrong("tea", 3, 2), Wrong("typed", 9, 2))}
    watch = Watch(lambda: wrong, {("ebay", "typed")})
    for hour, shown in ((0, 3), (1, 3), (2, 3), (3, 1), (4, 1)):
        wrong["ebay"] = (Wrong("tea", shown, 2), Wrong("typed", 9, 2))
        watch.look(BEGINS + timedelta(hours=hour))
    assert watch.longest == {"ebay": timedelta(hours=2)}
