"""The steps of an offer as they are stored and told, never with a number that nobody has said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from channelsync.domain.offering import Offer, Step

PlainStep = tuple[str, int | None, int | None, str, str | None]
"""A step as it is stored: its name, the number before and after it, why, and the rule that asked for it.

The numbers are None where nobody has said how many units there are, and nothing bounds the number.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaid:
    """Of which items nobody has said how many there are, at any of the locations that feed a key.

    parts: how many items are counted for it in all: its own, or those that its bundle is made of. offer: as it would
    be with more of these items; where it differs from the key's own, that rests on units that nobody has said.
    """

    items: frozenset[str]
    locations: tuple[str, ...]
    parts: int
    offer: Offer


def plain_steps(offer: Offer, unsaid: Unsaid | None = None) -> list[PlainStep]:
    """The steps of an offer as they are stored.

    Of one that rests on units that nobody has said (unsaid), what bounds it all the same, then that it is left alone.
    """
    if unsaid is None:
        return [_plain(step) for step in offer.steps]
    known = _known_steps(offer.steps, unsaid.offer.steps)
    units = known[-1][2] if known else None
    return [*known, ("nobody said how many", units, units, _left_alone(unsaid, bounded=units is not None), None)]


def told_steps(steps: Iterable[PlainStep]) -> str:
    """Stored steps in one line: "sum of locations 12 (main 12), buffer 10 (2 held back, rule #1)"."""
    return ", ".join(
        f"{name}{'' if after is None else f' {after}'} ({why}{f', rule {rule}' if rule else ''})"
        for name, _, after, why, rule in steps
    )


def _plain(step: Step) -> PlainStep:
    return step.name, step.before, step.after, step.why, step.rule_id


def _known_steps(steps: Sequence[Step], with_more: Sequence[Step]) -> list[PlainStep]:
    """The last steps that end at a number which is the same however many there are; the first begins where it ends.

    What a plan that holds the key has added is left out: it tells what would be shown.
    """
    known: list[PlainStep] = []
    for step, other in zip(steps, with_more, strict=False):
        if (step.name, step.after, step.why) == (other.name, other.after, other.why):
            before = known[-1][2] if known else step.before if step.before == other.before == 0 else step.after
            known.append((step.name, before, step.after, step.why, step.rule_id))
        else:
            known = []
    return known


def _left_alone(unsaid: Unsaid, *, bounded: bool) -> str:
    """What nobody has said, and what becomes of the number."""
    where = " or ".join(unsaid.locations)
    fed = (
        f"at {where}, which {'feeds' if len(unsaid.locations) == 1 else 'feed'} it"
        if where
        else "for no location feeds it"
    )
    of = f" of {len(unsaid.items)} of its {unsaid.parts} parts" if unsaid.parts > 1 else ""
    stays = "it is lowered to this, and never raised" if bounded else "the number stays as it is"
    return f"nobody has said how many there are{of} {fed}: {stays}"
