"""Takes a marketplace's webhooks in process: verifies them as the connector says, and treats them as hints only.

A delivery names what may have changed; orders are then read by id, numbers are read by the publisher. So a message
that is lost, doubled, late or overtaken does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx

from channelsync.lab.marketplace_accounts import TOPICS
from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import Topic
from channelsync.lab.webhook_sender import WebhookPlan, WebhookSender
from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.resources import unused
from channelsync.sdk.webhooks import WebhookHint
from channelsync.store import keys, orders
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.take_orders import read_hinted

AT_MOST_EVERY = 5.0
"""Seconds between two looks at what was hinted: a burst of messages becomes one call."""


def webhooks(
    site: Site,
    clock: Clock,
    agent: Callable[[], Agent | None],
    plan: WebhookPlan,
    rng: random.Random,
    topics: Sequence[Topic] = TOPICS,
) -> list[Coroutine[Any, Any, None]]:
    """What must run so that a marketplace tells of these topics, as unreliably as the plan says, and is heard.

    agent: who runs now; None while nobody does.
    """
    name = site.marketplace.name
    receiver = HintReceiver(name, subscribe(site, clock, topics), clock, agent)
    sender = WebhookSender(site.api, httpx.AsyncClient(transport=receiver), clock, rng, plan)
    return [sender.run(), receiver.run()]


def subscribe(site: Site, clock: Clock, topics: Sequence[Topic] = TOPICS) -> WebhookScheme:
    """Subscribes to topics; returns what tells genuine messages from forged ones."""
    subscription = site.api.subscriptions.add(site.account.name, f"http://{site.marketplace.name}.hook/", tuple(topics))
    connector = site.connector
    settings = connector.settings.model_validate({**site.settings(), "webhook_secrets": [subscription.secret]})
    resources = unused(site.marketplace.name, connector.budgets(settings), clock)
    scheme = connector.webhooks(settings, resources) if connector.webhooks else None
    if scheme is None:
        raise ValueError(f"the connector {connector.name} takes no webhooks")
    return scheme


class HintReceiver(httpx.AsyncBaseTransport):
    """Where the messages of one marketplace arrive. agent: who runs now; None while nobody does.

    refused: how many were not genuine.
    """

    def __init__(self, name: str, scheme: WebhookScheme, clock: Clock, agent: Callable[[], Agent | None]) -> None:
        self.refused = 0
        self._name = name
        self._scheme = scheme
        self._clock = clock
        self._agent = agent
        self._something = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """503 while nobody listens, 401 for what is not genuine, else 202."""
        agent = self._agent()
        if agent is None or not agent.channels[self._name].identity:
            return httpx.Response(503)
        hint = await self._scheme.verify(request.headers, await request.aread(), self._clock.now())
        if not isinstance(hint, WebhookHint):
            self.refused += 1
            return httpx.Response(401)
        await self._keep(agent, agent.channels[self._name], hint)
        return httpx.Response(202)

    async def _keep(self, agent: Agent, channel: OpenChannel, hint: WebhookHint) -> None:
        now = agent.clock.now()
        if hint.orders:
            named = dict.fromkeys(hint.orders, hint.topic)
            await agent.database.transact(lambda c: orders.hint_orders(c, channel.name, named, now))
            self._something.set()
        if hint.keys:
            names = [(key.key, key.location) for key in hint.keys]
            await agent.database.transact(
                lambda c: keys.want_reads(c, keys.ids_of(c, channel.identity, names).values())
            )

    async def run(self) -> None:
        """Reads what was hinted at, until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            agent = self._agent()
            if agent is not None:
                with contextlib.suppress(ChannelError):  # what was hinted at stays noted; the next poll reads it
                    await read_hinted(agent, agent.channels[self._name])
            await self._clock.sleep(AT_MOST_EVERY)
