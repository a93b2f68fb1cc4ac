"""Tokens of the API: made once, kept as a hash, recognised until they expire or are revoked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channelsync.store.database import Database
from channelsync.sync.tokens import (
    PREFIX,
    SCOPES,
    Caller,
    Gate,
    NotAuthenticated,
    TokenRefused,
    create_token,
    revoke_token,
    view_tokens,
)

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


async def made(database: Database, name: str, scope: Any = "read", valid_for: timedelta | None = None) -> str:
    return await database.transact(lambda c: create_token(c, name, scope, NOW, valid_for))


async def test_a_token_is_256_bits_of_chance_behind_a_prefix(database: Database) -> None:
    tokens = [await made(database, f"t{number}") for number in range(20)]
    assert len(set(tokens)) == 20
    assert all(token.startswith(PREFIX) and len(token) == len(PREFIX) + 43 for token in tokens)


async def test_a_token_tells_whose_it_is_and_what_it_may_do(database: Database) -> None:
    token = await made(database, "till", "operate")
    caller = await Gate(database).caller(token, NOW)
    assert caller == Caller("till", "operate")
    assert caller.actor == "token:till"


def test_each_scope_may_do_what_those_before_it_may() -> None:
    allowed = {scope: [one for one in SCOPES if Caller("x", scope).may(one)] for scope in SCOPES}
    assert allowed == {"read": ["read"], "operate": ["read", "operate"], "admin": ["read", "operate", "admin"]}


async def test_a_name_is_used_once_even_after_it_was_revoked(database: Database) -> None:
    await made(database, "till")
    await database.transact(lambda c: revoke_token(c, "till", NOW))
    with pytest.raises(TokenRefused, match="already, or there was one"):
        await made(database, "till")


async def test_two_that_make_a_token_of_one_name_at_once_get_one(database: Database) -> None:
    results = await asyncio.gather(*(made(database, "till") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in results) == 1
    assert sum(isinstance(one, TokenRefused) for one in results) == 4


@pytest.mark.parametrize("name", ["", "-x", "two words", "a/b", "ü", "x" * 64, "x\n"])
async def test_a_name_that_a_log_could_misread_is_refused(sqlite_database: Database, name: str) -> None:
    with pytest.raises(TokenRefused, match="cannot be the name"):
        await made(sqlite_database, name)


async def test_a_token_cannot_outlive_the_calendar(sqlite_database: Database) -> None:
    with pytest.raises(TokenRefused, match="cannot be valid for"):
        await made(sqlite_database, "eternal", valid_for=timedelta(days=9_999_999))


async def test_a_revoked_or_expired_token_is_refused_and_listed_as_such(database: Database) -> None:
    short = await made(database, "short", valid_for=timedelta(days=1))
    gone = await made(database, "gone")
    await made(database, "valid")
    assert await database.transact(lambda c: revoke_token(c, "gone", NOW))
    assert not await database.transact(lambda c: revoke_token(c, "gone", NOW))
    later = NOW + timedelta(days=1)
    for token, why in ((short, "expired"), (gone, "revoked")):
        with pytest.raises(NotAuthenticated, match=why):
            await Gate(database).caller(token, later)
    shown = await database.query(lambda c: view_tokens(c, later))
    assert [(one.name, one.state) for one in shown] == [("gone", "revoked"), ("short", "expired"), ("valid", "valid")]
    with pytest.raises(TokenRefused, match="no token 'never'"):
        await database.transact(lambda c: revoke_token(c, "never", NOW))
