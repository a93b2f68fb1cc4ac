"""What a request's texts mean: parameters as a description says they are written, as JSON values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote

from channelsync.lab.marketplace_http import Request
from vendor_common.openapi_descriptions import Description, Json, Node

_SEPARATORS = {
    "csv": ",",
    "ssv": " ",
    "tsv": "\t",
    "pipes": "|",
    "form": ",",
    "simple": ",",
    "spaceDelimited": " ",
    "pipeDelimited": "|",
}
_OF_TYPES = ("type", "format", "items", "enum", "pattern", "minLength", "maxLength", "multipleOf")
_OF_BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minItems", "maxItems", "uniqueItems")


class Unreadable(Exception):
    """A text that is not written as its parameter must be."""


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The query as it was sent: every parameter as often as it came."""
    if request.raw_query:
        return parse_qsl(request.raw_query.decode("latin-1"), keep_blank_values=True)
    return list(request.query.items())


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header, whatever the case of its name."""
    for each, value in headers.items():
        if each.lower() == name.lower():
            return value
    return None


def schema_of(description: Description, parameter: Node) -> tuple[Json, Json]:
    """A parameter's schema as a validator takes it, and with its own words to look into."""
    if description.old:
        own = {name: value for name, value in parameter.content.items() if name in (*_OF_TYPES, *_OF_BOUNDS)}
        return own, own
    node = parameter.at("schema")
    if not node:
        kinds = parameter.content.get("content") or {}
        node = parameter.at("content", next(iter(kinds), ""), "schema")
    if not node:
        return {}, {}
    return description.schema(node), description.follow(node).content


def texts_of(request: Request, pairs: Sequence[tuple[str, str]], path: Mapping[str, str], parameter: Json) -> list[str]:
    """The texts that came for a parameter, as often as it came."""
    name = str(parameter["name"])
    match parameter["in"]:
        case "query":
            return [value for each, value in pairs if each == name]
        case "path":
            return [path[name]] if name in path else []
        case "header":
            value = header(request.headers, name)
            return [] if value is None else [value]
        case "cookie":
            return list(_cookies(request, name))
    return []


def _cookies(request: Request, name: str) -> Iterator[str]:
    for part in (header(request.headers, "cookie") or "").split(";"):
        each, _, value = part.strip().partition("=")
        if each == name:
            yield unquote(value)


def deep_names(pairs: Sequence[tuple[str, str]], parameter: Json) -> dict[str, str]:
    """The parts of a parameter that is written as `name[part]=value`."""
    start = f"{parameter['name']}["
    return {name[len(start) : -1]: value for name, value in pairs if name.startswith(start) and name.endswith("]")}


def value_of(description: Description, parameter: Node, schema: Json, texts: Sequence[str]) -> Any:
    """The JSON value of a parameter. Raises Unreadable."""
    content = parameter.content
    if content.get("content"):
        return _json(_only(texts))
    if schema.get("type") != "array":
        return scalar(_only(texts), schema)
    items = _inner(description, schema.get("items") or {})
    return [scalar(text, items) for text in _split(content, texts, old=description.old)]


def _inner(description: Description, items: Json) -> Json:
    found: Json = description.follow(Node(items, "")).content
    return found


def _split(parameter: Json, texts: Sequence[str], *, old: bool) -> list[str]:
    if old:
        style = str(parameter.get("collectionFormat", "csv"))
        if style == "multi":
            return list(texts)
    else:
        style = str(parameter.get("style", "form" if parameter["in"] in ("query", "cookie") else "simple"))
        if parameter.get("explode", style == "form") and parameter["in"] == "query":
            return list(texts)
    text = _only(texts)
    return text.split(_SEPARATORS[style]) if text else []


def _only(texts: Sequence[str]) -> str:
    if len(texts) != 1:
        raise Unreadable(f"was given {len(texts)} times")
    return texts[0]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Unreadable(f"is not JSON: {text[:60]!r}") from None


def scalar(text: str, schema: Json) -> Any:
    """One text as the type of its schema; the text itself where the schema names none. Raises Unreadable."""
    match schema.get("type"):
        case "integer" if re.fullmatch("-?[0-9]{1,30}", text):
            return int(text)
        case "number":
            try:
                return float(text)
            except ValueError:
                raise Unreadable(f"is not a number: {text[:60]!r}") from None
        case "boolean" if text.lower() in ("true", "false"):  # Amazon's own Python client writes `True`
            return text.lower() == "true"
        case "integer" | "boolean" as kind:
            raise Unreadable(f"is not of type {kind}: {text[:60]!r}")
        case "object":
            return _json(text)
    return text
