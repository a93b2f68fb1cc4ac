"""Writing numbers: what is sent, what the answer says of each row, and how a refused row is told from its neighbours.

Shopify takes all rows of a call or none: in every live capture with `userErrors` nothing was changed. So the rows that
an error names are answered, and the others go again without them; where no row is named, each half goes by itself.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channelsync.sdk.clock import Clock
from channelsync.sdk.pushes import Written, push_in_groups
from channelsync.sdk.values import PushResult, QuantityUpdate
from channelsync_shopify import wire
from channelsync_shopify.client import ShopifyClient
from channelsync_shopify.settings import PUSH_SECONDS
from channelsync_shopify.translate import gid_of, number_of

REASON = "correction"
"""One of the reasons that Shopify allows for `available` (live capture of 2026-05)."""

STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
FRESH_KEY = frozenset({"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"})
UNTRACKED = 'Shopify does not track this item ("Track quantity" is off), so its number stops no sale'
STILL_RUNNING = "IDEMPOTENCY_CONCURRENT_REQUEST"
OF_THE_WHOLE_CALL = frozenset({"INVALID_NAME", "INVALID_REASON", "INVALID_REFERENCE_DOCUMENT"})

_ROW_AT = 2
"""In the path of an error: input, quantities, the row's number, its field."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one call came to, by place in the call: see Written. fresh_key: all of it goes again under another key."""

    done: Mapping[int, PushResult] = field(default_factory=dict)
    again: Sequence[Sequence[int]] = ()
    fresh_key: bool = False


class Writer:
    """Pushes the numbers of one shop. rng: for the idempotency key of an update that carries none."""

    def __init__(self, client: ShopifyClient, clock: Clock, rng: random.Random) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng

    async def push(self, updates: Sequence[QuantityUpdate]) -> list[PushResult]:
        """One result an update, in their order. Raises as `push_in_groups` does."""
        results = {place: refused for place, one in enumerate(updates) if (refused := nameless(one)) is not None}
        places = [place for place in range(len(updates)) if place not in results]

        async def write(some: Sequence[int]) -> Written:
            verdict = await self._write([updates[place] for place in some])
            done = {some[place]: result for place, result in verdict.done.items()}
            return Written(done, [[some[place] for place in group] for group in verdict.again])

        groups = [places] if places else []
        results |= await push_in_groups(updates, groups, write, clock=self._clock, seconds=PUSH_SECONDS)
        return [results[place] for place in range(len(updates))]

    async def _write(self, updates: Sequence[QuantityUpdate]) -> Verdict:
        """One call, or two where the first one's idempotency key is used up."""
        salt = "" if all(one.idempotency for one in updates) else str(self._rng.getrandbits(64))
        verdict = Verdict()
        for tries_left in (1, 0):
            key = key_of(updates, salt)
            answer = await self._client.set_quantities(rows_of(updates, key), key)
            verdict = verdict_of(updates, answer, may_change_key=tries_left > 0)
            if not verdict.fresh_key:
                break
            salt += "again"
        return verdict


def nameless(update: QuantityUpdate) -> PushResult | None:
    """A refusal of what cannot be a key of Shopify's: it would spoil the whole call."""
    if gid_of("InventoryItem", update.key.key) is None:
        return PushResult.refused(update.key, f"{update.key.key!r} is no inventory item of Shopify's")
    if gid_of("Location", update.key.location) is None:
        return PushResult.refused(update.key, f"{update.key.location!r} is no location of Shopify's")
    return None


def rows_of(updates: Sequence[QuantityUpdate], key: str) -> dict[str, Any]:
    """What is sent for these updates. changeFromQuantity must be there, and null says: whatever it shows."""
    return {
        "name": "available",
        "reason": REASON,
        "referenceDocumentUri": f"channelsync://push/{key}",
        "quantities": [
            {
                "inventoryItemId": gid_of("InventoryItem", update.key.key),
                "locationId": gid_of("Location", update.key.location),
                "quantity": update.value,
                "changeFromQuantity": update.expected,
            }
            for update in updates
        ],
    }


def key_of(updates: Sequence[QuantityUpdate], salt: str = "") -> str:
    """The idempotency key of a call: the same for the same updates, another one for any other set of them."""
    told = [[one.idempotency, one.key.key, one.key.location, one.value, one.expected] for one in updates]
    digest = hashlib.sha256(json.dumps([salt, told]).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def verdict_of(updates: Sequence[QuantityUpdate], answer: wire.SetQuantities, *, may_change_key: bool) -> Verdict:
    """What an answer means for each of these updates."""
    if not answer.user_errors:
        untracked = untracked_in(answer)
        return Verdict(done={place: _taken(one, untracked) for place, one in enumerate(updates)})
    whole = _of_the_whole_call(updates, answer.user_errors, may_change_key=may_change_key)
    return whole or _by_row(updates, answer)


def untracked_in(answer: wire.SetQuantities) -> frozenset[str]:
    """The items that Shopify does not track: it took their numbers, and goes on selling without end."""
    group = answer.inventory_adjustment_group
    changed = () if group is None else group.changes
    return frozenset(number_of(one.item.id) for one in changed if one.item is not None and not one.item.tracked)


def _taken(update: QuantityUpdate, untracked: Collection[str]) -> PushResult:
    if update.key.key in untracked:
        return PushResult.refused(update.key, UNTRACKED)
    return PushResult.accepted(update.key)


def _of_the_whole_call(
    updates: Sequence[QuantityUpdate], errors: Sequence[wire.UserError], *, may_change_key: bool
) -> Verdict | None:
    """What errors mean that are about no row; None where there are none such."""
    codes = {error.code for error in errors}
    if may_change_key and codes & FRESH_KEY:
        return Verdict(fresh_key=True)
    reason = _reason(errors[0])
    if STILL_RUNNING in codes:
        return Verdict(done={place: PushResult.unknown(one.key, reason) for place, one in enumerate(updates)})
    if codes & (FRESH_KEY | OF_THE_WHOLE_CALL):
        return Verdict(done={place: PushResult.refused(one.key, reason) for place, one in enumerate(updates)})
    return None


def _by_row(updates: Sequence[QuantityUpdate], answer: wire.SetQuantities) -> Verdict:
    """The rows that errors name are answered; the others go again."""
    first = answer.user_errors[0]
    named: dict[int, wire.UserError] = {}
    for error in answer.user_errors:
        place = row_in(error, len(updates))
        if place is not None and (place not in named or error.code in STALE):
            named[place] = error
    if not named and len(updates) == 1:
        named = {0: first}
    done = {place: _result(updates[place], error) for place, error in named.items()}
    rest = [place for place in range(len(updates)) if place not in named]
    if answer.inventory_adjustment_group is not None:  # something was changed all the same: nobody knows what
        reason = f"the answer says that numbers were changed, and also {_reason(first)}"
        return Verdict(done=done | {place: PushResult.unknown(updates[place].key, reason) for place in rest})
    if named:
        return Verdict(done=done, again=[rest] if rest else [])
    half = len(rest) // 2
    return Verdict(again=[rest[:half], rest[half:]])


def row_in(error: wire.UserError, rows: int) -> int | None:
    """Which row an error is about; None where it names none."""
    path = error.field or ()
    if len(path) <= _ROW_AT or not (path[_ROW_AT].isascii() and path[_ROW_AT].isdigit()):
        return None
    place = int(path[_ROW_AT])
    return place if place < rows else None


def _result(update: QuantityUpdate, error: wire.UserError) -> PushResult:
    if error.code in STALE:
        return PushResult.conflict(update.key, None, _reason(error))
    return PushResult.refused(update.key, _reason(error))


def _reason(error: wire.UserError) -> str:
    return ": ".join(text for text in (error.code, error.message) if text) or "Shopify gives no reason"
