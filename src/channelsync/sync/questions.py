"""Questions to the seller about single numbers, and their answers: repair (ours is written), adopt (theirs was right).

A question is open while a key is `held`: a number changed at the channel, no order explains it, and the channel's
policy is to ask. Until it is answered the key is only lowered, by what is sold elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from channelsync.domain.findings import FindingKind
from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.quantities import PositionKey
from channelsync.store import agenda, findings, keys, ledger
from channelsync.store.findings import StoredFinding
from channelsync.store.keys import KeyRecord
from channelsync.sync.oversold import available_as_said, report_oversold
from channelsync.sync.setup import Setup

Answer = Literal["repair", "adopt"]

_ASKING = (FindingKind.UNEXPLAINED_DROP.value, FindingKind.DRIFT.value, FindingKind.ANOTHER_WRITER.value)
_FINDINGS_MAX = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One question. units: key units by which on hand was adjusted. refused: why it stays open; empty: it does not."""

    key: int
    channel: str
    listing: str
    question: str
    units: int = 0
    refused: str = ""


def answer_questions(
    connection: Connection, setup: Setup, ids: Collection[int], answer: Answer, *, run: str, actor: str, now: datetime
) -> list[Answered]:
    """Answers the open questions of these keys, in the caller's transaction.

    repair: our number is written over what the channel shows. adopt: a human was right at the channel, so on hand is
    adjusted by the units that no order explained, at the location that feeds the key first. What an order booked
    meanwhile, or a receipt, stays as it is. A bundle has no units of its own to adjust: its question stays open.
    """
    held = agenda.open_question(connection, sorted(ids))
    unlocked = keys.load_keys(connection, held)
    items = {record.item for record in unlocked.values() if record.item}
    positions = ledger.lock_positions(connection, items)
    before = available_as_said(positions)
    records = keys.load_keys(connection, unlocked, lock=True)
    asked = _asked(connection, records)
    answered: list[Answered] = []
    movements: list[Movement] = []
    closed: list[str] = []
    for record in records.values():
        found = asked.get(record.id, [])
        units = sum(int(one.evidence["units"]) for one in found) if answer == "adopt" else 0
        refused = _refused(record, setup, units)
        answered.append(
            Answered(
                key=record.id,
                channel=record.channel,
                listing=record.listing,
                question=record.held,
                units=0 if refused else units,
                refused=refused,
            )
        )
        if not refused:
            keys.save_key(connection, record.id, held="", disputed=0, repairs=0)
            closed += [one.fingerprint for one in found]
            movements += _adjusting(record, setup, units, found, run, actor, now)
    missing = {one.position for one in movements} - positions.keys()
    ledger.open_positions(connection, missing)
    positions |= ledger.lock_positions(connection, {key.item for key in missing})
    changed = {entry.movement.position.item for entry in ledger.write(connection, movements, positions, now)}
    keys.mark_due(connection, {name for item in changed for name in setup.shown_by(item)}, now)
    agenda.ask_for(connection, [one.key for one in answered if not one.refused], now)
    findings.close_findings(connection, closed, f"the seller's answer was to {answer}", now)
    report_oversold(connection, before, positions, now)
    return answered


def _asked(connection: Connection, records: Collection[int]) -> dict[int, list[StoredFinding]]:
    """The open findings that ask about these keys. Their `units` are signed: what the number rose by."""
    found: dict[int, list[StoredFinding]] = {}
    for one in findings.list_findings(connection, kinds=_ASKING, limit=_FINDINGS_MAX):
        key = one.evidence.get("key")
        if isinstance(key, int) and key in records and one.evidence.get("question"):
            found.setdefault(key, []).append(one)
    return found


def _refused(record: KeyRecord, setup: Setup, units: int) -> str:
    recipe = setup.recipes.get(record.item or "")
    if units and (record.item is None or (recipe is not None and recipe.kind == "virtual")):
        return "it has no units of its own: adjust what it is made of, then answer with --repair"
    return ""


def _adjusting(
    record: KeyRecord, setup: Setup, units: int, found: Collection[StoredFinding], run: str, actor: str, now: datetime
) -> list[Movement]:
    if not units or record.item is None:
        return []
    channel = setup.channels[record.channel]
    location = channel.remotes.get(record.remote) or channel.locations[0]
    cause = Cause(actor=actor, run=run, reason=f"adopted from {record.channel}: {record.held}", channel=record.channel)
    return [
        Movement(
            id=entry_id("answer", record.id, *sorted(one.id for one in found)),
            position=PositionKey(record.item, location),
            kind=EntryKind.ADJUST,
            on_hand=units * record.multiple,
            at=now,
            cause=cause,
        )
    ]
