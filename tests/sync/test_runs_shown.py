"""Runs as they are listed, on either database."""

from __future__ import annotations

from typing import Any

from channelsync.store import runs
from channelsync.sync.runs_shown import view_runs
from channelsync.sync.switches import change_channel


async def test_a_run_tells_what_undo_would_take_back_and_why_it_was(seller: Any) -> None:
    now = seller.clock.now()
    await seller.sells("MUG", 5)

    def switched(connection: Any) -> None:
        runs.begin_run(connection, "r-2", "channels zero", "user:eve", {"why": "holiday"}, seller.clock.now())
        change_channel(connection, "shop", {"zeroed": True}, run="r-2", now=seller.clock.now())

    await seller.database.transact(switched)
    found = await seller.database.query(lambda c: view_runs(c, 5, since=now))

    (zeroed,) = [one for one in found if one.run == "r-2"]
    assert (zeroed.actor, zeroed.reason) == ("user:eve", "holiday")
    assert (zeroed.entries, zeroed.changes, zeroed.undo) == (0, 1, "takes back 1 change")
    shown = await seller.database.query(lambda c: view_runs(c, 5, command="channels"))
    assert [one.run for one in shown] == ["r-2"]
