"""The marketplace's JSON, as it names things. Unknown fields are ignored; what is about the buyer is not even read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from channelsync.sdk.wire import At, Name, Units, Wire


class Token(Wire):
    """expires_in: seconds; None: it does not expire by itself."""

    access_token: Name
    expires_in: float | None = None


class Error(Wire):
    """What the marketplace says is wrong."""

    code: str = ""
    message: str = ""


class Refusal(Wire):
    """The body of an answer that is not 2xx."""

    error: Error = Error()


class Seller(Wire):
    """Whose account it is."""

    id: Name
    title: str = ""


class Account(Wire):
    """The account, and how its marketplace behaves."""

    account: str
    seller: Seller
    declares: dict[str, Any] = Field(default_factory=dict)


class Movement(Wire):
    """Units of a line that something happened to."""

    units: Units
    at: At | None = None
    location: str | None = None


class Line(Wire):
    """A line of an order."""

    id: Name
    listing: str | None = None
    sku: str | None = None
    ordered: Units
    location: str | None = None
    cancelled: tuple[Movement, ...] = ()
    written_off: tuple[Movement, ...] = ()
    shipped: tuple[Movement, ...] = ()
    returned: tuple[Movement, ...] = ()
    quarantined: tuple[Movement, ...] = ()


class Order(Wire):
    """An order, without its buyer."""

    id: Name
    status: Literal["awaiting_payment", "open", "done", "cancelled"]
    placed_at: At
    updated_at: At
    paid_at: At | None = None
    cancelled_at: At | None = None
    lines: tuple[Line, ...]


class OrdersFound(Wire):
    """Orders stay as they came: each is read by itself, so that a broken one spoils no other."""

    orders: list[Any]


class OrdersPage(OrdersFound):
    """A page of orders, and where the next begins."""

    next: str | None = None
    as_of: At


class IdsPage(Wire):
    """A page of order ids, and where the next begins."""

    ids: tuple[str, ...]
    next: str | None = None


class Number(Wire):
    """number: None: there is no such key (any more), or nothing is counted."""

    key: Name
    location: str = ""
    number: Units | None = None
    committed: Units | None = None
    held: Units | None = None


class Part(Wire):
    """A part of a bundle that the marketplace knows."""

    listing: str
    units: Units


class Listing(Wire):
    """A listing."""

    id: Name
    sku: str | None = None
    title: str = ""
    barcode: str | None = None
    state: Literal["active", "inactive", "ended"]
    reasons: tuple[str, ...] = ()
    tracked: bool = True
    backorders: bool = False
    fulfilled_by: str = "seller"
    keys: tuple[Number, ...] = ()
    page: str | None = None
    parts: tuple[Part, ...] = ()


class ListingsFound(Wire):
    """Listings stay as they came: each is read by itself, so that a broken one spoils no other."""

    listings: list[Any]


class ListingsPage(ListingsFound):
    """A page of listings, and where the next begins."""

    next: str | None = None


class NumbersRead(Wire):
    """The numbers that were asked for."""

    numbers: tuple[Number, ...]


class Result(Wire):
    """What became of one update."""

    key: str
    location: str = ""
    status: str
    number: Units | None = None
    code: str | None = None
    message: str | None = None


class Results(Wire):
    """What became of the updates of a push."""

    results: tuple[Result, ...]


class Webhook(Wire):
    """A webhook that the account has registered."""

    id: Name
    url: str
    topics: tuple[str, ...]


class Webhooks(Wire):
    """All of them."""

    webhooks: tuple[Webhook, ...]


class NewWebhook(Webhook):
    """The only answer that tells the secret."""

    secret: SecretStr


class Delivered(Wire):
    """The body of a webhook delivery; `data` is read for ids only."""

    type: str
    data: dict[str, Any] = Field(default_factory=dict)
