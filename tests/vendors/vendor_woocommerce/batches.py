"""Batches: many writes in one request, each with an answer of its own, in a 200."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from channelsync.lab.faults import FaultKind
from vendor_woocommerce.calls import Answer, Call
from vendor_woocommerce.errors import WooError
from vendor_woocommerce.php import intval

Changes = Mapping[str, Any]
Shown = dict[str, Any]


def run_batch(
    call: Call,
    limit: int,
    *,
    create: Callable[[Changes], Shown],
    update: Callable[[Changes], Shown],
    delete: Callable[[int], Shown],
) -> Answer:
    """`WC_REST_Controller::batch_items`: creates, then updates, then deletes.

    limit: over all three together. Creates are checked like single ones; updates are not checked at all, so a text
    for a number counts as PHP counts it. Faults: every second row is refused; every second result is missing.
    """
    asked = call.json()
    rows = {name: found for name in ("create", "update", "delete") if isinstance(found := asked.get(name), list)}
    if sum(len(found) for found in rows.values()) > limit:
        raise WooError(
            413,
            "woocommerce_rest_request_entity_too_large",
            f"Unable to accept more than {limit} items for this request.",
        )
    answer: dict[str, list[Shown]] = {}
    for name, do in (("create", create), ("update", update)):
        for turn, row in enumerate(rows.get(name, [])):
            changes = row if isinstance(row, dict) else {}
            answer.setdefault(name, []).append(_result(call, turn, changes.get("id", 0), partial(do, changes)))
    for turn, row in enumerate(rows.get("delete", [])):
        if row:
            answer.setdefault("delete", []).append(_result(call, turn, row, partial(delete, intval(row))))
    if call.met(FaultKind.ROWS_MISSING):
        answer = {name: results[1::2] for name, results in answer.items()}
    return Answer(200, answer)


def _result(call: Call, turn: int, row: Any, do: Callable[[], Shown]) -> Shown:
    try:
        return _busy() if call.met(FaultKind.PARTIAL) and turn % 2 == 0 else do()
    except WooError as error:
        return {"id": row, "error": error.body()}


def _busy() -> Shown:
    raise WooError(500, "db_update_error", "Could not update post in the database.")
