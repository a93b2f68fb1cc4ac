"""`channelsync channels check`: every point of an account, what to do about it, and mending it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import NumberKey, Offer
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync_memory import MemoryChannel
from channelsync_memory.shop import SHOPS, ShopShut

Account = Any


def points(out: str, channel: str = "agora") -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in out.splitlines():
        row = json.loads(line)
        if row["channel"] == channel:
            found.setdefault(row["what"], []).append(row)
    return found


@pytest.fixture
def connected(account: Account) -> Account:
    """The seller, with the account connected and everything right."""
    assert account.connects().code == ExitCode.DONE
    return account


def checked(account: Account, *more: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    ran = account.runs("channels", "check", "agora", "--json", *more)
    return ran.code, points(ran.out)


@contextmanager
def failing(account: Account) -> Iterator[None]:
    """The marketplace takes no calls for an hour, and says so: nothing is waited for."""
    now = account.site.marketplace.now()
    fault = Fault(kind=FaultKind.TOO_MANY, starts=now, ends=now + timedelta(days=1), retry_after=3600)
    account.site.api.faults.faults = (fault,)
    yield
    account.site.api.faults.faults = ()


def test_an_account_that_is_right_has_nothing_to_be_done(connected: Account) -> None:
    code, found = checked(connected)

    assert code == ExitCode.DONE
    assert {what: one[0]["fine"] for what, one in found.items()} == dict.fromkeys(
        ("credentials", "site", "declares", "locations", "webhooks", "clock", "rate budget"), True
    )
    assert found["clock"][0]["found"] == "the channel's agrees with ours"
    assert found["webhooks"][0]["found"] == "all 4 topics are told to https://agent.example.com/webhooks/agora"


def test_the_table_names_channel_point_finding_and_advice(connected: Account) -> None:
    ran = connected.runs("channels", "check")

    assert ran.code == ExitCode.DONE
    assert "credentials" in ran.out
    assert "good: The Corner Shop" in ran.out


def test_credentials_that_are_refused_are_told_with_what_to_do(connected: Account) -> None:
    connected.site.api.tokens.revoke(connected.site.account)
    code, found = checked(connected)

    assert code == ExitCode.FOUND_WRONG
    assert "Connect the account anew" in found["credentials"][0]["advice"]
    assert "webhooks" not in found


def test_another_account_than_before_is_told_and_nothing_is_mended_there(
    connected: Account, other_site: tuple[Site, str]
) -> None:
    other, connected.address = other_site
    other.api.tokens._accounts[connected.token] = other.account
    connected.writes_config()
    code, found = checked(connected, "--repair")

    assert code == ExitCode.FOUND_WRONG
    assert "this channel was seller of agora until now" in found["credentials"][0]["found"]
    assert other.api.subscriptions.of("bazaar") == []
    shown = json.loads(connected.runs("channels", "show", "agora", "--json").out)
    assert shown["identity"] == "seller of agora"


def test_one_channel_that_is_down_harms_no_other(connected: Account) -> None:
    with failing(connected):
        ran = connected.runs("channels", "check", "--json")

    assert ran.code == ExitCode.FOUND_WRONG
    assert points(ran.out)["credentials"][0]["found"].startswith("not known: agora: ")
    assert {one["fine"] for rows in points(ran.out, "shop").values() for one in rows} == {True}


def test_a_connector_that_breaks_harms_no_other(connected: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(self: MemoryChannel) -> None:
        raise RuntimeError(f"a bug, with {connected.token}")

    monkeypatch.setattr(MemoryChannel, "check", breaks)
    ran = connected.runs("channels", "check", "--json")

    assert ran.code == ExitCode.FOUND_WRONG
    (told,) = points(ran.out, "shop")["connector"]
    assert "RuntimeError: a bug" in told["found"]
    assert points(ran.out)["credentials"][0]["fine"]


def test_a_channel_without_its_secret_says_what_to_run(account: Account) -> None:
    code, found = checked(account)

    assert code == ExitCode.FOUND_WRONG
    assert "run `channelsync channels connect agora`" in found["credentials"][0]["advice"]


def test_a_channel_that_is_off_is_called_only_when_it_is_named(connected: Account) -> None:
    connected.runs("channels", "mode", "agora", "off")
    calls = dict(connected.site.api.calls)
    ran = connected.runs("channels", "check", "--json")

    assert points(ran.out) == {
        "mode": [
            {
                "channel": "agora",
                "what": "mode",
                "found": "off: not called; name the channel to check it",
                "advice": "",
                "fine": True,
            }
        ]
    }
    assert connected.site.api.calls == calls
    assert "credentials" in checked(connected)[1]


# Clock, budget, locations


@pytest.mark.fault(13, "the measured difference is told with what to do")
@pytest.mark.parametrize(("skew", "declared", "fine"), [(95.0, 0, False), (95.0, 120, True), (-40.0, 0, False)])
def test_a_clock_that_is_off_by_more_than_declared_is_told(
    connected: Account, skew: float, declared: int, *, fine: bool
) -> None:
    connected.writes_config(settings=f"skew_s = {declared}")
    connected.site.marketplace.rules = replace(connected.site.marketplace.rules, skew=skew)
    _, found = checked(connected)

    (clock,) = found["clock"]
    assert clock["fine"] is fine
    assert ("ahead of" if skew > 0 else "behind") in clock["found"]
    assert int(clock["found"].split(" s ")[0].rpartition(" ")[2]) in range(int(abs(skew)) - 3, int(abs(skew)) + 1)


def test_a_budget_that_the_channel_says_is_spent_is_told(connected: Account) -> None:
    now = connected.site.marketplace.now()
    fault = Fault(kind=FaultKind.TOO_MANY, starts=now, ends=now + timedelta(days=1), retry_after=90, retry_as="seconds")
    connected.site.api.faults.faults = (fault,)
    code, found = checked(connected)

    assert code == ExitCode.FOUND_WRONG
    assert "calls: 0 of 1000 left, nothing before " in found["rate budget"][0]["found"]
    assert "look what else uses this account" in found["rate budget"][0]["advice"]


def test_a_location_of_the_channel_that_nothing_feeds_is_told(connected: Account) -> None:
    for location in ("70001", "70002"):
        offer = Offer(listing=f"L-{location}", sku=f"MUG-{location}", keys=(NumberKey("K-1", location),))
        connected.site.marketplace.open_listing(offer, 3)
    connected.runs("listings", "pull", "--channel", "agora")
    connected.writes_config(channel='remotes = { "70001" = "main", "70009" = "main" }')
    code, found = checked(connected)

    assert code == ExitCode.FOUND_WRONG
    (told,) = found["locations"]
    assert told["found"] == "no location of yours feeds 70002 alone; no listing has a number at 70009"
    assert '"70002" = "main"' in told["advice"]


# Webhooks


@pytest.mark.fault(22, "the subscription is registered again")
def test_a_webhook_that_is_missing_is_told_and_repaired(connected: Account) -> None:
    hooks = connected.site.api.subscriptions
    hooks.remove("agora", hooks.of("agora")[0].id)
    code, found = checked(connected)

    assert code == ExitCode.FOUND_WRONG
    assert (found["webhooks"][0]["found"], found["webhooks"][0]["advice"]) == (
        "missing: order.created",
        "Run `channelsync channels check agora --repair`.",
    )
    code, found = checked(connected, "--repair")
    assert code == ExitCode.DONE
    assert found["repair"][0]["found"] == "webhooks: registered order.created"
    assert len(hooks.of("agora")) == 4


def test_a_webhook_at_an_old_address_is_told_as_misrouted_and_left_alone(connected: Account) -> None:
    connected.writes_config(public_url="https://new.example.com")
    code, found = checked(connected)

    assert code == ExitCode.FOUND_WRONG
    assert found["webhooks"][1]["found"] == "misrouted: deliveries go to https://agent.example.com/webhooks/agora"
    assert "end wh-1, wh-2, wh-3, wh-4 at the channel" in found["webhooks"][1]["advice"]
    assert checked(connected, "--repair")[0] == ExitCode.DONE
    assert len(connected.site.api.subscriptions.of("agora")) == 8


def test_a_doubled_webhook_is_ended(connected: Account) -> None:
    hooks = connected.site.api.subscriptions
    hooks.add("agora", "https://agent.example.com/webhooks/agora", ("order.created",))
    code, found = checked(connected)

    assert (code, found["webhooks"][0]["found"]) == (ExitCode.FOUND_WRONG, "doubled: order.created")
    code, _ = checked(connected, "--repair")
    assert (code, len(hooks.of("agora"))) == (ExitCode.DONE, 4)


def test_a_webhook_whose_secret_is_lost_counts_as_off_and_is_registered_anew(connected: Account) -> None:
    connected.runs("secrets", "forget", "agora", "webhook_secrets")
    code, found = checked(connected)

    assert code == ExitCode.FOUND_WRONG
    why = "its secret is not known here"
    assert found["webhooks"][0]["found"].startswith(f"not delivered as they must be: order.created ({why}), ")
    code, found = checked(connected, "--repair")
    assert code == ExitCode.DONE
    assert len(connected.site.api.subscriptions.of("agora")) == 4
    assert checked(connected)[0] == ExitCode.DONE


# Reading orders anew


def test_repair_reads_orders_anew_whose_news_were_missed(connected: Account) -> None:
    market = connected.site.marketplace
    market.open_listing(Offer(listing="L-1", sku="MUG"), 9)
    receive = ("stock", "receive", "MUG", "9", "--location", "main", "--create-item")
    assert connected.runs(*receive).code == ExitCode.DONE
    connected.runs("listings", "pull", "--channel", "agora")
    connected.runs("listings", "map", "agora", "L-1", "MUG")
    assert connected.runs("reconcile", "--channel", "agora").code == ExitCode.DONE
    sale = market.place([Wanted("L-1", 2)], partial=False, paid=True)
    before = connected.rows("SELECT cursor FROM channel WHERE name = 'agora'")
    code, found = checked(connected, "--repair")

    assert code == ExitCode.DONE
    assert "the next polls read 1 anew" in found["repair"][1]["found"]
    assert connected.rows("SELECT cursor FROM channel WHERE name = 'agora'") == before
    assert connected.rows('SELECT channel, "order" FROM order_hint') == [("agora", sale.order.id)]
    connected.runs("reconcile", "--channel", "agora")
    assert connected.rows('SELECT channel, "order" FROM sales_order') == [("agora", sale.order.id)]
    assert connected.rows("SELECT * FROM order_hint") == []


def test_where_no_order_was_ever_read_there_is_nothing_to_read_anew(connected: Account) -> None:
    _, found = checked(connected, "--repair")

    assert found["repair"][1]["found"] == "orders: none were ever read; the first poll reads them all"


# After the seller had to act


def test_a_channel_that_waited_for_the_seller_is_used_again_once_its_credentials_are_good(connected: Account) -> None:
    waits = b'{"failures": 0, "retry_at": null, "pause": 0, "needs_seller": "Give us the permission back."}'
    connected.changes("UPDATE channel SET breaker = ? WHERE name = 'agora'", waits)
    assert connected.runs("listings", "pull", "--channel", "agora").code == ExitCode.UNREACHABLE
    before = connected.rows("SELECT connected_at FROM channel WHERE name = 'agora'")
    code, found = checked(connected)

    assert code == ExitCode.DONE
    assert found["credentials"][0]["found"].endswith("it is used again")
    after = connected.rows("SELECT connected_at FROM channel WHERE name = 'agora'")
    assert after > before, "a daemon that has it open opens it anew"
    assert connected.runs("listings", "pull", "--channel", "agora").code == ExitCode.DONE


def test_a_shop_that_shuts_is_told(connected: Account) -> None:
    SHOPS["accounts-shop"].trouble = ShopShut()
    ran = connected.runs("channels", "check", "shop", "--json")

    assert ran.code == ExitCode.FOUND_WRONG
    assert points(ran.out, "shop")["credentials"][0]["fine"] is False
