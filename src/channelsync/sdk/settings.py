"""The settings of a connector, as it is given them: any model, which must be its own."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

S = TypeVar("S", bound=BaseModel)


def own(model: type[S], settings: BaseModel) -> S:
    """The settings as this model. Raises TypeError for those of another connector."""
    if not isinstance(settings, model):
        raise TypeError(f"these are settings of another connector: {type(settings).__name__}")
    return settings
