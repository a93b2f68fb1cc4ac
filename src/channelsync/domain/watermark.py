"""What a channel must be showing, and what a read of it means.

The channel sells on its own and lowers its own number; we hear of the sale later. So a read is compared with what
the channel last *confirmed* (the watermark W) plus what booked orders must have done to the number since, and with
the writes that may or may not have been applied. What that leaves unexplained is an order that we have not seen, a
human edit, a lost write or another writer; `understand` says which, and what the key's state is afterwards.

Everything is in the key's own units (packs, bundles). Pure: times, reads and effects are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from channelsync.domain.effects import Effect


class Applies(StrEnum):
    """When and in which order a channel applies our writes."""

    AT_ONCE = "at once"
    IN_ORDER = "in order"
    ANY_ORDER = "any order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How far a channel's reads and clock can be trusted; declared by the connector, later measured.

    staleness: a read may lack what happened this long before it was asked. skew: the channel's clock may be off by
    this much, either way. grace: an accepted write is visible within this time, or it is lost.
    applies: see `Applies`. never_negative: the channel's number stops at 0. cap: the largest number it shows.
    """

    staleness: timedelta = timedelta(0)
    skew: timedelta = timedelta(0)
    grace: timedelta = timedelta(minutes=2)
    applies: Applies = Applies.AT_ONCE
    never_negative: bool = True
    cap: int | None = None

    def shown(self, number: int) -> int:
        """The number as the channel would show it: floored at 0 where it cannot go below, cut at its cap."""
        floored = max(0, number) if self.never_negative else number
        return floored if self.cap is None else min(self.cap, floored)


@dataclass(frozen=True, slots=True)
class Read:
    """A quantity as read from a channel, with the times the read was asked and answered (our clock)."""

    value: int
    asked: datetime
    answered: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write of ours that no read has confirmed yet.

    answered: when the channel accepted it; None: not (yet), or with an unknown outcome.
    """

    generation: int
    value: int
    sent: datetime
    answered: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """What we know of one quantity key.

    watermark: the last number that a read confirmed; None before the first read.
    effects: those not yet known to be in the watermark. writes: unconfirmed ones, oldest first.
    verified: no read or overtaken write left a doubt; an unverified key is read again after the grace window.
    """

    watermark: Read | None = None
    effects: tuple[Effect, ...] = ()
    writes: tuple[Write, ...] = ()
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Alternative:
    """One state that the channel may be in: the numbers from low to high. write: None is the state before any write."""

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
    contained: effects that the *old* watermark already contained; they take over provisional reservations.
    arrived: effects that this read shows for the first time. visible: the newest write that this read confirms.
    lost: writes given up. low, high: the hull of what was expected, for `explain`.
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
    """What the channel's number may be now, all booked effects having happened. Empty before a first read."""
    return _alternatives(state, timing, None)


def sole(alternatives: Iterable[Alternative]) -> int | None:
    """The one number that they all mean; None where they leave a choice."""
    values = {n for a in alternatives for n in (a.low, a.high)}
    return values.pop() if len(values) == 1 else None


def understand(state: KeyState, read: Read, timing: Timing) -> Understood:
    """What a read means, and the key's state after it. See the table in the module `Meaning`.

    A number that fits no state but lies between two of them counts as a drop from the next higher one: a unit
    hidden for a tick is cheaper than one shown twice; the key stays unverified.
    """
    if state.watermark is None:
        contained = tuple(e for e in state.effects if relation(e, read, timing) == "in")
        return Understood(meaning=Meaning.FIRST, state=_moved_on(state, read, contained, ()), contained=contained)
    if _too_soon(state, read, timing):
        return Understood(meaning=Meaning.TOO_SOON, state=state)
    states = _alternatives(state, timing, read)
    fits = [a for a in states if a.low <= read.value <= a.high]
    hull = (min(a.low for a in states), max(a.high for a in states))
    if fits:
        return _fitting(state, read, timing, fits, hull)
    above = [a for a in states if a.low > read.value]
    if above:
        nearest = min(above, key=lambda a: a.low)
        doubt = any(a.high < read.value for a in states)
        return _settled(state, read, timing, Meaning.DROP, nearest, hull, units=nearest.low - read.value, doubt=doubt)
    nearest = max(states, key=lambda a: a.high)
    return _settled(state, read, timing, Meaning.RISE, nearest, hull, units=read.value - nearest.high)


def _too_soon(state: KeyState, read: Read, timing: Timing) -> bool:
    """A lagging read asked right after the last read or write decides nothing."""
    if not timing.staleness or state.watermark is None:
        return False
    last = max([state.watermark.answered, *(w.answered or w.sent for w in state.writes)])
    return read.asked < last + timing.staleness


def _fitting(state: KeyState, read: Read, timing: Timing, fits: list[Alternative], hull: tuple[int, int]) -> Understood:
    ours = [a for a in fits if a.write is not None]
    if ours or not state.writes:
        best = max(ours, key=lambda a: a.write.generation if a.write else 0) if ours else fits[0]
        doubt = bool(ours) and len(fits) > len(ours) and not _overdue(state, read, timing)
        return _settled(state, read, timing, Meaning.AS_EXPECTED, best, hull, doubt=doubt)
    if not _overdue(state, read, timing):
        return Understood(meaning=Meaning.NOT_VISIBLE_YET, state=state, low=hull[0], high=hull[1])
    return _settled(state, read, timing, Meaning.PUSH_LOST, fits[0], hull)


def _overdue(state: KeyState, read: Read, timing: Timing) -> bool:
    """The newest unconfirmed write should have been visible to this read."""
    newest = state.writes[-1]
    return read.asked > (newest.answered or newest.sent) + timing.grace + timing.staleness


def _settled(
    state: KeyState,
    read: Read,
    timing: Timing,
    meaning: Meaning,
    chosen: Alternative,
    hull: tuple[int, int],
    *,
    units: int = 0,
    doubt: bool = False,
) -> Understood:
    """Ends a decisive read: W becomes R, and every effect that R is known to contain settles."""
    base = chosen.write.value if chosen.write else state.watermark.value if state.watermark else 0
    wanted = read.value - base + (units if meaning is Meaning.DROP else -units if meaning is Meaning.RISE else 0)
    arrived, rest = _explain(state, read, timing, chosen.write, wanted)
    contained = tuple(e for e in rest if relation(e, read, timing) == "in")
    lost = state.writes if meaning is Meaning.PUSH_LOST else ()
    newest = chosen.write.generation if chosen.write else -1
    open_writes = () if lost else tuple(w for w in state.writes if w.generation > newest)
    after = _moved_on(state, read, (*arrived, *contained), open_writes)
    return Understood(
        meaning=meaning,
        state=replace(after, verified=not doubt),
        units=units,
        contained=contained,
        arrived=arrived,
        visible=chosen.write,
        lost=lost,
        low=hull[0],
        high=hull[1],
    )


def _moved_on(state: KeyState, read: Read, settled: tuple[Effect, ...], writes: tuple[Write, ...]) -> KeyState:
    ids = {e.id for e in settled}
    left = tuple(e for e in state.effects if e.id not in ids)
    return KeyState(watermark=read, effects=left, writes=writes, verified=True)


def _explain(
    state: KeyState, read: Read, timing: Timing, write: Write | None, wanted: int
) -> tuple[tuple[Effect, ...], tuple[Effect, ...]]:
    """Splits the effects into those that moved the number by `wanted` since its base, oldest first, and the rest."""
    must: list[Effect] = []
    may: list[Effect] = []
    rest: list[Effect] = []
    for effect in sorted(state.effects, key=lambda e: (e.latest, e.id)):
        low, high = _share(effect, state, read, timing, write)
        group = rest if low == high == 0 else must if low == high else may
        group.append(effect)
    wanted -= sum(e.delta for e in must)
    for index, effect in enumerate(may):
        later = may[index + 1 :]
        low = sum(min(0, e.delta) for e in later)
        high = sum(max(0, e.delta) for e in later)
        if wanted != 0 and low <= wanted - effect.delta <= high:
            must.append(effect)
            wanted -= effect.delta
        else:
            rest.append(effect)
    return tuple(must), tuple(rest)


def _alternatives(state: KeyState, timing: Timing, read: Read | None) -> tuple[Alternative, ...]:
    if state.watermark is None:
        return ()
    done = _surely_applied(state, timing, read)
    made = []
    if done is None:
        low, high = _range(state, timing, read, None)
        base = state.watermark.value
        made.append(_clamped(timing, base + low, base + high, None))
        if timing.cap is not None and base >= timing.cap:  # blind above the cap: the number may be any above it
            made[0] = replace(made[0], high=timing.cap)
    for write in state.writes:
        if done is None or write.generation >= done.generation:
            low, high = _range(state, timing, read, write)
            made.append(_clamped(timing, write.value + low, write.value + high, write))
    return tuple(made)


def _clamped(timing: Timing, low: int, high: int, write: Write | None) -> Alternative:
    return Alternative(timing.shown(low), timing.shown(high), write)


def _surely_applied(state: KeyState, timing: Timing, read: Read | None) -> Write | None:
    """The newest write that the number (or this read of it) cannot lack: accepted by a channel that applies at once."""
    if timing.applies is not Applies.AT_ONCE:
        return None
    for write in reversed(state.writes):
        if write.answered and (read is None or read.asked - timing.staleness >= write.answered):
            return write
    return None


def _range(state: KeyState, timing: Timing, read: Read | None, write: Write | None) -> tuple[int, int]:
    """By how much, from least to most, the effects have moved the number since its base."""
    shares = [_share(e, state, read, timing, write) for e in state.effects]
    return sum(low for low, _ in shares), sum(high for _, high in shares)


def _share(effect: Effect, state: KeyState, read: Read | None, timing: Timing, write: Write | None) -> tuple[int, int]:
    """The least and most that one effect adds to its base: the watermark, or a write that was applied since.

    (0, 0): surely not; (d, d): surely; else any part of it, because it cannot be told on which side it fell.
    """
    none_or_all = (min(0, effect.delta), max(0, effect.delta))
    seen = relation(effect, read, timing) if read else "in"
    if seen == "after":
        return 0, 0
    if write is not None:
        since = _since_write(effect, write, timing)
    else:
        since = relation(effect, state.watermark, timing) if state.watermark else "unsettled"
    if since == "in":
        return 0, 0
    if since == "after" and seen == "in":
        return effect.delta, effect.delta
    return none_or_all


def _since_write(effect: Effect, write: Write, timing: Timing) -> Relation:
    """An absolute write swallows what sold before it was applied; when that was is known for some channels only."""
    if effect.latest < write.sent - timing.skew:
        return "in"
    at_once = timing.applies is Applies.AT_ONCE and write.answered is not None
    if at_once and write.answered is not None and effect.earliest > write.answered + timing.skew:
        return "after"
    return "unsettled"
