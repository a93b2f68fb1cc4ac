"""Simulated marketplaces to try channelsync on: real HTTP servers on loopback, in real time, with buyers.

They live as long as `run` does and keep nothing. What is sold, and what is oversold, is counted from their own logs.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import httpx

from channelsync.lab.buyers import Demand, Fates, poisson, send_buyers
from channelsync.lab.marketplace_referee import Referee
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import LogEntry
from channelsync.lab.sandbox_options import SandboxOptions
from channelsync.lab.stage import StagedListing, Wares, open_offers
from channelsync.lab.virtual_time import loopback_server
from channelsync.lab.webhook_sender import WebhookPlan, WebhookSender
from channelsync.sdk.clock import Clock, SystemClock

FATES = Fates(cancelled=0.1, edited=0.05, part_shipped=0.1, returned=0.05, left_open=0.1, after=(30.0, 180.0))
"""What becomes of orders: most are shipped within minutes."""

_RULES = (
    MarketplaceRules(compare_and_set=True, answers_with_number=True),
    MarketplaceRules(updates_per_push=10, reads_per_call=20),
)
"""They differ, as real ones do: by turns one that is asked before a number is replaced, and a plainer one."""

_TOLD = {"sold", "turned away"}
_AHEAD = timedelta(minutes=1)
"""For how long buyers are drawn at once; what becomes of their orders takes longer."""
_WEBHOOK_TIMEOUT = 5.0

Told = Callable[[str], None]


class Sandbox:
    """The marketplaces, their buyers, and the referee who counts what is oversold."""

    def __init__(self, options: SandboxOptions, clock: Clock | None = None) -> None:
        self.options = options
        self.clock = clock or SystemClock()
        self.sites: dict[str, Site] = {
            name: open_site(name, _RULES[turn % len(_RULES)], self.clock, seed=options.seed)
            for turn, name in enumerate(options.names)
        }
        self.wares = Wares(
            opening=dict.fromkeys(options.skus, options.units),
            listings=[
                StagedListing(marketplace=name, listing=f"{name}-{sku}", sku=sku)
                for name in options.names
                for sku in options.skus
            ],
        )
        self.referee: Referee = open_offers(self.sites, self.wares)

    def settings(self) -> dict[str, Mapping[str, object]]:
        """By marketplace, what the settings of a channel hold that differs from the defaults of the connector."""
        found: dict[str, Mapping[str, object]] = {}
        for name, site in self.sites.items():
            wanted = site.connector.settings.model_validate(site.settings(self.options.addresses[name]))
            found[name] = wanted.model_dump(mode="json", exclude_defaults=True) | {
                "refresh_token": site.account.refresh_token
            }
        return found

    async def run(self, told: Told, ready: asyncio.Event | None = None) -> None:
        """Serves until it is cancelled; `told` hears of every sale. Raises OSError for a port that is taken."""
        for site in self.sites.values():
            site.marketplace.on_log.append(lambda entry: told(self._said(entry)) if entry.what in _TOLD else None)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=_WEBHOOK_TIMEOUT))
            for turn, site in enumerate(self.sites.values()):
                await stack.enter_async_context(loopback_server(site.app, self.options.port + turn))
            if ready is not None:
                ready.set()
            async with asyncio.TaskGroup() as tasks:
                for name, site in self.sites.items():
                    rng = random.Random(f"{self.options.seed} {name} webhooks")
                    sender = WebhookSender(site.api, client, self.clock, rng, WebhookPlan())
                    tasks.create_task(sender.run(), name=f"{name}: webhooks")
                tasks.create_task(self._buyers(), name="buyers")

    async def _buyers(self) -> None:
        markets = {name: site.marketplace for name, site in self.sites.items()}
        share = 1 / len(markets)
        demand = [
            Demand(
                per_minute=self.options.orders / self.options.items,
                listings={name: f"{name}-{sku}" for name in markets},
                shares=dict.fromkeys(markets, share),
                units=(1, 1, 1, 2),
            )
            for sku in self.options.skus
        ]
        turn = 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                seed = self.options.seed + turn
                orders = poisson(demand, starts=self.clock.now(), lasts=_AHEAD, seed=seed, fates=FATES)
                named = [replace(order, order_id=f"{order.order_id}-{turn}") for order in orders]
                tasks.create_task(send_buyers(named, markets, self.clock, fates=FATES, seed=seed))
                await self.clock.sleep(_AHEAD.total_seconds())
                turn += 1

    def _said(self, entry: LogEntry) -> str:
        at = entry.at.strftime("%H:%M:%S")
        units = f"{entry.units} of {entry.listing}"
        if entry.what == "turned away":
            return f"{at}  {entry.marketplace}: a buyer wanted {units} more than were shown"
        over = self.referee.oversold_units
        return f"{at}  {entry.marketplace}: sold {units} in order {entry.order}; oversold so far: {over}"
