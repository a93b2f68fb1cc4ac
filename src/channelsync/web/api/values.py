"""What parameters and bodies are made of: texts, units, times. What is not exactly this is refused, never mended."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from channelsync.domain.orders import UNITS_MAX

ID_MAX = 2**31 - 1
LINES_MAX = 500
LIMIT_MAX = 1000

_CONTROL = r"[\u0000-\u001f\u007f]"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_AT_THE_ENDS = r"^\s|\s$"


class Said(BaseModel):
    """What a caller says, in parameters or in a body: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _printable(text: str) -> str:
    if any(sign < " " or sign == "\x7f" for sign in text):
        raise ValueError("should have no control characters")
    return text


def _no_blanks_at_ends(text: str) -> str:
    if text != text.strip():
        raise ValueError("should have no blanks at its ends")
    return text


def _digits(value: Any) -> Any:
    """A number in a parameter is digits and nothing else: no sign, blank, underscore or point."""
    if not isinstance(value, str):
        return value
    if not (value.isascii() and value.removeprefix("-").isdigit() and len(value) < 20):
        raise ValueError("should be a whole number, such as 5")
    return int(value)


def _true_or_false(value: Any) -> Any:
    known = {"true": True, "false": False}
    if isinstance(value, str) and value not in known:
        raise ValueError("should be true or false")
    return known[value] if isinstance(value, str) else value


def _written_as_time(value: Any) -> Any:
    """RFC 3339 and nothing else: a number is no time, even where it could be seconds since some year."""
    if not isinstance(value, str):
        return value
    if not _TIME.fullmatch(value):
        raise ValueError("should be a time with its zone, such as 2026-03-01T09:00:00Z")
    return datetime.fromisoformat(value.upper())


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("should be a time that there is in UTC too") from error


def no_text(text: str) -> bool:
    """Whether nothing we keep can have this name."""
    return not text or len(text) > 200 or text != "".join(sign for sign in text if sign >= " " and sign != "\x7f")


Text = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra={"not": {"pattern": _CONTROL}}),
    AfterValidator(_printable),
]
"""A name or id: 1 to 200 characters, none of them a control character."""

Sentence = Annotated[
    str, Field(max_length=500, json_schema_extra={"not": {"pattern": _CONTROL}}), AfterValidator(_printable)
]
"""What a reader of the ledger is told; may be empty."""

NewSku = Annotated[
    str,
    Field(min_length=1, max_length=200, json_schema_extra={"not": {"pattern": f"{_CONTROL}|{_AT_THE_ENDS}"}}),
    AfterValidator(_printable),
    AfterValidator(_no_blanks_at_ends),
]
"""A SKU that may become one of ours."""

Units = Annotated[int, Field(ge=1, le=UNITS_MAX)]
"""Base units, at least one."""

UnitsOrNone = Annotated[int, Field(ge=0, le=UNITS_MAX)]
"""Base units; 0 is a number like others."""

Moment = Annotated[
    AwareDatetime,
    Field(json_schema_extra={"format": "date-time", "examples": ["2026-03-01T09:00:00Z"]}),
    AfterValidator(_in_utc),
    BeforeValidator(_written_as_time),
]
"""A time with its time zone."""

Number = Annotated[int, Field(ge=-UNITS_MAX, le=UNITS_MAX), BeforeValidator(_digits)]
"""A whole number in a parameter."""

Flag = Annotated[bool, BeforeValidator(_true_or_false)]
"""true or false in a parameter."""


class Nothing(Said):
    """No parameters, or an empty body."""


class Listed(Said):
    """What every list takes. limit: entries a page. cursor: `next` of the page before; empty: the first page."""

    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX), BeforeValidator(_digits)] = 100
    cursor: Annotated[str, Field(max_length=1000)] = ""
