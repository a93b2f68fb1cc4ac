"""The Orders API 2026-01-01: a search that is two minutes behind by rule and later still by nature, and one order.

What is a guess: a page token is only good with the filters that it was made for; an id that is none is a 400.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from channelsync.lab.faults import FaultKind
from channelsync.lab.marketplace_values import Order
from vendor_amazon.ask import Answer, Ask, Call, from_token, token_of, told, whole
from vendor_amazon.errors import ApiError, bad_input, denied
from vendor_amazon.habits import AmazonHabits
from vendor_amazon.order_book import OrderBook
from vendor_amazon.orders_json import OrderWriter
from vendor_amazon.places import SellerAccount

BLIND = timedelta(minutes=2)
"""Orders that changed later than this before the request are not searched for."""

_ID = re.compile(r"[0-9A-Z]{3}-[0-9]{7}-[0-9]{7}")
_OF_BUYERS = frozenset({"BUYER", "RECIPIENT"})
_FILTERS = (
    "createdAfter",
    "createdBefore",
    "lastUpdatedAfter",
    "lastUpdatedBefore",
    "fulfillmentStatuses",
    "marketplaceIds",
    "fulfilledBy",
)
_ALL = 1_000_000_000


class Orders:
    """The calls that read orders."""

    def __init__(self, book: OrderBook, writer: OrderWriter, account: SellerAccount, habits: AmazonHabits) -> None:
        self._book = book
        self._writer = writer
        self._account = account
        self._habits = habits

    def calls(self) -> dict[str, Call]:
        """Its operations by id."""
        return {"searchOrders": self.search, "getOrder": self.get}

    def get(self, ask: Ask) -> Answer:
        """One order as it is now."""
        self._check_role(ask)
        name = ask.text("orderId")
        if not _ID.fullmatch(name):
            raise bad_input(f"Invalid orderId: {name}")
        order = self._book.marketplace.orders.get(name)
        if order is None:
            raise ApiError(404, "NotFound", f"The requested order {name} is not found.")
        return Answer({"order": self._writer.write(order, ask.texts("includedData"))})

    def search(self, ask: Ask) -> Answer:
        """A page of orders, oldest change (or oldest order) first."""
        self._check_role(ask)
        by_change = self._which(ask)
        after, before = self._span(ask, "lastUpdated" if by_change else "created")
        start: tuple[datetime, str] | None = None
        if text := ask.text("paginationToken"):
            token = from_token(text, "paginationToken", timedelta(seconds=self._habits.tokens_live), ask.now)
            if token["filters"] != self._filters(ask):
                raise bad_input("The paginationToken is of another search.")
            before = datetime.fromisoformat(token["before"])
            start = (datetime.fromisoformat(token["rank"][0]), token["rank"][1])
        size = self._size(ask)
        rows = [
            (rank, order)
            for order in self._known(after if by_change else None)
            if after <= whole((rank := _rank(order, by_change=by_change))[0]) <= before
            and (start is None or rank > start)
            and self._matches(order, ask)
        ]
        rows.sort(key=lambda row: row[0])
        page = [order for _, order in rows[:size]]
        if ask.fault is not None and ask.fault.kind is FaultKind.ROWS_TWICE:
            page = [*page, *page[:1]]
        content: dict[str, Any] = {
            "orders": [self._writer.write(order, ask.texts("includedData")) for order in page],
            ("lastUpdatedBefore" if by_change else "createdBefore"): told(before),
        }
        if rows[size:]:
            rank = rows[size - 1][0]
            content["pagination"] = {"nextToken": self._token(ask, before, rank)}
            if ask.fault is not None and ask.fault.kind is FaultKind.SAME_CURSOR and text:
                content["pagination"] = {"nextToken": text}
        return Answer(content)

    def _known(self, since: datetime | None) -> Sequence[Order]:
        """The orders that the search knows, as it knows them."""
        marketplace = self._book.marketplace
        marketplace.search.learn(marketplace.now())
        return marketplace.search.page(since=since, cursor=None, limit=_ALL, site=None)[0]

    def _check_role(self, ask: Ask) -> None:
        if _OF_BUYERS & set(ask.texts("includedData")) and not self._account.sees_buyers:
            raise denied()

    def _which(self, ask: Ask) -> bool:
        """Whether it is a search by change. Raises ApiError for both kinds at once, or neither."""
        changed = bool(ask.given.get("lastUpdatedAfter")), bool(ask.given.get("lastUpdatedBefore"))
        created = bool(ask.given.get("createdAfter")), bool(ask.given.get("createdBefore"))
        if changed[0] == created[0] or (changed[0] and created[1]) or (created[0] and changed[1]):
            raise bad_input()
        return changed[0]

    def _span(self, ask: Ask, what: str) -> tuple[datetime, datetime]:
        after, latest = ask.moment(f"{what}After"), whole(ask.time - BLIND)
        assert after is not None, "checked before"
        before = ask.moment(f"{what}Before") or latest
        if before > ask.time - BLIND or after > before:
            raise bad_input()
        return after, before

    def _size(self, ask: Ask) -> int:
        size = int(ask.given.get("maxResultsPerPage", 100))
        if not 1 <= size <= 100:
            raise bad_input()
        return min(size, self._habits.page_max or size)

    def _matches(self, order: Order, ask: Ask) -> bool:
        statuses, ids, by = ask.texts("fulfillmentStatuses"), ask.texts("marketplaceIds"), ask.texts("fulfilledBy")
        return (
            (not statuses or self._book.status(order) in statuses)
            and (not ids or self._book.place_of(order) in ids)
            and (not by or ("AMAZON" if self._book.by_amazon(order) else "MERCHANT") in by)
        )

    def _filters(self, ask: Ask) -> dict[str, Any]:
        return {name: ask.given[name] for name in _FILTERS if ask.given.get(name)}

    def _token(self, ask: Ask, before: datetime, rank: tuple[datetime, str]) -> str:
        told_rank = [rank[0].isoformat(), rank[1]]
        at, filters = ask.now.isoformat(), self._filters(ask)
        return token_of(
            "paginationToken", {"at": at, "before": before.isoformat(), "rank": told_rank, "filters": filters}
        )


def _rank(order: Order, *, by_change: bool) -> tuple[datetime, str]:
    return (order.updated_at if by_change else order.placed_at), order.id
