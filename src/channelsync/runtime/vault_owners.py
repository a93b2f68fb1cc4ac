"""Hooks and feeds that take secrets from the vault: by which name they own them there, and their settings with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from pydantic import SecretStr, ValidationError

from channelsync.runtime.config import Loaded
from channelsync.runtime.config_feeds import FeedConfig
from channelsync.runtime.config_hooks import HookConfig
from channelsync.runtime.wiring import safe_of
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import NeedsSeller
from channelsync.store.database import Database
from channelsync.sync.vault import how_to_keep

Owner = TypeVar("Owner", bound=HookConfig | FeedConfig)


def owner_of(one: HookConfig | FeedConfig) -> str:
    """The name under which the vault keeps what is its own: "hook wms". No channel has such a name."""
    return f"{'hook' if isinstance(one, HookConfig) else 'feed'} {one.name}"


async def with_secrets(loaded: Loaded, one: Owner, database: Database, clock: Clock) -> Owner:
    """A hook or feed with what its settings take from the vault. Raises NeedsSeller, which says what to do."""
    owner = owner_of(one)
    wanted = loaded.wanted.get(owner)
    if not wanted:
        return one
    vault = safe_of(loaded, database, clock).vault(owner)
    found: dict[str, SecretStr] = {}
    for name in dict.fromkeys(wanted.values()):
        secret = await vault.get(name)
        if secret is None:
            raise NeedsSeller(f"{owner}: its {name!r} is not in the vault; {how_to_keep(owner, name)}.")
        found[name] = secret
    return with_these(loaded, one, found)


def with_these(loaded: Loaded, one: Owner, secrets: Mapping[str, SecretStr]) -> Owner:
    """A hook or feed with these secrets, by their names in the vault. Raises NeedsSeller where one is not what its
    settings take."""
    owner = owner_of(one)
    values: dict[str, Any] = {}
    for (key, *numbers), name in loaded.wanted.get(owner, {}).items():
        if name not in secrets:
            continue
        held = list(values.get(str(key), getattr(one, str(key)))) if numbers else []
        for number in numbers:
            held[int(number)] = secrets[name]
        values[str(key)] = tuple(held) if numbers else secrets[name]
    filled = one.model_copy(update=values)
    try:
        if isinstance(filled, HookConfig):
            HookConfig.model_validate(dict(filled))
    except ValidationError as error:
        why = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise NeedsSeller(
            f"{owner}: what is kept as {', '.join(sorted(secrets))} is not right: {why}. "
            f"To mend it, {how_to_keep(owner, next(iter(secrets)))}."
        ) from None
    return cast(Owner, filled)
