"""Products, variants, inventory items, levels and locations as objects of an answer."""

from __future__ import annotations

from collections.abc import Iterable

from channelsync.lab.marketplace_values import NumberKey, Offer
from vendor_shopify.asking import Ask, given
from vendor_shopify.catalogue import QUANTITY_NAMES, ShopLocation, ShopProduct, ShopPublication
from vendor_shopify.connections import Row, by_number
from vendor_shopify.errors import Node, Refused
from vendor_shopify.ids import gid, plain, time_text
from vendor_shopify.search import Read, matches, parsed
from vendor_shopify.shop import Shop


class CatalogueNodes:
    """Makes the objects. Times that the lab does not keep are the shop's opening."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._catalogue = shop.catalogue
        self._opened = time_text(shop.marketplace.time())

    # Products and variants

    def product(self, product: ShopProduct) -> Node:
        """A Product."""
        catalogue = self._catalogue
        offers = [offer for each in product.listings if (offer := catalogue.variant(each)) is not None]
        return self._publishable(product) | {
            "__typename": "Product",
            "id": gid("Product", product.number),
            "legacyResourceId": product.number,
            "title": product.title,
            "handle": product.title.lower().replace(" ", "-") or product.number,
            "status": lambda _: catalogue.status(product),
            "vendor": self._shop.name,
            "productType": "",
            "tags": [],
            "isGiftCard": False,
            "requiresSellingPlan": False,
            "hasOnlyDefaultVariant": len(offers) == 1,
            "hasVariantsThatRequiresComponents": any(catalogue.is_parent(offer) for offer in offers),
            "hasOutOfStockVariants": lambda _: any(not self._for_sale(offer) for offer in offers),
            "totalInventory": lambda _: sum(self._available(offer) for offer in offers),
            "tracksInventory": any(offer.tracked for offer in offers),
            "variantsCount": {"count": len(offers), "precision": "EXACT"},
            "publishedAt": time_text(product.since) if product.published else None,
            "createdAt": time_text(product.since),
            "updatedAt": time_text(product.changed or product.since),
            "variants": lambda ask: ask.page(self.variant_rows(offers), self.variant),
        }

    def _publishable(self, product: ShopProduct) -> Node:
        publications = self._catalogue.publications
        on = [each for each in publications if each.number in product.published]
        off = [each for each in publications if each.number not in product.published]

        def resource(publication: ShopPublication) -> Node:
            return {
                "isPublished": publication.number in product.published,
                "publishDate": time_text(product.since),
                "publication": self.publication(publication),
            }

        def resources(ask: Ask) -> Node:
            shown = publications if ask.args.get("onlyPublished") is False else on
            return ask.page(by_number(shown, _number), resource)

        return {
            "publishedOnPublication": lambda ask: plain(ask.args["publicationId"], "Publication") in product.published,
            "publishedOnCurrentPublication": publications[-1].number in product.published,
            "resourcePublications": resources,
            "resourcePublicationsV2": resources,
            "resourcePublicationsCount": {"count": len(on), "precision": "EXACT"},
            "availablePublicationsCount": {"count": len(on), "precision": "EXACT"},
            "publicationCount": len(on),
            "unpublishedPublications": lambda ask: ask.page(by_number(off, _number), self.publication),
        }

    def publication(self, publication: ShopPublication) -> Node:
        """A Publication."""
        return {
            "__typename": "Publication",
            "id": gid("Publication", publication.number),
            "name": publication.name,
            "autoPublish": True,
            "supportsFuturePublishing": False,
        }

    def variant_rows(self, offers: Iterable[Offer]) -> list[Row[Offer]]:
        """Rows of variants, by id."""
        return by_number(offers, lambda offer: offer.listing)

    def variant(self, offer: Offer) -> Node:
        """A ProductVariant."""
        catalogue = self._catalogue
        product = catalogue.product_of(offer.listing)
        return self._publishable(product) | {
            "__typename": "ProductVariant",
            "id": gid("ProductVariant", offer.listing),
            "legacyResourceId": offer.listing,
            "title": "Default Title",
            "displayName": f"{product.title} - Default Title",
            "sku": offer.sku or "",
            "barcode": offer.barcode,
            "price": str(offer.price),
            "position": product.listings.index(offer.listing) + 1,
            "taxable": True,
            "selectedOptions": [{"name": "Title", "value": "Default Title"}],
            "inventoryPolicy": "CONTINUE" if offer.sells_below_zero else "DENY",
            "inventoryQuantity": lambda _: self._available(offer),
            "sellableOnlineQuantity": lambda _: self._available(offer),
            "availableForSale": lambda _: self._for_sale(offer),
            "requiresComponents": catalogue.is_parent(offer),
            "productVariantComponents": lambda ask: self._components(ask, offer),
            "inventoryItem": lambda _: self.item(offer),
            "product": lambda _: self.product(product),
            "createdAt": time_text(product.since),
            "updatedAt": time_text(product.changed or product.since),
        }

    def _components(self, ask: Ask, offer: Offer) -> Node:
        def component(part: tuple[str, int]) -> Node:
            number = self._shop.numbers.of("ProductVariantComponent", offer.listing, part[0])
            listed = self._shop.marketplace.offers[part[0]]
            return {
                "id": gid("ProductVariantComponent", number),
                "quantity": part[1],
                "productVariant": lambda _: self.variant(listed),
            }

        return ask.page(by_number(offer.parts, lambda part: part[0]), component)

    def _available(self, offer: Offer) -> int:
        if self._catalogue.is_parent(offer):
            return self._shop.marketplace.can_buy(offer.listing) or 0
        return sum(self._catalogue.quantities(key)["available"] for key in self._catalogue.keys_of(offer))

    def _for_sale(self, offer: Offer) -> bool:
        free = not offer.tracked or offer.sells_below_zero
        return self._catalogue.status(self._catalogue.product_of(offer.listing)) in ("ACTIVE", "UNLISTED") and (
            free or self._available(offer) > 0
        )

    # Inventory

    def item(self, offer: Offer) -> Node:
        """An InventoryItem."""
        catalogue = self._catalogue
        number = catalogue.item_of(offer)
        product = catalogue.product_of(offer.listing)
        return {
            "__typename": "InventoryItem",
            "id": gid("InventoryItem", number),
            "legacyResourceId": number,
            "sku": offer.sku,
            "tracked": offer.tracked,
            "requiresShipping": True,
            "duplicateSkuCount": lambda _: self._others_of_sku(offer),
            "countryCodeOfOrigin": None,
            "provinceCodeOfOrigin": None,
            "harmonizedSystemCode": None,
            "unitCost": None,
            "measurement": {"id": gid("InventoryItemMeasurement", number), "weight": {"unit": "KILOGRAMS", "value": 0}},
            "locationsCount": {"count": len(catalogue.keys_of(offer)), "precision": "EXACT"},
            "createdAt": time_text(product.since),
            "updatedAt": time_text(product.changed or product.since),
            "variant": lambda _: self.variant(offer),
            "variants": lambda ask: ask.page(self.variant_rows([offer]), self.variant),
            "inventoryLevel": lambda ask: self._level_at(ask, offer, ask.args["locationId"]),
            "inventoryLevels": lambda ask: self._levels(ask, self._level_keys(ask, offer)),
        }

    def _others_of_sku(self, offer: Offer) -> int:
        return self._catalogue.of_sku(offer.sku) - 1 if offer.sku else 0

    def _level_keys(self, ask: Ask, offer: Offer) -> list[NumberKey]:
        return self._catalogue.keys_of(offer, inactive=bool(ask.args.get("includeInactive")))

    def _level_at(self, ask: Ask, offer: Offer, location: str) -> Node | None:
        number = plain(location, "Location")
        found = [key for key in self._level_keys(ask, offer) if key.location == number]
        return self.level(found[0]) if found else None

    def _levels(self, ask: Ask, keys: Iterable[NumberKey]) -> Node:
        reads: Read[NumberKey] = {
            "inventory_item_id": lambda key: int(key.key),
            "location_id": lambda key: int(key.location),
            "id": lambda key: int(self._level_number(key)),
        }
        query = parsed(ask.args.get("query"))
        rows = [
            Row(key, number, number)
            for key in keys
            if matches(query, key, reads)
            for number in [self._level_number(key)]
        ]
        return ask.page(rows, self.level)

    def _level_number(self, key: NumberKey) -> str:
        return self._shop.numbers.of("InventoryLevel", key.key, key.location)

    def level(self, key: NumberKey) -> Node:
        """An InventoryLevel; its id holds the item's number, as recorded ids do."""
        number = self._level_number(key)
        offer = self._catalogue.by_item(key.key)
        location = self._catalogue.locations.get(key.location)
        return {
            "__typename": "InventoryLevel",
            "id": f"{gid('InventoryLevel', number)}?inventory_item_id={key.key}",
            "isActive": key not in self._catalogue.inactive,
            "canDeactivate": True,
            "deactivationAlert": None,
            "createdAt": self._opened,
            "updatedAt": self._opened,
            "item": lambda _: self.item(offer) if offer else None,
            "location": lambda _: self.location(location) if location else None,
            "quantities": lambda ask: self._named(ask, key),
        }

    def _named(self, ask: Ask, key: NumberKey) -> list[Node]:
        numbers = self._catalogue.quantities(key)
        wrong = [name for name in ask.args["names"] if name not in numbers]
        if wrong:
            raise Refused(
                f"The quantity names {', '.join(wrong)} are invalid. Valid names: {', '.join(QUANTITY_NAMES)}",
                "INVALID_FIELD_ARGUMENTS",
            )
        level = self._level_number(key)
        return [
            {
                "__typename": "InventoryQuantity",
                "id": f"{gid('InventoryQuantity', level)}?name={name}",
                "name": name,
                "quantity": numbers[name],
                # Null in the recorded answers for whatever was never set.
                "updatedAt": self._opened if name == "available" else None,
            }
            for name in ask.args["names"]
        ]

    def location(self, location: ShopLocation) -> Node:
        """A Location."""
        address: Node = {"address1": "1 Warehouse Road", "city": "Berlin", "countryCode": "DE", "country": "Germany"}
        return {
            "__typename": "Location",
            "id": gid("Location", location.number),
            "legacyResourceId": location.number,
            "name": location.name,
            "isActive": location.active,
            "isPrimary": location.number == self._catalogue.primary,
            "isFulfillmentService": False,
            "fulfillmentService": None,
            "fulfillsOnlineOrders": True,
            "shipsInventory": True,
            "hasActiveInventory": True,
            "hasUnfulfilledOrders": False,
            "activatable": False,
            "deactivatable": False,
            "deactivatedAt": None,
            "deletable": False,
            "addressVerified": False,
            "address": given(address),
            "createdAt": self._opened,
            "updatedAt": self._opened,
            "inventoryLevel": lambda ask: self._level_by_item(ask, location),
            "inventoryLevels": lambda ask: self._levels(ask, self._keys_at(ask, location)),
        }

    def _keys_at(self, ask: Ask, location: ShopLocation) -> list[NumberKey]:
        return [
            key
            for offer in self._catalogue.variants()
            for key in self._level_keys(ask, offer)
            if key.location == location.number
        ]

    def _level_by_item(self, ask: Ask, location: ShopLocation) -> Node | None:
        offer = self._catalogue.by_item(plain(ask.args["inventoryItemId"], "InventoryItem") or "")
        return self._level_at(ask, offer, gid("Location", location.number)) if offer else None


def _number(publication: ShopPublication) -> str:
    return publication.number
