"""From what we booked of an order and what the order says now to ledger movements: one function for every story.

`book` compares cumulative numbers, so it does not matter how a state was reached: cancel before create, a stale
snapshot, an edit up and down, a part shipment, a return, an order first seen as cancelled or as shipped all take
the same path, and any order of arrival ends in the same positions.

`book` never refuses: the channel has already taken the order. Available may go negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, NamedTuple

from channelsync.domain.booked import BookedLine, BookedOrder, Leg
from channelsync.domain.bundles import Recipes
from channelsync.domain.effects import Effect, KeyMove, NumberBehaviour, effects_of
from channelsync.domain.ledger import Cause, EntryKind, Movement, entry_id
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, last_time, total
from channelsync.domain.quantities import PositionKey
from channelsync.domain.sourcing import AvailableAt, SoldAs, pick

Verdict = Literal["booked", "same", "stale", "differs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """What follows from a snapshot.

    verdict: booked: write `order` and `movements`. same: nothing new. stale: older than what is booked, ignored.
    differs: the version that is booked, with other content: read the order again by id, then book with `settle`.
    unmapped: lines whose listing is not mapped; they are kept and booked when the mapping appears.
    """

    verdict: Verdict
    order: BookedOrder | None
    movements: tuple[Movement, ...] = ()
    effects: tuple[Effect, ...] = ()
    unmapped: tuple[OrderLine, ...] = ()


@dataclass(slots=True, kw_only=True)
class Terms:
    """All that `book` needs to know beside the order.

    sold: what each line's listing means, by line id; a missing one is unmapped.
    moves: the quantity keys whose number a line moves at the channel, by line id, as `behaviour` says.
    locations: those that serve the channel, in the order of preference; at least one.
    available: changed in place while lines are sourced.
    counted_up_to: per position, the moment up to which shipments and returns are in its on hand already.
    """

    channel: str
    sold: Mapping[str, SoldAs]
    locations: Sequence[str]
    available: AvailableAt
    recipes: Recipes
    counted_up_to: Mapping[PositionKey, datetime]
    run: str
    behaviour: NumberBehaviour = field(default_factory=NumberBehaviour)
    moves: Mapping[str, Sequence[KeyMove]] = field(default_factory=dict)
    settle: bool = False


def book(booked: BookedOrder | None, snapshot: OrderSnapshot, terms: Terms) -> Booking:
    """The movements that bring what is booked to what the order says. See the module's first lines."""
    content = snapshot.content
    if booked is not None:
        verdict = _compare(booked, snapshot, content, terms)
        if verdict != "booked":
            return Booking(verdict=verdict, order=booked)
    before = {line.line: line for line in booked.lines} if booked else {}
    gone = [OrderLine(line=name, ordered=0) for name in before if name not in {x.line for x in snapshot.lines}]
    since = booked.version if booked else None
    work = _Work(snapshot=snapshot, content=content, terms=terms, since=since)
    after = [work.line(before.get(line.line, BookedLine(line=line.line)), line) for line in (*snapshot.lines, *gone)]
    order = BookedOrder(
        channel=terms.channel,
        order=snapshot.order,
        version=snapshot.version,
        content=content,
        status=snapshot.status,
        lines=tuple(after),
    )
    return Booking(
        verdict="booked",
        order=order,
        movements=tuple(work.movements),
        effects=tuple(work.effects),
        unmapped=tuple(work.unmapped),
    )


def expire(booked: BookedOrder, *, at: datetime, run: str, reason: str) -> Booking:
    """Ends what an order still holds, because its time limit passed. A later version of it reserves again."""
    lines: list[BookedLine] = []
    movements: list[Movement] = []
    for line in booked.lines:
        legs = []
        for leg in line.legs:
            # `expired` so far is part of the id: an order may expire, reserve again and expire again.
            story = _Story(EntryKind.EXPIRE, at, reason, reserved=-1)
            where = _Place(booked.channel, booked.order, line.line, f"{booked.content}:{leg.expired}", run)
            movements += _movements(leg, leg.open, story, where, {})
            legs.append(replace(leg, open=0, expired=leg.expired + leg.open))
        lines.append(replace(line, legs=tuple(legs)))
    return Booking(verdict="booked", order=replace(booked, lines=tuple(lines)), movements=tuple(movements))


def reservation_id(channel: str, order: str, line: str, leg: int, item: str) -> str:
    """The name of the reservation that one leg holds on one item."""
    return entry_id("reservation", channel, order, line, leg, item)


def _compare(booked: BookedOrder, snapshot: OrderSnapshot, content: str, terms: Terms) -> Verdict:
    if snapshot.version < booked.version:
        return "stale"
    waiting = any(line.sold is None and line.line in terms.sold for line in booked.lines)
    if snapshot.version == booked.version and content != booked.content and not terms.settle:
        return "differs"
    if content == booked.content and not waiting:
        return "same"
    return "booked"


@dataclass(slots=True, kw_only=True)
class _Work:
    """One call of `book`: collects movements line by line."""

    snapshot: OrderSnapshot
    content: str
    terms: Terms
    since: datetime | None
    movements: list[Movement] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    unmapped: list[OrderLine] = field(default_factory=list)

    def line(self, booked: BookedLine, line: OrderLine) -> BookedLine:
        """What is booked of a line after it says what it says now."""
        sold = booked.sold or self.terms.sold.get(line.line)
        to_ship = self.snapshot.to_ship(line)
        if sold is None:
            if to_ship or line.shipped or line.returned or line.withheld:
                self.unmapped.append(line)
            return booked
        state = replace(booked, sold=sold)
        state = self._ship(state, line)
        state = self._lose(state, line)
        state = self._hold(state, line, to_ship)
        state = self._bring_back(state, line)
        moves = self.terms.moves.get(line.line, ())
        state, new = effects_of(booked, state, line, self.snapshot, self.terms.behaviour, moves, self.since)
        self.effects += new
        return state

    def _ship(self, state: BookedLine, line: OrderLine) -> BookedLine:
        units = total(line.shipped) - state.sum("shipped")
        if units < 0:
            return self._unship(state, line, -units)
        at, where = last_time(line.shipped) or self.snapshot.version, _where(line.shipped)
        state = self._have_open(state, line, units, where)
        return self._end(state, line, _Story(EntryKind.SHIP, at, "shipped", -1, -1), "shipped", units, where)

    def _unship(self, state: BookedLine, line: OrderLine, units: int) -> BookedLine:
        """A shipment that the channel took back: the units are on hand again and promised again."""
        back = _Story(EntryKind.RETURN, self.snapshot.version, "shipment taken back", on_hand=1)
        again = _Story(EntryKind.RESERVE, self.snapshot.version, "shipment taken back", reserved=1)
        legs = list(state.legs)
        for index in range(len(legs) - 1, -1, -1):
            n = min(units, legs[index].shipped)
            self._move(legs[index], line, back, n)
            self._move(legs[index], line, again, n)
            legs[index] = replace(legs[index], shipped=legs[index].shipped - n, open=legs[index].open + n)
            units -= n
        return replace(state, legs=tuple(legs))

    def _lose(self, state: BookedLine, line: OrderLine) -> BookedLine:
        units = max(0, total(line.lost) - state.sum("lost"))
        at = last_time(line.lost) or self.snapshot.version
        state = self._have_open(state, line, units, None)
        story = _Story(EntryKind.WRITE_OFF, at, "cancelled without restock", -1, -1)
        return self._end(state, line, story, "lost", units, None)

    def _hold(self, state: BookedLine, line: OrderLine, to_ship: int) -> BookedLine:
        missing = to_ship - state.sum("open")
        if missing > 0:
            return self._reserve(state, line, missing, line.location)
        at = self.snapshot.cancelled_at or last_time(line.cancelled) or self.snapshot.version
        story = _Story(EntryKind.RELEASE, at, "no longer wanted", reserved=-1)
        return self._end(state, line, story, "released", -missing, line.location)

    def _bring_back(self, state: BookedLine, line: OrderLine) -> BookedLine:
        """Returns, up to what was shipped: more cannot have come back, whatever the order says."""
        back = total(line.returned) - state.sum("returned")
        at, where = last_time(line.returned) or self.snapshot.version, _where(line.returned)
        legs = list(state.legs)
        for index, leg in enumerate(legs):
            units = min(back, leg.shipped - leg.returned) if back > 0 else max(back, -leg.returned)
            there = replace(leg, location=where or leg.location)
            self._move(there, line, _Story(EntryKind.RETURN, at, "returned", on_hand=1), max(0, units))
            self._move(there, line, _Story(EntryKind.ADJUST, at, "return taken back", on_hand=-1), max(0, -units))
            legs[index] = replace(leg, returned=leg.returned + units)
            back -= units
        aside = max(0, total(line.withheld) - state.withheld) if legs else 0
        if aside:
            at = last_time(line.withheld) or self.snapshot.version
            there = replace(legs[0], location=_where(line.withheld) or legs[0].location)
            story = _Story(EntryKind.RETURN, at, "returned, not for sale", on_hand=1, withheld=1)
            self._move(there, line, story, aside)
        return replace(state, legs=tuple(legs), withheld=state.withheld + aside)

    def _have_open(self, state: BookedLine, line: OrderLine, units: int, where: str | None) -> BookedLine:
        """Sees to it that `units` are open, at `where` if it is told: what the channel did elsewhere moves there."""
        there = [leg for leg in state.legs if where is None or leg.location == where]
        missing = units - sum(leg.open for leg in there)
        if missing <= 0:
            return state
        elsewhere = min(missing, state.sum("open") - sum(leg.open for leg in there))
        if elsewhere:
            story = _Story(EntryKind.RELEASE, self.snapshot.version, "served elsewhere", reserved=-1)
            others = replace(state, legs=tuple(leg for leg in state.legs if leg not in there))
            freed = self._end(others, line, story, "released", elsewhere, None)
            state = replace(state, legs=tuple(sorted((*there, *freed.legs), key=lambda leg: leg.number)))
        return self._reserve(state, line, missing, where)

    def _reserve(self, state: BookedLine, line: OrderLine, units: int, where: str | None) -> BookedLine:
        if state.sold is None:
            return state
        terms = self.terms
        legs = {(leg.location, leg.takes): leg for leg in state.legs}
        story = _Story(EntryKind.RESERVE, self.snapshot.version, "ordered", reserved=1)
        locations = (where,) if where else terms.locations
        for chosen in pick(state.sold, units, locations, terms.available, terms.recipes):
            key = (chosen.location, chosen.takes)
            leg = legs.get(key) or Leg(number=len(legs) + 1, location=chosen.location, takes=chosen.takes)
            self._move(leg, line, story, chosen.units)
            legs[key] = replace(leg, open=leg.open + chosen.units)
        return replace(state, legs=tuple(legs.values()))

    def _end(
        self,
        state: BookedLine,
        line: OrderLine,
        story: _Story,
        name: Literal["shipped", "released", "lost"],
        units: int,
        where: str | None,
    ) -> BookedLine:
        """Ends open units, those at `where` first; releases take the last leg first, so that the first stays."""
        release = name == "released"
        ranked = sorted(state.legs, key=lambda leg: -leg.number if release else leg.number)
        if where:
            ranked.sort(key=lambda leg: (leg.location == where) is release)
        ended: dict[int, Leg] = {}
        for leg in ranked:
            n = min(units, leg.open)
            self._move(leg, line, story, n)
            ended[leg.number] = replace(leg, open=leg.open - n, **{name: getattr(leg, name) + n})
            units -= n
        return replace(state, legs=tuple(ended[leg.number] for leg in state.legs))

    def _move(self, leg: Leg, line: OrderLine, story: _Story, units: int) -> None:
        terms = self.terms
        where = _Place(terms.channel, self.snapshot.order, line.line, self.content, terms.run)
        new = _movements(leg, units, story, where, terms.counted_up_to)
        self.movements += new
        if story.kind is not EntryKind.RESERVE:  # what is reserved was taken off when it was sourced
            for one in new:
                here = terms.available.setdefault(leg.location, {})
                change = one.on_hand - one.reserved - one.withheld
                here[one.position.item] = here.get(one.position.item, 0) + change


@dataclass(frozen=True, slots=True)
class _Story:
    """What happens to units, and the signs with which it changes on hand, reserved and withheld."""

    kind: EntryKind
    at: datetime
    reason: str
    on_hand: int = 0
    reserved: int = 0
    withheld: int = 0


class _Place(NamedTuple):
    """The order line that movements serve. tag: makes their ids differ between versions of the order."""

    channel: str
    order: str
    line: str
    tag: str
    run: str


def _movements(
    leg: Leg, units: int, story: _Story, place: _Place, counted_up_to: Mapping[PositionKey, datetime]
) -> list[Movement]:
    """One movement per item that the leg takes; none for 0 units."""
    if not units:
        return []
    channel, order, line, tag, run = place
    cause = Cause(actor=f"order:{channel}", run=run, reason=story.reason, channel=channel, order=order, line=line)
    made = []
    for item, each in leg.takes:
        position = PositionKey(item, leg.location)
        counted = counted_up_to.get(position)
        on_hand = 0 if counted is not None and story.at <= counted else story.on_hand
        made.append(
            Movement(
                id=entry_id(channel, order, line, leg.number, item, leg.location, tag, story.kind, story.reason),
                position=position,
                kind=story.kind,
                on_hand=on_hand * units * each,
                reserved=story.reserved * units * each,
                withheld=story.withheld * units * each,
                at=story.at,
                cause=cause,
                reservation=reservation_id(channel, order, line, leg.number, item),
            )
        )
    return made


def _where(moved: tuple[Moved, ...]) -> str | None:
    return moved[-1].location if moved else None
