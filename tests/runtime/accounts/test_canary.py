"""A secret appears nowhere: not in the database, logs, tables, JSON, `config check`, errors or representations."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from channelsync.lab.faults import Fault, FaultKind
from channelsync.runtime.cli.context import awaited
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.config import load
from channelsync.runtime.secrets import PLACEHOLDER
from channelsync.runtime.wiring import open_agent, opened_channel
from channelsync.sdk.discovery import installed
from channelsync.sdk.errors import NeedsSeller
from channelsync.store.database import open_database
from channelsync.store.tables import metadata

Account = Any


def spellings(secret: str) -> list[bytes]:
    plain = secret.encode()
    return [plain, base64.b64encode(plain).rstrip(b"="), plain.hex().encode()]


def secrets_of(account: Account) -> list[str]:
    """Everything that nobody may see: what was typed, what the marketplace told, what seals."""
    told = [one.secret for one in account.site.api.subscriptions.of("agora")]
    access = list(account.site.api.tokens._given)
    return [account.token, (account.folder / "channelsync.key").read_text().strip(), *told, *access]


def every_command(account: Account) -> str:
    """What all commands that could show a secret print, with everything logged."""
    refused = account.connects("rt-canary-mistyped")
    printed = refused.out + refused.err
    now = account.site.marketplace.now()
    fault = Fault(kind=FaultKind.TOO_MANY, starts=now, ends=now + timedelta(days=1), retry_after=3600)
    for faults in ((), (fault,)):
        account.site.api.faults.faults = faults
        for arguments in (
            ("config", "check"),
            ("config", "check", "--json"),
            ("channels", "check", "--repair"),
            ("channels", "check", "--json"),
            ("channels", "show", "agora", "--json"),
            ("secrets", "list", "--json"),
            ("secrets", "reseal", "--json"),
            ("listings", "pull", "--channel", "agora"),
            ("listings", "pull", "--dry-run"),
        ):
            ran = account.runs("--debug", *arguments)
            printed += ran.out + ran.err
    assert "rt-canary-mistyped" not in printed
    return printed


async def everything_stored(url: str) -> bytes:
    """All values of all tables."""
    async with open_database(url) as database:

        def read(connection: Any) -> list[Any]:
            return [tuple(row) for table in metadata.sorted_tables for row in connection.execute(select(table))]

        rows = await database.query(read)
    return b"\n".join(one if isinstance(one, bytes) else repr(one).encode() for row in rows for one in row)


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_no_secret_appears_anywhere(
    account_at: Callable[[str], Account], engine: str, request: pytest.FixtureRequest
) -> None:
    account = account_at(request.getfixturevalue(f"{engine}_url"))
    connected = account.connects()
    assert connected.code == ExitCode.DONE
    account.connects()
    printed = (connected.out + connected.err + every_command(account)).encode()
    stored = awaited(everything_stored(account.url))
    if engine == "sqlite":
        stored += b"".join(path.read_bytes() for path in account.folder.glob("channelsync.db*"))

    assert b"webhook_secrets" in stored, "this reads what it should"
    assert b"refresh_token" in printed
    for secret in secrets_of(account):
        for spelled in spellings(secret):
            assert spelled not in stored, secret
            assert spelled not in printed, secret
    assert PLACEHOLDER.encode() not in stored + printed


def test_the_loaded_configuration_shows_where_a_secret_is_and_not_what_stands_for_it(account: Account) -> None:
    loaded = load(account.config, {})

    shown = {one.key: one.value for one in loaded.values}
    assert shown["channel.agora.settings.refresh_token"] == "stored in the vault"
    assert shown["secrets.keys"] == ["[redacted]"]
    key = (account.folder / "channelsync.key").read_text().strip()
    for text in (repr(loaded), repr(loaded.config), str(loaded.stored), repr(loaded.secrets)):
        assert key not in text
        assert PLACEHOLDER not in text


def test_an_error_about_a_kept_secret_does_not_hold_it(account: Account) -> None:
    account.connects()
    loaded = load(account.config, {})
    account.changes("UPDATE channel_secret SET name = 'copied' WHERE name = 'refresh_token'")
    account.changes("UPDATE channel_secret SET name = 'refresh_token' WHERE name = 'webhook_secrets'")

    async def opens() -> str:
        async with open_agent(loaded, "test", channels=()) as agent:
            (config,) = [one for one in loaded.config.channels if one.name == "agora"]
            with pytest.raises(NeedsSeller) as refused:
                async with opened_channel(agent, loaded, config, installed()):
                    pass
            return "".join(traceback.format_exception(refused.value)) + repr(refused.value)

    told = awaited(opens())
    assert "unseals its 'refresh_token'" in told
    for one in account.site.api.subscriptions.of("agora"):
        assert one.secret not in told
