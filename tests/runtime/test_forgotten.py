"""Findings about hooks, feeds and channels that were taken out of the configuration are closed; the others stay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.domain.findings import Finding, FindingKind
from channelsync.runtime.forgotten import close_forgotten
from channelsync.store import findings
from channelsync.store.database import Database

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CONFIG = """\
[[location]]
name = "main"
[[channel]]
name = "shop"
connector = "bare"
[[hook]]
name = "wms"
url = "https://wms.example/in"
secrets = ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]
[[feed]]
name = "erp"
kind = "folder"
place = "/srv/in"
basis = "physical"
as_of = "modified"
location = "main"
"""


def about(name: str, channel: str) -> list[Finding]:
    """A finding of every kind that a removal answers, about a hook and a feed of this name and a channel."""
    kinds = [
        (FindingKind.HOOK_FAILING, (name,), ""),
        (FindingKind.HOOK_FAILING, (name, "stopped"), ""),
        (FindingKind.FEED_REFUSED, (name,), ""),
        (FindingKind.FEED_LATE, (name,), ""),
        (FindingKind.TASK_FAILED, ("task", f"feed:{name}"), ""),
        (FindingKind.TASK_FAILED, ("task", f"listings:{channel}"), channel),
        (FindingKind.TASK_FAILED, (f"channel {channel}",), channel),
        (FindingKind.NEEDS_SELLER, (channel, "numbers"), channel),
        (FindingKind.CHANNEL_DOWN, (channel, "orders"), channel),
        (FindingKind.WEBHOOKS, (channel, "subscriptions"), channel),
    ]
    return [Finding(kind=kind, subject=subject, channel=of, summary="") for kind, subject, of in kinds]


async def still_open(database: Database, config: Any, given: list[Finding]) -> list[str]:
    """The fingerprints that are open once the configuration was taken."""

    def unit(connection: Any) -> list[str]:
        findings.open_findings(connection, given, NOW)
        close_forgotten(connection, config, NOW)
        return sorted(one.fingerprint for one in findings.list_findings(connection))

    return await database.transact(unit)


@pytest.fixture
def config(read_config: Any) -> Any:
    return read_config(CONFIG).config


async def test_what_the_configuration_names_no_more_is_closed_and_the_rest_is_not(
    database: Database, config: Any
) -> None:
    kept = [*about("wms", "shop")[:2], *about("erp", "shop")[2:]]
    assert await still_open(database, config, [*kept, *about("old", "market")]) == sorted(x.fingerprint for x in kept)


async def test_a_hook_and_a_feed_of_one_name_are_two_things(database: Database, config: Any) -> None:
    assert await still_open(database, config, [*about("erp", "shop")[:2], *about("wms", "shop")[2:5]]) == []


@pytest.mark.parametrize("kind", [FindingKind.OVERSOLD, FindingKind.UNMAPPED_LINE, FindingKind.DRIFT])
async def test_what_was_sold_and_counted_stays_open_whatever_is_removed(
    database: Database, config: Any, kind: FindingKind
) -> None:
    given = [Finding(kind=kind, subject=("market", "x"), channel="market", summary="")]
    assert await still_open(database, config, given) == [given[0].fingerprint]


async def test_a_task_of_no_channel_stays_open(database: Database, config: Any) -> None:
    given = [Finding(kind=FindingKind.TASK_FAILED, subject=("task", "backup"), summary="")]
    assert await still_open(database, config, given) == ["task failed|task|backup"]
