"""Connectors that misunderstand what has happened to an order, or declare it wrongly, and the contract that sees it.

Run by test_contract.py, which looks whether the right test of each class fails.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from channelsync.sdk.contract import ConnectorContract
from channelsync.sdk.values import Deducts, GivesBack, NumberBehaviour
from channelsync_memory import MemoryChannel, MemorySettings
from channelsync_memory.world import MemoryWorld, memory_connector


class Sabotaged(ConnectorContract):
    connector = memory_connector()
    settings = MemorySettings(shop="sabotaged", orders_per_page=MemoryWorld.orders_per_page)

    @pytest.fixture
    def world(self, clock):
        return MemoryWorld("sabotaged", clock)


class TestNothingBroken(Sabotaged):
    pass


class Rewording(MemoryChannel):
    """Tells every order in other words, however it is asked for."""

    def reworded(self, order):
        return replace(order, lines=tuple(self.line(line) for line in order.lines))

    def line(self, line):
        return line

    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, orders=tuple(self.reworded(one) for one in page.orders))

    async def orders_by_id(self, orders):
        return [self.reworded(one) for one in await super().orders_by_id(orders)]


# What an order says


class TakesTimesForLocal(Rewording):
    def reworded(self, order):
        return replace(order, placed_at=order.placed_at - timedelta(hours=2))


class TestTimesTakenForLocal(Sabotaged):
    connector = memory_connector(TakesTimesForLocal)


class KeepsWhatWasOrdered(Rewording):
    def line(self, line):
        return replace(line, ordered=max(line.ordered, 3))


class TestEditsForgotten(Sabotaged):
    connector = memory_connector(KeepsWhatWasOrdered)


# Returns


class ForgetsReturns(Rewording):
    def line(self, line):
        return replace(line, returned=())


class TestReturnsForgotten(Sabotaged):
    connector = memory_connector(ForgetsReturns)


class CountsAllThatComesBack(Rewording):
    def line(self, line):
        return replace(line, returned=(*line.returned, *line.withheld), withheld=())


class TestDamagedUnitsCountAsReturned(Sabotaged):
    connector = memory_connector(CountsAllThatComesBack)


class TestAReturnOfDamagedUnitsCounts(Sabotaged):
    connector = memory_connector(CountsAllThatComesBack)


# What is declared


class GenerousWorld(MemoryWorld):
    """Puts on sale what came back damaged."""

    async def keep_back(self, order, units):
        await super().keep_back(order, units)
        self.shop.sales[order].lines[0].item.number += units


class TestDamagedUnitsAreGivenBack(Sabotaged):
    @pytest.fixture
    def world(self, clock):
        return GenerousWorld("sabotaged", clock)


class TestNoEditGivesBackDeclared(Sabotaged):
    connector = memory_connector(
        behaviour=NumberBehaviour(Deducts.AT_ORDER, frozenset({GivesBack.ON_CANCEL, GivesBack.ON_RESTOCK}))
    )


class TestNoReturnGivesBackDeclared(Sabotaged):
    connector = memory_connector(
        behaviour=NumberBehaviour(Deducts.AT_ORDER, frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT}))
    )
