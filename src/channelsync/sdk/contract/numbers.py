"""Numbers: what is read, what is listed, what is pushed."""

from __future__ import annotations

import pytest

from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.base import (
    ContractBase,
    OpenChannel,
    everything,
    lag,
    lag_of_writes,
    offered_many,
    push_one,
    read_one,
    update,
)
from channelsync.sdk.contract.world import Garbles, Keeps, World
from channelsync.sdk.values import ListingState, PushResult, QuantityKey, QuantityUpdate

UNKNOWN = QuantityKey("no-such-key")

NO_UNITS_KEPT = "this channel keeps no units of the seller's"

BATCH_MAX = 200
"""Listings. A batch larger than this is not tried at full size: setting up so many tells nothing new."""


class ReadContract(ContractBase):
    """`read` and `listings`: what buyers see."""

    async def test_reads_come_in_the_order_asked_and_an_unknown_key_has_no_value(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        many = await offered_many(world, min(3, capabilities.reads_per_call))
        await world.advance(lag(capabilities))
        keys = [one.key for one in reversed(many)]
        keys[1:1] = [UNKNOWN] * (capabilities.reads_per_call > len(many))
        async with open_channel() as channel:
            reads = await channel.read(keys)
            unknown = await read_one(channel, UNKNOWN)
            assert list(await channel.read([])) == []
        assert [one.key for one in reads] == keys
        truth = [None if key == UNKNOWN else await world.number(key) for key in keys]
        assert [one.value for one in reads] == truth
        assert unknown.value is None

    async def test_a_read_says_when_it_was_asked_and_answered_by_our_clock(
        self, world: World, clock: Clock, open_channel: OpenChannel
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        async with open_channel() as channel:
            before = clock.now()
            read = await read_one(channel, offered.key)
        assert before <= read.asked <= read.answered <= clock.now(), "times of reads come from the Clock of Resources"

    async def test_as_many_reads_as_declared_go_in_one_call_and_more_are_refused(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        most = capabilities.reads_per_call
        many = await offered_many(world, min(most, BATCH_MAX))
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            reads = await channel.read([one.key for one in many])
            with pytest.raises(ValueError, match=str(most)):
                await channel.read([QuantityKey(f"key-{place}") for place in range(most + 1)])
        assert [one.value for one in reads] == [await world.number(one.key) for one in many]

    async def test_a_number_typed_by_hand_is_read(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        await world.set_number(offered.key, 4)
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            assert (await read_one(channel, offered.key)).value == 4

    async def test_a_number_that_cannot_be_read_says_why_and_holds_up_no_other(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        if not isinstance(world, Garbles):
            pytest.skip("this channel's numbers are numbers, or the whole answer makes no sense")
        many = await offered_many(world, min(3, capabilities.reads_per_call))
        bad = many[len(many) // 2]
        await world.garble(bad)
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            reads = {one.key: one for one in await channel.read([one.key for one in many])}
            gone = await read_one(channel, UNKNOWN)
        assert reads[bad.key].value is None
        assert reads[bad.key].unreadable, "it did not end: it cannot be read, and the seller must hear why"
        assert not gone.unreadable, "it cannot be read, and it is not there, are two things"
        for place, one in enumerate(many):
            if one != bad:
                assert (reads[one.key].value, reads[one.key].unreadable) == (1 + place, "")

    async def test_every_listing_is_listed_with_its_key_and_its_number(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        many = await offered_many(world, 7)
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            listings = {one.listing: one for one in await everything(channel.listings())}
        assert set(listings) == {one.listing for one in many}
        for place, offered in enumerate(many):
            found = listings[offered.listing]
            assert (found.sku, found.keys, found.state) == (offered.sku, (offered.key,), ListingState.ACTIVE)
            assert found.shown == {offered.key: 1 + place}
            assert found.tracked

    async def test_listings_by_id_come_in_the_order_asked_and_unknown_ones_are_left_out(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        blue, red, green = await offered_many(world, 3)
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            found = await channel.listings_by_id([green.listing, "no-such-listing", blue.listing, red.listing])
            assert list(await channel.listings_by_id([])) == []
            listed = {one.listing: one for one in await everything(channel.listings())}
        assert [one.listing for one in found] == [green.listing, blue.listing, red.listing]
        assert all(one == listed[one.listing] for one in found), "one listing, two answers"

    async def test_units_that_the_channel_keeps_are_read_at_their_place_and_shown_nowhere(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        ours = await world.offer("MUG-BLUE", 5)
        kept = await world.keep("MUG-RED", 7) if isinstance(world, Keeps) else None
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            listed = {one.listing: one for one in await everything(channel.listings())}
            assert listed[ours.listing].kept == (), "its units are the seller's own"
            if kept is None:
                pytest.skip(NO_UNITS_KEPT)
            first = await read_one(channel, kept.key)
            await world.buy((kept, 2))
            await world.advance(lag(capabilities))
            keys = [kept.key, ours.key][: capabilities.reads_per_call]
            reads = await channel.read(keys)
            elsewhere = await read_one(channel, QuantityKey(kept.key.key, "no-such-place"))
        found = listed[kept.listing]
        assert kept.key.location
        assert kept.key in found.kept
        assert not {*found.kept} & {*found.keys, *found.shown}, "what the channel keeps is no number of ours"
        assert found.fulfilled_by_channel
        assert (first.value, first.committed, first.held) == (7, 0, 0), "nothing is told as 0, not as unknown"
        assert (reads[0].value, reads[0].committed, reads[0].held) == (5, 2, 0), "an order holds units until they leave"
        assert [one.key for one in reads] == keys
        assert [one.value for one in reads[1:]] == [5][: len(keys) - 1]
        assert (elsewhere.value, elsewhere.unreadable) == (None, "")


class PushContract(ContractBase):
    """`push`: absolute, one result an update, a refusal is no exception."""

    async def test_a_pushed_number_is_shown(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        async with open_channel() as channel:
            for value in (3, 12, 1):
                assert (await push_one(channel, offered, value)).state == "accepted"
                await world.advance(lag_of_writes(capabilities))
                assert await world.number(offered.key) == value
                assert (await read_one(channel, offered.key)).value == value

    async def test_a_push_is_absolute_and_repeating_it_changes_nothing(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        same = update(offered, 7)
        async with open_channel() as channel:
            for _ in range(2):
                assert [one.state for one in await channel.push([same])] == ["accepted"]
                await world.advance(lag_of_writes(capabilities))
                assert await world.number(offered.key) == 7
            assert (await push_one(channel, offered, 7)).state == "accepted"
            await world.advance(lag_of_writes(capabilities))
        assert await world.number(offered.key) == 7

    async def test_results_come_in_the_order_of_the_updates(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        most = min(capabilities.updates_per_push, 4)
        updates = [update(one, 3) for one in reversed(await offered_many(world, most))]
        async with open_channel() as channel:
            results = await channel.push(updates)
            assert list(await channel.push([])) == []
        assert [one.key for one in results] == [one.key for one in updates]
        assert {one.state for one in results} == {"accepted"}

    async def test_as_many_updates_as_declared_go_in_one_push_and_more_are_refused(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        most = capabilities.updates_per_push
        many = await offered_many(world, min(most, BATCH_MAX))
        async with open_channel() as channel:
            results = await channel.push([update(one, 5) for one in many])
            await world.advance(lag_of_writes(capabilities))
            assert [one.state for one in results] == ["accepted"] * len(many)
            assert [await world.number(one.key) for one in many] == [5] * len(many)
            with pytest.raises(ValueError, match=str(most)):
                await channel.push([update(many[0], 6) for _ in range(most + 1)])
        await world.advance(lag_of_writes(capabilities))
        assert await world.number(many[0].key) == 5, "a batch that is too large must change nothing"

    async def test_one_refused_update_does_not_hold_up_its_neighbours(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        blue, red, green = await offered_many(world, 3)
        await world.refuse(red, "this listing is under review")
        async with open_channel() as channel:
            if capabilities.updates_per_push >= 3:
                results = list(await channel.push([update(one, 5) for one in (green, red, blue)]))
            else:
                results = [await push_one(channel, one, 5) for one in (green, red, blue)]
        await world.advance(lag_of_writes(capabilities))
        assert [one.key for one in results] == [green.key, red.key, blue.key]
        assert [one.state for one in results] == ["accepted", "refused", "accepted"]
        assert results[1].reason, "a refusal gives the channel's reason"
        assert [await world.number(one.key) for one in (green, red, blue)] == [5, 2, 5]

    async def test_an_update_of_an_unknown_key_is_refused_and_not_raised(
        self, world: World, open_channel: OpenChannel
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        async with open_channel() as channel:
            results = await channel.push([QuantityUpdate(key=UNKNOWN, value=1, listing="no-such-listing")])
        assert [(one.key, one.state) for one in results] == [(UNKNOWN, "refused")]
        assert results[0].reason
        assert await world.number(offered.key) == 10

    async def test_a_write_to_what_is_not_counted_is_refused_and_never_taken_for_done(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        ignored, counted = await offered_many(world, 2)
        await world.stop_counting(ignored)
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            if capabilities.updates_per_push >= 2:
                results = list(await channel.push([update(one, 5) for one in (ignored, counted)]))
            else:
                results = [await push_one(channel, one, 5) for one in (ignored, counted)]
            await world.advance(lag_of_writes(capabilities))
            read = await read_one(channel, ignored.key)
            (listing,) = await channel.listings_by_id([ignored.listing])
        assert [one.state for one in results] == ["refused", "accepted"], "what the channel ignores is not done"
        assert results[0].reason, "the seller must hear why"
        assert await world.number(counted.key) == 5
        assert read.value is None, "nothing is counted: it has no number, not even an old one"
        assert ignored.key not in listing.shown
        assert listing.fulfilled_by_channel or not listing.tracked

    async def test_units_that_the_channel_keeps_are_never_written(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        if not isinstance(world, Keeps):
            pytest.skip(NO_UNITS_KEPT)
        kept = await world.keep("MUG-RED", 7)
        await world.advance(lag(capabilities))
        async with open_channel() as channel:
            result = await push_one(channel, kept, 3)
            await world.advance(lag_of_writes(capabilities))
            read = await read_one(channel, kept.key)
        assert result.state == "refused"
        assert result.reason, "the seller must hear why"
        assert read.value == 7

    async def test_no_negative_number_leaves(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        results: list[PushResult] = []
        async with open_channel() as channel:
            try:
                results = list(await channel.push([update(offered, -1)]))
            except ValueError:
                results = [PushResult.refused(offered.key, "it is negative")]
        await world.advance(lag_of_writes(capabilities))
        assert [one.state for one in results] == ["refused"], "a negative number is a ValueError or a refusal"
        assert await world.number(offered.key) == 10
