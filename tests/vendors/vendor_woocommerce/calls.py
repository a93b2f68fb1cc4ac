"""What a route gets and gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from channelsync.lab.faults import Fault, FaultKind
from vendor_woocommerce.params import Arg, bad_json, read_body, read_params
from vendor_woocommerce.php import QueryValue

Action = Literal["list", "view", "create", "edit", "delete", "batch"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route says. headers: beside those of every answer."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered.

    base: the site's address. ids: those in the path. fault: spoils rows and pages.
    """

    method: str
    path: str
    query: Mapping[str, QueryValue]
    body: bytes
    base: str
    now: datetime
    ids: tuple[int, ...]
    fault: Fault | None

    def params(self, args: Mapping[str, Arg]) -> dict[str, Any]:
        """The query's parameters. Raises WooError."""
        return read_params(args, self.query)

    def json(self) -> dict[str, Any]:
        """The body as an object; empty when there is none. Raises WooError for what is no JSON."""
        if not self.body.strip():
            return {}
        try:
            content = json.loads(self.body, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise bad_json() from None
        return content if isinstance(content, dict) else {}

    def changes(self, args: Mapping[str, Arg]) -> dict[str, Any]:
        """What the body, or else the query, names of these. Raises WooError."""
        return read_body(args, {**{k: v for k, v in self.query.items() if k in args}, **self.json()})

    def met(self, kind: FaultKind) -> bool:
        """Whether this call meets such a fault."""
        return self.fault is not None and self.fault.kind is kind


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a namespace. path: a regular expression whose groups are ids. name: as faults and counts call it."""

    method: str
    path: str
    name: str
    action: Action
    answer: Handler = field(repr=False)
