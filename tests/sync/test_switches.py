"""What the seller switches: stopped writes, holidays, modes; and that nothing is written where it is switched off."""

from __future__ import annotations

from typing import Any

import pytest

from channelsync.domain.rises import Rise
from channelsync.store import channels, keys, runs
from channelsync.store.codec import dump_risen
from channelsync.store.runs import Change
from channelsync.sync.publish import publish_tick
from channelsync.sync.setup import ChannelSetup
from channelsync.sync.switches import CHANNEL, change_channel, mode_now, stop_now, stricter
from channelsync_memory import CAPABILITIES

Seller = Any


async def switch(seller: Seller, channel: str = "shop", **switches: object) -> bool:
    now = seller.clock.now()
    return await seller.database.transact(lambda c: change_channel(c, channel, switches, run="test", now=now))


async def shown(seller: Seller, channel: str = "shop") -> int:
    """What the shop shows after the publisher's next ticks: a raise asks for a read first."""
    for _ in range(2):
        await seller.clock.sleep(120)
        await publish_tick(seller.agent, seller.channel(channel))
    (item,) = seller.shop(channel).items.values()
    return item.number


async def test_stopping_raises_lets_lowerings_through(seller: Seller) -> None:
    await seller.sells("MUG", 5, units=9)
    await switch(seller, stop="raises")

    assert await shown(seller) == 5
    await switch(seller, zeroed=True)
    assert await shown(seller) == 0


async def test_stopping_all_writes_lets_nothing_through(seller: Seller) -> None:
    await seller.sells("MUG", 5, units=3)
    await switch(seller, stop="all")

    assert await shown(seller) == 5


async def test_what_was_stopped_goes_out_when_it_is_started_again(seller: Seller) -> None:
    await seller.sells("MUG", 5, units=9)
    await switch(seller, stop="raises")
    await shown(seller)

    assert await switch(seller, stop="")
    assert await shown(seller) == 9


async def test_a_channel_that_the_configuration_pauses_is_lowered_and_not_raised(open_seller: Any) -> None:
    seller = await open_seller("shop", channel={"paused": True})
    await seller.sells("MUG", 5, units=9)
    assert await shown(seller) == 5

    await switch(seller, zeroed=True)
    assert await shown(seller) == 0


async def test_on_holiday_a_channel_shows_nothing_and_shows_all_again_afterwards(seller: Seller) -> None:
    await seller.sells("MUG", 5)
    assert await shown(seller) == 5
    await switch(seller, zeroed=True)
    assert await shown(seller) == 0
    await switch(seller, zeroed=False)
    assert await shown(seller) == 5


async def test_a_switch_is_recorded_so_that_it_can_be_undone(seller: Seller) -> None:
    await switch(seller, stop="raises", zeroed=True)
    (change,) = await seller.database.query(lambda c: runs.changes_of(c, "test"))

    assert change == Change(
        run="test",
        kind=CHANNEL,
        subject="shop",
        before={"stop": "", "zeroed": False},
        after={"stop": "raises", "zeroed": True},
        at=seller.clock.now(),
    )
    assert await switch(seller, **change.before)
    state = await seller.database.transact(lambda c: channels.channel_state(c, "shop"))
    assert (state.stop, state.zeroed) == ("", False)


async def test_a_switch_that_changes_nothing_is_no_change(seller: Seller) -> None:
    assert not await switch(seller, stop="")
    assert await seller.database.query(lambda c: runs.changes_of(c, "test")) == []


@pytest.mark.parametrize("wrong", [{"stop": "some"}, {"mode": "loud"}, {"zeroed": "yes"}, {"budgets": b""}])
async def test_a_switch_has_only_the_values_that_mean_something(seller: Seller, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="shop: "):
        await switch(seller, **wrong)


def state(**said: object) -> channels.ChannelState:
    empty = {"identity": "", "cursor": None, "covered_to": None, "orders_asked_at": None, "orders_failed": ""}
    more = {"unreadable_since": None, "connected_at": None, "stop": "", "zeroed": False, "mode": ""}
    more |= {"budgets": b"", "breaker": b""}
    return channels.ChannelState(**{"name": "shop", **empty, **more, **said})


def setup(**said: Any) -> ChannelSetup:
    return ChannelSetup(name="shop", capabilities=CAPABILITIES, locations=("main",), **said)


@pytest.mark.parametrize(
    ("configured", "row", "only_observe", "mode"),
    [
        ("live", None, False, "live"),
        ("live", "", False, "live"),
        ("live", "observe", False, "observe"),
        ("observe", "live", False, "live"),
        ("observe", "live", True, "observe"),
        ("live", "", True, "observe"),
        ("live", "off", True, "off"),
        ("off", "", True, "off"),
    ],
)
def test_the_row_overrides_the_configuration_and_observing_both(
    configured: Any, row: str | None, only_observe: bool, mode: str
) -> None:
    made = setup(mode=configured, only_observe=only_observe)
    assert mode_now(made, None if row is None else state(mode=row)) == mode


@pytest.mark.parametrize(
    ("row", "paused", "stop"),
    [("", False, ""), ("", True, "raises"), ("all", True, "all"), ("raises", False, "raises")],
)
def test_the_stricter_of_command_and_configuration_holds(row: str, paused: bool, stop: str) -> None:
    found, said_by = stop_now(setup(paused=paused), state(stop=row))
    assert found == stop
    assert bool(said_by) is bool(stop)


@pytest.mark.parametrize(
    ("said", "configured", "holds"),
    [
        ({"mode": "live", "stop": "raises"}, "observe", {"stop": "raises"}),
        ({"mode": "observe"}, "live", {"mode": "observe"}),
        ({"mode": "off", "zeroed": True}, "observe", {"mode": "off", "zeroed": True}),
        ({}, "live", {}),
    ],
)
def test_a_former_name_makes_no_channel_laxer_than_it_is_configured(
    said: dict[str, object], configured: Any, holds: dict[str, object]
) -> None:
    assert stricter(said, configured) == holds


async def test_a_channel_that_goes_live_after_another_tool_wrote_there_takes_its_first_number_as_it_is(
    seller: Seller,
) -> None:
    listing = await seller.sells("MUG", 5)
    await shown(seller)
    await switch(seller, mode="observe")
    seller.shop().items[listing].number = 2
    await shown(seller)

    await switch(seller, mode="live")
    seller.shop().items[listing].number = 1
    assert await shown(seller) == 5
    position = await seller.position("MUG")
    assert position.reserved == 0
    assert await seller.findings(only_open=False) == []


async def test_what_was_noticed_of_a_number_is_dropped_when_the_mode_changes(seller: Seller) -> None:
    listing = await seller.sells("MUG", 5)
    await shown(seller)
    await seller.clock.sleep(120)
    seller.shop().items[listing].number = 8
    await seller.pull()
    ids = [1]
    (before,) = (await seller.database.query(lambda c: keys.load_keys(c, ids))).values()
    assert before.rise == 3
    waits = dump_risen([Rise(2, seller.clock.now(), seller.clock.now())])
    await seller.database.transact(lambda c: keys.save_key(c, 1, risen=waits))

    await switch(seller, mode="observe")
    (after,) = (await seller.database.query(lambda c: keys.load_keys(c, ids))).values()
    assert (after.rise, after.rise_from, after.risen) == (0, None, ())
