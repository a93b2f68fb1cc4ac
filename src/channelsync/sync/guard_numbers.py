"""What many keys should show, for the guard: the same for all items that are alike, so asked once for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from channelsync.domain.guard import uncut
from channelsync.domain.quantities import PositionKey
from channelsync.domain.rules import Computed
from channelsync.store import ledger, listings
from channelsync.store.guarded_keys import GuardedKey
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup
from channelsync.sync.targets import compute_targets

SHAPES_MAX = 50_000
_Shape = tuple[object, ...]


class Offered(NamedTuple):
    """What a key should show, and the same as it was before a maximum or a cap cut it."""

    units: int
    room: int


def unlike_others(setup: Setup, measures: Measures) -> frozenset[str]:
    """Items whose numbers follow from more than their class, their units and what stands behind their keys."""
    rules = setup.rule_book.rules
    apart = {*setup.recipes, *(rule.scope.item for rule in rules if rule.scope.item is not None)}
    if any(isinstance(rule.values.buffer, Computed) for rule in rules):
        apart |= measures.demand.keys() | setup.affected.keys()  # of a part, channels with bundles sell as well
    return frozenset(apart)


@dataclass(slots=True, kw_only=True)
class Numbers:
    """Numbers under one set-up. less: units fewer at positions than there are, to see them as they were before."""

    connection: Connection
    setup: Setup
    measures: Measures
    less: Mapping[PositionKey, int] = field(default_factory=dict)
    apart: frozenset[str] = field(init=False)
    by_listing: bool = field(init=False)
    known: dict[_Shape, Sequence[Offered | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.apart = unlike_others(self.setup, self.measures)
        self.by_listing = any(rule.scope.listing is not None for rule in self.setup.rule_book.rules)

    def of(self, wanted: Iterable[GuardedKey]) -> dict[int, Offered]:
        """The numbers of all keys of some items; whoever asks names every key of theirs that is ours.

        One of which nobody has said how many units there are has no number: it is left as it is.
        """
        by_item: dict[str, list[GuardedKey]] = {}
        for key in wanted:
            by_item.setdefault(key.item, []).append(key)
        found: dict[int, Offered] = {}
        shapes = self._shapes({item: keys for item, keys in by_item.items() if item not in self.apart})
        if len(self.known) > SHAPES_MAX:
            self.known = {}
        asked: dict[_Shape, list[GuardedKey]] = {}
        for item, shape in shapes.items():
            if shape not in self.known:
                asked.setdefault(shape, by_item[item])
        alone = [key for item, keys in by_item.items() if item in self.apart for key in keys]
        told = self._ask([*alone, *(key for keys in asked.values() for key in keys)])
        self.known |= {shape: [told.get(key.id) for key in keys] for shape, keys in asked.items()}
        found |= {key.id: told[key.id] for key in alone if key.id in told}
        for item, shape in shapes.items():
            for key, offered in zip(by_item[item], self.known[shape], strict=True):
                if offered is not None:
                    found[key.id] = offered
        return found

    def _shapes(self, by_item: Mapping[str, Sequence[GuardedKey]]) -> dict[str, _Shape]:
        available: dict[str, list[tuple[str, int, bool]]] = {}
        for place, position in sorted(ledger.read_positions(self.connection, by_item).items()):
            units = position.available - self.less.get(place, 0)
            available.setdefault(place.item, []).append((place.location, units, bool(position.stated_by)))
        incoming: dict[str, list[tuple[str, int]]] = {}
        for place, units in sorted(listings.incoming_units(self.connection, by_item).items()):
            incoming.setdefault(place.item, []).append((place.location, units))
        return {
            item: (
                self.setup.classes.get(item),
                tuple(available.get(item, ())),
                tuple(incoming.get(item, ())),
                tuple(
                    (key.channel, key.remote, key.multiple, key.target is None, key.listing if self.by_listing else "")
                    for key in keys
                ),
            )
            for item, keys in by_item.items()
        }

    def _ask(self, wanted: Sequence[GuardedKey]) -> dict[int, Offered]:
        if not wanted:
            return {}
        ids = [key.id for key in wanted]
        targets = compute_targets(self.connection, self.setup, self.measures, ids, unheld=True, less=self.less)
        known = {key: target for key, target in targets.items() if not target.unstated}
        return {key: Offered(target.units, uncut(target.offer)) for key, target in known.items()}
