"""The vault: secrets of channels, sealed in the database.

Each is sealed by Fernet (AES-CBC with HMAC) together with its channel and name, so a row that is copied to another
place does not unseal there. The first key seals and every key unseals, so keys can be replaced one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken
from pydantic import BaseModel, SecretStr, ValidationError
from sqlalchemy import Connection

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.vault import Vault
from channelsync.store import vault as rows
from channelsync.store.database import Database

Place = tuple[str | int, ...]
"""Where a setting stands below [channel.settings]: ("webhook_secrets", 0)."""

Seen = Callable[[str, str, str], None]
"""Told of every secret that comes out of the vault or goes in, so that no log shows it: channel, name, text."""

NO_KEY = (
    "The vault has no key to keep secrets with. Run `channelsync secrets key > channelsync.key`, let only yourself "
    'read that file, and write keys = [{ file = "channelsync.key" }] below [secrets] in the configuration.'
)


NO_KEY_FITS = "no key that is configured"


def how_to_keep(owner: str, name: str) -> str:
    """What to run so that a secret is kept. owner: a channel, or "hook NAME" or "feed NAME"."""
    if " " in owner:
        return f'run `channelsync secrets put "{owner}" {name}`'
    return f"run `channelsync channels connect {owner}`"


class NotUnsealed(Exception):
    """None of the keys unseals a secret, or it was sealed for another channel or name."""


def new_key() -> str:
    """A fresh key, from the system's randomness."""
    return Fernet.generate_key().decode()


class Seals:
    """Seals and unseals with the seller's keys. keys: the first seals; empty: nothing can be sealed.

    Raises ValueError for a key that is none; the error does not show it.
    """

    def __init__(self, keys: Sequence[SecretStr] = ()) -> None:
        self._keys = tuple(_fernet(key) for key in keys)

    def __bool__(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def seal(self, channel: str, name: str, secret: SecretStr) -> bytes:
        """The secret, sealed for this channel and name. Raises NeedsSeller without a key."""
        if not self._keys:
            raise NeedsSeller(NO_KEY)
        return self._keys[0].encrypt(orjson.dumps([channel, name, secret.get_secret_value()]))

    def unseal(self, channel: str, name: str, sealed: bytes) -> tuple[SecretStr, int]:
        """The secret, and which key unsealed it, from 0. Raises NotUnsealed."""
        for number, key in enumerate(self._keys):
            try:
                content = key.decrypt(sealed)
            except InvalidToken:
                continue
            *bound, text = orjson.loads(content)
            if bound == [channel, name]:
                return SecretStr(text), number
            break
        raise NotUnsealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Safe:
    """Where the secrets of all channels are kept, and what seals them. seen: see `Seen`."""

    database: Database
    clock: Clock
    seals: Seals = field(default_factory=Seals)
    seen: Seen = lambda _channel, _name, _text: None

    def vault(self, channel: str) -> StoredVault:
        """The secrets of one channel."""
        return StoredVault(self, channel)

    def sealed(self, channel: str, secrets: Mapping[str, SecretStr]) -> dict[str, bytes]:
        """Secrets of a channel as they are kept, by name. Raises NeedsSeller without a key."""
        for name, secret in secrets.items():
            self.seen(channel, name, secret.get_secret_value())
        return {name: self.seals.seal(channel, name, secret) for name, secret in secrets.items()}


class StoredVault:
    """See `sdk.vault.Vault`: the secrets of one channel, in the database."""

    def __init__(self, safe: Safe, channel: str) -> None:
        self._safe = safe
        self._channel = channel

    async def get(self, name: str) -> SecretStr | None:
        """See Vault."""
        sealed = await self._safe.database.query(lambda c: rows.sealed_secret(c, self._channel, name))
        if sealed is None:
            return None
        try:
            secret, _ = self._safe.seals.unseal(self._channel, name, sealed)
        except NotUnsealed:
            raise NeedsSeller(
                f"{self._channel}: none of the keys of [secrets] unseals its {name!r}. Put back the key that sealed "
                f"it, or {how_to_keep(self._channel, name)}."
            ) from None
        self._safe.seen(self._channel, name, secret.get_secret_value())
        return secret

    async def put(self, name: str, secret: SecretStr) -> None:
        """See Vault."""
        sealed = self._safe.sealed(self._channel, {name: secret})
        now = self._safe.clock.now()
        await self._safe.database.transact(lambda c: rows.keep_sealed(c, self._channel, sealed, now))


class TriedVault:
    """Secrets that are being tried out, over a channel's vault: what is put stays here, in `held`, until it is kept."""

    def __init__(self, under: Vault, held: Mapping[str, SecretStr]) -> None:
        self._under = under
        self.held = dict(held)

    async def get(self, name: str) -> SecretStr | None:
        """See Vault."""
        return self.held[name] if name in self.held else await self._under.get(name)

    async def put(self, name: str, secret: SecretStr) -> None:
        """See Vault."""
        self.held[name] = secret


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSettings:
    """The settings of a channel that takes some of them from the vault.

    values: as they stand in the configuration, references read; something that is no secret stands where one of the
    vault belongs. wanted: these places, and the names in the vault.
    """

    model: type[BaseModel]
    values: Mapping[str, Any] = field(repr=False)
    wanted: Mapping[Place, str]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all secrets that are wanted, in the order of the settings, each once."""
        return tuple(dict.fromkeys(self.wanted.values()))


async def filled(channel: str, settings: StoredSettings, vault: Vault, *, partly: bool = False) -> BaseModel:
    """The settings with what the vault holds.

    partly: what is missing there stays as it is. Raises NeedsSeller for what is missing, cannot be unsealed, or is
    not what the settings take.
    """
    values = deepcopy(dict(settings.values))
    again = f"run `channelsync channels connect {channel}`."
    for place, name in settings.wanted.items():
        secret = await vault.get(name)
        if secret is not None:
            _put(values, place, secret)
        elif not partly:
            raise NeedsSeller(f"channel {channel}: its {name!r} is not in the vault; {again}")
    try:
        return settings.model.model_validate(values, extra="forbid")
    except ValidationError as error:
        wrong = {settings.wanted.get(tuple(one["loc"]), "settings") for one in error.errors(include_input=False)}
    raise NeedsSeller(f"channel {channel}: what is kept as {', '.join(sorted(wrong))} is not right; {again}")


def _put(values: Any, place: Place, secret: SecretStr) -> None:
    for part in place[:-1]:
        values = values[part]
    values[place[-1]] = secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretOnView:
    """A kept secret without its value. sealed_with: newest key, older key, or no key that is configured."""

    channel: str
    name: str
    saved_at: datetime
    sealed_with: str


def list_secrets(connection: Connection, seals: Seals) -> list[SecretOnView]:
    """What is kept, by channel and name."""
    return [
        SecretOnView(channel=one.channel, name=one.name, saved_at=one.saved_at, sealed_with=_sealed_with(one, seals))
        for one in rows.sealed_secrets(connection)
    ]


def reseal(connection: Connection, seals: Seals) -> tuple[int, list[tuple[str, str]]]:
    """Seals everything with the newest key; returns how many were changed, and those that no key unseals.

    When a secret was put stays as it was. Raises NeedsSeller without a key.
    """
    changed, left = 0, []
    for one in rows.sealed_secrets(connection, lock=True):
        try:
            secret, key = seals.unseal(one.channel, one.name, one.sealed)
        except NotUnsealed:
            left.append((one.channel, one.name))
            continue
        if key > 0:
            sealed = seals.seal(one.channel, one.name, secret)
            rows.keep_sealed(connection, one.channel, {one.name: sealed}, one.saved_at)
            changed += 1
    return changed, left


def forget_lost(connection: Connection, seals: Seals, channel: str) -> list[str]:
    """Forgets the secrets of a channel that no key unseals, for whoever connects it anew; returns their names."""
    lost = []
    for one in rows.sealed_secrets(connection, lock=True):
        if one.channel == channel and _sealed_with(one, seals) == NO_KEY_FITS:
            rows.forget_sealed(connection, channel, one.name)
            lost.append(one.name)
    return lost


def _sealed_with(one: rows.SealedSecret, seals: Seals) -> str:
    try:
        _, key = seals.unseal(one.channel, one.name, one.sealed)
    except NotUnsealed:
        return NO_KEY_FITS
    return "an older key" if key else "the newest key"


def _fernet(key: SecretStr) -> Fernet:
    try:
        return Fernet(key.get_secret_value().encode())
    except ValueError:
        raise ValueError("a key of [secrets] is none; make one with `channelsync secrets key`") from None
