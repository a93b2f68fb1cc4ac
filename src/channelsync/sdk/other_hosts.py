"""The hosts of a channel: that of its API, and others, where tokens are made or documents are kept.

A transport keeps what it sends to one host, so each further host has one of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx

from channelsync.sdk.answers import Answer
from channelsync.sdk.breaker import Breaker
from channelsync.sdk.http import HttpSettings, HttpTransport
from channelsync.sdk.resources import Resources


def own_host(
    resources: Resources, settings: HttpSettings, observe_answer: Callable[[Answer], None] | None = None
) -> HttpTransport:
    """The transport to the host of the channel's API. Closing it closes the transport of the resources.

    observe_answer: see HttpTransport.
    """
    return HttpTransport(
        settings,
        clock=resources.clock,
        limiter=resources.limiter,
        breaker=resources.breaker,
        rng=resources.random,
        transport=resources.transport,
        observe_answer=observe_answer,
    )


def other_host(resources: Resources, settings: HttpSettings) -> HttpTransport:
    """A transport to another host. Closing it leaves the transport of the resources open, for the channel's own.

    Calls pay from the account's budget. That host's failures are not the API's, so it has a breaker of its own.
    """
    return HttpTransport(
        settings,
        clock=resources.clock,
        limiter=resources.limiter,
        breaker=Breaker(settings.channel, resources.clock),
        rng=resources.random,
        transport=None if resources.transport is None else Lent(resources.transport),
    )


class Lent(httpx.AsyncBaseTransport):
    """A transport that its owner closes, not who it is lent to."""

    def __init__(self, owned: httpx.AsyncBaseTransport) -> None:
        self._owned = owned

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._owned.handle_async_request(request)

    async def aclose(self) -> None:
        """Leaves it open."""
