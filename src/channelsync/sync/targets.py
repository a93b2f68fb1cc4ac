"""What every key should show now, and why: from positions and rules to targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from channelsync.domain.bundles import capacity
from channelsync.domain.offering import Ask, Offer, Step, offers_for_channels
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.risk import computed_buffer
from channelsync.domain.rules import Computed, Resolved, Subject
from channelsync.domain.sourcing import reachable
from channelsync.store import channels, key_rows, keys, ledger, listings
from channelsync.store.keys import KeyRecord
from channelsync.store.open_units import open_units, unexplained_units
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one key should show.

    units: available to sell, key units; writing it as the channel's own number is `publish`'s business.
    offer: every step that led there. rules: which rules hold for the key. hot: more of it may be sold before we hear.
    promised: of a blind key, the units in the channel's own open orders, which its number contains as well.
    """

    key: KeyRecord
    units: int
    offer: Offer
    rules: Resolved
    hot: bool
    promised: int = 0


def compute_targets(
    connection: Connection, setup: Setup, measures: Measures, wanted: Iterable[int], *, lock: bool = False
) -> dict[int, Target]:
    """Targets of these keys, computed together with every other key of the same items.

    lock: hold positions and keys until the transaction ends (positions first, then keys: the order of locks).
    Keys that are not mapped to an item, or are not ours, have no target.
    """
    asked = sorted(set(wanted))
    items = key_rows.items_shown(connection, asked)
    used = {part for item in items for part in reachable(item, setup.recipes)}
    positions = ledger.lock_positions(connection, used) if lock else ledger.read_positions(connection, used)
    records = keys.load_keys(connection, keys.keys_sharing(connection, items), lock=lock)
    incoming = listings.incoming_units(connection, items)
    zeroed = channels.zeroed(connection)
    at = _by_location(positions.values())
    by_item: dict[str, list[KeyRecord]] = {item: [] for item in sorted(items)}
    for record in records.values():
        if record.item is not None and record.channel in setup.channels:
            by_item[record.item].append(record)
    targets: dict[int, Target] = {}
    for item, shown in by_item.items():
        targets |= _targets_of(item, shown, setup, measures, at, incoming, zeroed)
    found = {key: targets[key] for key in asked if key in targets}
    return found | _with_promised(connection, setup, found.values())


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


def _targets_of(
    item: str,
    records: Sequence[KeyRecord],
    setup: Setup,
    measures: Measures,
    at: Mapping[str, Mapping[str, int]],
    incoming: Mapping[PositionKey, int],
    zeroed: frozenset[str],
) -> dict[int, Target]:
    selling = tuple(sorted({record.channel for record in records}))
    asks = [_ask(record, item, setup, measures, at, incoming, selling) for record in records]
    offers = offers_for_channels(asks)
    hot = any(
        measures.hot(part, sum(units.get(part, 0) for units in at.values()), selling)
        for part in reachable(item, setup.recipes)
        if selling
    )
    return {
        record.id: _target(record, ask, offers[ask.key], holiday=record.channel in zeroed, hot=hot)
        for record, ask in zip(records, asks, strict=True)
    }


def _target(record: KeyRecord, ask: Ask, offer: Offer, *, holiday: bool, hot: bool) -> Target:
    if holiday:
        said = Step("holiday", offer.units, 0, "`channelsync channels zero` was given")
        offer = replace(offer, units=0, steps=(*offer.steps, said))
    return Target(key=record, units=offer.units, offer=offer, rules=ask.rules, hot=hot)


def rules_for(record: KeyRecord, item: str, setup: Setup) -> tuple[Resolved, tuple[str, ...]]:
    """The rules that hold for a key of an item, and the locations that feed it."""
    channel = setup.channels[record.channel]
    feeding = (channel.remotes[record.remote],) if record.remote in channel.remotes else channel.locations
    subject = Subject(
        channel=record.channel,
        item=item,
        location=feeding[0] if len(feeding) == 1 else None,
        sku_class=setup.classes.get(item),
        listing=record.listing,
    )
    rules = setup.rule_book.resolve(subject)
    return rules, rules.values.locations or feeding


PlainStep = tuple[str, int, int, str, str | None]
"""A step as it is stored: its name, the number before and after it, why, and the rule that asked for it."""


def plain_steps(offer: Offer) -> list[PlainStep]:
    """The steps of an offer as they are stored."""
    return [(step.name, step.before, step.after, step.why, step.rule_id) for step in offer.steps]


def told_steps(steps: Iterable[PlainStep]) -> str:
    """Stored steps in one line: "sum of locations 12 (main 12), buffer 10 (2 held back, rule #1)"."""
    return ", ".join(f"{name} {after} ({why}{f', rule {rule}' if rule else ''})" for name, _, after, why, rule in steps)


def _ask(
    record: KeyRecord,
    item: str,
    setup: Setup,
    measures: Measures,
    at: Mapping[str, Mapping[str, int]],
    incoming: Mapping[PositionKey, int],
    selling: tuple[str, ...],
) -> Ask:
    rules, feeding = rules_for(record, item, setup)
    buffer = rules.values.buffer
    held = None
    if isinstance(buffer, Computed):
        held = computed_buffer(record.channel, measures.rates(item, selling), measures.delays, buffer.p, buffer.at_most)
    return Ask(
        key=str(record.id),
        channel=record.channel,
        available={name: capacity(item, at.get(name, {}), setup.recipes) for name in feeding},
        rules=rules,
        incoming=sum(incoming.get(PositionKey(item, name), 0) for name in feeding),
        computed_buffer=held,
        multiple=record.multiple,
        cap=setup.channels[record.channel].capabilities.timing.cap,
    )


def _by_location(positions: Iterable[Position]) -> dict[str, dict[str, int]]:
    at: dict[str, dict[str, int]] = {}
    for position in positions:
        at.setdefault(position.key.location, {})[position.key.item] = position.available
    return at
