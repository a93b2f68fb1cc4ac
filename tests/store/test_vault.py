"""Sealed secrets as rows: one for each channel and name, replaced whole, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from channelsync.store.database import Database
from channelsync.store.vault import forget_sealed, keep_sealed, sealed_secret, sealed_secrets

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


async def test_a_secret_is_kept_replaced_and_forgotten(database: Database) -> None:
    await database.transact(lambda c: keep_sealed(c, "shop", {"token": b"one", "key": b"two"}, NOW))
    await database.transact(lambda c: keep_sealed(c, "shop", {"token": b"three"}, NOW + timedelta(hours=1)))
    await database.transact(lambda c: keep_sealed(c, "market", {"token": b"four"}, NOW))
    await database.transact(lambda c: keep_sealed(c, "market", {}, NOW))

    assert await database.query(lambda c: sealed_secret(c, "shop", "token")) == b"three"
    assert await database.query(lambda c: sealed_secret(c, "shop", "tokens")) is None
    kept = await database.transact(lambda c: sealed_secrets(c, lock=True))
    assert [(one.channel, one.name, one.sealed, one.saved_at) for one in kept] == [
        ("market", "token", b"four", NOW),
        ("shop", "key", b"two", NOW),
        ("shop", "token", b"three", NOW + timedelta(hours=1)),
    ]
    assert "three" not in repr(kept)
    assert await database.transact(lambda c: forget_sealed(c, "shop", "token"))
    assert not await database.transact(lambda c: forget_sealed(c, "shop", "token"))
    assert await database.query(lambda c: sealed_secret(c, "market", "token")) == b"four"
