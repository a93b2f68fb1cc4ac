"""The secrets of all channels in memory, read from the database now and then.

Whoever checks what strangers send must not ask the database for each of them. What is renewed in the vault is known
here a few seconds later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr

from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.store import vault as rows
from channelsync.sync.vault import NotUnsealed, Safe

Place = tuple[str, str]
"""A channel and the name of a secret."""


@dataclass(slots=True)
class RememberedVaults:
    """The vaults of all channels. Nothing is known before the first `refresh`."""

    safe: Safe
    _sealed: dict[Place, bytes] | None = None
    _secrets: dict[Place, SecretStr | None] = field(default_factory=dict)

    async def refresh(self) -> set[str]:
        """Reads what is kept; returns the channels whose secrets are others than before. Raises DatabaseError."""
        found = await self.safe.database.query(rows.sealed_secrets)
        sealed = {(one.channel, one.name): one.sealed for one in found}
        before = self._sealed or {}
        changed = {place for place in sealed.keys() | before.keys() if sealed.get(place) != before.get(place)}
        for channel, name in changed:
            self._secrets.pop((channel, name), None)
            if (channel, name) in sealed:
                self._secrets[channel, name] = self._unsealed(channel, name, sealed[channel, name])
        self._sealed = sealed
        return {channel for channel, _ in changed}

    def _unsealed(self, channel: str, name: str, sealed: bytes) -> SecretStr | None:
        """None: no key that is configured unseals it."""
        try:
            secret, _ = self.safe.seals.unseal(channel, name, sealed)
        except NotUnsealed:
            return None
        self.safe.seen(channel, name, secret.get_secret_value())
        return secret

    def vault(self, channel: str) -> RememberedVault:
        """The secrets of one channel."""
        return RememberedVault(self, channel)

    def secret(self, channel: str, name: str) -> SecretStr | None:
        """A secret as it was last read; None: there is none. Raises TryLater before the first `refresh`, and
        NeedsSeller where no key unseals it."""
        if self._sealed is None:
            raise TryLater("The vault has not been read yet.")
        found = self._secrets.get((channel, name))
        if found is None and (channel, name) in self._sealed:
            raise NeedsSeller(
                f"{channel}: none of the keys of [secrets] unseals its {name!r}. Put back the key that sealed it, or "
                f"run `channelsync channels connect {channel}`."
            )
        return found

    def learned(self, channel: str, name: str, secret: SecretStr) -> None:
        """It was put just now; the next `refresh` reads it too."""
        self._secrets[channel, name] = secret


class RememberedVault:
    """See `sdk.vault.Vault`: the secrets of one channel. Only `put` asks the database."""

    def __init__(self, vaults: RememberedVaults, channel: str) -> None:
        self._vaults = vaults
        self._channel = channel

    async def get(self, name: str) -> SecretStr | None:
        """See Vault."""
        return self._vaults.secret(self._channel, name)

    async def put(self, name: str, secret: SecretStr) -> None:
        """See Vault."""
        await self._vaults.safe.vault(self._channel).put(name, secret)
        self._vaults.learned(self._channel, name, secret)
