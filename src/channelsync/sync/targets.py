"""What every key should show now, and why: from positions and rules to targets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from channelsync.domain.bundles import capacity
from channelsync.domain.offering import Ask, Offer, Step, couple, left_to, offers_for_channels
from channelsync.domain.offering import offer as alone
from channelsync.domain.publishing import Decision
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.risk import computed_buffer
from channelsync.domain.rules import Buffer, Computed, Resolved, Subject
from channelsync.domain.sourcing import reachable
from channelsync.domain.watermark import Timing
from channelsync.store import channels, keys, ledger, listings, sharing
from channelsync.store.database_errors import DatabaseConflict
from channelsync.store.keys import KeyRecord
from channelsync.store.open_units import open_units, unexplained_units
from channelsync.store.sharing import ShownKey
from channelsync.sync.holds import HeldNow, Wanted, held_now
from channelsync.sync.measures import Measures
from channelsync.sync.scarcity import Pool, Takers, hot, hot_bundle, takers_of
from channelsync.sync.setup import Setup
from channelsync.sync.steps import Unsaid

_PLENTY = 10**12
"""More units of anything than a channel shows, also in packs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one key should show.

    units: available to sell, key units; writing it as the channel's own number is `publish`'s business.
    offer: every step that led there. rules: which rules hold for the key. hot: more of it may be sold before we hear.
    promised: of a blind key, the units in the channel's own open orders, which its number contains as well.
    held: a plan waits for approval, so it shows another number than it would; None: none does.
    unsaid: nobody has said how many there are of what it stands for, no rule decides without, and there never was a
    target: it is left alone. units are then the most that it may show, for what is known of its parts, which may be
    more than there can be: nobody is told them (see `should_show`, `plain_steps`). None: it was said, or need not be.
    """

    key: KeyRecord
    units: int
    offer: Offer
    rules: Resolved
    hot: bool
    promised: int = 0
    held: HeldNow | None = None
    unsaid: Unsaid | None = None

    @property
    def unstated(self) -> bool:
        """Whether it is left alone, because nobody has said how many units there are."""
        return self.unsaid is not None

    def should_show(self, decision: Decision, timing: Timing) -> int | None:
        """The number as people are told it. None: nobody has said how many there are, and it is not to be lowered."""
        lowered = decision.action == "lower" or decision.blocked
        return max(0, timing.written(self.units)) if lowered or not self.unstated else None

    @property
    def recorded(self) -> int | None:
        """The target as the key's row has it; None: there is none yet."""
        return None if self.unstated else self.units

    @property
    def number(self) -> int:
        """What the number should be, with what it contains beside the offer.

        Where nothing is to be offered, a blind number is not raised for the sake of its open orders: whatever of them
        has been shipped meanwhile, and nobody has heard of yet, would be on sale again.
        """
        watermark = self.key.state.watermark
        if self.units > 0 or watermark is None:
            return self.units + self.promised
        return self.units + min(self.promised, max(0, watermark.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What targets follow from. by_item: the keys that show an item. at: available units by location and item.

    takers: who may take units of an item, by itself or in a bundle. stated: positions of which somebody has said how
    many units are there.
    """

    setup: Setup
    measures: Measures
    by_item: Mapping[str, Sequence[ShownKey]]
    at: Mapping[str, Mapping[str, int]]
    incoming: Mapping[PositionKey, int]
    zeroed: frozenset[str]
    takers: Mapping[str, Takers]
    stated: frozenset[PositionKey]


def compute_targets(
    connection: Connection,
    setup: Setup,
    measures: Measures,
    wanted: Iterable[int],
    *,
    lock: bool = False,
    unheld: bool = False,
    less: Mapping[PositionKey, int] | None = None,
) -> dict[int, Target]:
    """Targets of these keys, computed together with every other key of the same items.

    lock: until the transaction ends nobody changes their positions, which others may go by as well, nor these keys
    themselves (positions first, then keys: the order of locks). Of the other keys only what they mean is looked at;
    who changes that puts these back on the agenda.
    unheld: as if no plan held any of them. less: as if so many units fewer were available at these positions.
    Keys that are not mapped to an item, or are not ours, have no target. Raises DatabaseConflict, with lock, where
    one was mapped anew before it was locked.
    """
    asked = sorted(set(wanted))
    items = sharing.items_shown(connection, asked)
    used = {part for item in items for part in reachable(item, setup.recipes)}
    positions = ledger.keep_positions(connection, used) if lock else ledger.read_positions(connection, used)
    if lock:
        keys.lock_keys(connection, asked)
    shown = sharing.keys_showing(connection, {name for item in used for name in setup.shown_by(item)})
    records = keys.load_keys(connection, asked)
    if lock and {one.item for one in records.values() if one.ours and one.item} != items:
        raise DatabaseConflict("listings were mapped anew while we waited for the positions")
    by_item: dict[str, list[ShownKey]] = {item: [] for item in used}
    for key in shown:
        if key.channel in setup.channels:
            by_item.setdefault(key.item, []).append(key)
    known = _Known(
        setup=setup,
        measures=measures,
        by_item=by_item,
        at=_by_location(positions.values(), less or {}),
        incoming=listings.incoming_units(connection, items),
        zeroed=channels.zeroed(connection),
        takers=takers_of(used, by_item, setup, _fed_by(setup)),
        stated=frozenset(key for key, position in positions.items() if position.stated_by),
    )
    found: dict[int, Target] = {}
    for item in sorted(items):
        found |= _targets_of(item, known, records)
    found |= _with_promised(connection, setup, found.values())
    return found if unheld else found | _with_holds(connection, setup, found, known.zeroed)


def _with_holds(
    connection: Connection, setup: Setup, targets: Mapping[int, Target], zeroed: frozenset[str]
) -> dict[int, Target]:
    """Those among these that a plan holds, with what they show meanwhile. A channel on holiday shows 0 all the same."""

    def wanted(key: int) -> Wanted:
        record = targets[key].key
        feeding = rules_for(record, record.item or "", setup)[1]
        return Wanted(item=record.item or "", multiple=record.multiple, feeding=feeding, target=targets[key].units)

    asked = [key for key, target in targets.items() if target.key.channel not in zeroed]
    found: dict[int, Target] = {}
    for key, held in held_now(connection, setup.recipes, asked, wanted).items():
        target = targets[key]
        said = Step("held", target.units, held.shows, held.why)
        offer = replace(target.offer, units=held.shows, steps=(*target.offer.steps, said))
        found[key] = replace(target, units=held.shows, offer=offer, held=held)
    return found


def _with_promised(connection: Connection, setup: Setup, targets: Iterable[Target]) -> dict[int, Target]:
    """The blind ones among these, with what their number contains beside what it should offer."""
    blind: dict[str, list[Target]] = {}
    for target in targets:
        if setup.channels[target.key.channel].capabilities.blind:
            blind.setdefault(target.key.channel, []).append(target)
    found: dict[int, Target] = {}
    for channel, some in sorted(blind.items()):
        parts = {part for target in some for part in reachable(target.key.item or "", setup.recipes)}
        promised = open_units(connection, channel, parts)
        gone = unexplained_units(connection, [target.key.id for target in some])
        for target in some:
            units = promised.get(target.key.listing, 0) - gone.get(target.key.id, 0)
            found[target.key.id] = replace(target, promised=max(0, units))
    return found


def _targets_of(item: str, known: _Known, asked: Mapping[int, KeyRecord]) -> dict[int, Target]:
    """The targets of those of an item's keys that are asked for; the others matter where rules tie them to these."""
    setup = known.setup
    shown = [key for key in known.by_item[item] if key.id in asked or setup.rule_book.ties_channels]
    leaves = counted_for(item, setup)
    asks, offers = _offered(item, shown, known)
    found: dict[int, Target] = {}
    for key in shown:
        if key.id not in asked:
            continue
        ask, holiday = asks[key.id], key.channel in known.zeroed
        found[key.id] = _target(asked[key.id], ask, offers[key.id], holiday=holiday, hot=_hot(item, leaves, ask, known))
        unsaid = {one for one in leaves if not any(PositionKey(one, name) in known.stated for name in ask.available)}
        if unsaid and not holiday and asked[key.id].target is None:
            most = _most_without(item, key, unsaid, shown, known)
            if most is not None:
                told = Unsaid(items=frozenset(unsaid), locations=tuple(ask.available), parts=len(leaves), offer=most[1])
                scarce = _hot(item, leaves - unsaid, ask, known)
                found[key.id] = replace(found[key.id], units=most[0].units, offer=most[0], hot=scarce, unsaid=told)
    return found


def _offered(item: str, shown: Sequence[ShownKey], known: _Known) -> tuple[dict[int, Ask], dict[int, Offer]]:
    """What these keys of an item ask, and what each is offered beside the others."""
    asks = {key.id: _ask(key, item, known) for key in shown}
    coupled = _coupled(shown, known.zeroed)
    if _couple_channels(known.setup, [item]):
        for key in coupled:
            asks[key.id] = replace(asks[key.id], reach=_reach(key, item, known))
    offers = offers_for_channels([asks[key.id] for key in coupled])
    return asks, {key.id: offers.get(asks[key.id].key) or alone(asks[key.id]) for key in shown}


def _most_without(
    item: str, key: ShownKey, unsaid: Collection[str], shown: Sequence[ShownKey], known: _Known
) -> tuple[Offer, Offer] | None:
    """The most that a key may show, of whose items these were never counted: as many as if there were plenty of them.

    Then the same with twice as many, which tells what rests on them.
    None: it is decided without them. A rule lets it be sold beyond what is available, or lets nothing be shown; or
    a part of a bundle is out, whatever there is of the others.
    """

    def offered(units: int) -> Offer:
        places = {*known.at, *known.setup.locations}
        at = {name: {**known.at.get(name, {}), **dict.fromkeys(unsaid, units)} for name in places}
        return _offered(item, shown, replace(known, at=at))[1][key.id]

    most = offered(_PLENTY)
    return (most, offered(2 * _PLENTY)) if offered(0).units == 0 < most.units else None


def counted_for(item: str, setup: Setup) -> frozenset[str]:
    """The items that somebody counts so that it is known how many there are of this one: itself, or its parts."""
    return frozenset(part for part in reachable(item, setup.recipes) if not _made_of_parts(part, setup))


def _hot(item: str, parts: Collection[str], ask: Ask, known: _Known) -> bool:
    """Whether a key of an item is hot, by these of its parts. ask: what it asks."""
    feeding, at, measures = tuple(ask.available), known.at, known.measures
    if hot(parts, feeding, known.takers, at, measures):
        return True
    apart = len(feeding) > 1 and _made_of_parts(item, known.setup) and parts == counted_for(item, known.setup)
    return apart and hot_bundle(item, ask.available, known.setup, known.takers, at, measures)


def _made_of_parts(item: str, setup: Setup) -> bool:
    """A bundle that can be made when no unit of it is packed: how scarce it is follows from its parts."""
    recipe = setup.recipes.get(item)
    return recipe is not None and recipe.kind != "prebuilt"


def _coupled(shown: Sequence[ShownKey], zeroed: frozenset[str]) -> list[ShownKey]:
    """The keys that rules may tie together. A channel on holiday sells nothing: no unit is kept for it."""
    return [key for key in shown if key.channel not in zeroed]


def _couple_channels(setup: Setup, items: Iterable[str]) -> bool:
    """Whether rules may tie the channels together that sell parts of bundles among these items."""
    return setup.rule_book.ties_channels and any(len(reachable(item, setup.recipes)) > 1 for item in items)


def _reach(key: ShownKey, item: str, known: _Known) -> int:
    """How many of a bundle its parts make when of each only what rules leave to the key's channel may be taken.

    What is not left to it is taken away from the locations in the order in which they ship.
    """
    setup, at = known.setup, known.at
    feeding = rules_for(key, item, setup)[1]
    left = {name: dict(at.get(name, {})) for name in feeding}
    for part in sorted(reachable(item, setup.recipes) - {item}):
        mine = _part_ask(key, part, setup, at)
        others = [_part_ask(one, part, setup, at) for one in _coupled(known.by_item[part], known.zeroed)]
        asks = [*(one for one in others if one.key != mine.key), mine]
        gone = sum(mine.available.values()) - left_to(mine, couple(asks)[mine.key])
        _take_away(left, part, gone)
    return sum(capacity(item, left[name], setup.recipes) for name in feeding)


def _take_away(left: Mapping[str, dict[str, int]], part: str, units: int) -> None:
    """Takes units of a part, as far as they are there, from the first locations."""
    for here in left.values():
        taken = min(units, max(0, here.get(part, 0)))
        here[part] = here.get(part, 0) - taken
        units -= taken


def _part_ask(key: ShownKey, part: str, setup: Setup, at: Mapping[str, Mapping[str, int]]) -> Ask:
    """What a key asks of a part: its own item, or one that its bundle is made of."""
    rules, feeding = rules_for(key, part, setup)
    available = {name: at.get(name, {}).get(part, 0) for name in feeding}
    return Ask(key=str(key.id), channel=key.channel, available=available, rules=rules)


def _target(record: KeyRecord, ask: Ask, offer: Offer, *, holiday: bool, hot: bool) -> Target:
    if holiday:
        said = Step("holiday", offer.units, 0, "`channelsync channels zero` was given")
        offer = replace(offer, units=0, steps=(*offer.steps, said))
    return Target(key=record, units=offer.units, offer=offer, rules=ask.rules, hot=hot)


def rules_for(key: ShownKey | KeyRecord, item: str, setup: Setup) -> tuple[Resolved, tuple[str, ...]]:
    """The rules that hold for a key of an item, and the locations that feed it."""
    subject, feeding = first_subject(key, item, setup)
    rules = setup.rule_book.resolve(subject)
    feeding = rules.values.locations or feeding
    if sole(feeding) != subject.location:  # no rule of a location says which ones feed a key, so this is the end
        rules = setup.rule_book.resolve(replace(subject, location=sole(feeding)))
    return rules, feeding


def first_subject(key: ShownKey | KeyRecord, item: str, setup: Setup) -> tuple[Subject, tuple[str, ...]]:
    """A key as rules see it, and the locations that feed it, before a rule says which ones do."""
    feeding, sku_class = setup.channels[key.channel].feeding(key.remote), setup.classes.get(item)
    names = {"channel": key.channel, "item": item, "listing": key.listing}
    return Subject(**names, location=sole(feeding), sku_class=sku_class), feeding


def _fed_by(setup: Setup) -> Callable[[ShownKey, str], Pool]:
    """The locations that feed a key of an item: asked of every key, so looked up once for all that have the same."""
    of_all: dict[tuple[str, str], Pool] = {}

    def fed_by(key: ShownKey, item: str) -> Pool:
        found = None if setup.rule_book.locates_items else of_all.get((key.channel, key.remote))
        if found is None:
            found = of_all[key.channel, key.remote] = rules_for(key, item, setup)[1]
        return found

    return fed_by


def sole(locations: Sequence[str]) -> str | None:
    """The location that feeds a key alone; None where several do."""
    return locations[0] if len(locations) == 1 else None


def _ask(key: ShownKey, item: str, known: _Known) -> Ask:
    setup, at = known.setup, known.at
    rules, feeding = rules_for(key, item, setup)
    here = {name: at.get(name, {}) for name in feeding}
    return Ask(
        key=str(key.id),
        channel=key.channel,
        available={name: capacity(item, here[name], setup.recipes) for name in feeding},
        rules=rules,
        incoming=sum(known.incoming.get(PositionKey(item, name), 0) for name in feeding),
        computed_buffer=_held_back(key.channel, item, rules.values.buffer, known, here),
        multiple=key.multiple,
        cap=setup.channels[key.channel].capabilities.timing.cap,
    )


def _held_back(
    channel: str, item: str, buffer: Buffer | None, known: _Known, at: Mapping[str, Mapping[str, int]]
) -> int | None:
    """The computed buffer of an item on a channel, in its base units; None: it is not to be computed.

    Demand is measured of the items that leave. So of every part of a bundle is held back what the other channels may
    sell of it, by itself or in other bundles, and of the bundle as many as cannot be made then: a part of which there
    is plenty holds nothing back. at: what is available at the locations that feed the key.
    """
    if not isinstance(buffer, Computed):
        return None
    p, setup, measures = buffer.p, known.setup, known.measures

    def sold_elsewhere(part: str, at_most: int | None = None) -> int:
        selling = tuple(sorted({one for channels in known.takers[part].values() for one in channels}))
        return computed_buffer(channel, measures.rates(part, selling), measures.delays, p, at_most)

    if not _made_of_parts(item, setup):
        return sold_elsewhere(item, buffer.at_most)
    left = {name: dict(units) for name, units in at.items()}
    for part in sorted(reachable(item, setup.recipes)):
        _take_away(left, part, sold_elsewhere(part))
    held = sum(capacity(item, at[name], setup.recipes) - capacity(item, left[name], setup.recipes) for name in at)
    return held if buffer.at_most is None else min(held, buffer.at_most)


def _by_location(positions: Iterable[Position], less: Mapping[PositionKey, int]) -> dict[str, dict[str, int]]:
    at: dict[str, dict[str, int]] = {}
    for position in positions:
        units = position.available - less.get(position.key, 0)
        at.setdefault(position.key.location, {})[position.key.item] = units
    return at
