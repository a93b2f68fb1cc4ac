"""Takes a marketplace's webhooks in process: verifies them as the connector says, and treats them as hints only.

What is heard goes the way of every hint (`sync.hints`), without an inbox before it: a message that is not answered is
sent again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import httpx

from channelsync.lab.marketplace_accounts import TOPICS
from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import Topic
from channelsync.lab.webhook_sender import WebhookPlan, WebhookSender
from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.clock import Clock
from channelsync.sdk.resources import unused
from channelsync.sdk.webhooks import WebhookHint
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.hints import follow, note_hints


def webhooks(
    site: Site,
    clock: Clock,
    agent: Callable[[], Agent | None],
    plan: WebhookPlan,
    rng: random.Random,
    topics: Sequence[Topic] = TOPICS,
) -> WebhookSender:
    """Who tells our agent of these topics of a marketplace, as unreliably as the plan says; it must run.

    agent: who runs now; None while nobody does.
    """
    name = site.marketplace.name
    receiver = HintReceiver(name, subscribe(site, clock, topics), clock, agent)
    return WebhookSender(site.api, httpx.AsyncClient(transport=receiver), clock, rng, plan)


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
    """Where the messages of one marketplace arrive. agent: who runs now; None while nobody does."""

    def __init__(self, name: str, scheme: WebhookScheme, clock: Clock, agent: Callable[[], Agent | None]) -> None:
        self._name = name
        self._scheme = scheme
        self._clock = clock
        self._agent = agent

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """503 while nobody listens, 401 for what is not genuine, else 202."""
        agent = self._agent()
        if agent is None or not agent.channels[self._name].identity:
            return httpx.Response(503)
        hint = await self._scheme.verify(request.headers, await request.aread(), self._clock.now())
        if not isinstance(hint, WebhookHint):
            return httpx.Response(401)
        await self._keep(agent, agent.channels[self._name], hint)
        return httpx.Response(202)

    async def _keep(self, agent: Agent, channel: OpenChannel, hint: WebhookHint) -> None:
        now = agent.clock.now()
        noted = await agent.database.transact(lambda c: note_hints(c, channel.name, channel.identity, [hint], now))
        follow(channel, noted)
