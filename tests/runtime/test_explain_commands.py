"""`channelsync explain`: why a number is what it is, for people and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from channelsync.runtime.cli.arguments import moment
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
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


def test_at_a_past_time_the_write_in_force_is_told_as_of_when_it_was_sent(sold: Shopkeeper) -> None:
    now = SystemClock().now().isoformat()
    ran = sold.runs("explain", "MUG", "--at", now)
    (number,) = sold.runs("explain", "MUG", "--at", now, "--json").document["numbers"]

    sent = number["in_force"]["sent_at"]
    assert number["said_at"] == sent
    assert f"write 1 of 7, sent {sent}, was written because: raise from 5 to 7" in ran.out
    assert f"How that number came about, from what was known at {sent}" in ran.out
    assert "should show" not in ran.out, "two were sold since, so it should show 5"


def test_at_a_past_time_before_any_write_there_is_none_in_force(sold: Shopkeeper) -> None:
    assert "none: nothing had been written to it" in sold.runs("explain", "MUG", "--at", "2020-01-01T00:00Z").out


def test_what_was_predicted_of_an_observed_number_says_when(open_shops: Any) -> None:
    observing = open_shops('mode = "observe"')
    observing.sells("MUG", 5, units=9)
    assert observing.runs("reconcile").code == 0
    (number,) = observing.runs("explain", "MUG", "--at", SystemClock().now().isoformat(), "--json").document["numbers"]
    ran = observing.runs("explain", "MUG", "--at", SystemClock().now().isoformat())

    assert f"9, at {number['said_at']}, while the channel was only observed" in ran.out


def configured(shopkeeper: Shopkeeper, text: str) -> None:
    """This comes at the end of the configuration."""
    shopkeeper.config.write_text(f"{shopkeeper.config.read_text()}\n{text}")


def test_of_a_bundle_each_part_says_what_it_makes(shopkeeper: Shopkeeper) -> None:
    configured(shopkeeper, '[[bundle]]\nsku = "SET"\nparts = [{ sku = "MUG", units = 2 }, { sku = "TEA", units = 1 }]')
    shopkeeper.sells("MUG", 5)
    shopkeeper.sells("SET", 1, units=0)
    ran = shopkeeper.runs("explain", "SET")
    (main,) = shopkeeper.runs("explain", "SET", "--json").document["bundle"]

    assert "main makes 0 of SET" in ran.out
    (tea,) = (line for line in ran.out.splitlines() if "│ TEA" in line and "main" not in line)
    cells = [cell.strip() for cell in tea.strip("│").split("│")]
    assert cells == ["TEA", "0", "1", "0", "decides", "nobody said how many"]
    assert (main["location"], main["makes"], main["from_parts"]) == ("main", 0, 0)
    assert main["parts"][0] == {
        "sku": "MUG",
        "units": 2,
        "available": 5,
        "makes": 2,
        "decides": False,
        "stated": True,
    }


def test_where_nobody_has_said_how_many_there_are_no_number_is_made_up(shopkeeper: Shopkeeper) -> None:
    """Counted at main, and sold on a channel that is fed from second only."""
    configured(shopkeeper, 'locations = ["second"]\nrules = { buffer = "10%" }\n[[location]]\nname = "second"')
    shopkeeper.runs("stock", "receive", "MUG", "4", "--location", "main", "--create-item")
    shopkeeper.sells("MUG", 9, units=0, channel="market")
    for command in ("explain", "reconcile", "explain"):
        shown = ("--channel", "market") if command == "reconcile" else ("MUG", "--channel", "market")
        for form in ((), ("--json",)):
            assert "00000000" not in shopkeeper.runs(command, *shown, *form).out

    (number,) = shopkeeper.runs("explain", "MUG", "--channel", "market", "--json").document["numbers"]
    assert (number["shown"], number["should"], number["steps"][0]["after"]) == (9, None, None)
    assert "nobody has said how many there are at second" in shopkeeper.runs("explain", "MUG").out
    assert shopkeeper.runs("listings", "list", "--json").rows[0]["should_show"] == [None]
    (problem,) = shopkeeper.runs("listings", "lint", "--json").rows
    assert "`channelsync stock count MUG UNITS --location second`" in problem["text"]
    assert shopkeeper.runs("stock", "count", "MUG", "9", "--location", "second").code == 0
    assert shopkeeper.runs("listings", "lint", "--json").rows == []


def test_a_rule_that_was_set_for_a_sku_is_told_by_it(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5, units=9)
    shopkeeper.runs("rules", "set", "--sku", "MUG", "--channel", "shop", "may_raise=false", "buffer=1")
    item = shopkeeper.runs("explain", "MUG", "--json").document["item"]
    for command in (("explain", "MUG"), ("reconcile", "--dry-run")):
        told = shopkeeper.runs(*command).out
        assert "for SKU MUG + channel shop (`channelsync rules set`" in told
        assert item not in told


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
    assert moment("2026-07-01T12:00", "Europe/London") == datetime(2026, 7, 1, 11, tzinfo=UTC)
    assert moment("2026-07-01T12:00Z", "Europe/London") == datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "0001-01-01T00:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="is no time such as"):
        moment(text, "Europe/Berlin")
