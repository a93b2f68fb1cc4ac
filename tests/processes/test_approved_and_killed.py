"""A held plan is approved, and the daemon that carries it out is killed in the middle, twice: the plan runs once."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from channelsync.store import plans
from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes

GUARD = "[guard]\nleast = 3\n"
COUNTED = {f"SKU-{number}": -8 for number in range(2, 8)}
"""Six of eight SKUs lose two thirds of their units: too much for one run."""


def written(day: Any, *, lost: int) -> Counter[tuple[str, str, int]]:
    """How often each (marketplace, listing, number) was written. lost: the place of a call that never arrived."""
    calls = [call for place, call in enumerate(day.wire.calls) if place != lost]
    return Counter(
        (name, row["key"], row["number"])
        for name, path, body in calls
        if path == "/v1/numbers"
        for row in body["updates"]
    )


async def killed_at_its_write(day: Any, process: Any, *, before: bool) -> int:
    """Kills the daemon at its next write, carried out or lost on its way; returns the place of that call."""
    try:
        await day.trapped("/v1/numbers", 1, process.kill, before=before)
        place = len(day.wire.calls) - 1
        assert await day.ended(process) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()
    return place


@pytest.mark.fault(47, "an approved plan whose daemon is killed in the middle is carried out once, all of it")
async def test_an_approved_plan_whose_daemon_is_killed_in_the_middle_is_carried_out_once(
    open_day: Any, database_url: str, tmp_path: Path
) -> None:
    async with open_day(database_url, 47) as day:
        day.config.write_text(day.config.read_text() + GUARD)
        counts = tmp_path / "counts.csv"
        counts.write_text("sku,units\n" + "".join(f"{sku},{units}\n" for sku, units in COUNTED.items()))
        await day.runs("stock", "import", str(counts), "--basis", "delta", "--location", "main", code=8)
        day.received.update(COUNTED)
        day.left.update(COUNTED)

        process = day.start()
        try:
            await day.until(lambda: looked(day))
            waiting = {one.channel: one.id for one in await day.database.query(plans.list_plans)}
            assert waiting.keys() == day.sites.keys()
            assert written(day, lost=-1) == Counter(), "it waits for approval"
            killing = asyncio.create_task(killed_at_its_write(day, process, before=False))
            await day.runs("approvals", "approve", waiting["agora"])
            await killing
        finally:
            process.kill()
            process.wait()
        await day.runs("approvals", "approve", waiting["bazaar"])
        lost = await killed_at_its_write(day, day.start(), before=True)
        async with day.running() as process:
            await day.settled(process)

        planned = [one for one in day.wares.listings if one.sku in COUNTED]
        should = {(one.marketplace, one.listing, day.wares.shown(one, day.left)): 1 for one in planned}
        assert written(day, lost=lost) == should
        for plan in await day.database.query(plans.list_plans):
            known = await day.database.query(lambda c, plan=plan: plans.plan_keys(c, plan.id))
            assert (plan.state, {one.state for one in known}) == ("approved", {"released"})
        assert (await day.database.query(verify, snapshot=True)).problems == []


async def looked(day: Any) -> bool:
    """Whether a daemon has asked each marketplace twice, and so has had the time to write."""
    asked = Counter(name for name, path, _ in day.wire.calls if path == "/v1/orders")
    return all(asked[name] > 1 for name in day.sites)
