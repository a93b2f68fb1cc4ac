"""fulfillmentOrderMove: units of an order that another location is to ship, as a seller's click does it.

The order itself is not dated anew, for nobody says that it is; its fulfilment orders are, by the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from channelsync.lab.marketplace_values import Line, NumberKey
from vendor_shopify.asking import Ask
from vendor_shopify.errors import Node, NotSimulated, failed, user_error
from vendor_shopify.ids import plain
from vendor_shopify.nodes_after import Parcel
from vendor_shopify.nodes_orders import OrderNodes
from vendor_shopify.orders import Item
from vendor_shopify.shop import Shop

_REPORTED = "CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS"
_PAYLOAD = ("movedFulfillmentOrder", "originalFulfillmentOrder", "remainingFulfillmentOrder")


class MoveMutations:
    """Moves fulfilment orders, whole or line by line. Parts of a line, and lines shipped in part, are not simulated."""

    def __init__(self, shop: Shop, nodes: OrderNodes) -> None:
        self._shop = shop
        self._market = shop.marketplace
        self._after = nodes.after

    def roots(self) -> Mapping[str, Callable[[Ask], Node]]:
        """By name."""
        return {"fulfillmentOrderMove": self.move}

    def move(self, ask: Ask) -> Node:
        """fulfillmentOrderMove."""
        parcel = self._find(plain(ask.args["id"], "FulfillmentOrder") or "")
        to = plain(ask.args["newLocationId"], "Location") or ""
        items, errors = self._chosen(parcel, ask.args.get("fulfillmentOrderLineItems"))
        errors = errors or self._errors(parcel, items, to)
        if errors or parcel is None:
            return failed(errors, *_PAYLOAD)
        moved = self._moved(parcel, items, to)
        shown = {each.number: self._after.parcel(each) for each in self._after.parcels(self._order(parcel))}
        return dict(zip(_PAYLOAD, (shown[moved], shown[parcel.number], None), strict=True)) | {"userErrors": []}

    def _find(self, number: str) -> Parcel | None:
        name = self._shop.numbers.name("FulfillmentOrder", number)
        found = self._after.parcels(self._market.orders[name[0]]) if name else []
        return next((each for each in found if each.number == number), None)

    def _order(self, parcel: Parcel) -> Any:
        return self._market.orders[parcel.order.id]

    def _chosen(
        self, parcel: Parcel | None, rows: Sequence[Mapping[str, Any]] | None
    ) -> tuple[tuple[Item, ...], list[Node]]:
        """The items to be moved, all that are still to ship unless they are named; or what is wrong with the names."""
        if parcel is None:
            return (), [user_error(["id"], "Fulfillment order does not exist.")]
        there = {
            self._shop.numbers.of("FulfillmentOrderLineItem", parcel.number, item.number): item
            for item in parcel.items
            if item.line.open
        }
        if not rows:
            return tuple(there.values()), []
        chosen = []
        for at, row in enumerate(rows):
            item = there.get(plain(row["id"], "FulfillmentOrderLineItem") or "")
            if item is None or not 0 < row["quantity"] <= item.line.open * item.each:
                field = ["fulfillmentOrderLineItems", at, "quantity"]
                return (), [user_error(field, "Invalid fulfillment order line item quantity requested.")]
            if row["quantity"] < item.line.open * item.each:
                raise NotSimulated("fulfillmentOrderMove of a part of a line")
            chosen.append(item)
        lines = {item.line.id for item in chosen}
        if any(item.line.id in lines and item not in chosen for item in there.values()):
            raise NotSimulated("fulfillmentOrderMove of a part of a bundle")
        return tuple(chosen), []

    def _errors(self, parcel: Parcel | None, items: Sequence[Item], to: str) -> list[Node]:
        """Why Shopify does not move them: the circumstances that the mutation's description lists."""
        place = self._shop.catalogue.locations.get(to)
        if parcel is None or place is None or not place.active:
            return [user_error(["newLocationId"], "Location does not exist.")]
        if parcel.status == "CLOSED":
            return [user_error(["id"], "Cannot move a fulfillment order that is closed.")]
        if parcel.in_progress:
            return [user_error(["id"], "Cannot move a fulfillment order that has progress reported.", _REPORTED)]
        if parcel.location == to:
            return [user_error(["newLocationId"], "The fulfillment order is assigned to this location already.")]
        stocked = {*self._market.quantity_keys()} - self._shop.catalogue.inactive
        wanted = {NumberKey(move.key.key, to) for item in items for move in item.line.moves}
        if not wanted <= stocked:
            return [user_error(["newLocationId"], "The location does not stock the requested inventory item.")]
        return []

    def _moved(self, parcel: Parcel, items: Sequence[Item], to: str) -> str:
        """The number of the fulfilment order that holds them now, as the mutation's description says of each case."""
        order = self._order(parcel)
        story = self._shop.book.story(order)
        lines = {item.line.id for item in items}
        if not story.confirmed or any(line.shipped for line in order.lines if line.id in lines):
            raise NotSimulated("fulfillmentOrderMove of a line that is unreserved or shipped in part")
        there = next((one for one in self._after.parcels(order) if one.location == to and one.status != "CLOSED"), None)
        whole = len(items) == len(parcel.items)
        number, changed = parcel.number, [parcel.number]
        if there is not None or not whole:
            number = self._shop.numbers.of("FulfillmentOrder", order.id, f"{to} {len(story.moved_at)}")
            changed.append(number)
        if there is not None:
            story.emptied.append((there.number, there.location, there.items))
            changed.append(there.number)
            if whole:
                story.emptied.append((parcel.number, parcel.location, parcel.items))
        # Items that stay were grouped by their location: they keep their fulfilment order by name.
        story.assigned |= {item.number: parcel.number for item in parcel.items}
        story.assigned |= {item.number: number for item in (*items, *(there.items if there else ()))}
        story.moved_at |= dict.fromkeys(changed, self._market.time())
        self._market.orders[order.id] = replace(
            order,
            lines=tuple(self._line(line, parcel.location, to) if line.id in lines else line for line in order.lines),
        )
        return number

    def _line(self, line: Line, place: str, to: str) -> Line:
        """The line at its new location: available and committed change places."""
        numbers, now = self._market.shelf.numbers, self._market.now()
        moves = []
        for move in line.moves:
            after = replace(move, key=NumberKey(move.key.key, to)) if move.key.location == place else move
            many = line.open * move.units if after != move else 0
            numbers.move(move.key, many, "given back", now)
            numbers.commit(move.key, -many, now)
            numbers.move(after.key, -many, "sold", now)
            numbers.commit(after.key, many, now)
            moves.append(after)
        return replace(line, location=to, moves=tuple(moves))
