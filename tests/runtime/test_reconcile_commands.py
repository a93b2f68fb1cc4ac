"""`channelsync reconcile`: its plan, its result, its exit codes; and a dry run that leaves no trace."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.store.publisher_lock import single_publisher_lock
from channelsync_memory import MemoryChannel
from channelsync_memory.shop import ShopBusy

Shopkeeper = Any


def dump(shopkeeper: Shopkeeper) -> list[str]:
    """Everything that the database holds."""
    with sqlite3.connect(shopkeeper.config.parent / "channelsync.db") as connection:
        lines = list(connection.iterdump())
    connection.close()
    return lines


def test_nothing_to_do_ends_with_0_and_says_so(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5)
    ran = shopkeeper.runs("reconcile")

    assert ran.code == ExitCode.DONE
    assert ran.out == "Plan: none\n"
    assert ran.err == "1 numbers compared, 0 orders taken in. 0 put right by this process, 0 left.\n"


def test_the_plan_and_the_result_are_printed_as_tables(shopkeeper: Shopkeeper) -> None:
    listing = shopkeeper.sells("MUG", 5, units=9)
    ran = shopkeeper.runs("reconcile")

    assert ran.code == ExitCode.DONE
    assert "raise from 5 to 9; sum of locations 9 (main 9" in ran.out
    assert ran.out.index("Plan") < ran.out.index("Result")
    assert "1 put right by this process, 0 left" in ran.err
    assert shopkeeper.number(listing) == 9


def test_json_is_one_document_with_the_plan_and_the_result(shopkeeper: Shopkeeper) -> None:
    listing = shopkeeper.sells("MUG", 5, units=9)
    found = shopkeeper.runs("reconcile", "--json").document

    assert (found["by"], found["compared"], found["left"], found["failures"]) == ("this process", 1, 0, {})
    (planned,), (result,) = found["plan"], found["result"]
    assert (planned["listing"], planned["sku"], planned["shown"], planned["should"]) == (listing, "MUG", 5, 9)
    assert (planned["action"], planned["state"], result["shown"], result["state"]) == ("raise", "to do", 9, "right")


def test_chosen_skus_are_shown_even_when_they_are_right(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5)
    shopkeeper.sells("CUP", 5, units=9)
    ran = shopkeeper.runs("reconcile", "MUG")

    assert "it shows 5" in ran.out
    assert "CUP" not in ran.out


def test_only_the_named_channel_is_written(shopkeeper: Shopkeeper) -> None:
    here = shopkeeper.sells("MUG", 5, units=9)
    there = shopkeeper.sells("CUP", 5, units=9, channel="market")

    assert shopkeeper.runs("reconcile", "--channel", "market").code == 0
    assert shopkeeper.number(here) == 5
    assert shopkeeper.number(there, "market") == 9


def test_what_is_left_after_the_wait_ends_with_1(shopkeeper: Shopkeeper) -> None:
    listing = shopkeeper.sells("MUG", 5, units=9)
    shopkeeper.shops["shop"].items[listing].under_review = "under review"
    ran = shopkeeper.runs("reconcile", "--wait", "0")

    assert ran.code == ExitCode.FOUND_WRONG
    assert "1 left" in ran.err


def test_a_channel_that_cannot_be_asked_ends_with_5(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5)
    shopkeeper.shops["market"].trouble = ShopBusy()
    ran = shopkeeper.runs("reconcile")

    assert ran.code == ExitCode.UNREACHABLE
    assert "error: market could not be asked, its numbers are those of before: two-market: the shop" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("NIX",), "There is no item with the SKU NIX"),
        (("--channel", "shpo"), "did you mean 'shop'?"),
        (("--repair", "--adopt"), "--repair and --adopt contradict one another"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(
    shopkeeper: Shopkeeper, arguments: tuple[str, ...], said: str
) -> None:
    ran = shopkeeper.runs("reconcile", *arguments)

    assert ran.code in (ExitCode.REFUSED, ExitCode.USAGE)
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


# A dry run


@pytest.fixture
def no_push(monkeypatch: pytest.MonkeyPatch) -> list[QuantityUpdate]:
    pushed: list[QuantityUpdate] = []

    async def push(self: MemoryChannel, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        pushed.extend(updates)
        raise AssertionError("a dry run pushes nothing")

    monkeypatch.setattr(MemoryChannel, "push", push)
    return pushed


def test_a_dry_run_prints_the_plan_and_changes_neither_database_nor_channel(
    shopkeeper: Shopkeeper, no_push: list[QuantityUpdate]
) -> None:
    listing = shopkeeper.sells("MUG", 5, units=9)
    shop = shopkeeper.shops["shop"]
    shop.buy((shop.items[listing], 2))
    before = dump(shopkeeper)
    ran = shopkeeper.runs("reconcile", "--dry-run")

    assert ran.code == ExitCode.FOUND_WRONG
    assert "raise from 3 to 7" in ran.out
    assert "Result" not in ran.out
    assert ran.err == "1 numbers compared, 1 orders taken in. 1 to put right.\n"
    assert dump(shopkeeper) == before
    assert (shopkeeper.number(listing), no_push) == (3, [])


def test_a_dry_run_of_what_is_right_ends_with_0(shopkeeper: Shopkeeper, no_push: list[QuantityUpdate]) -> None:
    shopkeeper.sells("MUG", 5)
    assert shopkeeper.runs("reconcile", "--dry-run").code == ExitCode.DONE


def test_the_plan_of_a_dry_run_is_the_real_plan(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5, units=9)
    dropped = shopkeeper.sells("CUP", 5)
    other = shopkeeper.sells("CUP", 5, units=0, channel="market")
    assert shopkeeper.runs("reconcile").code == 0
    shopkeeper.runs("stock", "receive", "MUG", "3", "--location", "main")
    shopkeeper.shops["shop"].items[dropped].number = 2
    planned = shopkeeper.runs("reconcile", "--dry-run", "--json").document["plan"]
    real = shopkeeper.runs("reconcile", "--json").document["plan"]

    assert planned == real
    assert {row["sku"]: (row["shown"], row["should"]) for row in real if row["channel"] == "market"} == {"CUP": (5, 4)}
    assert shopkeeper.number(other, "market") == 4  # of three units gone one may be a sale; no order explains the rest


def test_a_dry_run_works_beside_a_daemon(shopkeeper: Shopkeeper, no_push: list[QuantityUpdate]) -> None:
    shopkeeper.sells("MUG", 5, units=9)
    with single_publisher_lock(shopkeeper.config.parent / "channelsync.db"):
        ran = shopkeeper.runs("reconcile", "--dry-run")

    assert ran.code == ExitCode.FOUND_WRONG
    assert "raise from 5 to 9" in ran.out


# Questions, and a daemon beside


def asking(open_shops: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Shopkeeper, str]:
    """A number that somebody raised, looked at again when every order that could explain it must have been listed."""
    shopkeeper = open_shops('drift = "ask"')
    listing = shopkeeper.sells("MUG", 5)
    assert shopkeeper.runs("reconcile").code == 0
    shopkeeper.shops["shop"].items[listing].number = 8
    ran = shopkeeper.runs("reconcile", "--wait", "0")
    assert ran.code == ExitCode.FOUND_WRONG
    assert "its number rose by itself, and an order that explains it may still be listed" in ran.out
    later = SystemClock().now() + timedelta(minutes=10)
    monkeypatch.setattr(SystemClock, "now", lambda _: later)
    ran = shopkeeper.runs("reconcile")
    assert ran.code == ExitCode.FOUND_WRONG
    assert "a question about it is open: 3 units were raised at the channel by no order" in ran.out
    assert shopkeeper.number(listing) == 8
    return shopkeeper, listing


def test_repair_answers_an_open_question_with_our_number(open_shops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shopkeeper, listing = asking(open_shops, monkeypatch)
    ran = shopkeeper.runs("reconcile", "--repair")

    assert ran.code == ExitCode.DONE
    assert "Questions answered" in ran.out
    assert shopkeeper.number(listing) == 5


def test_adopt_answers_an_open_question_with_an_adjustment(open_shops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shopkeeper, listing = asking(open_shops, monkeypatch)
    found = shopkeeper.runs("reconcile", "--adopt", "--json").document

    assert [(one["listing"], one["units"]) for one in found["answered"]] == [(listing, 3)]
    assert found["left"] == 0
    assert shopkeeper.number(listing) == 8
    assert "8" in shopkeeper.runs("stock", "show", "MUG").out


@pytest.mark.fault(51, "it asks the daemon and waits")
def test_beside_a_publisher_keys_are_put_on_its_agenda(shopkeeper: Shopkeeper) -> None:
    shopkeeper.sells("MUG", 5, units=9)
    with single_publisher_lock(shopkeeper.config.parent / "channelsync.db"):
        ran = shopkeeper.runs("reconcile", "--wait", "0", "--json")

    assert ran.code == ExitCode.FOUND_WRONG
    assert (ran.document["by"], ran.document["left"]) == ("the daemon", 1)
    with sqlite3.connect(shopkeeper.config.parent / "channelsync.db") as connection:
        ((wanted, due, urgency),) = connection.execute(
            "SELECT read_wanted, due_at IS NOT NULL, urgency FROM quantity_key"
        ).fetchall()
    connection.close()
    assert (wanted, due, urgency) == (1, 1, 0)


@pytest.mark.postgresql
def test_on_postgresql_too_a_dry_run_leaves_no_trace_and_a_real_one_puts_right(
    open_shops: Any, postgresql_url: str, no_push: list[QuantityUpdate], monkeypatch: pytest.MonkeyPatch
) -> None:
    shopkeeper = open_shops(url=postgresql_url)
    listing = shopkeeper.sells("MUG", 5, units=9)
    before = asyncio.run(everything(postgresql_url))
    assert shopkeeper.runs("reconcile", "--dry-run").code == ExitCode.FOUND_WRONG
    assert asyncio.run(everything(postgresql_url)) == before

    monkeypatch.undo()
    assert shopkeeper.runs("reconcile").code == ExitCode.DONE
    assert shopkeeper.number(listing) == 9


async def everything(url: str) -> dict[str, list[str]]:
    """All rows of all tables."""
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return {name: sorted(map(repr, await connection.fetch(f'SELECT * FROM "{name}"'))) for (name,) in names}
    finally:
        await connection.close()


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["for real", "dry run"])
def test_a_channel_whose_secret_is_missing_is_named_and_holds_up_no_other(
    shopkeeper: Shopkeeper, options: Sequence[str]
) -> None:
    listing = shopkeeper.sells("MUG", 5, units=9)
    market = 'connector = "memory"\nsettings = { shop = "two-market" }'
    needy = 'connector = "sandbox"\nsettings = { base_url = "http://127.0.0.1:9", refresh_token = { stored = "t" } }'
    text = shopkeeper.config.read_text()
    assert market in text
    shopkeeper.config.write_text(text.replace(market, needy))

    ran = shopkeeper.runs("reconcile", *options)

    assert ran.code == ExitCode.UNREACHABLE
    assert "market: " in ran.err
    assert "channelsync channels connect market" in ran.err
    assert shopkeeper.number(listing) == (5 if options else 9)
