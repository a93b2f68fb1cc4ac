"""Units that Amazon keeps and ships (FBA): read for one marketplace of each pool of them, and never written.

Amazon tells what can be sold in a marketplace. Marketplaces that sell out of one pool tell the same units (in
Pan-European FBA those of the EU: amzn/selling-partner-api-models 360, 452), so the seller names one of each pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.clock import Clock
from channelsync.sdk.paging import in_batches
from channelsync.sdk.values import KeyRead, QuantityKey
from channelsync.sdk.wire import why
from channelsync_amazon import wire
from channelsync_amazon.client import AmazonClient, next_of

SKUS_PER_CALL = 50
"""SKUs that getInventorySummaries takes (fbaInventory)."""

NAMELESS = "Amazon's answer tells of units and not of which SKU"
NO_DETAILS = "Amazon tells of it without the details"


@dataclass(frozen=True, slots=True)
class AtAmazon:
    """Units of a SKU in a pool. fulfillable: buyers may buy them. committed: for orders. held: all else there."""

    fulfillable: int = 0
    committed: int = 0
    held: int = 0

    def __add__(self, other: AtAmazon) -> AtAmazon:
        """Of two kinds of one SKU."""
        return AtAmazon(self.fulfillable + other.fulfillable, self.committed + other.committed, self.held + other.held)


class Pools:
    """The pools of one account. pools: marketplaces, one of each."""

    def __init__(self, client: AmazonClient, clock: Clock, pools: Sequence[str]) -> None:
        self._client = client
        self._clock = clock
        self._pools = pools

    async def read(self, keys: Sequence[QuantityKey]) -> dict[QuantityKey, KeyRead]:
        """What lies there of these keys, however many; each is at a location. One that is no pool has no value."""
        now = self._clock.now()
        found = {key: KeyRead(key=key, value=None, asked=now, answered=now) for key in keys}
        for pool in self._pools:
            skus = [key.key for key in found if key.location == pool]
            for some in _calls(skus):
                found |= await self._told(pool, some)
        return found

    async def _told(self, pool: str, skus: Sequence[str]) -> dict[QuantityKey, KeyRead]:
        """These SKUs in one pool, page by page: there may be more rows than SKUs, and a page has 50."""
        page, answer = await self._client.at_amazon(pool, skus, None)
        rows, asked = list(page.payload.inventory_summaries), answer.asked_at
        token: str | None = None
        while (token := next_of(page.pagination, token, answer.call)) is not None:
            page, answer = await self._client.at_amazon(pool, skus, token)
            rows += page.payload.inventory_summaries
        units = units_of(rows, skus)
        return {
            QuantityKey(sku, pool): _read(QuantityKey(sku, pool), units[sku], asked, answer.answered_at) for sku in skus
        }


def units_of(rows: Sequence[Any], skus: Sequence[str]) -> dict[str, AtAmazon | str]:
    """What rows of getInventorySummaries tell of these SKUs; a text: why it cannot be read.

    A SKU that is not among them has nothing there. One has several rows where its units are of several kinds (an FNSKU
    of the manufacturer's, another of Amazon's): together they are what there is. A row that names no SKU may be of any
    that has none.
    """
    kinds: dict[str, dict[tuple[str | None, str | None], AtAmazon | str]] = {}
    rest: AtAmazon | str = AtAmazon()
    for row in rows:
        try:
            summary = wire.InventorySummary.model_validate(row)
        except ValidationError:
            rest = NAMELESS
            continue
        kinds.setdefault(summary.seller_sku, {})[summary.fn_sku, summary.condition] = _units(summary.inventory_details)
    return {sku: _together(list(kinds[sku].values())) if sku in kinds else rest for sku in skus}


def _units(details: Any) -> AtAmazon | str:
    """What a row tells. What is reserved for orders is a part of all that is reserved; where Amazon counts it before
    the rest, nothing else is reserved."""
    if not details:
        return NO_DETAILS
    try:
        told = wire.InventoryDetails.model_validate(details)
    except ValidationError as error:
        return f"Amazon's answer to it means nothing to us: {why(error)}"
    committed = told.reserved_quantity.pending_customer_order_quantity
    return AtAmazon(
        fulfillable=told.fulfillable_quantity,
        committed=committed,
        held=max(0, told.reserved_quantity.total_reserved_quantity - committed)
        + told.researching_quantity.total_researching_quantity
        + told.unfulfillable_quantity.total_unfulfillable_quantity,
    )


def _together(kinds: Sequence[AtAmazon | str]) -> AtAmazon | str:
    """The sum; the first reason, where there is one."""
    total = AtAmazon()
    for one in kinds:
        if isinstance(one, str):
            return one
        total += one
    return total


def _read(key: QuantityKey, units: AtAmazon | str, asked: datetime, answered: datetime) -> KeyRead:
    if isinstance(units, str):
        return KeyRead(key=key, value=None, asked=asked, answered=answered, unreadable=units)
    return KeyRead(
        key=key,
        value=units.fulfillable,
        committed=units.committed,
        held=units.held,
        asked=asked,
        answered=answered,
    )


def _calls(skus: Sequence[str]) -> Iterator[Sequence[str]]:
    """The SKUs of each call: a list of them is split at commas, so one that has a comma goes by itself."""
    yield from in_batches([one for one in skus if "," not in one], SKUS_PER_CALL)
    yield from ([one] for one in skus if "," in one)
