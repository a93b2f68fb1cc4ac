"""The strategies that ours is compared with, next to the plain absolute set: delta writes, fixed buffers, last units.

All of them count orders as the plain seller does and look as often. They differ in what they show (`Showing`) and in
how they say it: the number itself, or (`ByDifference`) by how much it has to change.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_numbers import Update
from channelsync.lab.marketplace_values import NumberKey
from channelsync.lab.plain_set import Sells
from channelsync.lab.stage import StagedListing, Wares
from channelsync.sdk.values import OrderPage, PushResult, QuantityUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What a listing should show: what is available less a buffer, and the last units on one channel only.

    buffer: units held back from every channel. last_units: from so many available units down only `preferred` shows
    them; 0: no such rule.
    """

    wares: Wares
    buffer: int = 0
    last_units: int = 0
    preferred: str = ""

    def __call__(self, listing: StagedListing, available: Mapping[str, int]) -> int:
        """Never below 0."""
        if available[listing.sku] <= self.last_units and listing.marketplace != self.preferred:
            return 0
        return max(0, self.wares.shown(listing, available) - self.buffer)


class ByDifference:
    """A channel that is told by how much its numbers change, and never what they are.

    It keeps the number that the channel must be showing when every order is known: at first what was shown, less
    what booked orders of this channel took (the channel took that off itself), plus every difference sent. A sale
    that nobody has heard of stays subtracted, which is the good of it; the other channels still do not hear of it.

    channel: where orders come from. marketplace: takes the differences; no connector of ours sends any.
    """

    def __init__(self, channel: Sells, marketplace: Marketplace, shown: Mapping[str, int]) -> None:
        self._channel = channel
        self._marketplace = marketplace
        self._shown = dict(shown)
        self._counted: set[str] = set()

    async def orders(self, *, cursor: str | None) -> AsyncIterator[OrderPage]:
        """The channel's pages; each order is counted when it is first seen (later changes of it are not)."""
        async for page in self._channel.orders(cursor=cursor):
            for order in page.orders:
                if order.order not in self._counted:
                    self._counted.add(order.order)
                    for line in order.lines:
                        if line.listing in self._shown:
                            self._shown[line.listing] -= line.ordered
            yield page

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[PushResult]:
        """Sends the differences that lead from what is shown to what these updates say."""
        changes = [
            Update(key=NumberKey(update.listing), change=update.value - self._shown[update.listing])
            for update in updates
            if update.value != self._shown[update.listing]
        ]
        for result in self._marketplace.push(changes):
            if result.status != "accepted":
                raise RuntimeError(f"{self._marketplace.name} refuses differences: {result.message}")
        self._shown |= {update.listing: update.value for update in updates}
        return [PushResult.accepted(update.key) for update in updates]
