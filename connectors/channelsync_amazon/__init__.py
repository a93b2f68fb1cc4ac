"""Amazon, by the Selling Partner API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import BaseModel

from channelsync.sdk.channel import Connector
from channelsync.sdk.connecting import Guide
from channelsync.sdk.http import HttpSettings, HttpTransport, Timeouts
from channelsync.sdk.other_hosts import other_host
from channelsync.sdk.resources import Resources
from channelsync_amazon.access import Access
from channelsync_amazon.channel import AmazonChannel, Parts
from channelsync_amazon.client import AmazonClient, rate_observer
from channelsync_amazon.feeds import Feeds
from channelsync_amazon.files import FILE_BYTES_MAX, Files, OpenHost
from channelsync_amazon.known import Known
from channelsync_amazon.quantities import Looker, Writer
from channelsync_amazon.reports import Reports
from channelsync_amazon.settings import AmazonSettings, budgets, capabilities

USER_AGENT = "channelsync-amazon/1.0 (Language=Python)"
"""In the form that the Selling Partner API asks for."""


def _mine(settings: BaseModel) -> AmazonSettings:
    if not isinstance(settings, AmazonSettings):
        raise TypeError(f"these are settings of another connector: {type(settings).__name__}")
    return settings


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[AmazonChannel]:
    """The account; nothing is asked before the first call."""
    mine = _mine(settings)
    http = HttpTransport(
        HttpSettings(channel=resources.channel, base_url=mine.url, user_agent=USER_AGENT, secrets=mine.secrets),
        clock=resources.clock,
        limiter=resources.limiter,
        breaker=resources.breaker,
        rng=resources.random,
        transport=resources.transport,
        observe_answer=rate_observer(resources.limiter),
    )
    async with http, _elsewhere(mine, resources, mine.tokens_url) as tokens:
        client = AmazonClient(http, Access(tokens, resources.clock, mine, http.keep_secret), mine)
        files = Files(_hosts(mine, resources), insecure=mine.url.startswith("http://"))
        known = Known(resources.clock, mine.marketplaces)
        looker = Looker(client, known, resources.channel)
        feeds = Feeds(client, files, resources.limiter, resources.clock, mine)
        parts = Parts(
            client=client,
            looker=looker,
            known=known,
            writer=Writer(client, looker, known, feeds, mine.feed_from),
            reports=Reports(client, files, resources.clock, resources.channel),
        )
        yield AmazonChannel(mine, resources, parts)


def _hosts(settings: AmazonSettings, resources: Resources) -> OpenHost:
    """Opens the hosts that keep documents."""
    return lambda base_url: _elsewhere(settings, resources, base_url, Timeouts(read=60, write=60, total=600))


def _elsewhere(
    settings: AmazonSettings, resources: Resources, base_url: str, timeouts: Timeouts | None = None
) -> HttpTransport:
    """A transport to another host than the API's."""
    return other_host(
        resources,
        HttpSettings(
            channel=resources.channel,
            base_url=base_url,
            user_agent=USER_AGENT,
            secrets=settings.secrets,
            timeouts=timeouts or Timeouts(),
            body_bytes_max=FILE_BYTES_MAX,
        ),
    )


GUIDE = Guide(
    steps=(
        "Sign in to Seller Central as the account's main user, and register as a private developer (Apps and"
        " Services > Develop Apps) with the roles Product Listing, Inventory and Order Tracking, and Selling Partner"
        " Insights; add Amazon Fulfillment where fba_numbers is on.",
        "Add an app client (type: production, SP-API) with the same roles. It need not be published.",
        "View its LWA credentials: the client identifier is client_id, the client secret is client_secret.",
        "Choose Authorize app for each account and region: it shows a refresh token once; that is refresh_token.",
        "Copy Your Merchant Token from Account Info: that is seller_id.",
        "Replace the client secret before 180 days are over; the refresh token stays as it is.",
    )
)


CONNECTOR = Connector(
    name="amazon",
    title="Amazon",
    settings=AmazonSettings,
    capabilities=lambda settings: capabilities(_mine(settings)),
    budgets=lambda settings: budgets(_mine(settings)),
    open=open_channel,
    guide=GUIDE,
)
