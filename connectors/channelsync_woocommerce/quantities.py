"""Writing numbers: which go in which batch, and what the answer says of each.

Products go in one batch, the variations of each parent in another: the shop takes them no other way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import unescape
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.clock import Clock
from channelsync.sdk.pushes import Written, push_in_groups
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync.sdk.wire import why
from channelsync_woocommerce import wire
from channelsync_woocommerce.client import WooClient
from channelsync_woocommerce.settings import PUSH_SECONDS
from channelsync_woocommerce.translate_listings import ids_of_key


class Writer:
    """Pushes the numbers of one shop."""

    def __init__(self, client: WooClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def push(self, updates: Sequence[QuantityUpdate]) -> list[PushResult]:
        """One result an update, in their order. Raises as `push_in_groups` does."""
        named = {place: ids for place, one in enumerate(updates) if (ids := ids_of_key(one.key)) is not None}
        batches: dict[int, list[int]] = {}
        for place, ids in named.items():
            batches.setdefault(batch_of(ids), []).append(place)

        async def write(places: Sequence[int]) -> Written:
            rows = [(row_of(named[place]), updates[place]) for place in places]
            answered = await self._batch(batch_of(named[places[0]]), rows)
            return Written(dict(zip(places, answered, strict=True)))

        results = await push_in_groups(updates, list(batches.values()), write, clock=self._clock, seconds=PUSH_SECONDS)
        return [results.get(place) or _no_such_key(update) for place, update in enumerate(updates)]

    async def _batch(self, parent: int, batch: Sequence[tuple[int, QuantityUpdate]]) -> list[PushResult]:
        answered = await self._client.update(parent, batch_body(batch))
        if isinstance(answered, wire.Error):
            return [PushResult.refused(update.key, reason_of(answered)) for _, update in batch]
        return results_of(batch, answered)


def batch_of(ids: tuple[int, int]) -> int:
    """The batch that a product (its id, 0) or a variation (its product's id, its own) goes in: 0, or the product's."""
    return ids[0] if ids[1] else 0


def row_of(ids: tuple[int, int]) -> int:
    """The id of its row in that batch."""
    return ids[1] or ids[0]


def batch_body(batch: Sequence[tuple[int, QuantityUpdate]]) -> dict[str, Any]:
    """What is sent for a batch. Counting is not switched on for what the seller does not count."""
    return {"update": [{"id": row, "stock_quantity": update.value} for row, update in batch]}


def results_of(batch: Sequence[tuple[int, QuantityUpdate]], rows: Iterable[Any]) -> list[PushResult]:
    """One result an update, in their order. Rows are matched by id; a missing one leaves the outcome unknown."""
    found = {row["id"]: row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), int)}
    return [_result(update, found.get(name)) for name, update in batch]


def _result(update: QuantityUpdate, row: Mapping[str, Any] | None) -> PushResult:
    key = update.key
    if row is None:
        return PushResult.unknown(key, "the answer has no row for it")
    try:
        written = wire.Written.model_validate(row)
    except ValidationError as error:
        return PushResult.unknown(key, f"the answer's row cannot be read: {why(error)}")
    if written.error is not None:
        return PushResult.refused(key, reason_of(written.error))
    if written.manage_stock == "parent":
        return PushResult.refused(key, "the shop ignores it: the number of the parent product counts")
    if written.manage_stock is False:
        return PushResult.refused(key, 'the shop ignores it: "Track stock quantity" is off for this product')
    return PushResult.accepted(key, written.stock_quantity)


def reason_of(error: wire.Error) -> str:
    """What the shop gives as the reason; it writes it for a web page, < as &lt;."""
    return ": ".join(text for text in (error.code, unescape(error.message)) if text) or "the shop gives no reason"


def _no_such_key(update: QuantityUpdate) -> PushResult:
    return PushResult.refused(update.key, f"{update.key.key!r} names no product or variation of the shop")
