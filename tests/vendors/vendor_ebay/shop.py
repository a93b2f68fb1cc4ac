"""What a seller has at this eBay: inventory items, offers, listings of the Trading API, and their numbers.

The number in force of each listing is the lab's (`Marketplace`): what buyers can buy. A listing of the Inventory API
is named by its SKU, one made by the Trading API `item:<ItemID>` or `item:<ItemID>:<SKU of the variation>`; its key
likewise. An item has a number of its own only where its offer overrides it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from channelsync.lab.marketplace_numbers import Update
from channelsync.lab.marketplace_values import (
    ENDED,
    OUT_OF_QUANTITY,
    SWITCHED_OFF,
    LogEntry,
    News,
    NumberKey,
    Offer,
    State,
)
from vendor_ebay.behaviour import EbayBehaviour
from vendor_ebay.errors import BUSY, ON_HOLD, ON_HOLD_FIXABLE, Flaw, bad_quantity, no_revision
from vendor_ebay.market import EbayMarketplace
from vendor_ebay.records import Item, Legacy, Sale
from vendor_ebay.revisions import Revisions, spent

SKU = re.compile(r"[A-Za-z0-9_.\-]{1,50}")
"""What eBay takes for a SKU.

The text of its error 25707 says alphanumeric; eBay's own examples (GP-Cam-01) and sellers use hyphens, dots and
underscores, which are taken here.
"""

NOT_PUBLISHED = "no published offer"
HELD = "on hold: policy violation"
ENDED_BY_EBAY = "ended by eBay"


class Shop:
    """The seller's items, offers and listings, and every write to their numbers.

    refusals: what the site refuses every revision of a listing with. offer_refusals: what it refuses an offer's number
    with, by the offer's id, though it takes the item's. contended: how many of the next writes to
    a SKU meet another one's (25025). sold: units by listing. lines: the site's listing id of each order line, as it
    was when it was bought; variations: the variation's, where it has one.
    """

    def __init__(self, market: EbayMarketplace, behaviour: EbayBehaviour, rng: random.Random) -> None:
        self.market = market
        self.behaviour = behaviour
        self.items: dict[str, Item] = {}
        self.sales: dict[str, Sale] = {}
        self.legacy: dict[str, Legacy] = {}
        self.refusals: dict[str, Flaw] = {}
        self.offer_refusals: dict[str, Flaw] = {}
        self.contended: Counter[str] = Counter()
        self.sold: Counter[str] = Counter()
        self.lines: dict[str, str] = {}
        self.variations: dict[str, str] = {}
        self.out_of_stock_control = behaviour.out_of_stock_control
        self._by_sku: dict[str, list[Sale]] = {}
        self._fixable: set[str] = set()
        self._busy_until: dict[str, datetime] = {}
        self.revisions = Revisions(market.rules.revisions_per_day)
        self._next_listing = rng.randint(110_000_000_000, 389_000_000_000)
        self._next_offer = rng.randint(5_000_000_010, 9_000_000_010)
        market.on_open.append(self._opened)
        market.on_log.append(self._noticed)
        market.on_news.append(self._moved)

    # Looking

    def sale_of(self, sku: str) -> Sale | None:
        """The offer of an item; of several, on several of eBay's sites, the first."""
        return next(iter(self.sales_of(sku)), None)

    def sales_of(self, sku: str) -> Sequence[Sale]:
        """All offers of an item: one for each site and format. They show one number."""
        return tuple(self._by_sku.get(sku, ()))

    def numbers(self, names: list[str]) -> list[int]:
        """What a read shows now, by listing names, all as of one moment; 0 for one that has ended."""
        readings = self.market.read([NumberKey(name) for name in names])
        return [0 if reading is None else reading.number for reading in readings]

    def listing_ids(self, name: str) -> list[str]:
        """The sites' ids of a listing by its lab's name, the first offer's first; none where it is not published."""
        if name.startswith("item:"):
            return [name.split(":")[1]]
        return [sale.listing for sale in self.sales_of(name) if sale.listing is not None]

    def variation_id(self, name: str) -> str | None:
        """The site's id of a variation by its lab's name; None for a listing without variations."""
        if name.count(":") == 2:
            _, item, sku = name.split(":")
            return self.legacy[item].variation_ids[sku]
        sale = self.sale_of(name)
        return sale.variation if sale else None

    def status(self, sale: Sale) -> str:
        """ListingStatusEnum of a published offer, by eBay's reference of the Inventory API's types."""
        offer = self.market.offers[sale.sku]
        if ENDED_BY_EBAY in offer.reasons:
            return "EBAY_ENDED"
        if SWITCHED_OFF in offer.reasons or offer.state is State.ENDED:
            return "ENDED"
        return "OUT_OF_STOCK" if self.numbers([sale.sku])[0] <= 0 else "ACTIVE"

    def on_hold(self, name: str) -> bool:
        """Whether a listing is hidden for a violation of policy."""
        return HELD in self.market.offers[name].reasons

    # What happens on the site

    def hold(self, name: str, *, on: bool = True, fixable: bool = False) -> None:
        """eBay puts a listing on hold, or lifts that. fixable: it may be revised meanwhile, with a warning."""
        self.reason(name, HELD, there=on)
        if on and fixable:
            self._fixable.add(name)
        else:
            self._fixable.discard(name)

    def warnings(self, name: str) -> list[Flaw]:
        """What a revision that was taken is answered with beside."""
        return [ON_HOLD_FIXABLE] if self.on_hold(name) else []

    def end_by_ebay(self, name: str) -> None:
        """eBay ends a listing."""
        self.reason(name, ENDED_BY_EBAY, there=True)

    def reason(self, name: str, reason: str, *, there: bool) -> None:
        """Adds or takes away a reason why a listing cannot be bought."""
        offer = self.market.offers[name]
        others = [each for each in offer.reasons if each != reason]
        offer.reasons = [*others, reason] if there else others
        if offer.state is not State.ENDED:
            offer.state = State.INACTIVE if offer.reasons else State.ACTIVE

    # Making

    def make_item(self, sku: str, content: Mapping[str, Any], locale: str, units: int = 0) -> Item:
        """A new inventory item without an offer. units: that it opens with."""
        item = self.items[sku] = Item(sku, dict(content), locale)
        title = str(dict(content.get("product") or {}).get("title") or sku)
        self.market.open_listing(
            Offer(listing=sku, sku=sku, title=title, keys=(NumberKey(sku),), state=State.INACTIVE), units
        )
        self.market.offers[sku].reasons = [NOT_PUBLISHED]
        if self.market.number(NumberKey(sku)) != units:  # a SKU that was deleted and comes back
            self.market.edit_number(NumberKey(sku), units)
        self._mind_zero(sku)
        return item

    def _opened(self, offer: Offer) -> None:
        """Somebody opened a listing at the lab's marketplace itself: it is an item with a published offer.

        Its name is its SKU, whatever SKU it came with. Raises ValueError for a name that is no SKU, or another key.
        """
        name = offer.listing
        if name in self.items or name.startswith("item:"):
            return
        if SKU.fullmatch(name) is None or offer.keys != (NumberKey(name),):
            raise ValueError(f"{self.market.name}: the name of listing {name} must be a SKU, and that of its one key.")
        offer.sku = name
        content = {"product": {"title": offer.title or name}, "condition": "NEW"}
        self.items[name] = Item(name, content, "en_US", stated=True, own=self.market.number(NumberKey(name)))
        self._sell(name)
        self._mind_zero(name)

    def _sell(self, sku: str) -> Sale:
        """A published offer with a number of its own."""
        content = {"marketplaceId": self.behaviour.site, "format": "FIXED_PRICE", "categoryId": "20625"}
        sale = self.make_sale(sku, content)
        sale.overrides = True
        self.publish(sale)
        return sale

    def make_sale(self, sku: str, content: Mapping[str, Any]) -> Sale:
        """A new offer of an item, not published."""
        self._next_offer += 10
        sale = Sale(str(self._next_offer), sku, dict(content))
        self.sales[sale.id] = sale
        self._by_sku.setdefault(sku, []).append(sale)
        return sale

    def drop_sale(self, sale: Sale) -> None:
        """Deletes an offer; its listing ends."""
        if sale.listing is not None:
            self.withdraw(sale)
        del self.sales[sale.id]
        self._by_sku[sale.sku].remove(sale)

    def drop_item(self, item: Item) -> None:
        """Deletes an item: its offers go, its listings end."""
        for sale in self.sales_of(item.sku):
            self.drop_sale(sale)
        del self.items[item.sku]
        offer = self.market.offers[item.sku]
        offer.state, offer.reasons = State.ENDED, [ENDED]

    def publish(self, sale: Sale) -> str:
        """Lists an offer; gives the site's new listing id."""
        sale.listing = self.new_listing_id()
        sale.started = self.market.time()
        self.reason(sale.sku, NOT_PUBLISHED, there=False)
        for gone in (SWITCHED_OFF, ENDED_BY_EBAY):
            self.reason(sale.sku, gone, there=False)
        return sale.listing

    def withdraw(self, sale: Sale) -> str:
        """Ends the listing of an offer; the offer stays."""
        listing, sale.listing = sale.listing or "", None
        self.reason(sale.sku, NOT_PUBLISHED, there=not self.listing_ids(sale.sku))
        return listing

    def sell_item(self, sku: str, number: int, *, title: str = "", in_offer: bool = True) -> Sale:
        """An item with a published offer, as the seller's own tool makes it. in_offer: the offer states the number."""
        self.make_item(sku, {"product": {"title": title or sku}, "condition": "NEW"}, "en_US", number)
        item = self.items[sku]
        item.stated, item.own = True, number if in_offer else None
        sale = self._sell(sku)
        sale.overrides = in_offer
        return sale

    def sell_elsewhere(self, sku: str, site: str) -> Sale:
        """One more offer of an item, published on another site: a listing of its own with the same number."""
        sale = self.make_sale(sku, {"marketplaceId": site, "format": "FIXED_PRICE", "categoryId": "20625"})
        sale.overrides = True
        self.publish(sale)
        return sale

    def sell_legacy(
        self,
        number: int | Mapping[str, int],
        *,
        sku: str | None = None,
        title: str = "Mug",
        tracked_by_sku: bool = False,
        migratable: bool = True,
    ) -> Legacy:
        """A listing made by the Trading API. number: units, or units by SKU for one with variations."""
        item = self.new_listing_id()
        legacy = Legacy(item, title, sku, self.market.time(), {}, self.out_of_stock_control, tracked_by_sku, migratable)
        self.legacy[item] = legacy
        if isinstance(number, int):
            self._open_legacy(f"item:{item}", sku, title, number)
            return legacy
        for place, (each, units) in enumerate(number.items(), 1):
            legacy.variations[each] = f"item:{item}:{each}"
            legacy.variation_ids[each] = f"4{item[-6:]}{place:05}"
            self._open_legacy(legacy.variations[each], each, title, units)
        return legacy

    def _open_legacy(self, name: str, sku: str | None, title: str, units: int) -> None:
        self.market.open_listing(Offer(listing=name, sku=sku, title=title, keys=(NumberKey(name),)), units)
        self._mind_zero(name)

    def new_listing_id(self) -> str:
        """The next id of a listing on the site."""
        self._next_listing += 7
        return str(self._next_listing)

    # Writing

    def item_number(self, item: Item) -> int | None:
        """The item's own number, as a read shows it; None where it has none."""
        if not item.stated:
            return None
        return item.own if item.own is not None else self.numbers([item.sku])[0]

    def write(self, item: Item, units: int) -> Flaw | None:
        """The item's number is set; the offer's counts instead where it overrides it."""
        item.stated = True
        sale = self.sale_of(item.sku)
        if sale is not None and sale.overrides:
            self._keep_apart(item, sale)
            item.own = units
            return self.settle(item.sku)
        return self.put(item.sku, units)

    def write_sale(self, sale: Sale, units: int) -> Flaw | None:
        """The offer's number is set, and overrides the item's from now on; or counts beside it, by the behaviour."""
        item = self.items[sale.sku]
        if self.behaviour.lower_counts:
            self._keep_apart(item, sale)
            sale.overrides, sale.own = True, units
            return self.settle(sale.sku)
        before = self.market.number(NumberKey(sale.sku))
        if before == units and sale is not self.sale_of(sale.sku):
            return None  # the first one's number is that of all
        if (flaw := self.put(sale.sku, units)) is not None:
            return flaw
        if not sale.overrides:
            sale.overrides, item.own = True, before
        return None

    def write_beside(self, item: Item, sale: Sale, units: int) -> None:
        """The item's number is set by a request that sets the offer's too: for itself it is in force at no moment."""
        self._keep_apart(item, sale)
        item.stated, item.own, sale.overrides = True, units, True

    def settle(self, sku: str) -> Flaw | None:
        """Puts the lower one of two numbers in force, where the lower one counts."""
        item, sale = self.items.get(sku), self.sale_of(sku)
        if item is None or sale is None or item.own is None or sale.own is None:
            return None
        units = min(item.own, sale.own)
        return None if units == self.market.number(NumberKey(sku)) else self.put(sku, units)

    def offer_number(self, sale: Sale) -> int:
        """The offer's number, as a read shows it."""
        return self.numbers([sale.sku])[0] if sale.own is None else sale.own

    def _keep_apart(self, item: Item, sale: Sale) -> None:
        """Both numbers are what they are from now on, where the lower one counts."""
        if self.behaviour.lower_counts and sale.own is None:
            sale.own = self.market.number(NumberKey(sale.sku))
            item.own = sale.own if item.own is None else item.own

    def stop_overriding(self, sale: Sale) -> Flaw | None:
        """The offer states no number any more: the item's counts."""
        item = self.items[sale.sku]
        if not sale.overrides:
            return None
        units = item.own or 0
        sale.overrides, sale.own, item.own = False, None, None
        return self.put(sale.sku, units)

    def put(self, name: str, units: int) -> Flaw | None:
        """Writes the number in force of a listing; gives why not."""
        result = self.market.push([Update(key=NumberKey(name), number=units)])[0]
        if result.status == "accepted":
            return None
        if result.code == "revisions_spent":
            return spent(self.market.rules.revisions_per_day)
        return bad_quantity(result.message or "") if result.code == "bad_number" else no_revision(result.message or "")

    def revise(self, name: str) -> Flaw | None:
        """Counts one revision of each live listing of it; gives why it may not be revised, then nothing is counted."""
        listings = self.listing_ids(name)
        if name in self.refusals:
            return self.refusals[name]
        if listings and self.on_hold(name) and name not in self._fixable:
            return ON_HOLD
        return self.revisions.count(listings, self.market.time())

    def occupy(self, sku: str) -> Flaw | None:
        """Takes hold of a SKU for a write; gives 25025 where another write has it."""
        now = self.market.now()
        until = self._busy_until.get(sku)
        if self.contended[sku] > 0:
            self.contended[sku] -= 1
            return BUSY
        if until is not None and now < until:
            return BUSY
        if self.behaviour.busy_after_write:
            self._busy_until[sku] = now + timedelta(seconds=self.behaviour.busy_after_write)
        return None

    # What buyers do to it

    def _noticed(self, entry: LogEntry) -> None:
        if entry.what == "sold":
            self.sold[entry.listing] += entry.units
            self.lines[entry.line] = next(iter(self.listing_ids(entry.listing)), "")
            if (variation := self.variation_id(entry.listing)) is not None:
                self.variations[entry.line] = variation

    def _moved(self, news: News) -> None:
        if news.key is None:
            return
        change = self.market.changes[-1]
        name = news.key.key
        item = self.items.get(name)
        if item is not None and change.why in ("sold", "given back", "human edit"):
            for record in (item, self.sale_of(name)):
                if record is not None and record.own is not None:
                    record.own = max(0, record.own + change.after - change.before)
        if name.startswith("item:") and change.after <= 0:
            self._end_where_it_ends(self.legacy[name.split(":")[1]])

    def _end_where_it_ends(self, legacy: Legacy) -> None:
        """A listing without out-of-stock control ends when its last unit is gone."""
        if legacy.survives_zero or any(self.market.number(NumberKey(name)) > 0 for name in legacy.names):
            return
        for name in legacy.names:
            offer = self.market.offers[name]
            offer.state, offer.reasons = State.ENDED, ["sold out, ended"]

    def _mind_zero(self, name: str) -> None:
        """A listing that opens at 0 is out of stock from the start."""
        if self.market.rules.zero == "deactivates" and self.market.number(NumberKey(name)) <= 0:
            self.reason(name, OUT_OF_QUANTITY, there=True)
