"""What keys show that a plan holds: the number before the run, less what was taken from their positions since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from channelsync.domain.bundles import Recipes, capacity
from channelsync.domain.guard import held_offer
from channelsync.domain.quantities import PositionKey
from channelsync.domain.sourcing import reachable
from channelsync.store import plans
from channelsync.store.plans import PlanKey, Taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A key that is held. feeding: the locations that feed it. target: what it should show, were it not held."""

    item: str
    multiple: int
    feeding: tuple[str, ...]
    target: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldNow:
    """A key that is held. shows: what it shows meanwhile; target: what it would show.

    took, gave: units that orders took from its positions since, and gave back, at most; key units.
    """

    of: PlanKey
    shows: int
    target: int
    took: int
    gave: int

    @property
    def why(self) -> str:
        """Who holds it, for a reader."""
        return (
            f"held by plan {self.of.plan} of run {self.of.run}, which would show {self.target}: "
            f"`channelsync approvals show {self.of.plan}`"
        )


def held_now(
    connection: Connection,
    recipes: Recipes,
    ids: Iterable[int],
    wanted: Callable[[int], Wanted],
    less: Mapping[PositionKey, int] | None = None,
) -> dict[int, HeldNow]:
    """Of these keys those that are held, and what each shows. wanted: tells of one; asked only of those.

    less: units that a run has just made available, by position; they are left out, for that run says anew how many
    there are.
    """
    held = plans.holding(connection, sorted(ids))
    if not held:
        return {}
    asked = {key: wanted(key) for key in held}
    parts = {key: sorted(reachable(asked[key].item, recipes)) for key in held}
    items = {part for some in parts.values() for part in some}
    taken = {
        (mark, place): found._replace(by_others=found.by_others + (less or {}).get(place, 0))
        for (mark, place), found in plans.taken_since(connection, {one.mark for one in held.values()}, items).items()
    }
    return {key: _held(one, asked[key], parts[key], taken, recipes) for key, one in held.items()}


def _held(
    one: PlanKey, ask: Wanted, parts: Sequence[str], taken: Mapping[tuple[str, PositionKey], Taken], recipes: Recipes
) -> HeldNow:
    lost = took = gave = 0
    for location in ask.feeding:
        known = {part: found for part in parts if (found := taken.get((one.mark, PositionKey(part, location))))}
        before = {part: found.available for part, found in known.items()}
        left = {
            part: found.available - max(0, found.by_orders) - max(0, found.by_others) for part, found in known.items()
        }
        lost += capacity(ask.item, before, recipes) - capacity(ask.item, left, recipes)
        took += sum(max(0, found.by_orders) for found in known.values())
        gave += sum(max(0, -found.by_orders) for found in known.values())
    return HeldNow(
        of=one,
        shows=held_offer(one.hold, -(-lost // ask.multiple), ask.target),
        target=ask.target,
        took=-(-took // ask.multiple),
        gave=-(-gave // ask.multiple),
    )
