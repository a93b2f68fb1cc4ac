"""From what we booked of an order and what the order says now to ledger movements: one function for every story.

`book` compares cumulative numbers, so it does not matter how a state was reached: cancel before create, a stale
snapshot, an edit up and down, a part shipment, a return, an order first seen as cancelled or as shipped all take
the same path, and any order of arrival ends in the same positions.

`book` never refuses: the channel has already taken the order. Available may go negative.

Confluence, exactly: the same sums of every item whatever arrived before the last snapshot; the same sums per
location too, save for the units whose location the channel leaves to us, which are sourced by what is available at
the moment of booking. Sums of on hand suppose that no count lies between a shipment and its being taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from channelsync.domain.booked import BookedLine, BookedOrder, Leg
from channelsync.domain.bundles import Recipes
from channelsync.domain.effects import Effect, KeyMove, NumberBehaviour, effects_of
from channelsync.domain.ledger import EntryKind, Movement
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, last_time, newest, oldest, total, units_at
from channelsync.domain.quantities import PositionKey
from channelsync.domain.sourcing import AvailableAt, SoldAs, pick
from channelsync.domain.stories import Counted, Ended, Gone, Story, at_location, cause_of, changed, movements_of

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
    withheld: units set aside now, changed in place. Only these can be taken back when a return turns out not to have
        been set aside; a position that is missing keeps its mark.
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
    withheld: dict[PositionKey, int] = field(default_factory=dict)


def book(booked: BookedOrder | None, snapshot: OrderSnapshot, terms: Terms) -> Booking:
    """The movements that bring what is booked to what the order says. See the module's first lines."""
    content = snapshot.content
    if booked is not None:
        verdict = _compare(booked, snapshot, content, terms)
        if verdict != "booked":
            return Booking(verdict=verdict, order=booked)
    before = {line.line: line for line in booked.lines} if booked else {}
    told = {line.line for line in snapshot.lines}
    gone = [OrderLine(line=name, ordered=0) for name in before if name not in told]
    bookings = booked.bookings + 1 if booked else 1
    work = _Work(snapshot=snapshot, terms=terms, since=booked.version if booked else None, tag=f"{content}:{bookings}")
    after = [work.line(before.get(line.line), line) for line in (*snapshot.lines, *gone)]
    order = BookedOrder(
        channel=terms.channel,
        order=snapshot.order,
        version=snapshot.version,
        content=content,
        status=snapshot.status,
        lines=tuple(after),
        bookings=bookings,
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
    story = Story(EntryKind.EXPIRE, at, reason, reserved=-1)
    for line in booked.lines:
        cause = cause_of(booked.channel, booked.order, line.line, run, reason)
        for leg in line.legs:
            tag = f"{booked.content}:{booked.bookings}:{len(movements)}"
            movements += movements_of(leg, leg.open, story, cause, tag, {})
        legs = tuple(replace(leg, open=0, expired=leg.expired + leg.open) for leg in line.legs)
        lines.append(replace(line, legs=legs))
    if not movements:
        return Booking(verdict="same", order=booked)
    return Booking(
        verdict="booked",
        order=replace(booked, lines=tuple(lines)),
        movements=tuple(movements),
    )


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
    """One call of `book`: collects movements line by line. since: the version booked before."""

    snapshot: OrderSnapshot
    terms: Terms
    since: datetime | None
    tag: str
    movements: list[Movement] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    unmapped: list[OrderLine] = field(default_factory=list)

    def line(self, before: BookedLine | None, line: OrderLine) -> BookedLine:
        """What is booked of a line after it says what it says now."""
        booked = before or BookedLine(line=line.line)
        sold = booked.sold or self.terms.sold.get(line.line)
        to_ship = self.snapshot.to_ship(line)
        if sold is None:
            if to_ship or line.shipped or line.lost or line.returned or line.withheld:
                self.unmapped.append(line)
            return booked
        state = self._serve(replace(booked, sold=sold), line, to_ship)
        state = self._bring_back(state, line)
        # A line that waited for its mapping has moved the number since it was placed, not since it was last booked.
        since = None if before is not None and before.sold is None else self.since
        moves = self.terms.moves.get(line.line, ())
        tag = f"{self.snapshot.order}:{self.tag}"
        state, new = effects_of(booked, state, line, self.snapshot, self.terms.behaviour, moves, since, tag)
        self.effects += new
        return state

    def _serve(self, state: BookedLine, line: OrderLine, to_ship: int) -> BookedLine:
        """Ships and loses what was shipped and lost, and holds what is still to be shipped."""
        if line.shipped or line.lost or state.sum("shipped") or state.sum("lost"):
            state = self._end_what_went(state, line, to_ship)
        else:
            state = self._hold(state, line, to_ship)
        over = state.sum("open") - to_ship
        if over <= 0:
            return state
        at = self.snapshot.cancelled_at or last_time(line.cancelled) or self.snapshot.version
        return self._end(state, line, "released", over, Story(EntryKind.RELEASE, at, "no longer wanted", reserved=-1))

    def _end_what_went(self, state: BookedLine, line: OrderLine, to_ship: int) -> BookedLine:
        """Ships and loses what was shipped and lost; what is still to be shipped is held besides."""
        version, since = self.snapshot.version, self.since
        ship = Story(EntryKind.SHIP, version, "shipped", -1, -1)
        lose = Story(EntryKind.WRITE_OFF, version, "cancelled without restock", -1, -1)
        unship = Story(EntryKind.RETURN, version, "shipment taken back", 1, happened=since)
        unlose = Story(EntryKind.ADJUST, version, "write-off taken back", 1, happened=since)
        state = self._take_back(state, line, "shipped", line.shipped, unship)
        state = self._take_back(state, line, "lost", line.lost, unlose)
        state = self._end_where_told(state, line, "shipped", line.shipped, ship)
        state = self._end_where_told(state, line, "lost", line.lost, lose)
        shipped = total(line.shipped) - state.sum("shipped")
        lost = total(line.lost) - state.sum("lost")
        state = self._hold(state, line, to_ship + shipped + lost)
        state = self._end_newest(state, line, "shipped", newest(line.shipped, shipped), ship)
        return self._end_newest(state, line, "lost", newest(line.lost, lost), lose)

    def _take_back(
        self, state: BookedLine, line: OrderLine, name: Counted, moved: tuple[Moved, ...], story: Story
    ) -> BookedLine:
        """Undoes what the channel no longer says, or says of another location; the last legs first."""
        if not moved and not state.sum(name):
            return state
        told = units_at(moved)
        missing = sum(max(0, units - at_location(state, name, where)) for where, units in told.items() if where)
        back = missing - (total(moved) - state.sum(name))
        legs = list(state.legs)
        for index in range(len(legs) - 1, -1, -1):
            leg = legs[index]
            over = at_location(replace(state, legs=tuple(legs)), name, leg.location) - told.get(leg.location, 0)
            units = max(0, min(back, getattr(leg, name), over))
            legs[index] = self._undone(leg, line, name, units, story)
            back -= units
        return replace(state, legs=tuple(legs))

    def _undone(self, leg: Leg, line: OrderLine, name: Counted, units: int, story: Story) -> Leg:
        """The leg with fewer units of one kind. A mark that somebody has taken off already is not taken off again."""
        moved = units
        if name == "returned":  # what did not come back is not set aside either
            unmarked = max(0, units - (leg.returned - leg.withheld))
            leg = self._undone(leg, line, "withheld", unmarked, _not_aside(self.snapshot))
        elif name == "withheld":
            withheld = self.terms.withheld
            moved = min(units, *(withheld.get(PositionKey(item, leg.location), 0) // each for item, each in leg.takes))
        self._move(leg, line, story, moved)
        return changed(leg, name, -units)

    def _end_where_told(
        self, state: BookedLine, line: OrderLine, name: Gone, moved: tuple[Moved, ...], story: Story
    ) -> BookedLine:
        for where, units in units_at(moved).items():
            missing = units - at_location(state, name, where) if where else 0
            if where and missing > 0:
                state = self._have_open(state, line, missing, where)
                state = self._end_newest(state, line, name, newest(moved, missing, where), story)
        return state

    def _end_newest(
        self, state: BookedLine, line: OrderLine, name: Gone, moved: Iterable[Moved], story: Story
    ) -> BookedLine:
        """Ends open units with the times of the moves that are new, where they happened."""
        for one in moved:
            there = frozenset(leg.number for leg in state.legs if one.location in (None, leg.location))
            state = self._end(state, line, name, one.units, replace(story, at=one.at or story.at), there)
        return state

    def _have_open(self, state: BookedLine, line: OrderLine, units: int, where: str) -> BookedLine:
        """Sees to it that `units` are open at a location: what the channel did elsewhere than planned moves there."""
        missing = units - sum(leg.open for leg in state.legs if leg.location == where)
        if missing <= 0:
            return state
        state = self._release_elsewhere(state, line, missing, where, "served elsewhere")
        return self._reserve(state, line, missing, where)

    def _hold(self, state: BookedLine, line: OrderLine, units: int) -> BookedLine:
        """Sees to it that at least `units` are open, all of them where the channel has assigned the line."""
        if line.location:
            elsewhere = sum(leg.open for leg in state.legs if leg.location != line.location)
            state = self._release_elsewhere(state, line, elsewhere, line.location, "assigned to another location")
        return self._reserve(state, line, units - state.sum("open"), line.location)

    def _release_elsewhere(self, state: BookedLine, line: OrderLine, units: int, where: str, reason: str) -> BookedLine:
        story = Story(EntryKind.RELEASE, self.snapshot.version, reason, reserved=-1)
        elsewhere = frozenset(leg.number for leg in state.legs if leg.location != where)
        return self._end(state, line, "released", units, story, elsewhere)

    def _reserve(self, state: BookedLine, line: OrderLine, units: int, where: str | None) -> BookedLine:
        if state.sold is None or units <= 0:
            return state
        terms = self.terms
        legs = {(leg.location, leg.takes): leg for leg in state.legs}
        story = Story(EntryKind.RESERVE, self.snapshot.version, "ordered", reserved=1)
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
        name: Ended,
        units: int,
        story: Story,
        among: frozenset[int] | None = None,
    ) -> BookedLine:
        """Ends open units of all legs, or among these; releases take the last leg first, so that the first stays."""
        if units <= 0:
            return state
        legs = list(state.legs)
        for index in range(len(legs) - 1, -1, -1) if name == "released" else range(len(legs)):
            leg = legs[index]
            n = max(0, min(units, leg.open)) if among is None or leg.number in among else 0
            self._move(leg, line, story, n)
            legs[index] = replace(changed(leg, name, n), open=leg.open - n)
            units -= n
        return replace(state, legs=tuple(legs))

    def _bring_back(self, state: BookedLine, line: OrderLine) -> BookedLine:
        """Returns, up to what was shipped: more cannot have come back, whatever the order says."""
        if not (line.returned or line.withheld or state.sum("returned")):
            return state
        version = self.snapshot.version
        for_sale = oldest(line.returned, state.sum("shipped"))
        aside = oldest(line.withheld, state.sum("shipped") - total(for_sale))
        back = (*for_sale, *aside)
        state = self._take_back(state, line, "withheld", aside, _not_aside(self.snapshot))
        undo = Story(EntryKind.ADJUST, version, "return taken back", -1, happened=self.since)
        state = self._take_back(state, line, "returned", back, undo)
        for where in sorted(units_at(back), key=lambda name: (name is None, name or "")):
            missing = _lacking(state, "returned", back, where)
            marked = max(0, min(missing, _lacking(state, "withheld", aside, where)))
            came = newest(back, missing, where)  # which of them are set aside says nothing of when they came
            state = self._put_back(state, line, newest(came, marked, where), withheld=1)
            state = self._put_back(state, line, oldest(came, missing - marked), withheld=0)
            state = self._mark(state, line, _lacking(state, "withheld", aside, where), where)
        return state

    def _put_back(self, state: BookedLine, line: OrderLine, moved: Iterable[Moved], *, withheld: int) -> BookedLine:
        """Books returned units where they came back to, else where they were shipped from."""
        legs = {(leg.location, leg.takes): leg for leg in state.legs}
        for one in moved:
            reason = "returned, not for sale" if withheld else "returned"
            story = Story(EntryKind.RETURN, one.at or self.snapshot.version, reason, 1, withheld=withheld)
            units = one.units
            for location, takes in list(legs):
                out = sum(leg.shipped - leg.returned for leg in legs.values() if leg.takes == takes)
                here = legs[location, takes]
                n = max(0, min(units, out if one.location else min(out, here.shipped - here.returned)))
                if n:
                    key = (one.location or location, takes)
                    there = legs.get(key) or Leg(number=len(legs) + 1, location=key[0], takes=takes)
                    self._move(there, line, story, n)
                    legs[key] = replace(there, returned=there.returned + n, withheld=there.withheld + withheld * n)
                    units -= n
        return replace(state, legs=tuple(legs.values()))

    def _mark(self, state: BookedLine, line: OrderLine, units: int, where: str | None) -> BookedLine:
        """Sets units aside that came back before, there or (None) anywhere, and were taken for good ones."""
        story = Story(EntryKind.RETURN, self.snapshot.version, "set aside", withheld=1)
        legs = []
        for leg in state.legs:
            n = max(0, min(units, leg.returned - leg.withheld)) if where in (None, leg.location) else 0
            self._move(leg, line, story, n)
            legs.append(changed(leg, "withheld", n))
            units -= n
        return replace(state, legs=tuple(legs))

    def _move(self, leg: Leg, line: OrderLine, story: Story, units: int) -> None:
        if not units:
            return
        terms = self.terms
        cause = cause_of(terms.channel, self.snapshot.order, line.line, terms.run, story.reason)
        new = movements_of(leg, units, story, cause, f"{self.tag}:{len(self.movements)}", terms.counted_up_to)
        self.movements += new
        for one in new:
            if one.withheld:
                terms.withheld[one.position] = max(0, terms.withheld.get(one.position, 0) + one.withheld)
            if story.kind is not EntryKind.RESERVE:  # what is reserved was taken off when it was sourced
                here = terms.available.setdefault(leg.location, {})
                change = one.on_hand - one.reserved - one.withheld
                here[one.position.item] = here.get(one.position.item, 0) + change


def _not_aside(snapshot: OrderSnapshot) -> Story:
    return Story(EntryKind.UNWITHHOLD, snapshot.version, "not set aside after all", withheld=-1)


def _lacking(state: BookedLine, name: Counted, moved: tuple[Moved, ...], where: str | None) -> int:
    """Units of these moves that are not booked: those of a location, or (None) all of them."""
    if where:
        return units_at(moved).get(where, 0) - at_location(state, name, where)
    return total(moved) - state.sum(name)
