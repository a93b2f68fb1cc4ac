"""Requests to the GraphQL endpoint: access, paging, points. Gives what the wire says; no meaning is read into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from channelsync.sdk.access_tokens import with_token
from channelsync.sdk.errors import (
    AnswerUnreadable,
    ChannelError,
    ChannelMisbehaved,
    NeedsSeller,
    OutcomeUnknown,
    TryLater,
)
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.paging import leads_back, leads_on
from channelsync.sdk.wire import read_part
from channelsync_shopify import documents, wire, wire_account, wire_listings, wire_orders
from channelsync_shopify.access import Access
from channelsync_shopify.documents import Document
from channelsync_shopify.settings import ShopifySettings

ENDPOINT = f"/admin/api/{documents.VERSION}/graphql.json"

COST_MAX = 1000
"""Points that one request may cost at most (GraphQL Admin API rate limits)."""

_UNAUTHORISED = 401
_SELLERS = {
    402: "Pay the shop's bill at Shopify: the shop is frozen.",
    404: "Set the shop's own address as `shop`, or connect it anew: Shopify knows no such shop.",
    423: "Ask Shopify why the shop is locked.",
}
_LATER = ("INTERNAL_SERVER_ERROR", "TIMEOUT", "SERVICE_UNAVAILABLE")
_NOTHING_DONE = ("BAD_REQUEST", "INVALID_FIELD_ARGUMENTS", "INVALID_VARIABLE")
_THROTTLED_REPEATS = 2
_NODES_MORE_MAX = 1000
"""Pages of one order's or listing's lists: more of them is a page that leads back to itself."""


class _Throttled(Exception):
    """The bucket is too empty. cost: what the request needs. wait: seconds until it is there; None: not told."""

    def __init__(self, cost: float, wait: float | None) -> None:
        super().__init__()
        self.cost = cost
        self.wait = wait


class _TooExpensive(ChannelMisbehaved):
    """The question costs more than one request may: a page of fewer rows costs less."""


class ShopifyClient:
    """The Admin API of one shop, question by question."""

    def __init__(self, http: HttpTransport, access: Access, limiter: Limiter, settings: ShopifySettings) -> None:
        self._http = http
        self._access = access
        self._limiter = limiter
        self._first = {
            documents.ORDERS.name: settings.orders_per_page,
            documents.ORDERS_BY_ID.name: settings.orders_per_page,
            documents.LISTINGS.name: settings.listings_per_page,
            documents.LISTINGS_BY_ID.name: settings.listings_per_page,
        }

    async def checked(self) -> wire_account.Checked:
        """Whose shop it is, and what we may do in it."""
        data, answer = await self.ask(documents.CHECK, {})
        return read_part(wire_account.Checked, data, answer, documents.CHECK.name)

    async def orders(self, *, query: str | None, after: str | None) -> tuple[wire.Rows, Answer]:
        """One page of whole orders by the time of their last change."""
        return await self._page(documents.ORDERS, "orders", {"query": query}, after)

    async def orders_by_id(self, ids: Sequence[str]) -> list[Any]:
        """These orders as they are now, whole; unknown ones are missing."""
        return await self._nodes(documents.ORDERS_BY_ID, ids)

    async def fulfillment_orders(
        self, *, query: str, after: str | None
    ) -> tuple[list[wire_orders.ChangedFulfillmentOrder], str | None]:
        """One page of fulfilment orders by the time of their last change, closed ones too; and where the next begins.

        Needs the permission that `Order.fulfillmentOrders` needs, and no other.
        """
        document = documents.FULFILLMENT_ORDERS
        variables = {"first": documents.ROWS_MAX, "query": query, "after": after}
        data, answer = await self.ask(document, variables, rows=documents.ROWS_MAX)
        rows = read_part(wire.Rows, data.get("fulfillmentOrders"), answer, document.name)
        found = [read_part(wire_orders.ChangedFulfillmentOrder, row, answer, document.name) for row in rows.nodes]
        return found, next_of(rows, after, answer)

    async def order_ids(self, query: str) -> AsyncIterator[wire_orders.OrderId]:
        """The ids of the orders that a search finds, by the time when they were placed."""
        after: str | None = None
        while True:
            variables = {"first": documents.ROWS_MAX, "query": query, "after": after}
            data, answer = await self.ask(documents.ORDER_IDS, variables, rows=documents.ROWS_MAX)
            rows = read_part(wire.Rows, data.get("orders"), answer, documents.ORDER_IDS.name)
            for row in rows.nodes:
                yield read_part(wire_orders.OrderId, row, answer, documents.ORDER_IDS.name)
            after = next_of(rows, after, answer)
            if after is None:
                return

    async def listings(self) -> AsyncIterator[Any]:
        """Every variant, whole."""
        after: str | None = None
        while True:
            rows, answer = await self._page(documents.LISTINGS, "productVariants", {}, after)
            for row in rows.nodes:
                yield row
            after = next_of(rows, after, answer)
            if after is None:
                return

    async def listings_by_id(self, ids: Sequence[str]) -> list[Any]:
        """These variants, whole; unknown ones are missing."""
        return await self._nodes(documents.LISTINGS_BY_ID, ids)

    async def listings_count(self) -> int:
        """How many variants there are; 0 where Shopify does not say."""
        data, answer = await self.ask(documents.LISTINGS_COUNT, {})
        told = data.get("productVariantsCount")
        return 0 if told is None else read_part(wire_listings.Count, told, answer, documents.LISTINGS_COUNT.name).count

    async def numbers(self, location: str, items: Sequence[str]) -> tuple[list[wire_listings.NumberRow], Answer]:
        """The numbers of these items at one location; unknown items are missing."""
        variables = {"ids": list(items), "location": location}
        data, answer = await self.ask(documents.NUMBERS, variables)
        return [
            read_part(wire_listings.NumberRow, row, answer, documents.NUMBERS.name) for row in _found(data, answer)
        ], answer

    async def set_quantities(self, given: Mapping[str, Any], key: str) -> wire.SetQuantities:
        """Writes numbers, once: after a wait they must be computed anew. The same key changes nothing twice."""
        document = documents.SET_QUANTITIES
        data, answer = await self.ask(document, {"input": given, "key": key}, write=True)
        return read_part(wire.SetQuantities, data.get("inventorySetQuantities"), answer, document.name)

    async def ask(
        self, document: Document, variables: Mapping[str, Any], *, rows: int = 0, write: bool = False
    ) -> tuple[dict[str, Any], Answer]:
        """The data that Shopify answers. rows: on a page. A throttled read is asked again at the price it was told."""
        repeats = 0 if write else _THROTTLED_REPEATS
        cost: float = document.cost(rows)
        while True:
            answer = await self._send(document, variables, min(cost, COST_MAX), write=write)
            envelope = read_part(wire.Envelope, answer.json(), answer, document.name)
            self._observe(envelope, answer)
            try:
                return _data(envelope, answer, document, write=write), answer
            except _Throttled as throttled:
                told = _told_to_wait(answer)
                if repeats == 0 or told is not None:
                    name = f"{answer.call} ({document.name})"
                    wait = max(throttled.wait or 0.0, told or 0.0) or None
                    raise TryLater(f"{name}: throttled", retry_after=wait) from None
                repeats -= 1
                cost = max(cost, throttled.cost)

    async def complete(self, row: Any) -> Any:
        """The row with every list in it read to its end; it is changed in place."""
        if isinstance(row, list):
            for one in row:
                await self.complete(one)
        elif isinstance(row, dict):
            for field, value in row.items():
                await self._read_on(row, field, value)
                await self.complete(value)
        return row

    async def _read_on(self, parent: dict[str, Any], field: str, rows: Any) -> None:
        """Adds the rest of one list."""
        document = documents.MORE.get((parent.get("__typename", ""), field))
        if document is None or not isinstance(rows, dict) or not _goes_on(rows):
            return
        nodes: list[Any] = rows["nodes"]
        after: str | None = rows["pageInfo"]["endCursor"]
        for _ in range(_NODES_MORE_MAX):
            if after is None:
                rows["pageInfo"] = {"hasNextPage": False, "endCursor": None}
                return
            data, answer = await self.ask(document, {"id": parent.get("id"), "after": after})
            node = data.get("node")
            more = read_part(wire.Rows, node.get(field) if isinstance(node, dict) else None, answer, document.name)
            nodes += more.nodes
            after = next_of(more, after, answer)
        raise ChannelMisbehaved(f"{document.name}: the list has no end")

    async def _page(
        self, document: Document, root: str, variables: Mapping[str, Any], after: str | None
    ) -> tuple[wire.Rows, Answer]:
        """A page of rows, each whole. A page that is too expensive is asked for again at half its size."""
        while True:
            first = self._first[document.name]
            asked = {**variables, "first": first, "after": after}
            try:
                data, answer = await self.ask(document, asked, rows=first)
            except _TooExpensive:
                self._halve(document)
                continue
            rows = read_part(wire.Rows, data.get(root), answer, document.name)
            await self.complete(rows.nodes)
            return rows, answer

    async def _nodes(self, document: Document, ids: Sequence[str]) -> list[Any]:
        """What has these ids, whole."""
        rows: list[Any] = []
        left = list(ids)
        while left:
            some = left[: self._first[document.name]]
            try:
                data, answer = await self.ask(document, {"ids": some})
            except _TooExpensive:
                self._halve(document)
                continue
            rows += await self.complete(_found(data, answer))
            left = left[len(some) :]
        return rows

    def _halve(self, document: Document) -> None:
        first = self._first[document.name]
        if first == 1:
            raise ChannelMisbehaved(f"{document.name}: one row is too expensive for Shopify") from None
        self._first[document.name] = first // 2

    async def _send(self, document: Document, variables: Mapping[str, Any], cost: float, *, write: bool) -> Answer:
        """The answer to a request with a valid access token. A token that ended early is replaced once."""
        body = {"query": document.text, "variables": dict(variables)}
        call = Call(
            "POST",
            ENDPOINT,
            "write" if write else "read",
            # Numbers are written with an idempotency key; a change of a webhook that is made twice is made once.
            idempotent=write,
            attempts=1 if write else None,
            cost=cost,
            json=body,
            accept=(_UNAUTHORISED, *_SELLERS),
        )
        answer, _ = await with_token(
            self._access,
            lambda token: self._http.request(_with(call, token)),
            lambda answer: answer.status == _UNAUTHORISED,
        )
        if answer.status == _UNAUTHORISED:
            raise NeedsSeller(f"Connect the shop anew: {answer.call} is refused with a new access token too.")
        if answer.status in _SELLERS:
            raise _stopped(answer, write=write)
        return answer

    def _observe(self, envelope: wire.Envelope, answer: Answer) -> None:
        """Tells the limiter what Shopify says is left."""
        status = envelope.extensions.cost.throttle_status
        if status is not None:
            self._limiter.observe(status.currently_available, status.restore_rate, since=answer.grant)


def _stopped(answer: Answer, *, write: bool) -> ChannelError:
    """What an answer means by whose status Shopify says that the shop is closed to us.

    Only Shopify stops the channel, in JSON with `errors`. A proxy or a page that says "not found" is no reason to wait
    for the seller; whether it had passed a write on is not known.
    """
    try:
        told = answer.json()
    except AnswerUnreadable:
        told = None
    if isinstance(told, dict) and told.get("errors"):
        return NeedsSeller(_SELLERS[answer.status])
    said = (
        f"{answer.call}: HTTP {answer.status} with an answer that is not Shopify's (a proxy, or a maintenance page?);"
        " see whether `shop` is right where it stays so"
    )
    return OutcomeUnknown(said) if write else TryLater(said)


def _data(envelope: wire.Envelope, answer: Answer, document: Document, *, write: bool) -> dict[str, Any]:
    """The data, or the error that the answer's errors mean."""
    if not envelope.errors:
        if envelope.data is None:
            raise AnswerUnreadable(
                f"{answer.call} ({document.name}): HTTP {answer.status} with neither data nor errors"
            )
        return envelope.data
    codes = {error.extensions.code for error in envelope.errors}
    first = envelope.errors[0]
    what = f"{answer.call} ({document.name}): {first.extensions.code or 'an error'}: {first.message[:200]}"
    if "THROTTLED" in codes:
        raise _throttled(envelope.extensions.cost)
    if "MAX_COST_EXCEEDED" in codes:
        raise _TooExpensive(what)
    if "ACCESS_DENIED" in codes:
        denied = next(error for error in envelope.errors if error.extensions.code == "ACCESS_DENIED")
        needed = denied.extensions.required_access or denied.message
        raise NeedsSeller(f"Give the app the permission that it lacks for {document.name}: {needed[:300]}")
    if "SHOP_INACTIVE" in codes:
        raise NeedsSeller("Open the shop again, or remove the channel: Shopify says that the shop is inactive.")
    if codes & {*_LATER}:
        raise OutcomeUnknown(what) if write else TryLater(what)
    if write and envelope.data is not None and not codes <= {*_NOTHING_DONE}:
        raise AnswerUnreadable(what)
    raise ChannelMisbehaved(what)


def _throttled(cost: wire.Cost) -> _Throttled:
    needed, status = cost.requested_query_cost, cost.throttle_status
    if status is None or status.restore_rate <= 0:
        return _Throttled(needed, None)
    return _Throttled(needed, max(0.0, needed - status.currently_available) / status.restore_rate)


def _told_to_wait(answer: Answer) -> float | None:
    """Seconds in a Retry-After header, which Shopify has beside a 429 and perhaps beside a throttled answer."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else None


def _found(data: Mapping[str, Any], answer: Answer) -> list[Any]:
    """What `nodes` found; None stands for what is not there, and nothing at all for what is of another kind."""
    nodes = data.get("nodes")
    if not isinstance(nodes, list):
        raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} without nodes")
    return [row for row in nodes if row]


def next_of(rows: wire.Rows, before: str | None, answer: Answer) -> str | None:
    """Where the next page begins; None after the last."""
    if not rows.page_info.has_next_page:
        return None
    if rows.page_info.end_cursor is None:
        raise leads_back(answer.call)
    return leads_on(rows.page_info.end_cursor, before, answer.call)


def _goes_on(rows: Mapping[str, Any]) -> bool:
    info = rows.get("pageInfo")
    return isinstance(info, dict) and info.get("hasNextPage") is True and isinstance(rows.get("nodes"), list)


def _with(call: Call, token: SecretStr) -> Call:
    return replace(call, headers={**call.headers, "X-Shopify-Access-Token": token})
