"""Errors in Shopify's shape: of the whole answer, and of a mutation (userErrors)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from graphql import GraphQLError

Node = dict[str, Any]
"""An object of an answer: by field, a value or a function of `Ask` that gives it."""


class Refused(GraphQLError):
    """A top-level error that Shopify gives on purpose; anything else that goes wrong is a fault of this server."""

    def __init__(self, message: str, code: str = "", **more: object) -> None:
        extensions: dict[str, Any] = ({"code": code} if code else {}) | more
        super().__init__(message, extensions=extensions or None)


class NotSimulated(GraphQLError):
    """The schema has it and this server does not: a gap of the server, not of the caller."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not simulated by this test server.", extensions={"code": "NOT_SIMULATED"})


def user_error(field: Sequence[object] | None, message: str, code: str | None = None) -> Node:
    """One userError; `code` is told where the error's type has one."""
    path = None if field is None else [str(part) for part in field]
    return {"field": path, "message": message, "code": code}


def failed(errors: Iterable[Node], *absent: str, errors_as: str = "userErrors") -> Node:
    """A mutation's payload that says only what was wrong."""
    return dict.fromkeys(absent) | {errors_as: list(errors)}
