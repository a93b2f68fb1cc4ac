"""Shopify's whole Admin schema, built once per process, and what its own texts say beyond types."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_ast_schema,
    is_scalar_type,
    parse,
)

API_VERSION = "2026-10"
SDL = f"admin_{API_VERSION}.graphql.gz"
SCOPES = f"admin_{API_VERSION}.access-scopes.json"

_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_SCOPE = re.compile(r"\b(?:read|write)_[a-z_]+")
_IDEMPOTENT = re.compile(r"idempotency key is required and must be provided", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Need:
    """The scopes of which one must be granted. said: in Shopify's words."""

    scopes: frozenset[str]
    said: str


@dataclass(frozen=True, slots=True)
class AdminSchema:
    """The schema. idempotent: mutations that need a key. needs: by type, or by `Type.field`.

    topics: by webhook topic, the scopes of which one is needed; topics that need none are missing.
    """

    graphql: GraphQLSchema
    idempotent: frozenset[str]
    needs: Mapping[str, Need]
    topics: Mapping[str, frozenset[str]]

    @property
    def query(self) -> GraphQLObjectType:
        """The type of queries."""
        return _root(self.graphql.query_type)

    @property
    def mutation(self) -> GraphQLObjectType:
        """The type of mutations."""
        return _root(self.graphql.mutation_type)


def _root(found: GraphQLObjectType | None) -> GraphQLObjectType:
    if found is None:
        raise ValueError("The schema has no such root type.")
    return found


@cache
def admin_schema(contracts: Path) -> AdminSchema:
    """The schema under a folder of contracts. It is shared by all shops of the process: nobody changes it."""
    folder = contracts / "shopify"
    with gzip.open(folder / SDL, "rt", encoding="utf-8") as file:
        text = file.read()
    schema = build_ast_schema(parse(text, no_location=True), assume_valid=True, assume_valid_sdl=True)
    for kind in schema.type_map.values():
        if is_scalar_type(kind) and kind.name in _WRITERS:
            _checked(kind, _WRITERS[kind.name], _READERS.get(kind.name))
    mutation = _root(schema.mutation_type)
    idempotent = {name for name, field in mutation.fields.items() if _IDEMPOTENT.search(field.description or "")}
    needs = _needs(json.loads((folder / SCOPES).read_text("utf-8")))
    return AdminSchema(schema, frozenset(idempotent), needs, _topics(schema))


def _needs(rows: list[dict[str, Any]]) -> dict[str, Need]:
    needs = {}
    for row in rows:
        name = row["typeName"] + (f".{row['fieldName']}" if row["type"] == "field" else "")
        needs[name] = Need(frozenset(row["offlineScopes"]), row["requiredAccess"])
    return needs


def _topics(schema: GraphQLSchema) -> dict[str, frozenset[str]]:
    """Which scopes a topic needs, as its description says."""
    kind = schema.type_map["WebhookSubscriptionTopic"]
    assert isinstance(kind, GraphQLEnumType)
    said = {name: (value.description or "").partition("Requires")[2] for name, value in kind.values.items()}
    found = {name: frozenset(_SCOPE.findall(text)) for name, text in said.items()}
    return {name: scopes for name, scopes in found.items() if scopes}


# Scalars: the SDL says their names only. What our answers put into them is checked, so that no answer strays.


def _time(value: object) -> str:
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        return value
    raise GraphQLError(f"DateTime cannot be {value!r}: whole seconds in UTC, like 2026-11-21T10:00:00Z.")


def _decimal(value: object) -> str:
    try:
        return str(Decimal(str(value)))
    except InvalidOperation:
        raise GraphQLError(f"{value!r} is no decimal number.") from None


def _digits(value: object) -> str:
    if isinstance(value, bool) or not str(value).isdecimal():
        raise GraphQLError(f"{value!r} is no whole number of at least 0.")
    return str(value)


def _url(value: object) -> str:
    if isinstance(value, str) and re.match(r"[a-z]+://|arn:|pubsub:", value):
        return value
    raise GraphQLError(f"{value!r} is no URL.")


def _read_time(value: object) -> str:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        raise GraphQLError(f"Invalid DateTime {value!r}.") from None
    return str(value)


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"Could not coerce value {json.dumps(value)} to String")
    return value


_WRITERS: Mapping[str, Callable[[object], str]] = {
    "DateTime": _time,
    "Decimal": _decimal,
    "Money": _decimal,
    "UnsignedInt64": _digits,
    "URL": _url,
}
_READERS: Mapping[str, Callable[[object], str]] = {"DateTime": _read_time, "URL": _read_text, "Decimal": _decimal}


def _checked(kind: GraphQLScalarType, write: Callable[[object], str], read: Callable[[object], str] | None) -> None:
    names = ["serialize", "coerce_output_value"] if hasattr(kind, "coerce_output_value") else ["serialize"]
    for name in names:
        setattr(kind, name, write)
    if read is not None:
        names = ["parse_value", "coerce_input_value"] if hasattr(kind, "coerce_input_value") else ["parse_value"]
        for name in names:
            setattr(kind, name, read)
