"""Requests to the shop: access, paging, batches. Gives what the wire says; no meaning is read into it here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, OutcomeUnknown
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync.sdk.paging import PageNumbers, in_batches, leads_back
from channelsync.sdk.wire import read_answer, read_part
from channelsync_woocommerce import wire
from channelsync_woocommerce.access import Access
from channelsync_woocommerce.settings import BATCH_MAX

Params = dict[str, str | int | SecretStr]

_API = "/wp-json/wc/v3"
_SECOND = timedelta(seconds=1)

ORDER_FIELDS = "id,status,date_created_gmt,date_modified_gmt,date_paid_gmt,date_completed_gmt,line_items,refunds"
"""Asked for by name, so that nothing about the buyer even leaves the shop."""

REFUND_FIELDS = "id,date_created_gmt,line_items"
ROW_FIELDS = (
    "id,name,type,status,sku,global_unique_id,purchasable,manage_stock,stock_quantity,stock_status,backorders,"
    "parent_id,variations,attributes"
)

_NO_ROUTE = ("", "rest_no_route")
_DELIBERATE = "woocommerce_rest_"
"""How the codes of errors begin that the shop raises before it does anything; some of them come as a 500."""

_BAD_REQUEST, _UNAUTHORISED, _FORBIDDEN, _NOT_FOUND, _TOO_LARGE, _SERVER_ERROR = 400, 401, 403, 404, 413, 500


@dataclass(frozen=True, slots=True)
class Found:
    """A row as it came. parent: the product that it is a variation of; 0: it is a product itself."""

    parent: int
    row: Any
    answer: Answer


@dataclass(frozen=True, slots=True)
class OrderRows:
    """Orders as they came. left: whether the search has more of them."""

    rows: list[Any]
    left: bool
    answer: Answer


class WooClient:
    """The shop's API, call by call. channel: its name, for messages."""

    def __init__(self, http: HttpTransport, access: Access, channel: str) -> None:
        self._http = http
        self._access = access
        self._channel = channel
        self._flat: bool | None = None
        """Whether the shop lists variations over all products (WooCommerce 10.3 and later); None: not asked yet."""

    async def probe(self) -> Answer:
        """Asks for what every permission that we need allows, and changes nothing. Raises NeedsSeller.

        The answer names the shop in its Link header. The lists do not where they have a next page: the address of
        that page takes the place of the shop's own.
        """
        one: Params = {"per_page": 1, "_fields": "id"}
        for path in ("orders", "products"):
            wire.rows(await self._ask(Call("GET", f"{_API}/{path}", "read", params=one)))
        # An empty batch: refused to a key that may only read, and nothing to do for one that may write.
        answer = await self._ask(Call("POST", f"{_API}/products/batch", "read", json={"update": []}))
        answer.json()
        return answer

    # Orders

    async def orders(
        self, *, since: datetime | None, status: str, besides: Collection[int], per_page: int
    ) -> OrderRows:
        """The oldest changes from this second on, without those orders. `any` as a status leaves out the trash."""
        params: Params = {"status": status, "orderby": "modified", "order": "asc", "per_page": per_page}
        params |= {"dates_are_gmt": "true", "_fields": ORDER_FIELDS}
        if since is not None:
            params["modified_after"] = _time_text(since - _SECOND)
        by_offset = len(besides) > 5 * BATCH_MAX  # more ids than fit into an address
        if by_offset:
            params["offset"] = len(besides)
        elif besides:
            params["exclude"] = _list_text(besides)
        answer = await self._ask(Call("GET", f"{_API}/orders", "read", params=params))
        rows = wire.rows(answer)
        total = _count(answer, "x-wp-total")
        passed = len(rows) + (len(besides) if by_offset else 0)
        left = len(rows) >= per_page if total is None else total > passed
        return OrderRows(rows, left and bool(rows), answer)

    async def orders_by_id(self, ids: Sequence[int]) -> list[Any]:
        """These orders as they came; unknown ones are missing. Lists leave out the trash: what is in it is asked for
        one by one."""
        rows: list[Any] = []
        for some in in_batches(ids, BATCH_MAX):
            params: Params = {"include": _list_text(some), "_fields": ORDER_FIELDS}
            found = [row async for new, _ in self._pages(f"{_API}/orders", params, len(some)) for row in new]
            listed = {id_of(row) for row in found}
            rows += found
            for missing in (one for one in some if one not in listed):
                path, fields = f"{_API}/orders/{missing}", {"_fields": ORDER_FIELDS}
                answer = await self._ask(Call("GET", path, "read", params=fields, accept=(_NOT_FOUND,)))
                if answer.status != _NOT_FOUND:
                    rows.append(answer.json())
        return rows

    async def refunds(self, order: int) -> list[Any]:
        """The refunds of an order, as they came."""
        path, params = f"{_API}/orders/{order}/refunds", {"_fields": REFUND_FIELDS}
        return [row async for new, _ in self._pages(path, params, BATCH_MAX) for row in new]

    async def order_ids(self, day: date, per_page: int) -> AsyncIterator[Any]:
        """Id, status and time of the orders placed on a UTC day, as they came."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        params = {
            "after": _time_text(midnight - _SECOND),
            "before": _time_text(midnight + timedelta(days=1)),
            "dates_are_gmt": "true",
            "status": "any",
            "_fields": "id,status,date_created_gmt",
        }
        async for rows, _ in self._pages(f"{_API}/orders", params, per_page):
            for row in rows:
                yield row

    # Products and variations

    async def products(self, per_page: int) -> AsyncIterator[Any]:
        """All products, as they came, without the trash."""
        async for rows, _ in self._pages(f"{_API}/products", {"status": "any", "_fields": ROW_FIELDS}, per_page):
            for row in rows:
                yield row

    async def products_by_id(self, ids: Sequence[int]) -> list[Found]:
        """These products, as they came; unknown ones are missing."""
        return await self._included(f"{_API}/products", 0, ids)

    async def variations_by_id(self, wanted: Mapping[int, Sequence[int]]) -> list[Found]:
        """These variations of these parents, as they came; unknown ones are missing."""
        if len(wanted) > 1 and self._flat is not False:
            parents = {one: parent for parent, ids in wanted.items() for one in ids}
            found = await self._over_all_products(parents)
            if found is not None:
                return found
        rows: list[Found] = []
        for parent, ids in wanted.items():
            rows += await self._included(f"{_API}/products/{parent}/variations", parent, ids)
        return rows

    async def update(self, parent: int, body: Mapping[str, Any]) -> list[Any] | wire.Error:
        """Sends a batch, once: after a wait the numbers must be computed anew, so nothing is repeated here.

        parent: the product whose variations these are; 0: they are products. Gives the rows as they came, or why
        nothing at all was done. Raises OutcomeUnknown where some of it may have been done.
        """
        path = f"{_API}/products/{parent}/variations/batch" if parent else f"{_API}/products/batch"
        answer = await self._ask(
            Call(
                "POST",
                path,
                "write",
                json=body,
                accept=(_BAD_REQUEST, _NOT_FOUND, _TOO_LARGE, _SERVER_ERROR),
                attempts=1,
            )
        )
        if answer.status < _BAD_REQUEST:
            return read_answer(wire.Batch, answer).update
        if answer.status == _TOO_LARGE:
            raise NeedsSeller(f"Lower updates_per_push of {self._channel}: the shop takes no batch of this size (413).")
        error = wire.refusal(answer)
        if answer.status == _SERVER_ERROR and not error.code.startswith(_DELIBERATE):
            raise OutcomeUnknown(f"{answer.call}: HTTP {answer.status}; some of the batch may have been written")
        return error

    # Webhooks

    async def webhooks(self) -> list[wire.Webhook]:
        """All webhooks of the shop, ours and those of others."""
        params = {"status": "all", "_fields": "id,status,topic,delivery_url"}
        return [
            read_part(wire.Webhook, row, answer)
            async for rows, answer in self._pages(f"{_API}/webhooks", params, BATCH_MAX)
            for row in rows
        ]

    async def add_webhook(self, topic: str, url: str, secret: SecretStr) -> None:
        """A new webhook. The shop then sends an unsigned form to that address, and minds no answer."""
        body = {
            "name": f"channelsync {topic}",
            "topic": topic,
            "delivery_url": url,
            "secret": secret.get_secret_value(),
            "status": "active",
        }
        await self._ask(Call("POST", f"{_API}/webhooks", "write", json=body, attempts=1))

    async def switch_on(self, webhook: int, secret: SecretStr) -> None:
        """Makes a webhook active again, its count of failures 0, signing with this secret."""
        body = {"status": "active", "secret": secret.get_secret_value()}
        await self._ask(Call("PUT", f"{_API}/webhooks/{webhook}", "write", idempotent=True, json=body))

    async def drop_webhook(self, webhook: int) -> None:
        """Deletes a webhook for good; one that is gone already is gone."""
        call = Call(
            "DELETE",
            f"{_API}/webhooks/{webhook}",
            "write",
            idempotent=True,
            params={"force": "true"},
            accept=(_NOT_FOUND,),
        )
        await self._ask(call)

    async def option(self, name: str) -> str | None:
        """One of the shop's options under Products; None where it does not tell."""
        params: Params = {"_fields": "value"}
        call = Call("GET", f"{_API}/settings/products/{name}", "read", params=params, accept=(_NOT_FOUND,))
        answer = await self._ask(call, optional=True)
        return None if answer.status == _NOT_FOUND else read_answer(wire.Preference, answer).value

    # How

    async def _included(self, path: str, parent: int, ids: Sequence[int]) -> list[Found]:
        found: list[Found] = []
        for some in in_batches(ids, BATCH_MAX):
            # Not found: the parent is no more.
            async for rows, answer in self._pages(path, _these(some), len(some), accept=(_NOT_FOUND,)):
                found += [Found(parent, row, answer) for row in rows]
        return found

    async def _over_all_products(self, parents: Mapping[int, int]) -> list[Found] | None:
        """Variations by id whatever their parents, many a call; None where the shop is too old for it."""
        found: list[Found] = []
        for some in in_batches(list(parents), BATCH_MAX):
            path, params = f"{_API}/variations", _these(some)
            async for rows, answer in self._pages(path, params, len(some), accept=(_NOT_FOUND,), optional=True):
                self._flat = answer.status != _NOT_FOUND
                if not self._flat:
                    return None
                found += [Found(parents[id_of(row)], row, answer) for row in rows if id_of(row) in parents]
        return found

    async def _pages(
        self,
        path: str,
        params: Mapping[str, str | int | SecretStr],
        per_page: int,
        *,
        accept: tuple[int, ...] = (),
        optional: bool = False,
    ) -> AsyncIterator[tuple[list[Any], Answer]]:
        """A list by id, page by page, each row once. Where rows were removed meanwhile, what moved up is read again.

        A page may be shorter than was asked for: some shops limit it, so their count of pages tells the end. per_page:
        where rows are named by id, their number. accept: an answer of such a status is given without rows, and is the
        last. optional: see `_ask`.
        """
        page, furthest = PageNumbers(first=1), 0
        seen: set[int] = set()
        while True:
            paging: Params = {"page": page.now, "per_page": per_page, "orderby": "id", "order": "asc"}
            call = Call("GET", path, "read", params={**params, **paging}, accept=accept)
            answer = await self._ask(call, optional=optional)
            if answer.status in accept:
                yield [], answer
                return
            rows = wire.rows(answer)
            new = [row for row in rows if id_of(row) not in seen]
            yield new, answer
            seen |= {id_of(row) for row in new} - {0}
            if "include" in params and len(seen) >= per_page:
                return  # all that was named
            this, again, furthest = page.now, page.now <= furthest, max(page.now, furthest)
            page.go_on(_count(answer, "x-wp-total"))
            if page.now > this:
                if rows and not new and not again:
                    raise leads_back(answer.call)
                pages = _count(answer, "x-wp-totalpages")
                if not (len(rows) >= per_page if pages is None else this < pages):
                    return

    async def _ask(self, call: Call, *, optional: bool = False) -> Answer:
        """The answer to a call. optional: the shop may be too old for it, and then answers 404."""
        accept = (*call.accept, _UNAUTHORISED, _FORBIDDEN, _NOT_FOUND)
        answer = await self._http.request(self._access.opened(replace(call, accept=accept)))
        if answer.status in (_UNAUTHORISED, _FORBIDDEN):
            code = wire.refusal(answer).code or f"HTTP {answer.status}"
            raise NeedsSeller(
                f"Check the REST API key of {self._channel}: the shop does not permit {answer.call} ({code}). The key"
                f" needs Read/Write permission, and its user the right to manage WooCommerce. If both are right, the"
                f' host may drop the Authorization header: then set auth = "query" in [channel.settings].'
            )
        if answer.status == _NOT_FOUND and not optional:
            code = wire.refusal(answer).code
            if code in _NO_ROUTE:
                raise NeedsSeller(
                    f"Check base_url of {self._channel}, that WooCommerce is active there, and that permalinks are not"
                    f" plain (Settings > Permalinks): the shop has no {answer.call}."
                )
            if _NOT_FOUND not in call.accept:
                raise ChannelMisbehaved(f"{answer.call}: HTTP {answer.status} ({code})")
        return answer


def _these(ids: Sequence[int]) -> Params:
    return {"include": _list_text(ids), "status": "any", "_fields": ROW_FIELDS}


def _list_text(ids: Collection[int]) -> str:
    return ",".join(map(str, sorted(ids)))


def _time_text(at: datetime) -> str:
    """A time as WordPress takes it with dates_are_gmt: UTC, whole seconds, no zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _count(answer: Answer, header: str) -> int | None:
    """A number in a header; None for none, or for what is no number."""
    text = answer.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() else None


def id_of(row: Any) -> int:
    """The id of a row; 0 for one that has none."""
    found = row.get("id") if isinstance(row, dict) else None
    return found if isinstance(found, int) else 0
