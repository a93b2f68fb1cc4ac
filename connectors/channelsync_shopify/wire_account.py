"""Shopify's JSON about the account: the shop, its locations, and what the app may do in it. See wire.py."""

from __future__ import annotations

from channelsync.sdk.wire import CamelWire
from channelsync_shopify.wire import Gid, UserError


class Scope(CamelWire):
    """One thing that the app may do."""

    handle: str


class App(CamelWire):
    """The app itself. webhook_api_version: by which its deliveries are written."""

    webhook_api_version: str = ""


class Installation(CamelWire):
    """All that the app may do."""

    access_scopes: tuple[Scope, ...]
    app: App = App()


class Shop(CamelWire):
    """Whose account it is."""

    id: Gid
    name: str = ""
    myshopify_domain: str = ""


class Checked(CamelWire):
    """The shop, and what we may do in it."""

    shop: Shop
    current_app_installation: Installation


class Location(CamelWire):
    """A place of the shop. is_fulfillment_service: another company's."""

    id: Gid
    name: str = ""
    is_active: bool
    is_fulfillment_service: bool
    fulfills_online_orders: bool = True


class Webhook(CamelWire):
    """A webhook subscription. include_fields: what its deliveries hold; empty: all."""

    id: Gid
    topic: str
    uri: str
    format: str
    filter: str | None = None
    include_fields: tuple[str, ...] = ()


class Changed(CamelWire):
    """What became of the wish to change a webhook subscription."""

    user_errors: tuple[UserError, ...]
