"""How domain values are kept in JSON columns: short names, so that rows stay small; a version is never guessed.

`load_*(dump_*(x)) == x` for every value (a property test holds it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from channelsync.domain.booked import BookedLine, BookedOrder, Leg
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.rises import Rise
from channelsync.domain.sourcing import SoldAs

_MOVED = ("cancelled", "lost", "shipped", "returned", "withheld")
_OF_A_LEG = ("open", "shipped", "released", "expired", "lost", "returned", "withheld")


def dump(value: object) -> bytes:
    """Any plain value (dict, list, str, int, None, datetime) as JSON."""
    return orjson.dumps(value)


def load(raw: bytes | str) -> Any:
    """The plain value of a JSON column; None for an empty one."""
    return orjson.loads(raw) if raw else None


def dump_risen(rises: Sequence[Rise]) -> str:
    """Rises as JSON; empty text for none."""
    plain = [[rise.units, rise.window_from, rise.window_to] for rise in rises]
    return orjson.dumps(plain).decode() if plain else ""


def load_risen(raw: str) -> tuple[Rise, ...]:
    """The rises that `dump_risen` wrote."""
    if not raw:
        return ()
    return tuple(Rise(units, _time(since), _time(until)) for units, since, until in orjson.loads(raw))


def dump_snapshot(order: OrderSnapshot) -> bytes:
    """An order as the channel told it."""
    return orjson.dumps(
        {
            "order": order.order,
            "version": order.version,
            "placed": order.placed_at,
            "status": order.status.value,
            "deducted": order.deducted_at,
            "cancelled": order.cancelled_at,
            "lines": [_dump_line(line) for line in order.lines],
        }
    )


def load_snapshot(raw: bytes) -> OrderSnapshot:
    """The order that `dump_snapshot` wrote."""
    said = orjson.loads(raw)
    # Databases of revision 0001 call it `paid`; an upgrade leaves those rows as they are until their order changes.
    deducted = said["deducted"] if "deducted" in said else said["paid"]
    return OrderSnapshot(
        order=said["order"],
        version=_time(said["version"]),
        placed_at=_time(said["placed"]),
        status=OrderStatus(said["status"]),
        deducted_at=_maybe_time(deducted),
        cancelled_at=_maybe_time(said["cancelled"]),
        lines=tuple(_load_line(line) for line in said["lines"]),
    )


def dump_booked(order: BookedOrder) -> bytes:
    """What we booked of an order; its channel, id, version, content and status have columns of their own."""
    return orjson.dumps({"bookings": order.bookings, "lines": [_dump_booked_line(line) for line in order.lines]})


def _dump_booked_line(line: BookedLine) -> dict[str, object]:
    return {
        "line": line.line,
        "sold": [line.sold.item, line.sold.multiple] if line.sold else None,
        "deducted": line.deducted,
        "back": line.given_back,
        "legs": [[leg.location, leg.takes, *(getattr(leg, name) for name in _OF_A_LEG)] for leg in line.legs],
    }


def load_booked(raw: bytes, *, channel: str, order: str, version: datetime, content: str, status: str) -> BookedOrder:
    """The booked order that `dump_booked` wrote, with what its columns say."""
    stored = orjson.loads(raw)
    lines = tuple(
        BookedLine(
            line=line["line"],
            sold=SoldAs(*line["sold"]) if line["sold"] else None,
            legs=_load_legs(line["legs"], line.get("withheld", 0)),
            deducted=line["deducted"],
            given_back=line["back"],
        )
        for line in stored["lines"]
    )
    return BookedOrder(
        channel=channel,
        order=order,
        version=version,
        content=content,
        status=OrderStatus(status),
        lines=lines,
        bookings=stored["bookings"],
    )


def _load_legs(raw: list[Any], withheld: int) -> tuple[Leg, ...]:
    """The legs of a line. withheld: what rows of revision 0001 say of all legs together; it is on the first of them."""
    legs = []
    for number, (location, takes, *units) in enumerate(raw, start=1):
        leg = Leg(
            number=number,
            location=location,
            takes=tuple((item, each) for item, each in takes),
            **dict(zip(_OF_A_LEG, units, strict=False)),
        )
        aside = min(withheld, leg.returned)
        withheld -= aside
        legs.append(replace(leg, withheld=aside) if aside else leg)
    return tuple(legs)


def _dump_line(line: OrderLine) -> dict[str, object]:
    said: dict[str, object] = {"line": line.line, "ordered": line.ordered}
    if line.listing is not None:
        said["listing"] = line.listing
    if line.sku is not None:
        said["sku"] = line.sku
    if line.location is not None:
        said["location"] = line.location
    for name in _MOVED:
        moved: tuple[Moved, ...] = getattr(line, name)
        if moved:
            said[name] = [[m.units, m.at, m.location] for m in moved]
    return said


def _load_line(said: dict[str, Any]) -> OrderLine:
    moved = {
        name: tuple(Moved(units=units, at=_maybe_time(at), location=where) for units, at, where in said.get(name, ()))
        for name in _MOVED
    }
    return OrderLine(
        line=said["line"],
        ordered=said["ordered"],
        listing=said.get("listing"),
        sku=said.get("sku"),
        location=said.get("location"),
        **moved,
    )


def _time(raw: str) -> datetime:
    return datetime.fromisoformat(raw)


def _maybe_time(raw: str | None) -> datetime | None:
    return None if raw is None else datetime.fromisoformat(raw)
