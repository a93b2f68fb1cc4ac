"""The receiver of this process: a door for every configured channel that takes webhooks, kept as the vault is now."""

from __future__ import annotations

import random
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from pydantic import BaseModel

from channelsync.runtime.config import Loaded
from channelsync.runtime.config_errors import BadWebhookSecret
from channelsync.runtime.config_models import ChannelConfig
from channelsync.runtime.wiring import filled_settings, receiver_of, safe_of
from channelsync.sdk.breaker import Breaker
from channelsync.sdk.channel import Connector, WebhookScheme
from channelsync.sdk.clock import Clock
from channelsync.sdk.discovery import Catalogue
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.resources import Resources
from channelsync.sdk.tasks import beside
from channelsync.sdk.vault import MemoryVault, Vault
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.inbox import Inbox
from channelsync.sync.receiving import Door, Receiver
from channelsync.sync.remembered_vault import RememberedVaults
from channelsync.sync.vault import Seals
from channelsync.sync.webhook_watch import Refusals
from channelsync.web.receiver import ReceiverCounters

log = structlog.get_logger(__name__)

LOOK_EVERY = 3.0
"""Seconds between two looks at the vault: so long a secret that was renewed is not known here."""


@dataclass(slots=True)
class Doors:
    """The doors of all channels. A door is made anew when the channel's settings or its secrets have changed.

    loaded: the configuration as it is now.
    """

    loaded: Callable[[], Loaded]
    catalogue: Catalogue
    clock: Clock
    vaults: RememberedVaults
    open: dict[str, Door] = field(default_factory=dict)
    _filled: dict[str, tuple[str, BaseModel, WebhookScheme | None]] = field(default_factory=dict)

    async def refresh(self) -> None:
        """Looks at the vault, and makes what has changed. Raises DatabaseError; what was known stays.

        A channel that wants a secret which the vault does not hold, or holds wrong, has its door closed.
        """
        await self.vaults.refresh()
        doors = {}
        for one in self.loaded().config.channels:
            connector = self.catalogue.connector(one.connector)
            if connector.webhooks is None:
                continue
            doors[one.name] = await self._door(one, connector)
        self.open.clear()
        self.open.update(doors)

    async def _door(self, channel: ChannelConfig, connector: Connector) -> Door:
        loaded = self.loaded()
        address = receiver_of(loaded.config, channel.name) or ""
        vault = self.vaults.vault(channel.name)
        try:
            settings = await filled_settings(loaded, channel, vault)
            known = self._filled.get(channel.name)
            if known is None or known[:2] != (connector.name, settings):
                known = (connector.name, settings, _scheme(channel.name, connector, settings, self.clock, vault))
                self._filled[channel.name] = known
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - also a connector's bug closes one door only
            self._filled.pop(channel.name, None)
            told = str(error) if isinstance(error, ChannelError | ValueError) else ""
            why = told or type(error).__name__
            before = self.open.get(channel.name)
            if before is None or before.closed != why:
                log.warning("webhooks.closed", channel=channel.name, reason=why)
            return Door(channel.name, None, address, closed=why)
        return Door(channel.name, known[2], address)


def _scheme(name: str, connector: Connector, settings: BaseModel, clock: Clock, vault: Vault) -> WebhookScheme | None:
    """Raises ValueError for a secret that is none."""
    if connector.webhooks is None:
        return None
    resources = Resources(
        channel=name,
        clock=clock,
        limiter=Limiter(connector.budgets(settings), clock),
        breaker=Breaker(name, clock),
        random=random.Random(secrets.randbits(64)),  # noqa: S311 - spreads retries, guards nothing
        vault=vault,
    )
    return connector.webhooks(settings, resources)


def refuse_bad_secrets(loaded: Loaded, catalogue: Catalogue, clock: Clock) -> None:
    """Raises BadWebhookSecret where the configuration holds a webhook secret that is none, e.g. an empty one.

    Where a channel takes secrets from the vault its door stays closed until they are right.
    """
    for one in loaded.config.channels:
        if one.name not in loaded.stored:
            try:
                _scheme(one.name, catalogue.connector(one.connector), one.settings, clock, MemoryVault())
            except ValueError as error:
                what = f"channel {one.name}: {error}. Set it right below [channel.settings], or take it away there."
                raise BadWebhookSecret(what) from error


@asynccontextmanager
async def receiving(
    loaded: Callable[[], Loaded],
    catalogue: Catalogue,
    database: Database,
    clock: Clock,
    counters: ReceiverCounters,
    on_kept: Callable[[], None],
) -> AsyncIterator[Receiver]:
    """A receiver for as long as the block lasts. on_kept: called when the inbox has something new.

    Raises DatabaseError where the vault cannot be read at the start; later it need not be.
    """
    doors = Doors(loaded, catalogue, clock, RememberedVaults(safe_of(loaded(), database, clock)))
    await doors.refresh()
    log.info("webhooks.receiving", channels=", ".join(_receiving(doors.open)) or "none")
    async with (
        Inbox(database, on_kept) as inbox,
        beside(_keep(doors, database, clock, counters), name="webhooks: secrets"),
    ):
        yield Receiver(doors.open, inbox, clock, Seals(loaded().config.secrets.keys))


def _receiving(doors: Mapping[str, Door]) -> list[str]:
    return sorted(name for name, door in doors.items() if door.scheme is not None)


async def _keep(doors: Doors, database: Database, clock: Clock, counters: ReceiverCounters) -> None:
    """Keeps the doors as the vault is, and tells of channels all whose deliveries are refused; until cancelled."""
    refusals = Refusals()
    away = False
    while True:
        await clock.sleep(LOOK_EVERY)
        try:
            await doors.refresh()
            now = clock.now()
            seen = {name: (counters.refused[name, "forged"], counters.genuine(name)) for name in doors.open}
            if told := refusals.news(seen, now):
                await database.transact(told.write)
            away = False
        except DatabaseError as error:
            if not away:
                log.warning("webhooks.vault_not_read", reason=str(error))
            away = True
        except Exception:  # ended by an error that nobody foresaw, it would leave old secrets in use for good
            log.exception("webhooks.not_looked_at")
