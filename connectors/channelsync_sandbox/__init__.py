"""Talks HTTP to the marketplaces of the lab, by docs/sandbox-marketplace.md. The layout that every connector has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import BaseModel

from channelsync.sdk.channel import Connector, WebhookScheme
from channelsync.sdk.connecting import Guide
from channelsync.sdk.http import HttpSettings, HttpTransport
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync_sandbox.channel import SandboxChannel
from channelsync_sandbox.client import Access, SandboxClient, budget_observer
from channelsync_sandbox.settings import SandboxSettings, budgets, capabilities
from channelsync_sandbox.webhooks import SandboxWebhooks


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[SandboxChannel]:
    """The account on the marketplace; nothing is asked before the first call."""
    mine = own(SandboxSettings, settings)
    http = HttpTransport(
        HttpSettings(
            channel=resources.channel,
            base_url=mine.base_url,
            user_agent="channelsync-sandbox",
            secrets=(mine.refresh_token, *mine.webhook_secrets),
        ),
        clock=resources.clock,
        limiter=resources.limiter,
        breaker=resources.breaker,
        rng=resources.random,
        transport=resources.transport,
        observe_answer=budget_observer(resources.limiter),
    )
    async with http:
        access = Access(http, resources.clock, mine.refresh_token)
        yield SandboxChannel(resources.channel, mine, SandboxClient(http, access), resources.vault)


def webhooks(settings: BaseModel, resources: Resources) -> WebhookScheme | None:
    """The scheme of the account's deliveries; None where the marketplace sends none."""
    mine = own(SandboxSettings, settings)
    if not mine.webhooks:
        return None
    return SandboxWebhooks(mine.webhook_secrets, resources.vault, timedelta(seconds=mine.skew_s))


GUIDE = Guide(
    steps=(
        "Start a marketplace of the lab, and set base_url and what it declares in [channel.settings].",
        "Copy the refresh token of your account there; it is asked for below.",
        "Nothing else: webhooks are registered by themselves, with deliveries to {receiver}.",
    )
)


CONNECTOR = Connector(
    name="sandbox",
    title="Sandbox",
    settings=SandboxSettings,
    capabilities=lambda settings: capabilities(own(SandboxSettings, settings)),
    budgets=lambda settings: budgets(own(SandboxSettings, settings)),
    open=open_channel,
    webhooks=webhooks,
    guide=GUIDE,
)
