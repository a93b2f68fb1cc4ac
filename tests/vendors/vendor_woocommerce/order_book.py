"""WooCommerce's own records of orders, which follow what the lab's people do to them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from channelsync.lab.marketplace_values import Line, Order, Status, units
from vendor_woocommerce.orders import Item, Refund, RefundLine, WooOrder
from vendor_woocommerce.products import Ids

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_FOLLOWS = frozenset({"pending", "processing", "on-hold", "completed", "cancelled"})


class OrderBook:
    """All records by id. follows: whether a change of the lab's order changes its record's status and refunds."""

    def __init__(self, ids: Ids, rng: random.Random) -> None:
        self.follows = True
        self._ids = ids
        self._rng = rng
        self._all: dict[int, WooOrder] = {}
        self._waiting: dict[int, WooOrder] = {}
        self._gone: set[int] = set()
        self._items = Ids(1)
        self._metas = Ids(10)

    def __iter__(self) -> Iterator[WooOrder]:
        return iter(self._all.values())

    def get(self, order: int) -> WooOrder | None:
        """The record of this id."""
        return self._all.get(order)

    def drop(self, order: int) -> None:
        """Deletes it for good; the lab's log keeps what happened."""
        del self._all[order]
        self._gone.add(order)
        self._waiting.pop(order, None)

    def waiting_checkouts(self) -> list[WooOrder]:
        """Checkouts whose units are held until they are paid or cancelled; one that comes back later holds nothing."""
        for number in [each.id for each in self._waiting.values() if each.status != "pending"]:
            del self._waiting[number]
        return list(self._waiting.values())

    def meta_id(self, item: Item, key: str) -> int:
        """The id of a row of an item's meta data."""
        if key not in item.metas:
            item.metas[key] = self._metas.take()
        return item.metas[key]

    def new_meta(self) -> int:
        """The id of a row of an order's meta data."""
        return self._metas.take()

    def saved(self, order: Order) -> None:
        """The lab's order has a new version; of one that was deleted here nothing is written any more."""
        if int(order.id) in self._gone:
            return
        record = self._all.get(int(order.id))
        if record is None:
            record = self._new(order)
        for line in order.lines:
            if line.id not in record.items:
                record.items[line.id] = Item(self._items.take())
        record.modified = order.updated_at
        if self.follows:
            self._follow(record, order)

    def _new(self, order: Order) -> WooOrder:
        key = "wc_order_" + "".join(self._rng.choice(_LETTERS) for _ in range(13))
        via = "checkout" if self.follows else "rest-api"
        record = WooOrder(id=int(order.id), status="pending", created_via=via, modified=order.updated_at, order_key=key)
        if via == "checkout":
            record.payment_method, record.payment_method_title = "card", "Card"
            record.meta = [{"id": self._metas.take(), "key": "_buyer_says", "value": record.customer_note}]
            self._waiting[record.id] = record
        self._all[record.id] = record
        return record

    def _follow(self, record: WooOrder, order: Order) -> None:
        self._give_back(record, order)
        if record.status not in _FOLLOWS:
            return
        record.status = _status(order, record)
        if order.paid_at is not None and record.paid is None:
            record.paid = order.paid_at
        if record.status == "completed" and record.completed is None:
            record.completed = order.updated_at

    def _give_back(self, record: WooOrder, order: Order) -> None:
        """What the lab's people bring back or write off becomes a refund, as a seller here would do it."""
        before = record.refunded
        for restock in (True, False):
            new = [
                (line, _off(line, order, restock=restock) - _told(record, line, restock=restock))
                for line in order.lines
            ]
            lines = [(line, many) for line, many in new if many > 0]
            if lines:
                self.refund(record, lines, order.updated_at, restock=restock)
        money = order.refunded - before
        if money > 0:
            self.refund(record, [], order.updated_at, amount=money)

    def refund(
        self,
        record: WooOrder,
        lines: list[tuple[Line, int]],
        at: datetime,
        *,
        amount: Decimal | None = None,
        reason: str = "",
        restock: bool = False,
    ) -> Refund:
        """Writes a refund object: of these units, or of money only."""
        told = []
        for line, many in lines:
            item = record.items[line.id]
            told.append(RefundLine(self._items.take(), line.id, many, line.price * many, self._metas.take()))
            if restock:
                item.restocked += many
        total = amount if amount is not None else sum((each.total for each in told), start=Decimal("0.00"))
        refund = Refund(id=self._ids.take(), created=at, amount=total, reason=reason, lines=tuple(told))
        record.refunds.append(refund)
        return refund


def _status(order: Order, record: WooOrder) -> str:
    match order.status:
        case Status.AWAITING_PAYMENT:
            return "pending"
        case Status.OPEN:
            return record.status if record.status == "on-hold" else "processing"
        case Status.DONE:
            return "completed" if any(line.shipped for line in order.lines) else "refunded"
        case Status.CANCELLED:
            return "cancelled"


def _off(line: Line, order: Order, *, restock: bool) -> int:
    """Units of the line that a seller refunds: put back on sale, or not."""
    if not restock:
        return units(line.written_off) + units(line.quarantined)
    return units(line.returned) + (0 if order.status is Status.CANCELLED else units(line.cancelled))


def _told(record: WooOrder, line: Line, *, restock: bool) -> int:
    """Units of it that refunds tell already."""
    restocked = record.items[line.id].restocked
    return restocked if restock else record.refunded_units(line.id) - restocked
