"""A channel without a network: a shop in this process. The smallest complete connector, to read and to copy.

It shows every part of the protocol once. A connector that talks HTTP has the same parts in files of their own:
see docs/writing-a-connector.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from channelsync.sdk.channel import Capabilities, Connector, Identity
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.limiter import Budget
from channelsync.sdk.pushes import refuse_more_than
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync.sdk.values import (
    BadOrder,
    GivesBack,
    KeyRead,
    Listing,
    Moved,
    NumberBehaviour,
    OrderLine,
    OrderPage,
    OrderSnapshot,
    OrderStatus,
    PushResult,
    QuantityKey,
    QuantityUpdate,
    Timing,
    UnreadableOrder,
)
from channelsync_memory.shop import SHOPS, Item, Sale, Shop, ShopBusy, ShopShut, ShopSilent

BATCH = 100

CAPABILITIES = Capabilities(
    updates_per_push=BATCH,
    reads_per_call=BATCH,
    compare_and_set=True,
    answers_with_number=True,
    behaviour=NumberBehaviour(gives_back=frozenset(GivesBack)),
    timing=Timing(),
)


class MemorySettings(BaseModel):
    """[channel.settings] of a memory channel."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    shop: Annotated[str, Field(min_length=1, examples=["main"])] = "main"
    """The shop's name. Two channels that name one shop sell from the same shelf, as two accounts of one seller do.
    Default "main"."""

    numbers: Annotated[dict[str, Annotated[int, Field(strict=True, ge=0)]], Field(examples=[{"MUG-BLUE": 12}])] = {}
    """What a new shop has on its shelf: units by SKU. Default nothing."""

    orders_per_page: Annotated[int, Field(strict=True, ge=1, le=500)] = 50
    """Orders on a page. Default 50."""


class MemoryChannel:
    """One shop of this process."""

    def __init__(self, settings: MemorySettings, shop: Shop, clock: Clock) -> None:
        self._settings = settings
        self._shop = shop
        self._clock = clock

    async def check(self) -> Identity:
        with self._asking():
            return Identity(self._settings.shop, f"Memory shop {self._settings.shop}")

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        """The cursor is the number of the last change that was read: changes are counted, so none can be missed."""
        change = int(cursor or "0")
        asked = self._clock.now()
        more = True
        while more:
            with self._asking():
                sales = self._shop.changed_after(change)
            page, more = sales[: self._settings.orders_per_page], len(sales) > self._settings.orders_per_page
            change = page[-1].change if page else change
            found = [order_of(sale) for sale in page]
            yield OrderPage.of(found, cursor=str(change), covered_to=None if more else asked)

    async def orders_by_id(self, orders: Sequence[str]) -> Sequence[OrderSnapshot | UnreadableOrder]:
        with self._asking():
            return [order_of(self._shop.sales[one]) for one in orders if one in self._shop.sales]

    async def order_ids(self, day: date) -> AsyncIterator[str]:
        with self._asking():
            placed = [sale.id for sale in self._shop.sales.values() if sale.placed_at.date() == day]
        for one in placed:
            yield one

    async def listings(self) -> AsyncIterator[Listing]:
        with self._asking():
            listed = [listing_of(item) for item in self._shop.items.values()]
        for one in listed:
            yield one

    async def listings_by_id(self, listings: Sequence[str]) -> Sequence[Listing]:
        with self._asking():
            return [listing_of(self._shop.items[one]) for one in listings if one in self._shop.items]

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[KeyRead]:
        refuse_more_than(BATCH, len(keys))
        asked = self._clock.now()
        with self._asking():
            items = [self._shop.items.get(key.key) for key in keys]
        answered = self._clock.now()
        return [
            KeyRead(key=key, value=item.number if item and item.counted else None, asked=asked, answered=answered)
            for key, item in zip(keys, items, strict=True)
        ]

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        refuse_more_than(BATCH, len(updates))
        with self._asking(write=True):
            return [self._set(update) for update in updates]

    def _set(self, update: QuantityUpdate) -> PushResult:
        """One update, which never holds up its neighbours."""
        item = self._shop.items.get(update.key.key)
        if item is None:
            return PushResult.refused(update.key, "the shop has no such item")
        if update.value < 0:
            return PushResult.refused(update.key, f"{update.value} is negative")
        if not item.counted:
            return PushResult.refused(update.key, "the shop does not count its units, and would ignore it")
        if item.under_review:
            return PushResult.refused(update.key, item.under_review)
        if update.expected not in (None, item.number):
            return PushResult.conflict(update.key, item.number)
        item.number = update.value
        return PushResult.accepted(update.key, item.number)

    @contextmanager
    def _asking(self, *, write: bool = False) -> Iterator[None]:
        """Around every call: what the shop raises becomes the error that says what the daemon does next."""
        try:
            with self._shop.call():
                yield
        except ShopBusy as error:
            raise TryLater(f"{self._settings.shop}: {error}", retry_after=error.wait) from error
        except ShopShut as error:
            raise NeedsSeller(f"Open the shop {self._settings.shop} for this account: {error}") from error
        except ShopSilent as error:
            kind = OutcomeUnknown if write else TryLater
            raise kind(f"{self._settings.shop}: {error}") from error


def order_of(sale: Sale) -> OrderSnapshot | UnreadableOrder:
    """The sale in our words. The buyer stays behind."""
    try:
        lines = tuple(
            OrderLine(
                line=line.id,
                listing=line.item.id,
                sku=line.item.sku,
                ordered=line.units,
                shipped=tuple(Moved(units=units, at=at) for units, at in line.shipped),
                returned=tuple(Moved(units=units, at=at) for units, at in line.returned),
                withheld=tuple(Moved(units=units, at=at) for units, at in line.kept_back),
            )
            for line in sale.lines
        )
        return OrderSnapshot(
            order=sale.id,
            version=sale.changed_at,
            placed_at=sale.placed_at,
            status=_status(sale),
            lines=lines,
            cancelled_at=sale.cancelled_at,
        )
    except BadOrder as error:
        raw = str([(line.id, line.item.sku, line.units) for line in sale.lines])
        return UnreadableOrder(order=sale.id, reason=str(error), raw=raw)


def _status(sale: Sale) -> OrderStatus:
    if sale.cancelled_at is not None:
        return OrderStatus.CANCELLED
    return OrderStatus.OPEN if any(line.open for line in sale.lines) else OrderStatus.CLOSED


def listing_of(item: Item) -> Listing:
    """The item in our words. Its number is kept under its own id."""
    key = QuantityKey(item.id)
    shown = {key: item.number} if item.counted else {}
    return Listing(listing=item.id, sku=item.sku, title=item.sku, keys=(key,), shown=shown, tracked=item.counted)


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[MemoryChannel]:
    """The named shop, opened when it is asked for the first time."""
    mine = own(MemorySettings, settings)
    shop = SHOPS.get(mine.shop)
    if shop is None:
        shop = SHOPS[mine.shop] = Shop(resources.clock)
        for sku, number in mine.numbers.items():
            shop.list_item(sku, number)
    yield MemoryChannel(mine, shop, resources.clock)


CONNECTOR = Connector(
    name="memory",
    title="Memory",
    settings=MemorySettings,
    capabilities=lambda _settings: CAPABILITIES,
    budgets=lambda _settings: (Budget("calls", capacity=1_000, per_second=1_000),),
    open=open_channel,
)
