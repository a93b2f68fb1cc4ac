"""What a query costs, and the bucket that pays.

The formula of the requested cost was fitted to the recorded answers: 105 of the 111 documents in them that still fit
the 2026-10 schema come out exactly. An object costs 1; a connection 2 and, for every row's cost, max(1, floor(2 ln n))
times it, n being `first` or `last`; a mutation 10, what its payload holds directly nothing; money, measurements and
userErrors nothing. The actual cost is an estimate: by the rows that came, never above the requested cost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    IntValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

from channelsync.lab.marketplace_values import Violation
from vendor_shopify.schema import AdminSchema

QUERY_MAX = 1000
"""The most that one query may cost."""

Plan = Literal["standard", "advanced", "plus", "enterprise"]
RATES: Mapping[Plan, int] = {"standard": 100, "advanced": 200, "plus": 1000, "enterprise": 2000}
"""Points a second; the bucket holds 20 times as many [shopify.dev, GraphQL Admin API rate limits; recorded answers]."""

_FREE = frozenset({"MoneyBag", "MoneyV2", "InventoryItemMeasurement"})
_MUTATIONS = {"refundCreate": 20, "fulfillmentTrackingInfoUpdate": 50}
_MUTATION = 10


class Costs:
    """The cost of one operation."""

    def __init__(
        self,
        schema: AdminSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:
        self._types = schema.graphql.type_map
        self._query, self._mutation = schema.query, schema.mutation
        self._operation = operation
        self._variables = variables
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }

    def requested(self) -> int:
        """Before it runs."""
        return max(1, self._selected([self._operation.selection_set], self._root, None))

    def actual(self, data: Mapping[str, Any] | None) -> int:
        """By what came; the requested cost is the most."""
        if data is None:
            return 0
        return max(1, min(self.requested(), self._selected([self._operation.selection_set], self._root, data)))

    @property
    def _root(self) -> GraphQLObjectType:
        return self._mutation if self._operation.operation is OperationType.MUTATION else self._query

    def _selected(self, sets: list[SelectionSetNode], kind: GraphQLNamedType, data: Mapping[str, Any] | None) -> int:
        """data: what came; None: whatever may come, of abstract types the dearest."""
        if data is not None and is_abstract_type(kind):
            name = data.get("__typename") or str(data.get("id", "")).partition("shopify/")[2].partition("/")[0]
            kind = self._types.get(name, kind)
        fields: dict[str, list[FieldNode]] = {}
        others: dict[str, list[SelectionSetNode]] = {}
        for field, on in self._fields(sets):
            if on is None or on is kind or isinstance(on, GraphQLInterfaceType):
                name = (field.alias or field.name).value
                fields.setdefault(name, []).append(field)
            elif data is None:
                others.setdefault(on.name, []).append(SelectionSetNode(selections=(field,)))
        cost = sum(
            self._field(nodes, kind, None if data is None else _Came(data.get(name))) for name, nodes in fields.items()
        )
        return cost + max((self._selected(each, self._types[on], None) for on, each in others.items()), default=0)

    def _fields(self, sets: list[SelectionSetNode]) -> Iterator[tuple[FieldNode, GraphQLNamedType | None]]:
        """All fields, each with the type that the innermost fragment around it narrows to."""
        for each in sets:
            for node in each.selections:
                if isinstance(node, FieldNode):
                    yield node, None
                    continue
                fragment = self._fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
                condition = fragment.type_condition  # type: ignore[union-attr]
                here = self._types[condition.name.value] if condition else None
                for field, inner in self._fields([fragment.selection_set]):  # type: ignore[union-attr]
                    yield field, inner or here

    def _field(self, nodes: list[FieldNode], kind: GraphQLNamedType, came: _Came | None) -> int:
        name = nodes[0].name.value
        if name.startswith("__") or name.lower().endswith("usererrors"):
            return 0
        found = get_named_type(getattr(kind, "fields")[name].type)  # noqa: B009 - only types with fields come here
        if is_leaf_type(found) or found.name in _FREE:
            return 0
        inner = [node.selection_set for node in nodes if node.selection_set]
        if kind is self._mutation:
            return _MUTATIONS.get(name, _MUTATION) + self._payload(inner, found, came)
        return 0 if came is not None and came.value is None else self._object(nodes[0], inner, found, came)

    def _object(
        self, node: FieldNode, inner: list[SelectionSetNode], found: GraphQLNamedType, came: _Came | None
    ) -> int:
        if found.name.endswith("Connection"):
            return self._connection(node, inner, found, came)
        if came is None:
            return 1 + self._selected(inner, found, None)
        rows = came.value if isinstance(came.value, list) else [came.value]
        return min(1, len(rows)) + max(
            (self._selected(inner, found, row) for row in rows if row is not None), default=0
        )

    def _payload(self, inner: list[SelectionSetNode], found: GraphQLNamedType, came: _Came | None) -> int:
        """What a mutation's payload holds directly costs nothing itself."""
        if came is not None and came.value is None:
            return 0
        data = came.value if came else None
        whole = self._selected(inner, found, data)
        free = 0
        for field, _ in self._fields(inner):
            name = field.name.value
            if name.startswith("__") or name.lower().endswith("usererrors"):
                continue
            kind = get_named_type(getattr(found, "fields")[name].type)  # noqa: B009
            there = data is None or data.get((field.alias or field.name).value)
            counted = not is_leaf_type(kind) and kind.name not in _FREE and not kind.name.endswith("Connection")
            free += 1 if counted and there else 0
        return whole - free

    def _connection(
        self, node: FieldNode, inner: list[SelectionSetNode], found: GraphQLNamedType, came: _Came | None
    ) -> int:
        rows = self._rows(inner, found, came)
        if came is None:
            sizes = [self._number(each.value) for each in node.arguments or () if each.name.value in ("first", "last")]
            return 2 + _growth(max(sizes, default=0)) * max(rows, default=0)
        return 2 + (_growth(len(rows)) * sum(rows) // len(rows) if rows else 0)

    def _rows(self, inner: list[SelectionSetNode], found: GraphQLNamedType, came: _Came | None) -> list[int]:
        """The cost of each row; of one row that may come, where nothing came yet."""
        rows: dict[int, int] = {}
        for field, _ in self._fields(inner):
            name = field.name.value
            sets = [field.selection_set] if field.selection_set else []
            if name not in ("nodes", "edges"):
                continue
            kind = get_named_type(getattr(found, "fields")[name].type)  # noqa: B009
            values: list[Any] = [None] if came is None else came.value.get((field.alias or field.name).value) or []
            if name == "edges":
                edges = [edge for edge, _ in self._fields(sets) if edge.name.value == "node"]
                sets = [edge.selection_set for edge in edges if edge.selection_set]
                if not sets:
                    continue
                kind = get_named_type(getattr(kind, "fields")["node"].type)  # noqa: B009
                values = [None if value is None else value.get("node") for value in values]
            for at, value in enumerate(values):
                rows[at] = rows.get(at, 0) + 1 + self._selected(sets, kind, value)
        return list(rows.values())

    def _number(self, value: ValueNode) -> int:
        if isinstance(value, VariableNode):
            found: Any = self._variables.get(value.name.value, self._default(value.name.value))
            return found if isinstance(found, int) else 0
        return int(value.value) if isinstance(value, IntValueNode) else 0

    def _default(self, name: str) -> int:
        for each in self._operation.variable_definitions or ():
            if each.variable.name.value == name and isinstance(each.default_value, IntValueNode):
                return int(each.default_value.value)
        return 0


@dataclass(frozen=True, slots=True)
class _Came:
    """A value of an answer, to be told from no answer yet."""

    value: Any


def _growth(rows: int) -> int:
    return max(1, math.floor(2 * math.log(rows))) if rows else 1


@dataclass(frozen=True, slots=True)
class Status:
    """Of the bucket: throttleStatus."""

    maximum: float
    available: float
    rate: float

    def json(self) -> dict[str, float]:
        """As answers tell it."""
        return {
            "maximumAvailable": self.maximum,
            "currentlyAvailable": int(self.available),
            "restoreRate": self.rate,
        }


class Bucket:
    """The points of one app at one shop. A query must find its requested cost in it, and pays its actual cost."""

    def __init__(self, plan: Plan, name: str) -> None:
        self.rate = float(RATES[plan])
        self.size = 20 * self.rate
        self.violations: list[Violation] = []
        self.spent = 0.0
        self._name = name
        self._left = self.size
        self._at: datetime | None = None

    def status(self, now: datetime) -> Status:
        """Refilled up to now."""
        if self._at is not None:
            self._left = min(self.size, self._left + max(0.0, (now - self._at).total_seconds()) * self.rate)
        self._at = now
        return Status(self.size, self._left, self.rate)

    def allows(self, cost: float, now: datetime, endpoint: str) -> bool:
        """Whether it holds that much; if not, the call is noted as one over the budget."""
        left = self.status(now).available
        if left + 1e-9 < cost:
            self.violations.append(Violation(now, self._name, endpoint, cost, left, "second"))
            return False
        return True

    def pay(self, cost: float) -> None:
        """Takes points out."""
        self._left -= cost
        self.spent += cost
