"""eBay as the other side of a connector's contract tests."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_values import NumberKey, State
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract import CANARY, Delivery, Fault, HttpFaults, Nonsense, Offered
from channelsync.sdk.values import QuantityKey
from vendor_ebay.errors import no_revision
from vendor_ebay.site import EbaySite

ODDITIES = {
    Nonsense.NO_LINES: "no lines",
    Nonsense.FRACTION: "half a unit",
    Nonsense.NEGATIVE: "negative units",
}


class EbayWorld:
    """One eBay, driven by the contract's tests. It keeps the protocol `World`.

    faults: stands between the connector and the site; its inner transport is the site's, or one to a socket.
    legacy: listings are made by the Trading API, not by the Inventory API. in_offer: offers state numbers of their own.
    orders_per_page: what the connector is set to ask for (`limit`). Where it cannot be set, open the site with rules
    of `orders_per_page=3`, which caps the limit: the answer's own `limit` says so.
    """

    canaries: Collection[str] = CANARY

    def __init__(
        self,
        site: EbaySite,
        faults: HttpFaults,
        clock: Clock,
        *,
        legacy: bool = False,
        in_offer: bool = True,
        orders_per_page: int = 3,
    ) -> None:
        self.site = site
        self.marketplace = site.marketplace
        self._faults = faults
        self._clock = clock
        self._legacy = legacy
        self._in_offer = in_offer
        self._page = orders_per_page

    @property
    def orders_per_page(self) -> int:
        """What the connector asks for, or less where the site caps it."""
        return min(self._page, self.marketplace.rules.orders_per_page)

    @property
    def listings_per_page(self) -> int:
        """Likewise, whichever API lists them."""
        return min(self._page, self.marketplace.rules.listings_per_page)

    @property
    def secrets(self) -> Collection[str]:
        """Every token that was issued."""
        return frozenset(self.site.api.oauth.issued)

    async def offer(self, sku: str, number: int) -> Offered:
        """A new active listing."""
        if self._legacy:
            name = self.site.api.shop.sell_legacy(number, sku=sku).names[0]
        else:
            name = self.site.api.shop.sell_item(sku, number, in_offer=self._in_offer).sku
        return Offered(name, sku, QuantityKey(name))

    async def remove(self, offered: Offered) -> None:
        """The seller deletes the item, or ends the listing that is not migrated."""
        shop = self.site.api.shop
        if self._legacy:
            self.marketplace.offers[offered.listing].state = State.ENDED
        else:
            shop.drop_item(shop.items[offered.listing])

    async def stop_counting(self, offered: Offered) -> None:
        """There is no such thing."""
        pytest.skip("eBay counts the units of every listing at a fixed price: there is no switch")

    async def number(self, key: QuantityKey) -> int | None:
        """The number in force."""
        known = NumberKey(key.key, key.location)
        return self.marketplace.number(known) if known in self.marketplace.quantity_keys() else None

    async def set_number(self, key: QuantityKey, number: int) -> None:
        """Somebody revises the listing in Seller Hub."""
        self.marketplace.edit_number(NumberKey(key.key, key.location), number)

    async def buy(self, *lines: tuple[Offered, int]) -> str:
        """A buyer commits to buy, and pays later."""
        basket = [Wanted(offered.listing, units) for offered, units in lines]
        sale = self.marketplace.place(basket, partial=False, paid=False)
        assert sale.order is not None
        assert not sale.missed
        return sale.order.id

    async def buy_nonsense(self, nonsense: Nonsense) -> str:
        """An order that is written as nonsense."""
        order = await self.buy((await self.offer("NONSENSE", 10), 1))
        self.site.api.orders.odd[order] = ODDITIES[nonsense]
        return order

    async def pay(self, order: str) -> None:
        """The buyer pays."""
        self.marketplace.pay(order)

    async def edit(self, order: str, units: int) -> None:
        """There is no such thing."""
        pytest.skip("an order at eBay is never edited: what was bought stays as it was bought, or is cancelled")

    async def cancel(self, order: str) -> None:
        """The seller cancels."""
        self.marketplace.cancel(order)

    async def ship(self, order: str, units: int) -> None:
        """A shipping fulfilment of so many units of the first line."""
        self.marketplace.ship(order, {self._line(order): units})

    async def take_back(self, order: str, units: int) -> None:
        """Units come back; eBay tells a refund at most."""
        pytest.skip("eBay's orders tell refunds as amounts only: no field says that units came back")

    async def keep_back(self, order: str, units: int) -> None:
        """Not told either."""
        pytest.skip("eBay's orders tell refunds as amounts only: no field says that units came back")

    async def refuse(self, offered: Offered, reason: str) -> None:
        """The site refuses every revision of this listing."""
        self.site.api.shop.refusals[offered.listing] = no_revision(reason)

    async def fail(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """Every call fails."""
        self._faults.fail(fault, retry_after=retry_after)

    async def heal(self) -> None:
        """Calls succeed again."""
        self._faults.heal()

    async def advance(self, by: timedelta) -> None:
        """Time passes."""
        await self._clock.sleep(by.total_seconds())

    async def delivery(self, order: str) -> Delivery:
        """The ORDER_CONFIRMATION of the order's first line."""
        signed = self.site.api.deliveries.of_order(self.marketplace.orders[order], self.marketplace.time())[0]
        return Delivery(signed.headers, signed.body, signed.event)

    def _line(self, order: str) -> str:
        return self.marketplace.orders[order].lines[0].id
