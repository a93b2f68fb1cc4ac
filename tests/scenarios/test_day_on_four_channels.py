"""The day of the demo on Shopify, WooCommerce, Amazon and eBay at once, a part of it: every number ends right.

Their connectors, the daemon's loops, real sockets, simulated time; every call and fault as the vendors' own contracts
have it. `python -m benchmarks.channels` plays the whole day and writes its figures.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from vendor_day.buyers import tells_of_a_buyer
from vendor_day.day import DayOptions, Played, play_day
from vendor_day.figures import WRITES_MAX, channel_figures
from vendor_day.trouble import DOWN, DOWN_FOR

# Read when this file is imported: the suite clears our settings from the environment of each test.
_CONTRACTS = os.environ.get("CHANNELSYNC_CONTRACTS")  # noqa: TID251

CHANNELS = ("shopify", "woocommerce", "amazon", "ebay")
SCALE = 0.05

WITHOUT = (
    "set CHANNELSYNC_CONTRACTS to a folder with the vendors' contracts: shopify/admin_2026-10.graphql.gz, amazon/models"
    " and ebay, as the tests of the vendors' servers say"
)


@pytest.fixture(scope="module")
def day() -> tuple[Played, list[Any]]:
    """One day for all tests of this file, and all that was logged on it."""
    if not _CONTRACTS:
        pytest.skip(WITHOUT)
    with capture_logs() as logs:
        return play_day(DayOptions(contracts=Path(_CONTRACTS), scale=SCALE)), logs


@pytest.fixture(scope="module")
def played(day: tuple[Played, list[Any]]) -> Played:
    return day[0]


@pytest.mark.parametrize("name", CHANNELS)
def test_every_number_is_what_is_left_by_the_referees_truth(played: Played, name: str) -> None:
    assert played.channels[name].drift == ()


@pytest.mark.parametrize("name", CHANNELS)
def test_no_order_is_missing(played: Played, name: str) -> None:
    channel = played.channels[name]
    assert channel.orders > 0
    assert channel.missing == ()


@pytest.mark.parametrize("name", CHANNELS)
def test_no_call_is_above_a_budget(played: Played, name: str) -> None:
    """The vendor's published one, as its server counts; WooCommerce publishes none, so there it is the one that our
    connector declares for the shop (`calls_at_once`, `calls_per_second`), counted as calls arrive."""
    assert played.channels[name].over == ()


@pytest.mark.parametrize("name", CHANNELS)
def test_the_server_and_the_connector_keep_the_vendors_contract(played: Played, name: str) -> None:
    assert played.channels[name].complaints == ()


@pytest.mark.parametrize("name", CHANNELS)
def test_numbers_leave_in_full_batches(played: Played, name: str) -> None:
    channel = played.channels[name]
    assert 0 < channel.writes <= WRITES_MAX * channel.fewest


@pytest.mark.parametrize("name", CHANNELS)
def test_no_number_stands_wrong_for_much_longer_than_a_channel_is_down(played: Played, name: str) -> None:
    assert played.channels[name].stood_wrong <= DOWN_FOR + timedelta(hours=1)


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != DOWN])
def test_a_channel_that_is_down_keeps_no_other_from_writing(played: Played, name: str) -> None:
    assert played.channels[name].wrote_meanwhile > 0


def test_a_channel_that_is_down_keeps_no_other_from_taking_orders(played: Played) -> None:
    took = {name: channel.took_meanwhile for name, channel in played.channels.items()}
    assert took.pop(DOWN) == 0, "it was not down"
    assert sum(took.values()) > 0


def test_no_buyer_is_in_the_database_or_in_a_log(day: tuple[Played, list[Any]]) -> None:
    played, logs = day
    assert played.buyers == ()
    assert {line["channel"] for line in logs if line["event"] == "channel.call"} == {*CHANNELS}, "all calls are logged"
    assert [line for line in logs if tells_of_a_buyer(repr(line))] == []


def test_the_ledger_adds_up(played: Played) -> None:
    assert played.ledger_problems == 0
    assert played.ledger_entries > sum(channel.orders for channel in played.channels.values())


def test_every_channel_met_faults(played: Played) -> None:
    assert all(channel.faults > 10 for channel in played.channels.values())


def test_the_figures_hold(played: Played) -> None:
    assert [figure.name for figure in channel_figures(played) if figure.holds is False] == []
