"""Tokens of the JSON API: made, shown once, recognised, revoked.

A token is 256 bits of chance. Only its SHA-256 is kept: a slow password hash protects what people choose, which can
be guessed; of 2**256 nothing can, however fast a guess is, and every request would pay for it. A token is found by
its hash, so that no comparison tells by its time how much of a token is right.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from sqlalchemy import Connection

from channelsync.domain.errors import DomainError
from channelsync.store import tokens
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseError
from channelsync.store.tokens import StoredToken

Scope = Literal["read", "operate", "admin"]
"""What a token may do. read: look. operate: also orders, reservations, receipts and the like. admin: also undo runs
and decide approvals. Each may do what those before it may."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

PREFIX = "cs_"
"""By which a token is recognised where it should not be: in a repository, in a log."""

USE_NOTED_EVERY = timedelta(minutes=1)
"""How exactly it is known when a token was used last; more would be a write for every read."""

_TOKEN = re.compile(r"cs_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class TokenRefused(DomainError):
    """A token cannot be made or revoked; nothing was changed."""


class NotAuthenticated(Exception):
    """Nobody we know. `why` is for our log; the caller is told no more than that the token is not accepted."""

    def __init__(self, why: str, name: str = "") -> None:
        self.why, self.name = why, name
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls the API: a token, by its name."""

    name: str
    scope: Scope

    @property
    def actor(self) -> str:
        """As runs and ledger entries name the caller."""
        return f"token:{self.name}"

    def may(self, scope: Scope) -> bool:
        """Whether what needs this scope is allowed."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOnView:
    """A token as it is listed. state: "valid", "expired" or "revoked". Times as in `StoredToken`."""

    name: str
    scope: str
    state: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def create_token(
    connection: Connection, name: str, scope: Scope, now: datetime, valid_for: timedelta | None = None
) -> str:
    """Makes a token and returns it; it cannot be told a second time. valid_for None: until it is revoked.

    Raises TokenRefused: the name is none, or was used before, even by a token that is revoked by now.
    """
    if not _NAME.fullmatch(name):
        raise TokenRefused(
            f"{name!r} cannot be the name of a token: letters, digits, dots, - and _, a letter or digit first, "
            "63 at most."
        )
    try:
        expires_at = None if valid_for is None else now + valid_for
    except OverflowError as error:
        raise TokenRefused(
            f"A token cannot be valid for {valid_for}; leave it out for one that never expires."
        ) from error
    token = PREFIX + secrets.token_urlsafe(32)
    if not tokens.add_token(connection, name, digest_of(token), scope, now, expires_at):
        raise TokenRefused(
            f"There is a token {name!r} already, or there was one: runs and the ledger name it. Take another name."
        )
    return token


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def view_tokens(connection: Connection, now: datetime) -> list[TokenOnView]:
    """All tokens by name, never the tokens themselves."""
    return [
        TokenOnView(
            name=one.name,
            scope=one.scope,
            state=_state(one, now),
            created_at=one.created_at,
            expires_at=one.expires_at,
            revoked_at=one.revoked_at,
            last_used_at=one.last_used_at,
        )
        for one in tokens.list_tokens(connection)
    ]


def revoke_token(connection: Connection, name: str, now: datetime) -> bool:
    """Revokes a token from now on; returns whether it was not revoked yet. Raises TokenRefused: there is none."""
    if tokens.revoke_token(connection, name, now):
        return True
    if name in {one.name for one in tokens.list_tokens(connection)}:
        return False
    raise TokenRefused(f"There is no token {name!r}; `channelsync tokens list` names them all.")


def _state(token: StoredToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


@dataclass(slots=True)
class Gate:
    """Recognises callers, and keeps when each token was used last."""

    database: Database
    _noted: dict[str, datetime] = field(default_factory=dict)

    async def caller(self, token: str, now: datetime) -> Caller:
        """Whose token it is. Raises NotAuthenticated, and DatabaseError: nobody is let in without the database."""
        if not _TOKEN.fullmatch(token):
            raise NotAuthenticated("it has not the form of a token")
        found = await self.database.query(lambda c: tokens.token_of(c, digest_of(token)))
        if found is None:
            raise NotAuthenticated("no such token")
        state = _state(found, now)
        if state != "valid":
            raise NotAuthenticated(f"the token is {state}", found.name)
        scope = next((one for one in SCOPES if one == found.scope), None)
        if scope is None:
            raise NotAuthenticated(
                f"the token has the scope {found.scope!r}, which this version does not know", found.name
            )
        await self._note(found, now)
        return Caller(found.name, scope)

    async def _note(self, token: StoredToken, now: datetime) -> None:
        known = max(filter(None, (token.last_used_at, self._noted.get(token.name))), default=None)
        if known is not None and now - known < USE_NOTED_EVERY:
            return
        self._noted[token.name] = now
        with suppress(DatabaseError):  # only a note: who may read is not refused because nothing can be written
            await self.database.transact(lambda c: tokens.note_use(c, token.name, now))
