"""`channelsync inbox ...` and `channelsync webhooks`: what came is shown, put back, and dropped."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import WebhookHint
from channelsync.store import inbox
from channelsync.store.database import open_database
from channelsync.sync.inbox import arrived
from channelsync.sync.vault import Seals

KEY = Fernet.generate_key().decode()
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.fixture
def come(sqlite_url: str) -> Any:
    """come("e-1", ...): a delivery came; with a body it is sealed."""

    def came(
        event: str,
        *orders: str,
        body: bytes = b"",
        at: datetime = NOW,
        channel: str = "shop",
        topic: str = "orders/create",
    ) -> None:
        async def keep() -> None:
            hint = WebhookHint(topic=topic, event=event, sent_at=at, orders=orders, keys=(QuantityKey("K", "north"),))
            one = arrived(channel, hint, body, Seals([SecretStr(KEY)] if body else []), at)
            async with open_database(sqlite_url) as database:
                await database.transact(lambda c: inbox.keep_deliveries(c, [one], "it differs"))

        asyncio.run(keep())

    return came


def with_key(shopkeeper: Any) -> Any:
    """The seller's configuration gets a key."""
    text = shopkeeper.config.read_text()
    shopkeeper.config.write_text(f'[secrets]\nkeys = ["{KEY}"]\n{text}')
    return shopkeeper


def test_what_came_is_listed_newest_first_and_by_choice(shopkeeper: Any, come: Any) -> None:
    come("e-1", "o-1")
    come("e-2", "o-2", topic="orders/paid")
    come("e-3", channel="market")
    come("e-1", "o-9", body=b"another")

    def events(*options: str) -> list[str]:
        return [row["event"] for row in shopkeeper.runs("inbox", "list", "--json", *options).rows]

    assert events() == ["e-1", "e-3", "e-2", "e-1"]
    assert events("--channel", "market") == ["e-3"]
    assert events("--topic", "orders/paid") == ["e-2"]
    assert events("--state", "quarantined") == ["e-1"]
    assert events("--state", "parked") == []
    assert events("--limit", "1") == ["e-1"]
    row = shopkeeper.runs("inbox", "list", "--json", "--state", "quarantined").document
    assert (row["orders"], row["keys"], row["why"], row["body"]) == (["o-9"], ["K at north"], "it differs", True)
    assert "orders/paid" in shopkeeper.runs("inbox", "list").out


def test_one_is_shown_with_its_body_only_when_it_is_asked_for(shopkeeper: Any, come: Any) -> None:
    come("e-1", "o-1", body=b'{"email": "canary"}')
    come("e-2", "o-2")
    keyed = with_key(shopkeeper)
    shown = keyed.runs("inbox", "show", "1", "--json")
    assert shown.document["event"] == "e-1"
    assert "canary" not in shown.out
    assert keyed.runs("inbox", "show", "1", "--body").out == '{"email": "canary"}\n'
    assert keyed.runs("inbox", "show", "2", "--body").code == ExitCode.REFUSED
    missing = keyed.runs("inbox", "show", "9")
    assert (missing.code, "no delivery 9" in missing.err) == (ExitCode.REFUSED, True)


def test_a_body_that_no_key_unseals_is_said_to_be_so(shopkeeper: Any, come: Any) -> None:
    come("e-1", body=b"canary")
    refused = shopkeeper.runs("inbox", "show", "1", "--body")
    assert (refused.code, refused.out) == (ExitCode.REFUSED, "")
    assert "None of the keys" in refused.err


def test_deliveries_are_put_back_by_number_or_by_state(shopkeeper: Any, come: Any) -> None:
    come("e-1", "o-1")
    come("e-1", "o-2", body=b"another")
    come("e-2", "o-3")
    come("e-2", "o-4", body=b"another", channel="market")

    def states() -> list[str]:
        return [row["state"] for row in shopkeeper.runs("inbox", "list", "--json").rows]

    assert states() == ["new", "new", "quarantined", "new"]
    done = shopkeeper.runs("inbox", "replay", "--state", "quarantined", "--json")
    assert [row["id"] for row in done.rows] == [2]
    assert states() == ["new"] * 4
    missing = shopkeeper.runs("inbox", "replay", "1", "77")
    assert (missing.code, "77" in missing.err) == (ExitCode.REFUSED, True)
    assert shopkeeper.runs("inbox", "replay").code == ExitCode.USAGE
    assert shopkeeper.runs("inbox", "replay", "1", "--state", "new").code == ExitCode.USAGE


def test_bodies_and_rows_are_dropped_by_their_age(shopkeeper: Any, come: Any) -> None:
    now = SystemClock().now()
    for days, event in ((40, "old"), (10, "middle"), (1, "young")):
        come(event, body=b"x", at=now - timedelta(days=days))
    assert shopkeeper.runs("inbox", "prune", "--json").document == {"bodies": 2, "deliveries": 1}
    kept = shopkeeper.runs("inbox", "list", "--json").rows
    assert [(row["event"], row["body"]) for row in kept] == [("young", True), ("middle", False)]
    again = shopkeeper.runs("inbox", "prune", "--bodies", "12h", "--rows", "5d", "--json")
    assert again.document == {"bodies": 1, "deliveries": 1}
    assert shopkeeper.runs("inbox", "prune", "--rows", "soon").code == ExitCode.USAGE


def test_the_receiver_wants_an_address_that_is_free(shopkeeper: Any) -> None:
    nowhere = shopkeeper.runs("webhooks")
    assert (nowhere.code, "--listen" in nowhere.err) == (ExitCode.CONFIGURATION, True)
    assert shopkeeper.runs("webhooks", "--listen", "8080").code == ExitCode.USAGE
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = shopkeeper.runs("webhooks", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (refused.code, "cannot listen on 127.0.0.1" in refused.err) == (ExitCode.CONFIGURATION, True)
