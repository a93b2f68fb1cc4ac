"""What may be set for offering, for whom, and which rule wins.

A rule has a scope (for whom) and values (what). A subject is one quantity key; the rules whose scope fits it are
resolved field by field: the most specific rule that says anything about a field gives it.

| rank | scope                            | example                                         |
|------|----------------------------------|-------------------------------------------------|
| 9    | listing (with or without channel)| this one listing: do not touch                  |
| 8    | item + channel                   | this mug at shop-uk: at most 5                  |
| 7    | item + location                  | this mug in the shop floor: buffer 2            |
| 6    | item                             | this mug: last units at shop-uk                 |
| 5    | class + channel                  | fragile things at market-de: buffer 10 %        |
| 4    | class                            | fragile things: last units at shop-uk           |
| 3    | channel                          | market-de: share 40 %                           |
| 2    | location                         | units of the outlet: not below 3                |
| 1    | everything                       | buffer 1                                        |

Any other combination is refused: two rules such as class + location and item + channel have no natural order.
Of two rules of one rank that fit the same subject the later one in the list wins; `rule_conflicts.conflicts`
reports them.
A rule that names a location fits only keys that this location alone feeds. To hold units of a location back from
everybody, withhold them there.

A field left out (None) is not said at all. To switch off what a less specific rule says, say it: Fixed(0), share
100, minimum_shown 0, ring_fenced 0, LastUnits(0), backorder 0, CountIncoming(0), do_not_touch False. A maximum
is lifted by a larger one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from channelsync.domain.errors import DomainError


class BadRule(DomainError):
    """A rule that cannot be followed: an unknown combination of scopes, or a value that means nothing."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A buffer of so many base units."""

    units: int


@dataclass(frozen=True, slots=True)
class Percent:
    """A buffer of so many percent (0 to 100) of what the channel could show without it, rounded up."""

    percent: int


@dataclass(frozen=True, slots=True)
class Computed:
    """A buffer computed from demand and delays, so that an oversell has at most this probability.

    p: from 1e-9 up to, not with, 1; 0.01 is one sell-out in a hundred. at_most: never more base units than that;
    None: no limit. The number itself is computed by `risk.computed_buffer`.
    """

    p: float
    at_most: int | None = None


Buffer = Fixed | Percent | Computed


@dataclass(frozen=True, slots=True)
class LastUnits:
    """When available falls to `at_or_below` base units, one channel only keeps showing them.

    preferred: channels in order; the first that has a key for the item keeps the units. 0 units: switched off.
    """

    at_or_below: int
    preferred: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CountIncoming:
    """Incoming base units may be sold before they arrive. at_most: no more of them than that; None: all; 0: none."""

    at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleValues:
    """What a rule says. None: nothing about this field.

    buffer: held back from the channel against the delay of its number, base units.
    share: percent (0 to 100) of the units that are not ring-fenced which a channel may show, rounded down.
    minimum_shown: below this many, 0 is shown; in the key's units (packs). maximum_shown: never more; same units.
    ring_fenced: base units that only this channel may sell; the others do not see them.
    last_units: see `LastUnits`; the same for all channels, so it cannot be set for one.
    may_lower, may_raise: whether a quantity at the channel may be lowered, raised. do_not_touch: neither.
    backorder: base units that may be sold beyond available. preorder_from_incoming: see `CountIncoming`.
    locations: which of our locations feed the key, in the order in which they ship.
    """

    buffer: Buffer | None = None
    share: int | None = None
    minimum_shown: int | None = None
    maximum_shown: int | None = None
    ring_fenced: int | None = None
    last_units: LastUnits | None = None
    may_lower: bool | None = None
    may_raise: bool | None = None
    do_not_touch: bool | None = None
    backorder: int | None = None
    preorder_from_incoming: CountIncoming | None = None
    locations: tuple[str, ...] | None = None

    def said(self) -> tuple[str, ...]:
        """The names of the fields that this says something about."""
        return tuple(name for name in FIELDS if getattr(self, name) is not None)


FIELDS = tuple(each.name for each in fields(RuleValues))
"""The names of all fields of `RuleValues`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleScope:
    """For whom a rule speaks. None: whichever. Only the combinations of the table above are accepted."""

    channel: str | None = None
    location: str | None = None
    sku_class: str | None = None
    item: str | None = None
    listing: str | None = None

    def named(self) -> tuple[str, ...]:
        """The parts that are set, in the order of the fields."""
        return tuple(name for name in _SCOPE_PARTS if getattr(self, name) is not None)

    def __str__(self) -> str:
        said = [f"{name.removeprefix('sku_')} {getattr(self, name)}" for name in self.named()]
        return " + ".join(said) or "everything"


_SCOPE_PARTS = ("listing", "item", "sku_class", "channel", "location")

_RANKS: Mapping[tuple[str, ...], int] = {
    ("listing", "channel"): 9,
    ("listing",): 9,
    ("item", "channel"): 8,
    ("item", "location"): 7,
    ("item",): 6,
    ("sku_class", "channel"): 5,
    ("sku_class",): 4,
    ("channel",): 3,
    ("location",): 2,
    (): 1,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. Raises BadRule, naming id and source, when it cannot be followed.

    id: unique in its list. source: where it came from, for the reader: a file and line, or a command and its run.
    """

    id: str
    scope: RuleScope
    values: RuleValues
    source: str

    def __post_init__(self) -> None:
        complaint = _scope_complaint(self.scope, self.values) or _value_complaint(self.values)
        if complaint:
            raise BadRule(f"rule {self.id} ({self.source}): {complaint}")

    @property
    def rank(self) -> int:
        """How specific the scope is, 1 to 9; see the table above."""
        return _RANKS[self.scope.named()]

    def __str__(self) -> str:
        return f"rule {self.id} for {self.scope} ({self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One quantity key, as rules see it.

    location: the only location that feeds the key; None where several are added up. sku_class: None: in no class.
    """

    channel: str
    item: str
    location: str | None = None
    sku_class: str | None = None
    listing: str | None = None

    def scopes(self) -> tuple[RuleScope, ...]:
        """Every scope that fits this subject."""
        fitting = [
            RuleScope(**{name: getattr(self, name) for name in named})
            for named in _RANKS
            if all(getattr(self, name) is not None for name in named)
        ]
        return tuple(fitting)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What holds for one subject: for each field the value that won and the rule that gave it.

    values: None where no rule says anything. given_by: by field name, only for fields that were said.
    """

    values: RuleValues = field(default_factory=RuleValues)
    given_by: Mapping[str, Rule] = field(default_factory=dict)

    def rule_id(self, name: str) -> str | None:
        """The id of the rule that gave this field; None when no rule did."""
        rule = self.given_by.get(name)
        return None if rule is None else rule.id

    def refusal(self, shown: int, wanted: int) -> str | None:
        """Why a channel that shows `shown` must not be set to `wanted`; None when it may. Both in key units."""
        if shown == wanted:
            return None
        if self.values.do_not_touch:
            return f"do not touch: {self.given_by['do_not_touch']}"
        name = "may_raise" if wanted > shown else "may_lower"
        if getattr(self.values, name) is False:
            return f"{name} is off: {self.given_by[name]}"
        return None


class RuleBook:
    """Rules, ready for many look-ups; never changes after it is made. Raises BadRule when two rules have one id.

    ties_channels: whether any of them makes what one channel may show depend on what others do.
    locates_items: whether any of them says of some items, and not of all of a channel, which locations feed them.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_scope: dict[RuleScope, list[tuple[int, Rule]]] = {}
        sources: dict[str, str] = {}
        for place, rule in enumerate(self.rules):
            if rule.id in sources:
                raise BadRule(f"rule {rule.id} ({rule.source}): its id is taken by {sources[rule.id]}; rename one")
            sources[rule.id] = rule.source
            self._by_scope.setdefault(rule.scope, []).append((place, rule))
        self.ties_channels = any(
            said is not None
            for rule in self.rules
            for said in (rule.values.share, rule.values.ring_fenced, rule.values.last_units)
        )
        self.locates_items = any(
            rule.values.locations and (rule.scope.item or rule.scope.listing or rule.scope.sku_class)
            for rule in self.rules
        )
        self._items = {rule.scope.item for rule in self.rules}
        self._listings = {rule.scope.listing for rule in self.rules}
        # Most items and listings are named by no rule: one answer serves all of them.
        self._answers: dict[tuple[str | None, ...], Resolved] = {}

    def fitting(self, subject: Subject) -> list[Rule]:
        """The rules that speak about this subject, the winning ones last."""
        found = [entry for scope in subject.scopes() for entry in self._by_scope.get(scope, ())]
        return [rule for _, rule in sorted(found, key=lambda entry: (entry[1].rank, entry[0]))]

    def resolve(self, subject: Subject) -> Resolved:
        """For each field what the most specific rule says about it, and which rule that is."""
        asked = (
            subject.channel,
            subject.location,
            subject.sku_class,
            subject.item if subject.item in self._items else None,
            subject.listing if subject.listing in self._listings else None,
        )
        answer = self._answers.get(asked)
        if answer is None:
            given_by = {name: rule for rule in self.fitting(subject) for name in rule.values.said()}
            won = {name: getattr(rule.values, name) for name, rule in given_by.items()}
            answer = self._answers[asked] = Resolved(RuleValues(**won), given_by)
        return answer


def resolve(rules: RuleBook | Sequence[Rule], subject: Subject) -> Resolved:
    """For each field what the most specific rule says about it, and which rule that is.

    Whoever resolves many subjects passes a `RuleBook`, so that the rules are sorted once.
    """
    return (rules if isinstance(rules, RuleBook) else RuleBook(rules)).resolve(subject)


def _scope_complaint(scope: RuleScope, values: RuleValues) -> str | None:
    if scope.named() not in _RANKS:
        known = "listing, item, class and channel alone; channel with a listing, an item or a class; location alone or"
        return f"{scope} cannot be combined; what can: {known} with an item"
    if not values.said():
        return "it says nothing; give it a value or remove it"
    if values.last_units is not None and (scope.channel or scope.listing or scope.location):
        return f"last_units couples all channels and cannot be set for {scope}; set it for an item, class or everything"
    if values.ring_fenced is not None and not (scope.channel or scope.listing):
        return f"ring_fenced must say for which channel; {scope} names none"
    if values.locations is not None and scope.location:
        return f"locations cannot be set for a location ({scope}); set them for a channel, item, class or listing"
    return None


def _value_complaint(values: RuleValues) -> str | None:
    checks = [
        _whole("minimum_shown", values.minimum_shown),
        _whole("maximum_shown", values.maximum_shown),
        _whole("ring_fenced", values.ring_fenced),
        _whole("backorder", values.backorder),
        _percent("share", values.share),
        _buffer_complaint(values.buffer),
        _last_units_complaint(values.last_units),
    ]
    if values.preorder_from_incoming is not None:
        checks.append(_whole("preorder_from_incoming", values.preorder_from_incoming.at_most))
    if values.locations is not None:
        checks.append(_names("locations", values.locations))
    return next((complaint for complaint in checks if complaint), None)


def _buffer_complaint(buffer: Buffer | None) -> str | None:
    match buffer:
        case Fixed(units):
            return _whole("buffer", units)
        case Percent(percent):
            return _percent("buffer", percent)
        case Computed(p, at_most):
            if not 1e-9 <= p < 1:
                return f"buffer: the probability must be 1e-9 or more and less than 1, not {p}"
            return _whole("buffer", at_most)
        case None:
            return None


def _last_units_complaint(last: LastUnits | None) -> str | None:
    if last is None or last.at_or_below == 0:
        return None
    return _whole("last_units", last.at_or_below) or _names("last_units", last.preferred)


def _whole(name: str, units: int | None) -> str | None:
    return None if units is None or units >= 0 else f"{name} must be 0 or more, not {units}"


def _percent(name: str, percent: int | None) -> str | None:
    return None if percent is None or 0 <= percent <= 100 else f"{name} must be 0 to 100 percent, not {percent}"


def _names(name: str, given: tuple[str, ...]) -> str | None:
    if not given:
        return f"{name} names nothing; name at least one, in order"
    return None if len(set(given)) == len(given) else f"{name} names one twice: {', '.join(given)}"
