"""What a real shop says that its routes take: the list of routes that its API gives, as the judge of requests.

    routes = Routes.read(folder)            # the folder of the recorded answers; the index is one of them
    problems = routes.problems("GET", "/wp-json/wc/v3/orders", b"status=any&page=1", b"")

WordPress ignores parameters that it does not know; here they are problems, for nobody means to be ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from vendor_woocommerce.dates import is_date
from vendor_woocommerce.php import boolean, is_integer, parse_query

Args = Mapping[str, Mapping[str, Any]]

_ROOT = "/wp-json"
_EVERYWHERE = frozenset({"_fields", "_method", "_envelope", "_embed", "consumer_key", "consumer_secret"})
"""What WordPress takes on every route (its handbook, «global parameters»), and the key in the address."""

_ROWS = ("create", "update")
_KEYS = ("type", "enum", "minimum", "maximum", "items", "properties")

NEWER = {"/wc/v3/variations": r"/wc/v3/products/(?P<product_id>[\d]+)/variations"}
"""Routes that are newer than the shop that was asked (WooCommerce 10.3), and the route whose parameters they take."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. name: the path as the shop writes it. batch: its body holds rows, by what to do."""

    name: str
    args: Args
    batch: bool


class Routes:
    """The routes of a shop."""

    def __init__(self, index: Mapping[str, Any]) -> None:
        self._routes = dict(index["routes"])
        self._routes |= {name: self._routes[like] for name, like in NEWER.items() if name not in self._routes}

    @classmethod
    def read(cls, recordings: Path) -> Routes:
        """Out of the recorded answers of a shop."""
        (file,) = recordings.glob("*_index.json")
        return cls(json.loads(file.read_text(encoding="utf-8"))["response"]["body"])

    def route(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route, and what the path itself tells; None: the shop has none."""
        for name, told in self._routes.items():
            match = re.fullmatch(name, path.removeprefix(_ROOT).rstrip("/"))
            for endpoint in told["endpoints"] if match is not None and path.startswith(_ROOT) else ():
                if method in endpoint["methods"]:
                    args = endpoint["args"] or {}
                    return Route(name, args, name.endswith("/batch")), match.groupdict() if match else {}
        return None

    def problems(self, method: str, path: str, raw_query: bytes, body: bytes) -> list[str]:
        """What of a request the shop's route does not take; empty where it takes all."""
        found = self.route(method, path)
        if found is None:
            return [f"{method} {path}: there is no such route"]
        route, in_path = found
        query = {name: value for name, value in parse_query(raw_query).items() if not name.startswith("oauth_")}
        wrong = [*self._given({**in_path, **query}, route.args)]
        sent = json.loads(body) if body else {}
        if route.batch:
            wrong += self._batch(sent, route.args)
        else:
            wrong += self._values(sent, route.args)
            named = {*in_path, *query, *sent}
            wrong += [
                f"{name} is required" for name, arg in route.args.items() if arg.get("required") and name not in named
            ]
        return [f"{method} {route.name}: {one}" for one in wrong]

    def _given(self, texts: Mapping[str, Any], args: Args) -> Iterator[str]:
        """The path's and the query's parameters, which are texts."""
        values = {name: _value(text, args[name]) if name in args else text for name, text in texts.items()}
        known = {name: value for name, value in values.items() if name not in _EVERYWHERE}
        # What a path is told apart by may go by another name among the arguments (`group_id`, `group`).
        in_path = {name for name in known if name not in args and name.endswith("_id")}
        yield from self._values({name: value for name, value in known.items() if name not in in_path}, args)

    def _batch(self, body: Any, args: Args) -> Iterator[str]:
        for what, rows in body.items():
            if what in _ROWS:
                for row in rows:
                    yield from self._values({name: value for name, value in row.items() if name != "id"}, args)
                    if what == "update" and not is_integer(row.get("id")):
                        yield f"a row to update has no id: {row}"
            elif what != "delete":
                yield f"{what} is nothing that a batch does"

    def _values(self, values: Mapping[str, Any], args: Args) -> Iterator[str]:
        for name, value in values.items():
            if name not in args:
                yield f"{name} is no parameter of it"
                continue
            schema = {key: args[name][key] for key in _KEYS if args[name].get(key) is not None}
            for error in Draft7Validator(schema).iter_errors(value):
                yield f"{name}: {error.message[:200]}"
            if args[name].get("format") == "date-time" and not (isinstance(value, str) and is_date(value)):
                yield f"{name}: {value!r} is no time"


def _value(text: Any, arg: Mapping[str, Any]) -> Any:
    """A text of an address as WordPress reads it for such a parameter; what it cannot read stays a text."""
    kinds = arg.get("type") or ()
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if "array" in kinds:
        several = list(text.values()) if isinstance(text, dict) else [one for one in re.split(r"[\s,]+", text) if one]
        return [_value(one, arg.get("items") or {}) for one in several]
    if "integer" in kinds and is_integer(text):
        return int(float(text))
    if "boolean" in kinds and boolean(text) is not None:
        return boolean(text)
    return text
