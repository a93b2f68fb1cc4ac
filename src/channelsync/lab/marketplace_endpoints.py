"""What each endpoint of a marketplace's API does: from a checked call to (status, content)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import orjson

from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_accounts import TOPICS, Account, Seller, Subscriptions, Tokens
from channelsync.lab.marketplace_json import OrderWriter, key_json, listing_json, result_json, time_json
from channelsync.lab.marketplace_numbers import Result, Update
from channelsync.lab.marketplace_search import BadCursor
from channelsync.lab.marketplace_values import NumberKey, Offer

IDS_PER_CALL = 50
IDS_PER_PAGE = 500


UNITS_MAX = 1_000_000_000

T = TypeVar("T")


class ApiError(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Call:
    """A request after token and budget were checked. argument: what the path names. fault: spoils rows and pages."""

    account: Account | None
    query: Mapping[str, str]
    body: bytes
    argument: str
    now: datetime
    fault: Fault | None

    def json(self) -> dict[str, Any]:
        """The body. Raises ApiError unless it is a JSON object."""
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict):
            raise _bad("The body must be a JSON object.")
        return content

    def rows(self, name: str, most: int) -> list[Any]:
        """A list in the body. Raises ApiError when it is none, or longer than `most`."""
        rows = self.json().get(name)
        if not isinstance(rows, list):
            raise _bad(f"{name} must be a list.")
        if len(rows) > most:
            raise ApiError(413, "too_many", f"At most {most} {name} in one call, not {len(rows)}.")
        return rows

    def met(self, kind: FaultKind) -> bool:
        """Whether this call meets such a fault."""
        return self.fault is not None and self.fault.kind is kind


def _bad(message: str) -> ApiError:
    return ApiError(400, "bad_request", message)


class Endpoints:
    """The endpoints of one marketplace."""

    def __init__(
        self,
        marketplace: Marketplace,
        tokens: Tokens,
        subscriptions: Subscriptions,
        orders: OrderWriter,
        seller: Seller,
    ) -> None:
        self._marketplace = marketplace
        self._rules = marketplace.rules
        self._tokens = tokens
        self._subscriptions = subscriptions
        self._orders = orders
        self._seller = seller

    # The account

    def token(self, call: Call) -> tuple[int, object]:
        """POST /oauth/token"""
        asked = call.json()
        if asked.get("grant_type") != "refresh_token":
            raise _bad("grant_type must be refresh_token.")
        token = self._tokens.give(str(asked.get("refresh_token")), call.now)
        if token is None:
            raise ApiError(400, "invalid_grant", "The refresh token is not valid: connect the account anew.")
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self._rules.token_lifetime}

    def account(self, call: Call) -> tuple[int, object]:
        """GET /v1/account"""
        account = _whose(call)
        return 200, {
            "account": account.name,
            "site": account.site or None,
            "seller": {"id": self._seller.id, "title": self._seller.title},
            "declares": self._rules.declares(),
        }

    # Orders

    def search(self, call: Call) -> tuple[int, object]:
        """GET /v1/orders"""
        since = call.query.get("updated_since")
        search = self._marketplace.search
        search.learn(call.now)
        limit = min(_number(call.query.get("limit"), self._rules.orders_per_page), self._rules.orders_per_page)
        orders, following = _paged(
            lambda cursor: search.page(
                since=None if since is None else _time(since), cursor=cursor, limit=limit, site=_scope(call)
            ),
            call,
        )
        rows = [self._orders.write(order) for order in orders]
        as_of = time_json(self._marketplace.time())
        return 200, {"orders": _twice(rows, call), "next": following, "as_of": as_of}

    def orders_by_id(self, call: Call) -> tuple[int, object]:
        """POST /v1/orders/read"""
        orders = self._marketplace.orders
        ids = _ids(call)
        return 200, {"orders": [self._orders.write(orders[each]) for each in ids if each in orders]}

    def order_ids(self, call: Call) -> tuple[int, object]:
        """GET /v1/orders/ids"""
        day = _day(call.query.get("placed_on", ""))
        search = self._marketplace.search
        search.learn(call.now)
        ids, following = _paged(
            lambda cursor: search.ids_of_day(day, cursor=cursor, limit=IDS_PER_PAGE, site=_scope(call)), call
        )
        return 200, {"ids": _twice(ids, call), "next": following}

    # Listings

    def listings(self, call: Call) -> tuple[int, object]:
        """GET /v1/listings"""
        site = _whose(call).site
        most = self._rules.listings_per_page
        limit = min(_number(call.query.get("limit"), most), most)
        offers = [offer for offer in self._marketplace.offers.values() if not site or offer.site == site]

        def page(cursor: str | None) -> tuple[list[Offer], str | None]:
            skip = _row_number(cursor)
            return offers[skip : skip + limit], f"n{skip + limit}" if len(offers) > skip + limit else None

        rows, following = _paged(page, call)
        return 200, {"listings": _twice(self._listings_json(rows), call), "next": following}

    def listings_by_id(self, call: Call) -> tuple[int, object]:
        """POST /v1/listings/read"""
        offers = self._marketplace.offers
        ids = _ids(call)
        return 200, {"listings": self._listings_json([offers[each] for each in ids if each in offers])}

    def _listings_json(self, offers: list[Offer]) -> list[dict[str, Any]]:
        readings = iter(self._marketplace.read([key for offer in offers for key in offer.keys]))
        return [listing_json(offer, [next(readings) for _ in offer.keys], self._rules) for offer in offers]

    # Numbers

    def read(self, call: Call) -> tuple[int, object]:
        """POST /v1/numbers/read"""
        keys = [_key(row) for row in call.rows("keys", self._rules.reads_per_call)]
        readings = self._marketplace.read(keys)
        pairs = zip(keys, readings, strict=True)
        return 200, {"numbers": [key_json(key, reading, self._rules) for key, reading in pairs]}

    def push(self, call: Call) -> tuple[int, object]:
        """POST /v1/numbers"""
        rows = call.rows("updates", self._rules.updates_per_push)
        updates = [_update(row) for row in rows]
        if len({each.key for each in updates}) < len(updates):
            raise ApiError(422, "twice_in_batch", "A quantity key stands twice in this push.")
        results: list[dict[str, Any]] = []
        for turn, update in enumerate(updates):
            if call.met(FaultKind.PARTIAL) and turn % 2 == 0:
                results.append(result_json(Result.refused(update.key, "busy", "Try this one again later.")))
            elif isinstance(update, Result):
                results.append(result_json(update))
            else:
                results.append(result_json(self._marketplace.push([update])[0]))
        return 200, {"results": results[1::2] if call.met(FaultKind.ROWS_MISSING) else results}

    # Webhooks

    def webhooks(self, call: Call) -> tuple[int, object]:
        """GET /v1/webhooks"""
        mine = self._subscriptions.of(_whose(call).name)
        return 200, {"webhooks": [{"id": each.id, "url": each.url, "topics": each.topics} for each in mine]}

    def subscribe(self, call: Call) -> tuple[int, object]:
        """POST /v1/webhooks"""
        if not self._rules.webhooks:
            raise ApiError(403, "forbidden", "This marketplace sends no webhooks.")
        asked = call.json()
        url, topics = asked.get("url"), asked.get("topics")
        if not isinstance(url, str) or not isinstance(topics, list) or not topics:
            raise _bad("url must be text and topics a list of at least one.")
        known = tuple(topic for topic in TOPICS if topic in topics)
        if len(known) < len(topics):
            raise _bad(f"topics must be among {', '.join(TOPICS)}, each once.")
        made = self._subscriptions.add(_whose(call).name, url, known)
        return 201, {"id": made.id, "url": made.url, "topics": made.topics, "secret": made.secret}

    def unsubscribe(self, call: Call) -> tuple[int, object]:
        """DELETE /v1/webhooks/{id}"""
        if not self._subscriptions.remove(_whose(call).name, call.argument):
            raise ApiError(404, "not_found", f"There is no subscription {call.argument}.")
        return 204, None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. name: as faults and counts call it. cost: units of the budget."""

    name: str
    cost: float
    answer: Callable[[Endpoints, Call], tuple[int, object]] = field(repr=False)
    needs_token: bool = True


ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("POST", "/oauth/token"): Endpoint("token", 0, Endpoints.token, needs_token=False),
    ("GET", "/v1/account"): Endpoint("account", 1, Endpoints.account),
    ("GET", "/v1/orders"): Endpoint("orders", 2, Endpoints.search),
    ("POST", "/v1/orders/read"): Endpoint("orders by id", 1, Endpoints.orders_by_id),
    ("GET", "/v1/orders/ids"): Endpoint("order ids", 2, Endpoints.order_ids),
    ("GET", "/v1/listings"): Endpoint("listings", 2, Endpoints.listings),
    ("POST", "/v1/listings/read"): Endpoint("listings by id", 1, Endpoints.listings_by_id),
    ("POST", "/v1/numbers/read"): Endpoint("read", 1, Endpoints.read),
    ("POST", "/v1/numbers"): Endpoint("push", 1, Endpoints.push),
    ("GET", "/v1/webhooks"): Endpoint("webhooks", 1, Endpoints.webhooks),
    ("POST", "/v1/webhooks"): Endpoint("webhooks", 1, Endpoints.subscribe),
    ("DELETE", "/v1/webhooks/*"): Endpoint("webhooks", 1, Endpoints.unsubscribe),
}
"""By method and path; `*` stands for one id."""


def _whose(call: Call) -> Account:
    if call.account is None:
        raise ApiError(401, "unknown_token", "This needs an access token.")
    return call.account


def _scope(call: Call) -> str | None:
    """The site whose orders are asked for; None for all of the seller."""
    scope = call.query.get("scope", "account")
    if scope not in ("account", "seller"):
        raise _bad("scope must be account or seller.")
    return None if scope == "seller" else _whose(call).site or None


def _paged(page: Callable[[str | None], tuple[list[T], str | None]], call: Call) -> tuple[list[T], str | None]:
    """A page from its cursor. With the fault of a stuck cursor the next one leads here again."""
    cursor = call.query.get("cursor")
    try:
        rows, following = page(cursor)
    except BadCursor:
        raise ApiError(400, "bad_cursor", f"{cursor!r} is no cursor of this search.") from None
    if call.met(FaultKind.SAME_CURSOR):
        following = cursor or following
    return rows, following


def _twice(rows: list[Any], call: Call) -> list[Any]:
    return [*rows, *rows[:2]] if call.met(FaultKind.ROWS_TWICE) else rows


def _ids(call: Call) -> list[str]:
    ids = call.rows("ids", IDS_PER_CALL)
    if not all(isinstance(each, str) for each in ids):
        raise _bad("ids are texts.")
    return ids


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _bad(f"{text!r} is no time with a time zone; write it like 2017-12-23T08:15:00Z.")


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
        if day < date.max:
            return day
    except ValueError:
        pass
    raise _bad(f"placed_on must be a date, like 2017-12-23, not {text!r}.")


def _digits(text: str) -> bool:
    return text.isdecimal() and len(text) < 10


def _number(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    if not _digits(text) or int(text) < 1:
        raise _bad(f"limit must be a number of at least 1, not {text!r}.")
    return int(text)


def _row_number(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.startswith("n") or not _digits(cursor[1:]):
        raise BadCursor(cursor)
    return int(cursor[1:])


def _key(row: object) -> NumberKey:
    if not isinstance(row, dict) or not isinstance(row.get("key"), str):
        raise _bad("Every row needs a key (text) and may have a location (text).")
    location = row.get("location") or ""
    if not isinstance(location, str):
        raise _bad("A location is text.")
    return NumberKey(row["key"], location)


def _update(row: object) -> Update | Result:
    """One row of a push; a Result where the row itself is refused."""
    key = _key(row)
    if not isinstance(row, dict):
        raise _bad("Every row is an object.")
    given = {name: row.get(name) for name in ("number", "change", "expected")}
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or abs(value) > UNITS_MAX):
            return Result.refused(key, "bad_number", f"{name} must be an integer up to {UNITS_MAX}, not {value!r}.")
    if (given["number"] is None) == (given["change"] is None):
        return Result.refused(key, "bad_number", "Give either number or change.")
    return Update(
        key=key,
        number=given["number"],
        change=given["change"],
        expected=given["expected"],
        idempotency=str(row.get("idempotency_key") or ""),
    )
