"""A whole catalogue compared with its channels: which numbers are right, and what is to be done about the others.

Most items of a catalogue are in one of a few thousand situations: so many units at each location, so many shown on
each channel, nothing in doubt. What `compute_targets` and `decision_for` say about one item holds for all that are in
its situation, so they are asked once for each. A key about which anything is in doubt is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection

from channelsync.domain.offering import Offer
from channelsync.domain.publishing import Decision
from channelsync.domain.rules import Computed
from channelsync.store import channels, key_rows
from channelsync.store.channels import ChannelState
from channelsync.store.key_rows import Page
from channelsync.sync.decide_writes import decision_for
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup
from channelsync.sync.targets import compute_targets

ITEMS_AT_ONCE = 1_000
SITUATIONS_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Step:
    """A key's next step. offer: what it may show, and how that came about."""

    key: int
    offer: Offer
    decision: Decision


@dataclass(frozen=True, slots=True)
class Compared:
    """Some items of the catalogue. right: so many of their keys show what they should. steps: those of the others."""

    right: int
    steps: Sequence[Step]


def compare_all(connection: Connection, setup: Setup, measures: Measures, now: datetime) -> Iterator[Compared]:
    """Every mapped key of ours on a configured channel, page by page. Reads only, and locks nothing."""
    work = _Comparison(
        connection=connection,
        setup=setup,
        measures=measures,
        now=now,
        states=channels.channel_states(connection),
        moving=key_rows.keys_in_motion(connection),
    )
    for page in key_rows.pages(connection, ITEMS_AT_ONCE):
        yield work.compare(page)


_Rows = Sequence[tuple[Any, ...]]
_ID, _ITEM, _LISTING, _CHANNEL, _VALUE, _CLEAR = (
    key_rows.KeyRow._fields.index(name) for name in ("id", "item", "listing", "channel", "value", "clear")
)
_item = itemgetter(_ITEM)


class _Situation(NamedTuple):
    """units: by location, as a page has them. keys: their rows from the channel on; of one in doubt up to the value."""

    sku_class: str | None
    units: tuple[tuple[object, ...], ...]
    keys: tuple[tuple[object, ...], ...]


class _Answer(NamedTuple):
    """What is to be done about the keys of an item, by their place; in_doubt: ask about these places themselves."""

    steps: tuple[tuple[int, Step], ...]
    in_doubt: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class _Comparison:
    """One walk over the catalogue. moving: keys with effects or writes that are open. answers: by situation."""

    connection: Connection
    setup: Setup
    measures: Measures
    now: datetime
    states: Mapping[str, ChannelState]
    moving: set[int]
    answers: dict[_Situation, _Answer] = field(default_factory=dict)
    own_items: set[str | None] = field(init=False)
    own_listings: set[str] = field(init=False)
    blind: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """own_items, own_listings: those that are in a situation of their own."""
        rules = self.setup.rules
        self.own_items = {*self.setup.recipes, *(rule.scope.item for rule in rules)}
        if any(isinstance(rule.values.buffer, Computed) for rule in rules):
            self.own_items |= self.measures.demand.keys()
        self.own_listings = {rule.scope.listing for rule in rules if rule.scope.listing is not None}
        self.blind = {name for name, channel in self.setup.channels.items() if channel.capabilities.blind}

    def compare(self, page: Page) -> Compared:
        """Asks about one item of every situation that is new, and about every key that is in doubt."""
        if len(self.answers) > SITUATIONS_MAX:
            self.answers.clear()
        units: dict[str, list[tuple[object, ...]]] = {}
        for item, *there in page.units:
            units.setdefault(item, []).append(tuple(there))
        keys = [row for row in page.keys if row[_CHANNEL] in self.setup.channels]
        alike: dict[_Situation, list[_Rows]] = {}
        themselves: list[int] = []
        for item, found in groupby(keys, _item):
            rows: _Rows = tuple(found)
            if item in self.own_items or (
                self.own_listings and any(row[_LISTING] in self.own_listings for row in rows)
            ):
                themselves += [row[_ID] for row in rows]
            else:
                situation = self._situation(item, rows, units.get(item, ()))
                alike.setdefault(situation, []).append(rows)
        new = {situation: group[0] for situation, group in alike.items() if situation not in self.answers}
        asked = self._ask([row[_ID] for rows in new.values() for row in rows])
        for situation, rows in new.items():
            self.answers[situation] = _answer(situation, [asked[row[_ID]] for row in rows])
        steps: list[Step] = []
        for situation, group in alike.items():
            answer = self.answers[situation]
            for rows in group if answer.steps or answer.in_doubt else ():
                steps += [Step(rows[place][_ID], step.offer, step.decision) for place, step in answer.steps]
                themselves += [rows[place][_ID] for place in answer.in_doubt]
        steps += [step for step in self._ask(themselves).values() if step.decision.action != "none"]
        return Compared(len(keys) - len(steps), steps)

    def _situation(self, item: str, rows: _Rows, units: Sequence[tuple[object, ...]]) -> _Situation:
        """All that the offers and decisions of an item's keys follow from."""
        keys = [
            row[_CHANNEL:]
            if row[_CLEAR] and row[_ID] not in self.moving and row[_CHANNEL] not in self.blind
            else row[_CHANNEL:_VALUE]
            for row in rows
        ]
        return _Situation(self.setup.classes.get(item), tuple(units), tuple(keys))

    def _ask(self, ids: Sequence[int]) -> dict[int, Step]:
        targets = compute_targets(self.connection, self.setup, self.measures, ids) if ids else {}
        return {
            key: Step(key, target.offer, decision_for(self.setup, target, self.states, self.now))
            for key, target in targets.items()
        }


def _answer(situation: _Situation, asked: Sequence[Step]) -> _Answer:
    in_doubt = tuple(place for place, key in enumerate(situation.keys) if len(key) == _VALUE - _CHANNEL)
    wrong = [(place, step) for place, step in enumerate(asked) if step.decision.action != "none"]
    return _Answer(tuple((place, step) for place, step in wrong if place not in in_doubt), in_doubt)
