"""Wake-ups between processes are hints: what nobody was told of is found all the same."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.store import runs
from channelsync.sync.rule_changes import change_rule, plain_rule
from channelsync.sync.wake_ups import hear_others


async def set_by_another_process(seller: Any, units: int) -> None:
    """As `channelsync rules set` does it."""
    rule = Rule("r-shop", RuleScope(channel="shop"), RuleValues(buffer=Fixed(units)), "by hand")
    now = seller.clock.now()

    def unit(connection: Any) -> None:
        runs.begin_run(connection, f"rules-{units}", "rules set", "user", {}, now)
        change_rule(connection, seller.agent.setup, rule.id, plain_rule(rule), run=f"rules-{units}", now=now)

    await seller.database.transact(unit)


async def test_a_rule_that_nobody_was_told_of_holds_after_a_minute(
    seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler, or when a connection has died without a word."""
    monkeypatch.setattr(seller.database, "_pooled", True, raising=False)
    monkeypatch.setattr(runs, "latest_run", lambda connection: None)
    began = seller.clock.now()
    hearing = asyncio.create_task(hear_others(seller.agent))
    await set_by_another_process(seller, 4)
    seller.channel().wake_publisher.clear()
    async with asyncio.timeout(60):
        await seller.channel().wake_publisher.wait()
    assert seller.clock.now() - began >= timedelta(minutes=1)
    assert len(seller.agent.setup.stored_rules) == 1
    hearing.cancel()
    with suppress(asyncio.CancelledError):
        await hearing
