"""The marketplace's log, its orders and its numbers always tell the same truth."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_referee import judged
from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_site import open_site
from channelsync.lab.marketplace_values import NumberKey, Offer, Order, units
from channelsync.sdk.values import Deducts, GivesBack

MUG = NumberKey("K-mug")


class Still:
    """A clock on which no time passes."""

    def now(self) -> datetime:
        return datetime(2017, 12, 23, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody waits {seconds} s here")


class Market(RuleBasedStateMachine):
    """A life of buying, editing, shipping and returning, at a marketplace that gives back what it deducted."""

    def __init__(self) -> None:
        super().__init__()
        self.market: Marketplace

    @initialize(
        deducts=st.sampled_from([Deducts.AT_ORDER, Deducts.AS_TOLD, Deducts.AT_SHIPMENT]),
        opening=st.integers(0, 20),
    )
    def opens(self, deducts: Deducts, opening: int) -> None:
        rules = replace(PRESETS["backorders"], deducts=deducts, gives_back=frozenset(GivesBack))
        self.opening = opening
        self.market = open_site("agora", rules, Still()).marketplace
        self.market.open_listing(Offer(listing="mug", sku="MUG", sells_below_zero=True), opening)

    def order(self, data: st.DataObject) -> Order:
        return self.market.orders[data.draw(st.sampled_from(sorted(self.market.orders)))]

    @rule(wanted=st.integers(1, 9), paid=st.booleans())
    def buys(self, wanted: int, paid: bool) -> None:
        self.market.buy("mug", wanted, paid=paid)

    @precondition(lambda self: self.market.orders)
    @rule(
        data=st.data(),
        what=st.sampled_from(
            ["pay", "cancel", "cancel some", "edit", "ship", "unship", "write off", "return", "aside"]
        ),
        many=st.integers(1, 9),
    )
    def goes_on(self, data: st.DataObject, what: str, many: int) -> None:
        order = self.order(data)
        line = order.lines[0].id
        market = self.market
        deeds: dict[str, Callable[[], Any]] = {
            "pay": lambda: market.pay(order.id),
            "cancel": lambda: market.cancel(order.id),
            "cancel some": lambda: market.cancel(order.id, {line: many}),
            "edit": lambda: market.edit(order.id, line, many),
            "ship": lambda: market.ship(order.id, {line: many}),
            "unship": lambda: market.take_back_shipment(order.id, line, many),
            "write off": lambda: market.write_off(order.id, line, many),
            "return": lambda: market.bring_back(order.id, line, many),
            "aside": lambda: market.bring_back(order.id, line, many, quarantined=True),
        }
        deeds[what]()

    @invariant()
    def no_line_has_more_happen_to_it_than_was_ordered(self) -> None:
        if hasattr(self, "market"):
            for order in self.market.orders.values():
                assert all(line.open >= 0 and line.away >= 0 for line in order.lines)

    @invariant()
    def the_log_agrees_with_the_orders_and_with_the_number(self) -> None:
        if not hasattr(self, "market"):
            return
        lines = [line for order in self.market.orders.values() for line in order.lines]
        gone = sum(line.ordered - units(line.cancelled) - units(line.returned) for line in lines)
        assert judged([self.market.log], {"MUG": self.opening}).left["MUG"] == self.opening - gone
        moved = sum(line.given_back - line.deducted for line in lines)
        assert self.market.number(MUG) == self.opening + moved
        if self.market.rules.deducts is Deducts.AT_ORDER:
            assert self.market.number(MUG) == self.opening - gone


TestMarket = Market.TestCase
TestMarket.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(wanted=st.lists(st.integers(1, 5), max_size=12), opening=st.integers(0, 20))
@settings(max_examples=50, deadline=None)
def test_a_marketplace_alone_never_oversells(wanted: list[int], opening: int) -> None:
    market = open_site("agora", PRESETS["plain"], Still()).marketplace
    market.open_listing(Offer(listing="mug", sku="MUG"), opening)
    for each in wanted:
        market.buy("mug", each)
    referee = judged([market.log], {"MUG": opening})
    assert referee.oversold_units == referee.turned_away_while_left == 0
    assert referee.left["MUG"] == market.number(MUG) == max(0, opening - sum(wanted))
