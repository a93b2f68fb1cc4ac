"""What the shop offers: products and variations, and who manages the number of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from channelsync.lab.marketplace_values import NumberKey

ProductType = Literal["simple", "variable", "variation", "grouped", "external"]


@dataclass(slots=True, kw_only=True)
class Product:
    """A product, or a variation of one.

    parent: 0 but for a variation. manages: its own switch "manage stock"; its number is then in the marketplace's book.
    stock_status: of one that manages nothing. attributes: as they are shown. trash_meta: what trashing left behind.
    """

    id: int
    type: ProductType
    name: str
    created: datetime
    modified: datetime
    parent: int = 0
    sku: str = ""
    status: str = "publish"
    catalog_visibility: str = "visible"
    regular_price: str = ""
    manages: bool = False
    backorders: str = "no"
    stock_status: str = "instock"
    garbled: bool = False
    """Its number is told as half a unit."""
    attributes: list[dict[str, Any]] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    trash_meta: list[dict[str, Any]] = field(default_factory=list)

    @property
    def listing(self) -> str:
        """The name of its listing, and of the number that it manages: "15", or "15:18" for variation 18 of it."""
        return f"{self.parent}:{self.id}" if self.parent else str(self.id)

    @property
    def key(self) -> NumberKey:
        """Of the number that it manages when it does."""
        return NumberKey(self.listing)

    @property
    def slug(self) -> str:
        """Of its page."""
        return slug_of(self.name)


def slug_of(name: str) -> str:
    """A name as a page's address has it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Ids:
    """WordPress numbers posts, orders and refunds in one sequence."""

    def __init__(self, first: int = 10) -> None:
        self._next = first

    def take(self) -> int:
        """The next one."""
        self._next += 1
        return self._next - 1

    def skip(self, taken: int) -> None:
        """One that was given by hand is not given again."""
        self._next = max(self._next, taken + 1)


class Products:
    """All products by id, those in the trash too."""

    def __init__(self) -> None:
        self._all: dict[int, Product] = {}

    def __iter__(self) -> Iterator[Product]:
        return iter(self._all.values())

    def get(self, product: int) -> Product | None:
        """The product or variation of this id."""
        return self._all.get(product)

    def add(self, product: Product) -> Product:
        """Takes it in; a variation joins its parent."""
        self._all[product.id] = product
        if product.parent:
            self._all[product.parent].children.append(product.id)
        return product

    def drop(self, product: Product) -> None:
        """Deletes it for good, a parent with its variations."""
        for child in tuple(product.children):
            self.drop(self._all[child])
        del self._all[product.id]
        if product.parent in self._all:
            self._all[product.parent].children.remove(product.id)

    def of_listing(self, listing: str) -> Product | None:
        """The product behind "15" or "15:18"."""
        _, _, last = listing.rpartition(":")
        product = self._all.get(int(last)) if last.isdecimal() else None
        return product if product is not None and product.listing == listing else None

    def by_sku(self, sku: str) -> Product | None:
        """The product that has this SKU, in the trash or not."""
        return next((product for product in self if sku and product.sku == sku), None)

    def free_sku(self, sku: str) -> str:
        """What WooCommerce proposes instead of a SKU that is taken."""
        return next(made for n in itertools.count(1) if self.by_sku(made := f"{sku}-{n}") is None)

    def variations(self, parent: Product) -> list[Product]:
        """In the order in which they were made."""
        return [self._all[child] for child in parent.children]

    def parent_of(self, product: Product) -> Product | None:
        """Of a variation."""
        return self._all.get(product.parent) if product.parent else None

    def managing(self, product: Product) -> Product | None:
        """Who manages its number: itself, for a variation else its parent; None when nobody does.

        `WC_Product_Variation::get_manage_stock`: "parent" where the parent does and the variation does not.
        """
        if product.manages:
            return product
        parent = self.parent_of(product)
        return parent if parent is not None and parent.manages else None

    def allows_backorders(self, product: Product) -> str:
        """no, notify or yes: as whoever manages the number says."""
        return (self.managing(product) or product).backorders
