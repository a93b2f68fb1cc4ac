"""Whether and what to write to one key now: from its state and its target to one decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from channelsync.domain.watermark import Alternative, Applies, KeyState, Timing, expected_now, sole

Action = Literal["none", "read first", "lower", "raise", "wait"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What the seller allows now. stop: "raises" lets lowerings through, "all" nothing. reason: who says so.

    held: a question to the seller about this key is open; nothing is written until it is answered.
    """

    may_lower: bool = True
    may_raise: bool = True
    stop: Literal["", "raises", "all"] = ""
    held: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with one key. value: the number to write, in available units; None unless lowering or raising.

    expected: for compare-and-set, the number that the channel must be showing; None: write whatever it shows.
    """

    action: Action
    why: str
    value: int | None = None
    expected: int | None = None


def decide(
    state: KeyState,
    target: int,
    timing: Timing,
    switches: Switches,
    *,
    compare_and_set: bool = False,
    rise: int = 0,
    sells_below_zero: bool = False,
) -> Decision:
    """One key's next step. target: what it should show, available to sell.

    rise: units that the number rose by itself and that no order has explained yet; a lowering that would only take
    these back waits until the channel's orders were read.
    Lowerings never wait. Raises and repeats wait while a write is on its way, the key is in doubt, or a rise has
    not been explained yet. A number that is confirmed and settled is not sent again, nor one that is on its way.
    """
    states = expected_now(state, timing)
    if not states:
        return Decision(action="read first", why="its number was never read")
    wanted = timing.shown(target)
    reference = states[-1]
    if sole([reference]) == wanted:
        return _nothing_to_send(state, states, wanted)
    if sells_below_zero and wanted == 0 and reference.high < 0:
        return Decision(action="none", why="it shows less than 0, and 0 would put units back on sale")
    lowering = wanted < reference.high
    only_rise = bool(rise) and wanted >= reference.high - rise
    waits = _blocked(lowering, switches) or _waits(state, lowering=lowering, only_rise=only_rise)
    if waits:
        return Decision(action="wait", why=waits)
    return _send(states, wanted, compare_and_set=compare_and_set, lowering=lowering)


def _nothing_to_send(state: KeyState, states: Sequence[Alternative], wanted: int) -> Decision:
    if sole(states) != wanted:
        return Decision(action="none", why=f"{wanted} is on its way and was not seen yet")
    if not state.verified:
        return Decision(action="read first", why="a read left a doubt")
    return Decision(action="none", why=f"it shows {wanted}")


def _blocked(lowering: bool, switches: Switches) -> str:  # noqa: FBT001 - the one thing that is asked
    if switches.held:
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


def _waits(state: KeyState, *, lowering: bool, only_rise: bool) -> str:
    if only_rise:
        return "its number rose by itself; the channel's orders are read first"
    if lowering:
        return ""
    if state.writes:
        return "a write is on its way and was not seen yet"
    if not state.verified:
        return "a read left a doubt; it is read again first"
    return ""


def _send(states: Sequence[Alternative], wanted: int, *, compare_and_set: bool, lowering: bool) -> Decision:
    action: Action = "lower" if lowering else "raise"
    if not compare_and_set:
        return Decision(action=action, value=wanted, why=f"{action} to {wanted}")
    expected = sole(states)
    if expected is None:
        return Decision(action="read first", why="its number may be one of several; a read decides")
    return Decision(action=action, value=wanted, expected=expected, why=f"{action} from {expected} to {wanted}")


def overtakes(state: KeyState, timing: Timing) -> bool:
    """Whether a write sent now may be applied before one that is on its way, which then puts its old number back."""
    return timing.applies is Applies.ANY_ORDER and bool(state.writes)
