"""What becomes of an order, as objects of an answer: fulfilment orders, fulfilments, refunds, returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from channelsync.lab.marketplace_values import Order, Status, units
from vendor_shopify import buyers
from vendor_shopify.asking import Ask
from vendor_shopify.connections import by_number
from vendor_shopify.errors import Node
from vendor_shopify.ids import gid, time_text
from vendor_shopify.nodes_catalogue import CatalogueNodes
from vendor_shopify.orders import FulfillmentNote, Item, RefundLine, RefundNote, ReturnNote
from vendor_shopify.shop import Shop


@dataclass(frozen=True, slots=True)
class Parcel:
    """A fulfilment order: what one location has to ship of an order. emptied: its items were moved into another one."""

    number: str
    order: Order
    location: str
    items: tuple[Item, ...]
    on_hold: bool = False
    in_progress: bool = False
    emptied: bool = False

    @property
    def open(self) -> int:
        """Units still to be shipped."""
        return sum(item.line.open * item.each for item in self.items)

    @property
    def shipped(self) -> int:
        """Units shipped."""
        return sum(units(item.line.shipped) * item.each for item in self.items)

    @property
    def status(self) -> str:
        """FulfillmentOrderStatus; that of a cancelled order is CLOSED, as recorded."""
        if self.emptied or not self.open or self.order.status is Status.CANCELLED:
            return "CLOSED"
        if self.on_hold:
            return "ON_HOLD"
        return "IN_PROGRESS" if self.shipped or self.in_progress else "OPEN"


class AfterNodes:
    """Makes the objects; `order` and `item` make those of the order itself."""

    def __init__(
        self,
        shop: Shop,
        catalogue: CatalogueNodes,
        order: Callable[[Order], Node],
        item: Callable[[tuple[Order, Item]], Node],
    ) -> None:
        self._shop = shop
        self._book = shop.book
        self._catalogue = catalogue
        self._order = order
        self._item = item

    # Fulfilment orders

    def parcels(self, order: Order) -> list[Parcel]:
        """One for each location that ships something of the order, and those whose items were moved away."""
        story = self._book.story(order)
        found: dict[str, list[Item]] = {}
        for item in self._book.items(order):
            number = story.assigned.get(item.number)
            number = number or self._shop.numbers.of("FulfillmentOrder", order.id, item.location)
            found.setdefault(number, []).append(item)
        return [
            Parcel(number, order, items[0].location, tuple(items), story.on_hold, story.in_progress)
            for number, items in found.items()
        ] + [Parcel(number, order, place, items, emptied=True) for number, place, items in story.emptied]

    def changed_at(self, parcel: Parcel) -> datetime:
        """When a fulfilment order changed last: with its order, or by itself."""
        moved = self._book.story(parcel.order).moved_at.get(parcel.number)
        return max(parcel.order.updated_at, moved or parcel.order.updated_at)

    def fulfillment_orders(self, ask: Ask, order: Order) -> Node:
        """Order.fulfillmentOrders; displayable: without those whose items were moved away."""
        shown = [each for each in self.parcels(order) if not (each.emptied and ask.args.get("displayable"))]
        return ask.page(by_number(shown, lambda parcel: parcel.number), self.parcel)

    def parcel(self, parcel: Parcel) -> Node:
        """A FulfillmentOrder."""
        order = parcel.order
        location = self._shop.catalogue.locations.get(parcel.location)
        assigned: Node = {
            "name": location.name if location else "Shop location",
            "countryCode": "DE",
            "address1": "1 Warehouse Road",
            "location": lambda _: self._catalogue.location(location) if location else None,
        }
        return {
            "__typename": "FulfillmentOrder",
            "id": gid("FulfillmentOrder", parcel.number),
            "status": parcel.status,
            "requestStatus": "UNSUBMITTED",
            "orderId": gid("Order", self._book.number(order)),
            "orderName": f"#{1000 + order.number}",
            "orderProcessedAt": time_text(order.placed_at),
            "createdAt": time_text(order.placed_at),
            "updatedAt": time_text(self.changed_at(parcel)),
            "fulfillAt": time_text(order.placed_at),
            "fulfillBy": None,
            "fulfillmentHolds": [],
            "destination": buyers.destination(),
            "assignedLocation": assigned,
            "order": lambda _: self._order(order),
            "fulfillments": lambda ask: ask.page(
                by_number(self._book.story(order).fulfillments, lambda each: each.number),
                lambda each: self.fulfillment(order, each),
            ),
            "lineItems": lambda ask: ask.page(
                by_number(parcel.items, lambda item: self._parcel_item(parcel, item)),
                lambda item: self._parcel_line(parcel, item),
            ),
        }

    def _parcel_item(self, parcel: Parcel, item: Item) -> str:
        return self._shop.numbers.of("FulfillmentOrderLineItem", parcel.number, item.number)

    def _parcel_line(self, parcel: Parcel, item: Item) -> Node:
        order, line = parcel.order, item.line
        offer = self._shop.marketplace.offers[item.listing]
        variant = self._shop.catalogue.variant(item.listing)
        gone = units(line.cancelled) + units(line.written_off)
        return {
            "__typename": "FulfillmentOrderLineItem",
            "id": gid("FulfillmentOrderLineItem", self._parcel_item(parcel, item)),
            "totalQuantity": (line.ordered - gone) * item.each,
            "remainingQuantity": 0 if parcel.emptied else line.open * item.each,
            "requiresShipping": True,
            "sku": offer.sku,
            "productTitle": offer.title,
            "variantTitle": None,
            "inventoryItemId": gid("InventoryItem", self._shop.catalogue.item_of(offer)),
            "variant": lambda _: self._catalogue.variant(variant) if variant else None,
            "lineItem": lambda _: self._item((order, item)),
        }

    # Fulfilments

    def fulfillment(self, order: Order, note: FulfillmentNote) -> Node:
        """A Fulfillment; one that was taken back is CANCELLED."""
        there = any(note.units.values())
        location = self._shop.catalogue.locations.get(note.location)
        return {
            "__typename": "Fulfillment",
            "id": gid("Fulfillment", note.number),
            "legacyResourceId": note.number,
            "name": f"#{1000 + order.number}-F{note.number[-1]}",
            "status": "SUCCESS" if there else "CANCELLED",
            "displayStatus": "FULFILLED" if there else "CANCELED",
            "totalQuantity": sum(note.units.values()),
            "requiresShipping": True,
            "createdAt": time_text(note.at),
            "updatedAt": time_text(note.at),
            "deliveredAt": None,
            "inTransitAt": None,
            "estimatedDeliveryAt": None,
            "trackingInfo": [],
            "location": lambda _: self._catalogue.location(location) if location else None,
            "order": lambda _: self._order(order),
            "fulfillmentLineItems": lambda ask: ask.page(
                by_number(self._shipped_items(order, note), lambda pair: self._shipped_number(note, pair[0])),
                lambda pair: self._shipped(order, note, *pair),
            ),
        }

    def _shipped_items(self, order: Order, note: FulfillmentNote) -> list[tuple[Item, int]]:
        return [(item, many) for item in self._book.items(order) if (many := note.units.get(item.line.id, 0))]

    def _shipped_number(self, note: FulfillmentNote, item: Item) -> str:
        return self._shop.numbers.of("FulfillmentLineItem", note.number, item.number)

    def _shipped(self, order: Order, note: FulfillmentNote, item: Item, many: int) -> Node:
        return {
            "__typename": "FulfillmentLineItem",
            "id": gid("FulfillmentLineItem", self._shipped_number(note, item)),
            "quantity": many * item.each,
            "lineItem": lambda _: self._item((order, item)),
        }

    # Refunds

    def refund(self, order: Order, note: RefundNote) -> Node:
        """A Refund."""
        items = {item.line.id: item for item in self._book.items(order)}
        back = next((each for each in self._book.story(order).returns if each.number == note.from_return), None)
        worth = sum((items[each.line].line.price * each.units for each in note.lines if each.line in items), Decimal(0))
        money = {"amount": f"{worth if order.paid_at else Decimal(0):.2f}", "currencyCode": self._shop.currency}
        return {
            "__typename": "Refund",
            "id": gid("Refund", note.number),
            "legacyResourceId": note.number,
            "note": buyers.NAME,
            "createdAt": time_text(note.at),
            "updatedAt": time_text(note.at),
            "processedAt": time_text(note.at),
            "totalRefundedSet": {"shopMoney": money, "presentmentMoney": money},
            "order": lambda _: self._order(order),
            "return": lambda _: self.returned(order, back) if back else None,
            "refundLineItems": lambda ask: ask.page(
                by_number(
                    [(each, item) for each in note.lines for item in self._items_of(order, each.line)],
                    lambda pair: self._refunded_number(*pair),
                ),
                lambda pair: self._refunded(order, *pair),
            ),
        }

    def _items_of(self, order: Order, line: str) -> list[Item]:
        return [item for item in self._book.items(order) if item.line.id == line]

    def _refunded_number(self, row: RefundLine, item: Item) -> str:
        return self._shop.numbers.of("RefundLineItem", row.number, item.number) if item.of_bundle else row.number

    def _refunded(self, order: Order, row: RefundLine, item: Item) -> Node:
        location = self._shop.catalogue.locations.get(row.location)
        worth = {"amount": f"{item.line.price * row.units:.2f}", "currencyCode": self._shop.currency}
        money = {"shopMoney": worth, "presentmentMoney": worth}
        return {
            "__typename": "RefundLineItem",
            "id": gid("RefundLineItem", self._refunded_number(row, item)),
            "quantity": row.units * item.each,
            "restockType": row.restock,
            "restocked": row.restock != "NO_RESTOCK",
            "priceSet": money,
            "subtotalSet": money,
            "location": lambda _: self._catalogue.location(location) if location else None,
            "lineItem": lambda _: self._item((order, item)),
        }

    # Returns

    def returned(self, order: Order, note: ReturnNote) -> Node:
        """A Return."""
        story = self._book.story(order)
        refunds = [each for each in story.refunds if each.from_return == note.number]
        rows = [(item, many) for line, many in note.units for item in self._items_of(order, line)]
        return {
            "__typename": "Return",
            "id": gid("Return", note.number),
            "name": f"#{1000 + order.number}-R{note.number[-1]}",
            "status": note.status,
            "totalQuantity": sum(many * item.each for item, many in rows),
            "createdAt": time_text(note.at),
            "closedAt": time_text(note.at) if note.status == "CLOSED" else None,
            "requestApprovedAt": time_text(note.at) if note.status in ("OPEN", "CLOSED") else None,
            "decline": None,
            "order": lambda _: self._order(order),
            "refunds": lambda ask: ask.page(
                by_number(refunds, lambda each: each.number), lambda each: self.refund(order, each)
            ),
            "returnLineItems": lambda ask: ask.page(
                by_number(rows, lambda pair: self._returned_number(note, pair[0])),
                lambda pair: self._returned(order, note, *pair),
            ),
            "reverseFulfillmentOrders": lambda ask: ask.page(
                by_number([note] if note.status in ("OPEN", "CLOSED") else [], self.reverse_number),
                lambda each: self.reverse(order, each),
            ),
        }

    def reverse_number(self, note: ReturnNote) -> str:
        """The number of what is to come back in a return that was approved."""
        return self._shop.numbers.of("ReverseFulfillmentOrder", note.number)

    def reverse(self, order: Order, note: ReturnNote) -> Node:
        """A ReverseFulfillmentOrder."""
        rows = [(item, many) for line, many in note.units for item in self._items_of(order, line)]
        return {
            "__typename": "ReverseFulfillmentOrder",
            "id": gid("ReverseFulfillmentOrder", self.reverse_number(note)),
            "status": "CLOSED" if note.status == "CLOSED" else "OPEN",
            "thirdPartyConfirmation": None,
            "order": lambda _: self._order(order),
            "lineItems": lambda ask: ask.page(
                by_number(rows, lambda pair: self._reverse_line_number(note, pair[0])),
                lambda pair: self._reverse_line(order, note, *pair),
            ),
        }

    def _reverse_line_number(self, note: ReturnNote, item: Item) -> str:
        return self._shop.numbers.of("ReverseFulfillmentOrderLineItem", note.number, item.number)

    def _reverse_line(self, order: Order, note: ReturnNote, item: Item, many: int) -> Node:
        return {
            "__typename": "ReverseFulfillmentOrderLineItem",
            "id": gid("ReverseFulfillmentOrderLineItem", self._reverse_line_number(note, item)),
            "totalQuantity": many * item.each,
            "fulfillmentLineItem": lambda _: self._sent(order, item),
            "dispositions": self._dispositions(order, note, item),
        }

    def _dispositions(self, order: Order, note: ReturnNote, item: Item) -> list[Node]:
        """What became of the units of a line that came back: as their refund says, where they were put back."""
        refunds = [each for each in self._book.story(order).refunds if each.from_return == note.number]
        rows = [(each, row) for each in refunds for row in each.lines if row.line == item.line.id]
        return [
            {
                "__typename": "ReverseFulfillmentOrderDisposition",
                "id": gid("ReverseFulfillmentOrderDisposition", self._refunded_number(row, item)),
                "type": "RESTOCKED" if row.restock == "RETURN" else "NOT_RESTOCKED",
                "quantity": row.units * item.each,
                "createdAt": time_text(each.at),
                "location": self._disposed_at(row),
            }
            for each, row in rows
            if row.restock in ("RETURN", "NO_RESTOCK")
        ]

    def _disposed_at(self, row: RefundLine) -> Callable[[Ask], Node | None]:
        location = self._shop.catalogue.locations.get(row.location)
        return lambda _: self._catalogue.location(location) if location else None

    def _sent(self, order: Order, item: Item) -> Node | None:
        """The parcel's row that brought an item to the buyer."""
        note = next((each for each in self._book.story(order).fulfillments if each.units.get(item.line.id)), None)
        return self._shipped(order, note, item, note.units[item.line.id]) if note else None

    def _returned_number(self, note: ReturnNote, item: Item) -> str:
        return self._shop.numbers.of("ReturnLineItem", note.number, item.number)

    def _returned(self, order: Order, note: ReturnNote, item: Item, many: int) -> Node:
        many *= item.each
        done = many if note.status == "CLOSED" else 0
        return {
            "__typename": "ReturnLineItem",
            "id": gid("ReturnLineItem", self._returned_number(note, item)),
            "quantity": many,
            "processedQuantity": done,
            "refundedQuantity": done,
            "processableQuantity": many - done,
            "refundableQuantity": many - done,
            "unprocessedQuantity": many - done,
            "returnReason": "UNKNOWN",
            "returnReasonNote": buyers.NAME,
            "customerNote": buyers.NAME,
            "fulfillmentLineItem": lambda _: self._sent(order, item),
        }
