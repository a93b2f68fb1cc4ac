"""The shop's JSON, as it names things. Unknown fields are ignored; what is about the buyer is not even read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from channelsync.sdk.answers import Answer
from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.wire import Name, Wire, in_utc


def _whole(value: object) -> object:
    """PHP writes 2.0 where a plugin made a number a float; 1.5 stays what it is, and is refused."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Units = Annotated[int, BeforeValidator(_whole), Field(strict=True)]
"""A whole number in JSON: "1" and true are none."""

Id = Annotated[int, Field(strict=True, ge=1)]
NoId = Annotated[int, Field(strict=True, ge=0)]
"""0: none."""

Gmt = Annotated[datetime, AfterValidator(in_utc)]
"""The fields called ..._gmt carry no zone."""


class Error(Wire):
    """What WordPress says is wrong: of a whole request, or of one row of a batch."""

    code: str = ""
    message: str = ""


class Meta(Wire):
    """A piece of meta data. value: of any kind; only the shop's own counters are ever looked at."""

    key: str = ""
    value: Any = None


class Line(Wire):
    """A line of an order. product_id 0: the product is no more."""

    id: Id
    product_id: NoId = 0
    variation_id: NoId = 0
    quantity: Units
    sku: str | None = None
    meta_data: tuple[Meta, ...] = ()


class RefundNamed(Wire):
    """A refund as the order names it: how many units it is about stands elsewhere."""

    id: Id


class Order(Wire):
    """An order, without its buyer."""

    id: Id
    status: Name
    date_created_gmt: Gmt
    date_modified_gmt: Gmt | None = None
    date_paid_gmt: Gmt | None = None
    date_completed_gmt: Gmt | None = None
    line_items: tuple[Line, ...]
    refunds: tuple[RefundNamed, ...] = ()


class Placed(Wire):
    """What the search for orders goes by."""

    id: Id
    date_created_gmt: Gmt | None = None
    date_modified_gmt: Gmt | None = None


class Refund(Wire):
    """A refund of some lines; none for one that is about money only. Quantities are negative."""

    id: Id
    date_created_gmt: Gmt | None = None
    line_items: tuple[Line, ...] = ()


class Option(Wire):
    """What makes a variation: a size, a colour."""

    option: str | None = None


class Row(Wire):
    """A product or a variation. manage_stock: "parent" where the parent's number counts; False: nobody counts."""

    id: Id
    name: str = ""
    type: str = "simple"
    status: str = "publish"
    sku: str | None = None
    global_unique_id: str | None = None
    purchasable: bool = True
    manage_stock: bool | Literal["parent"] = False
    stock_quantity: Units | None = None
    stock_status: str = "instock"
    backorders: str = "no"
    parent_id: NoId = 0
    variations: tuple[NoId, ...] = ()
    attributes: tuple[Any, ...] = ()


class Written(Wire):
    """One row of a batch's answer: the row as it is now, or what is wrong with it."""

    id: NoId = 0
    error: Error | None = None
    manage_stock: bool | Literal["parent"] = False
    stock_quantity: Units | None = None


class Batch(Wire):
    """The answer to a batch; rows stay as they came: each is read by itself."""

    update: list[Any]


class Webhook(Wire):
    """A webhook of the shop. status: active, paused (by the seller) or disabled (by the shop, after failures)."""

    id: Id
    status: str = ""
    topic: str = ""
    delivery_url: str = ""


class Preference(Wire):
    """An option of the shop's administration, as text."""

    value: str = ""


class Delivered(Wire):
    """The body of a webhook delivery; read for ids and for the time of the last change only."""

    id: Id
    type: str = ""
    parent_id: NoId = 0
    variations: tuple[NoId, ...] = ()
    manage_stock: bool | Literal["parent"] = False
    date_modified_gmt: Gmt | None = None


def rows(answer: Answer) -> list[Any]:
    """The answer's body, a list of rows as they came: a broken one spoils no other."""
    found = answer.json()
    if not isinstance(found, list):
        raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with no list, where one was expected")
    return found


def refusal(answer: Answer) -> Error:
    """What an answer that is not 2xx says; empty where it says nothing that WordPress would."""
    try:
        return Error.model_validate_json(answer.body)
    except ValidationError:
        return Error()
