"""Requests to eBay's REST APIs: access, paging, limits. Gives what the wire says; no meaning is read into it here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import SecretStr

from channelsync.sdk.access_tokens import with_token
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import AnswerUnreadable, ChannelError, ChannelMisbehaved, NeedsSeller, OutcomeUnknown
from channelsync.sdk.http import Answer, Call
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.paging import PageNumbers, in_batches
from channelsync.sdk.wire import read_answer, read_part
from channelsync_ebay import wire, wire_account
from channelsync_ebay.access import Access
from channelsync_ebay.hosts import Hosts
from channelsync_ebay.settings import FULFILLMENT, ITEMS, OTHER, TRADING, EbaySettings

T = TypeVar("T")

_SELLING = "/sell/inventory/v1"
_FULFILLMENT = "/sell/fulfillment/v1"
_ACCOUNT = "/sell/account/v1"
_LIMITS = "/developer/analytics/v1_beta/rate_limit/"
_USER = "/commerce/identity/v1/user/"

_BAD_REQUEST, _UNAUTHORISED, _NOT_FOUND, _CONFLICT, _SERVER_ERROR = 400, 401, 404, 409, 500

ORDER_IDS_MAX = 50
_AT_ONCE = 8
_SKU_CHARACTERS_MAX = 50
_LIMITS_EVERY = 3600.0

CONCURRENT = 25025
"""Somebody else, often eBay itself, has the same item in hand; nothing was changed."""

_NO_SUCH_ITEM = frozenset({25702, 25707, 25708, 25710})
_NO_SUCH_OFFER = frozenset({25707, 25708, 25710, 25713})
_BAD_VALUE = 25709
_IN_THE_FUTURE = 30850

_BUCKETS = {
    ("sell", "inventory"): ITEMS,
    ("sell", "fulfillment"): FULFILLMENT,
}
"""Which of our buckets a limit is of, by context and name as the Analytics API tells them."""


@dataclass(frozen=True, slots=True)
class OrderRows:
    """A page of orders as they came. total: of all pages, as counted now."""

    rows: tuple[Any, ...]
    total: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class OfferRows:
    """The offers of one SKU as they came; none where it has none."""

    rows: tuple[Any, ...]
    answer: Answer


class EbayClient:
    """eBay's REST APIs, call by call, for one seller."""

    def __init__(self, hosts: Hosts, access: Access, settings: EbaySettings, clock: Clock, limiter: Limiter) -> None:
        self._hosts = hosts
        self._access = access
        self._settings = settings
        self._clock = clock
        self._limiter = limiter
        self._limits_read = -_LIMITS_EVERY

    # The account

    async def user(self) -> wire_account.User:
        """Who the seller is."""
        call = Call("GET", f"{self._settings.identity}{_USER}", "read", bucket=OTHER)
        return read_answer(wire_account.User, await self.ask(call))

    async def probe(self) -> None:
        """Asks for what every permission that we need allows, and changes nothing. Raises NeedsSeller."""
        one: dict[str, str | int | SecretStr] = {"limit": 1}
        read_answer(wire.Orders, await self.ask(Call("GET", f"{_FULFILLMENT}/order", "read", **_orders(one))))
        await self.items(0, 1)

    async def privileges(self) -> wire_account.Privileges:
        """Whether the seller may sell, and how much."""
        return read_answer(
            wire_account.Privileges, await self.ask(Call("GET", f"{_ACCOUNT}/privilege", "read", bucket=OTHER))
        )

    async def locations(self) -> wire_account.Locations:
        """The seller's locations, the first hundred."""
        call = Call("GET", f"{_SELLING}/location", "read", bucket=ITEMS, params={"limit": 100})
        return read_answer(wire_account.Locations, await self.ask(call))

    # Orders

    async def orders(self, filtered: str, limit: int, offset: int) -> OrderRows:
        """A page of the orders that a filter finds, as they came."""
        params: dict[str, str | int | SecretStr] = {"filter": filtered, "limit": limit, "offset": offset}
        answer = await self.ask(Call("GET", f"{_FULFILLMENT}/order", "read", accept=(_BAD_REQUEST,), **_orders(params)))
        if answer.status == _BAD_REQUEST:
            if _IN_THE_FUTURE in wire.ids_of(wire.refusal(answer)):
                return OrderRows((), 0, answer)
            raise _misbehaved(answer)
        page = read_answer(wire.Orders, answer)
        return OrderRows(page.orders, page.total, answer)

    async def orders_by_id(self, orders: Sequence[str]) -> list[Any]:
        """These orders as they came; unknown ones are missing."""
        rows: list[Any] = []
        for some in in_batches(list(dict.fromkeys(orders)), ORDER_IDS_MAX):
            params: dict[str, str | int | SecretStr] = {"orderIds": ",".join(some)}
            call = Call("GET", f"{_FULFILLMENT}/order", "read", accept=(_BAD_REQUEST, _NOT_FOUND), **_orders(params))
            answer = await self.ask(call)
            if answer.status in (_BAD_REQUEST, _NOT_FOUND):  # one id that it does not know spoils the whole call
                found = await together(lambda one=one: self.order(one) for one in some)  # type: ignore[misc]
                rows += [row for row in found if row is not None]
            else:
                rows += read_answer(wire.Orders, answer).orders
        return rows

    async def order(self, order: str) -> Any | None:
        """One order, with its requests to cancel, which lists leave out; None: there is no such order."""
        call = Call(
            "GET",
            f"{_FULFILLMENT}/order/{_quoted(order)}",
            "read",
            bucket=FULFILLMENT,
            accept=(_BAD_REQUEST, _NOT_FOUND),
        )
        answer = await self.ask(call)
        if answer.status not in (_BAD_REQUEST, _NOT_FOUND):
            return answer.json()
        if not wire.refusal(answer):
            raise _misbehaved(answer)
        return None

    async def shipments(self, order: str) -> wire.Shipments:
        """What has left of an order."""
        path = f"{_FULFILLMENT}/order/{_quoted(order)}/shipping_fulfillment"
        return read_answer(wire.Shipments, await self.ask(Call("GET", path, "read", bucket=FULFILLMENT)))

    # Items and offers

    async def items(self, page: int, limit: int) -> tuple[wire.Items, Answer]:
        """A page of items. The `offset` of this call counts pages."""
        params: dict[str, str | int | SecretStr] = {"limit": limit, "offset": page}
        call = Call("GET", f"{_SELLING}/inventory_item", "read", bucket=ITEMS, params=params, accept=(_NOT_FOUND,))
        answer = await self.ask(call)
        if answer.status == _NOT_FOUND:
            if not _no_such(wire.refusal(answer), _NO_SUCH_ITEM):
                raise _misbehaved(answer)
            return wire.Items(total=0), answer
        return read_answer(wire.Items, answer), answer

    async def items_by_sku(self, skus: Sequence[str]) -> list[tuple[wire.Item, Answer]]:
        """These items, at most 25; unknown ones are missing. Each carries the SKU that was asked for."""
        if not skus:
            return []
        path, body = f"{_SELLING}/bulk_get_inventory_item", {"requests": [{"sku": sku} for sku in skus]}
        call = Call("POST", path, "read", bucket=ITEMS, json=body, accept=(_BAD_REQUEST, _NOT_FOUND))
        answer = await self.ask(call)
        if answer.status in (_BAD_REQUEST, _NOT_FOUND):
            if not _no_such(wire.refusal(answer), _NO_SUCH_ITEM):
                raise _misbehaved(answer)
            if len(skus) == 1:
                return []
            half = len(skus) // 2
            return [*await self.items_by_sku(skus[:half]), *await self.items_by_sku(skus[half:])]
        found = []
        for raw in read_answer(wire.ItemAnswers, answer).responses:
            one = read_part(wire.ItemAnswer, raw, answer)
            if one.inventory_item is not None and 200 <= one.status_code < 300:
                sku = one.sku or one.inventory_item.sku
                found.append((one.inventory_item.model_copy(update={"sku": sku}), answer))
        return found

    async def offers(self, sku: str) -> OfferRows:
        """The offers of a SKU; there is no call for those of several."""
        params: dict[str, str | int | SecretStr] = {"sku": sku, "limit": 100}
        accept = (_BAD_REQUEST, _NOT_FOUND)
        answer = await self.ask(Call("GET", f"{_SELLING}/offer", "read", bucket=ITEMS, params=params, accept=accept))
        if answer.status in accept:
            if not _no_such(wire.refusal(answer), _NO_SUCH_OFFER):
                raise _misbehaved(answer)
            return OfferRows((), answer)
        return OfferRows(read_answer(wire.Offers, answer).offers, answer)

    async def offers_of(self, skus: Sequence[str]) -> list[OfferRows]:
        """The offers of several SKUs, in their order."""
        return await together(lambda sku=sku: self.offers(sku) for sku in skus)  # type: ignore[misc]

    async def write(self, rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[wire.Error, ...], wire.Writes | None]:
        """Writes numbers, at most 25 rows: (what is wrong with the whole call, else nothing; the answer by row).

        Raises OutcomeUnknown where eBay failed in a way that does not tell.
        """
        path, body = f"{_SELLING}/bulk_update_price_quantity", {"requests": list(rows)}
        accept = (_BAD_REQUEST, _NOT_FOUND, _CONFLICT, _SERVER_ERROR)
        answer = await self.ask(Call("POST", path, "write", bucket=ITEMS, json=body, accept=accept, attempts=1))
        if answer.status not in accept:
            return (), read_answer(wire.Writes, answer)
        errors = wire.refusal(answer)
        if answer.status == _SERVER_ERROR and CONCURRENT not in wire.ids_of(errors):
            raise OutcomeUnknown(f"{answer.call}: HTTP 500: {reason_of(errors)}")
        return errors or (wire.Error(message=f"HTTP {answer.status}"),), None

    # Limits

    async def read_limits(self) -> wire_account.RateLimits:
        """What eBay has left for us today; the limiter is told. Nothing is told in the sandbox."""
        self._limits_read = self._clock.monotonic()
        answer = await self.ask(Call("GET", _LIMITS, "read", bucket=OTHER, cost=0, accept=(204,)), application=True)
        if answer.status == 204:
            return wire_account.RateLimits()
        found = read_answer(wire_account.RateLimits, answer)
        for bucket, rate in limits_in(found):
            if rate.remaining is None:
                continue
            if rate.remaining <= 0 and rate.reset is not None and rate.reset > self._clock.now():
                self._limiter.penalise(rate.reset, bucket=bucket)
            elif rate.remaining < self._limiter.available(bucket=bucket):
                self._limiter.observe(rate.remaining, bucket=bucket)
        return found

    async def left_today(self) -> list[tuple[str, int, int]]:
        """(bucket, calls left, calls a day) where eBay tells; of several limits of a bucket the one with least left."""
        least: dict[str, tuple[str, int, int]] = {}
        for bucket, rate in limits_in(await self.read_limits()):
            if rate.remaining is not None and rate.limit is not None:
                told = (bucket, rate.remaining, rate.limit)
                least[bucket] = min(least.get(bucket, told), told, key=lambda one: one[1])
        return [least[bucket] for bucket in sorted(least)]

    async def _learn_limits(self) -> None:
        """After eBay throttled a call: asks what is left, so that we wait as long as we must; at most once an hour."""
        throttled, self._hosts.throttled = self._hosts.throttled, False
        if not throttled or self._clock.monotonic() - self._limits_read < _LIMITS_EVERY:
            return
        with suppress(ChannelError):
            await self.read_limits()

    # Asking

    async def ask(self, call: Call, *, application: bool = False, bucket: str | None = None) -> Answer:
        """eBay's answer, with a fresh token where it does not take the one we have. bucket: the call's, where not
        told by itself."""
        call = replace(call, bucket=call.bucket or bucket)
        tokens = self._access.application if application else self._access.seller
        answer, _ = await with_token(
            tokens, lambda token: self._opened(call, token), lambda answer: answer.status == _UNAUTHORISED
        )
        if answer.status != _UNAUTHORISED:
            return answer
        errors = wire.refusal(answer)
        raise NeedsSeller(f"Connect the eBay account anew: eBay does not take our access ({reason_of(errors)}).")

    async def _opened(self, call: Call, token: SecretStr) -> Answer:
        """The answer to a call that shows the token."""
        bearer = SecretStr(f"Bearer {token.get_secret_value()}")
        url = call.path if call.path.startswith("http") else f"{self._settings.api}{call.path}"
        accept = (*call.accept, _UNAUTHORISED)
        opened = replace(call, path=url, headers={**call.headers, "Authorization": bearer}, accept=accept)
        try:
            return await self._hosts.at(url, aside=call.bucket == OTHER).request(opened)
        except ChannelError:
            await self._learn_limits()
            raise


def limits_in(found: wire_account.RateLimits) -> Iterable[tuple[str, wire_account.Rate]]:
    """The daily limits that concern us: (bucket, rate)."""
    for limit in found.rate_limits:
        name, context = limit.api_name.lower(), limit.api_context.lower()
        bucket = TRADING if "trading" in name or "trading" in context else _BUCKETS.get((context, name))
        if bucket is not None:
            for resource in limit.resources:
                for rate in resource.rates:
                    yield bucket, rate


def reason_of(errors: Sequence[wire.Error]) -> str:
    """What eBay says of a refusal, with its numbers."""
    said = [
        f"{one.error_id}: {one.long_message or one.message}" if one.error_id else one.long_message or one.message
        for one in errors[:3]
    ]
    return "; ".join(text for text in said if text)[:300] or "eBay gives no reason"


def plausible(sku: str) -> bool:
    """Whether it may be a SKU: up to 50 characters, none of them odd (Inventory API, sku)."""
    return 0 < len(sku) <= _SKU_CHARACTERS_MAX and sku == sku.strip() and sku.isprintable()


async def together(calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """Makes these calls, a few at a time; the results in their order. The first failure ends the others."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def through(call: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await call()

    tasks = [asyncio.ensure_future(through(call)) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def pages(client: EbayClient, limit: int) -> AsyncIterator[tuple[tuple[Any, ...], Answer]]:
    """All items, page by page, as they came; some twice.

    Pages are counted by rows, so some are read again where items were deleted meanwhile.
    """
    page = PageNumbers(first=0)
    while True:
        found, answer = await client.items(page.now, limit)
        if found.inventory_items:
            yield found.inventory_items, answer
        page.go_on(found.total)
        if page.now * limit >= found.total:
            return


def _orders(params: Mapping[str, str | int | SecretStr]) -> dict[str, Any]:
    return {"bucket": FULFILLMENT, "params": params}


def _no_such(errors: Sequence[wire.Error], numbers: Collection[int]) -> bool:
    """Whether a refusal says that there is no such thing. 25709 says of any field that it is wrong, headers too: only
    of a SKU does it mean that. Else an item would count as one without offers, and its listing keep its number."""
    return any(
        one.error_id in numbers or (one.error_id == _BAD_VALUE and "sku" in f"{one.message} {one.long_message}".lower())
        for one in errors
    )


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _misbehaved(answer: Answer) -> ChannelMisbehaved:
    errors = wire.refusal(answer)
    if not errors:
        return AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with an answer that is not eBay's")
    return ChannelMisbehaved(f"{answer.call}: HTTP {answer.status}: {reason_of(errors)}")
