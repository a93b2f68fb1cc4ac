"""What is told of a read that is no news of the number: findings about the key itself."""

from __future__ import annotations

from collections.abc import Sequence

from channelsync.domain.findings import Finding, FindingKind
from channelsync.domain.provisional import Provisional
from channelsync.domain.watermark import Understood
from channelsync.store.keys import KeyRecord
from channelsync.sync.setup import DriftPolicy


def unreadable(record: KeyRecord, why: str) -> Finding:
    """The channel's number of a key cannot be understood."""
    return Finding(
        kind=FindingKind.UNREADABLE_NUMBER,
        subject=(str(record.id),),
        channel=record.channel,
        item=record.item or "",
        summary=f"{record.channel} listing {record.listing}: its number cannot be read: {why}. It is lowered as orders "
        "come in and not raised meanwhile; put it right at the channel.",
        evidence={"key": record.id, "why": why},
    )


def blind(record: KeyRecord) -> Finding:
    """The number is physical, and the channel does not tell what its open orders hold of it."""
    return Finding(
        kind=FindingKind.BLIND_KEY,
        subject=(str(record.id),),
        channel=record.channel,
        item=record.item or "",
        summary=f"{record.channel} listing {record.listing}: the channel does not tell how many units are "
        "in its open orders, so sales cannot be seen in its number; only buffers protect it.",
    )


def lost(record: KeyRecord, meant: Understood) -> Finding:
    """Writes were sent, refused by nobody, and never shown."""
    return Finding(
        kind=FindingKind.PUSH_LOST,
        subject=(str(record.id),),
        channel=record.channel,
        item=record.item or "",
        summary=f"{record.channel} listing {record.listing}: {meant.lost[-1].value} was sent "
        f"{record.failures + 1} times and never shown. It is sent again; look at it at the channel.",
        evidence={"key": record.id, "values": [write.value for write in meant.lost]},
    )


def implausible(record: KeyRecord, rows: Sequence[Provisional], drift: DriftPolicy) -> Finding:
    """A number fell by more than the channel may have sold since its last read: all of it is held for these rows."""
    read = "were all read once more" if drift == "repair" else "were all read past the time they take to be listed"
    units, excess = sum(row.units for row in rows), sum(row.excess for row in rows)
    return Finding(
        kind=FindingKind.IMPLAUSIBLE_DROP,
        subject=(str(record.id),),
        channel=record.channel,
        item=record.item or "",
        summary=f"{record.channel} listing {record.listing}: its number fell by {units} that no order explains yet, "
        f"{excess} more than it is likely to have sold since it was last read. All {units} are hidden on every "
        f"channel, {excess} of them until its orders {read}. Put the number right there if it is a "
        f"slip; if its orders cannot be read, run `channelsync channels check {record.channel}`.",
        evidence={"key": record.id, "units": -units, "excess": excess, "rows": [row.id for row in rows]},
    )
