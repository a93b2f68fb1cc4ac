"""Stories of section 6: writes whose answer is lost, cannot be read, or never came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channelsync.lab.faults import Fault, FaultKind
from channelsync.sdk.errors import OutcomeUnknown

BEGINS = datetime(2026, 3, 2, 12, 11, tzinfo=UTC)
"""When the stories of this file begin, in the world's time."""


def pushes_meet(kind: FaultKind, minutes: float) -> Fault:
    """What goes wrong with every push from the beginning of the story on, for so long."""
    ends = BEGINS + timedelta(minutes=minutes)
    return Fault(kind=kind, starts=BEGINS, ends=ends, endpoints=frozenset({"push"}))


@pytest.mark.fails_without("sync.send_writes.AnswerUnreadable", OutcomeUnknown)
async def test_a_write_whose_answer_cannot_be_read_may_have_been_applied(open_world) -> None:
    world = await open_world(["shop", "market"], faults={"shop": [pushes_meet(FaultKind.HTML_AFTER, 0.1)]})
    world.sells("market", 3)
    await world.poll("market")
    await world.tick("shop")
    assert world.shows("shop") == 7
    assert [(one.outcome, one.closed_at) for one in await writes_to(world, "shop")] == [("unknown", None)]
    await world.lives(1, poll=False)
    assert (await world.held(), world.shown()) == ([], [7, 7])
    await world.lives(15)
    assert (world.shown(), world.wires["shop"].values, await world.kinds()) == ([7, 7], [7], [])


def taken_as_applied(write: Any) -> Any:
    """Whatever was sent was accepted when it was sent."""
    return lambda **fields: write(**fields | {"answered": fields["answered"] or fields["sent"]})


@pytest.mark.fails_without("store.keys.Write", around=taken_as_applied)
async def test_a_lowering_that_never_arrived_is_not_taken_as_applied(open_world) -> None:
    world = await open_world(["shop", "market"], faults={"shop": [pushes_meet(FaultKind.NO_ANSWER, 0.5)]})
    world.sells("market", 4)
    await world.poll("market")
    await world.tick("shop")
    assert world.shows("shop") == 10
    await world.lives(1, poll=False)
    assert (world.shows("shop"), (await world.row("shop")).rise) == (6, 0)
    await world.lives(15)
    assert (world.shown(), await world.kinds()) == ([6, 6], [])


async def writes_to(world: Any, name: str) -> list[Any]:
    """What is recorded of the writes of the usual number on a marketplace since the story began."""
    row = await world.row(name)
    return await world.sql(
        "SELECT outcome, closed_at FROM quantity_write WHERE key = :key AND sent_at >= :since ORDER BY generation",
        key=row.id,
        since=BEGINS.strftime("%Y-%m-%d %H:%M:%S"),
    )
