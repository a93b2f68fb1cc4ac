"""What was taken out of the configuration: findings about hooks, feeds and channels are closed; units are not lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.domain.findings import Finding, FindingKind
from channelsync.domain.ledger import Cause, EntryKind, Movement
from channelsync.domain.quantities import PositionKey
from channelsync.runtime.taken_out import look_at_taken_out
from channelsync.store import findings, ledger
from channelsync.store.database import Database
from channelsync.store.items import Item, add_items

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
        look_at_taken_out(connection, config, NOW)
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


async def test_units_at_a_place_that_was_taken_out_are_a_finding_until_it_is_named_again_or_they_are_gone(
    database: Database, config: Any, read_config: Any
) -> None:
    def unit(connection: Any) -> list[list[tuple[str, str]]]:
        add_items(connection, [Item(id="i-mug", sku="MUG"), Item(id="i-cup", sku="CUP")], NOW)
        for item, place in (("i-mug", "main"), ("i-mug", "annex"), ("i-cup", "annex"), ("i-cup", "attic")):
            receive(connection, item, place, 0 if place == "attic" else 3)
        seen = []
        for change in (lambda: config, lambda: named_again, lambda: config, lambda: gone(connection)):
            look_at_taken_out(connection, change(), NOW)
            found = findings.list_findings(connection, kinds=[FindingKind.STRANDED_UNITS])
            seen.append([(one.fingerprint, one.summary) for one in found])
        return seen

    def gone(connection: Any) -> Any:
        for item in ("i-mug", "i-cup"):
            receive(connection, item, "annex", -3)
        return config

    named_again = read_config(
        CONFIG.replace('name = "main"\n[[ch', 'name = "main"\n[[location]]\nname = "annex"\n[[ch')
    ).config
    ((fingerprint, summary),), named, (again,), emptied = await database.transact(unit)
    assert (fingerprint, named, again[0], emptied) == ("stranded units|annex", [], "stranded units|annex", [])
    assert "2 items have units at annex (6 on hand, 0 reserved)" in summary
    assert "Name annex again" in summary


def receive(connection: Any, item: str, location: str, units: int) -> None:
    """Puts units there, or takes them away."""
    position = PositionKey(item, location)
    ledger.open_positions(connection, [position])
    cause = Cause(actor="test", run="test", reason="counted")
    movement = Movement(
        id=f"{item} {location} {units}", position=position, kind=EntryKind.ADJUST, on_hand=units, at=NOW, cause=cause
    )
    ledger.write(connection, [movement] if units else [], ledger.lock_positions(connection, [item]), NOW)
