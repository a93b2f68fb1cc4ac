"""The recorded answers of a real shop, replayed: where it refused, this server refuses the same in the same words.

Compared are the codes of top-level errors, and the fields and codes of userErrors, of every exchange whose operation
the server simulates. Recordings of API 2025-01 are left out: its rules of keys and comparisons are no longer those.
"""

import os
from functools import cache
from pathlib import Path

import pytest

from vendor_shopify.captures import Names, exchanges, prepare, said, stock

FOLDER = Path(os.environ.get("CHANNELSYNC_CONTRACTS", "")) / "shopify" / "live-captures"  # noqa: TID251
RECORDINGS = sorted(each.stem for each in FOLDER.glob("2026-04__*.json"))

WHY = "needs Shopify's recordings: CHANNELSYNC_CONTRACTS names the folder of the vendors' contracts"
NEEDS_RECORDINGS = pytest.mark.skipif(not RECORDINGS, reason=WHY)

_STEPS = "the order was shipped, returned or deleted by mutations that this server does not have"
_UNTOLD = "no answer tells of the level"
EXCUSED = {
    ("orders__fulfillment-create-preconditions", "cleanup"): _STEPS,
    ("orders__fulfillment-state-preconditions", "cleanup"): _STEPS,
    ("orders__order-return-status-lifecycle", "cleanup"): _STEPS,
    ("orders__order-return-status-lifecycle", "setup.mixed"): "the recorded order has more lines than the replayed one",
    ("orders__refund-create-transactions-validation", "missingParent"): "this server keeps no payment transactions",
    (
        "products__inventory-deactivate-validation-2026-04",
        "$.inventoryDeactivateCommitted",
    ): "the level is told nowhere",
    ("products__inventory-deactivate-validation-2026-04", "$.inventoryDeactivateIncoming"): _UNTOLD,
}
"""Exchanges that come out otherwise, by the starts of recording and place, and why."""

AT_LEAST = {"compared": 340, "with errors": 100}
"""So many exchanges are compared, so that a change cannot quietly empty the replay."""


@cache
def recorded():
    """All exchanges, by recording."""
    found = {}
    for row in exchanges(FOLDER):
        found.setdefault(row.recording, []).append(row)
    return found


def replayed(ask, recording):
    """(exchange, answer of ours) of each exchange of a recording that the server simulates."""
    names = Names()
    stock(ask.site.shop, FOLDER, recording, names)
    for row in recorded().get(recording, ()):
        variables = names.translated(row.variables)
        prepare(ask.site.shop, row, variables)
        answer = ask(row.query, **variables)
        ask.advance(0.5)
        names.learn(row.answer.get("data"), answer.get("data"))
        if not any((each.get("extensions") or {}).get("code") == "NOT_SIMULATED" for each in answer.get("errors", ())):
            yield row, answer


def excused(row):
    """Whether an exchange is known to come out otherwise."""
    name = row.recording.removeprefix("2026-04__")
    return any(name == recording and row.where.startswith(place) for recording, place in EXCUSED)


@NEEDS_RECORDINGS
@pytest.mark.parametrize("recording", RECORDINGS)
def test_a_recording_replays_with_the_same_errors(ask, recording):
    wrong = [
        (row.where, said(row.answer), said(answer))
        for row, answer in replayed(ask, recording)
        if not excused(row) and said(answer) != said(row.answer)
    ]
    assert wrong == []


@NEEDS_RECORDINGS
def test_most_of_what_was_recorded_is_compared(opened):
    rows = [row for recording in RECORDINGS for row, _ in replayed(opened(), recording) if not excused(row)]
    assert len(rows) >= AT_LEAST["compared"]
    assert sum(bool(said(row.answer)) for row in rows) >= AT_LEAST["with errors"]
