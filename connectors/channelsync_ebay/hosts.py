"""One transport for each of eBay's hosts: a transport keeps its credentials with one host."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from channelsync.sdk.breaker import Breaker
from channelsync.sdk.http import Answer, HttpSettings, HttpTransport
from channelsync.sdk.other_hosts import Lent
from channelsync.sdk.resources import Resources
from channelsync_ebay.settings import TIMEOUTS, EbaySettings, origin_of

USER_AGENT = "channelsync-ebay"


class Hosts:
    """The transports of one account. An async context manager.

    lent: the transport of the resources stays open at the end, as somebody else closes it.
    """

    def __init__(self, settings: EbaySettings, resources: Resources, *, lent: bool = False) -> None:
        self._settings = settings
        self._resources = resources
        self._lent = lent
        self._open: dict[tuple[str, bool], HttpTransport] = {}
        self._secrets: list[SecretStr] = []
        self.throttled = False
        """Whether an answer was a 429 since somebody last asked."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for http in self._open.values():
            await http.aclose()
        if self._resources.transport is not None and not self._lent:
            await self._resources.transport.aclose()

    def at(self, url: str, *, aside: bool = False) -> HttpTransport:
        """The transport for an address; calls name it whole.

        aside: for what orders and numbers do without, so that a permission that is missing there stops neither.
        """
        which = (origin_of(url), aside or origin_of(url) != origin_of(self._settings.api))
        if which not in self._open:
            self._open[which] = self._made(*which)
        return self._open[which]

    def keep_secret(self, secret: SecretStr) -> None:
        """From now on this is hidden wherever it turns up, at every host."""
        self._secrets = [*self._secrets[-16:], secret]
        for http in self._open.values():
            http.keep_secret(secret)

    def _observe(self, answer: Answer) -> None:
        self.throttled |= answer.status == httpx.codes.TOO_MANY_REQUESTS

    def _made(self, origin: str, aside: bool) -> HttpTransport:  # noqa: FBT001 - as it is kept
        given = self._resources
        http = HttpTransport(
            HttpSettings(
                channel=given.channel,
                base_url=origin,
                user_agent=USER_AGENT,
                secrets=self._settings.secrets,
                timeouts=TIMEOUTS,
            ),
            clock=given.clock,
            limiter=given.limiter,
            breaker=Breaker(given.channel, given.clock) if aside else given.breaker,
            rng=given.random,
            transport=None if given.transport is None else Lent(given.transport),
            observe_answer=self._observe,
        )
        for secret in self._secrets:
            http.keep_secret(secret)
        return http
