"""Mutations of quantities: set, adjust, activate. One wrong row fails the whole call and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from channelsync.lab.faults import FaultKind
from channelsync.lab.marketplace_values import NumberKey, Offer
from vendor_shopify.asking import Ask
from vendor_shopify.catalogue import ADJUSTABLE
from vendor_shopify.errors import Node, Refused, failed, user_error
from vendor_shopify.idempotency import CONCURRENT
from vendor_shopify.ids import gid, plain, time_text
from vendor_shopify.nodes_catalogue import CatalogueNodes
from vendor_shopify.shop import Shop

MOST = 1_000_000_000

REASONS = (
    "correction",
    "cycle_count_available",
    "damaged",
    "movement_canceled",
    "movement_created",
    "movement_received",
    "movement_updated",
    "other",
    "promotion",
    "quality_control",
    "received",
    "reservation_created",
    "reservation_deleted",
    "reservation_updated",
    "restock",
    "safety_stock",
    "shrinkage",
)

_ITEM = "The specified inventory item could not be found."
_PLACE = "The specified location could not be found."
_STALE = "The changeFromQuantity value does not match persisted value."
_FIXED = "The specified inventory item is not allowed to be adjusted via API."


@dataclass(frozen=True, slots=True)
class Changed:
    """One row of an adjustment group. document: the ledger document that was named."""

    name: str
    delta: int
    key: NumberKey
    document: str | None = None


class QuantityMutations:
    """Sets and adjusts quantities."""

    def __init__(self, shop: Shop, nodes: CatalogueNodes) -> None:
        self._shop = shop
        self._catalogue = shop.catalogue
        self._nodes = nodes

    def roots(self) -> Mapping[str, Callable[[Ask], Node]]:
        """By name."""
        return {
            "inventorySetQuantities": self.set_quantities,
            "inventorySetOnHandQuantities": self.set_on_hand,
            "inventoryAdjustQuantities": self.adjust,
            "inventoryActivate": self.activate,
            "inventoryDeactivate": self.deactivate,
            "inventoryItemUpdate": self.update_item,
        }

    # Absolute

    def set_quantities(self, ask: Ask) -> Node:
        """inventorySetQuantities."""
        asked = ask.args["input"]
        rows = asked["quantities"]
        name = asked["name"]
        if name not in ("available", "on_hand"):
            message = "The quantity name must be either 'available' or 'on_hand'."
            return self._failed([user_error(["input", "name"], message, "INVALID_NAME")])
        return self._set(ask, name, rows, "quantities")

    def set_on_hand(self, ask: Ask) -> Node:
        """inventorySetOnHandQuantities (deprecated)."""
        rows = ask.args["input"]["setQuantities"]
        return self._set(ask, "on_hand", rows, "setQuantities")

    def _set(self, ask: Ask, name: str, rows: Sequence[Mapping[str, Any]], field: str) -> Node:
        errors = self._common(ask)
        errors += [each for at, row in enumerate(rows) for each in self._row_errors(row, ["input", field, at])]
        errors += _twice(rows, ["input", field])
        for at, row in enumerate(rows):
            errors += _bounds(name, row["quantity"], ["input", field, at, "quantity"])
        errors = errors or self._stale(name, rows, ["input", field])
        if errors:
            return self._failed(errors)
        changes: list[Changed] = []
        for row in rows:
            offer, location = self._found(row)
            key = self._catalogue.ensure(offer, location)
            delta = row["quantity"] - self._catalogue.value(key, name)
            number = self._shop.marketplace.number(key) + delta
            if delta:
                self._catalogue.set_available(
                    offer, key, number, row["changeFromQuantity"] if name == "available" else None
                )
                changes += [Changed("available", delta, key), Changed("on_hand", delta, key)]
        return self._done(ask, changes)

    def _stale(self, name: str, rows: Sequence[Mapping[str, Any]], at: list[object]) -> list[Node]:
        """Rows that expect another number than there is."""
        errors = []
        for turn, row in enumerate(rows):
            expected = row["changeFromQuantity"]
            if expected is None:
                continue
            offer, location = self._found(row)
            key = NumberKey(self._catalogue.item_of(offer), location)
            there = self._catalogue.value(key, name) if key in offer.keys else 0
            if there != expected:
                errors.append(user_error([*at, turn, "changeFromQuantity"], _STALE, "CHANGE_FROM_QUANTITY_STALE"))
        return errors

    # Relative

    def adjust(self, ask: Ask) -> Node:
        """inventoryAdjustQuantities."""
        asked = ask.args["input"]
        rows, name = asked["changes"], asked["name"]
        errors = _name_errors(name) or self._common(ask) + _documents(name, rows)
        if not errors:
            errors = [each for at, row in enumerate(rows) for each in self._row_errors(row, ["input", "changes", at])]
        errors = errors or self._stale(name, rows, ["input", "changes"])
        if not errors:
            for at, row in enumerate(rows):
                offer, location = self._found(row)
                key = self._catalogue.ensure(offer, location)
                number = self._catalogue.value(key, name) + row["delta"]
                errors += _bounds(name, number, ["input", "changes", at, "delta"])
        if errors:
            return self._failed(errors)
        changes: list[Changed] = []
        for row in rows:
            offer, location = self._found(row)
            key = self._catalogue.ensure(offer, location)
            if row["delta"]:
                self._catalogue.add(offer, key, name, row["delta"])
                changes.append(Changed(name, row["delta"], key, row.get("ledgerDocumentUri")))
                if name != "incoming":
                    changes.append(Changed("on_hand", row["delta"], key))
        return self._done(ask, changes)

    # What all of them check

    def _common(self, ask: Ask) -> list[Node]:
        """Of the reason and the reference document."""
        asked = ask.args["input"]
        errors = []
        if ask.call.met(FaultKind.PARTIAL):
            errors.append(user_error(None, CONCURRENT, "IDEMPOTENCY_CONCURRENT_REQUEST"))
        if asked["reason"] not in REASONS:
            message = f"The specified reason is invalid. Valid values are: {', '.join(REASONS)}."
            errors.append(user_error(["input", "reason"], message, "INVALID_REASON"))
        document = asked.get("referenceDocumentUri")
        if document is not None and not _is_uri(document):
            message = "The specified reference document is invalid."
            errors.append(user_error(["input", "referenceDocumentUri"], message, "INVALID_REFERENCE_DOCUMENT"))
        return errors

    def _row_errors(self, row: Mapping[str, Any], at: list[object]) -> Iterator[Node]:
        offer = self._catalogue.by_item(plain(row["inventoryItemId"], "InventoryItem") or "")
        if offer is None:
            yield user_error([*at, "inventoryItemId"], _ITEM, "INVALID_INVENTORY_ITEM")
        elif self._catalogue.is_parent(offer) or self._catalogue.item_of(offer) in self._catalogue.fixed:
            yield user_error([*at, "inventoryItemId"], _FIXED, "NON_MUTABLE_INVENTORY_ITEM")
        location = self._catalogue.locations.get(plain(row["locationId"], "Location") or "")
        if location is None or not location.active:
            yield user_error([*at, "locationId"], _PLACE, "INVALID_LOCATION")

    def _found(self, row: Mapping[str, Any]) -> tuple[Offer, str]:
        """The variant and the location of a row that was checked."""
        offer = self._catalogue.by_item(plain(row["inventoryItemId"], "InventoryItem") or "")
        assert offer is not None
        return offer, plain(row["locationId"], "Location") or ""

    def _failed(self, errors: Sequence[Node]) -> Node:
        return failed(errors, "inventoryAdjustmentGroup")

    def _done(self, ask: Ask, changes: Sequence[Changed]) -> Node:
        """The payload of what was done; nothing changed gives no group, as recorded."""
        if not changes:
            return {"inventoryAdjustmentGroup": None, "userErrors": []}
        asked = ask.args["input"]
        told = changes[::2] if ask.call.met(FaultKind.ROWS_MISSING) else changes
        group: Node = {
            "__typename": "InventoryAdjustmentGroup",
            "id": gid("InventoryAdjustmentGroup", self._shop.numbers.new("InventoryAdjustmentGroup")),
            "createdAt": time_text(self._shop.marketplace.time()),
            "reason": asked["reason"],
            "referenceDocumentUri": asked.get("referenceDocumentUri"),
            "app": None,
            "staffMember": None,
            "changes": lambda inner: [self._change(each) for each in told if _wanted(inner.args, each)],
        }
        return {"inventoryAdjustmentGroup": group, "userErrors": []}

    def _change(self, change: Changed) -> Node:
        offer = self._catalogue.by_item(change.key.key)
        location = self._catalogue.locations[change.key.location]
        return {
            "name": change.name,
            "delta": change.delta,
            # Null in every recorded answer: not to be relied on.
            "quantityAfterChange": None,
            "ledgerDocumentUri": change.document,
            "item": lambda _: self._nodes.item(offer) if offer else None,
            "location": lambda _: self._nodes.location(location),
        }

    # Levels and items

    def activate(self, ask: Ask) -> Node:
        """inventoryActivate: stocks an item at a location; its old number comes back."""
        args = ask.args
        offer = self._catalogue.by_item(plain(args["inventoryItemId"], "InventoryItem") or "")
        location = self._catalogue.locations.get(plain(args["locationId"], "Location") or "")
        if offer is None:
            message = "The product couldn't be stocked because it wasn't found."
            return failed([user_error(["inventoryItemId"], message)], "inventoryLevel")
        if location is None:
            message = "The product couldn't be stocked because the location wasn't found."
            return failed([user_error(["locationId"], message)], "inventoryLevel")
        key = NumberKey(self._catalogue.item_of(offer), location.number)
        active = key in offer.keys and key not in self._catalogue.inactive
        errors = _activation(args, active, location.name)
        if errors:
            return failed(errors, "inventoryLevel")
        key = self._catalogue.ensure(offer, location.number)
        for name, argument in (("available", "available"), ("on_hand", "onHand")):
            if not active and args.get(argument) is not None:
                by = args[argument] - self._catalogue.value(key, name)
                self._catalogue.add(offer, key, "available", by)
        return {"inventoryLevel": self._nodes.level(key), "userErrors": []}

    def deactivate(self, ask: Ask) -> Node:
        """inventoryDeactivate: the item is not stocked there any more."""
        number = plain(ask.args["inventoryLevelId"], "InventoryLevel") or ""
        name = self._shop.numbers.name("InventoryLevel", number)
        offer = self._catalogue.by_item(name[0]) if name else None
        if name is None or offer is None:
            message = "The product couldn't be unstocked because the product was deleted."
            return failed([user_error(None, message)])
        if len(self._catalogue.keys_of(offer)) < 2:
            place = self._catalogue.locations[name[1]].name
            message = (
                f"The product couldn't be unstocked from {place} because products need to be stocked at a minimum of "
                "1 location."
            )
            return failed([user_error(None, message)])
        self._catalogue.inactive.add(NumberKey(*name))
        return {"userErrors": []}

    def update_item(self, ask: Ask) -> Node:
        """inventoryItemUpdate: of it the tracking, and the SKU."""
        offer = self._catalogue.by_item(plain(ask.args["id"], "InventoryItem") or "")
        if offer is None:
            message = "The product couldn't be updated because it does not exist."
            return failed([user_error(["id"], message)], "inventoryItem")
        asked = ask.args["input"]
        if (cost := asked.get("cost")) is not None and float(cost) < 0:
            message = "Cost must be greater than or equal to 0"
            return failed([user_error(["input", "cost"], message)], "inventoryItem")
        if asked.get("tracked") is not None:
            self._shop.marketplace.set_policy(offer.listing, tracked=asked["tracked"])
        if "sku" in asked:
            offer.sku = asked["sku"]
        return {"inventoryItem": self._nodes.item(offer), "userErrors": []}


_COMPARES = {
    "inventorySetQuantities": ("quantities", "InventoryQuantityInput"),
    "inventorySetOnHandQuantities": ("setQuantities", "InventorySetQuantityInput"),
    "inventoryAdjustQuantities": ("changes", "InventoryChangeInput"),
}


def must_compare(mutation: str, args: Mapping[str, Any]) -> None:
    """Every row must say what it changes from; null is an answer, too. Raises Refused, before keys are looked at."""
    field, kind = _COMPARES.get(mutation, ("", ""))
    if field and any("changeFromQuantity" not in row for row in args["input"][field]):
        message = f"{kind} must include the following argument: changeFromQuantity."
        raise Refused(message, "INVALID_FIELD_ARGUMENTS")


def _twice(rows: Sequence[Mapping[str, Any]], at: list[object]) -> list[Node]:
    """Rows whose item and location stand in another row, too."""
    pairs = Counter((row["inventoryItemId"], row["locationId"]) for row in rows)
    message, code = (
        "The combination of inventoryItemId and locationId must be unique.",
        "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR",
    )
    return [
        user_error([*at, turn, "locationId"], message, code)
        for turn, row in enumerate(rows)
        if pairs[row["inventoryItemId"], row["locationId"]] > 1
    ]


def _bounds(name: str, number: int, at: list[object]) -> list[Node]:
    if name == "on_hand" and number < 0:
        return [user_error(at, "The quantity can't be negative.", "INVALID_QUANTITY_NEGATIVE")]
    if number > MOST:
        return [user_error(at, f"The quantity can't be higher than {MOST:,}.", "INVALID_QUANTITY_TOO_HIGH")]
    if number < -MOST:
        return [user_error(at, f"The quantity can't be lower than -{MOST:,}.", "INVALID_QUANTITY_TOO_LOW")]
    return []


def _name_errors(name: str) -> list[Node]:
    if name in ADJUSTABLE:
        return []
    message = f"The specified quantity name is invalid. Valid values are: {', '.join(ADJUSTABLE)}."
    return [user_error(["input", "name"], message, "INVALID_QUANTITY_NAME")]


def _documents(name: str, rows: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Of the ledger documents, which states other than available need."""
    errors = []
    documents = [row.get("ledgerDocumentUri") for row in rows]
    for turn, document in enumerate(documents):
        at = ["input", "changes", turn, "ledgerDocumentUri"]
        if name == "available" and document is not None:
            message = "A ledger document URI is not allowed when adjusting available."
            errors.append(user_error(at, message, "INVALID_AVAILABLE_DOCUMENT"))
        elif name != "available" and document is None:
            message = "A ledger document URI is required except when adjusting available."
            errors.append(user_error(at, message, "INVALID_QUANTITY_DOCUMENT"))
        elif document is not None and document.startswith("gid://shopify/"):
            message = "Internal (gid://shopify/) ledger documents are not allowed to be adjusted via API."
            errors.append(user_error(at, message, "INTERNAL_LEDGER_DOCUMENT"))
    if not errors and len(set(documents)) > 1:
        message = (
            "All changes must have the same ledger document URI or, in the case of adjusting available, no ledger "
            "document URI."
        )
        errors.append(user_error(["input", "changes"], message, "MAX_ONE_LEDGER_DOCUMENT"))
    return errors


def _activation(args: Mapping[str, Any], active: bool, place: str) -> list[Node]:
    """What inventoryActivate refuses of the numbers."""
    available, on_hand = args.get("available"), args.get("onHand")
    start = f"The product couldn't be stocked at {place} because"
    if available is not None and on_hand is not None:
        message = f"{start} not allowed to set available and on_hand quantities at the same time."
        return [user_error([field], message) for field in ("available", "onHand")]
    if active and available is not None:
        message = "Not allowed to set available quantity when the item is already active at the location."
        return [user_error(["available"], message)]
    if active and on_hand is not None:
        message = "Not allowed to set an on_hand quantity when the item is already active at the location."
        return [user_error(["onHand"], message)]
    if on_hand is not None and abs(on_hand) > MOST:
        return [user_error(["onHand"], f"{start} the quantity needs to be between -1 billion and 1 billion.")]
    return []


def _is_uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False


def _wanted(args: Mapping[str, Any], change: Changed) -> bool:
    items, places, names = args.get("inventoryItemIds"), args.get("locationIds"), args.get("quantityNames")
    return (
        (not items or gid("InventoryItem", change.key.key) in items)
        and (not places or gid("Location", change.key.location) in places)
        and (not names or change.name in names)
    )
