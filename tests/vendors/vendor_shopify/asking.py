"""What a field's function is given: its arguments and the call that it is part of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from channelsync.lab.faults import Fault, FaultKind
from vendor_shopify.connections import WHOLE, Row, Spoilt, connection
from vendor_shopify.errors import Node

T = TypeVar("T")


@dataclass(slots=True)
class Call:
    """One operation under way. scopes: granted, with what they imply. host: how the caller reached us.

    whole: connections need no page size (bulk operations). fault: spoils rows and pages.
    searches: what the answer tells about search queries. key: of @idempotent on the mutation that runs.
    """

    scopes: frozenset[str]
    host: str
    whole: bool = False
    fault: Fault | None = None
    searches: list[Node] = field(default_factory=list)

    def met(self, kind: FaultKind) -> bool:
        """Whether this call meets such a fault."""
        return self.fault is not None and self.fault.kind is kind


@dataclass(frozen=True, slots=True)
class Ask:
    """One field that is asked for. key: of its @idempotent directive; empty where it has none."""

    args: Mapping[str, Any]
    call: Call
    path: tuple[str, ...] = ()
    key: str | None = None

    def page(self, rows: Sequence[Row[T]], node: Callable[[T], Node], *, root: bool = False) -> Node:
        """The rows as the connection that was asked for. root: a fault of pages may spoil it."""
        spoilt = WHOLE
        if root:
            spoilt = Spoilt(self.call.met(FaultKind.ROWS_TWICE), self.call.met(FaultKind.SAME_CURSOR))
        return connection(rows, self.args, node, whole=self.call.whole, spoilt=spoilt)

    def cut(self, rows: Sequence[T]) -> list[T]:
        """The rows of a plain list that takes a page size."""
        first = self.args.get("first")
        return list(rows[:first] if first is not None else rows)


def given(node: Node) -> Callable[[Ask], Node]:
    """A field's function that always gives this."""
    return lambda _: node
