"""A whole catalogue compared with its channels: which numbers are right, and what is to be done about the others.

Most items of a catalogue are in one of a few thousand situations: so many units at each location, so many shown on
each channel, nothing in doubt. What `compute_targets` and `decision_for` say about one item holds for all that are in
its situation, so they are asked once for each. A key about which anything is in doubt is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from channelsync.domain.offering import Offer
from channelsync.domain.publishing import Decision
from channelsync.domain.rules import Computed
from channelsync.domain.watermark import KeyState, Read
from channelsync.store import channels, key_rows, plans
from channelsync.store.channels import ChannelState
from channelsync.store.key_rows import KeyNow, Page, key_ids, keys_now
from channelsync.sync.decide_writes import decision_for
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup
from channelsync.sync.targets import Target, compute_targets

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
    rules = setup.rule_book.rules
    listings = {rule.scope.listing for rule in rules if rule.scope.listing is not None}
    apart: set[str | None] = {*setup.recipes, *(rule.scope.item for rule in rules)}
    apart |= key_rows.items_apart(connection, listings) | plans.held_items(connection)
    if any(isinstance(rule.values.buffer, Computed) for rule in rules):
        apart |= measures.demand.keys() | setup.affected.keys()  # of a part, channels with bundles sell as well
    work = _Comparison(
        connection=connection,
        setup=setup,
        measures=measures,
        now=now,
        states=channels.channel_states(connection),
        apart=apart,
    )
    for page in key_rows.pages(connection, ITEMS_AT_ONCE):
        yield work.compare(page)


_Text = str | None
_Situation = tuple[_Text, str, _Text, _Text]
"""The class of an item, what its keys are now, and its units, available and incoming."""

_Shape = tuple[_Text, _Text, _Text, tuple[tuple[str, str, int, bool], ...]]
"""What offers follow from: the same without the numbers that the keys show."""


class _Answer(NamedTuple):
    """What is to be done about the keys of an item, by their place; in_doubt: ask about these places themselves.

    right: how many of the other places are right.
    """

    steps: tuple[tuple[int, Step], ...]
    in_doubt: tuple[int, ...]
    right: int


@dataclass(slots=True, kw_only=True)
class _Comparison:
    """One walk over the catalogue. apart: items like no other; the None among them is none.

    answers, targets: what holds for a situation, and for a shape, by place. decisions: of keys in no doubt.
    """

    connection: Connection
    setup: Setup
    measures: Measures
    now: datetime
    states: Mapping[str, ChannelState]
    apart: set[_Text]
    answers: dict[_Situation, _Answer] = field(default_factory=dict)
    targets: dict[_Shape, list[Target | None]] = field(default_factory=dict)
    decisions: dict[tuple[object, ...], Decision] = field(default_factory=dict)

    def compare(self, page: Page) -> Compared:
        """Asks about one item of every shape that is new, and about all keys that no situation tells of."""
        if len(self.answers) > SITUATIONS_MAX:
            self.answers, self.targets, self.decisions = {}, {}, {}
        themselves: list[int] = []
        alike: dict[_Situation, list[str]] = {}
        classes, available, incoming = self.setup.classes, page.available, page.incoming
        for item, ids, keys in page.rows:
            if item in self.apart:
                themselves += key_ids(ids)
            else:
                situation = (classes.get(item), keys, available.get(item), incoming.get(item))
                alike.setdefault(situation, []).append(ids)
        self._learn({situation: ids[0] for situation, ids in alike.items() if situation not in self.answers})
        right = 0
        steps: list[Step] = []
        for situation, texts in alike.items():
            answer = self.answers[situation]
            right += answer.right * len(texts)
            for some in map(key_ids, texts if answer.steps or answer.in_doubt else ()):
                steps += [Step(some[place], step.offer, step.decision) for place, step in answer.steps]
                themselves += [some[place] for place in answer.in_doubt]
        for key, target in self._ask(themselves).items():
            decision = decision_for(self.setup, target, self.states, self.now)
            if decision.action == "none":
                right += 1
            else:
                steps.append(Step(key, target.offer, decision))
        return Compared(right, steps)

    def _learn(self, new: Mapping[_Situation, str]) -> None:
        """Finds out what holds for all items in these situations, of each of which the keys of one are given."""
        now = {situation: keys_now(situation[1]) for situation in new}
        shapes = {situation: _shape(situation, keys) for situation, keys in now.items()}
        asked = {
            shapes[situation]: key_ids(ids) for situation, ids in new.items() if shapes[situation] not in self.targets
        }
        targets = self._ask([key for ids in asked.values() for key in ids])
        self.targets |= {shape: [targets.get(key) for key in ids] for shape, ids in asked.items()}
        for situation, keys in now.items():
            known = [
                (place, key, target)
                for place, (key, target) in enumerate(zip(keys, self.targets[shapes[situation]], strict=True))
                if target is not None
            ]
            clear = [one for one in known if one[1].clear and not self._blind(one[1].channel)]
            said = [(place, Step(0, target.offer, self._decision(key, target))) for place, key, target in clear]
            steps = tuple((place, step) for place, step in said if step.decision.action != "none")
            in_doubt = {place for place, *_ in known} - {place for place, *_ in clear}
            self.answers[situation] = _Answer(steps, tuple(sorted(in_doubt)), len(clear) - len(steps))

    def _decision(self, key: KeyNow, target: Target) -> Decision:
        """The next step of a key of which there is no more to say than the number that it shows."""
        name = (key.channel, key.value, key.sells_below_zero, target.units, target.unstated, id(target.rules))
        if name not in self.decisions:
            state = KeyState(watermark=Read(key.value or 0, self.now, self.now))
            # Of another key perhaps, about which there may be more to say: only of clear ones is this asked.
            shown = replace(target.key, state=state, sells_below_zero=key.sells_below_zero)
            record = replace(shown, rise=0, held="", disputed=0)
            self.decisions[name] = decision_for(self.setup, replace(target, key=record), self.states, self.now)
        return self.decisions[name]

    def _ask(self, ids: Sequence[int]) -> dict[int, Target]:
        return compute_targets(self.connection, self.setup, self.measures, ids) if ids else {}

    def _blind(self, channel: str) -> bool:
        return self.setup.channels[channel].capabilities.blind


def _shape(situation: _Situation, keys: Sequence[KeyNow]) -> _Shape:
    sku_class, _, available, incoming = situation
    return sku_class, available, incoming, tuple((key.channel, key.remote, key.multiple, key.begun) for key in keys)
