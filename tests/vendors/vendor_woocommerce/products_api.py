"""The routes of products and variations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vendor_woocommerce.batches import run_batch
from vendor_woocommerce.calls import Answer, Call, Route
from vendor_woocommerce.errors import WooError
from vendor_woocommerce.market import WooMarketplace
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.pages import Window, only_fields, page_of, seconds
from vendor_woocommerce.params import DELETE, LIST_PRODUCTS, LIST_VARIATIONS, PRODUCT_BODY, VARIATION_BODY, read_body
from vendor_woocommerce.product_json import ProductWriter
from vendor_woocommerce.product_writes import ProductWrites
from vendor_woocommerce.products import Product

_BATCH_EXTRAS = ("inventory_delta",)


def _invalid(status: int, kind: str = "product") -> WooError:
    return WooError(status, f"woocommerce_rest_{kind}_invalid_id", "Invalid ID.")


class ProductsApi:
    """Products and variations of one shop. writes: open to tests, which refuse writes there."""

    def __init__(self, market: WooMarketplace, options: SiteOptions) -> None:
        self.writes = ProductWrites(market)
        self.json = ProductWriter(market, options)
        self._market = market
        self._options = options

    def routes(self) -> list[Route]:
        """All of them."""
        one, under = r"/products/(\d+)", r"/products/(\d+)/variations"
        each = under + r"/(\d+)"
        rows = [
            Route("GET", "/products", "listings", "list", self.list_products),
            Route("POST", "/products", "listings", "create", self.create),
            Route("POST", "/products/batch", "push", "batch", self.batch),
            Route("GET", one, "listings by id", "view", self.view),
            Route("PUT", one, "push", "edit", self.update),
            Route("DELETE", one, "listings", "delete", self.delete),
            Route("GET", under, "listings", "list", self.list_variations),
            Route("POST", under, "listings", "create", self.create_variation),
            Route("POST", f"{under}/batch", "push", "batch", self.batch_variations),
            Route("GET", each, "listings by id", "view", self.view_variation),
            Route("PUT", each, "push", "edit", self.update_variation),
            Route("DELETE", each, "listings", "delete", self.delete_variation),
        ]
        if self._options.has_flat_variations:
            rows.append(Route("GET", "/variations", "listings", "list", self.list_all_variations))
        return rows

    # Products

    def list_products(self, call: Call) -> Answer:
        """GET /products; a filter by SKU finds variations too, in the shape of products."""
        params = call.params(LIST_PRODUCTS)
        window = Window.of(params, self._options.zone)
        rows = [each for each in self._market.products if window.holds(each.created, each.modified)]
        rows = [each for each in rows if self._wanted(each, params)]
        found, answer = page_of(self._sorted(rows, params), params, call, self._options)
        return Answer(200, only_fields([self.json.product(e, call.base) for e in found], call.query), answer.headers)

    def view(self, call: Call) -> Answer:
        """GET /products/{id}; in the trash, too."""
        product = self._market.products.get(call.ids[0])
        if product is None:
            raise _invalid(404)
        return Answer(200, only_fields(self.json.product(product, call.base), call.query))

    def create(self, call: Call) -> Answer:
        """POST /products"""
        product = self.writes.create(call.changes(PRODUCT_BODY))
        where = f"{call.base}/wp-json/wc/v3/products/{product.id}"
        return Answer(201, self.json.product(product, call.base, edit=True), {"location": where})

    def update(self, call: Call) -> Answer:
        """PUT /products/{id}"""
        changes = call.changes(PRODUCT_BODY) | _extras(call)
        product = self.writes.update(self._for_writing(call.ids[0]), changes)
        return Answer(200, self.json.product(product, call.base, edit=True))

    def delete(self, call: Call) -> Answer:
        """DELETE /products/{id}: shows it as it was before."""
        product = self._market.products.get(call.ids[0])
        if product is None:
            raise _invalid(404)
        return Answer(200, self._deleted(product, call, force=call.params(DELETE)["force"]))

    def _deleted(self, product: Product, call: Call, *, force: bool) -> dict[str, Any]:
        if product.parent:
            raise _not_here()
        before = self.json.product(product, call.base, edit=True)
        self.writes.delete(product, force=force)
        return before

    def _for_writing(self, number: Any) -> Product:
        product = self._market.products.get(number) if isinstance(number, int) else None
        if product is None:
            raise _invalid(400)
        if product.parent:
            raise _not_here()
        return product

    def batch(self, call: Call) -> Answer:
        """POST /products/batch"""

        def create(changes: Mapping[str, Any]) -> dict[str, Any]:
            product = self.writes.create(read_body(PRODUCT_BODY, changes))
            return self.json.product(product, call.base, edit=True)

        def update(changes: Mapping[str, Any]) -> dict[str, Any]:
            product = self.writes.update(self._for_writing(changes.get("id")), _unchecked(changes))
            return self.json.product(product, call.base, edit=True)

        def delete(number: int) -> dict[str, Any]:
            product = self._market.products.get(number)
            if product is None:
                raise _invalid(404)
            return self._deleted(product, call, force=True)

        return run_batch(call, self._options.batch_limit, create=create, update=update, delete=delete)

    # Variations

    def list_variations(self, call: Call) -> Answer:
        """GET /products/{id}/variations; an unknown parent has none."""
        params = call.params(LIST_VARIATIONS)
        parent = self._market.products.get(call.ids[0])
        children = self._market.products.variations(parent) if parent is not None else []
        return self._variations(children, params, call)

    def list_all_variations(self, call: Call) -> Answer:
        """GET /variations, since 10.3.0"""
        params = call.params(LIST_VARIATIONS)
        return self._variations([each for each in self._market.products if each.parent], params, call)

    def _variations(self, children: list[Product], params: Mapping[str, Any], call: Call) -> Answer:
        window = Window.of(params, self._options.zone)
        rows = [each for each in children if window.holds(each.created, each.modified) and self._passes(each, params)]
        found, answer = page_of(self._sorted(rows, params, newest_id_first=True), params, call, self._options)
        shown = [self.json.variation(each, call.base) for each in found]
        return Answer(200, only_fields(shown, call.query), answer.headers)

    def _variation(self, call: Call) -> Product:
        product = self._market.products.get(call.ids[1])
        if product is None or not product.parent or product.parent != call.ids[0]:
            raise _invalid(404, "product_variation")
        return product

    def view_variation(self, call: Call) -> Answer:
        """GET /products/{id}/variations/{id}"""
        return Answer(200, only_fields(self.json.variation(self._variation(call), call.base), call.query))

    def create_variation(self, call: Call) -> Answer:
        """POST /products/{id}/variations"""
        product = self.writes.create(call.changes(VARIATION_BODY), parent=self._parent(call))
        where = f"{call.base}/wp-json/wc/v3/products/{product.parent}/variations/{product.id}"
        return Answer(201, self.json.variation(product, call.base, edit=True), {"location": where})

    def _parent(self, call: Call) -> Product:
        parent = self._market.products.get(call.ids[0])
        if parent is None or parent.type != "variable":
            raise WooError(
                404,
                "woocommerce_rest_product_variation_invalid_parent",
                "Cannot set attributes due to invalid parent product.",
            )
        return parent

    def update_variation(self, call: Call) -> Answer:
        """PUT /products/{id}/variations/{id}"""
        product = self.writes.update(self._variation(call), call.changes(VARIATION_BODY) | _extras(call))
        return Answer(200, self.json.variation(product, call.base, edit=True))

    def delete_variation(self, call: Call) -> Answer:
        """DELETE /products/{id}/variations/{id}"""
        product = self._variation(call)
        before = self.json.variation(product, call.base, edit=True)
        self.writes.delete(product, force=call.params(DELETE)["force"])
        return Answer(200, before)

    def batch_variations(self, call: Call) -> Answer:
        """POST /products/{id}/variations/batch"""
        parent = call.ids[0]

        def child(number: Any, status: int) -> Product:
            product = self._market.products.get(number) if isinstance(number, int) else None
            if product is None or product.parent != parent:
                raise _invalid(status, "product_variation")
            return product

        def create(changes: Mapping[str, Any]) -> dict[str, Any]:
            product = self.writes.create(read_body(VARIATION_BODY, changes), parent=self._parent(call))
            return self.json.variation(product, call.base, edit=True)

        def update(changes: Mapping[str, Any]) -> dict[str, Any]:
            product = self.writes.update(child(changes.get("id"), 400), _unchecked(changes))
            return self.json.variation(product, call.base, edit=True)

        def delete(number: int) -> dict[str, Any]:
            product = child(number, 404)
            before = self.json.variation(product, call.base, edit=True)
            self.writes.delete(product, force=True)
            return before

        return run_batch(call, self._options.batch_limit, create=create, update=update, delete=delete)

    # Filters

    def _wanted(self, product: Product, params: Mapping[str, Any]) -> bool:
        by_sku = bool(params["sku"] or params["search_sku"])
        if product.parent and not by_sku:
            return False
        if params["type"] and product.type != params["type"]:
            return False
        if params["include_types"] and product.type not in params["include_types"]:
            return False
        if product.type in params["exclude_types"]:
            return False
        if params["search_sku"] and params["search_sku"].lower() not in product.sku.lower():
            return False
        return self._passes(product, params)

    def _passes(self, product: Product, params: Mapping[str, Any]) -> bool:
        """What filters products and variations alike."""
        tests: list[Callable[[], bool]] = [
            lambda: _of_status(product.status, params),
            lambda: not params["include"] or product.id in params["include"],
            lambda: product.id not in params["exclude"],
            lambda: not params["parent"] or product.parent in params["parent"],
            lambda: product.parent not in params["parent_exclude"] or not params["parent_exclude"],
            lambda: not params["sku"] or product.sku in [each.strip() for each in params["sku"].split(",")],
            lambda: not params["stock_status"] or self.json.stock_status(product) == params["stock_status"],
            lambda: not params["search"] or params["search"].lower() in product.name.lower(),
        ]
        return all(test() for test in tests)

    def _sorted(
        self, rows: list[Product], params: Mapping[str, Any], *, newest_id_first: bool = False
    ) -> list[Product]:
        """In the order that is asked for.

        Recorded for the default, the newest first: products made in one second came by rising ids, variations by
        falling ones.
        """
        by, down = params["orderby"], params["order"] == "desc"
        if by in ("include", "post__in") and params["include"]:
            return sorted(rows, key=lambda each: params["include"].index(each.id))
        rows = sorted(rows, key=lambda each: each.id, reverse=down and (newest_id_first or by != "date"))
        match by:
            case "date":
                return sorted(rows, key=lambda each: seconds(each.created), reverse=down)
            case "modified":
                return sorted(rows, key=lambda each: seconds(each.modified), reverse=down)
            case "title":
                return sorted(rows, key=lambda each: each.name, reverse=down)
            case "slug":
                return sorted(rows, key=lambda each: each.slug, reverse=down)
        return rows


def _of_status(status: str, params: Mapping[str, Any]) -> bool:
    if params["include_status"]:
        return status in params["include_status"] or ("any" in params["include_status"] and status != "trash")
    if status in params["exclude_status"]:
        return False
    return status != "trash" if params["status"] == "any" else status == params["status"]


def _extras(call: Call) -> dict[str, Any]:
    """What writes take without declaring it."""
    return {name: value for name, value in call.json().items() if name in _BATCH_EXTRAS}


def _unchecked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a batch update: what is null counts as not given."""
    return {name: value for name, value in changes.items() if value is not None and name != "id"}


def _not_here() -> WooError:
    return WooError(
        404,
        "woocommerce_rest_invalid_product_id",
        "To manipulate product variations you should use the /products/&lt;product_id&gt;/variations/&lt;id&gt; "
        "endpoint.",
    )
