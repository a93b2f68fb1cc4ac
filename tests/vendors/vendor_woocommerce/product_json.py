"""Products and variations as the API shows them."""

from __future__ import annotations

from typing import Any

from vendor_woocommerce.dates import both
from vendor_woocommerce.market import WooMarketplace
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.products import Product, slug_of

_VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_NO_PRICE_DATES: dict[str, Any] = {
    "sale_price": "",
    "date_on_sale_from": None,
    "date_on_sale_from_gmt": None,
    "date_on_sale_to": None,
    "date_on_sale_to_gmt": None,
    "on_sale": False,
}
_SHIPPED: dict[str, Any] = {
    "sold_individually": False,
    "weight": "",
    "dimensions": {"length": "", "width": "", "height": ""},
    "shipping_required": True,
    "shipping_taxable": True,
    "shipping_class": "",
    "shipping_class_id": 0,
}
_NO_DOWNLOADS: dict[str, Any] = {
    "virtual": False,
    "downloadable": False,
    "downloads": [],
    "download_limit": -1,
    "download_expiry": -1,
}


def self_link(href: str, verbs: list[str] | None = None) -> list[dict[str, Any]]:
    """A resource's link to itself."""
    return [{"href": href, "targetHints": {"allow": verbs or _VERBS}}]


class ProductWriter:
    """Writes products of one shop. base: the site's address of this request, e.g. "https://shop.example"."""

    def __init__(self, market: WooMarketplace, options: SiteOptions) -> None:
        self._market = market
        self._options = options

    def stock_status(self, product: Product) -> str:
        """instock, onbackorder or outofstock: by the number where one is managed, by its variations, else as set."""
        products = self._market.products
        managing = products.managing(product)
        if managing is not None:
            if self._market.number(managing.key) > 0:
                return "instock"
            return "onbackorder" if managing.backorders != "no" else "outofstock"
        if product.type != "variable":
            return product.stock_status
        found = {self.stock_status(each) for each in products.variations(product) if each.status == "publish"}
        return next((each for each in ("instock", "onbackorder") if each in found), "outofstock")

    def product(self, product: Product, base: str, *, edit: bool = False) -> dict[str, Any]:
        """As /products shows it. edit: the answer to a write, which shows a little more."""
        parent = self._market.products.parent_of(product)
        price = self._price(product)
        name = product.name if parent is None else f"{parent.name} - {_options(product)}"
        shown = {
            "id": product.id,
            "name": name,
            "slug": slug_of(name) + ("__trashed" if product.status == "trash" else ""),
            "permalink": self._permalink(product, base),
            **both("date_created", product.created, self._options.zone),
            **both("date_modified", product.modified, self._options.zone),
            "type": product.type,
            "status": product.status,
            "featured": False,
            "catalog_visibility": product.catalog_visibility,
            "description": "",
            "short_description": "",
            "sku": product.sku,
            "price": price,
            "regular_price": product.regular_price,
            **_NO_PRICE_DATES,
            "purchasable": bool(price),
            "total_sales": 0 if parent is None else "0",
            **_NO_DOWNLOADS,
            "external_url": "",
            "button_text": "",
            "tax_status": "taxable",
            "tax_class": "",
            **self._stock(product),
            **_SHIPPED,
            "reviews_allowed": parent is None,
            "average_rating": "0" if edit else "0.00",
            "rating_count": 0,
            "upsell_ids": [],
            "cross_sell_ids": [],
            "parent_id": product.parent,
            "purchase_note": "",
            "categories": [{"id": 15, "name": "Uncategorized", "slug": "uncategorized"}] if parent is None else [],
            "brands": [],
            "tags": [],
            "images": [],
            "attributes": product.attributes,
            "default_attributes": [],
            "variations": list(product.children),
            "grouped_products": [],
            "menu_order": 0,
            "price_html": _price_html(price),
            "related_ids": [],
            "meta_data": product.trash_meta,
            "stock_status": self.stock_status(product),
            "has_options": product.type == "variable",
            "post_password": "",
            "global_unique_id": "",
        }
        if edit:
            shown |= {
                "permalink_template": f"{base}/product/%pagename%/",
                "generated_slug": product.slug,
            }
        root = f"{base}/wp-json/wc/v3/products"
        links: dict[str, Any] = {"self": self_link(f"{root}/{product.id}"), "collection": [{"href": root}]}
        if parent is not None:
            links["up"] = [{"href": f"{root}/{parent.id}"}]
        return {**shown, "_links": links}

    def variation(self, product: Product, base: str, *, edit: bool = False) -> dict[str, Any]:
        """As /products/{parent}/variations shows it."""
        price = self._price(product)
        stock = self._stock(product)
        shown = {
            "id": product.id,
            "type": "variation",
            **both("date_created", product.created, self._options.zone),
            **both("date_modified", product.modified, self._options.zone),
            "description": "",
            "permalink": self._permalink(product, base),
            "sku": product.sku,
            "global_unique_id": "",
            "price": price,
            "regular_price": product.regular_price,
            **_NO_PRICE_DATES,
            "status": product.status,
            "purchasable": bool(price),
            **_NO_DOWNLOADS,
            "tax_status": "taxable",
            "tax_class": "parent" if edit else "",
            "manage_stock": stock["manage_stock"],
            "stock_quantity": stock["stock_quantity"],
            "stock_status": self.stock_status(product),
            **{name: stock[name] for name in ("backorders", "backorders_allowed", "backordered", "low_stock_amount")},
            "weight": "",
            "dimensions": {"length": "", "width": "", "height": ""},
            "shipping_class": "",
            "shipping_class_id": 0,
            "image": None,
            "attributes": product.attributes,
            "menu_order": 0,
            "meta_data": [],
            "name": _options(product),
            "parent_id": product.parent,
        }
        parent = f"{base}/wp-json/wc/v3/products/{product.parent}"
        links: dict[str, Any] = {
            "self": self_link(f"{parent}/variations/{product.id}"),
            "collection": [{"href": f"{parent}/variations"}],
            "up": [{"href": parent}],
        }
        return {**shown, "_links": links}

    def _stock(self, product: Product) -> dict[str, Any]:
        managing = self._market.products.managing(product)
        backorders = self._market.products.allows_backorders(product)
        number = self._market.shows(product)
        manages: bool | str = product.manages or ("parent" if managing is not None else False)
        on_backorder = self.stock_status(product) == "onbackorder" or (
            number is not None and backorders != "no" and number < 0
        )
        return {
            "manage_stock": manages,
            "stock_quantity": 0.5 if product.garbled else number,
            "backorders": backorders,
            "backorders_allowed": backorders in ("yes", "notify"),
            "backordered": on_backorder,
            "low_stock_amount": None,
        }

    def _price(self, product: Product) -> str:
        if product.type != "variable":
            return product.regular_price
        prices = [each.regular_price for each in self._market.products.variations(product) if each.regular_price]
        return min(prices, key=float, default="")

    def _permalink(self, product: Product, base: str) -> str:
        if product.status == "trash":
            return f"{base}/?post_type=product&p={product.id}"
        parent = self._market.products.parent_of(product)
        if parent is None:
            return f"{base}/product/{product.slug}/"
        query = "&".join(f"attribute_{each['slug']}={each['option']}" for each in product.attributes)
        return f"{base}/product/{parent.slug}/?{query}"


def _options(product: Product) -> str:
    """Of a variation: "L, blue"; its own name where it has no attributes."""
    return ", ".join(str(each["option"]) for each in product.attributes) or product.name


def _price_html(price: str) -> str:
    if not price:
        return ""
    symbol = '<span class="woocommerce-Price-currencySymbol">&#36;</span>'
    return f'<span class="woocommerce-Price-amount amount"><bdi>{symbol}{price}</bdi></span>'
