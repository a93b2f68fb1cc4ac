"""Cursors of orders: what a connector must know to go on, as JSON, valid over restarts."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

_SHOWN_CHARACTERS_MAX = 80


class Cursor(BaseModel):
    """What a cursor holds; each connector names its own fields. Its text is `model_dump_json()`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


C = TypeVar("C", bound=Cursor)


def read_cursor(model: type[C], text: str, channel: str) -> C:
    """A cursor that was kept. Raises ValueError for one that is none of this connector's."""
    try:
        return model.model_validate_json(text)
    except ValidationError:
        raise ValueError(f"{channel}: {text[:_SHOWN_CHARACTERS_MAX]!r} is no cursor of this connector") from None
