"""A backup of this morning restored by the command, and the daemon that is started on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from channelsync.lab.marketplace import Wanted

pytestmark = pytest.mark.processes


def before_their_orders(calls: list[tuple[str, str, Any]], names: set[str]) -> list[str]:
    """The marketplaces to which numbers were written before their orders were asked for."""
    read: set[str] = set()
    early = []
    for name, path, _ in calls:
        if path == "/v1/orders":
            read.add(name)
        elif path == "/v1/numbers" and name in names - read:
            early.append(name)
    return early


@pytest.mark.fault(60, "no number is written before the orders since the backup were read")
async def test_a_daemon_on_a_restored_backup_reads_the_orders_since_then_before_it_writes_any_number(
    open_day: Any, database_url: str, tmp_path: Path
) -> None:
    async with open_day(database_url, 60) as day:
        agora, bazaar = (day.sites[name].marketplace for name in ("agora", "bazaar"))
        async with day.running() as process:
            agora.buy("agora-SKU-1", 2)
            await day.settled(process)
            await day.runs("backup", "create", str(tmp_path / "morning.zip"))
            agora.buy("agora-SKU-1", 3)
            bazaar.buy("bazaar-SKU-4", 5)
            agora.cancel(agora.place([Wanted("agora-SKU-6", 1)], order="regretted").order.id)
            await day.settled(process)
        said = await day.runs("backup", "restore", str(tmp_path / "morning.zip"), "--replace")
        assert "before-restore-" in said.stdout + said.stderr
        bazaar.buy("bazaar-SKU-1", 1)
        since = len(day.wire.calls)
        async with day.running() as process:
            await day.settled(process)

        assert before_their_orders(day.wire.calls[since:], set(day.sites)) == []
        assert {name for name, path, _ in day.wire.calls[since:] if path == "/v1/orders"} == set(day.sites)
        await day.adds_up()
