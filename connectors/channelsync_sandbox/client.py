"""Requests to the marketplace: access, paging, costs. Gives what the wire says; no meaning is read into it here."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr, ValidationError

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync.sdk.limiter import Limiter
from channelsync_sandbox import wire

SEARCH_COST = 2
IDS_MAX = 50
"""Ids in one request for orders or listings."""

_RENEW_BEFORE = 30.0
"""Seconds before its end in which an access token is not used any more."""
_RENEW_SHARE = 0.1
"""The same, as a share of its life, where that is less."""

_UNAUTHORISED = 401
_BAD_REQUEST = 400
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class _Token:
    secret: SecretStr
    use_until: float
    """On the monotonic clock."""


class Access:
    """The access token of one account: one caller at a time gets a new one, the others wait for it."""

    def __init__(self, http: HttpTransport, clock: Clock, refresh_token: SecretStr) -> None:
        self._http = http
        self._clock = clock
        self._refresh_token = refresh_token
        self._token: _Token | None = None
        self._renewing = asyncio.Lock()

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """A token to be used now. refused: one that the marketplace did not accept, so another is wanted.

        Raises NeedsSeller when the refresh token is not valid any more, and what the transport raises.
        """
        async with self._renewing:
            token = self._token
            if token is None or token.secret is refused or self._clock.monotonic() >= token.use_until:
                token = self._token = await self._renewed()
            return token.secret

    async def _renewed(self) -> _Token:
        asked = self._clock.monotonic()
        body = {"grant_type": "refresh_token", "refresh_token": self._refresh_token.get_secret_value()}
        # A read: the refresh token stays the same, so asking twice changes nothing.
        answer = await self._http.request(
            Call("POST", "/oauth/token", "read", cost=0, json=body, accept=(_BAD_REQUEST,))
        )
        if answer.status == _BAD_REQUEST:
            raise NeedsSeller(
                f"Connect the account anew and set its refresh_token: the marketplace does not accept the present"
                f" one ({_reason(answer)})."
            )
        token = wire.read(wire.Token, answer)
        secret = SecretStr(token.access_token)
        self._http.keep_secret(secret)
        if token.expires_in is None:
            return _Token(secret, math.inf)
        return _Token(secret, asked + token.expires_in - min(_RENEW_BEFORE, token.expires_in * _RENEW_SHARE))


class SandboxClient:
    """The marketplace's API, call by call."""

    def __init__(self, http: HttpTransport, access: Access) -> None:
        self._http = http
        self._access = access

    async def account(self) -> wire.Account:
        """Whose account it is, and what the marketplace declares."""
        return wire.read(wire.Account, await self._ask(Call("GET", "/v1/account", "read")))

    async def orders(self, *, since: datetime | None, after: str | None) -> tuple[wire.OrdersPage, Answer]:
        """One page of the search over all sites of the seller. after: the last page's `next`."""
        params = {"scope": "seller"}
        if since is not None:
            params["updated_since"] = time_text(since)
        if after is not None:
            params["cursor"] = after
        answer = await self._ask(Call("GET", "/v1/orders", "read", cost=SEARCH_COST, params=params))
        return wire.read(wire.OrdersPage, answer), answer

    async def orders_by_id(self, ids: Sequence[str]) -> list[Any]:
        """These orders as they are now, as they came; unknown ones are missing."""
        rows: list[Any] = []
        for some in _in_batches(ids, IDS_MAX):
            answer = await self._ask(Call("POST", "/v1/orders/read", "read", json={"ids": list(some)}))
            rows += wire.read(wire.OrdersFound, answer).orders
        return rows

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        """The ids of the orders placed on a UTC day, over all sites of the seller."""
        params = {"placed_on": day.isoformat(), "scope": "seller"}
        async for answer in self._pages("/v1/orders/ids", params, lambda answer: wire.read(wire.IdsPage, answer).next):
            for one in wire.read(wire.IdsPage, answer).ids:
                yield one

    async def listings(self) -> AsyncIterator[Any]:
        """The listings of the account's site, as they came."""
        async for answer in self._pages("/v1/listings", {}, lambda answer: wire.read(wire.ListingsPage, answer).next):
            for one in wire.read(wire.ListingsPage, answer).listings:
                yield one

    async def listings_by_id(self, ids: Sequence[str]) -> list[Any]:
        """These listings, as they came; unknown ones are missing."""
        rows: list[Any] = []
        for some in _in_batches(ids, IDS_MAX):
            answer = await self._ask(Call("POST", "/v1/listings/read", "read", json={"ids": list(some)}))
            rows += wire.read(wire.ListingsFound, answer).listings
        return rows

    async def numbers(self, keys: Sequence[Mapping[str, str]]) -> tuple[tuple[wire.Number, ...], Answer]:
        """The numbers of these keys."""
        answer = await self._ask(Call("POST", "/v1/numbers/read", "read", json={"keys": list(keys)}))
        return wire.read(wire.NumbersRead, answer).numbers, answer

    async def push(self, body: Mapping[str, Any], *, idempotent: bool) -> tuple[wire.Result, ...]:
        """Sends updates, once: after a wait the numbers must be computed anew, so nothing is repeated here."""
        call = Call("POST", "/v1/numbers", "write", json=body, idempotent=idempotent, attempts=1)
        return wire.read(wire.Results, await self._ask(call)).results

    async def webhooks(self) -> tuple[wire.Webhook, ...]:
        """All webhooks of the account, whoever registered them."""
        return wire.read(wire.Webhooks, await self._ask(Call("GET", "/v1/webhooks", "read"))).webhooks

    async def subscribe(self, topic: str, url: str) -> wire.NewWebhook:
        """Registers a webhook of one topic; sent once, for a second one would be a second webhook."""
        call = Call("POST", "/v1/webhooks", "write", json={"url": url, "topics": [topic]}, attempts=1)
        made = wire.read(wire.NewWebhook, await self._ask(call))
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
            before, after = after, next_of(answer)
            if after is None:
                return
            if after == before:
                raise ChannelMisbehaved(f"{answer.call}: the page leads back to itself, so the rest cannot be read")

    async def _ask(self, call: Call) -> Answer:
        """The answer to a call with a valid access token. A token that ended early is replaced once."""
        token = await self._access.token()
        answer = await self._http.request(_with(call, token))
        if answer.status == _UNAUTHORISED:
            token = await self._access.token(refused=token)
            answer = await self._http.request(_with(call, token))
        if answer.status == _UNAUTHORISED:
            raise NeedsSeller(
                f"Connect the account anew: {answer.call} is refused with a new access token too ({_reason(answer)})."
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


def time_text(at: datetime) -> str:
    """A time as the marketplace writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _with(call: Call, token: SecretStr) -> Call:
    headers = {**call.headers, "Authorization": SecretStr(f"Bearer {token.get_secret_value()}")}
    return replace(call, headers=headers, accept=(*call.accept, _UNAUTHORISED))


def _reason(answer: Answer) -> str:
    """The code of a refusal; an answer that carries none is named by its status."""
    try:
        code = wire.Refusal.model_validate_json(answer.body).error.code
    except ValidationError:
        code = ""
    return code or f"HTTP {answer.status}"


def _number(text: str | None) -> float | None:
    """A number of 0 or more in a header; None for anything else."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _in_batches(ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    return (ids[at : at + most] for at in range(0, len(ids), most))
