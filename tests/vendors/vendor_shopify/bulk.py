"""Bulk operations: which run, what they refuse, and the lines of their result files."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    get_operation_ast,
    parse,
    visit,
)

from vendor_shopify.ids import Numbers, plain
from vendor_shopify.schema import AdminSchema

URL_LIFE = timedelta(days=7)
"""How long a result can be fetched [shopify.dev, Perform bulk operations with the Admin API]."""

TAKES = timedelta(seconds=8)
"""How long an operation runs here."""

CONNECTIONS_MAX, DEPTH_MAX = 5, 2


@dataclass(slots=True)
class BulkOperation:
    """One operation. lines: of the result, computed at the start. ends: when it is done, by the marketplace's clock."""

    number: str
    query: str
    since: datetime
    ends: datetime
    lines: list[bytes]
    roots: int
    url: str
    error: str = ""
    cancelled: datetime | None = None

    @property
    def content(self) -> bytes:
        """The result file: JSON lines."""
        return b"".join(line + b"\n" for line in self.lines)

    def status(self, now: datetime) -> str:
        """BulkOperationStatus."""
        if self.cancelled is not None:
            return "CANCELED" if now >= self.cancelled + timedelta(seconds=2) else "CANCELING"
        if now < self.ends:
            return "CREATED" if now < self.since + timedelta(seconds=1) else "RUNNING"
        if self.error:
            return "FAILED"
        return "EXPIRED" if now >= self.ends + URL_LIFE else "COMPLETED"


class BulkBook:
    """All operations. at_once: how many may run together. fail_next: the code with which the next one fails."""

    def __init__(self, numbers: Numbers, rng: random.Random, *, at_once: int) -> None:
        self.all: dict[str, BulkOperation] = {}
        self.at_once = at_once
        self.takes = TAKES
        self.fail_next = ""
        self._numbers = numbers
        self._rng = rng
        self._files: dict[str, BulkOperation] = {}

    @property
    def latest(self) -> BulkOperation | None:
        """The one started last."""
        return next(reversed(self.all.values()), None)

    def find(self, name: str) -> BulkOperation | None:
        """By global id."""
        return self.all.get(plain(name, "BulkOperation") or "")

    def running(self, now: datetime) -> list[BulkOperation]:
        """Those that are not over yet."""
        return [each for each in self.all.values() if each.status(now) in ("CREATED", "RUNNING", "CANCELING")]

    def start(self, query: str, lines: list[bytes], roots: int, now: datetime, host: str) -> BulkOperation:
        """A new one."""
        secret = f"{self._rng.getrandbits(96):024x}"
        scheme = "http" if ":" in host else "https"
        made = BulkOperation(
            self._numbers.new("BulkOperation"),
            query,
            now,
            now + self.takes,
            lines,
            roots,
            f"{scheme}://{host}/bulk/{secret}.jsonl",
            self.fail_next,
        )
        self.fail_next = ""
        self.all[made.number] = self._files[secret] = made
        return made

    def file(self, path: str, now: datetime) -> bytes | None:
        """The result at a path; None where there is none (any more)."""
        found = self._files.get(path.removeprefix("/bulk/").removesuffix(".jsonl"))
        return found.content if found is not None and found.status(now) in ("COMPLETED", "FAILED") else None


# What is refused, in the words of the recorded answers


class _Walk(Visitor):
    """Collects the connections of a bulk query, their depth and their parents."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.names: list[str] = []
        self.by_nodes: list[str] = []
        self.without_id: list[str] = []
        self.deepest = 0
        self.in_list = False
        self._open: list[str] = []
        self._way: list[FieldNode] = []
        self._lists = 0

    def enter_field(self, node: FieldNode, *_: object) -> None:
        kind = self.types.get_type()
        if _is_connection(kind):
            self.names.append(node.name.value)
            self.in_list = self.in_list or self._lists > 0
            if any(name == "nodes" for name in _children(node)):
                self.by_nodes.append(node.name.value)
            if self._open and self._way and "id" not in _plain_children(self._way[-1]):
                self.without_id.append(self._open[-1])
            self._open.append(node.name.value)
            self.deepest = max(self.deepest, len(self._open))
        elif _is_list(kind) and node.name.value != "edges":
            self._lists += 1
        self._way.append(node)

    def leave_field(self, node: FieldNode, *_: object) -> None:
        self._way.pop()
        kind = self.types.get_type()
        if _is_connection(kind):
            self._open.pop()
        elif _is_list(kind) and node.name.value != "edges":
            self._lists -= 1


def _is_connection(kind: GraphQLOutputType | None) -> bool:
    return kind is not None and get_named_type(kind).name.endswith("Connection")


def _is_list(kind: GraphQLOutputType | None) -> bool:
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    return isinstance(inner, GraphQLList)


def _children(node: FieldNode) -> Iterator[str]:
    for each in node.selection_set.selections if node.selection_set else ():
        if isinstance(each, FieldNode):
            yield each.name.value


def _plain_children(node: FieldNode) -> list[str]:
    selections = node.selection_set.selections if node.selection_set else ()
    return [each.name.value for each in selections if isinstance(each, FieldNode) and each.alias is None]


def refusals(schema: AdminSchema, query: str) -> list[str]:
    """Why a bulk query is not run; empty for a good one. Whether it fits the schema is looked at elsewhere."""
    try:
        document = parse(query)
    except GraphQLError as error:
        at_end = not query.strip() or "<EOF>" in error.message
        said = "unexpected end of file" if at_end else error.message.removeprefix("Syntax Error: ")
        return [f"Invalid bulk query: syntax error, {said}"]
    operation = get_operation_ast(document, None)
    if operation is None or operation.operation is not OperationType.QUERY:
        return ["Invalid operation type. Only `query` operations are supported."]
    top = [each.name.value for each in operation.selection_set.selections if isinstance(each, FieldNode)]
    at_top = [f"Bulk queries cannot contain a top level `{name}` field." for name in ("node", "nodes") if name in top]
    types = TypeInfo(schema.graphql)
    walk = _Walk(types)
    visit(document, TypeInfoVisitor(types, walk))
    shape = _shape(walk)
    return [*at_top, *([shape] if shape else [])]


def _shape(walk: _Walk) -> str | None:
    by_nodes = next(iter(walk.by_nodes), "")
    checks = (
        (not walk.names, "Bulk queries must contain at least one connection."),
        (
            bool(by_nodes),
            "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: "
            f"'{by_nodes} {{ edges {{ node {{'. Selecting via 'nodes' is not supported. "
            f"Invalid connection fields: '{by_nodes}'.",
        ),
        (walk.in_list, "Queries that contain a connection field within a list field are not currently supported."),
        (
            len(walk.names) > CONNECTIONS_MAX,
            f"Bulk queries cannot contain more than {CONNECTIONS_MAX} connections.",
        ),
        (
            walk.deepest > DEPTH_MAX,
            f"Bulk queries cannot contain connections with a nesting depth greater than {DEPTH_MAX}.",
        ),
        (
            bool(walk.without_id),
            "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be "
            f"of 'ID' return type. Connection fields without 'id': {', '.join(walk.without_id)}.",
        ),
    )
    return next((said for wrong, said in checks if wrong), None)


# The result


def lines_of(data: dict[str, Any] | None) -> tuple[list[bytes], int]:
    """The lines of a result, children right behind their parent with its id in `__parentId`; and how many roots."""
    lines: list[bytes] = []
    roots = 0
    for value in (data or {}).values():
        for node in _nodes(value):
            roots += 1
            _write(node, None, lines)
    return lines, roots


def _nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict) and "edges" in value:
        return [edge["node"] for edge in value["edges"]]
    if isinstance(value, dict):
        return [node for inner in value.values() for node in _nodes(inner)]
    return []


def _write(node: dict[str, Any], parent: str | None, lines: list[bytes]) -> None:
    own, children = _apart(node)
    lines.append(orjson.dumps(own | ({"__parentId": parent} if parent is not None else {})))
    for child in children:
        _write(child, node.get("id"), lines)


def _apart(node: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An object without its connections, and the nodes of those; objects in between keep what else they hold."""
    own: dict[str, Any] = {}
    children: list[dict[str, Any]] = []
    for name, value in node.items():
        if isinstance(value, dict) and "edges" in value:
            children += _nodes(value)
        elif isinstance(value, dict):
            own[name], more = _apart(value)
            children += more
        else:
            own[name] = value
    return own, children
