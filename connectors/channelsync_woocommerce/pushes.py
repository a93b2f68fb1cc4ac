"""Writes of numbers: which go in which batch, and what the answer says of each. Pure, like `translate`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import unescape
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync_woocommerce import translate, wire


def batches_of(updates: Sequence[QuantityUpdate]) -> dict[int, list[tuple[int, QuantityUpdate]]]:
    """The updates by the batch that they go in, in the order of its first: 0 for products, else the parent's id.

    Each with the id of its row. Updates whose key means nothing here are left out.
    """
    batches: dict[int, list[tuple[int, QuantityUpdate]]] = {}
    for update in updates:
        found = translate.ids_of_key(update.key)
        if found is not None:
            top, variation = found
            batches.setdefault(top if variation else 0, []).append((variation or top, update))
    return batches


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
        return PushResult.unknown(key, f"the answer's row cannot be read: {wire.why(error)}")
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
