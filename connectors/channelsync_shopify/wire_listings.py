"""Shopify's JSON of variants, their items and their numbers. See wire.py."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from channelsync.sdk.wire import CamelWire, Units
from channelsync_shopify.wire import Gid, Nodes, Ref


class Quantity(CamelWire):
    """One of an item's numbers at a location."""

    name: str
    quantity: Units


class Place(CamelWire):
    """A location; is_fulfillment_service: another company's."""

    id: Gid
    is_fulfillment_service: bool = False


class Level(CamelWire):
    """An item's numbers at one location."""

    location: Place
    quantities: tuple[Quantity, ...]


class InventoryItem(CamelWire):
    """What numbers are kept for."""

    id: Gid
    tracked: bool
    inventory_levels: Nodes[Level] = Nodes(nodes=())


class Count(CamelWire):
    """How many."""

    count: int


class Parent(CamelWire):
    """The page that a variant is on. The counts are None where Shopify does not say."""

    status: str
    resource_publications_count: Count | None = None
    available_publications_count: Count | None = None


class Component(CamelWire):
    """A part of a bundle."""

    quantity: Units
    product_variant: Ref


class Variant(CamelWire):
    """What a buyer buys."""

    id: Gid
    sku: str | None = None
    barcode: str | None = None
    display_name: str = ""
    inventory_policy: str
    available_for_sale: bool
    requires_components: bool = False
    parent: Annotated[Parent, Field(alias="product")]
    inventory_item: InventoryItem
    product_variant_components: Nodes[Component] = Nodes(nodes=())


class NumberLevel(CamelWire):
    """An item's numbers at the location asked for."""

    quantities: tuple[Quantity, ...]


class NumberRow(CamelWire):
    """An item's numbers at the location asked for; inventory_level None: it is not kept there."""

    id: Gid
    tracked: bool
    inventory_level: NumberLevel | None = None
