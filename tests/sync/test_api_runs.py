"""A change for a caller: one run, in one transaction, once for a key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from channelsync.store import api_answers, runs
from channelsync.sync.api_runs import (
    ANSWERS_KEPT,
    Answered,
    Keyed,
    KeyUsed,
    forget_answers,
    prune_api_answers,
    run_for_caller,
)
from channelsync.sync.stock import By
from channelsync.sync.tokens import Caller

TILL = Caller("till", "operate")


def answering(connection: Connection, by: By) -> Answered:
    return Answered(201, by.run.encode())


async def made(seller: Any) -> list[tuple[str, str, str]]:
    found = await seller.database.query(runs.list_runs)
    return [(one.command, one.actor, one.outcome) for one in found if one.id != "test"]


async def test_a_change_is_a_run_of_its_own_and_wakes_the_publishers(seller: Any) -> None:
    answered = await run_for_caller(seller.agent, TILL, "orders book", answering)
    assert (answered.status, answered.repeated) == (201, False)
    assert await made(seller) == [("orders book", "token:till", "done")]
    assert seller.agent.changed.is_set()


async def test_what_raises_leaves_neither_run_nor_key(seller: Any) -> None:
    def raising(_connection: Connection, _by: By) -> Answered:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run_for_caller(seller.agent, TILL, "orders book", raising, keyed=Keyed("k", "d"))
    assert await made(seller) == []
    assert not seller.agent.changed.is_set()
    assert not (await run_for_caller(seller.agent, TILL, "orders book", answering, keyed=Keyed("k", "d"))).repeated


async def test_a_key_is_answered_as_the_first_time_and_wakes_nobody(seller: Any) -> None:
    first = await run_for_caller(seller.agent, TILL, "orders book", answering, keyed=Keyed("k", "d"))
    seller.agent.changed.clear()
    again = await run_for_caller(seller.agent, TILL, "orders book", answering, keyed=Keyed("k", "d"))
    assert (again.status, again.body, again.repeated) == (first.status, first.body, True)
    assert not seller.agent.changed.is_set()
    assert len(await made(seller)) == 1
    with pytest.raises(KeyUsed, match="used for another request"):
        await run_for_caller(seller.agent, TILL, "orders book", answering, keyed=Keyed("k", "other"))


async def test_a_clock_that_leaps_a_day_ahead_forgets_no_answer(seller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seller.clock, "monotonic", lambda: 3_600.0)
    seller.agent.clock_watch.look(seller.clock.now(), 0.0, ())
    first = await run_for_caller(seller.agent, TILL, "orders book", answering, keyed=Keyed("k", "d"))
    seller.clock.at += timedelta(hours=1)
    seller.agent.clock_watch.look(seller.clock.now(), 3_600.0, ())
    assert await forget_answers(seller.agent) == "0 answers taken away"
    seller.clock.at += ANSWERS_KEPT
    seller.agent.clock_watch.look(seller.clock.now(), 3_600.0, ())
    assert "leapt" in await forget_answers(seller.agent)
    seller.clock.at -= ANSWERS_KEPT
    again = await run_for_caller(seller.agent, TILL, "orders book", answering, keyed=Keyed("k", "d"))
    assert (again.body, again.repeated) == (first.body, True)


async def test_answers_are_pruned_when_they_are_too_old(seller: Any) -> None:
    await run_for_caller(seller.agent, TILL, "orders book", answering, keyed=Keyed("k1", "d"))
    seller.clock.at += ANSWERS_KEPT + timedelta(seconds=1)
    await run_for_caller(seller.agent, TILL, "orders book", answering, keyed=Keyed("k2", "d"))
    assert await prune_api_answers(seller.agent) == 1
    now = seller.clock.now()
    kept = await seller.database.transact(
        lambda c: api_answers.claim_key(c, "till", "k2", digest="d", run="other", now=now)
    )
    assert kept is not None
