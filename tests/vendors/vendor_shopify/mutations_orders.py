"""Mutations of orders: cancel, refund, fulfil. What they do is done to the lab's order, as by any seller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from channelsync.lab.marketplace_values import Order, Status
from vendor_shopify.asking import Ask
from vendor_shopify.errors import Node, failed, user_error
from vendor_shopify.ids import gid, plain
from vendor_shopify.nodes_after import Parcel
from vendor_shopify.nodes_orders import OrderNodes
from vendor_shopify.orders import Item
from vendor_shopify.shop import Shop

NOTE_MAX = 255


class OrderMutations:
    """Changes orders."""

    def __init__(self, shop: Shop, nodes: OrderNodes) -> None:
        self._shop = shop
        self._market = shop.marketplace
        self._nodes = nodes

    def roots(self) -> Mapping[str, Callable[[Ask], Node]]:
        """By name."""
        return {"orderCancel": self.cancel, "refundCreate": self.refund, "fulfillmentCreate": self.fulfil}

    # Cancelling

    def cancel(self, ask: Ask) -> Node:
        """orderCancel; with restock the units are given back."""
        args = ask.args
        order = self._shop.book.find(plain(args["orderId"], "Order") or "")
        errors = self._cancel_errors(args, order)
        if errors or order is None:
            plain_errors = [user_error(each["field"], each["message"]) for each in errors]
            return {"job": None, "orderCancelUserErrors": errors, "userErrors": plain_errors}
        story = self._shop.book.story(order)
        story.cancel_reason, story.staff_note = args["reason"], args.get("staffNote")
        if not args["restock"]:
            for line in order.lines:
                self._market.write_off(order.id, line.id, line.open)
            story.cancelled_at = self._market.orders[order.id].updated_at
        else:
            self._market.cancel(order.id)
        job = {"__typename": "Job", "id": gid("Job", self._shop.numbers.new("Job")), "done": False}
        return {"job": job, "orderCancelUserErrors": [], "userErrors": []}

    def _cancel_errors(self, args: Mapping[str, Any], order: Order | None) -> list[Node]:
        if args.get("refund") is not None and args.get("refundMethod") is not None:
            message = "Only one of the arguments `refund` or `refund_method` is allowed."
            return [user_error(["refund"], message, "INVALID")]
        if len(args.get("staffNote") or "") > NOTE_MAX:
            message = f"Staff note is too long. Maximum length is {NOTE_MAX} characters."
            return [user_error(["staffNote"], message, "INVALID")]
        if order is None:
            return [user_error(["orderId"], "Order does not exist", "NOT_FOUND")]
        story = self._shop.book.story(order)
        if order.status is Status.CANCELLED or story.cancelled_at:
            message = "Cannot cancel an order that has already been canceled"
            return [user_error(["orderId"], message, "INVALID")]
        if any(any(note.units.values()) for note in story.fulfillments):
            message = "Cannot cancel an order that has outstanding fulfillments"
            return [user_error(["orderId"], message, "INVALID")]
        return []

    # Refunding

    def refund(self, ask: Ask) -> Node:
        """refundCreate: CANCEL and RETURN give the units back, NO_RESTOCK does not."""
        asked = ask.args["input"]
        order = self._shop.book.find(plain(asked["orderId"], "Order") or "")
        if order is None:
            return failed([user_error(["orderId"], "Order does not exist")], "refund", "order")
        rows = asked.get("refundLineItems") or []
        errors = _transactions(asked.get("transactions") or [])
        errors += [each for at, row in enumerate(rows) for each in self._refund_errors(order, row, at)]
        if errors:
            return failed(errors, "refund", "order")
        before = len(self._shop.book.story(order).refunds)
        for row in rows:
            found = self._shop.book.item(plain(row["lineItemId"], "LineItem") or "")
            if found is not None:
                self._refund_row(order, found[1], row)
        after = self._market.orders[order.id]
        made = self._shop.book.story(order).refunds[before:]
        refund = self._nodes.after.refund(after, made[-1]) if made else None
        return {"refund": refund, "order": self._nodes.order(after), "userErrors": []}

    def _refund_row(self, order: Order, item: Item, row: Mapping[str, Any]) -> None:
        line, many = item.line.id, row["quantity"] // item.each
        place = plain(row.get("locationId") or "", "Location")
        match row.get("restockType") or "NO_RESTOCK":
            case "CANCEL":
                self._market.cancel(order.id, {line: many})
            case "RETURN":
                self._market.bring_back(order.id, line, many, location=place)
            case _:
                open_units = min(many, self._market.orders[order.id].line(line).open)
                self._market.write_off(order.id, line, open_units)
                self._market.bring_back(order.id, line, many - open_units, quarantined=True, location=place)

    def _refund_errors(self, order: Order, row: Mapping[str, Any], at: int) -> list[Node]:
        found = self._shop.book.item(plain(row["lineItemId"], "LineItem") or "")
        if found is None or found[0].id != order.id:
            return [user_error(["refundLineItems", at, "lineItemId"], "Line item does not exist")]
        left = self._shop.book.current(order, found[1].line) * found[1].each
        if row["quantity"] > left:
            message = "Quantity cannot refund more items than were purchased"
            return [user_error(["refundLineItems", at, "quantity"], message)]
        needs_place = row.get("restockType") in ("CANCEL", "RETURN") and not row.get("locationId")
        if needs_place and len(self._shop.catalogue.locations) > 1:
            message = "Location must be specified when restocking"
            return [user_error(["refundLineItems", at, "locationId"], message)]
        return []

    # Fulfilling

    def fulfil(self, ask: Ask) -> Node:
        """fulfillmentCreate: ships units of fulfilment orders."""
        lots: list[tuple[Parcel, dict[str, int]]] = []
        for at, group in enumerate(ask.args["fulfillment"]["lineItemsByFulfillmentOrder"]):
            number = plain(group["fulfillmentOrderId"], "FulfillmentOrder") or ""
            name = self._shop.numbers.name("FulfillmentOrder", number)
            order = self._market.orders.get(name[0]) if name else None
            parcels = self._nodes.after.parcels(order) if order else []
            parcel = next((each for each in parcels if each.number == number), None)
            errors, many = self._lot(parcel, group.get("fulfillmentOrderLineItems"), at)
            if errors or parcel is None:
                return failed(errors, "fulfillment")
            lots.append((parcel, many))
        made: Node | None = None
        for parcel, many in lots:
            order = self._market.ship(parcel.order.id, many, parcel.location)
            made = self._nodes.after.fulfillment(order, self._shop.book.story(order).fulfillments[-1])
        return {"fulfillment": made, "userErrors": []}

    def _lot(
        self, parcel: Parcel | None, rows: Sequence[Mapping[str, Any]] | None, at: int
    ) -> tuple[list[Node], dict[str, int]]:
        """What is wrong with shipping so much of a fulfilment order, and the units by line id."""
        for turn, row in enumerate(rows or ()):
            if row["quantity"] <= 0:
                field = [
                    "fulfillment",
                    "lineItemsByFulfillmentOrder",
                    at,
                    "fulfillmentOrderLineItems",
                    turn,
                    "quantity",
                ]
                return [user_error(field, "Quantity must be greater than 0")], {}
        if parcel is None:
            return [user_error(["fulfillment"], "Fulfillment order does not exist.")], {}
        if parcel.status == "CLOSED":
            message = f"Fulfillment order {parcel.number} has an unfulfillable status= closed."
            return [user_error(["fulfillment"], message)], {}
        if not rows:
            return [], {item.line.id: item.line.open for item in parcel.items}
        numbers = {
            self._shop.numbers.of("FulfillmentOrderLineItem", parcel.number, item.number): item for item in parcel.items
        }
        many: dict[str, int] = {}
        for row in rows:
            item = numbers.get(plain(row["id"], "FulfillmentOrderLineItem") or "")
            if item is None or row["quantity"] > item.line.open * item.each:
                return [user_error(["fulfillment"], "Invalid fulfillment order line item quantity requested.")], {}
            many[item.line.id] = row["quantity"] // item.each
        return [], many


def _transactions(rows: Sequence[Mapping[str, Any]]) -> list[Node]:
    errors = []
    for row in rows:
        if row.get("kind") not in ("REFUND", "SUGGESTED_REFUND"):
            errors.append(user_error(None, f"Kind {str(row.get('kind')).lower()} is not a valid transaction"))
        elif not row.get("parentId"):
            errors.append(user_error(["transactions"], "Transactions require a parent_id associated with the order"))
    return errors
