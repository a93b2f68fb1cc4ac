"""What became of writes: accepted, refused, in conflict, unknown, or never sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.sdk.values import PushResult
from channelsync.store import findings, key_writes, keys
from channelsync.store.key_writes import UNSEEN
from channelsync.store.keys import KeyRecord
from channelsync.store.sent_writes import NEVER_LEFT
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.decide_writes import Prepared

# A lowering that was refused is tried again after so long at the latest: until it leaves, units are sold twice.
LOWERED_AGAIN = timedelta(minutes=5)
# A key refused so often in a row is a finding.
REFUSALS_MAX = 3


def record_results(
    connection: Connection,
    agent: Agent,
    channel: OpenChannel,
    prepared: Sequence[Prepared],
    results: Sequence[PushResult],
    answered: datetime,
) -> None:
    """Records the results of one push, key by key; a refusal is the key's own."""
    now = agent.clock.now()
    records = keys.load_keys(connection, [one.key for one in prepared], lock=True)
    finished: list[tuple[tuple[int, int], dict[str, object]]] = []
    changes: dict[int, dict[str, object]] = {}
    for one, result in zip(prepared, results, strict=True):
        ended = result.state in ("refused", "conflict", NEVER_LEFT)
        fields: dict[str, object] = {"outcome": result.state, "reason": result.reason}
        fields |= {"answered_at": answered} if result.state != "unknown" else {}
        fields |= {"closed_at": now} if ended else {}
        fields |= {} if result.within is None else {"within_s": result.within.total_seconds()}
        finished.append(((one.key, one.generation), fields))
        changes[one.key] = _follow(connection, channel, records[one.key], one, result, now)
    keys.save_keys(connection, changes)
    key_writes.change_writes(connection, finished)


def record_failure(connection: Connection, agent: Agent, prepared: Sequence[Prepared], reason: str) -> None:
    """The whole call changed nothing at the channel; its keys stay on the agenda."""
    now = agent.clock.now()
    fields = {"answered_at": now, "outcome": NEVER_LEFT, "reason": reason, "closed_at": now}
    keys.lock_keys(connection, [one.key for one in prepared])  # all at once: in one order, as everybody does
    for urgency in (keys.URGENT, 1):
        keys.mark_keys_due(connection, [p.key for p in prepared if _urgency(p) == urgency], now, urgency=urgency)
    key_writes.change_writes(connection, [((one.key, one.generation), fields) for one in prepared])


def no_pause(connection: Connection, wanted: Collection[int], now: datetime) -> None:
    """Keys that were refused are tried again now: it was no matter of theirs."""
    keys.mark_keys_due(connection, wanted, now, urgency=keys.URGENT)
    keys.save_keys(connection, {key: {"not_before": None} for key in wanted})


def _urgency(one: Prepared) -> int:
    """Of a key whose write did nothing, or may have done nothing: a lowering stays before all raises."""
    return keys.URGENT if one.update.lowering else 1


def due_again(now: datetime, failures: int) -> datetime:
    """When a refused key is tried again: after a minute, doubling, at most six hours."""
    return now + min(timedelta(hours=6), timedelta(minutes=1 << min(failures, 9)))


def _follow(
    connection: Connection,
    channel: OpenChannel,
    record: KeyRecord,
    one: Prepared,
    result: PushResult,
    now: datetime,
) -> dict[str, object]:
    """What becomes of the key: the columns of its row that change. Opens or closes its finding."""
    match result.state:
        case "accepted":
            if record.failures >= REFUSALS_MAX:
                closed = [fingerprint(FindingKind.PUSH_REFUSED, str(record.id))]
                findings.close_findings(connection, closed, "the channel accepted a later write", now)
            if record.urgency != UNSEEN:  # due again since the write began, and not put off
                return {}
            return {"due_at": now + min(channel.setup.capabilities.timing.grace, channel.setup.tick)}
        case "refused":
            failures = record.failures + 1
            again = due_again(now, failures)
            if failures >= REFUSALS_MAX:
                findings.open_findings(connection, [_refused(record, one, result)], now)
            paused: dict[str, object] = {"failures": failures, "not_before": again}
            # What put it on the agenda meanwhile may be a lowering, which waits for no pause.
            at = min(again, now + LOWERED_AGAIN) if one.update.lowering else again
            return paused if record.urgency != UNSEEN else paused | {"due_at": at, "urgency": 1}
        case "not sent":
            # Nothing was changed, so nothing need be read; whatever held it up may hold up a repeat at once too.
            return {"due_at": now + channel.setup.tick, "urgency": _urgency(one)}
        case "conflict" | "unknown":
            # It shows another number than we think, or may: only a read tells.
            return {"due_at": now, "urgency": _urgency(one), "read_wanted": True, "read_at": None}


def _refused(record: KeyRecord, one: Prepared, result: PushResult) -> Finding:
    return Finding(
        kind=FindingKind.PUSH_REFUSED,
        subject=(str(record.id),),
        channel=record.channel,
        item=record.item or "",
        summary=f"{record.channel} listing {record.listing}: the channel refuses {one.update.value}: {result.reason}. "
        "It is tried again with growing pauses; put the listing right at the channel.",
        evidence={"key": record.id, "value": one.update.value, "reason": result.reason},
    )
