"""What the shop offers beyond the lab's listings: products, inventory items, locations, publications, policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_numbers import Update
from channelsync.lab.marketplace_values import SWITCHED_OFF, NumberKey, Offer, State
from vendor_shopify.ids import Numbers

ProductStatus = Literal["ACTIVE", "DRAFT", "ARCHIVED", "UNLISTED"]

QUANTITY_NAMES = (
    "available",
    "on_hand",
    "committed",
    "reserved",
    "incoming",
    "damaged",
    "quality_control",
    "safety_stock",
)
ADJUSTABLE = ("available", "damaged", "incoming", "quality_control", "reserved", "safety_stock")
"""Names that inventoryAdjustQuantities takes, in the order in which its refusal lists them."""

_ON_HAND = ("committed", "reserved", "damaged", "quality_control", "safety_stock")


@dataclass(slots=True)
class ShopLocation:
    """A place that keeps units. number: its plain number."""

    number: str
    name: str
    active: bool = True


@dataclass(slots=True)
class ShopProduct:
    """A product: its variants are listings. published: plain numbers of the publications that it is on."""

    number: str
    title: str
    since: datetime
    listings: list[str] = field(default_factory=list)
    status: ProductStatus = "ACTIVE"
    published: set[str] = field(default_factory=set)
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShopPublication:
    """A place where products can be published."""

    number: str
    name: str


class Catalogue:
    """Offers of the marketplace as Shopify tells them. A listing is a variant; a key is (inventory item, location).

    fixed: inventory items that no call may set (parents of bundles are so without being here).
    inactive: levels at which an item is not stocked.
    """

    def __init__(self, marketplace: Marketplace, numbers: Numbers) -> None:
        self.marketplace = marketplace
        self.numbers = numbers
        self.locations: dict[str, ShopLocation] = {}
        self.products: dict[str, ShopProduct] = {}
        self.publications = tuple(
            ShopPublication(numbers.new("Publication"), name) for name in ("Online Store", "channelsync")
        )
        self.fixed: set[str] = set()
        self.inactive: set[NumberKey] = set()
        self._other: dict[NumberKey, Counter[str]] = {}
        self._by_item: dict[str, str] = {}
        self._product_of: dict[str, str] = {}
        self._indexed = 0
        self._skus: Counter[str | None] = Counter()
        self._counted: tuple[datetime, int] | None = None
        self.add_location("Shop location")

    # Making things

    @property
    def primary(self) -> str:
        """The location that was there first."""
        return next(iter(self.locations))

    def add_location(self, name: str, number: str = "") -> str:
        """A new location; its plain number."""
        number = number or self.numbers.new("Location")
        self.locations[number] = ShopLocation(number, name)
        return number

    def offer(
        self,
        sku: str | None,
        number: int | Mapping[str, int] = 0,
        *,
        title: str = "",
        product: str = "",
        listing: str = "",
        item: str = "",
        tracked: bool = True,
        sells_below_zero: bool = False,
        parts: Iterable[tuple[str, int]] = (),
    ) -> Offer:
        """A new variant with its inventory item, stocked at the locations in `number` (an int: at the first one).

        product: an existing product's plain number; empty: a product of its own.
        """
        listing = listing or self.numbers.new("ProductVariant")
        item = item or self.numbers.of("InventoryItem", listing)
        at = {self.primary: number} if isinstance(number, int) else dict(number)
        parts = tuple(parts)
        keys = () if parts else tuple(NumberKey(item, place) for place in at)
        made = Offer(listing=listing, sku=sku, title=title or f"Product {sku}", keys=keys, parts=parts)
        made.tracked, made.sells_below_zero = tracked, sells_below_zero
        if product:
            self._product_of[listing] = product
            self.products[product].listings.append(listing)
        self.marketplace.open_listing(made, {NumberKey(item, place): units for place, units in at.items()})
        self.product_of(listing)
        return made

    def delete(self, listing: str) -> None:
        """The seller deletes a variant: nobody finds it any more."""
        self.marketplace.offers[listing].state = State.ENDED
        self._indexed = 0

    # Finding things

    def variants(self) -> list[Offer]:
        """All that are there; ended listings are deleted variants."""
        return [offer for offer in self.marketplace.offers.values() if offer.state is not State.ENDED]

    def variant(self, listing: str) -> Offer | None:
        """The variant of this plain number; None when there is none (any more)."""
        offer = self.marketplace.offers.get(listing)
        return offer if offer is not None and offer.state is not State.ENDED else None

    def item_of(self, offer: Offer) -> str:
        """The plain number of its inventory item."""
        return offer.keys[0].key if offer.keys else self.numbers.of("InventoryItem", offer.listing)

    def by_item(self, item: str) -> Offer | None:
        """The variant behind an inventory item."""
        offers = self.marketplace.offers
        if self._indexed != len(offers):
            for offer in offers.values():
                if offer.state is not State.ENDED:
                    self._by_item[self.item_of(offer)] = offer.listing
            self._indexed = len(offers)
        found = self._by_item.get(item)
        return None if found is None else self.variant(found)

    def of_sku(self, sku: str | None) -> int:
        """How many variants have this SKU; counted anew when time passed or listings came."""
        now = (self.marketplace.time(), len(self.marketplace.offers))
        if self._counted != now:
            self._skus, self._counted = Counter(offer.sku for offer in self.variants()), now
        return self._skus[sku]

    def product_of(self, listing: str) -> ShopProduct:
        """The product of a variant; made at the first question, for listings that the lab opened."""
        known = self._product_of.get(listing)
        if known is None:
            known = self.numbers.of("Product", listing)
            title = self.marketplace.offers[listing].title or f"Product {listing}"
            self.products[known] = ShopProduct(known, title, self.marketplace.time(), [listing])
            self.products[known].published = {each.number for each in self.publications}
            self._product_of[listing] = known
        return self.products[known]

    def all_products(self) -> list[ShopProduct]:
        """Products with at least one variant."""
        found = {self.product_of(offer.listing).number: None for offer in self.variants()}
        return [self.products[number] for number in found]

    def is_parent(self, offer: Offer) -> bool:
        """Whether it is a bundle whose number is its parts'."""
        return bool(offer.parts)

    # States

    def status(self, product: ShopProduct) -> ProductStatus:
        """As the seller sees it; a listing that the lab switched off is a draft."""
        offers = [self.marketplace.offers[each] for each in product.listings if each in self.marketplace.offers]
        off = offers and all(SWITCHED_OFF in offer.reasons for offer in offers)
        return "DRAFT" if off and product.status == "ACTIVE" and product.published else product.status

    def set_status(self, product: ShopProduct, status: ProductStatus) -> None:
        """The seller changes the status: only ACTIVE and UNLISTED products can be bought."""
        product.status = status
        self._switch(product)

    def publish(self, product: ShopProduct, publication: str, *, on: bool) -> None:
        """On or off a publication; off all of them it cannot be bought."""
        (product.published.add if on else product.published.discard)(publication)
        self._switch(product)

    def _switch(self, product: ShopProduct) -> None:
        on = product.status in ("ACTIVE", "UNLISTED") and bool(product.published)
        product.changed = self.marketplace.time()
        for listing in product.listings:
            self.marketplace.switch(listing, on=on)

    # Quantities

    def keys_of(self, offer: Offer, *, inactive: bool = False) -> list[NumberKey]:
        """Its levels, by key; with `inactive` also those where it is not stocked."""
        return [key for key in offer.keys if inactive or key not in self.inactive]

    def quantities(self, key: NumberKey) -> dict[str, int]:
        """Every named number of a level, as a read shows it."""
        reading = self.marketplace.read([key])[0]
        other = self._other.get(key, Counter())
        found = {name: other[name] for name in QUANTITY_NAMES}
        if reading is None:
            found["available"] = self.marketplace.number(key)
        else:
            found["available"], found["committed"] = reading.number, reading.committed
            found["reserved"] += reading.held
        found["on_hand"] = found["available"] + sum(found[name] for name in _ON_HAND)
        return found

    def value(self, key: NumberKey, name: str) -> int:
        """The truth now, not what a lagging read shows."""
        shown = self.quantities(key)
        available = self.marketplace.number(key)
        return (
            available if name == "available" else shown[name] + (available - shown["available"]) * (name == "on_hand")
        )

    def ensure(self, offer: Offer, location: str) -> NumberKey:
        """The key of a level; since 2026-10 a quantity may be set where the item was not stocked yet."""
        key = NumberKey(self.item_of(offer), location)
        if key not in offer.keys:
            # The lab's marketplaces open all keys with the listing; Shopify's levels come later, too.
            self.marketplace.use_keys(offer, (*offer.keys, key))
        self.inactive.discard(key)
        return key

    def set_available(self, offer: Offer, key: NumberKey, number: int, expected: int | None) -> None:
        """A write of ours to `available`. Untracked items keep their number, which nobody sells from."""
        if offer.tracked and number >= 0:
            self.marketplace.push([Update(key=key, number=number, expected=expected)])
        else:
            self.marketplace.edit_number(key, number)

    def add(self, offer: Offer, key: NumberKey, name: str, by: int) -> None:
        """Raises or lowers a named number."""
        if name != "available":
            self._other.setdefault(key, Counter())[name] += by
        elif offer.tracked and self.marketplace.number(key) + by >= 0:
            self.marketplace.push([Update(key=key, change=by)])
        else:
            self.marketplace.edit_number(key, self.marketplace.number(key) + by)
