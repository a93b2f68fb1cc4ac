"""Requests to the marketplace: access, paging, costs. Gives what the wire says; no meaning is read into it here."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from channelsync.sdk.access_tokens import with_token
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.paging import in_batches, leads_on
from channelsync.sdk.times import utc_text
from channelsync.sdk.wire import read_answer
from channelsync_sandbox import wire
from channelsync_sandbox.access import Access, code_of

SEARCH_COST = 2
IDS_MAX = 50
"""Ids in one request for orders or listings."""

_UNAUTHORISED = 401
_NOT_FOUND = 404


class SandboxClient:
    """The marketplace's API, call by call."""

    def __init__(self, http: HttpTransport, access: Access) -> None:
        self._http = http
        self._access = access

    async def account(self) -> wire.Account:
        """Whose account it is, and what the marketplace declares."""
        return read_answer(wire.Account, await self._ask(Call("GET", "/v1/account", "read")))

    async def orders(self, *, since: datetime | None, after: str | None) -> tuple[wire.OrdersPage, Answer]:
        """One page of the search over all sites of the seller. after: the last page's `next`."""
        params = {"scope": "seller"}
        if since is not None:
            params["updated_since"] = utc_text(since, "microseconds")
        if after is not None:
            params["cursor"] = after
        answer = await self._ask(Call("GET", "/v1/orders", "read", cost=SEARCH_COST, params=params))
        return read_answer(wire.OrdersPage, answer), answer

    async def orders_by_id(self, ids: Sequence[str]) -> list[Any]:
        """These orders as they are now, as they came; unknown ones are missing."""
        rows: list[Any] = []
        for some in in_batches(ids, IDS_MAX):
            answer = await self._ask(Call("POST", "/v1/orders/read", "read", json={"ids": list(some)}))
            rows += read_answer(wire.OrdersFound, answer).orders
        return rows

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        """The ids of the orders placed on a UTC day, over all sites of the seller."""
        params = {"placed_on": day.isoformat(), "scope": "seller"}
        async for answer in self._pages(
            "/v1/orders/ids", params, lambda answer: read_answer(wire.IdsPage, answer).next
        ):
            for one in read_answer(wire.IdsPage, answer).ids:
                yield one

    async def listings(self) -> AsyncIterator[Any]:
        """The listings of the account's site, as they came."""
        async for answer in self._pages("/v1/listings", {}, lambda answer: read_answer(wire.ListingsPage, answer).next):
            for one in read_answer(wire.ListingsPage, answer).listings:
                yield one

    async def listings_by_id(self, ids: Sequence[str]) -> list[Any]:
        """These listings, as they came; unknown ones are missing."""
        rows: list[Any] = []
        for some in in_batches(ids, IDS_MAX):
            answer = await self._ask(Call("POST", "/v1/listings/read", "read", json={"ids": list(some)}))
            rows += read_answer(wire.ListingsFound, answer).listings
        return rows

    async def numbers(self, keys: Sequence[Mapping[str, str]]) -> tuple[tuple[wire.Number, ...], Answer]:
        """The numbers of these keys."""
        answer = await self._ask(Call("POST", "/v1/numbers/read", "read", json={"keys": list(keys)}))
        return read_answer(wire.NumbersRead, answer).numbers, answer

    async def push(self, body: Mapping[str, Any], *, idempotent: bool) -> tuple[wire.Result, ...]:
        """Sends updates, once: after a wait the numbers must be computed anew, so nothing is repeated here."""
        call = Call("POST", "/v1/numbers", "write", json=body, idempotent=idempotent, attempts=1)
        return read_answer(wire.Results, await self._ask(call)).results

    async def webhooks(self) -> tuple[wire.Webhook, ...]:
        """All webhooks of the account, whoever registered them."""
        return read_answer(wire.Webhooks, await self._ask(Call("GET", "/v1/webhooks", "read"))).webhooks

    async def subscribe(self, topic: str, url: str) -> wire.NewWebhook:
        """Registers a webhook of one topic; sent once, for a second one would be a second webhook."""
        call = Call("POST", "/v1/webhooks", "write", json={"url": url, "topics": [topic]}, attempts=1)
        made = read_answer(wire.NewWebhook, await self._ask(call))
        self._http.keep_secret(made.secret)
        return made

    async def unsubscribe(self, webhook: str) -> None:
        """Ends a webhook; one that is gone already is gone."""
        path = f"/v1/webhooks/{quote(webhook, safe='')}"
        await self._ask(Call("DELETE", path, "write", idempotent=True, expect="bytes", accept=(_NOT_FOUND,)))

    async def _pages(
        self, path: str, params: Mapping[str, str], next_of: Callable[[Answer], str | None]
    ) -> AsyncIterator[Answer]:
        after: str | None = None
        while True:
            more = {} if after is None else {"cursor": after}
            answer = await self._ask(Call("GET", path, "read", cost=SEARCH_COST, params={**params, **more}))
            yield answer
            after = leads_on(next_of(answer), after, answer.call)
            if after is None:
                return

    async def _ask(self, call: Call) -> Answer:
        """The answer to a call with a valid access token. A token that ended early is replaced once."""
        answer, _ = await with_token(
            self._access,
            lambda token: self._http.request(_with(call, token)),
            lambda answer: answer.status == _UNAUTHORISED,
        )
        if answer.status == _UNAUTHORISED:
            raise NeedsSeller(
                f"Connect the account anew: {answer.call} is refused with a new access token too ({code_of(answer)})."
            )
        return answer


def budget_observer(limiter: Limiter) -> Callable[[Answer], None]:
    """Tells the limiter what the marketplace says is left."""

    def observe(answer: Answer) -> None:
        available = _number(answer.headers.get("x-budget-available"))
        if available is not None:
            rate = _number(answer.headers.get("x-budget-restore-rate"))
            limiter.observe(available, rate, since=answer.grant)

    return observe


def _with(call: Call, token: SecretStr) -> Call:
    headers = {**call.headers, "Authorization": SecretStr(f"Bearer {token.get_secret_value()}")}
    return replace(call, headers=headers, accept=(*call.accept, _UNAUTHORISED))


def _number(text: str | None) -> float | None:
    """A number of 0 or more in a header; None for anything else."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
