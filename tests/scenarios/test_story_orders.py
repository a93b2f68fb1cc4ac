"""Stories of publishing, section 2: what a channel should show, whatever booked orders do to its number."""

from __future__ import annotations

import pytest

from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules


@pytest.mark.fails_without("sync.understand_reads._Reading._hold", lambda self, record, seen, units: None)
async def test_a_sale_is_seen_in_the_number_before_the_order_is(open_world) -> None:
    world = await open_world(["shop", "market"], 5)
    world.sells("shop", 2)
    world.passes(minutes=1)
    await world.tick()
    assert await world.held() == [2]
    assert world.shown() == [3, 3]
