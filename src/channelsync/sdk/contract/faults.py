"""Failures of an HTTP channel, made on our side of the wire, so that every HTTP connector meets the same ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import httpx

from channelsync.sdk.contract.world import CANARY, Fault

Answering = Callable[[httpx.Request], httpx.Response]
"""How a channel says something in its own way."""

_PAGE = "<!DOCTYPE html><html><title>Maintenance</title><p>We will be back soon.</p></html>"
_BUYER = json.dumps(dict(zip(("name", "email", "phone", "street"), CANARY, strict=True)))
_PLAIN = {
    Fault.THROTTLED: (429, '{"error": "too many requests"}'),
    Fault.UNAUTHORISED: (401, '{"error": "invalid credentials"}'),
    Fault.FORBIDDEN: (403, '{"error": "not permitted"}'),
    Fault.SERVER_ERROR: (503, "<html>upstream connect error</html>"),
    Fault.HTML: (200, _PAGE),
    Fault.EMPTY: (200, ""),
    Fault.CUT: (200, f'{{"orders": [{{"id": "1", "buyer": {_BUYER}, "li'),
    Fault.WRONG_SHAPE: (200, f'{{"envelope": {{"buyer": {_BUYER}}}}}'),
}


class HttpFaults(httpx.AsyncBaseTransport):
    """Stands between a connector and the other side, and answers for it while it is told to fail.

    inner: leads to the other side. It is not closed with this, because a test opens its channel several times; who
    made it closes it. answers: how this channel words a fault, where that is not plain HTTP.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, answers: Mapping[Fault, Answering] | None = None) -> None:
        self._inner = inner
        self._answers = answers or {}
        self._fault: Fault | None = None
        self._spared = 0
        self._retry_after: float | None = None

    def fail(self, fault: Fault, *, retry_after: float | None = None, after: int = 0) -> None:
        """Every call fails so from now on; after: so many get through before."""
        self._fault = fault
        self._spared = after
        self._retry_after = retry_after

    def heal(self) -> None:
        """Calls get through again."""
        self._fault = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fault = self._fault
        if fault is None or self._spared > 0:
            self._spared -= 1
            return await self._inner.handle_async_request(request)
        if fault is Fault.NO_ANSWER:
            raise httpx.ReadTimeout("no answer came", request=request)
        if fault is Fault.NO_ANSWER_AFTER:
            response = await self._inner.handle_async_request(request)
            await response.aread()
            await response.aclose()
            raise httpx.ReadTimeout("no answer came", request=request)
        response = self._answers[fault](request) if fault in self._answers else _plain(fault)
        if fault is Fault.THROTTLED and self._retry_after is not None:
            response.headers["Retry-After"] = f"{self._retry_after:g}"
        return response

    async def aclose(self) -> None:
        """Leaves the inner transport open."""


def _plain(fault: Fault) -> httpx.Response:
    """The fault as plain HTTP says it."""
    status, text = _PLAIN[fault]
    kind = "text/html" if text.startswith("<") else "application/json"
    return httpx.Response(status, content=text.encode(), headers={"Content-Type": kind})
