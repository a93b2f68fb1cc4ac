"""A channel's JSON, read into models of the channel's own words.

What is wrong with it is told by its place and never by its value: nobody knows what comes, and it may be the buyer's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import structlog
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from channelsync.sdk.answers import Answer
from channelsync.sdk.errors import AnswerUnreadable

log = structlog.get_logger(__name__)

Units = Annotated[int, Field(strict=True)]
"""A whole number in JSON: 1.0, "1" and true are none."""

Name = Annotated[str, Field(min_length=1)]
"""A text that is not empty, e.g. an id."""


def in_utc(at: datetime) -> datetime:
    """The same moment in UTC; a time without a zone is one already. Raises ValueError at the ends of the calendar."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no time that UTC knows") from None


At = Annotated[AwareDatetime, AfterValidator(in_utc)]
"""A time with its zone, in UTC."""

_TOLD_MAX = 3


class Wire(BaseModel):
    """Something that a channel sends. Fields that it does not name are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class CamelWire(Wire):
    """The same, of a channel that writes its names likeThis."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


W = TypeVar("W", bound=BaseModel)


def read_answer(model: type[W], answer: Answer) -> W:
    """The answer's body. Raises AnswerUnreadable, which names the fields that are wrong and shows no value."""
    return read_part(model, answer.json(), answer)


def read_part(model: type[W], value: Any, answer: Answer, what: str = "") -> W:
    """A part of an answer's body. what: which, for the message. Raises AnswerUnreadable likewise."""
    named = f"{answer.call} ({what})" if what else answer.call
    return read_value(model, value, f"{named}: HTTP {answer.status}")


def read_value(model: type[W], value: Any, what: str) -> W:
    """A value out of an answer. what: where it came from. Raises AnswerUnreadable likewise."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise AnswerUnreadable(f"{what} with {why(error)}") from None


def readable_listing(model: type[W], row: Any, channel: str, named: str) -> W | str:
    """A listing as a channel tells it, or why it cannot be read, which the log says too; its neighbours are read on.

    named: the field that holds its id or SKU, for the log.
    """
    try:
        return model.model_validate(row)
    except ValidationError as error:
        listing = row.get(named) if isinstance(row, dict) else None
        log.warning("listing.unreadable", channel=channel, listing=listing, why=why(error))
        return why(error)


def why(error: ValidationError) -> str:
    """What is wrong where, without any value."""
    wrong = [f"{'.'.join(map(str, one['loc'])) or 'the answer'}: {one['msg']}" for one in error.errors()]
    more = f" and {len(wrong) - _TOLD_MAX} more" if len(wrong) > _TOLD_MAX else ""
    return "; ".join(wrong[:_TOLD_MAX]) + more
