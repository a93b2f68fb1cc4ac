"""The doors of a process: as the configuration and the vault are now, without asking the database for each delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import BaseModel, SecretStr

from channelsync.runtime import receiver as receiver_of_process
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_errors import BadWebhookSecret
from channelsync.runtime.daemon import run_daemon
from channelsync.runtime.receiver import Doors, receiving, refuse_bad_secrets
from channelsync.runtime.webhooks_only import run_webhooks
from channelsync.runtime.wiring import safe_of
from channelsync.sdk.budgets import Budget
from channelsync.sdk.channel import Capabilities, Channel, Connector
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import Catalogue, catalogue_with
from channelsync.sdk.resources import Resources
from channelsync.sdk.vault import Vault
from channelsync.sdk.webhooks import WebhookHint, plain_keys
from channelsync.store import channels, inbox, orders
from channelsync.store.database import Database
from channelsync.store.vault import forget_sealed
from channelsync.sync import receiving as receiving_rules
from channelsync.sync.receiving import Outcome
from channelsync.sync.remembered_vault import RememberedVaults
from channelsync.web.receiver import ReceiverCounters
from channelsync_memory import CONNECTOR
from channelsync_memory.shop import SHOPS, Shop

KEY = Fernet.generate_key().decode()


class Settings(BaseModel):
    secrets: tuple[SecretStr, ...] = ()
    note: str = ""


class Scheme:
    """The header is one of the secrets: those of the settings, and the one in the vault called "kept"."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self.secrets = [key.decode() for key in plain_keys(settings.secrets)] if settings.secrets else []
        self.vault = vault

    async def verify(self, headers: Mapping[str, str], _body: bytes, now: datetime) -> WebhookHint | None:
        kept = await self.vault.get("kept")
        right = [*self.secrets, *([kept.get_secret_value()] if kept else [])]
        if headers.get("secret") not in right:
            return None
        return WebhookHint(topic="t", event=headers.get("event", "e"), sent_at=now)


def _webhooks(settings: BaseModel, resources: Resources) -> Scheme:
    assert isinstance(settings, Settings)
    return Scheme(settings, resources.vault)


def _opened(_settings: BaseModel, _resources: Resources) -> AbstractAsyncContextManager[Channel]:
    raise AssertionError("the receiver opens no channel")


HOOKED = Connector(
    name="hooked",
    title="Hooked",
    settings=Settings,
    capabilities=lambda _settings: Capabilities(),
    budgets=lambda _settings: (Budget("calls", 10, 1),),
    open=_opened,
    webhooks=_webhooks,
)


class MemoryScheme:
    """Everything is genuine; the body names an order."""

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint | None:
        return WebhookHint(topic="order", event=headers["event"], sent_at=now, orders=(body.decode(),))


@pytest.fixture
def catalogue() -> Catalogue:
    """ "hooked" and "memory" take webhooks, "deaf" does not, and "silent" has no secret for them."""
    return catalogue_with(
        HOOKED,
        replace(CONNECTOR, webhooks=lambda _settings, _resources: MemoryScheme()),
        replace(HOOKED, name="deaf", webhooks=None),
        replace(HOOKED, name="silent", webhooks=lambda _settings, _resources: None),
    )


def config(url: str, *channels: tuple[str, str], listen: str = "", more: str = "") -> str:
    text = f'[database]\nurl = "{url}"\n[web]\nlisten = "{listen}"\n{more}\n[secrets]\nkeys = ["{KEY}"]\n'
    text += '[[location]]\nname = "main"\n'
    for name, settings in channels:
        connector = name if name in ("deaf", "silent") else "hooked"
        text += f'[[channel]]\nname = "{name}"\nconnector = "{connector}"\nsettings = {settings}\n'
    return text


class Door:
    """A receiver on a real vault, and who knocks."""

    def __init__(self, database: Database, loaded: Loaded, catalogue: Catalogue) -> None:
        self.database, self.loaded = database, loaded
        self.safe = safe_of(loaded, database, SystemClock())
        self.doors = Doors(lambda: self.loaded, catalogue, SystemClock(), RememberedVaults(self.safe))

    async def takes(self, secret: str, channel: str = "shop") -> bool | None:
        """Whether a delivery with this secret is genuine; None: there is no door, or it is closed."""
        door = self.doors.open.get(channel)
        if door is None or door.scheme is None:
            return None
        return await door.scheme.verify({"secret": secret}, b"", SystemClock().now()) is not None


@pytest.fixture
def door(database: Database, read_config: Any, catalogue: Catalogue) -> Any:
    """door(("shop", "{ ... }"), ...): the doors of these channels."""
    return lambda *channels: Door(database, read_config(config(database.url, *channels)), catalogue)


async def test_a_channel_has_a_door_where_its_connector_takes_webhooks(door: Any) -> None:
    made = door(("shop", '{ secrets = ["a"] }'), ("deaf", "{}"), ("silent", "{}"))
    await made.doors.refresh()
    assert [await made.takes("a", name) for name in ("shop", "deaf", "silent")] == [True, None, None]
    assert made.doors.open["silent"].closed == ""
    assert "deaf" not in made.doors.open


@pytest.mark.fault(11, "401: each address knows the secret of its own account only")
async def test_a_delivery_for_one_account_is_refused_at_the_address_of_another(door: Any) -> None:
    made = door(("shop", '{ secrets = ["a"] }'), ("other", '{ secrets = ["b"] }'))
    await made.safe.vault("shop").put("kept", SecretStr("c"))
    await made.doors.refresh()
    assert [await made.takes(secret, "shop") for secret in "abc"] == [True, False, True]
    assert [await made.takes(secret, "other") for secret in "abc"] == [False, True, False]


@pytest.mark.fault(12, "a secret that was renewed is known a moment later, without a restart")
async def test_a_secret_that_is_renewed_in_the_vault_counts_after_the_next_look(door: Any) -> None:
    made = door(("shop", "{}"), ("other", "{}"))
    await made.doors.refresh()
    assert await made.takes("one") is False
    vault = made.safe.vault("shop")
    await vault.put("kept", SecretStr("one"))
    await made.doors.refresh()
    assert [await made.takes("one"), await made.takes("one", "other")] == [True, False]
    scheme = made.doors.open["shop"].scheme
    await vault.put("kept", SecretStr("two"))
    await made.doors.refresh()
    assert [await made.takes("one"), await made.takes("two")] == [False, True]
    assert made.doors.open["shop"].scheme is scheme, "what a scheme remembers lives as long as its settings"
    await made.database.transact(lambda c: forget_sealed(c, "shop", "kept"))
    await made.doors.refresh()
    assert await made.takes("two") is False


async def test_a_secret_of_the_settings_that_the_vault_holds_is_waited_for_with_the_door_closed(door: Any) -> None:
    made = door(("shop", '{ secrets = [{ stored = "hook" }] }'))
    await made.doors.refresh()
    assert await made.takes("") is None
    assert "channelsync channels connect shop" in made.doors.open["shop"].closed
    vault = made.safe.vault("shop")
    for secret in ("one", "two"):
        await vault.put("hook", SecretStr(secret))
        await made.doors.refresh()
        assert await made.takes(secret) is True
    assert await made.takes("one") is False
    await vault.put("hook", SecretStr(""))
    await made.doors.refresh()
    assert await made.takes("") is None, "anybody could sign with an empty secret"


async def test_a_configuration_that_is_read_anew_counts_after_the_next_look(
    door: Any, read_config: Any, database: Database
) -> None:
    made = door(("shop", '{ secrets = ["a"] }'))
    await made.doors.refresh()
    made.loaded = read_config(config(database.url, ("shop", '{ secrets = ["b"] }'), ("new", '{ secrets = ["c"] }')))
    await made.doors.refresh()
    assert [await made.takes("a"), await made.takes("b"), await made.takes("c", "new")] == [False, True, True]


async def test_verifying_asks_the_database_nothing(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = door(("shop", '{ secrets = [{ stored = "hook" }] }'))
    await made.safe.vault("shop").put("hook", SecretStr("one"))
    await made.doors.refresh()

    def used(*_: Any, **__: Any) -> None:
        raise AssertionError("the database was used")

    for name in ("query", "transact"):
        monkeypatch.setattr(type(made.database), name, used)
    assert [await made.takes(secret) for secret in ("one", "two", "")] == [True, False, False]


async def test_a_secret_that_no_key_unseals_closes_the_door(door: Any, read_config: Any, database: Database) -> None:
    made = door(("shop", '{ secrets = [{ stored = "hook" }] }'))
    await made.safe.vault("shop").put("hook", SecretStr("one"))
    other = config(database.url, ("shop", '{ secrets = [{ stored = "hook" }] }'))
    loaded = read_config(other.replace(KEY, Fernet.generate_key().decode()))
    locked = Door(database, loaded, made.doors.catalogue)
    await locked.doors.refresh()
    assert await locked.takes("one") is None
    assert "none of the keys of [secrets] unseals its 'hook'" in locked.doors.open["shop"].closed


async def test_a_connector_that_cannot_make_its_door_closes_no_other(door: Any) -> None:
    def broken(_settings: BaseModel, _resources: Resources) -> Any:
        raise ZeroDivisionError

    made = door(("deaf", "{}"), ("shop", "{}"))
    made.doors.catalogue = catalogue_with(HOOKED, replace(HOOKED, name="deaf", webhooks=broken))
    await made.doors.refresh()
    assert made.doors.open["deaf"].closed == "ZeroDivisionError"
    assert made.doors.open["shop"].scheme is not None


async def test_an_unforeseen_error_does_not_end_the_looks_at_secrets(
    database: Database, read_config: Any, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = read_config(config(database.url, ("shop", "{}")))
    looks, enough = 0, asyncio.Event()
    right = Doors.refresh

    async def refresh(doors: Doors) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise ZeroDivisionError
        await right(doors)
        if looks == 3:
            enough.set()

    monkeypatch.setattr(Doors, "refresh", refresh)
    monkeypatch.setattr(receiver_of_process, "LOOK_EVERY", 0.01)
    async with receiving(lambda: loaded, catalogue, database, SystemClock(), ReceiverCounters(), lambda: None):
        async with asyncio.timeout(60):
            await enough.wait()


async def test_what_comes_out_of_the_vault_is_hidden_in_logs(door: Any) -> None:
    made = door(("shop", "{}"))
    await made.safe.vault("shop").put("kept", SecretStr("canary-secret"))
    fresh = Door(made.database, made.loaded, made.doors.catalogue)
    await fresh.doors.refresh()
    assert "canary-secret" in fresh.loaded.secrets


@pytest.mark.fault(8, "an empty secret in the configuration: nothing is started")
async def test_an_empty_secret_in_the_configuration_stops_the_start(
    read_config: Any, catalogue: Catalogue, sqlite_url: str
) -> None:
    loaded = read_config(config(sqlite_url, ("shop", '{ secrets = ["a", ""] }'), listen="127.0.0.1:0"))
    with pytest.raises(BadWebhookSecret, match=r"channel shop: .*anybody could sign.*\[channel\.settings\]"):
        refuse_bad_secrets(loaded, catalogue, SystemClock())
    with pytest.raises(BadWebhookSecret):
        await run_webhooks(loaded, catalogue=catalogue)
    fine = read_config(config(sqlite_url, ("shop", '{ secrets = ["a"] }'), ("silent", "{}"), ("deaf", "{}")))
    refuse_bad_secrets(fine, catalogue, SystemClock())


async def test_a_receiver_takes_deliveries_while_the_vault_cannot_be_read(
    door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = door(("shop", '{ secrets = ["a"] }'))
    counters = ReceiverCounters()
    async with receiving(
        lambda: made.loaded, made.doors.catalogue, made.database, SystemClock(), counters, lambda: None
    ) as receiver:

        async def away(*_: Any, **__: Any) -> None:
            raise receiving_rules.DatabaseError("away")

        monkeypatch.setattr(type(made.database), "query", away)
        received = await receiver.take("shop", {"secret": "a"}, b"")
        assert received.outcome is Outcome.TAKEN


# The whole process


@pytest.fixture
def free_port() -> str:
    """An address that was free a moment ago."""
    from channelsync.web.addresses import Listen
    from channelsync.web.server import bind

    with bind(Listen("127.0.0.1", 0)) as bound:
        return f"127.0.0.1:{bound.getsockname()[1]}"


async def test_the_receiver_alone_takes_webhooks_until_it_is_told_to_stop(
    read_config: Any, catalogue: Catalogue, database: Database, free_port: str
) -> None:
    loaded = read_config(config(database.url, ("shop", '{ secrets = ["a"] }'), listen=free_port))
    stop = asyncio.Event()
    running = asyncio.create_task(run_webhooks(loaded, stop=stop, catalogue=catalogue))
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=f"http://{free_port}") as client:
        while True:
            try:
                answer = await client.post("/webhooks/shop", headers={"secret": "a", "event": "e-1"})
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.01)
        assert answer.status_code == 200
        assert (await client.post("/webhooks/shop", headers={"secret": "b"})).status_code == 401
        big = await client.post("/webhooks/shop", headers={"secret": "a"}, content=b"x" * 1_000_001)
        assert big.status_code == 413
        stop.set()
        await running
    (row,) = await database.query(inbox.list_deliveries)
    assert row.event == "e-1"


async def test_the_daemon_takes_webhooks_and_reads_what_they_name_long_before_the_next_poll(
    read_config: Any, catalogue: Catalogue, database: Database, free_port: str
) -> None:
    shop = SHOPS["hooked"] = Shop(SystemClock())
    mug = shop.list_item("MUG", 9)
    text = (
        f'[database]\nurl = "{database.url}"\n[web]\nlisten = "{free_port}"\n[schedule]\norder_poll = "1h"\n'
        '[[location]]\nname = "main"\n'
        '[[channel]]\nname = "shop"\nconnector = "memory"\nsettings = { shop = "hooked" }\n'
    )
    stop = asyncio.Event()
    loaded = read_config(text)
    running = asyncio.create_task(run_daemon(loaded, stop=stop, catalogue=catalogue))
    try:
        async with asyncio.timeout(120), httpx.AsyncClient(base_url=f"http://{free_port}") as client:
            await until(lambda: polled(database))
            sale = shop.buy((mug, 2))
            answer = await client.post("/webhooks/shop", headers={"event": "e-1"}, content=sale.id.encode())
            assert answer.status_code == 200
            await until(lambda: booked(database, sale.id))
            stop.set()
            await running
    finally:
        running.cancel()
        await asyncio.wait([running])
        del SHOPS["hooked"]
    (row,) = await database.query(inbox.list_deliveries)
    assert row.state == "done"


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():  # noqa: ASYNC110 - the daemon has no event for it
        await asyncio.sleep(0.02)


async def polled(database: Database) -> bool:
    state = (await database.query(channels.channel_states)).get("shop")
    return state is not None and state.covered_to is not None


async def booked(database: Database, order: str) -> bool:
    return await database.query(lambda c: orders.order_row(c, "shop", order)) is not None
