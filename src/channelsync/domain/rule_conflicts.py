"""Rules that contradict one another: what `lint` reports before the seller wonders why a rule does not bite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from channelsync.domain.rules import Rule, RuleScope


@dataclass(frozen=True, slots=True)
class Conflict:
    """Rules that contradict one another; resolving goes on, in the way that `text` says."""

    field: str
    rules: tuple[str, ...]
    text: str


def conflicts(rules: Sequence[Rule]) -> tuple[Conflict, ...]:
    """What `lint` reports: ties, shares of one scope above 100 %, last units that a ring fence keeps elsewhere."""
    return (*_ties(rules), *_overfull_shares(rules), *_fences_against_last_units(rules))


def _ties(rules: Sequence[Rule]) -> Iterable[Conflict]:
    groups: dict[RuleScope, list[Rule]] = {}
    for rule in rules:
        # A listing with its channel and the same listing without have one rank.
        scope = replace(rule.scope, channel=None) if rule.scope.listing else rule.scope
        groups.setdefault(scope, []).append(rule)
    for group in groups.values():
        for first, later in combinations(group, 2):
            if None not in (first.scope.channel, later.scope.channel) and first.scope != later.scope:
                continue
            for name in sorted(set(first.values.said()) & set(later.values.said())):
                text = f"{name} is said twice for {later.scope}: {later} wins over {first}; remove one"
                yield Conflict(name, (first.id, later.id), text)


def _overfull_shares(rules: Sequence[Rule]) -> Iterable[Conflict]:
    groups: dict[tuple[str | None, str | None], dict[str, Rule]] = {}
    for rule in rules:
        scope = rule.scope
        if rule.values.share is not None and scope.channel is not None and scope.listing is None:
            groups.setdefault((scope.item, scope.sku_class), {})[scope.channel] = rule
    for group in groups.values():
        total = sum(rule.values.share or 0 for rule in group.values())
        if total > 100:
            text = f"shares add up to {total} %, so the same units are shown twice: "
            yield Conflict(
                "share", tuple(rule.id for rule in group.values()), text + "; ".join(map(str, group.values()))
            )


def _fences_against_last_units(rules: Sequence[Rule]) -> Iterable[Conflict]:
    for last in rules:
        wanted = last.values.last_units
        if wanted is None or not wanted.preferred:
            continue
        for fence in rules:
            channel = fence.scope.channel
            if not fence.values.ring_fenced or channel in {None, wanted.preferred[0]}:
                continue
            if _overlap(last.scope, fence.scope):
                text = f"{fence} comes before the preferred channel of {last}: units that only {channel} may sell "
                text += "cannot be left to another"
                yield Conflict("last_units", (last.id, fence.id), text)


def _overlap(one: RuleScope, other: RuleScope) -> bool:
    """Whether two scopes can fit keys of one item, as far as their words tell."""
    return all(
        None in (getattr(one, name), getattr(other, name)) or getattr(one, name) == getattr(other, name)
        for name in ("item", "sku_class")
    )
