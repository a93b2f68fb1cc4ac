"""The SKUs by which people know items, also in what is said of rules, which name items by their ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from channelsync.store.items import items_by_id
from channelsync.sync.setup import Setup

_ITEM = re.compile(r"\bitem ([\w-]+)")


def skus_of(connection: Connection, setup: Setup, wanted: Iterable[str] = ()) -> dict[str, str]:
    """SKU by item: of these, and of all that rules name.

    One that is no item yet goes by the SKU that the configuration has. An unknown id is left out.
    """
    asked = {*wanted, *(rule.scope.item for rule in setup.rule_book.rules if rule.scope.item)}
    configured = {item: setup.named[item] for item in asked if item in setup.named}
    return configured | {item: one.sku for item, one in items_by_id(connection, asked).items()}


def named(text: str, skus: Mapping[str, str]) -> str:
    """What is said of a rule ("rule #1 for item i-..."), with the SKU in place of the id."""
    return _ITEM.sub(lambda found: f"SKU {skus[found[1]]}" if found[1] in skus else found[0], text)
