"""The nightly comparison of a channel: everything is read, what is wrong is put right or found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.quantities import PositionKey
from channelsync.store import agenda, items, key_reads, keys, ledger
from channelsync.store.items import Item, item_id
from channelsync.store.tables import metadata
from channelsync.sync.agent import Agent
from channelsync.sync.compare_all import Step, compare_all
from channelsync.sync.comparison import READ_LATELY, compare_channel
from channelsync.sync.publish import publish_tick

DAY = timedelta(days=1)


@pytest.fixture
def publishing(seller: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The publisher has its turn whenever somebody waits."""
    sleep = seller.clock.sleep

    async def sleep_and_publish(seconds: float) -> None:
        await sleep(seconds)
        await publish_tick(seller.agent, seller.channel())

    monkeypatch.setattr(seller.clock, "sleep", sleep_and_publish)
    return seller


async def nothing(agent: Agent, channel: str, steps: Sequence[Step]) -> Sequence[Step]:
    """Lets nothing through."""
    assert agent.channels[channel].name == channel
    assert steps
    return []


async def test_every_number_is_read_and_found_right(publishing: Any) -> None:
    await publishing.sells("MUG", 5)
    await publish_tick(publishing.agent, publishing.channel())
    publishing.clock.at += DAY
    began = publishing.clock.now()
    assert await compare_channel(publishing.agent, "shop") == "1 numbers, 0 differed"
    read = await publishing.database.query(lambda c: key_reads.unread_since(c, "shop", began, 10))
    assert read == [], "it was read since"
    assert await publishing.kinds() == []


async def test_a_number_that_was_read_lately_is_not_read_again(publishing: Any) -> None:
    await publishing.sells("MUG", 5)
    await compare_channel(publishing.agent, "shop")
    publishing.clock.at += READ_LATELY / 2
    began = publishing.clock.now()
    await compare_channel(publishing.agent, "shop")
    assert publishing.clock.now() == began, "nobody waited for anything"


async def test_what_slipped_through_is_put_right(publishing: Any) -> None:
    listing = await publishing.sells("MUG", 2, units=5)
    table = metadata.tables["quantity_key"]
    await publishing.database.transact(lambda c: c.execute(table.update().values(due_at=None)))
    assert await compare_channel(publishing.agent, "shop") == "1 numbers, 1 differed"
    assert publishing.shop().items[listing].number == 5
    assert await publishing.kinds() == []


async def test_what_cannot_be_put_right_is_found_until_it_is(publishing: Any) -> None:
    listing = await publishing.sells("MUG", 2, units=5)
    publishing.shop().items[listing].under_review = "somebody looks at it"
    assert await compare_channel(publishing.agent, "shop") == "1 numbers, 1 differed, 1 differ still"
    assert "numbers wrong" in await publishing.kinds()
    (found,) = [one for one in await publishing.findings() if one.kind == "numbers wrong"]
    assert (found.evidence["numbers"][0]["shown"], found.evidence["numbers"][0]["should"]) == (2, 5)
    publishing.shop().items[listing].under_review = ""
    publishing.clock.at += DAY
    await compare_channel(publishing.agent, "shop")
    assert "numbers wrong" not in await publishing.kinds()
    assert publishing.shop().items[listing].number == 5


async def test_a_comparison_that_leaves_something_open_does_not_say_that_all_is_right(publishing: Any) -> None:
    listing = await publishing.sells("MUG", 2, units=5)
    publishing.shop().items[listing].under_review = "somebody looks at it"
    await compare_channel(publishing.agent, "shop")
    assert "numbers wrong" in await publishing.kinds()
    publishing.clock.at += DAY
    assert (await compare_channel(publishing.agent, "shop", nothing)).endswith("1 wait for approval")
    assert "numbers wrong" in await publishing.kinds()


async def test_what_the_review_holds_is_not_put_on_the_agenda(publishing: Any) -> None:
    listing = await publishing.sells("MUG", 2, units=5)
    table = metadata.tables["quantity_key"]
    await publishing.database.transact(lambda c: c.execute(table.update().values(due_at=None)))
    told = await compare_channel(publishing.agent, "shop", nothing)
    assert told == "1 numbers, 1 differed, 1 wait for approval"
    assert publishing.shop().items[listing].number == 2


async def test_a_channel_that_is_observed_is_read_and_left_alone(open_seller: Any) -> None:
    seller = await open_seller("shop", channel={"mode": "observe"})
    listing = await seller.sells("MUG", 2, units=5)
    assert "not live" in await compare_channel(seller.agent, "shop")
    assert seller.shop().items[listing].number == 2
    assert await seller.kinds() == []


async def test_reads_that_do_not_come_in_time_are_told(seller: Any) -> None:
    await seller.sells("MUG", 5)
    seller.clock.at += DAY
    assert (await compare_channel(seller.agent, "shop")).endswith("1 could not be read in time")


async def test_what_is_in_question_of_one_number_says_nothing_of_others_that_are_like_it(seller: Any) -> None:
    for sku in ("CUP", "MUG", "POT"):
        await seller.sells(sku, 5)
    for _ in range(4):
        seller.clock.at += timedelta(minutes=1)
        await publish_tick(seller.agent, seller.channel())
    asked = await seller.database.query(lambda c: min(agenda.chosen_keys(c)))
    await seller.database.transact(lambda c: keys.save_key(c, asked, held="a question", disputed=3))
    setup, measures, now = seller.agent.setup, seller.agent.measures, seller.clock.now()

    pages = await seller.database.query(lambda c: list(compare_all(c, setup, measures, now)))

    wrong = [(step.key, step.decision.action) for page in pages for step in page.steps]
    assert (wrong, sum(page.right for page in pages)) == ([(asked, "wait")], 2)


async def test_of_units_that_nobody_said_nothing_is_wrong_beside_others_of_which_there_are_none(seller: Any) -> None:
    await seller.sells("MUG", 5, units=0)
    (out,) = await seller.database.query(agenda.chosen_keys)
    left = await seller.lists("CUP", 5)
    cup = Item(id=item_id("CUP"), sku="CUP")
    await seller.database.transact(lambda c: items.add_items(c, [cup], seller.clock.now()))
    await seller.database.transact(lambda c: ledger.open_positions(c, [PositionKey(cup.id, "main")]))
    await seller.pull()
    await seller.map(left, "CUP")
    await seller.pull()  # a number is read anew when its listing is mapped
    setup, measures, now = seller.agent.setup, seller.agent.measures, seller.clock.now()

    pages = await seller.database.query(lambda c: list(compare_all(c, setup, measures, now)))

    wrong = [(step.key, step.decision.action, step.decision.value) for page in pages for step in page.steps]
    assert (wrong, sum(page.right for page in pages)) == ([(out, "lower", 0)], 1)
