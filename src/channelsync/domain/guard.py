"""The guard: whether one run changes so much of a channel that a person looks first, and what is shown meanwhile.

All units are those of a key. *Moved* is what one run alone would change: numbers before and after it are computed from
the same orders, so what orders took is never part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from channelsync.domain.offering import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """How much one run may change on a channel before it waits. None: that is not limited.

    listings, zeroed: shares, 0 to 1, of the channel's listings: changed at all, and brought to 0. units, value: units
    added and taken, as a share of those that it shows, and of their value by unit cost; may be more than 1. least: a
    run that changes fewer listings never waits. Raises ValueError where a share is below 0, or least below 1.
    """

    listings: float | None = 0.2
    zeroed: float | None = 0.1
    units: float | None = 0.5
    value: float | None = 0.5
    least: int = 10

    def __post_init__(self) -> None:
        shares = (self.listings, self.zeroed, self.units, self.value)
        if self.least < 1 or not all(share is None or share >= 0 for share in shares):
            raise ValueError(f"limits are shares of 0 or more, and least is 1 or more: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """So much of a channel. zeroed: listings brought to 0. value: money by currency, as far as costs are known."""

    listings: int = 0
    zeroed: int = 0
    units: int = 0
    value: Mapping[str, Decimal] = field(default_factory=dict)


def beyond(limits: GuardLimits, moved: Extent, whole: Extent) -> tuple[str, ...]:
    """Which limits a run is beyond, each as a phrase for a reader; none: it goes on.

    whole: all that the channel shows. A share of nothing is not judged: there is nothing that could be lost.
    """
    if moved.listings < limits.least:
        return ()
    value = [
        (f"{units:.2f} {currency} of stock would move", units, whole.value.get(currency, Decimal(0)), limits.value)
        for currency, units in sorted(moved.value.items())
    ]
    told: list[tuple[str, int | Decimal, int | Decimal, float | None]] = [
        (f"{moved.listings} listings would change", moved.listings, whole.listings, limits.listings),
        (f"{moved.zeroed} listings would show 0", moved.zeroed, whole.listings, limits.zeroed),
        (f"{moved.units} units would move", moved.units, whole.units, limits.units),
        *value,
    ]
    return tuple(
        f"{what}, {part / of:.0%} of {_number(of)}; the limit is {limit:.0%}"
        for what, part, of, limit in told
        if limit is not None and of > 0 and part > Decimal(str(limit)) * of
    )


def _number(units: int | Decimal) -> str:
    return str(units) if isinstance(units, int) else f"{units:.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One key that waits. before: what it should have shown without the run. planned: with it.

    room: how many units could have been sold before it would have had to show fewer than `before`: the number as it
    was before a maximum or a cap cut it; `before` where none did.
    """

    before: int
    planned: int
    room: int

    @property
    def lowers(self) -> bool:
        """The run would lower it."""
        return self.planned < self.before


def held_offer(hold: Hold, taken: int, target: int) -> int:
    """What a key shows that waits. taken: units that left its positions since, by orders and by provisionals, and by
    runs that were not held; below 0 counts as none. target: what it should show, were it not held.

    Guarantees: 0 or more; never more than before the run; falls with every unit that is taken, as soon as those above
    a maximum or cap are used up; of a held raise never more than the target.
    """
    left = max(0, min(hold.before, hold.room - max(0, taken)))
    return left if hold.lowers else min(left, max(0, target))


def as_planned(hold: Hold, target: int, *, took: int, gave: int) -> bool:
    """Whether a target is still the planned number, or differs by no more than orders explain.

    took, gave: units that orders and provisionals took since the plan was made, and gave back; each 0 or more.
    """
    return hold.planned - took <= target <= hold.planned + gave


def uncut(offer: Offer) -> int:
    """An offer's number as it was before a maximum or the channel's cap cut it."""
    units = offer.units
    for step in reversed(offer.steps):
        if step.name not in {"maximum shown", "channel cap"}:
            break
        units = max(units, step.before)
    return units
