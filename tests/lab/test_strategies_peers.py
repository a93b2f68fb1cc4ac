"""What the strategies do in stories made by hand, on real marketplaces of the lab, the agent among them."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from channelsync.lab import strategies_world
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.lab.stage import StagedListing, Wares
from channelsync.lab.strategies import ABSOLUTE_SET, RULES, Outcome, Strategy, Terms, sku_of
from channelsync.lab.strategies_peers import ByDifference, Showing
from channelsync.lab.strategies_world import play
from channelsync.lab.trading_day import PlannedLine, PlannedOrder
from channelsync.lab.virtual_time import run_virtual
from channelsync.sdk.values import (
    OrderLine,
    OrderPage,
    OrderSnapshot,
    OrderStatus,
    PushResult,
    QuantityKey,
    QuantityUpdate,
)

NOON = datetime(2017, 12, 23, 12, tzinfo=UTC)
DELTA = Strategy(way="delta")
BUFFER = Strategy(way="absolute_set", buffered=True)
WATERMARK = Strategy(way="watermark")
HOT = Strategy(way="watermark", hot_reads=True)
LAST_UNITS = [
    Strategy(way="absolute_set", last_units=True),
    Strategy(way="delta", last_units=True),
    Strategy(way="watermark", last_units=True),
    Strategy(way="watermark", last_units=True, compare_and_set=True),
]
Told = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The agent tells of every call."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.configure(**before)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Tells one story: (minute, marketplace) of every buyer, who wants one unit each, with so many units there.

    Orders of agora are polled at minute 0, 10, 20, of bazaar at 3, 13, 23, of corner at 6, 16, 26.
    """

    def tell(strategy: Strategy, units: int, *buyers: tuple[float, str]) -> Outcome:
        def planned(story: int, _terms: Terms, starts: datetime, _seed: int) -> list[PlannedOrder]:
            return [
                PlannedOrder(
                    f"order-{number}",
                    where,
                    starts + timedelta(minutes=minute),
                    (PlannedLine("1", f"{where}-{sku_of(story)}", 1),),
                    (),
                )
                for number, (minute, where) in enumerate(buyers)
            ]

        monkeypatch.setattr(strategies_world, "buyers_of", planned)
        terms = Terms(units=units, lasts=timedelta(minutes=30))
        (outcome,) = run_virtual(play(strategy, [0], terms, 1), start=NOON)
        return outcome

    return tell


def test_absolute_set_puts_a_sold_unit_back_on_sale_and_the_others_do_not(told: Told) -> None:
    buyers = [(4.2, "bazaar"), (5.2, "agora"), (11.5, "bazaar")]  # at 10 agora's order is known, bazaar's not before 13
    assert told(ABSOLUTE_SET, 2, *buyers).oversold == 1
    assert told(DELTA, 2, *buyers).oversold == 0
    assert told(WATERMARK, 2, *buyers).oversold == 0


def test_only_hot_reads_see_a_sale_of_which_nobody_told(told: Told) -> None:
    buyers = [(14.2, "bazaar"), (15.5, "corner")]  # bazaar tells at 23, and corner would be told then
    for strategy in (ABSOLUTE_SET, DELTA, WATERMARK):
        assert told(strategy, 1, *buyers).oversold == 1, strategy
    assert told(HOT, 1, *buyers).oversold == 0


def test_a_buffer_leaves_units_and_turns_buyers_away(told: Told) -> None:
    ended = told(BUFFER, 3, (1.5, "agora"), (11.5, "agora"), (12.5, "bazaar"))
    assert (ended.oversold, ended.unsold, ended.turned_away) == (0, 2, 2)
    without = told(ABSOLUTE_SET, 3, (1.5, "agora"), (11.5, "agora"), (12.5, "bazaar"))
    assert (without.oversold, without.unsold, without.turned_away) == (0, 0, 0)


def test_delta_oversells_what_two_channels_sell_at_once(told: Told) -> None:
    assert told(DELTA, 3, (1.5, "agora"), (1.6, "agora"), (1.7, "bazaar"), (1.8, "corner")).oversold == 1


@pytest.mark.parametrize("strategy", LAST_UNITS, ids=lambda strategy: strategy.name)
def test_the_last_three_units_are_shown_on_one_channel_only(told: Told, strategy: Strategy) -> None:
    ended = told(strategy, 4, (1.5, "agora"), (11.5, "bazaar"), (12.5, "agora"), (13.5, "agora"), (14.5, "agora"))
    assert (ended.oversold, ended.unsold, ended.turned_away) == (0, 0, 1)


def test_reads_are_counted_until_the_story_is_over(told: Told) -> None:
    assert told(HOT, 2, (1.5, "agora")).key_reads > told(HOT, 1, (1.5, "agora")).key_reads > 0
    assert told(ABSOLUTE_SET, 2, (1.5, "agora")).key_reads == 0


WARES = Wares(opening={"tea": 9}, listings=[])
AT_A = StagedListing(marketplace="a", listing="a-tea", sku="tea")
AT_B = StagedListing(marketplace="b", listing="b-tea", sku="tea")


@pytest.mark.parametrize(
    ("available", "at_a", "at_b"), [(9, 7, 7), (4, 2, 2), (3, 1, 0), (2, 0, 0), (0, 0, 0), (-5, 0, 0)]
)
def test_what_is_shown_with_a_buffer_of_2_and_the_last_3_on_a_only(available: int, at_a: int, at_b: int) -> None:
    shows = Showing(wares=WARES, buffer=2, last_units=3, preferred="a")
    assert (shows(AT_A, {"tea": available}), shows(AT_B, {"tea": available})) == (at_a, at_b)


class Orders:
    """A channel with these orders, each poll showing all."""

    def __init__(self) -> None:
        self.now: list[OrderSnapshot] = []

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        yield OrderPage(orders=tuple(self.now), cursor="next")

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        raise AssertionError(updates)


@pytest.fixture
def market(open_marketplace: Callable[..., Marketplace]) -> Marketplace:
    market = open_marketplace(RULES)
    market.open_listing(Offer(listing="tea", sku="tea", title="tea", keys=(NumberKey("tea"),), takes=(("tea", 1),)), 9)
    return market


def sold(name: str, units: int) -> OrderSnapshot:
    line = OrderLine(line="1", listing="tea", ordered=units)
    return OrderSnapshot(order=name, version=NOON, placed_at=NOON, status=OrderStatus.OPEN, lines=(line,))


async def test_a_difference_leaves_sales_subtracted_that_nobody_has_heard_of(market: Marketplace) -> None:
    orders = Orders()
    channel = ByDifference(orders, market, {"tea": 9})
    market.buy("tea", 2)
    show_6 = QuantityUpdate(key=QuantityKey("tea"), value=6, listing="tea")
    await channel.push([show_6])
    assert market.number(NumberKey("tea")) == 4, "3 were sold elsewhere, 2 here"
    orders.now = [sold("1", 2)]
    for _ in range(2):  # an order that is polled again counts once
        assert [page async for page in channel.orders(cursor=None)]
    await channel.push([QuantityUpdate(key=QuantityKey("tea"), value=4, listing="tea")])
    assert market.number(NumberKey("tea")) == 4, "the channel took its own sale off itself"


async def test_a_marketplace_that_takes_no_differences_is_said_and_not_passed_over(
    open_marketplace: Callable[..., Marketplace],
) -> None:
    market = open_marketplace(MarketplaceRules())
    market.open_listing(Offer(listing="tea", sku="tea", title="tea", keys=(NumberKey("tea"),), takes=(("tea", 1),)), 9)
    channel = ByDifference(Orders(), market, {"tea": 9})
    with pytest.raises(RuntimeError, match="agora refuses differences"):
        await channel.push([QuantityUpdate(key=QuantityKey("tea"), value=6, listing="tea")])
