"""A channel whose whole interface is gone, because it has ended the version that we speak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NoReturn

import pytest

from channelsync.domain.findings import FindingKind
from channelsync.sdk.errors import ChannelMisbehaved
from channelsync.store import channels, keys, listings
from channelsync.sync.publish import publish_tick
from channelsync.sync.pull_listings import pull_listings
from channelsync.sync.take_orders import poll_orders
from channelsync_memory import MemoryChannel
from channelsync_memory.world import memory_connector

REASON = "shop: GET /v1: HTTP 410"


class Ending(MemoryChannel):
    """A channel that answers 410 to whatever it is asked, once its version has ended."""

    ended = False

    def _refuse(self) -> NoReturn:
        raise ChannelMisbehaved(REASON)

    async def orders(self, *, cursor: str | None) -> AsyncIterator[Any]:
        if Ending.ended:
            self._refuse()
        async for page in super().orders(cursor=cursor):
            yield page

    async def listings(self) -> AsyncIterator[Any]:
        if Ending.ended:
            self._refuse()
        async for one in super().listings():
            yield one

    async def read(self, wanted: Sequence[Any]) -> Sequence[Any]:
        if Ending.ended:
            self._refuse()
        return await super().read(wanted)


@pytest.mark.fault(45, "every poll and every tick fails and it is found; no listing is gone and no number forgotten")
async def test_a_channel_whose_version_has_ended_is_found_and_none_of_its_listings_is_taken_for_gone(
    open_seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seller = await open_seller("shop", connectors={"shop": memory_connector(Ending)})
    await seller.sells("MUG", 5)
    before = await seller.database.query(listings.get_listings)
    ids = [key for one in before for key in one.keys]
    numbers = await seller.database.query(lambda c: keys.load_keys(c, ids))
    monkeypatch.setattr(Ending, "ended", True)
    await seller.database.transact(lambda c: keys.want_reads(c, ids))

    assert (await poll_orders(seller.agent, seller.channel())).failed == REASON
    assert (await publish_tick(seller.agent, seller.channel())).failed == REASON
    with pytest.raises(ChannelMisbehaved):
        await pull_listings(seller.agent, seller.channel())

    state = await seller.database.query(lambda c: channels.channel_state(c, "shop"))
    assert (state.orders_failed, state.unreadable_why) == (REASON, REASON)
    (found,) = await seller.findings()
    assert (found.kind, REASON in found.summary) == (FindingKind.CHANNEL_DOWN, True)
    after = await seller.database.query(lambda c: keys.load_keys(c, ids))
    assert {one.id: one.state for one in after.values()} == {one.id: one.state for one in numbers.values()}
    assert await seller.database.query(listings.get_listings) == before

    monkeypatch.setattr(Ending, "ended", False)
    assert (await poll_orders(seller.agent, seller.channel())).failed == ""
    assert await seller.findings() == []
    assert (await publish_tick(seller.agent, seller.channel())).failed == ""
    state = await seller.database.query(lambda c: channels.channel_state(c, "shop"))
    assert (state.orders_failed, state.unreadable) == ("", "")
