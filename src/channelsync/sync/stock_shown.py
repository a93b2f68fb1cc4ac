"""Positions and items as they are told, after a change and when somebody looks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from channelsync.domain.quantities import Position
from channelsync.store import items
from channelsync.store.positions_view import (
    IncomingOnView,
    PositionOnView,
    PositionsWanted,
    ReservationOnView,
    find_positions,
    incoming_of,
    open_reservations,
)
from channelsync.sync.items import item_named


@dataclass(frozen=True, slots=True)
class Told:
    """A position as a command tells it. oversold: units that are promised and not there."""

    sku: str
    location: str
    on_hand: int
    reserved: int
    withheld: int
    available: int
    oversold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOnView:
    """One item whole: its sums over all locations, and where its units are, what holds them, what is on its way."""

    sku: str
    item: str
    title: str
    on_hand: int
    reserved: int
    withheld: int
    available: int
    oversold: int
    positions: list[PositionOnView]
    reservations: list[ReservationOnView]
    incoming: list[IncomingOnView]


def told(connection: Connection, positions: Iterable[Position]) -> list[Told]:
    """Positions with the SKUs of their items."""
    found = list(positions)
    skus = {name: item.sku for name, item in items.items_by_id(connection, {one.key.item for one in found}).items()}
    return [
        Told(
            sku=skus[one.key.item],
            location=one.key.location,
            on_hand=one.on_hand,
            reserved=one.reserved,
            withheld=one.withheld,
            available=one.available,
            oversold=max(0, -one.available),
        )
        for one in found
    ]


def view_item(connection: Connection, sku: str) -> ItemOnView:
    """The item that a SKU or alias leads to, whole. Raises Refused: there is none."""
    item = item_named(connection, sku)
    positions = list(find_positions(connection, PositionsWanted(items=[item.id], everything=True)))
    return ItemOnView(
        sku=item.sku,
        item=item.id,
        title=item.title,
        on_hand=sum(one.on_hand for one in positions),
        reserved=sum(one.reserved for one in positions),
        withheld=sum(one.withheld for one in positions),
        available=sum(one.available for one in positions),
        oversold=sum(one.oversold for one in positions),
        positions=positions,
        reservations=open_reservations(connection, item.id),
        incoming=incoming_of(connection, item.id),
    )
