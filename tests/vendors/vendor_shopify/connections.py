"""Pages: Relay connections over rows, with cursors that hold the sort value and the id of a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vendor_shopify.errors import Node, Refused
from vendor_shopify.ids import cursor, cursor_place

PAGE_MAX = 250

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row(Generic[T]):
    """A thing and its place: by `value`, and by its plain number where values are equal."""

    thing: T
    value: str | int
    number: str

    @property
    def rank(self) -> tuple[str | int, int]:
        """What sorts it."""
        return self.value, int(self.number)


@dataclass(frozen=True, slots=True)
class Spoilt:
    """How a fault spoils a page: rows come twice, or the end cursor leads here again."""

    twice: bool = False
    stuck: bool = False


WHOLE = Spoilt()


def by_number(things: Iterable[T], number: Callable[[T], str]) -> list[Row[T]]:
    """Rows sorted by their plain numbers."""
    return [Row(each, int(number(each)), number(each)) for each in things]


def connection(
    rows: Sequence[Row[T]],
    args: Mapping[str, Any],
    node: Callable[[T], Node],
    *,
    whole: bool = False,
    spoilt: Spoilt = WHOLE,
) -> Node:
    """A page of rows as the arguments ask. whole: no page size is needed (bulk operations).

    Raises Refused for a missing or too large page size, and for a cursor that is none.
    """
    ordered = sorted(rows, key=lambda row: row.rank)
    if args.get("reverse"):
        ordered.reverse()
    ordered, before, after = _between(ordered, args)
    first, last = args.get("first"), args.get("last")
    if not whole:
        _check(first, last)
    chosen = ordered
    if first is not None:
        chosen, after = ordered[:first], after or len(ordered) > first
    elif last is not None:
        chosen, before = ordered[-last:] if last else [], before or len(ordered) > last
    if spoilt.twice:
        chosen = [*chosen, *chosen[:2]]
    return _page(chosen, node, before=before, after=after, stuck=args.get("after") if spoilt.stuck else None)


def _page(rows: Sequence[Row[T]], node: Callable[[T], Node], *, before: bool, after: bool, stuck: str | None) -> Node:
    kept: dict[int, Node] = {}

    def one(at: int) -> Node:
        if at not in kept:
            kept[at] = node(rows[at].thing)
        return kept[at]

    marks = [cursor(row.value, row.number) for row in rows]
    return {
        "nodes": lambda _: [one(at) for at in range(len(rows))],
        "edges": lambda _: [{"cursor": mark, "node": lambda _, at=at: one(at)} for at, mark in enumerate(marks)],
        "pageInfo": {
            "hasNextPage": after or stuck is not None,
            "hasPreviousPage": before,
            "startCursor": marks[0] if marks else None,
            "endCursor": stuck or (marks[-1] if marks else None),
        },
    }


def _check(first: int | None, last: int | None) -> None:
    if first is None and last is None:
        raise Refused("you must provide one of first or last", "BAD_REQUEST")
    if first is not None and last is not None:
        raise Refused("providing both first and last is not supported", "BAD_REQUEST")
    name, size = ("first", first) if first is not None else ("last", last)
    if size is not None and not 0 <= size <= PAGE_MAX:
        raise Refused(f"{name} must be between 0 and {PAGE_MAX}, not {size}", "BAD_REQUEST")


def _between(rows: list[Row[T]], args: Mapping[str, Any]) -> tuple[list[Row[T]], bool, bool]:
    """Rows after `after` and before `before`, and whether some were cut off at either end."""
    cut_before = cut_after = False
    backwards = bool(args.get("reverse"))
    if args.get("after") is not None:
        place = _place(args["after"])
        kept = [row for row in rows if _later(row, place, backwards)]
        cut_before, rows = len(kept) < len(rows), kept
    if args.get("before") is not None:
        place = _place(args["before"])
        kept = [row for row in rows if row.rank != place and not _later(row, place, backwards)]
        cut_after, rows = len(kept) < len(rows), kept
    return rows, cut_before, cut_after


def _place(text: str) -> tuple[str | int, int]:
    place = cursor_place(text)
    if place is None:
        raise Refused("Invalid cursor for current pagination sort.", "BAD_REQUEST")
    return place


def _later(row: Row[T], place: tuple[str | int, int], backwards: bool) -> bool:
    try:
        return row.rank < place if backwards else row.rank > place
    except TypeError:
        raise Refused("Invalid cursor for current pagination sort.", "BAD_REQUEST") from None
