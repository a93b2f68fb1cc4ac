"""Whether and what to write to one key now: from its state and its target to one decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from channelsync.domain.watermark import Alternative, Applies, KeyState, Timing, expected_now, newest, sole

Action = Literal["none", "read first", "lower", "raise", "wait"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What the seller allows now. stop: "raises" lets lowerings through, "all" nothing. reason: who says so.

    held: a question to the seller about this key is open. disputed: the units that it is about, signed: the number
    differs from the target by them. They are left to the answer: until then the key is lowered by what is sold
    elsewhere, and not by them, and it is never raised.
    """

    may_lower: bool = True
    may_raise: bool = True
    stop: Literal["", "raises", "all"] = ""
    held: bool = False
    disputed: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLimit:
    """How often a channel lets one listing be written. Raises ValueError where that would never allow a raise.

    most: writes of it within span. kept: of them, those that only lowerings may use. span: how long a write counts; it
    must hold every day of the channel's, wherever that begins (25 hours where this is not documented).
    """

    most: int
    kept: int
    span: timedelta

    def __post_init__(self) -> None:
        if not 0 <= self.kept < self.most:
            raise ValueError(f"of {self.most} writes {self.kept} cannot be kept: at least one must be left for raises")

    def __str__(self) -> str:
        return f"{self.most} writes of a listing within {self.span / timedelta(hours=1):g} h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with one key. value: the number to write, in available units; None unless lowering or raising.

    action: none: it is right, or on its way. read first: only a read tells what it needs. wait: something else must
    happen first, and `why` says what.
    expected: for compare-and-set, the number that the channel must be showing; None: write whatever it shows.
    until: where it waits for the channel to take writes of its listing again, or for the end of the pause after a
    refusal, when that is; else None. blocked: what waits for that is a lowering.
    """

    action: Action
    why: str
    value: int | None = None
    expected: int | None = None
    until: datetime | None = None
    blocked: bool = False


def decide(
    state: KeyState,
    target: int,
    timing: Timing,
    switches: Switches,
    *,
    compare_and_set: bool = False,
    rise: int = 0,
    sells_below_zero: bool = False,
    now: datetime | None = None,
) -> Decision:
    """One key's next step. target: what it should show, available to sell; cut at what the channel can show.

    It is compared with what the channel shows once every write of ours is applied, so that a write on its way is not
    sent again, nor a number that is confirmed, nor one that booked sales are just bringing about. Lowerings never
    wait. Raises and repeats need a key without doubt, without unseen writes and with one possible number.

    compare_and_set: a write carries the number it replaces; where that is not one number the key is read first,
        unless a read asked now could not tell more.
    rise: units that the number rose by itself and that no order has explained yet; a lowering that would only take
        these back waits until the channel's orders were read.
    sells_below_zero: the key takes backorders: 0 is never written over a number below 0.
    now: for judging whether a read could tell more; None: it always can.
    """
    if sells_below_zero:
        timing = replace(timing, never_negative=False)
    states = expected_now(state, timing)
    if not states:
        return Decision(action="read first", why="its number was never read")
    wanted = max(0, timing.written(target + switches.disputed))  # no number below 0 ever leaves us
    reference = newest(states)
    if any(a.low <= wanted <= a.high for a in reference):
        return _nothing_to_send(state, reference, wanted, switches)
    low, high = min(a.low for a in states), max(a.high for a in reference)
    if sells_below_zero and wanted == 0 and low < 0:
        return Decision(action="none", why="it shows less than 0, and 0 would put units back on sale")
    lowering = wanted < high
    waits = _blocked(switches, lowering=lowering)
    if not waits and rise > 0 and wanted >= high - rise:
        waits = "its number rose by itself, and an order that explains it may still be listed"
    if waits:
        return Decision(action="wait", why=waits)
    doubt = "" if lowering else _raise_needs(state, states)
    if doubt:
        return Decision(action="read first", why=doubt)
    return _send(state, states, wanted, timing, now, compare_and_set=compare_and_set, lowering=lowering)


def overtakes(state: KeyState, timing: Timing) -> bool:
    """Whether a write sent now may be applied before one that is on its way, which then puts its old number back.

    The key is then unverified. Its state carries that by itself: the overtaken write stays in `writes`, below the
    generation that is confirmed, until a read shows that it can no longer be applied.
    """
    return timing.applies is Applies.ANY_ORDER and bool(state.writes)


def within_limit(decision: Decision, limit: WriteLimit, sent: Sequence[datetime], now: datetime) -> Decision:
    """The decision; or to wait, where the channel takes no more writes of the listing for now.

    sent: when writes of it left, oldest first. What is kept is for lowerings: they overtake raises until the last.
    """
    if decision.value is None:
        return decision
    lowering = decision.action == "lower"
    most = limit.most if lowering else limit.most - limit.kept
    counted = [at for at in sent if at > now - limit.span]
    if len(counted) < most:
        return decision
    until = counted[-most] + limit.span
    kept = "" if lowering or not limit.kept else f", the last {limit.kept} of them for lowerings only"
    why = (
        f"{decision.why} waits until {until:%Y-%m-%d %H:%M} UTC: the channel takes {limit}{kept}, "
        f"and {len(counted)} have left"
    )
    return Decision(action="wait", why=why, until=until, blocked=lowering)


def _nothing_to_send(state: KeyState, reference: Sequence[Alternative], wanted: int, switches: Switches) -> Decision:
    if switches.held:
        return Decision(action="wait", why=_blocked(switches, lowering=False))
    if sole(reference) != wanted:
        return Decision(action="read first", why=f"it may show {wanted} by itself already; a read decides")
    if reference[-1].write is not None:
        return Decision(action="none", why=f"{wanted} is on its way and was not seen yet")
    if not state.verified:
        return Decision(action="read first", why=f"it showed {wanted}, but a read or an older write leaves a doubt")
    return Decision(action="none", why=f"it shows {wanted}")


def _blocked(switches: Switches, *, lowering: bool) -> str:
    if switches.held and not lowering:
        return f"a question about it is open: {switches.reason}"
    if switches.stop == "all":
        return f"all writes are stopped: {switches.reason}"
    if not lowering and switches.stop == "raises":
        return f"raises are stopped: {switches.reason}"
    if lowering and not switches.may_lower:
        return f"lowering is switched off: {switches.reason}"
    if not lowering and not switches.may_raise:
        return f"raising is switched off: {switches.reason}"
    return ""


def _raise_needs(state: KeyState, states: Sequence[Alternative]) -> str:
    """What a read must settle before a raise; empty where nothing is open."""
    if state.writes:
        return "a write may still be applied; a raise waits until it was seen"
    if not state.verified:
        return "a read left a doubt; a raise waits for one more"
    if sole(states) is None:
        return "its number may be one of several; a raise waits until a read settles it"
    return ""


def _send(
    state: KeyState,
    states: Sequence[Alternative],
    wanted: int,
    timing: Timing,
    now: datetime | None,
    *,
    compare_and_set: bool,
    lowering: bool,
) -> Decision:
    action: Action = "lower" if lowering else "raise"
    expected = sole(states)
    shown = f"{min(a.low for a in states)} to {max(a.high for a in states)}" if expected is None else f"{expected}"
    if compare_and_set and expected is None and _read_tells_more(state, timing, now):
        return Decision(action="read first", why=f"its number may be {shown}; a read decides")
    why = f"{action} from {shown} to {wanted}"
    return Decision(action=action, value=wanted, expected=expected if compare_and_set else None, why=why)


def _read_tells_more(state: KeyState, timing: Timing, now: datetime | None) -> bool:
    """Whether a read asked now could settle what the last one left open; one that comes too soon decides nothing."""
    if now is None or state.watermark is None:
        return True
    settles_from = max([state.watermark.answered, *(w.answered or w.sent for w in state.writes)])
    return now >= settles_from + timing.staleness + timing.skew


def available_number(told: int, committed: int | None, *, physical: bool) -> int | None:
    """A channel's number in units a buyer may buy: the units of R, W, E and T everywhere here.

    committed: units in the channel's own open orders, which a physical number still contains. None where the channel
    does not tell: the key is blind, no sale can be seen in it.
    """
    if not physical:
        return told
    return None if committed is None else told - committed


def told_number(available: int, committed: int | None, *, physical: bool) -> int:
    """The number to write, in the channel's own meaning. committed: as last read; None: none known, so it counts 0."""
    return available + (committed or 0) if physical else available
