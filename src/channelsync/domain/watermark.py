"""What a channel must be showing, and what a read of it means.

The channel sells on its own and lowers its own number; we hear of the sale later. So a read is compared with what
the channel last *confirmed* (the watermark W) plus what booked orders must have done to the number since, and with
the writes that may or may not have been applied. What that leaves unexplained is an order that we have not seen, a
human edit, a lost write or another writer; `understand` says which, and what the key's state is afterwards.

Everything is in the key's own units (packs, bundles). Pure: times, reads and effects are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from channelsync.domain.effects import Effect
from channelsync.domain.spans import Spans, adding_up, partly, perhaps, shifted


class Applies(StrEnum):
    """When and in which order a channel applies our writes."""

    AT_ONCE = "at once"
    IN_ORDER = "in order"
    ANY_ORDER = "any order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How far a channel's reads and clock can be trusted; declared by the connector, later measured.

    staleness: a read may lack what happened this long before it was asked. skew: the channel's clock may be off by
    this much, either way. grace: a write is visible within this time, or it is lost; counted from its answer, or
    from its sending where none came, so it must be longer than a request can take. applies: see `Applies`.
    never_negative: the channel's number stops at 0. cap: the largest number it shows. step: a number that is written
    is rounded down to a multiple of this. step_shown: what was written and sold is kept whole, and shown rounded.
    """

    staleness: timedelta = timedelta(0)
    skew: timedelta = timedelta(0)
    grace: timedelta = timedelta(minutes=2)
    applies: Applies = Applies.AT_ONCE
    never_negative: bool = True
    cap: int | None = None
    step: int = 1
    step_shown: bool = False

    def shown(self, number: int) -> int:
        """The number as the channel would show it: floored at 0 where it cannot go below, cut at its cap, rounded."""
        floored = max(0, number) if self.never_negative else number
        cut = floored if self.cap is None else min(self.cap, floored)
        return self._stepped(cut) if self.step_shown else cut

    def written(self, number: int) -> int:
        """The number as the channel shows it right after it was written: a number that it can hold as it is."""
        return self._stepped(self.shown(number))

    def _stepped(self, number: int) -> int:
        return number - number % self.step if number > 0 else number


@dataclass(frozen=True, slots=True)
class Read:
    """A quantity as read from a channel, with the times the read was asked and answered (our clock).

    after: the generation of the write whose own answer stated the number: that write is in it, and no lag. The read
    is then asked when the write was sent. None: any other read.
    """

    value: int
    asked: datetime
    answered: datetime
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write of ours. answered: when it was accepted; None: not (yet), or unknown. within: its own grace, if any."""

    generation: int
    value: int
    sent: datetime
    answered: datetime | None = None
    within: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """What we know of one quantity key.

    watermark: the last number that a read confirmed; None before the first read.
    effects: those not yet known to be in the watermark. shown: ids of those among them that a read has shown
        already, although the times alone cannot tell.
    writes: that may still come to be applied, oldest first. confirmed: the newest generation that the watermark
        shows; writes up to it are in `writes` as long as they may be applied late and put an old number back.
    verified: no read left a doubt, and no write of an older generation may still be applied. An unverified key is
        read again after the grace window.
    """

    watermark: Read | None = None
    effects: tuple[Effect, ...] = ()
    writes: tuple[Write, ...] = ()
    verified: bool = True
    confirmed: int = 0
    shown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Alternative:
    """Numbers from low to high that the channel may show. write: the last that was applied; None: none since W."""

    low: int
    high: int
    write: Write | None = None


class Meaning(StrEnum):
    """What a read says; the table of the publishing rules, in its order."""

    TOO_SOON = "too soon"
    FIRST = "first"
    AS_EXPECTED = "as expected"
    NOT_VISIBLE_YET = "not visible yet"
    PUSH_LOST = "push lost"
    DROP = "drop"
    RISE = "rise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A read, understood.

    state: of the key afterwards. units: how many are unexplained, for a drop or a rise; else 0.
    contained: effects that the *old* watermark already contained; they take over provisional reservations, and
        explain rises where they are positive. arrived: effects that moved the number since. Both have left the state.
    visible: the newest write that this read confirms: no other state fits (an unseen sale of the very size could
        still imitate it). lost: writes given up.
    low, high: the hull of what was expected, for `explain`.
    """

    meaning: Meaning
    state: KeyState
    units: int = 0
    contained: tuple[Effect, ...] = ()
    arrived: tuple[Effect, ...] = ()
    visible: Write | None = None
    lost: tuple[Write, ...] = ()
    low: int = 0
    high: int = 0


Relation = Literal["in", "after", "unsettled"]


def relation(effect: Effect, read: Read, timing: Timing) -> Relation:
    """Whether a read contains an effect: surely, surely not, or it cannot be told."""
    if effect.latest < read.asked - timing.staleness - timing.skew:
        return "in"
    if effect.earliest > read.answered + timing.skew:
        return "after"
    return "unsettled"


def expected_now(state: KeyState, timing: Timing) -> tuple[Alternative, ...]:
    """What the channel's number may be now, all booked effects having happened; empty before a first read.

    Sorted by generation, so that the last ones are what the channel shows once everything has been applied.
    """
    return _alternatives(state, timing, None)


def newest(alternatives: Sequence[Alternative]) -> tuple[Alternative, ...]:
    """Those of the newest generation, of what `expected_now` says."""
    return tuple(a for a in alternatives if a.write is alternatives[-1].write)


def sole(alternatives: Iterable[Alternative]) -> int | None:
    """The one number that they all mean; None where they leave a choice."""
    values = {n for a in alternatives for n in (a.low, a.high)}
    return values.pop() if len(values) == 1 else None


def overdue(write: Write, at: datetime, timing: Timing) -> bool:
    """Whether a read asked at that time shows the write, unless it is lost."""
    return at > (write.answered or write.sent) + (write.within or timing.grace) + timing.staleness


def understand(state: KeyState, read: Read, timing: Timing) -> Understood:
    """What a read means, and the key's state after it. See the table in `Meaning`.

    A number that fits no state but lies between two of them counts as a drop from the next higher one: a unit
    hidden for a tick is cheaper than one shown twice; the key stays unverified.
    """
    if state.watermark is None:
        return _first(state, read, timing)
    if _too_soon(state, state.watermark, read, timing):
        return Understood(meaning=Meaning.TOO_SOON, state=state)
    states = _alternatives(state, timing, read)
    hull = (min(a.low for a in states), max(a.high for a in states))
    fits = [a for a in states if a.low <= read.value <= a.high]
    if fits:
        base = fits[-1].write
        reached = max(state.confirmed, base.generation if base else 0)
        pending = [w for w in state.writes if w.generation > reached]
        old = reached == state.confirmed
        given_up = [w for w in pending if overdue(w, read.asked, timing)]
        if old and pending and not given_up:
            return Understood(meaning=Meaning.NOT_VISIBLE_YET, state=state, low=hull[0], high=hull[1])
        meaning = Meaning.PUSH_LOST if given_up else Meaning.AS_EXPECTED
        only = all(a.write is base for a in fits)
        return _settled(state, read, timing, _Finding(meaning, base, 0, only, not given_up), hull)
    only = all(a.write is states[0].write for a in states)
    above = [a for a in states if a.low > read.value]
    if above:
        nearest = min(above, key=lambda a: a.low)
        sure = only and len(above) == len(states)
        drop = _Finding(Meaning.DROP, nearest.write, nearest.low - read.value, only, sure)
        return _settled(state, read, timing, drop, hull)
    nearest = max(states, key=lambda a: a.high)
    rise = _Finding(Meaning.RISE, nearest.write, read.value - nearest.high, only, only)
    return _settled(state, read, timing, rise, hull)


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a decisive read turned out to mean, before the state follows.

    base: the write whose number it continues; None: the watermark. alone: no other base is possible. sure: no doubt.
    """

    meaning: Meaning
    base: Write | None
    units: int
    alone: bool
    sure: bool

    @property
    def unexplained(self) -> int:
        """Signed: what a drop or a rise leaves unexplained."""
        return -self.units if self.meaning is Meaning.DROP else self.units


def _first(state: KeyState, read: Read, timing: Timing) -> Understood:
    contained = tuple(e for e in state.effects if relation(e, read, timing) == "in")
    after = KeyState(
        watermark=read,
        effects=tuple(e for e in state.effects if e not in contained),
        writes=tuple(w for w in state.writes if not overdue(w, read.asked, timing)),
        confirmed=state.confirmed,
    )
    return Understood(meaning=Meaning.FIRST, state=replace(after, verified=not after.writes), contained=contained)


def _too_soon(state: KeyState, watermark: Read, read: Read, timing: Timing) -> bool:
    """A read from before the last one, and a lagging read right after the last read or write, decide nothing."""
    if read.after is not None:
        return read.asked < watermark.answered
    last = max([watermark.answered, *((w.answered or w.sent) for w in state.writes if timing.staleness)])
    return read.asked < last + timing.staleness


def _settled(state: KeyState, read: Read, timing: Timing, found: _Finding, hull: tuple[int, int]) -> Understood:
    """Ends a decisive read: W becomes R, effects settle, and writes end that no longer can be applied."""
    arrived, contained, shown = _settle_effects(state, read, timing, found)
    settled = {e.id for e in (*arrived, *contained)}
    effects = tuple(e for e in state.effects if e.id not in settled)
    writes = _still_open(state, read, timing, found)
    confirmed = max(state.confirmed, found.base.generation if found.base else 0)
    lost = tuple(w for w in state.writes if w.generation > confirmed and w not in writes)
    late = any(w.generation <= confirmed for w in writes)
    after = KeyState(
        watermark=read,
        effects=effects,
        writes=writes,
        verified=found.sure and not late,
        confirmed=confirmed,
        shown=shown & {e.id for e in effects},
    )
    return Understood(
        meaning=found.meaning,
        state=after,
        units=found.units,
        contained=contained,
        arrived=arrived,
        visible=found.base if found.alone else None,
        lost=lost,
        low=hull[0],
        high=hull[1],
    )


def _still_open(state: KeyState, read: Read, timing: Timing, found: _Finding) -> tuple[Write, ...]:
    """The writes that may still be applied after a read. What is overdue was applied before it, or never will be."""
    applied = [w.generation for w in state.writes if _surely_in(w, read, timing)]
    if found.base is not None and found.alone:
        applied.append(found.base.generation)
    if timing.applies is Applies.ANY_ORDER:
        return tuple(w for w in state.writes if not overdue(w, read.asked, timing) and w.generation not in applied)
    done = max(applied, default=0)
    return tuple(w for w in state.writes if not overdue(w, read.asked, timing) and w.generation > done)


def _surely_in(write: Write, read: Read | None, timing: Timing) -> bool:
    """Whether the number (or this read of it) cannot lack a write: its own answer; a channel that applies at once."""
    if read is not None and read.after == write.generation:
        return True
    if timing.applies is not Applies.AT_ONCE or write.answered is None:
        return False
    return read is None or read.asked >= write.answered  # a read that lags behind the answer came too soon


def _settle_effects(
    state: KeyState, read: Read, timing: Timing, found: _Finding
) -> tuple[tuple[Effect, ...], tuple[Effect, ...], frozenset[str]]:
    """(arrived, contained, shown): what time tells ends; what only the number tells is kept, and marked as shown."""
    base = found.base.value if found.base else state.watermark.value if state.watermark else 0
    wanted = read.value - base - found.unexplained
    shares = {e.id: _share(e, state, read, timing, found.base) for e in state.effects}
    wanted -= sum(e.delta for e in state.effects if shares[e.id] == "all")
    may = [e for e in state.effects if shares[e.id] == "perhaps"]
    # One that an earlier read has shown already is in W: it explains a new change only where no other does.
    may.sort(key=lambda e: (e.id in state.shown, e.latest, e.id))
    explained = {may[index].id for index in adding_up([e.delta for e in may], wanted)}
    arrived: list[Effect] = []
    contained: list[Effect] = []
    for effect in state.effects:
        moved = shares[effect.id] == "all" or effect.id in explained or effect.id in state.shown
        if relation(effect, read, timing) == "in":
            newer = state.watermark is not None and relation(effect, state.watermark, timing) == "after"
            (arrived if moved or newer else contained).append(effect)
    return tuple(arrived), tuple(contained), state.shown | explained


def _alternatives(state: KeyState, timing: Timing, read: Read | None) -> tuple[Alternative, ...]:
    if state.watermark is None:
        return ()
    bases: list[tuple[int, Write | None]] = [(state.confirmed, None)]
    bases += [(w.generation, w) for w in state.writes if read is None or w.sent <= read.answered]
    done = max(
        (w.generation for _, w in bases if w and w.generation > state.confirmed and _surely_in(w, read, timing)),
        default=-1,
    )
    made: list[Alternative] = []
    for generation, write in sorted(bases, key=lambda base: (base[0], base[1] is None)):
        if generation >= done and (write is not None or done < 0):
            number = write.value if write else state.watermark.value
            # One that was read above the cap was not cut there: it is what it says.
            above = write is None and timing.cap is not None and number > timing.cap
            limits = replace(timing, cap=None) if above else timing
            blind = write is None and number == limits.cap
            hidden = None if blind else timing.step - 1 if write is None and timing.step_shown else 0
            shares = [(e, _share(e, state, read, timing, write)) for e in state.effects]
            made += [Alternative(low, high, write) for low, high in _numbers(number, shares, limits, hidden)]
    return tuple(made)


def _numbers(base: int, shares: Sequence[tuple[Effect, _Share]], timing: Timing, hidden: int | None) -> Spans:
    """The numbers that a base may have become. hidden: units that rounding hides; None: it is at the cap or above."""
    spans: Spans = ((base, base + (hidden or 0)),)
    falls = rises = 0
    for effect, share in shares:
        if share != "none":
            falls, rises = falls + min(0, effect.delta), rises + max(0, effect.delta)
        if share == "all":
            spans = shifted(spans, effect.delta)
        elif share == "perhaps":
            # One moment: it happened or not. A window may hide several changes, of which some have happened.
            spans = (perhaps if effect.earliest == effect.latest else partly)(spans, effect.delta)
    # Where the number stopped at 0 on the way, what came back afterwards counts from there.
    stopped = timing.never_negative and base + falls < 0
    spans = tuple((timing.shown(low), timing.shown(max(high, rises) if stopped else high)) for low, high in spans)
    return ((spans[0][0], timing.cap),) if hidden is None and timing.cap is not None else spans


_Share = Literal["none", "perhaps", "all"]


def _share(effect: Effect, state: KeyState, read: Read | None, timing: Timing, write: Write | None) -> _Share:
    """Whether an effect moved the number since its base: the watermark, or a write that was applied since."""
    seen = relation(effect, read, timing) if read else "in"
    if write is not None:
        since = _since_write(effect, write, timing)
    else:
        since = relation(effect, state.watermark, timing) if state.watermark else "unsettled"
    if seen == "after" or since == "in":
        return "none"
    return "all" if since == "after" and seen == "in" else "perhaps"


def _since_write(effect: Effect, write: Write, timing: Timing) -> Relation:
    """An absolute write swallows what sold before it was applied; when that was is known for some channels only."""
    if effect.latest < write.sent - timing.skew:
        return "in"
    at_once = timing.applies is Applies.AT_ONCE and write.answered is not None
    if at_once and write.answered is not None and effect.earliest > write.answered + timing.skew:
        return "after"
    return "unsettled"
