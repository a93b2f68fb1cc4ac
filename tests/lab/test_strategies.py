"""The comparison itself: the same buyers for all, stories that do not touch one another, and what pays."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
import structlog

from channelsync.lab import strategies_world
from channelsync.lab.buyers import send_buyers
from channelsync.lab.strategies import ABSOLUTE_SET, MORE, STRATEGIES, Outcome, Strategy, Terms, buyers_of
from channelsync.lab.strategies_report import play_batch
from channelsync.lab.trading_day import PlannedOrder
from channelsync.sync.understand_reads import _Reading

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)
TERMS = Terms()
WATERMARK = Strategy(way="watermark")
HOT = Strategy(way="watermark", hot_reads=True)
SOME = range(24)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The agent tells of every call."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.configure(**before)


@cache
def played(strategy: Strategy) -> list[Outcome]:
    return play_batch(strategy, SOME, TERMS, 1)


def oversold(outcomes: Iterable[Outcome]) -> int:
    return sum(outcome.oversold for outcome in outcomes)


def test_there_are_five_ways_each_with_and_without_last_units_and_three_on_request() -> None:
    names = [strategy.name for strategy in STRATEGIES]
    ways = ["absolute_set", "delta", "fixed_buffer", "watermark", "watermark_hot_reads"]
    assert names == [*ways, *(f"{way}_last_units" for way in ways)]
    more = [strategy.name for strategy in MORE]
    hot = "watermark_hot_reads"
    assert more == ["watermark_compare_and_set", f"{hot}_compare_and_set", f"{hot}_new_item"]


def test_a_storys_buyers_depend_on_its_number_and_the_seed_alone() -> None:
    buyers = buyers_of(7, TERMS, NOON, 1)
    assert buyers == buyers_of(7, TERMS, NOON, 1)
    times = [order.placed_at for order in buyers]
    assert times != [order.placed_at for order in buyers_of(8, TERMS, NOON, 1)]
    assert times != [order.placed_at for order in buyers_of(7, TERMS, NOON, 2)]
    assert times == sorted(times)
    assert max(times) < NOON + TERMS.lasts


def test_buyers_come_as_often_and_where_the_terms_say() -> None:
    orders = [order for story in range(200) for order in buyers_of(story, TERMS, NOON, 1)]
    assert len(orders) / 200 == pytest.approx(120, rel=0.02)
    for name, share in TERMS.shares.items():
        assert sum(order.marketplace == name for order in orders) / len(orders) == pytest.approx(share, abs=0.01)


def test_the_same_buyers_come_to_every_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[list[PlannedOrder]] = []

    async def seen(orders: list[PlannedOrder], *rest: object) -> None:
        came.append(orders)
        await send_buyers(orders, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(strategies_world, "send_buyers", seen)
    terms = Terms(lasts=timedelta(minutes=5))
    for strategy in (*STRATEGIES, *MORE):
        play_batch(strategy, range(3), terms, 1)
    assert len(came) == len(STRATEGIES) + len(MORE)
    assert came[0]
    assert all(orders == came[0] for orders in came)


@pytest.mark.parametrize("strategy", [ABSOLUTE_SET, HOT], ids=lambda strategy: strategy.name)
def test_the_same_stories_end_the_same_every_time(strategy: Strategy) -> None:
    terms = Terms(units=12)
    assert play_batch(strategy, range(2), terms, 4) == play_batch(strategy, range(2), terms, 4)


@pytest.mark.parametrize("strategy", STRATEGIES[:5], ids=lambda strategy: strategy.name)
def test_a_story_among_many_ends_as_it_does_alone(strategy: Strategy) -> None:
    (alone,) = play_batch(strategy, range(17, 18), TERMS, 1)
    among = played(strategy)[17]
    assert replace(alone, key_reads=0) == replace(among, key_reads=0)
    assert alone.key_reads == pytest.approx(among.key_reads, rel=0.1, abs=5)


def test_the_watermark_oversells_less_than_absolute_set_and_delta_and_leaves_nothing() -> None:
    assert oversold(played(Strategy(way="delta"))) < oversold(played(ABSOLUTE_SET))
    assert oversold(played(WATERMARK)) <= 0.6 * oversold(played(ABSOLUTE_SET))
    assert all(outcome.unsold == 0 == outcome.turned_away for outcome in played(WATERMARK))


def test_hot_reads_pay_and_without_them_it_is_worse() -> None:
    assert oversold(played(HOT)) <= 0.2 * oversold(played(ABSOLUTE_SET))
    assert oversold(played(HOT)) < oversold(played(WATERMARK))
    assert all(outcome.unsold == 0 == outcome.turned_away for outcome in played(HOT))
    reads = [outcome.key_reads for outcome in played(HOT)]
    assert sum(reads) > sum(outcome.key_reads for outcome in played(WATERMARK)) > 0


def test_units_of_unseen_orders_that_are_not_held_are_oversold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Reading, "_hold", lambda *_: None)
    sabotaged = play_batch(HOT, SOME, TERMS, 1)
    assert oversold(sabotaged) > 3 * max(1, oversold(played(HOT)))


def test_what_ends_the_seller_ends_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug in a loop")

    monkeypatch.setattr(strategies_world, "run_channel", broken)
    with pytest.raises(ExceptionGroup) as caught:
        play_batch(HOT, range(2), TERMS, 1)
    assert caught.group_contains(RuntimeError, match="a bug in a loop")
