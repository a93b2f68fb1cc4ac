"""Shopify's JSON, as it names things, but for the case of its names: what all answers have, and those to writes.

Orders are in `wire_orders`, listings and numbers in `wire_listings`, the account in `wire_account`.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import ConfigDict, Field, field_validator

from channelsync.sdk.wire import CamelWire, Name

Many = Annotated[int, Field(strict=True, ge=0)]
"""How many units of an order: fewer than none is nonsense, whichever number of it says so."""

Gid = Annotated[str, Field(pattern=r"^gid://shopify/[A-Za-z]+/\d+(\?.*)?$")]
"""Shopify's global id, e.g. gid://shopify/Order/1."""

T = TypeVar("T")


class Token(CamelWire):
    """The token endpoint's answer. expires_in: seconds; None: it does not expire by itself."""

    model_config = ConfigDict(alias_generator=None)

    access_token: Name
    expires_in: float | None = None
    refresh_token: str | None = None


class Extensions(CamelWire):
    """What stands beside an error."""

    code: str = ""
    required_access: str = ""


class Error(CamelWire):
    """One of `errors`: the whole request, or a part of it, failed."""

    message: str = ""
    extensions: Extensions = Extensions()


class ThrottleStatus(CamelWire):
    """What is left of the account's points."""

    currently_available: float
    restore_rate: float


class Cost(CamelWire):
    """What a request costs; `throttle_status` None where Shopify does not say."""

    requested_query_cost: float = 0
    throttle_status: ThrottleStatus | None = None


class AnswerExtensions(CamelWire):
    """What stands beside the data."""

    cost: Cost = Cost()


class Envelope(CamelWire):
    """Every answer of the GraphQL endpoint. data None: the request failed before anything was done."""

    data: dict[str, Any] | None = None
    errors: tuple[Error, ...] = ()
    extensions: AnswerExtensions = AnswerExtensions()

    @field_validator("errors", mode="before")
    @classmethod
    def _one_text_is_an_error_too(cls, value: Any) -> Any:
        """REST-shaped refusals put one text where GraphQL puts a list."""
        return [{"message": value}] if isinstance(value, str) else value


class PageInfo(CamelWire):
    """Whether there is more, and where."""

    has_next_page: bool
    end_cursor: str | None = None


class Rows(CamelWire):
    """A page of a list. Rows stay as they came: each is read by itself, so that a broken one spoils no other."""

    nodes: list[Any]
    page_info: PageInfo


class Ref(CamelWire):
    """Something that is only named."""

    id: Gid


class Nodes(CamelWire, Generic[T]):
    """A list that was read to its end."""

    nodes: tuple[T, ...]


class UserError(CamelWire):
    """What is wrong with a mutation's input. field: the path to it, with row numbers as texts."""

    code: str | None = None
    field: tuple[str, ...] | None = None
    message: str = ""


class ChangedItem(CamelWire):
    """An item whose number was changed. tracked: whether anything is sold from it."""

    id: Gid
    tracked: bool = True


class Change(CamelWire):
    """One number that was changed; item None: the item is gone meanwhile."""

    item: ChangedItem | None = None


class AdjustmentGroup(CamelWire):
    """What was changed; a number that was as it should be is not among it."""

    changes: tuple[Change, ...] = ()


class SetQuantities(CamelWire):
    """inventory_adjustment_group None: nothing was changed."""

    inventory_adjustment_group: AdjustmentGroup | None = None
    user_errors: tuple[UserError, ...]


class BulkOperation(CamelWire):
    """A query that runs at Shopify. url: where its result is, once it is there."""

    id: Gid
    status: str
    error_code: str | None = None
    file_size: int | None = None
    url: str | None = None


class BulkStarted(CamelWire):
    """What became of the wish to start a bulk operation."""

    bulk_operation: BulkOperation | None = None
    user_errors: tuple[UserError, ...] = ()
