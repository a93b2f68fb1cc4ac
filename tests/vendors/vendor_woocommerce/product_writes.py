"""Writes to products and variations: what is taken, what is silently ignored, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vendor_woocommerce.errors import WooError
from vendor_woocommerce.market import WooMarketplace
from vendor_woocommerce.php import boolean, format_decimal, intval
from vendor_woocommerce.products import Product, ProductType


def refuse_trashed(product: Product, kind: str) -> None:
    """Raises the 410 for something that is in the trash already."""
    if product.status == "trash":
        raise WooError(410, "woocommerce_rest_already_trashed", f"The {kind} has already been deleted.")


class ProductWrites:
    """Writes to the products of one shop.

    refusals: by id, what a plugin of the shop says to every write (a filter that returns an error): the words.
    """

    def __init__(self, market: WooMarketplace) -> None:
        self._market = market
        self.refusals: dict[int, str] = {}

    def create(self, changes: Mapping[str, Any], *, parent: Product | None = None) -> Product:
        """A new product, or a variation of `parent`. Raises WooError."""
        self._check_sku(changes.get("sku"), None)
        market = self._market
        kind: ProductType = "variation" if parent else changes.get("type", "simple")
        now = market.time()
        product = Product(
            id=market.ids.take(),
            type=kind,
            name=str(changes.get("name", "Product")),
            created=now,
            modified=now,
            parent=parent.id if parent else 0,
        )
        if kind == "variable":
            product.stock_status = "outofstock"
        market.products.add(product)
        self._apply(product, changes, made=True)
        return product

    def update(self, product: Product, changes: Mapping[str, Any]) -> Product:
        """Raises WooError; then nothing is changed."""
        if product.id in self.refusals:
            raise WooError(400, "woocommerce_rest_product_not_updated", self.refusals[product.id])
        self._check_sku(changes.get("sku"), product)
        self._apply(product, changes)
        return product

    def _check_sku(self, sku: str | None, product: Product | None) -> None:
        taken = self._market.products.by_sku(sku) if sku else None
        if taken is not None and taken is not product and sku:
            proposed = {"resource_id": taken.id, "unique_sku": self._market.products.free_sku(sku)}
            raise WooError(400, "product_invalid_sku", "Invalid or duplicated SKU.", proposed)

    def _apply(self, product: Product, changes: Mapping[str, Any], *, made: bool = False) -> None:
        for name in ("name", "status", "catalog_visibility", "sku"):
            if name in changes:
                setattr(product, name, str(changes[name]))
        if "regular_price" in changes:
            product.regular_price = format_decimal(changes["regular_price"])
        if "attributes" in changes:
            product.attributes = self._attributes(product, changes["attributes"])
        number = self._stock(product, changes)
        self._market.settle(product, number, made=made)

    def _stock(self, product: Product, changes: Mapping[str, Any]) -> int | None:
        """Takes over the stock fields; gives the number to write, None for none.

        A number for what manages none is ignored without a word, one for a variation whose parent manages it too.
        `inventory_delta` is undocumented: the number is read and written, so two at once lose one.
        """
        if "manage_stock" in changes:
            product.manages = bool(boolean(changes["manage_stock"]))
        if "backorders" in changes:
            product.backorders = str(changes["backorders"])
        if product.type in ("grouped", "external"):
            product.manages = False
        if not product.manages:
            if product.type == "variation" and self._market.products.managing(product) is None:
                product.backorders = "no"
            if "stock_status" in changes:
                product.stock_status = str(changes["stock_status"])
            return None
        if changes.get("stock_quantity") is not None:
            return intval(changes["stock_quantity"])
        if "inventory_delta" in changes:
            return (self._market.shows(product) or 0) + intval(changes["inventory_delta"])
        return None

    def _attributes(self, product: Product, given: Any) -> list[dict[str, Any]]:
        rows = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
        if product.type == "variation":
            return [
                {"id": 0, "name": each.get("name", ""), "slug": _slug(each), "option": each.get("option", "")}
                for each in rows
            ]
        return [
            {
                "id": 0,
                "name": each.get("name", ""),
                "slug": each.get("name", ""),
                "position": turn,
                "visible": bool(each.get("visible")),
                "variation": bool(each.get("variation")),
                "options": list(each.get("options", [])),
            }
            for turn, each in enumerate(rows)
        ]

    def delete(self, product: Product, *, force: bool) -> None:
        """Deletes it for good, or puts it in the trash with its variations. Raises WooError for what is there."""
        if force:
            self._market.remove(product)
            return
        refuse_trashed(product, "product")
        stamp = str(int(self._market.time().timestamp()))
        rows = ("_wp_trash_meta_status", product.status), ("_wp_trash_meta_time", stamp)
        named = (*rows, ("_wp_desired_post_slug", product.slug))
        product.trash_meta = [{"id": 178 + turn, "key": key, "value": value} for turn, (key, value) in enumerate(named)]
        product.status = "trash"
        self._market.settle(product)
        self._market.tell("product.deleted", product.id)


def _slug(attribute: Mapping[str, Any]) -> str:
    return str(attribute.get("name", "")).lower().replace(" ", "-")
