"""Amazon, by the Selling Partner API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

from pydantic import BaseModel

from channelsync.sdk.channel import Connector
from channelsync.sdk.connecting import Guide
from channelsync.sdk.http import HttpSettings, HttpTransport, Sign, Timeouts
from channelsync.sdk.other_hosts import other_host, own_host
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync_amazon.access import Access
from channelsync_amazon.channel import AmazonChannel, Parts
from channelsync_amazon.client import AmazonClient, rate_observer
from channelsync_amazon.feeds import Feeds
from channelsync_amazon.files import FILE_BYTES_MAX, Files, OpenHost
from channelsync_amazon.known import Known
from channelsync_amazon.pools import Pools
from channelsync_amazon.quantities import Looker, Writer
from channelsync_amazon.queue import WAIT_S, NotificationQueue, signing
from channelsync_amazon.reports import Reports
from channelsync_amazon.settings import AmazonSettings, budgets, capabilities

USER_AGENT = "channelsync-amazon/1.0 (Language=Python)"
"""In the form that the Selling Partner API asks for."""


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[AmazonChannel]:
    """The account; nothing is asked before the first call."""
    mine = own(AmazonSettings, settings)
    settings_of_http = HttpSettings(
        channel=resources.channel, base_url=mine.url, user_agent=USER_AGENT, secrets=mine.secrets
    )
    async with AsyncExitStack() as stack:
        http = own_host(resources, settings_of_http, rate_observer(resources.limiter))
        await stack.enter_async_context(http)
        tokens = await stack.enter_async_context(_elsewhere(mine, resources, mine.tokens_url))
        client = AmazonClient(http, Access(tokens, resources.clock, mine, http.keep_secret), mine)
        files = Files(_hosts(mine, resources), insecure=mine.url.startswith("http://"))
        known = Known(resources.clock, mine.marketplaces)
        looker = Looker(client, known, resources.channel)
        feeds = Feeds(client, files, resources, mine)
        parts = Parts(
            client=client,
            looker=looker,
            known=known,
            writer=Writer(client, looker, known, feeds, mine),
            reports=Reports(client, files, resources.clock, resources.channel),
            pools=Pools(client, resources.clock, mine.fba_pools),
            queue=await _queue(mine, resources, stack),
        )
        yield AmazonChannel(mine, resources, parts)


async def _queue(settings: AmazonSettings, resources: Resources, stack: AsyncExitStack) -> NotificationQueue | None:
    """The queue of notifications, where the settings name one. An answer may take as long as SQS waits for messages."""
    if settings.queue is None:
        return None
    parts = urlsplit(settings.queue.url)
    timeouts = Timeouts(read=WAIT_S + 20, total=2 * WAIT_S + 20)
    host = _elsewhere(settings, resources, f"{parts.scheme}://{parts.netloc}", timeouts, sign=signing(settings.queue))
    return NotificationQueue(
        await stack.enter_async_context(host), settings.queue, settings.seller_id, resources.channel
    )


def _hosts(settings: AmazonSettings, resources: Resources) -> OpenHost:
    """Opens the hosts that keep documents."""
    return lambda base_url: _elsewhere(settings, resources, base_url, Timeouts(read=60, write=60, total=600))


def _elsewhere(
    settings: AmazonSettings,
    resources: Resources,
    base_url: str,
    timeouts: Timeouts | None = None,
    sign: Sign | None = None,
) -> HttpTransport:
    """A transport to another host than the API's."""
    return other_host(
        resources,
        HttpSettings(
            channel=resources.channel,
            base_url=base_url,
            user_agent=USER_AGENT,
            secrets=settings.secrets,
            sign=sign,
            timeouts=timeouts or Timeouts(),
            body_bytes_max=FILE_BYTES_MAX,
        ),
    )


GUIDE = Guide(
    steps=(
        "Sign in to Seller Central as the account's main user, and register as a private developer (Apps and"
        " Services > Develop Apps) with the roles Product Listing, Inventory and Order Tracking, and Selling Partner"
        " Insights; add Amazon Fulfillment where Amazon ships for you: the units there (fba_pools) and the reasons of"
        " those that are stranded may need it.",
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
    capabilities=lambda settings: capabilities(own(AmazonSettings, settings)),
    budgets=lambda settings: budgets(own(AmazonSettings, settings)),
    open=open_channel,
    guide=GUIDE,
)
