"""Connectors that read or write numbers wrongly, or declare what is not so, and the contract that must see it.

Run by test_contract.py, which looks whether the right test of each class fails.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from channelsync.sdk.contract import ConnectorContract
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.values import Applies, Deducts, GivesBack, NumberBehaviour, PushResult, Timing
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


# Numbers


class Adds(MemoryChannel):
    def _set(self, update):
        item = self._shop.items.get(update.key.key)
        return super()._set(replace(update, value=update.value + (item.number if item else 0)))


class TestPushAdds(Sabotaged):
    connector = memory_connector(Adds)


class SwallowsRefusals(MemoryChannel):
    async def push(self, updates):
        results = await super().push(updates)
        return [PushResult.accepted(one.key) if one.state == "refused" else one for one in results]


class TestRefusalsSwallowed(Sabotaged):
    connector = memory_connector(SwallowsRefusals)


class RaisesRefusals(MemoryChannel):
    def _set(self, update):
        result = super()._set(update)
        if result.state == "refused":
            raise NeedsSeller(result.reason)
        return result


class TestRefusalsRaised(Sabotaged):
    connector = memory_connector(RaisesRefusals)


class RefusalEndsTheBatch(MemoryChannel):
    async def push(self, updates):
        results: list[PushResult] = []
        for update in updates:
            stopped = any(one.state == "refused" for one in results)
            results.append(PushResult.refused(update.key, "stopped") if stopped else self._set(update))
        return results


class TestARefusalHoldsUpItsNeighbours(Sabotaged):
    connector = memory_connector(RefusalEndsTheBatch)


class ReversesResults(MemoryChannel):
    async def push(self, updates):
        return list(reversed(await super().push(updates)))


class TestResultsInAnotherOrder(Sabotaged):
    connector = memory_connector(ReversesResults)


class CutsBatches(MemoryChannel):
    async def push(self, updates):
        return await super().push(updates[:100])

    async def read(self, keys):
        return await super().read(keys[:100])


class TestBatchesCutInSilence(Sabotaged):
    connector = memory_connector(CutsBatches)


class LetsNegativesOut(MemoryChannel):
    def _set(self, update):
        self._shop.items[update.key.key].number = update.value
        return PushResult.accepted(update.key, update.value)


class TestNegativeNumbersLeave(Sabotaged):
    connector = memory_connector(LetsNegativesOut)


class SortsReads(MemoryChannel):
    async def read(self, keys):
        return sorted(await super().read(keys), key=lambda read: read.key)


class TestReadsInAnotherOrder(Sabotaged):
    connector = memory_connector(SortsReads)


class UnknownIsZero(MemoryChannel):
    async def read(self, keys):
        return [replace(one, value=one.value or 0) for one in await super().read(keys)]


class TestUnknownReadAsZero(Sabotaged):
    connector = memory_connector(UnknownIsZero)


class OwnTime(MemoryChannel):
    async def read(self, keys):
        now = datetime.now(UTC)  # noqa: TID251 - the sabotage
        return [replace(one, asked=now, answered=now) for one in await super().read(keys)]


class TestTimeNotFromTheClock(Sabotaged):
    connector = memory_connector(OwnTime)


class RemembersReads(MemoryChannel):
    """Reads are served from a cache that lives as long as the process."""

    kept: dict[object, object] = {}  # noqa: RUF012 - the sabotage

    async def read(self, keys):
        fresh = {(id(self._shop), one.key): one for one in await super().read(keys)}
        for key, read in fresh.items():
            self.kept.setdefault(key, read)
        return [self.kept[id(self._shop), key] for key in keys]


class TestReadsFromACache(Sabotaged):
    connector = memory_connector(RemembersReads)


# What is declared


class IgnoresExpected(MemoryChannel):
    def _set(self, update):
        return super()._set(replace(update, expected=None))


class TestExpectedIgnored(Sabotaged):
    connector = memory_connector(IgnoresExpected)


class EchoesTheValue(MemoryChannel):
    """States the value that was sent as the number in force, while nothing was applied."""

    def _set(self, update):
        return PushResult.accepted(update.key, update.value)


class TestAnswerEchoesTheValue(Sabotaged):
    connector = memory_connector(EchoesTheValue)


class TestAnswersWithNumberNotDeclared(Sabotaged):
    connector = memory_connector(answers_with_number=False)


class TestDeductsOtherwise(Sabotaged):
    connector = memory_connector(behaviour=NumberBehaviour(Deducts.AS_TOLD, frozenset(GivesBack)))


class TellsWhenItDeducts(MemoryChannel):
    """Takes units with the order, and says so."""

    ahead = timedelta(0)

    async def orders_by_id(self, orders):
        found = await super().orders_by_id(orders)
        return [replace(one, deducted_at=one.placed_at + self.ahead) for one in found]


class TellsOfTheFuture(TellsWhenItDeducts):
    ahead = timedelta(hours=1)


class TestDeductionToldThoughNotDeclared(Sabotaged):
    connector = memory_connector(TellsWhenItDeducts)


class TestDeductionToldAhead(Sabotaged):
    connector = memory_connector(TellsOfTheFuture, behaviour=NumberBehaviour(Deducts.AS_TOLD, frozenset(GivesBack)))


class TestGivesBackNothingDeclared(Sabotaged):
    connector = memory_connector(behaviour=NumberBehaviour(Deducts.AT_ORDER, frozenset()))


class TestPhysicalDeclared(Sabotaged):
    connector = memory_connector(meaning="physical")


class TestZeroDeactivatesDeclared(Sabotaged):
    connector = memory_connector(zero="deactivates")


class TestCapDeclared(Sabotaged):
    connector = memory_connector(timing=Timing(cap=100))


class HoldsWritesBack(MemoryChannel):
    """Accepted writes come into force with the next read."""

    waiting: Sequence[object] = ()

    async def push(self, updates):
        self.waiting = [*self.waiting, *updates]
        return [PushResult.accepted(one.key) for one in updates]

    async def read(self, keys):
        for update in self.waiting:
            self._set(update)
        self.waiting = ()
        return await super().read(keys)


class TestWritesNotAtOnce(Sabotaged):
    connector = memory_connector(HoldsWritesBack, answers_with_number=False)


class OvertakingWorld(MemoryWorld):
    """A minute after a newer write an older one comes into force."""

    async def advance(self, by):
        await super().advance(by)
        for item in self.shop.items.values():
            item.number = 7 if item.number == 3 else item.number


class TestOlderWriteComesLater(Sabotaged):
    connector = memory_connector(timing=Timing(applies=Applies.IN_ORDER))

    @pytest.fixture
    def world(self, clock):
        return OvertakingWorld("sabotaged", clock)
