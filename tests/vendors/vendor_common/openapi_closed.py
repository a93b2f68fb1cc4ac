"""Finds properties that no description names: a misspelt one passes every schema that allows others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vendor_common.openapi_descriptions import Description, Node

UNKNOWN = "the description names no such"
"""What every problem holds that is something unknown beside all that is right: a parameter, a property."""

_TOGETHER = ("allOf", "oneOf", "anyOf")


def undeclared(description: Description, node: Node, value: Any, where: str = "body") -> Iterator[str]:
    """Names the properties of a value that its schema, in all its alternatives, does not know.

    An object whose schema names no properties, or says what others are like, may hold anything.
    """
    parts = list(_parts(description, node))
    if isinstance(value, list):
        items = [part.at("items") for part in parts if part.at("items")]
        for number, each in enumerate(value):
            yield from _through(description, items, each, f"{where}[{number}]")
    if not isinstance(value, Mapping):
        return
    known: dict[str, list[Node]] = {}
    for part in parts:
        for name in part.content.get("properties") or ():
            known.setdefault(str(name), []).append(part.at("properties", str(name)))
    others = [part.at("additionalProperties") for part in parts if part.content.get("additionalProperties")]
    for name, each in value.items():
        if name in known:
            yield from _through(description, known[name], each, f"{where}.{name}")
        elif others:
            schemas = [other for other in others if isinstance(other.content, Mapping)]
            yield from _through(description, schemas, each, f"{where}.{name}")
        elif known:
            yield f"{where}.{name}: {UNKNOWN} property"


def _through(description: Description, nodes: list[Node], value: Any, where: str) -> Iterator[str]:
    """What is undeclared in every one of the alternatives."""
    found = [list(undeclared(description, node, value, where)) for node in nodes]
    if found and all(found):
        yield from min(found, key=len)


def _parts(description: Description, node: Node) -> Iterator[Node]:
    """A schema and all that it is made of."""
    node = description.follow(node)
    if not isinstance(node.content, Mapping):
        return
    yield node
    for how in _TOGETHER:
        for number, part in enumerate(node.content.get(how) or ()):
            yield from _parts(description, Node(part, f"{node.pointer}/{how}/{number}"))
