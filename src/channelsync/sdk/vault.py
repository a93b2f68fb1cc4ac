"""Where a channel's secrets are kept over restarts: what `channels connect` was given, and tokens that are renewed.

A refresh token that is replaced with every use must be kept before the new one is used, or the account is lost until
the seller connects it anew. So `put` returns only when the secret is durable.

A setting that the configuration takes from the vault (`{ stored = "refresh_token" }`) has the same names: what is put
under "refresh_token" is in the settings when the channel is opened the next time.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import SecretStr


class Vault(Protocol):
    """The secrets of one channel, by name; encrypted where they are at rest."""

    async def get(self, name: str) -> SecretStr | None:
        """A secret as it was put last; None: there is none. Raises NeedsSeller where it cannot be decrypted."""
        ...

    async def put(self, name: str, secret: SecretStr) -> None:
        """Keeps a secret instead of what has that name. Raises NeedsSeller where there is no key to encrypt with."""
        ...


class MemoryVault:
    """Keeps secrets as long as the process lives; for tests, and for connectors tried out by hand."""

    def __init__(self) -> None:
        self._secrets: dict[str, SecretStr] = {}

    async def get(self, name: str) -> SecretStr | None:
        """See Vault."""
        return self._secrets.get(name)

    async def put(self, name: str, secret: SecretStr) -> None:
        """See Vault."""
        self._secrets[name] = secret
