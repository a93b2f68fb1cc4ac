"""Forgeries of every vendor's deliveries, at the receiver of a real process, with the database's statements counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, Engine, event

from channelsync.runtime.config import load
from channelsync.runtime.receiver import receiving
from channelsync.sdk.contract.forgeries import forgeries
from channelsync.sdk.contract.world import Delivery
from channelsync.sdk.discovery import installed
from channelsync.store.database import Database
from channelsync.store.tables import metadata
from channelsync.sync.vault import new_key
from channelsync.web.app import build_app
from channelsync.web.receiver import ReceiverCounters, receiver_routes
from channelsync_ebay.webhooks import Keys

FORGERIES_MIN = 30
BODY = b'{"id": 19, "type": "order.updated", "data": {"order": {"id": "19"}}, "metadata": {}, "notification": {}}'
CONFIG = """
[database]
url = "{url}"
[web]
listen = ""
[secrets]
keys = ["{key}"]
[[location]]
name = "main"
[[channel]]
name = "ebay"
connector = "ebay"
settings = {{ client_id = "a", client_secret = "{secret}", verification_token = "{secret}-0123456789" }}
[[channel]]
name = "sandbox"
connector = "sandbox"
settings = {{ base_url = "http://127.0.0.1:9", refresh_token = "{secret}", webhook_secrets = ["{whsec}"] }}
[[channel]]
name = "shopify"
connector = "shopify"
settings = {{ shop = "example.myshopify.com", client_id = "a", client_secret = "{secret}" }}
[[channel]]
name = "woocommerce"
connector = "woocommerce"
settings = {{ base_url = "https://shop.example", consumer_key = "ck_1234", consumer_secret = "cs_1234", webhook_secrets = ["{secret}"] }}
"""  # noqa: E501 - an inline table is one line


@dataclass(slots=True)
class Clock:
    """It stands still, and whoever waits for it waits for ever: nothing of the receiver's own meets the database."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, _seconds: float) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that any database of this process is given."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


@dataclass(slots=True)
class Receiving:
    """The receiver of a process with all channels that take webhooks."""

    client: httpx.AsyncClient
    counters: ReceiverCounters
    database: Database

    async def post(self, channel: str, headers: Any, body: bytes) -> int:
        """The status of the answer to a delivery."""
        raw = [(name.encode("latin-1", "replace"), value.encode()) for name, value in headers.items()]
        return (await self.client.post(f"/webhooks/{channel}", headers=raw, content=body)).status_code

    async def everything(self) -> dict[str, list[Any]]:
        """Every row of every table."""

        def read(connection: Connection) -> dict[str, list[Any]]:
            tables = metadata.sorted_tables
            return {one.name: sorted(connection.execute(one.select()).all(), key=repr) for one in tables}

        return await self.database.query(read, snapshot=True)


@pytest.fixture
async def process(
    database: Database, signers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Receiving]:
    monkeypatch.setattr(Keys, "key", lambda _self, kid: signers.ebays(kid))
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(url=database.url, key=new_key(), secret=signers.secret, whsec=signers.whsec))
    loaded = load(path, {}, secrets_folder=tmp_path / "none")
    counters, clock = ReceiverCounters(), Clock(signers.at)
    async with receiving(lambda: loaded, installed(), database, clock, counters, lambda: None) as receiver:
        app = build_app(receiver_routes(receiver, counters, body_limit=1_000_000))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://agent") as client:
            yield Receiving(client, counters, database)


def test_every_connector_that_takes_webhooks_is_tried(signers: Any) -> None:
    catalogue = installed()
    taking = {name for name in catalogue.ours if catalogue.connector(name).webhooks is not None}
    assert taking == signers.signed.keys()


@pytest.mark.parametrize("channel", ["ebay", "sandbox", "shopify", "woocommerce"])
async def test_forgeries_change_nothing_cost_no_statement_and_are_counted(
    process: Receiving, signers: Any, statements: list[str], channel: str
) -> None:
    headers = signers.signed[channel](BODY)
    tried = forgeries(Delivery(headers, BODY, None), list(headers))
    tried |= {f"signed by {other}": (sign(BODY), BODY) for other, sign in signers.signed.items() if other != channel}
    if channel == "woocommerce":  # nobody signs the topic, and nobody believes it beyond where to look
        tried = {what: one for what, one in tried.items() if not what.startswith("X-WC-Webhook-Topic")}
    assert len(tried) >= FORGERIES_MIN
    before = await process.everything()
    statements.clear()
    passed = [what for what, (given, body) in tried.items() if await process.post(channel, given, body) != 401]
    assert passed == []
    assert statements == [], "not even a look"
    assert process.counters.refused == {(channel, "forged"): len(tried)}
    assert process.counters.received == {channel: len(tried)}
    assert await process.everything() == before

    statements.clear()
    assert await process.post(channel, headers, BODY) == 200
    assert any("INSERT" in one for one in statements), "a genuine one is written, or nothing was counted above"
    assert process.counters.taken == {channel: 1}
    assert len((await process.everything())["inbox"]) == 1
