"""The plan of the demo: what buyers want on its marketplaces over one day of baskets, and what follows.

`plan_trading_day` is pure: the same (day, seed, scale) gives the same plan. A plan says what buyers *want*; what
they get is up to the marketplaces at run time. The rules:

- **Marketplaces.** Outlets go to the marketplaces (three unless others are named), the busiest outlet first, each to
  the marketplace with the fewest lines so far. A basket becomes one order, at its own time, on the marketplace of its
  outlet.
- **Scale.** Below 1 a share of the baskets, drawn by lot; above 1 every basket again and again, the copies up to
  half an hour earlier or later on the same day.
- **Bundles.** SKUs that are often in one basket are also sold as bundles: pairs, triples, and one bundle that holds
  another. A basket that holds all parts of a bundle buys the bundle instead of the parts in `BUNDLE_SHARE` of cases.
- **Packs.** `PACK_SHARE` of the SKUs that are bought 2-6 at a time are also sold in packs of the most frequent such
  number; a line of a multiple of it is bought in packs. Neither bundles nor packs change a unit of the day's demand.
- **Opening quantities.** Popular SKUs are the most wanted ones that together make up `POPULAR_SHARE` of the units
  wanted. A popular SKU opens with 40-90 % of what single-unit listings sell of it less what comes back, so it runs
  out on marketplaces that share one truth and sell down to the last unit. Any other opens with all that can be
  wanted and some more (10-60 %, at least one unit).
- **What follows an order** is drawn from `FATES`: cancelled, edited up or down and then shipped, part-shipped and
  then shipped, returned, left open. Every event is later than the order and the event before it.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, combinations, starmap
from statistics import median_low

from channelsync.lab.baskets import Basket, Day, scale_baskets

MARKETPLACES = ("agora", "bazaar", "corso")
SCALE_MAX = 100

FATES = {"shipped": 66, "cancelled": 8, "edited": 6, "part-shipped": 8, "returned": 6, "left open": 6}
"""What becomes of an order, with weights that add up to 100."""

POPULAR_SHARE = 0.25
PACK_SHARE = 0.3
BUNDLE_SHARE = 0.8
WITHHELD_SHARE = 0.3
"""The share of returns that come back damaged: restocked, but not for sale."""

_SHELF, _PAIRS, _TRIPLES = 80, 16, 4  # so many bundles, sought among so many SKUs, those in most baskets


@dataclass(frozen=True, slots=True)
class Content:
    """So many units of a SKU in one unit of a bundle or a listing."""

    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One SKU that is counted. `demand` is all that orders want of it, packs and bundles included, in units."""

    sku: str
    demand: int
    popular: bool
    opening: int


@dataclass(frozen=True, slots=True)
class PlannedBundle:
    """A SKU that is made of others; a component may itself be a bundle (one level deep)."""

    sku: str
    components: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class PlannedListing:
    """What a marketplace offers. `sku` names an item or a bundle, `multiple` how many of it one listing unit is.

    `contents` are the items in one listing unit, nested bundles resolved: what a sale really takes.
    """

    marketplace: str
    listing_id: str
    sku: str
    multiple: int
    contents: tuple[Content, ...]


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """What a buyer wants of one listing, in listing units. `line_id` is unique within its order."""

    line_id: str
    listing_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """The whole order is cancelled."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Edit:
    """The buyer now wants so many of a line instead; when it is more, as far as there is any."""

    at: datetime
    line_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Ship:
    """At most these quantities (line id, listing units) leave, as far as open; None: all that is open leaves."""

    at: datetime
    lines: tuple[tuple[str, int], ...] | None


@dataclass(frozen=True, slots=True)
class Return:
    """At most so many of a line come back, as far as shipped, and are restocked: for sale again, or withheld."""

    at: datetime
    line_id: str
    quantity: int
    withheld: bool


AfterEvent = Cancel | Edit | Ship | Return


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """What a buyer tries to buy, when and where, and what happens to it later (in order of time).

    Finding less than wanted, a buyer takes what is there or is turned away: the marketplace decides at run time.
    Nothing follows for an order that was never placed, or for lines that got nothing.
    """

    order_id: str
    marketplace: str
    placed_at: datetime
    lines: tuple[PlannedLine, ...]
    after: tuple[AfterEvent, ...]


@dataclass(frozen=True, slots=True)
class TradingDay:
    """The whole plan: items by SKU, bundles, listings by id (which begins with its marketplace), orders by time."""

    items: tuple[PlannedItem, ...]
    bundles: tuple[PlannedBundle, ...]
    listings: tuple[PlannedListing, ...]
    orders: tuple[PlannedOrder, ...]

    @property
    def opening(self) -> dict[str, int]:
        """Units of every item on hand before the first order."""
        return {item.sku: item.opening for item in self.items}

    def ends_at(self) -> datetime:
        """When the last thing happens."""
        return max(moment for order in self.orders for moment in (order.placed_at, *(e.at for e in order.after)))


def plan_trading_day(
    day: Day, *, seed: int, scale: float = 1.0, marketplaces: Sequence[str] = MARKETPLACES
) -> TradingDay:
    """The plan of a day (see the module). marketplaces: their names.

    ValueError unless 0 < scale <= `SCALE_MAX` and the day has baskets.
    """
    if not 0 < scale <= SCALE_MAX or not day.baskets:
        raise ValueError(f"a plan needs baskets ({len(day.baskets)}) and a scale up to {SCALE_MAX} ({scale:g})")
    homes = assign_outlets(day.baskets, marketplaces)
    baskets = scale_baskets(day.baskets, seed=seed, scale=scale)
    bundles = choose_bundles(baskets)
    packs = choose_packs(baskets, seed=seed)
    sets = {name: [_bundle_listing(name, bundle, bundles) for bundle in bundles] for name in marketplaces}
    listings = {listing.listing_id: listing for name in marketplaces for listing in sets[name]}
    orders = []
    for basket in baskets:
        marketplace = homes[basket.outlet]
        wanted = _wanted(basket, marketplace, sets[marketplace], packs, seed=seed)
        listings.update((listing.listing_id, listing) for listing, _ in wanted)
        lines = tuple(PlannedLine(str(n), offer.listing_id, many) for n, (offer, many) in enumerate(wanted, 1))
        after = _after(lines, basket.placed_at, random.Random(f"{seed} after {basket.basket_id}"))
        orders.append(PlannedOrder(basket.basket_id, marketplace, basket.placed_at, lines, after))
    items = _items(orders, listings, seed)
    for listing in (_item_listing(name, item.sku, 1) for name in marketplaces for item in items):
        listings[listing.listing_id] = listing
    return TradingDay(items, bundles, tuple(listings[name] for name in sorted(listings)), tuple(orders))


def assign_outlets(baskets: Iterable[Basket], marketplaces: Sequence[str] = MARKETPLACES) -> dict[str, str]:
    """The marketplace of every outlet, balanced by lines: no two differ by more than the busiest outlet's lines."""
    lines: Counter[str] = Counter()
    for basket in baskets:
        lines[basket.outlet] += len(basket.lines)
    loads = dict.fromkeys(marketplaces, 0)
    assigned = {}
    for outlet in sorted(lines, key=lambda outlet: (-lines[outlet], outlet)):
        assigned[outlet] = lightest = min(loads, key=loads.__getitem__)
        loads[lightest] += lines[outlet]
    return assigned


def choose_bundles(baskets: Sequence[Basket]) -> tuple[PlannedBundle, ...]:
    """What is most often bought together, with the lower median of the units bought; none if nothing is.

    The bundle that holds another comes first: the largest must have the first choice in a basket.
    """
    together = _together(baskets)
    ranked = sorted((skus for skus in together if len(together[skus]) > 1), key=lambda s: (-len(together[s]), s))
    pairs = [skus for skus in ranked if len(skus) == 2][:_PAIRS]
    triples = [skus for skus in ranked if len(skus) == 3]
    nests = ((skus, pair) for skus in triples for pair in pairs if {*pair} < {*skus})
    nest, inside = next(nests, ((), ()))
    bundles: dict[tuple[str, ...], PlannedBundle] = {}
    for number, skus in enumerate([*triples[:_TRIPLES], *pairs], start=1):
        if skus != nest:
            parts = (Content(sku, median_low(units[sku] for units in together[skus])) for sku in skus)
            bundles[skus] = PlannedBundle(f"SET-{number:02}", tuple(parts))
    if not nest:
        return tuple(bundles.values())
    (part,) = {*nest} - {*inside}
    return (PlannedBundle("SET-00", (Content(bundles[inside].sku, 1), Content(part, 1))), *bundles.values())


def _together(baskets: Sequence[Basket]) -> dict[tuple[str, ...], list[Mapping[str, int]]]:
    """Pairs and triples of the SKUs in most baskets, with the units by SKU of every basket that holds them."""
    seen = Counter(line.sku for basket in baskets for line in basket.lines)
    shelf = frozenset(sorted(seen, key=lambda sku: (-seen[sku], sku))[:_SHELF])
    together: dict[tuple[str, ...], list[Mapping[str, int]]] = {}
    for basket in baskets:
        units = {line.sku: line.units for line in basket.lines if line.sku in shelf}
        for skus in chain(combinations(sorted(units), 2), combinations(sorted(units), 3)):
            together.setdefault(skus, []).append(units)
    return together


def choose_packs(baskets: Iterable[Basket], *, seed: int) -> dict[str, int]:
    """The SKUs that are also sold in packs, with the units of a pack (2 to 6)."""
    bought: dict[str, Counter[int]] = {}
    for line in (line for basket in baskets for line in basket.lines if 2 <= line.units <= 6):
        bought.setdefault(line.sku, Counter())[line.units] += 1
    return {
        sku: min(sizes, key=lambda units: (-sizes[units], units))
        for sku, sizes in sorted(bought.items())
        if random.Random(f"{seed} pack {sku}").random() < PACK_SHARE
    }


def _item_listing(marketplace: str, sku: str, multiple: int) -> PlannedListing:
    listing_id = f"{marketplace}-{sku}" if multiple == 1 else f"{marketplace}-{sku}-x{multiple}"
    return PlannedListing(marketplace, listing_id, sku, multiple, (Content(sku, multiple),))


def _bundle_listing(marketplace: str, bundle: PlannedBundle, bundles: Iterable[PlannedBundle]) -> PlannedListing:
    inner = {made.sku: made.components for made in bundles}
    units: Counter[str] = Counter()
    for component in bundle.components:
        for content in inner.get(component.sku, (Content(component.sku, 1),)):
            units[content.sku] += content.units * component.units
    contents = starmap(Content, sorted(units.items()))
    return PlannedListing(marketplace, f"{marketplace}-{bundle.sku}", bundle.sku, 1, tuple(contents))


def _wanted(
    basket: Basket, marketplace: str, sets: Iterable[PlannedListing], packs: Mapping[str, int], *, seed: int
) -> list[tuple[PlannedListing, int]]:
    """A basket as listings of its marketplace, with how many of each: bundles, then packs and single units."""
    dice = random.Random(f"{seed} bundles {basket.basket_id}")
    left = {line.sku: line.units for line in basket.lines}
    wanted = []
    for listing in sets:
        held = all(left.get(content.sku, 0) >= content.units for content in listing.contents)
        if held and dice.random() < BUNDLE_SHARE:
            wanted.append((listing, 1))
            for content in listing.contents:
                left[content.sku] -= content.units
    for sku, units in left.items():
        multiple = packs.get(sku, 1) if units % packs.get(sku, 1) == 0 else 1
        if units:
            wanted.append((_item_listing(marketplace, sku, multiple), units // multiple))
    return wanted


def _after(lines: Sequence[PlannedLine], at: datetime, dice: random.Random) -> tuple[AfterEvent, ...]:
    """What becomes of an order; one line of one unit cannot be part-shipped and is shipped whole."""
    fate = dice.choices(list(FATES), list(FATES.values()))[0]
    line = dice.choice(lines)
    if fate == "left open":
        return ()
    if fate == "cancelled":
        return (Cancel(_later(at, dice, 3, 90)),)
    events: list[AfterEvent] = []
    if fate == "edited":
        at = _later(at, dice, 2, 60)
        events.append(Edit(at, line.line_id, _edited(line.quantity, dice, least=0 if len(lines) > 1 else 1)))
    at = _later(at, dice, 20, 180)
    part = _part(lines, dice) if fate == "part-shipped" else None
    events.append(Ship(at, part))
    if part is not None:
        at = _later(at, dice, 15, 90)
        events.append(Ship(at, None))
    if fate == "returned":
        at = _later(at, dice, 30, 120)
        events.append(Return(at, line.line_id, dice.randint(1, line.quantity), dice.random() < WITHHELD_SHARE))
    return tuple(events)


def _later(at: datetime, dice: random.Random, minutes_min: int, minutes_max: int) -> datetime:
    return at + timedelta(seconds=dice.randint(minutes_min * 60, minutes_max * 60))


def _edited(quantity: int, dice: random.Random, *, least: int) -> int:
    """Another quantity, up or down; 0 takes the line out."""
    if quantity > least and dice.random() < 0.5:
        return dice.randint(least, quantity - 1)
    return quantity + dice.randint(1, 2)


def _part(lines: Sequence[PlannedLine], dice: random.Random) -> tuple[tuple[str, int], ...] | None:
    """Some lines, each at least in part, but never everything; None when an order cannot be parted."""
    if len(lines) > 1:
        some = dice.sample(lines, dice.randint(1, len(lines) - 1))
        return tuple(sorted((line.line_id, dice.randint(1, line.quantity)) for line in some))
    line = lines[0]
    return ((line.line_id, dice.randint(1, line.quantity - 1)),) if line.quantity > 1 else None


def _items(
    orders: Iterable[PlannedOrder], listings: Mapping[str, PlannedListing], seed: int
) -> tuple[PlannedItem, ...]:
    """Every SKU that is wanted, with its opening quantity (the rule is in the module's text).

    `kept` is what goes through single-unit listings less what comes back, `extra` what edits may add.
    """
    demand, kept, extra = Counter[str](), Counter[str](), Counter[str]()
    for order in orders:
        for line in order.lines:
            listing = listings[line.listing_id]
            change = _change(line, order.after)
            for content in listing.contents:
                demand[content.sku] += line.quantity * content.units
                extra[content.sku] += max(change, 0) * content.units
            if listing.contents == (Content(listing.sku, 1),):
                kept[listing.sku] += line.quantity + min(change, 0)
    popular = _popular(demand, kept)
    items = []
    for sku in sorted(demand):
        dice = random.Random(f"{seed} opening {sku}")
        if sku in popular:
            opening = max(1, int(kept[sku] * dice.uniform(0.4, 0.9)))
        else:
            opening = demand[sku] + extra[sku] + max(1, round(demand[sku] * dice.uniform(0.1, 0.6)))
        items.append(PlannedItem(sku, demand[sku], sku in popular, opening))
    return tuple(items)


def _change(line: PlannedLine, after: Iterable[AfterEvent]) -> int:
    """By how many listing units what follows changes what a line keeps: an edit up adds, all else takes away."""
    change = 0
    for event in after:
        match event:
            case Cancel():
                change -= line.quantity
            case Edit(line_id=line.line_id, quantity=quantity):
                change += quantity - line.quantity
            case Return(line_id=line.line_id, quantity=quantity, withheld=False):
                change -= quantity
    return change


def _popular(demand: Mapping[str, int], kept: Mapping[str, int]) -> frozenset[str]:
    """The most wanted SKUs that can run out: at least two units are bought singly and stay sold."""
    enough = POPULAR_SHARE * sum(demand.values())
    popular = set()
    covered = 0
    for sku in sorted(demand, key=lambda sku: (-demand[sku], sku)):
        if covered < enough and kept[sku] >= 2:
            popular.add(sku)
            covered += demand[sku]
    return frozenset(popular)
