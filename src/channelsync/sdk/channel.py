"""What a connector is: the Channel protocol, its capabilities as data, and the Connector record that names it.

Capabilities are data, so that nothing outside a connector ever asks which channel it is. A capability is here when
two marketplaces of the lab differ in it and a test fails when it is ignored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

from pydantic import BaseModel

from channelsync.sdk.connecting import Guide
from channelsync.sdk.limiter import Budget
from channelsync.sdk.resources import Resources
from channelsync.sdk.values import (
    Deducts,
    GivesBack,
    KeyRead,
    Listing,
    NumberBehaviour,
    OrderPage,
    OrderSnapshot,
    PushResult,
    QuantityKey,
    QuantityUpdate,
    Timing,
    UnreadableOrder,
    WriteLimit,
)
from channelsync.sdk.webhooks import Harmless, WebhookHint

QuantityMeaning = Literal["available", "physical"]
ZeroPolicy = Literal["shows 0", "deactivates", "ends"]
Moves = Literal["own", "components", "both"]


@dataclass(frozen=True, slots=True)
class CallCost:
    """What one call costs. bucket: the budget that pays; None: the account's only one."""

    cost: float = 1
    bucket: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can do and how it behaves. Declared by the connector, checked by the contract tests.

    updates_per_push, reads_per_call: batch sizes. push_cost, read_cost: what one such call costs of the budget.
    raises_per_push: so many go in one push where all of them raise, by a way that only raises may take, because it is
        slow; None: as many as of any.
    compare_and_set: a push may carry the expected number; the channel refuses when it shows another.
    answers_with_number: a push's answer states the number that is now in force.
    meaning: what the number is. available: units a buyer may buy. physical: also those in the channel's open orders.
    committed_readable: reads tell the units in open orders, so that a physical number tells what a buyer may buy.
    zero: what writing 0 does to the listing: shows 0; deactivates it (a later raise brings it back); ends it.
    behaviour: when the channel deducts and gives back by itself. moves: which keys an order line of a bundle moves.
    timing: staleness of reads, clock skew, visibility of writes, order of applying, cap.
    order_visibility: an order is listed at the latest this long after it was placed (declared 99.9 % quantile).
    order_overlap: how far a cursor goes back, because updates appear out of order.
    pending_limit: how long a PENDING order holds units without news; None: as long as the channel lists it.
    unique_skus: the channel refuses two listings of one SKU, those that ended aside.
    writes_per_day: how often one listing (`Listing.page`) may be written; None: as often as the budgets allow.

    Raises ValueError where a physical number has a cap or a step: what is cut off it would look like sales.
    """

    updates_per_push: int = 1
    raises_per_push: int | None = None
    reads_per_call: int = 1
    push_cost: CallCost = field(default_factory=CallCost)
    read_cost: CallCost = field(default_factory=CallCost)
    compare_and_set: bool = False
    answers_with_number: bool = False
    meaning: QuantityMeaning = "available"
    committed_readable: bool = False
    zero: ZeroPolicy = "shows 0"
    behaviour: NumberBehaviour = field(default_factory=NumberBehaviour)
    moves: Moves = "own"
    timing: Timing = field(default_factory=Timing)
    order_visibility: timedelta = timedelta(minutes=5)
    order_overlap: timedelta = timedelta(minutes=5)
    pending_limit: timedelta | None = timedelta(days=7)
    unique_skus: bool = False
    writes_per_day: WriteLimit | None = None

    def __post_init__(self) -> None:
        if self.meaning == "physical" and (self.timing.cap is not None or self.timing.step > 1):
            raise ValueError(
                "a physical number cannot have a cap or be rounded: what is cut off the units of open orders and those "
                "that may be bought would look like sales"
            )

    @property
    def blind(self) -> bool:
        """Whether no sale can be seen in its numbers: they are physical, and nobody tells what open orders hold."""
        return self.meaning == "physical" and not self.committed_readable

    @property
    def read_behaviour(self) -> NumberBehaviour:
        """How the number that reads are understood in follows orders: `behaviour`, as it was told.

        Of a physical number the units in open orders are taken off, so an order lowers it at once, whatever was
        ordered less raises it, and a shipment changes nothing: it takes units off both.
        """
        if self.meaning != "physical" or self.blind:
            return self.behaviour
        restock = self.behaviour.gives_back & {GivesBack.ON_RESTOCK}
        return NumberBehaviour(Deducts.AT_ORDER, restock | {GivesBack.ON_CANCEL, GivesBack.ON_EDIT})


@dataclass(frozen=True, slots=True)
class Identity:
    """The seller's account as the channel names it; two configured channels of one identity share everything.

    name: unique within the connector, e.g. a merchant token and region. title: for people.
    """

    name: str
    title: str = ""


class Channel(Protocol):
    """One seller account on one sales channel.

    Every call may raise TryLater (again later, nothing is wrong with the request), NeedsSeller (a human must act),
    or ChannelMisbehaved (the answer makes no sense). None of them is retried by the caller at once: the transport
    has done that.
    """

    async def check(self) -> Identity:
        """Tests credentials and permissions, and says whose account it is."""
        ...

    def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        """Whole orders that changed since the cursor, overlapping a little; None: from the channel's beginning.

        Every page says where to go on. The last page's `covered_to` is never None.
        """
        ...

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        """These orders as they are now; an order that the channel does not know is left out."""
        ...

    def order_ids(self, day: date) -> AsyncIterator[str]:
        """The ids of all orders placed on a UTC day; for the completeness audit."""
        ...

    def listings(self) -> AsyncIterator[Listing]:
        """Every listing, as buyers see it now."""
        ...

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        """These listings as they are now; one that the channel does not know is left out."""
        ...

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        """The numbers of these keys now, at most `reads_per_call`, in their order. The cheapest fresh read there is."""
        ...

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        """Shows these numbers, in their order. A refusal is a result, not an exception.

        At most `updates_per_push`; where none of them lowers and none is 0, at most `raises_per_push`.
        """
        ...


class WebhookScheme(Protocol):
    """How one account's webhook deliveries are told from forged ones, and what they hint at."""

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint | Harmless | None:
        """What a genuine delivery hints at; None for a forged, stale or malformed one.

        Harmless: it is unsigned, but of a kind that the channel sends unsigned and that means nothing.
        headers: their names in any case. body: the raw bytes. now: our clock, aware UTC. It is waited for only where
        a public key must be fetched; then TryLater where the key cannot be had, and nothing else is ever raised.
        """
        ...


@runtime_checkable
class Challenged(Protocol):
    """A webhook scheme whose channel makes sure that an address is ours before it delivers there."""

    def answer(self, query: Mapping[str, str], address: str) -> bytes | None:
        """The JSON body to answer a GET on the receiver's address with; None: it is no challenge of this channel."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """Code that talks to one kind of sales channel; found by entry point, group `channelsync.connectors`.

    name: as in the configuration. settings: the model of [channel.settings]. capabilities: fixed, or computed from
    the settings. budgets: the rate budgets of one account, by the settings. open: a channel for as long as the
    context is open; it may also be `Subscribes` and `Inspects`. webhooks: the scheme of an account's deliveries,
    or None where its settings hold no secret for it; the member itself is None for a connector that takes no
    webhooks. guide: what the seller does to connect an account.
    """

    name: str
    title: str
    settings: type[BaseModel]
    capabilities: Callable[[BaseModel], Capabilities]
    budgets: Callable[[BaseModel], Sequence[Budget]]
    open: Callable[[BaseModel, Resources], AbstractAsyncContextManager[Channel]]
    webhooks: Callable[[BaseModel, Resources], WebhookScheme | None] | None = None
    guide: Guide = field(default_factory=Guide)
