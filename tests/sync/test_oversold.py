"""Findings of oversold positions: opened once, closed once, and current while they are open."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from channelsync.store import findings, item_moves, items, ledger
from channelsync.store.items import item_id
from channelsync.sync.items import rename
from channelsync.sync.orders_by_hand import BookByHand, LineByHand, book_by_hand
from channelsync.sync.oversold import available_as_said, report_oversold
from channelsync.sync.stock import By


async def book(seller: Any, order: str, units: int, sku: str = "MUG") -> None:
    """Books an order of our own of so many units, or changes it to so many."""
    wanted = BookByHand(order=order, lines=(LineByHand(sku, units),), change=True)
    now = seller.clock.now()
    await seller.database.transact(lambda c: book_by_hand(c, seller.agent.setup, wanted, now=now, run="test"))


async def told(seller: Any) -> tuple[str, int]:
    """What the only open finding says: its first sentence, and how many units it has for available."""
    (found,) = await seller.findings()
    return found.summary.partition(".")[0], found.evidence["available"]


async def test_an_open_finding_says_how_many_units_are_short_now_and_is_opened_once(seller: Any) -> None:
    await seller.has("MUG", 2)
    await book(seller, "a", 3)
    (first,) = await seller.findings()
    assert await told(seller) == ("MUG at main: 1 unit more is promised than is there", -1)

    await seller.clock.sleep(60)
    await book(seller, "b", 9)
    assert await told(seller) == ("MUG at main: 10 units more are promised than are there", -10)
    await book(seller, "b", 1)
    assert await told(seller) == ("MUG at main: 2 units more are promised than are there", -2)

    (found,) = await seller.findings(only_open=False)
    assert (found.id, found.opened_at) == (first.id, first.opened_at), "so that no hook tells of it anew"


async def test_a_closed_finding_opens_anew_where_it_gets_worse_and_not_where_it_gets_better(seller: Any) -> None:
    await seller.has("MUG", 2)
    await book(seller, "a", 5)
    (first,) = await seller.findings()
    now = seller.clock.now()
    await seller.database.transact(lambda c: findings.close_findings(c, [first.fingerprint], "they come today", now))

    await book(seller, "a", 4)
    assert await seller.findings() == []
    await book(seller, "a", 6)

    (found,) = await seller.findings()
    assert found.id != first.id
    assert await told(seller) == ("MUG at main: 4 units more are promised than are there", -4)


async def test_an_open_finding_says_the_sku_that_the_item_has_now(seller: Any) -> None:
    await seller.has("MUG", 0)
    await book(seller, "a", 1)

    def work(connection: Connection) -> None:
        by = By(actor="user:eve", run="test", now=seller.clock.now())
        rename(connection, seller.agent.setup, by, items.items_by_sku(connection, ["MUG"])["MUG"], "BECHER")
        assert item_moves.alias_of(connection, "MUG") == item_id("MUG")

    await seller.database.transact(work)

    assert await told(seller) == ("BECHER at main: 1 unit more is promised than is there", -1)


class _NoDatabase:
    """Stands for a connection that nobody may use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"it was asked for {name}")


async def test_no_statement_is_spent_where_nothing_is_or_was_oversold(seller: Any) -> None:
    await seller.has("MUG", 9)
    positions = await seller.database.query(lambda c: ledger.read_positions(c, [item_id("MUG")]))
    before = available_as_said(positions)
    nobody: Any = _NoDatabase()

    report_oversold(nobody, before, positions, seller.clock.now())

    with pytest.raises(AssertionError, match="it was asked for"):
        report_oversold(nobody, dict.fromkeys(before, -1), positions, seller.clock.now())
