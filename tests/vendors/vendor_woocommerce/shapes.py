"""The shapes of a real shop's answers, and whether an answer has the shape of its kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vendor_woocommerce.api import Exchange
from vendor_woocommerce.recorded import Recorded

DOCUMENTED = {
    "variation.manage_stock": {"str"},  # "parent"
    "variation.stock_quantity": {"null"},
    "product.manage_stock": {"str"},
    "failed row.id": {"str", "list", "null"},  # as it was sent
}
"""What no recording shows and the vendor's documentation does, by place: types."""

_KINDS = (
    (r"/products/\d+/variations(/\d+|/batch)?", "variation"),
    (r"/variations", "variation"),
    (r"/products(/\d+|/batch)?", "product"),
    (r"/orders/\d+/refunds(/\d+)?", "refund"),
    (r"/orders(/\d+|/batch)?", "order"),
    (r"/webhooks(/\d+|/batch)?", "webhook"),
    (r"/settings/.*", "setting"),
)
_OPEN = frozenset({"error.data", "error.data.params", "error.data.details", "failed row.error.data"})
"""Objects whose keys depend on what was asked."""

_VARYING = frozenset({"permalink_template", "generated_slug"})
"""Keys that only the answers to writes have."""


@dataclass(slots=True)
class Shape:
    """What was seen at one place: types, keys of objects, members of lists."""

    types: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    sometimes: set[str] = field(default_factory=set)
    below: dict[str, Shape] = field(default_factory=dict)
    members: Shape | None = None

    def learn(self, value: Any) -> None:
        """One more value that a real shop has there."""
        self.types.add(_type(value))
        if isinstance(value, dict):
            if self.below:
                self.sometimes |= self.keys ^ set(value)
            self.keys |= set(value)
            for name, each in value.items():
                self.below.setdefault(name, Shape()).learn(each)
        if isinstance(value, list):
            for each in value:
                self.members = self.members or Shape()
                self.members.learn(each)

    def problems(self, value: Any, where: str) -> Iterator[str]:
        """Where a value is not as those that were seen."""
        if _type(value) not in self.types | DOCUMENTED.get(where, set()):
            yield f"{where} is {value!r}, not of {sorted(self.types)}"
        elif isinstance(value, dict) and self.keys and where not in _OPEN:
            found = self.keys ^ set(value)
            if odd := found - self.sometimes - _VARYING:
                yield f"{where}: {sorted(odd)} is in one of them only"
            for name in self.keys & set(value):
                yield from self.below[name].problems(value[name], f"{where}.{name}")
        elif isinstance(value, list) and self.members is not None:
            for each in value:
                yield from self.members.problems(each, where)


class Shapes:
    """Learnt from the recordings, by the kind of thing that an answer shows."""

    def __init__(self, recorded: Iterable[Recorded]) -> None:
        self._kinds: dict[str, Shape] = {}
        for row in recorded:
            for kind, value in _things(row.path, row.raw_query, row.status, row.body):
                self._kinds.setdefault(kind, Shape()).learn(value)

    def problems(self, exchange: Exchange) -> list[str]:
        """Where an answer of ours has another shape than a real one; nothing for kinds that were not recorded."""
        request, reply = exchange.request, exchange.reply
        if reply.fate != "arrives" or not reply.headers.get("content-type", "").startswith("application/json"):
            return []
        try:
            body = json.loads(reply.body)
        except ValueError:
            return []
        found: list[str] = []
        for kind, value in _things(request.path, request.raw_query, reply.status, body):
            if kind in self._kinds:
                found += self._kinds[kind].problems(value, kind)
        return found


def _things(path: str, query: bytes, status: int, body: Any) -> Iterator[tuple[str, Any]]:
    """The things that an answer shows, each with its kind."""
    if status >= 400:
        yield "error", body
        return
    route = path.removeprefix("/wp-json/wc/v3")
    kind = next((kind for pattern, kind in _KINDS if re.fullmatch(pattern, route)), None)
    if kind is None or b"_fields" in query:
        return
    if route.endswith("/batch"):
        for results in body.values():
            for each in results:
                yield ("failed row", each) if "error" in each else (kind, each)
    elif isinstance(body, list):
        for each in body:
            yield kind, each
    else:
        yield kind, body


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__
