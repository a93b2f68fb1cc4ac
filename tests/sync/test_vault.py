"""The vault: what is kept comes back only at its own place and with one of the keys, and stays in no text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import text

from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.vault import MemoryVault
from channelsync.store.database import Database
from channelsync.store.vault import keep_sealed, sealed_secrets
from channelsync.sync.vault import (
    NotUnsealed,
    Safe,
    Seals,
    StoredSettings,
    TriedVault,
    filled,
    forget_lost,
    list_secrets,
    new_key,
    reseal,
)

HandClock = Any
CANARY = "refresh-canary-4c1e"
OLD, NEW = SecretStr(new_key()), SecretStr(new_key())


@pytest.fixture
def safe(database: Database, clock: HandClock) -> Safe:
    return Safe(database=database, clock=clock, seals=Seals([OLD]))


MakeSafe = Callable[..., Safe]


@pytest.fixture
def safe_with(database: Database, clock: HandClock) -> MakeSafe:
    """The same database with other keys."""
    return lambda *keys: Safe(database=database, clock=clock, seals=Seals(keys))


async def test_what_is_put_comes_back_and_the_newest_counts(safe: Safe) -> None:
    vault = safe.vault("shop")
    assert await vault.get("token") is None
    await vault.put("token", SecretStr("first"))
    await vault.put("token", SecretStr(CANARY))

    kept = await safe.vault("shop").get("token")
    assert kept is not None
    assert kept.get_secret_value() == CANARY
    assert await safe.vault("market").get("token") is None


async def test_the_database_holds_no_plain_secret(safe: Safe, database: Database) -> None:
    await safe.vault("shop").put("token", SecretStr(CANARY))

    (row,) = await database.query(sealed_secrets)
    assert CANARY.encode() not in row.sealed
    assert CANARY not in repr(row)
    assert CANARY not in repr(await database.query(lambda c: c.execute(text("SELECT * FROM channel_secret")).all()))


@pytest.mark.parametrize(("channel", "name"), [("shop", "other"), ("market", "token")])
async def test_a_row_that_is_copied_to_another_place_does_not_unseal(
    safe: Safe, database: Database, clock: HandClock, channel: str, name: str
) -> None:
    await safe.vault("shop").put("token", SecretStr(CANARY))
    (row,) = await database.query(sealed_secrets)
    await database.transact(lambda c: keep_sealed(c, channel, {name: row.sealed}, clock.now()))

    with pytest.raises(NeedsSeller, match=f"none of the keys of .secrets. unseals its '{name}'"):
        await safe.vault(channel).get(name)


async def test_without_a_key_nothing_is_kept_and_the_way_to_one_is_told(safe_with: MakeSafe) -> None:
    vault = safe_with().vault("shop")

    assert await vault.get("token") is None
    with pytest.raises(NeedsSeller, match=r"Run `channelsync secrets key > channelsync\.key`"):
        await vault.put("token", SecretStr(CANARY))


async def test_every_key_unseals_and_the_first_one_seals(safe: Safe, safe_with: MakeSafe, database: Database) -> None:
    await safe.vault("shop").put("token", SecretStr(CANARY))
    both = safe_with(NEW, OLD)
    await both.vault("shop").put("key", SecretStr("new"))

    assert await both.vault("shop").get("token") == SecretStr(CANARY)
    shown = await database.query(lambda c: list_secrets(c, both.seals))
    assert {one.name: one.sealed_with for one in shown} == {"token": "an older key", "key": "the newest key"}
    with pytest.raises(NeedsSeller):
        await safe.vault("shop").get("key")


async def test_resealing_frees_from_the_older_keys_and_keeps_the_times(
    safe: Safe, safe_with: MakeSafe, database: Database, clock: HandClock
) -> None:
    await safe.vault("shop").put("token", SecretStr(CANARY))
    await safe_with(SecretStr(new_key())).vault("shop").put("lost", SecretStr("gone"))
    before = [one.saved_at for one in await database.query(sealed_secrets)]
    await clock.sleep(3600)
    both = safe_with(NEW, OLD)

    assert await database.transact(lambda c: reseal(c, both.seals)) == (1, [("shop", "lost")])
    assert await database.transact(lambda c: reseal(c, both.seals)) == (0, [("shop", "lost")])
    assert [one.saved_at for one in await database.query(sealed_secrets)] == before
    assert await safe_with(NEW).vault("shop").get("token") == SecretStr(CANARY)
    assert await database.transact(lambda c: forget_lost(c, both.seals, "market")) == []
    assert await database.transact(lambda c: forget_lost(c, both.seals, "shop")) == ["lost"]
    assert await database.transact(lambda c: reseal(c, both.seals)) == (0, [])


async def test_whatever_comes_out_or_goes_in_is_told_so_that_logs_hide_it(safe_with: MakeSafe, safe: Safe) -> None:
    seen: list[tuple[str, str, str]] = []
    telling = Safe(database=safe.database, clock=safe.clock, seals=safe.seals, seen=lambda *told: seen.append(told))
    await telling.vault("shop").put("token", SecretStr("one"))
    await safe.vault("shop").put("token", SecretStr("two"))
    await telling.vault("shop").get("token")

    assert seen == [("shop", "token", "one"), ("shop", "token", "two")]


def test_what_is_sealed_is_fernet_and_bound_to_its_place() -> None:
    sealed = Seals([OLD]).seal("shop", "token", SecretStr(CANARY))

    assert Fernet(OLD.get_secret_value()).decrypt(sealed) == f'["shop","token","{CANARY}"]'.encode()
    assert Seals([NEW, OLD]).unseal("shop", "token", sealed) == (SecretStr(CANARY), 1)
    other = b"B" if sealed[40:41] == b"A" else b"A"
    for changed in (sealed[:-4], b"", sealed[:40] + other + sealed[41:]):
        with pytest.raises(NotUnsealed):
            Seals([OLD]).unseal("shop", "token", changed)


def test_a_key_that_is_none_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match=r"a key of \[secrets\] is none") as refused:
        Seals([SecretStr("not-a-key-canary")])
    assert "canary" not in str(refused.value)


# Settings that take something from the vault


class Inner(BaseModel):
    """A table inside the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    refresh: SecretStr


class Settings(BaseModel):
    """Secrets at every kind of place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr = Field(min_length=8)
    older: tuple[SecretStr, ...] = ()
    inner: Inner | None = None
    pages: int = 3


STORED = StoredSettings(
    model=Settings,
    values={"token": "placeholder", "older": ["plain", "placeholder"], "inner": {"refresh": "placeholder"}, "pages": 7},
    wanted={("token",): "token", ("older", 1): "older", ("inner", "refresh"): "token"},
)


async def test_settings_are_filled_wherever_they_name_the_vault() -> None:
    vault = MemoryVault()
    await vault.put("token", SecretStr(CANARY))
    await vault.put("older", SecretStr("before"))

    assert STORED.names == ("token", "older")
    assert await filled("shop", STORED, vault) == Settings(
        token=SecretStr(CANARY),
        older=(SecretStr("plain"), SecretStr("before")),
        inner=Inner(refresh=SecretStr(CANARY)),
        pages=7,
    )
    assert STORED.values["token"] == "placeholder", "what was loaded stays as it is"


async def test_what_is_missing_says_what_to_run_unless_a_part_will_do() -> None:
    vault = MemoryVault()
    await vault.put("token", SecretStr(CANARY))

    with pytest.raises(NeedsSeller, match="its 'older' is not in the vault; run `channelsync channels connect shop`"):
        await filled("shop", STORED, vault)
    partly = await filled("shop", STORED, vault, partly=True)
    assert isinstance(partly, Settings)
    assert partly.older[1] == SecretStr("placeholder")


async def test_what_the_settings_do_not_take_is_named_and_not_shown() -> None:
    vault = MemoryVault()
    await vault.put("token", SecretStr("canary"))
    await vault.put("older", SecretStr("before"))

    with pytest.raises(NeedsSeller, match="what is kept as token is not right") as refused:
        await filled("shop", STORED, vault)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert "canary" not in str(refused.value)


async def test_what_is_tried_out_stays_out_of_the_vault() -> None:
    under = MemoryVault()
    await under.put("kept", SecretStr("kept"))
    tried = TriedVault(under, {"token": SecretStr("one")})
    await tried.put("renewed", SecretStr("two"))

    assert [await tried.get(name) for name in ("kept", "token", "renewed", "none")] == [
        SecretStr("kept"),
        SecretStr("one"),
        SecretStr("two"),
        None,
    ]
    assert set(tried.held) == {"token", "renewed"}
    assert await under.get("renewed") is None
