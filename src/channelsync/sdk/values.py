"""The values that pass between a connector and the rest.

Orders are the domain's own snapshots, re-exported here, because connectors import the sdk only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from channelsync.domain.effects import Deducts, GivesBack, NumberBehaviour
from channelsync.domain.errors import BadOrder
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.publishing import WriteLimit
from channelsync.domain.watermark import Applies, Timing

__all__ = [
    "NO_ID",
    "Applies",
    "BadOrder",
    "Deducts",
    "GivesBack",
    "KeyRead",
    "Listing",
    "ListingState",
    "Moved",
    "NumberBehaviour",
    "OrderLine",
    "OrderPage",
    "OrderSnapshot",
    "OrderStatus",
    "PushResult",
    "QuantityKey",
    "QuantityUpdate",
    "Timing",
    "UnreadableOrder",
    "WriteLimit",
]


@dataclass(frozen=True, slots=True, order=True)
class QuantityKey:
    """What a channel keeps one number for. key: the channel's own name of it. location: the channel's id of the
    remote location; empty where the channel keeps one number for all."""

    key: str
    location: str = ""


class ListingState(StrEnum):
    """Whether a buyer can buy it now."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A channel's page or row, as buyers see it now.

    listing: the channel's id. sku, barcode: as the channel shows them; None when blank.
    keys: the quantity keys behind it, usually one; several where it has one per remote location.
    page: the name whose writes the channel counts together (`Capabilities.writes_per_day`), e.g. of the page that has
        all variations; empty: it counts the writes of each key by itself.
    further_pages: others whose count a write of it raises as well, where it is shown on several pages.
    shown: the number per key, in the channel's own meaning (`Capabilities.meaning`); a key that is missing here is
        untracked: the channel counts nothing and sells without limit. Untracked, unknown and 0 are three things.
    kept: keys of units that the channel keeps at a place of its own (the key's location) and ships from there: read by
        `Channel.read`, in no `keys` and no `shown`, and never written. A read of one tells what a buyer may buy of
        them, what is committed to orders (0 where nothing is), and as held all else that lies there.
    committed: per key, units of it in the channel's own open orders, where the channel tells.
    held: per key, units that the channel has taken off the number for a cause that it names (a draft, a transfer, a
        checkout), where it tells: 0 where it tells that there are none.
    tracked: False where the channel counts nothing for this listing. sells_below_zero: backorders are on.
    parts: for a bundle the channel knows: (listing id of the part, units). fulfilled_by_channel: not our units.
    reasons: why it cannot be bought, in the channel's words.
    """

    listing: str
    sku: str | None = None
    title: str = ""
    barcode: str | None = None
    state: ListingState = ListingState.ACTIVE
    reasons: tuple[str, ...] = ()
    keys: tuple[QuantityKey, ...] = ()
    kept: tuple[QuantityKey, ...] = ()
    page: str = ""
    further_pages: tuple[str, ...] = ()
    shown: dict[QuantityKey, int] = field(default_factory=dict)
    committed: dict[QuantityKey, int] = field(default_factory=dict)
    held: dict[QuantityKey, int] = field(default_factory=dict)
    tracked: bool = True
    sells_below_zero: bool = False
    fulfilled_by_channel: bool = False
    parts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRead:
    """The number of one key as read now. value None: the channel has no such key (any more), or it is unreadable.

    unreadable: why the number cannot be read (it is half a unit, or no number at all); empty: it was. Its neighbours in
    the call are not affected, and neither is what is known of it.
    committed: units in the channel's own open orders, where the channel tells; None where it does not.
    held: units that the channel has taken off the number for a cause that it names; None where it tells of none ever.
    asked, answered: our clock, around the request that brought it.
    """

    key: QuantityKey
    value: int | None
    asked: datetime
    answered: datetime
    committed: int | None = None
    held: int | None = None
    unreadable: str = ""

    def __post_init__(self) -> None:
        if self.unreadable and self.value is not None:
            raise ValueError(f"{self.key.key}: a number that cannot be read has no value")


NO_ID = "(no id)"
"""What an order is called that tells no id of its own."""

_RAW_CHARACTERS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableOrder:
    """An order that cannot be understood (no lines, half a unit): kept and reported, never dropped.

    raw: what the channel sent, less everything about the buyer.
    """

    order: str
    reason: str
    raw: str = ""

    @classmethod
    def of(cls, order: str, reason: str, kept: Any) -> UnreadableOrder:
        """order: its id; empty where it tells none. kept: what came, as JSON, without what is about the buyer."""
        return cls(order=order or NO_ID, reason=reason, raw=json.dumps(kept, default=str)[:_RAW_CHARACTERS_MAX])


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPage:
    """A page of whole orders. cursor: where to go on after this page, valid over restarts.

    covered_to: orders that the channel made visible up to this moment are all in the pages so far; None: only the
    last page can say. It is the moment the list was asked for, less what the channel is known to be behind.
    """

    orders: tuple[OrderSnapshot, ...]
    cursor: str
    covered_to: datetime | None = None
    unreadable: tuple[UnreadableOrder, ...] = ()

    @classmethod
    def of(
        cls, found: Iterable[OrderSnapshot | UnreadableOrder], *, cursor: str, covered_to: datetime | None
    ) -> OrderPage:
        """A page of what was found, the readable apart from the others."""
        all_found = tuple(found)
        return cls(
            orders=tuple(one for one in all_found if isinstance(one, OrderSnapshot)),
            unreadable=tuple(one for one in all_found if isinstance(one, UnreadableOrder)),
            cursor=cursor,
            covered_to=covered_to,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityUpdate:
    """Show this number. Absolute, so that sending it twice is harmless.

    value: in the channel's own meaning, never negative. expected: what the channel must be showing now, for
    channels with compare-and-set; None: write whatever it shows. idempotency: the same for every repeat of it.
    lowering: urgent. listing: the channel's listing id, for channels that address the number through it.
    """

    key: QuantityKey
    value: int
    listing: str
    sku: str | None = None
    expected: int | None = None
    idempotency: str = ""
    lowering: bool = True


PushState = Literal["accepted", "refused", "conflict", "unknown", "not sent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What a channel answered to one update; results come in the order of the updates.

    accepted: taken; seen only when a later read shows it. refused: this one only, with the channel's reason.
    conflict: compare-and-set found another number (`shown`, where told). unknown: it may have been applied.
    not sent: it never left, e.g. because the call of an earlier row failed, or something else must be through first.
    shown: the number that the answer states to be in force, where it does; it counts as a read.
    within: it can be seen within this time, or is lost; None: within `Timing.grace`. For a way that takes longer.
    """

    key: QuantityKey
    state: PushState
    reason: str = ""
    shown: int | None = None
    within: timedelta | None = None

    @classmethod
    def accepted(cls, key: QuantityKey, shown: int | None = None, *, within: timedelta | None = None) -> PushResult:
        """The channel took it."""
        return cls(key=key, state="accepted", shown=shown, within=within)

    @classmethod
    def refused(cls, key: QuantityKey, reason: str) -> PushResult:
        """The channel refused this one update; its neighbours are not affected."""
        return cls(key=key, state="refused", reason=reason)

    @classmethod
    def conflict(cls, key: QuantityKey, shown: int | None, reason: str = "") -> PushResult:
        """Compare-and-set found another number than expected; nothing was changed."""
        return cls(key=key, state="conflict", shown=shown, reason=reason)

    @classmethod
    def unknown(cls, key: QuantityKey, reason: str) -> PushResult:
        """No answer came: it may have been applied. Read before anything else."""
        return cls(key=key, state="unknown", reason=reason)

    @classmethod
    def not_sent(cls, key: QuantityKey, reason: str) -> PushResult:
        """It provably changed nothing, and is decided anew before long."""
        return cls(key=key, state="not sent", reason=reason)
