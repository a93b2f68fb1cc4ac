"""The marketplaces of the lab over HTTP, by docs/sandbox-marketplace.md. The layout that every connector has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import BaseModel

from channelsync.sdk.channel import Connector, WebhookScheme
from channelsync.sdk.connecting import Guide
from channelsync.sdk.http import HttpSettings
from channelsync.sdk.other_hosts import own_host
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync_sandbox.access import Access
from channelsync_sandbox.channel import SandboxChannel
from channelsync_sandbox.client import SandboxClient, budget_observer
from channelsync_sandbox.settings import SandboxSettings, budgets, capabilities
from channelsync_sandbox.webhooks import SandboxWebhooks

USER_AGENT = "channelsync-sandbox"


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[SandboxChannel]:
    """The account on the marketplace; nothing is asked before the first call."""
    mine = own(SandboxSettings, settings)
    settings_of_http = HttpSettings(
        channel=resources.channel,
        base_url=mine.base_url,
        user_agent=USER_AGENT,
        secrets=mine.secrets,
    )
    async with own_host(resources, settings_of_http, budget_observer(resources.limiter)) as http:
        client = SandboxClient(http, Access(http, resources.clock, mine.refresh_token))
        yield SandboxChannel(mine, resources, client)


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
