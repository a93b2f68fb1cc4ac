"""The routes of orders and their refunds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vendor_woocommerce.batches import run_batch
from vendor_woocommerce.calls import Answer, Call, Route
from vendor_woocommerce.errors import WooError
from vendor_woocommerce.market import WooMarketplace
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.order_json import OrderJson
from vendor_woocommerce.order_writes import OrderWrites
from vendor_woocommerce.orders import STATUSES, Refund, WooOrder
from vendor_woocommerce.pages import Window, only_fields, page_of, seconds
from vendor_woocommerce.params import DELETE, LIST_ORDERS, LIST_REFUNDS, ORDER_BODY, REFUND_BODY, read_body, read_params

_HIDDEN = frozenset({"trash", "auto-draft"})


def _invalid(status: int) -> WooError:
    return WooError(status, "woocommerce_rest_shop_order_invalid_id", "Invalid ID.")


class OrdersApi:
    """Orders and refunds of one shop."""

    def __init__(self, market: WooMarketplace, options: SiteOptions) -> None:
        self.json = OrderJson(market, options)
        self.writes = OrderWrites(market)
        self._market = market
        self._options = options

    def routes(self) -> list[Route]:
        """All of them."""
        one, under = r"/orders/(\d+)", r"/orders/(\d+)/refunds"
        return [
            Route("GET", "/orders", "orders", "list", self.list_orders),
            Route("POST", "/orders", "order writes", "create", self.create),
            Route("POST", "/orders/batch", "order writes", "batch", self.batch),
            Route("GET", "/orders/statuses", "orders by id", "list", self.statuses),
            Route("GET", one, "orders by id", "view", self.view),
            Route("PUT", one, "order writes", "edit", self.update),
            Route("DELETE", one, "order writes", "delete", self.delete),
            Route("GET", under, "orders by id", "list", self.list_refunds),
            Route("POST", under, "order writes", "create", self.create_refund),
            Route("GET", under + r"/(\d+)", "orders by id", "view", self.view_refund),
            Route("DELETE", under + r"/(\d+)", "order writes", "delete", self.delete_refund),
        ]

    # Orders

    def list_orders(self, call: Call) -> Answer:
        """GET /orders: by default all but the trash, newest first."""
        params = call.params(LIST_ORDERS)
        window = Window.of(params, self._options.zone)
        rows = [record for record in self._market.book if self._in(window, record) and self._wanted(record, params)]
        found, answer = page_of(self._sorted(rows, params), params, call, self._options)
        shown = [self.json.order(record, call.base) for record in found]
        return Answer(200, only_fields(shown, call.query), answer.headers)

    def statuses(self, call: Call) -> Answer:
        """GET /orders/statuses"""
        return Answer(200, [{"slug": each, "name": each.replace("-", " ").title()} for each in STATUSES[1:]])

    def _record(self, number: Any, status: int = 404) -> WooOrder:
        record = self._market.book.get(number) if isinstance(number, int) else None
        if record is None:
            raise _invalid(status)
        return record

    def view(self, call: Call) -> Answer:
        """GET /orders/{id}; in the trash, too."""
        return Answer(200, only_fields(self.json.order(self._record(call.ids[0]), call.base), call.query))

    def create(self, call: Call) -> Answer:
        """POST /orders"""
        record = self.writes.create(call.changes(ORDER_BODY), call.json().get("meta_data"))
        where = f"{call.base}/wp-json/wc/v3/orders/{record.id}"
        return Answer(201, self.json.order(record, call.base), {"location": where})

    def update(self, call: Call) -> Answer:
        """PUT /orders/{id}"""
        record = self._record(call.ids[0], 400)
        self.writes.update(record, call.changes(ORDER_BODY), call.json().get("meta_data"))
        return Answer(200, self.json.order(record, call.base))

    def delete(self, call: Call) -> Answer:
        """DELETE /orders/{id}: into the trash or for good; gives nothing back on sale, and shows it as it was."""
        return Answer(200, self._deleted(self._record(call.ids[0]), call, force=call.params(DELETE)["force"]))

    def _deleted(self, record: WooOrder, call: Call, *, force: bool) -> dict[str, Any]:
        shown = self.json.order(record, call.base)
        if force:
            self._market.book.drop(record.id)
            return shown
        if record.status == "trash":
            raise WooError(410, "woocommerce_rest_already_trashed", "The shop_order has already been deleted.")
        # `OrdersTableDataStore::trash_order` moves the time of change, so who goes by it sees the trash, too.
        record.status, record.modified = "trash", self._market.time()
        self._market.tell("order.deleted", record.id)
        return shown

    def batch(self, call: Call) -> Answer:
        """POST /orders/batch"""

        def create(changes: Mapping[str, Any]) -> dict[str, Any]:
            made = self.writes.create(read_body(ORDER_BODY, changes), changes.get("meta_data"))
            return self.json.order(made, call.base)

        def update(changes: Mapping[str, Any]) -> dict[str, Any]:
            record = self._record(changes.get("id"), 400)
            self.writes.update(record, changes, changes.get("meta_data"))
            return self.json.order(record, call.base)

        def delete(number: int) -> dict[str, Any]:
            return self._deleted(self._record(number), call, force=True)

        return run_batch(call, self._options.batch_limit, create=create, update=update, delete=delete)

    def _in(self, window: Window, record: WooOrder) -> bool:
        return window.holds(self._market.orders[str(record.id)].placed_at, record.modified)

    def _wanted(self, record: WooOrder, params: Mapping[str, Any]) -> bool:
        tests: list[Callable[[], bool]] = [
            lambda: record.status not in _HIDDEN if "any" in params["status"] else record.status in params["status"],
            lambda: not params["include"] or record.id in params["include"],
            lambda: record.id not in params["exclude"],
            lambda: not params["created_via"] or record.created_via in params["created_via"],
            lambda: params["customer"] is None or record.customer_id == params["customer"],
            lambda: params["product"] is None or str(params["product"]) in self._bought(record),
            lambda: not params["search"] or self._found(record, params["search"]),
        ]
        return all(test() for test in tests)

    def _bought(self, record: WooOrder) -> set[str]:
        """Ids of the products in it, parents of variations."""
        return {line.listing.partition(":")[0] for line in self._market.orders[str(record.id)].lines}

    def _found(self, record: WooOrder, words: str) -> bool:
        names = [line.title for line in self._market.orders[str(record.id)].lines]
        texts = [str(record.id), *names, *record.billing.values(), *record.shipping.values()]
        return any(words.lower() in text.lower() for text in texts)

    def _sorted(self, rows: list[WooOrder], params: Mapping[str, Any]) -> list[WooOrder]:
        """By whole seconds, then by id."""
        down = params["order"] == "desc"
        match params["orderby"]:
            case "modified":
                return sorted(rows, key=lambda each: (seconds(each.modified), each.id), reverse=down)
            case "date":
                placed = {each.id: self._market.orders[str(each.id)].placed_at for each in rows}
                return sorted(rows, key=lambda each: (seconds(placed[each.id]), each.id), reverse=down)
            case "include" if params["include"]:
                return sorted(rows, key=lambda each: params["include"].index(each.id))
        return sorted(rows, key=lambda each: each.id, reverse=down)

    # Refunds

    def _order_of(self, call: Call) -> WooOrder:
        record = self._market.book.get(call.ids[0])
        if record is None:
            raise WooError(404, "woocommerce_rest_invalid_order_id", "Invalid order ID.")
        return record

    def list_refunds(self, call: Call) -> Answer:
        """GET /orders/{id}/refunds, newest first"""
        record = self._order_of(call)
        params = call.params(LIST_REFUNDS)
        rows = sorted(record.refunds, key=lambda each: each.id, reverse=params["order"] == "desc")
        found, answer = page_of(rows, params, call, self._options)
        shown = [self.json.refund(record, refund, call.base) for refund in found]
        return Answer(200, only_fields(shown, call.query), answer.headers)

    def _refund(self, call: Call) -> tuple[WooOrder, Refund]:
        record = self._order_of(call)
        refund = next((each for each in record.refunds if each.id == call.ids[1]), None)
        if refund is None:
            raise WooError(404, "woocommerce_rest_invalid_order_refund_id", "Invalid order refund ID.")
        return record, refund

    def view_refund(self, call: Call) -> Answer:
        """GET /orders/{id}/refunds/{id}"""
        record, refund = self._refund(call)
        return Answer(200, only_fields(self.json.refund(record, refund, call.base), call.query))

    def create_refund(self, call: Call) -> Answer:
        """POST /orders/{id}/refunds; the address it tells of the new one is broken, as recorded."""
        record = self._order_of(call)
        body = call.json()
        refund = self.writes.refunds.make(record, read_params(REFUND_BODY, body), body.get("line_items"))
        where = rf"{call.base}/wp-json/wc/v3/orders/(?P<order_id>[\d]+)/refunds/{refund.id}"
        return Answer(201, self.json.refund(record, refund, call.base), {"location": where})

    def delete_refund(self, call: Call) -> Answer:
        """DELETE /orders/{id}/refunds/{id}: only for good; what it restocked stays on sale."""
        record, refund = self._refund(call)
        if not call.params(DELETE)["force"]:
            raise WooError(501, "woocommerce_rest_trash_not_supported", "Refunds do not support trashing.")
        shown = self.json.refund(record, refund, call.base)
        record.refunds.remove(refund)
        self._market.touch(record)
        return Answer(200, shown)
