"""`channelsync explain`: why a number is what it is, for people and as JSON."""

from __future__ import annotations

from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.cli.explain_commands import moment_of
from channelsync.sdk.clock import SystemClock

Shopkeeper = Any


@pytest.fixture
def sold(shopkeeper: Shopkeeper) -> Shopkeeper:
    """MUG is raised to what is there less a buffer, and two are sold afterwards."""
    listing = shopkeeper.sells("MUG", 5, units=9)
    shopkeeper.runs("rules", "set", "--channel", "shop", "buffer=2")
    assert shopkeeper.runs("reconcile").code == 0
    shop = shopkeeper.shops["shop"]
    shop.buy((shop.items[listing], 2))
    assert shopkeeper.runs("reconcile").code == 0
    return shopkeeper


def test_a_person_reads_positions_steps_rules_writes_and_reads(sold: Shopkeeper) -> None:
    ran = sold.runs("explain", "MUG")

    assert ran.code == 0
    for said in (
        "MUG, now",
        "order sale-1, line sale-1-1",
        "shop, listing item-1",
        "sum of locations",
        "2 held back",
        "for channel shop (`channelsync rules set`, run r-",
        "none: it shows 5",
        "raise from 5 to 7",
        "accepted, seen",
        "as expected",
    ):
        assert said in ran.out, said


def test_json_is_one_document(sold: Shopkeeper) -> None:
    found = sold.runs("explain", "MUG", "--json").document

    (position,), (number,) = found["positions"], found["numbers"]
    assert (found["sku"], found["past"], position["on_hand"], position["reserved"]) == ("MUG", False, 9, 2)
    assert (number["shown"], number["should"], number["action"]) == (5, 5, "none")
    assert [step["step"] for step in number["steps"]] == ["sum of locations", "buffer"]
    assert number["writes"][0]["value"] == 7


def test_at_a_past_time_the_ledger_is_replayed(sold: Shopkeeper) -> None:
    now = SystemClock().now().isoformat()
    sold.runs("stock", "receive", "MUG", "100", "--location", "main")
    found = sold.runs("explain", "MUG", "--at", now, "--json").document

    assert (found["past"], found["positions"][0]["on_hand"], found["positions"][0]["reserved"]) == (True, 9, 2)
    assert (found["numbers"][0]["should"], found["numbers"][0]["action"]) == (7, "written")
    assert "as known at" in sold.runs("explain", "MUG", "--at", now).out


def test_at_a_time_before_any_read_no_later_one_is_told(sold: Shopkeeper) -> None:
    found = sold.runs("explain", "MUG", "--at", "2020-01-01T00:00Z", "--json").document

    assert all(number["reads"] == [] for number in found["numbers"])


def test_only_the_named_channel_is_explained(sold: Shopkeeper) -> None:
    assert sold.runs("explain", "MUG", "--channel", "market", "--json").document["numbers"] == []
    assert "stands behind no listing" in sold.runs("explain", "MUG", "--channel", "market").err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("NIX",), ExitCode.REFUSED, "There is no item with the SKU NIX"),
        (("MUG", "--channel", "shpo"), ExitCode.REFUSED, "did you mean 'shop'?"),
        (("MUG", "--at", "noon"), ExitCode.USAGE, "'noon' is no time"),
        (("MUG", "--at", "2999-01-01"), ExitCode.USAGE, "has not come yet"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_sentence(
    shopkeeper: Shopkeeper, arguments: tuple[str, ...], code: ExitCode, said: str
) -> None:
    ran = shopkeeper.runs("explain", *arguments)

    assert ran.code == code
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_time_without_a_zone_is_of_the_sellers() -> None:
    assert moment_of("2026-07-01T12:00", "Europe/London").isoformat() == "2026-07-01T11:00:00+00:00"
    assert moment_of("2026-07-01T12:00Z", "Europe/London").isoformat() == "2026-07-01T12:00:00+00:00"
