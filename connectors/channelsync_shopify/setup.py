"""What the shop must be set to: the app's permissions and version, and the shop's locations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.http import Answer
from channelsync.sdk.wire import read_part
from channelsync_shopify import documents, translate, wire, wire_account
from channelsync_shopify.client import ShopifyClient, next_of

SCOPES = (
    "read_orders",
    "read_returns",
    "read_merchant_managed_fulfillment_orders",
    "read_products",
    "read_publications",
    "read_inventory",
    "write_inventory",
    "read_locations",
)
"""What the app must be allowed to do (access scopes of the schema's types, fields and webhook topics). A write scope
holds its read scope."""

ALL_ORDERS = "read_all_orders"
"""Without it Shopify shows orders of the last 60 days only."""

_SERVED_BY = "x-shopify-api-version"


def missing_scopes(granted: Iterable[str]) -> list[str]:
    """The permissions that the app lacks."""
    held = {*granted}
    return [one for one in SCOPES if not held & {one, one.replace("read_", "write_", 1)}]


async def inspected(client: ShopifyClient) -> list[CheckPoint]:
    """What can be set wrongly at Shopify."""
    data, answer = await client.ask(documents.CHECK, {})
    found = read_part(wire_account.Checked, data, answer, documents.CHECK.name)
    installed = found.current_app_installation
    granted = [scope.handle for scope in installed.access_scopes]
    version = _version(answer, installed.app.webhook_api_version[:20])
    return [_permissions(granted), _older_orders(granted), version, *_locations(await _places(client))]


async def _places(client: ShopifyClient) -> list[wire_account.Location]:
    """All locations, deactivated ones and other companies' included."""
    found: list[wire_account.Location] = []
    after: str | None = None
    while True:
        data, answer = await client.ask(documents.LOCATIONS, {"after": after})
        rows = read_part(wire.Rows, data.get("locations"), answer, documents.LOCATIONS.name)
        found += [read_part(wire_account.Location, row, answer, documents.LOCATIONS.name) for row in rows.nodes]
        after = next_of(rows, after, answer)
        if after is None:
            return found


def _permissions(granted: Sequence[str]) -> CheckPoint:
    missing = missing_scopes(granted)
    if missing:
        advice = "Add them to the app's access scopes, release that version, and install it anew."
        return CheckPoint("permissions", f"The app lacks {', '.join(missing)}.", advice)
    return CheckPoint("permissions", f"The app may do all that is needed; it holds {', '.join(sorted(granted))[:300]}.")


def _older_orders(granted: Sequence[str]) -> CheckPoint:
    if ALL_ORDERS in granted:
        return CheckPoint("older orders", "Orders of any age are shown.")
    return CheckPoint("older orders", f"Orders older than 60 days are not shown: the app lacks {ALL_ORDERS}.")


def _version(answer: Answer, delivered: str) -> CheckPoint:
    """By whichever version the answer was made: Shopify answers by another one once ours is no longer supported.

    delivered: the version of webhooks, which the app's own settings choose; all of them name what changed alike.
    """
    served = answer.headers.get(_SERVED_BY, "")[:20] or documents.VERSION
    told = f"Shopify answers by {served}" + (f" and writes deliveries by {delivered}." if delivered else ".")
    if served == documents.VERSION:
        return CheckPoint("API version", told)
    return CheckPoint("API version", told, f"Update channelsync: it speaks {documents.VERSION}, which has ended.")


def _locations(places: Sequence[wire_account.Location]) -> list[CheckPoint]:
    """Which locations have numbers that are written, and why the others have none."""
    fed = [one for one in places if one.is_active and not one.is_fulfillment_service]
    found = f"{len(fed)} of {len(places)} are active and the seller's own: {_named(fed)}." if fed else "None is active."
    advice = "" if fed else "Activate a location of your own in Settings > Locations: numbers are kept there."
    points = [CheckPoint("locations", found, advice)]
    theirs = [one for one in places if one.is_fulfillment_service]
    if theirs:
        points.append(CheckPoint("locations", f"Other companies keep these, so nothing is written: {_named(theirs)}."))
    closed = [one for one in places if not one.is_active and not one.is_fulfillment_service]
    if closed:
        points.append(CheckPoint("locations", f"Deactivated, so nothing is kept there: {_named(closed)}."))
    silent = [one for one in fed if not one.fulfills_online_orders]
    if silent:
        points.append(CheckPoint("locations", f"Online orders are not shipped from: {_named(silent)}."))
    return points


def _named(places: Sequence[wire_account.Location]) -> str:
    """Up to ten of them by number and name."""
    told = [f"{translate.number_of(one.id)} ({one.name[:40]})" for one in places[:10]]
    return ", ".join(told) + (f" and {len(places) - 10} more" if len(places) > 10 else "")
