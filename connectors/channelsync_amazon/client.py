"""Requests to the Selling Partner API: access, budgets, paging. Gives what the wire says; no meaning is read into it.

Every operation pays from a bucket of its own name (`settings.RATES`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic import SecretStr

from channelsync.sdk.access_tokens import with_token
from channelsync.sdk.errors import AnswerUnreadable, NeedsSeller
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.paging import leads_on
from channelsync.sdk.redaction import redact_text
from channelsync.sdk.wire import W, read_answer
from channelsync_amazon import wire
from channelsync_amazon import wire_documents as documents
from channelsync_amazon.access import Access
from channelsync_amazon.place import time_text
from channelsync_amazon.settings import ITEMS_PER_SEARCH, AmazonSettings

Params = dict[str, str | int | SecretStr]

ORDER_DATA = "FULFILLMENT,CANCELLATION,PACKAGES"
"""The data sets that we ask for: nothing about the buyer and where the order goes."""

ITEM_DATA = "summaries,issues,fulfillmentAvailability,relationships"

FEEDS, REPORTS = "/feeds/2021-06-30", "/reports/2021-06-30"

FEED_TYPE = "JSON_LISTINGS_FEED"
FEED_CONTENT = "application/json; charset=UTF-8"

PRODUCT_TYPE = "PRODUCT"
"""The product type that fits every listing, for patches of what is not of one type's own."""

ISSUE_LOCALE = "en_US"

_BAD_REQUEST, _UNAUTHORISED, _FORBIDDEN, _NOT_FOUND = 400, 401, 403, 404
_NOT_TAKEN = (400, 404, 413, 415)

_ROLES: Final = {
    "orders": "Inventory and Order Tracking",
    "listings": "Product Listing",
    "feeds": "Product Listing",
    "reports": "Product Listing",
    "sellers": "Selling Partner Insights",
    "fba": "Product Listing or Amazon Fulfillment",
}
"""The role that each part of the API wants (developer-docs.amazon.com/sp-api, role mappings). Of the FBA Inventory API
its guide names the first, the role mappings the second."""

_ROLES_OF_REPORTS: Final = {"GET_STRANDED_INVENTORY_UI_DATA": "Amazon Fulfillment"}
"""Reports that want another: those of listings want Product Listing, this one is about units at Amazon (the same)."""

_OF_THE_TOKEN = ("expired", "revoked", "malformed", "missing", "invalid")


class TokenRefused(Exception):
    """The token of a next page is not accepted (any more): it lives 24 hours."""


class AmazonClient:
    """The API of one account, operation by operation."""

    def __init__(self, http: HttpTransport, access: Access, settings: AmazonSettings) -> None:
        self._http = http
        self._access = access
        self._settings = settings
        self._marketplaces = ",".join(settings.marketplaces)
        self._seller = f"/listings/2021-08-01/items/{quote(settings.seller_id, safe='')}"

    # Orders

    async def search_orders(self, params: Mapping[str, str], page_token: str | None) -> tuple[wire.OrdersPage, Answer]:
        """One page of orders. Raises TokenRefused where the token of the page is not good any more.

        params must be the same with every page of a search.
        """
        asked: Params = {**params, "includedData": ORDER_DATA, "maxResultsPerPage": self._settings.orders_per_page}
        if not self._settings.fba_orders:
            asked["fulfilledBy"] = "MERCHANT"
        accept: tuple[int, ...] = ()
        if page_token is not None:
            asked["paginationToken"] = page_token
            accept = (_BAD_REQUEST,)
        # Twice at most: each attempt is one of twenty, and three minutes until it is there again.
        call = Call(
            "GET",
            "/orders/2026-01-01/orders",
            "read",
            bucket="searchOrders",
            params=asked,
            accept=accept,
            attempts=2,
        )
        answer = await self._ask(call)
        if answer.status == _BAD_REQUEST:
            raise TokenRefused
        return read_answer(wire.OrdersPage, answer), answer

    async def order(self, order: str) -> dict[str, Any] | None:
        """An order as it came; None: Amazon knows none of this id."""
        path = f"/orders/2026-01-01/orders/{quote(order, safe='')}"
        params: Params = {"includedData": ORDER_DATA}
        accept = (_BAD_REQUEST, _NOT_FOUND)
        answer = await self._ask(Call("GET", path, "read", bucket="getOrder", params=params, accept=accept))
        if answer.status in accept:
            _check_told(answer)
            return None
        return read_answer(wire.OrderFound, answer).order

    # Listings

    async def items(self, page_token: str | None = None, *, created_after: datetime | None = None) -> wire.ItemsPage:
        """A page of all listings, or of those that were created from then on, as they came, by SKU."""
        params = self._item_params() | {"sortBy": "sku", "sortOrder": "ASC", "pageSize": ITEMS_PER_SEARCH}
        if created_after is not None:
            params["createdAfter"] = time_text(created_after)
        if page_token is not None:
            params["pageToken"] = page_token
        answer = await self._ask(Call("GET", self._seller, "read", bucket="searchListingsItems", params=params))
        return read_answer(wire.ItemsPage, answer)

    async def items_by_sku(self, skus: Sequence[str]) -> tuple[list[Any], Answer]:
        """These listings as they came, at most 20, no SKU with a comma; those that are not found are missing."""
        params = self._item_params() | {
            "identifiersType": "SKU",
            "identifiers": ",".join(skus),
            "pageSize": ITEMS_PER_SEARCH,
        }
        answer = await self._ask(Call("GET", self._seller, "read", bucket="searchListingsItems", params=params))
        return read_answer(wire.ItemsPage, answer).items, answer

    async def item(self, sku: str) -> tuple[dict[str, Any] | None, Answer]:
        """A listing as it came; None: the seller has none of this SKU."""
        call = Call(
            "GET",
            self._path(sku),
            "read",
            bucket="getListingsItem",
            params=self._item_params(),
            accept=(_NOT_FOUND,),
        )
        answer = await self._ask(call)
        if answer.status == _NOT_FOUND:
            _check_told(answer)
            return None, answer
        row = answer.json()
        if not isinstance(row, dict) or not isinstance(row.get("sku"), str):
            raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with something that is no listing")
        return row, answer

    async def patch(self, sku: str, marketplace: str, patches: Sequence[Mapping[str, Any]]) -> wire.Submission:
        """Changes a listing, once: after a wait the number must be computed anew, so nothing is repeated here.

        What Amazon refuses with 4xx is told as INVALID too: nothing was changed.
        """
        call = Call(
            "PATCH",
            self._path(sku),
            "write",
            bucket="patchListingsItem",
            params={"marketplaceIds": marketplace, "includedData": "issues", "issueLocale": ISSUE_LOCALE},
            json={"productType": PRODUCT_TYPE, "patches": list(patches)},
            accept=_NOT_TAKEN,
            attempts=1,
        )
        answer = await self._ask(call)
        if answer.status in _NOT_TAKEN:
            error = wire.refusal(answer)
            code = error.code or f"HTTP {answer.status}"
            return wire.Submission(status="INVALID", issues=(wire.Issue(code=code, message=error.message),))
        return read_answer(wire.Submission, answer)

    # Feeds

    async def feed_document(self) -> documents.UploadTo:
        """Where the document of a new feed goes."""
        # A read: a document that no feed refers to changes no number.
        call = Call(
            "POST",
            f"{FEEDS}/documents",
            "read",
            bucket="createFeedDocument",
            json={"contentType": FEED_CONTENT},
        )
        return read_answer(documents.UploadTo, await self._ask(call))

    async def create_feed(self, document: str, marketplace: str) -> str:
        """Hands a document over to be worked off; gives the feed's id."""
        body = {"feedType": FEED_TYPE, "marketplaceIds": [marketplace], "inputFeedDocumentId": document}
        call = Call("POST", f"{FEEDS}/feeds", "write", bucket="createFeed", json=body, attempts=1)
        return read_answer(documents.FeedCreated, await self._ask(call)).feed_id

    async def feed(self, feed: str) -> documents.Feed:
        """How far a feed is."""
        return await self._named(documents.Feed, f"{FEEDS}/feeds", feed, "getFeed")

    async def cancel_feed(self, feed: str) -> bool:
        """Takes a feed out of Amazon's queue; False: Amazon has begun with it, or will not."""
        path = f"{FEEDS}/feeds/{quote(feed, safe='')}"
        # A read: a feed that is cancelled changes nothing, and it may be cancelled twice.
        call = Call("DELETE", path, "read", bucket="cancelFeed", expect="bytes", accept=_NOT_TAKEN)
        return (await self._ask(call)).status not in _NOT_TAKEN

    async def feed_result(self, document: str) -> documents.Document:
        """Where the result of a feed can be loaded from."""
        return await self._named(documents.Document, f"{FEEDS}/documents", document, "getFeedDocument")

    # Reports

    async def create_report(self, report_type: str, marketplace: str) -> str:
        """Asks for a report about a marketplace; gives its id."""
        body = {"reportType": report_type, "marketplaceIds": [marketplace]}
        # A read: one report more changes no number.
        call = Call("POST", f"{REPORTS}/reports", "read", bucket="createReport", json=body)
        return read_answer(documents.ReportCreated, await self._ask(call)).report_id

    async def report(self, report: str) -> documents.Report:
        """How far a report is."""
        return await self._named(documents.Report, f"{REPORTS}/reports", report, "getReport")

    async def report_document(self, document: str) -> documents.Document:
        """Where a report can be loaded from."""
        return await self._named(documents.Document, f"{REPORTS}/documents", document, "getReportDocument")

    # The account

    async def participations(self) -> Sequence[wire.MarketplaceParticipation]:
        """The marketplaces of the region, and whether the seller sells there."""
        path = "/sellers/v1/marketplaceParticipations"
        answer = await self._ask(Call("GET", path, "read", bucket="getMarketplaceParticipations"))
        return read_answer(wire.Participations, answer).payload

    async def at_amazon(
        self, marketplace: str, skus: Sequence[str], page_token: str | None
    ) -> tuple[wire.InventoryFound, Answer]:
        """A page of what Amazon keeps of these SKUs for a marketplace; at most 50, and one with a comma by itself.

        page_token: of the page before; it is good for 30 seconds.
        """
        params: Params = {
            "details": "true",
            "granularityType": "Marketplace",
            "granularityId": marketplace,
            "marketplaceIds": marketplace,
        }
        params |= {"sellerSku": skus[0]} if "," in skus[0] else {"sellerSkus": ",".join(skus)}
        if page_token is not None:
            params["nextToken"] = page_token
        call = Call("GET", "/fba/inventory/v1/summaries", "read", bucket="getInventorySummaries", params=params)
        answer = await self._ask(call)
        return read_answer(wire.InventoryFound, answer), answer

    # How

    async def _named(self, model: type[W], path: str, name: str, bucket: str) -> W:
        """One thing of Amazon's, by its id."""
        call = Call("GET", f"{path}/{quote(name, safe='')}", "read", bucket=bucket)
        return read_answer(model, await self._ask(call))

    def _path(self, sku: str) -> str:
        """A SKU may hold slashes and hashes; unquoted they end in 403 (amzn/selling-partner-api-models 4429)."""
        return f"{self._seller}/{quote(sku, safe='')}"

    def _item_params(self) -> Params:
        return {"marketplaceIds": self._marketplaces, "includedData": ITEM_DATA, "issueLocale": ISSUE_LOCALE}

    async def _ask(self, call: Call) -> Answer:
        """The answer to a call with a valid access token. A token that ended early is replaced once."""
        answer, token = await with_token(
            self._access, lambda token: self._http.request(_with(call, token)), _is_of_the_token
        )
        if answer.status in (_UNAUTHORISED, _FORBIDDEN):
            secrets = (token, *self._settings.secrets)
            raise NeedsSeller(redact_text(_not_permitted(answer, call, self._settings.seller_id), secrets))
        return answer


def rate_observer(limiter: Limiter) -> Callable[[Answer], None]:
    """Tells the limiter the rate that Amazon says an operation has; what is left of it Amazon does not tell."""

    def observe(answer: Answer) -> None:
        rate = _number(answer.headers.get("x-amzn-ratelimit-limit"))
        bucket = answer.grant.bucket
        state = limiter.state()[bucket]
        if rate is not None and rate != state.per_second:
            limiter.observe(state.level, rate, bucket=bucket)

    return observe


def next_of(page: wire.Pagination, before: str | None, what: str) -> str | None:
    """The token of the next page; None after the last."""
    return leads_on(page.next_token or None, before, what)


def _with(call: Call, token: SecretStr) -> Call:
    accept = (*call.accept, _UNAUTHORISED, _FORBIDDEN)
    return replace(call, headers={**call.headers, "x-amz-access-token": token}, accept=accept)


def _is_of_the_token(answer: Answer) -> bool:
    """Whether another token may help. Amazon answers 403 for one that ended, as for a role that is missing."""
    if answer.status == _UNAUTHORISED:
        return True
    if answer.status != _FORBIDDEN:
        return False
    error = wire.refusal(answer)
    said = f"{error.message} {error.details}".lower()
    return "token" in said and any(word in said for word in _OF_THE_TOKEN)


def _check_told(answer: Answer) -> None:
    """Raises AnswerUnreadable where it is not Amazon that says so: what stands between us would take things away."""
    if not wire.refusal(answer).code:
        raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with an answer that is not Amazon's")


def _not_permitted(answer: Answer, call: Call, seller: str) -> str:
    role = _role(call)
    error = wire.refusal(answer)
    said = error.details or error.message or f"HTTP {answer.status}"
    return (
        f"Give the app the role {role}, authorise it anew for seller {seller} and set the new refresh_token; check"
        f" seller_id and region too: Amazon does not permit {answer.call} ({said})."
    )


def _role(call: Call) -> str:
    """The role that a call wants."""
    report = call.json.get("reportType") if isinstance(call.json, Mapping) else None
    return _ROLES_OF_REPORTS.get(str(report)) or _ROLES.get(call.path.split("/")[1], "that it lacks")


def _number(text: str | None) -> float | None:
    """A number above 0 in a header; None for anything else."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
