"""The root fields of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from channelsync.lab.marketplace_values import NumberKey, Offer, Order, Status
from vendor_shopify.asking import Ask
from vendor_shopify.catalogue import ShopProduct
from vendor_shopify.connections import Row, by_number
from vendor_shopify.errors import Node, Refused
from vendor_shopify.execution import Roots
from vendor_shopify.ids import kind_of, plain, rank_text
from vendor_shopify.nodes_account import AccountNodes
from vendor_shopify.nodes_after import Parcel
from vendor_shopify.nodes_catalogue import CatalogueNodes
from vendor_shopify.nodes_orders import OrderNodes
from vendor_shopify.search import Query, Read, least, matches, parsed, unknown_fields
from vendor_shopify.shop import Shop

ORDERS_SEEN = timedelta(days=60)
"""Without read_all_orders nothing older is shown [shopify.dev, access scopes]."""

T = TypeVar("T")


class Queries:
    """Answers queries. The order search knows of changes as late as the marketplace's rules say."""

    def __init__(self, shop: Shop, catalogue: CatalogueNodes, orders: OrderNodes, account: AccountNodes) -> None:
        self._shop = shop
        self._catalogue = catalogue
        self._orders = orders
        self._account = account

    def roots(self) -> Roots:
        """By name."""
        shop = self._account.shop
        return {
            "node": lambda ask: self._node(ask, ask.args["id"]),
            "nodes": lambda ask: [self._node(ask, each) for each in _few(ask.args["ids"])],
            "order": lambda ask: self._of(ask, "Order"),
            "orders": self._orders_found,
            "ordersCount": self._orders_count,
            "refund": lambda ask: self._of(ask, "Refund"),
            "return": lambda ask: self._of(ask, "Return"),
            "fulfillmentOrder": lambda ask: self._of(ask, "FulfillmentOrder"),
            "fulfillmentOrders": self._parcels,
            "product": lambda ask: self._of(ask, "Product"),
            "products": self._products,
            "productsCount": lambda _: _count(len(self._shop.catalogue.all_products())),
            "productVariant": lambda ask: self._of(ask, "ProductVariant"),
            "productVariants": self._variants,
            "productVariantsCount": lambda _: _count(len(self._shop.catalogue.variants())),
            "inventoryItem": lambda ask: self._of(ask, "InventoryItem"),
            "inventoryItems": self._items,
            "inventoryLevel": lambda ask: self._of(ask, "InventoryLevel"),
            "location": self._location,
            "locations": self._locations,
            "locationsCount": lambda _: _count(len(self._shop.catalogue.locations)),
            "publication": lambda ask: self._of(ask, "Publication"),
            "publications": lambda ask: ask.page(
                by_number(self._shop.catalogue.publications, lambda each: each.number), self._catalogue.publication
            ),
            "shop": lambda _: shop(),
        } | self._account.roots()

    # One thing by its id

    def _of(self, ask: Ask, kind: str) -> Node | None:
        found = ask.args["id"]
        if kind_of(found) != kind:
            raise Refused(f"Invalid id: {found}", "RESOURCE_NOT_FOUND" if kind_of(found) else "BAD_REQUEST")
        return self._node(ask, found)

    def _node(self, ask: Ask, name: str) -> Node | None:
        kind = kind_of(name)
        if not kind:
            raise Refused(f"Invalid global id '{name}'", "argumentLiteralsIncompatible")
        number = plain(name, kind) or ""
        finders: dict[str, Callable[[str], Node | None]] = {
            "Order": lambda each: self._order_node(ask, each),
            "LineItem": self._line_item,
            "Refund": self._refund,
            "Return": self._return,
            "ReverseFulfillmentOrder": self._reverse,
            "Fulfillment": self._fulfillment,
            "FulfillmentOrder": self._parcel,
            "Product": self._product,
            "ProductVariant": self._variant,
            "InventoryItem": self._item,
            "InventoryLevel": self._level,
            "Location": self._place,
            "Publication": self._publication,
        } | self._account.finders()
        return finders[kind](number) if kind in finders else None

    def _order_node(self, ask: Ask, number: str) -> Node | None:
        order = self._shop.book.find(number)
        return self._orders.order(order) if order and self._seen(ask, order) else None

    def _line_item(self, number: str) -> Node | None:
        found = self._shop.book.item(number)
        return self._orders.item(found) if found else None

    def _noted(self, kind: str, number: str) -> tuple[Order, int] | None:
        """The order and the turn that a document of an order was numbered by."""
        name = self._shop.numbers.name(kind, number)
        return (self._shop.marketplace.orders[name[0]], int(name[1])) if name else None

    def _refund(self, number: str) -> Node | None:
        found = self._noted("Refund", number)
        return self._orders.after.refund(found[0], self._shop.book.story(found[0]).refunds[found[1]]) if found else None

    def _return(self, number: str) -> Node | None:
        found = self._noted("Return", number)
        return (
            self._orders.after.returned(found[0], self._shop.book.story(found[0]).returns[found[1]]) if found else None
        )

    def _reverse(self, number: str) -> Node | None:
        name = self._shop.numbers.name("ReverseFulfillmentOrder", number)
        found = self._noted("Return", name[0]) if name else None
        if found is None:
            return None
        return self._orders.after.reverse(found[0], self._shop.book.story(found[0]).returns[found[1]])

    def _fulfillment(self, number: str) -> Node | None:
        found = self._noted("Fulfillment", number)
        if found is None:
            return None
        return self._orders.after.fulfillment(found[0], self._shop.book.story(found[0]).fulfillments[found[1]])

    def _parcel(self, number: str) -> Node | None:
        name = self._shop.numbers.name("FulfillmentOrder", number)
        order = self._shop.marketplace.orders[name[0]] if name else None
        parcels = self._orders.after.parcels(order) if order else []
        return next((self._orders.after.parcel(each) for each in parcels if each.number == number), None)

    def _product(self, number: str) -> Node | None:
        found = self._shop.catalogue.products.get(number)
        return self._catalogue.product(found) if found else None

    def _variant(self, number: str) -> Node | None:
        found = self._shop.catalogue.variant(number)
        return self._catalogue.variant(found) if found else None

    def _item(self, number: str) -> Node | None:
        found = self._shop.catalogue.by_item(number)
        return self._catalogue.item(found) if found else None

    def _level(self, number: str) -> Node | None:
        name = self._shop.numbers.name("InventoryLevel", number)
        key = NumberKey(*name) if name else None
        return self._catalogue.level(key) if key in self._shop.marketplace.quantity_keys() and key else None

    def _place(self, number: str) -> Node | None:
        found = self._shop.catalogue.locations.get(number)
        return self._catalogue.location(found) if found else None

    def _publication(self, number: str) -> Node | None:
        found = [each for each in self._shop.catalogue.publications if each.number == number]
        return self._catalogue.publication(found[0]) if found else None

    def _location(self, ask: Ask) -> Node | None:
        return self._of(ask, "Location") if ask.args.get("id") else self._place(self._shop.catalogue.primary)

    # Orders

    def _seen(self, ask: Ask, order: Order) -> bool:
        return "read_all_orders" in ask.call.scopes or order.placed_at >= self._shop.marketplace.time() - ORDERS_SEEN

    def _found(self, ask: Ask) -> list[Order]:
        """Orders that the search knows of by now, as it knows them, that fit the query."""
        market = self._shop.marketplace
        market.search.learn(market.now())
        query = self._query(ask, self._order_reads())
        orders, _ = market.search.page(since=least(query, "updated_at"), cursor=None, limit=10**9, site=None)
        reads = self._order_reads()
        return [order for order in orders if self._seen(ask, order) and matches(query, order, reads)]

    def _order_reads(self) -> Read[Order]:
        book = self._shop.book
        return {
            "updated_at": lambda order: order.updated_at,
            "created_at": lambda order: order.placed_at,
            "processed_at": lambda order: order.placed_at,
            "id": lambda order: int(book.number(order)),
            "name": lambda order: (f"#{1000 + order.number}", str(1000 + order.number)),
            "status": self._status_words,
            "financial_status": lambda order: self._orders.financial_status(order).lower(),
            "fulfillment_status": lambda order: (
                self._orders.fulfillment_status(order).lower(),
                "unshipped" if any(line.open for line in order.lines) else "shipped",
            ),
            "test": lambda order: book.story(order).test,
            "sku": lambda order: [line.sku for line in order.lines if line.sku],
            "tag": lambda _: (),
            "source_name": lambda _: "web",
        }

    def _status_words(self, order: Order) -> tuple[str, ...]:
        if order.cancelled_at or self._shop.book.story(order).cancelled_at:
            return ("cancelled", "closed", "any", "not_closed")
        return ("closed", "any") if order.status is Status.DONE else ("open", "not_closed", "any")

    def _orders_found(self, ask: Ask) -> Node:
        rank: dict[str, Callable[[Order], str | int]] = {
            "UPDATED_AT": lambda order: rank_text(order.updated_at),
            "CREATED_AT": lambda order: rank_text(order.placed_at),
            "PROCESSED_AT": lambda order: rank_text(order.placed_at),
            "ID": lambda order: int(self._shop.book.number(order)),
            "ORDER_NUMBER": lambda order: order.number,
        }
        value = rank.get(ask.args.get("sortKey") or "PROCESSED_AT", rank["PROCESSED_AT"])
        # The index says which orders are found and in which order; their data is read from the shop itself.
        rows = [
            Row(self._shop.marketplace.orders[each.id], value(each), self._shop.book.number(each))
            for each in self._found(ask)
        ]
        return ask.page(rows, self._orders.order, root=True)

    def _orders_count(self, ask: Ask) -> Node:
        return _count(len(self._found(ask)))

    def _parcels(self, ask: Ask) -> Node:
        """The search knows of a move as late as of any change of an order."""
        market, after = self._shop.marketplace, self._orders.after
        market.search.learn(market.now())
        orders, _ = market.search.page(since=None, cursor=None, limit=10**9, site=None)
        late = timedelta(seconds=market.rules.visibility[1])
        found: list[tuple[Parcel, datetime]] = []
        for order in orders:
            moved = self._shop.book.story(order).moved_at
            for parcel in after.parcels(market.orders[order.id]):
                at = moved.get(parcel.number)
                known = at is not None and at + late <= market.time()
                found.append((parcel, max(order.updated_at, at) if at and known else order.updated_at))
        reads: Read[tuple[Parcel, datetime]] = {
            "id": lambda each: int(each[0].number),
            "status": lambda each: each[0].status.lower(),
            "updated_at": lambda each: each[1],
            "assigned_location_id": lambda each: int(each[0].location),
        }
        chosen = self._chosen(ask, found, reads)
        shown = [each for each in chosen if each[0].status != "CLOSED" or ask.args.get("includeClosed")]
        by_time = ask.args.get("sortKey") == "UPDATED_AT"
        rows = [Row(parcel, rank_text(at) if by_time else int(parcel.number), parcel.number) for parcel, at in shown]
        return ask.page(rows, after.parcel, root=True)

    # Offers

    def _query(self, ask: Ask, reads: Read[Any]) -> Query:
        query = parsed(ask.args.get("query"))
        wrong = unknown_fields(query, reads)
        if wrong:
            warnings = [
                {"field": each, "message": "Invalid search field for this query.", "code": "invalid_field"}
                for each in wrong
            ]
            ask.call.searches.append({"path": list(ask.path), "query": ask.args["query"], "warnings": warnings})
        return query

    def _chosen(self, ask: Ask, things: Iterable[T], reads: Read[T]) -> list[T]:
        query = self._query(ask, reads)
        return [each for each in things if matches(query, each, reads)]

    def _product_reads(self) -> Read[ShopProduct]:
        catalogue = self._shop.catalogue
        return {
            "id": lambda product: int(product.number),
            "title": lambda product: product.title,
            "status": lambda product: catalogue.status(product).lower(),
            "updated_at": lambda product: product.changed or product.since,
            "created_at": lambda product: product.since,
            "sku": lambda product: [o.sku for each in product.listings if (o := catalogue.variant(each)) and o.sku],
            "published_status": lambda product: "published" if product.published else "unpublished",
        }

    def _products(self, ask: Ask) -> Node:
        found = self._chosen(ask, self._shop.catalogue.all_products(), self._product_reads())
        return ask.page(by_number(found, lambda each: each.number), self._catalogue.product, root=True)

    def _variants(self, ask: Ask) -> Node:
        product_of = self._shop.catalogue.product_of
        of_product = self._product_reads()
        reads: Read[Offer] = {
            "id": lambda offer: int(offer.listing),
            "sku": lambda offer: offer.sku,
            "barcode": lambda offer: offer.barcode,
            "title": lambda offer: offer.title,
            "product_id": lambda offer: int(product_of(offer.listing).number),
            "product_status": lambda offer: of_product["status"](product_of(offer.listing)),
            "updated_at": lambda offer: of_product["updated_at"](product_of(offer.listing)),
            "published_status": lambda offer: of_product["published_status"](product_of(offer.listing)),
            "managed": lambda offer: offer.tracked,
        }
        found = self._chosen(ask, self._shop.catalogue.variants(), reads)
        return ask.page(self._catalogue.variant_rows(found), self._catalogue.variant, root=True)

    def _items(self, ask: Ask) -> Node:
        catalogue = self._shop.catalogue
        reads: Read[Offer] = {
            "id": lambda offer: int(catalogue.item_of(offer)),
            "sku": lambda offer: offer.sku,
            "updated_at": lambda offer: (
                catalogue.product_of(offer.listing).changed or catalogue.product_of(offer.listing).since
            ),
            "created_at": lambda offer: catalogue.product_of(offer.listing).since,
        }
        found = self._chosen(ask, catalogue.variants(), reads)
        return ask.page(by_number(found, catalogue.item_of), self._catalogue.item, root=True)

    def _locations(self, ask: Ask) -> Node:
        every = self._shop.catalogue.locations.values()
        shown = [each for each in every if each.active or ask.args.get("includeInactive")]
        return ask.page(by_number(shown, lambda each: each.number), self._catalogue.location)


def _count(many: int) -> Node:
    return {"count": many, "precision": "EXACT"}


def _few(ids: list[str]) -> list[str]:
    if len(ids) > 250:
        raise Refused(
            f"The input array size of {len(ids)} is greater than the maximum allowed of 250.", "MAX_INPUT_SIZE_EXCEEDED"
        )
    return ids
