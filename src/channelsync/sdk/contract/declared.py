"""What a connector declares is what its channel does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from channelsync.sdk.channel import Capabilities, Channel
from channelsync.sdk.contract.base import (
    ContractBase,
    OpenChannel,
    everything,
    lag,
    lag_of_writes,
    push_one,
    read_one,
    snapshot,
    update,
)
from channelsync.sdk.contract.world import Offered, World
from channelsync.sdk.values import Applies, Deducts, GivesBack, Listing, ListingState

SAMPLES = 20
"""How often the truth is looked at while a write becomes visible."""


class BehaviourContract(ContractBase):
    """When the channel moves its own number."""

    async def test_the_number_falls_when_declared(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        async with open_channel() as channel:
            before = await self._read(world, channel, offered, capabilities)
            order = await world.buy((offered, 2))
            ordered = await self._read(world, channel, offered, capabilities)
            first = await snapshot(channel, order)
            await world.pay(order)
            paid = await self._read(world, channel, offered, capabilities)
            second = await snapshot(channel, order)
            await world.ship(order, 2)
            shipped = await self._read(world, channel, offered, capabilities)
        expected = {
            Deducts.AT_ORDER: (8, 8, 8),
            Deducts.AS_TOLD: (10 if first.deducted_at is None else 8, 8, 8),
            Deducts.AT_SHIPMENT: (10, 10, 8),
            Deducts.NEVER: (10, 10, 10),
        }[capabilities.behaviour.deducts]
        assert before == 10
        assert (ordered, paid, shipped) == expected, "the number after the order, its payment, its shipment"
        told = [one.deducted_at for one in (first, second)]
        if capabilities.behaviour.deducts is not Deducts.AS_TOLD:
            assert told == [None, None], "an order tells when units were taken only where the channel declares it"
            return
        assert second.deducted_at is not None, "its units were taken, and the order does not tell when"
        assert first.deducted_at in (None, second.deducted_at), "units are taken once"
        assert second.placed_at <= second.deducted_at <= second.version

    async def test_a_cancelled_order_gives_its_units_back_when_declared(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        if capabilities.behaviour.deducts not in (Deducts.AT_ORDER, Deducts.AS_TOLD):
            pytest.skip(f"the channel deducts {capabilities.behaviour.deducts}: a cancelled order took nothing")
        offered, order = await self._sold(world, 2)
        await world.cancel(order)
        async with open_channel() as channel:
            now = await self._read(world, channel, offered, capabilities)
        assert now == (10 if GivesBack.ON_CANCEL in capabilities.behaviour.gives_back else 8)

    async def test_an_edit_gives_units_back_when_declared(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        if capabilities.behaviour.deducts not in (Deducts.AT_ORDER, Deducts.AS_TOLD):
            pytest.skip(f"the channel deducts {capabilities.behaviour.deducts}: an edited order took nothing")
        offered, order = await self._sold(world, 3)
        await world.edit(order, 1)
        async with open_channel() as channel:
            now = await self._read(world, channel, offered, capabilities)
        assert now == (9 if GivesBack.ON_EDIT in capabilities.behaviour.gives_back else 7)

    async def test_a_return_gives_units_back_when_declared(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered, order = await self._sold(world, 2)
        await world.ship(order, 2)
        async with open_channel() as channel:
            shipped = await self._read(world, channel, offered, capabilities)
            await world.take_back(order, 1)
            now = await self._read(world, channel, offered, capabilities)
        given_back = 1 if GivesBack.ON_RESTOCK in capabilities.behaviour.gives_back else 0
        assert shipped is not None
        assert now == shipped + given_back

    async def test_a_return_that_may_not_be_sold_again_gives_no_units_back(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered, order = await self._sold(world, 2)
        await world.ship(order, 2)
        async with open_channel() as channel:
            shipped = await self._read(world, channel, offered, capabilities)
            await world.keep_back(order, 1)
            now = await self._read(world, channel, offered, capabilities)
        assert shipped is not None
        assert now == shipped

    async def test_a_physical_number_holds_the_units_of_open_orders(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        if capabilities.meaning != "physical":
            pytest.skip("the number means available units")
        offered, order = await self._sold(world, 2)
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            open_order = await read_one(channel, offered.key)
            await world.ship(order, 2)
            await world.advance(lag(capabilities))
            shipped = await read_one(channel, offered.key)
        assert open_order.value == 10, "a physical number falls at shipment, not before"
        assert open_order.committed in (2, None)
        assert shipped.committed in (0, None)

    async def _sold(self, world: World, units: int) -> tuple[Offered, str]:
        """A paid order of one of ten units."""
        offered = await world.offer("MUG-BLUE", 10)
        order = await world.buy((offered, units))
        await world.pay(order)
        return offered, order

    async def _read(self, world: World, channel: Channel, offered: Offered, capabilities: Capabilities) -> int | None:
        """The number as a read tells it; declared staleness has passed, so it is the truth."""
        await world.advance(lag(capabilities))
        read = await read_one(channel, offered.key)
        assert read.value == await world.number(offered.key), "reads lag more than the declared staleness"
        return read.value


class WriteContract(ContractBase):
    """What a write does, and what its answer says."""

    async def test_compare_and_set_refuses_when_another_number_is_shown(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        if not capabilities.compare_and_set:
            pytest.skip("the channel has no compare-and-set")
        stale, fresh = await world.offer("MUG-BLUE", 10), await world.offer("MUG-RED", 10)
        await world.set_number(stale.key, 9)
        async with open_channel() as channel:
            if capabilities.updates_per_push >= 2:
                results = list(await channel.push([update(stale, 5, expected=10), update(fresh, 5, expected=10)]))
            else:
                results = [await push_one(channel, one, 5, expected=10) for one in (stale, fresh)]
        await world.advance(lag_of_writes(capabilities))
        assert [one.state for one in results] == ["conflict", "accepted"]
        assert results[0].shown in (9, None), "a conflict says what is shown, or nothing"
        assert [await world.number(one.key) for one in (stale, fresh)] == [9, 5]

    async def test_an_answer_states_the_number_in_force_when_declared(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        async with open_channel() as channel:
            result = await push_one(channel, offered, 6)
        in_force = await world.number(offered.key)
        expected = in_force if capabilities.answers_with_number else None
        assert result.shown == expected, "`shown` counts as a read: only where the answer states it, and the truth"

    async def test_writing_0_does_to_the_listing_what_is_declared(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        async with open_channel() as channel:
            assert (await push_one(channel, offered, 0)).state == "accepted"
            await world.advance(lag_of_writes(capabilities))
            emptied = await self._listing(channel, offered)
            if capabilities.zero == "ends":
                assert emptied is None or emptied.state is ListingState.ENDED
                return
            assert emptied is not None
            shows = ListingState.ACTIVE if capabilities.zero == "shows 0" else ListingState.INACTIVE
            assert (emptied.state, emptied.shown) == (shows, {offered.key: 0})
            assert (await push_one(channel, offered, 3)).state == "accepted"
            await world.advance(lag_of_writes(capabilities))
            raised = await self._listing(channel, offered)
        assert raised is not None
        assert (raised.state, raised.shown) == (ListingState.ACTIVE, {offered.key: 3}), "a raise brings it back"

    async def test_a_number_above_the_cap_shows_the_cap(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        cap = capabilities.timing.cap
        above = 99_999 if cap is None else cap + 1
        offered = await world.offer("MUG-BLUE", 1)
        async with open_channel() as channel:
            assert (await push_one(channel, offered, above)).state == "accepted"
            await world.advance(lag_of_writes(capabilities))
            read = await read_one(channel, offered.key)
        assert read.value == (above if cap is None else cap)

    async def test_writes_apply_in_the_declared_order(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        timing = capabilities.timing
        if timing.applies is Applies.ANY_ORDER:
            pytest.skip("the channel applies writes in any order: nothing to hold it to")
        offered = await world.offer("MUG-BLUE", 10)
        async with open_channel() as channel:
            await push_one(channel, offered, 7)
            if timing.applies is Applies.AT_ONCE:
                assert await world.number(offered.key) == 7, "declared to apply at once"
            await push_one(channel, offered, 3)
        seen = [await world.number(offered.key)]
        for _ in range(SAMPLES):
            await world.advance((timing.grace + timedelta(seconds=1)) / SAMPLES)
            seen.append(await world.number(offered.key))
        assert seen[-1] == 3, "an accepted write is in force within `grace`"
        after = seen[seen.index(3) :]
        assert set(after) == {3}, f"an older write came after a newer one: {seen}"

    async def _listing(self, channel: Channel, offered: Offered) -> Listing | None:
        """The listing as both ways of asking show it."""
        by_id = await channel.listings_by_id([offered.listing])
        listed = [one for one in await everything(channel.listings()) if one.listing == offered.listing]
        assert list(by_id) == listed
        return by_id[0] if by_id else None
