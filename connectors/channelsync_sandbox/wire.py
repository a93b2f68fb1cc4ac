"""The marketplace's JSON, as it names things. Unknown fields are ignored; what is about the buyer is not even read."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.http import Answer

Units = Annotated[int, Field(strict=True)]
"""A whole number in JSON: 1.0, "1" and true are none."""


class Wire(BaseModel):
    """A value never stands in an error: it may be the buyer's."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


W = TypeVar("W", bound=Wire)


class Token(Wire):
    """expires_in: seconds; None: it does not expire by itself."""

    access_token: Annotated[str, Field(min_length=1)]
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

    id: Annotated[str, Field(min_length=1)]
    title: str = ""


class Account(Wire):
    """The account, and how its marketplace behaves."""

    account: str
    seller: Seller
    declares: dict[str, Any] = {}


class Movement(Wire):
    """Units of a line that something happened to."""

    units: Units
    at: AwareDatetime | None = None
    location: str | None = None


class Line(Wire):
    """A line of an order."""

    id: Annotated[str, Field(min_length=1)]
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

    id: Annotated[str, Field(min_length=1)]
    status: Literal["awaiting_payment", "open", "done", "cancelled"]
    placed_at: AwareDatetime
    updated_at: AwareDatetime
    paid_at: AwareDatetime | None = None
    cancelled_at: AwareDatetime | None = None
    lines: tuple[Line, ...]


class OrdersFound(Wire):
    """Orders stay as they came: each is read by itself, so that a broken one spoils no other."""

    orders: list[Any]


class OrdersPage(OrdersFound):
    """A page of orders, and where the next begins."""

    next: str | None = None
    as_of: AwareDatetime


class IdsPage(Wire):
    """A page of order ids, and where the next begins."""

    ids: tuple[str, ...]
    next: str | None = None


class Number(Wire):
    """number: None: there is no such key (any more), or nothing is counted."""

    key: Annotated[str, Field(min_length=1)]
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

    id: Annotated[str, Field(min_length=1)]
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

    id: Annotated[str, Field(min_length=1)]
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
    data: dict[str, Any] = {}


def read(model: type[W], answer: Answer) -> W:
    """The answer's body. Raises AnswerUnreadable, which names the fields that are wrong and shows no value."""
    try:
        return model.model_validate(answer.json())
    except ValidationError as error:
        raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with {why(error)}") from None


def why(error: ValidationError) -> str:
    """What is wrong where, without any value."""
    wrong = [f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg']}" for one in error.errors()]
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return "; ".join(wrong[:3]) + more
