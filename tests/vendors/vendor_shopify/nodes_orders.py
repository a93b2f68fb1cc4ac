"""Orders and their line items as objects of an answer."""

from __future__ import annotations

from decimal import Decimal

from channelsync.lab.marketplace_values import Order, Status, units
from vendor_shopify import buyers
from vendor_shopify.asking import Ask
from vendor_shopify.connections import by_number
from vendor_shopify.errors import Node
from vendor_shopify.ids import gid, time_text
from vendor_shopify.nodes_after import AfterNodes
from vendor_shopify.nodes_catalogue import CatalogueNodes
from vendor_shopify.orders import Item
from vendor_shopify.shop import Shop


class OrderNodes:
    """Makes the objects. Money is in the shop's currency."""

    def __init__(self, shop: Shop, catalogue: CatalogueNodes) -> None:
        self._shop = shop
        self._book = shop.book
        self._catalogue = catalogue
        self.after = AfterNodes(shop, catalogue, self.order, self.item)

    def order(self, order: Order) -> Node:
        """An Order, as it is now."""
        book, number = self._book, self._book.number(order)
        story = book.story(order)
        cancelled = order.cancelled_at or story.cancelled_at
        closed = cancelled is not None or order.status is Status.DONE
        return (
            self._money_of(order)
            | buyers.of_order(self._shop.numbers.of("Customer", order.id))
            | {
                "__typename": "Order",
                "id": gid("Order", number),
                "legacyResourceId": number,
                "name": f"#{1000 + order.number}",
                "number": 1000 + order.number,
                "confirmationNumber": f"C{order.number:08d}",
                "createdAt": time_text(order.placed_at),
                "processedAt": time_text(order.placed_at),
                "updatedAt": time_text(order.updated_at),
                "cancelledAt": time_text(cancelled),
                "cancelReason": story.cancel_reason if cancelled else None,
                "cancellation": {"staffNote": story.staff_note} if cancelled else None,
                "closed": closed,
                "closedAt": time_text(cancelled or order.updated_at) if closed else None,
                "confirmed": story.confirmed,
                "test": story.test,
                "edited": story.edited,
                "tags": [],
                "discountCodes": [],
                "sourceName": "web",
                "paymentGatewayNames": ["manual"],
                "merchantEditable": not closed,
                "merchantEditableErrors": [],
                "requiresShipping": True,
                "fulfillable": any(line.open for line in order.lines) and not closed,
                "fullyPaid": order.paid_at is not None,
                "unpaid": order.paid_at is None,
                "canMarkAsPaid": order.paid_at is None,
                "canNotifyCustomer": True,
                "restockable": True,
                "refundable": order.paid_at is not None,
                "capturable": False,
                "taxesIncluded": True,
                "taxExempt": False,
                "currencyCode": self._shop.currency,
                "presentmentCurrencyCode": self._shop.currency,
                "displayFinancialStatus": self.financial_status(order),
                "displayFulfillmentStatus": self.fulfillment_status(order),
                "returnStatus": self.return_status(order),
                "subtotalLineItemsQuantity": sum(book.most(order, line) for line in order.lines),
                "currentSubtotalLineItemsQuantity": sum(book.current(order, line) for line in order.lines),
                "fulfillmentsCount": {"count": len(story.fulfillments), "precision": "EXACT"},
                "lineItems": lambda ask: self._items(ask, order),
                "nonFulfillableLineItems": lambda ask: ask.page(by_number([], _item_number), self.item),
                "fulfillmentOrders": lambda ask: self.after.fulfillment_orders(ask, order),
                "fulfillments": lambda ask: ask.cut(
                    [self.after.fulfillment(order, each) for each in story.fulfillments]
                ),
                "refunds": lambda ask: ask.cut([self.after.refund(order, each) for each in story.refunds]),
                "returns": lambda ask: ask.page(
                    by_number(story.returns, lambda each: each.number), lambda each: self.after.returned(order, each)
                ),
                "transactions": lambda ask: ask.cut(self._transactions(order)),
            }
        )

    def _items(self, ask: Ask, order: Order) -> Node:
        pairs = [(order, item) for item in self._book.items(order)]
        return ask.page(by_number(pairs, _item_number), self.item)

    def item(self, pair: tuple[Order, Item]) -> Node:
        """A LineItem."""
        order, item = pair
        line, book = item.line, self._book
        offer = self._shop.marketplace.offers[item.listing]
        alive = self._shop.catalogue.variant(item.listing)
        current = book.current(order, line) * item.each
        bundle = gid("ProductVariant", line.listing)
        group: Node = {"id": gid("LineItemGroup", item.number), "title": line.title, "quantity": line.ordered}
        return self._prices(line.price if not item.of_bundle else offer.price, book.most(order, line) * item.each) | {
            "__typename": "LineItem",
            "id": gid("LineItem", item.number),
            "title": offer.title or line.title,
            "name": offer.title or line.title,
            "sku": offer.sku or line.sku,
            "vendor": self._shop.name,
            "variantTitle": None,
            "quantity": book.most(order, line) * item.each,
            "currentQuantity": current,
            "unfulfilledQuantity": line.open * item.each,
            "fulfillableQuantity": line.open * item.each,
            "refundableQuantity": max(0, current),
            "nonFulfillableQuantity": (book.most(order, line) - line.open - units(line.shipped)) * item.each,
            "fulfillmentStatus": "fulfilled" if line.shipped and not line.open else "unfulfilled",
            "requiresShipping": True,
            "restockable": True,
            "merchantEditable": True,
            "isGiftCard": False,
            "taxable": True,
            "customAttributes": [{"key": "engraving", "value": buyers.NAME}],
            "lineItemGroup": group | {"variantId": bundle} if item.of_bundle else None,
            "variant": lambda _: self._catalogue.variant(alive) if alive else None,
            "product": lambda _: self._catalogue.product(self._shop.catalogue.product_of(item.listing)),
        }

    # States

    def financial_status(self, order: Order) -> str:
        """OrderDisplayFinancialStatus."""
        gone = sum(self._book.current(order, line) for line in order.lines) <= 0
        if order.paid_at is None:
            return "VOIDED" if order.status is Status.CANCELLED else "PENDING"
        if gone:
            return "REFUNDED"
        some = any(line.cancelled or line.written_off or line.returned or line.quarantined for line in order.lines)
        return "PARTIALLY_REFUNDED" if some or order.refunded else "PAID"

    def fulfillment_status(self, order: Order) -> str:
        """OrderDisplayFulfillmentStatus; a cancelled order stays UNFULFILLED, as recorded."""
        if not any(units(line.shipped) for line in order.lines):
            return "ON_HOLD" if self._book.story(order).on_hold else "UNFULFILLED"
        return "PARTIALLY_FULFILLED" if any(line.open for line in order.lines) else "FULFILLED"

    def return_status(self, order: Order) -> str:
        """OrderReturnStatus."""
        found = {each.status for each in self._book.story(order).returns}
        words = (("OPEN", "IN_PROGRESS"), ("REQUESTED", "RETURN_REQUESTED"), ("CLOSED", "RETURNED"))
        return next((word for status, word in words if status in found), "NO_RETURN")

    # Money

    def _money(self, amount: Decimal) -> Node:
        money = {"amount": f"{amount:.2f}", "currencyCode": self._shop.currency}
        return {"shopMoney": money, "presentmentMoney": money}

    def _prices(self, price: Decimal, many: int) -> Node:
        one, all_of_them = self._money(price), self._money(price * many)
        names = ("originalUnitPriceSet", "discountedUnitPriceSet", "discountedUnitPriceAfterAllDiscountsSet")
        return dict.fromkeys(names, one) | {"originalTotalSet": all_of_them, "discountedTotalSet": all_of_them}

    def _money_of(self, order: Order) -> Node:
        book, zero = self._book, Decimal(0)
        total = sum((line.price * book.most(order, line) for line in order.lines), zero)
        current = sum((line.price * max(0, book.current(order, line)) for line in order.lines), zero)
        paid = total if order.paid_at is not None else zero
        refunded = max(order.refunded, total - current) if paid else zero
        return {
            "totalPriceSet": self._money(total),
            "originalTotalPriceSet": self._money(total),
            "subtotalPriceSet": self._money(total),
            "currentTotalPriceSet": self._money(current),
            "currentSubtotalPriceSet": self._money(current),
            "totalReceivedSet": self._money(paid),
            "netPaymentSet": self._money(paid - refunded),
            "totalRefundedSet": self._money(refunded),
            "totalOutstandingSet": self._money(current if not paid else zero),
            "totalShippingPriceSet": self._money(zero),
            "totalTaxSet": self._money(zero),
            "totalDiscountsSet": self._money(zero),
        }

    def _transactions(self, order: Order) -> list[Node]:
        if order.paid_at is None:
            return []
        total = self._money(sum((line.price * self._book.most(order, line) for line in order.lines), Decimal(0)))
        number = self._shop.numbers.of("OrderTransaction", order.id)
        sale = {"id": gid("OrderTransaction", number), "kind": "SALE", "status": "SUCCESS", "gateway": "manual"}
        return [sale | {"amountSet": total, "accountNumber": buyers.NAME, "createdAt": time_text(order.paid_at)}]


def _item_number(pair: tuple[Order, Item]) -> str:
    return pair[1].number
