"""Rules that reach no listing, and why: a slip in a name, or a rule that was left behind when something was renamed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from channelsync.domain.rules import Rule, RuleScope, Subject
from channelsync.domain.sourcing import reachable
from channelsync.sdk.paging import in_batches
from channelsync.store import agenda, guarded_keys
from channelsync.store.items import items_by_id
from channelsync.store.sharing import ShownKey, keys_showing
from channelsync.sync.rule_words import typed_values
from channelsync.sync.setup import Setup
from channelsync.sync.targets import first_subject, rules_for, sole

ITEMS_AT_ONCE = 1_000

# Rules for whatever comes to be listed: that nothing is listed yet is no fault of theirs.
_FOR_WHATEVER_COMES = ((), ("channel",))


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleRule:
    """A rule that reaches no listing, or names what is not configured. what: which, and why. remedy: what to do."""

    rule: Rule
    what: str
    remedy: str


def idle_rules(connection: Connection, setup: Setup, rules: Sequence[Rule]) -> list[IdleRule]:
    """Of these rules those that speak of no number of ours, in their order; and those that name what is not configured.

    A rule for everything or for a whole channel waits for what will be listed, and is none. Reads only.
    """
    found = {rule.id: what for rule in rules if (what := _names_unknown(rule, setup))}
    waiting = {
        rule.id: rule
        for rule in rules
        if rule.id not in found and rule.scope.named() not in _FOR_WHATEVER_COMES and rule.values.said()
    }
    for scopes in _scopes_of_numbers(connection, setup, list(waiting.values())):
        waiting = {name: rule for name, rule in waiting.items() if rule.scope not in scopes}
        if not waiting:
            break
    skus = items_by_id(connection, {rule.scope.item for rule in waiting.values()})
    for name, rule in waiting.items():
        item = skus.get(rule.scope.item or "")
        found[name] = f"it reaches no listing: {_why(rule.scope, item.sku if item else '')}"
    return [IdleRule(rule=one, what=found[one.id], remedy=_remedy(one, setup)) for one in rules if one.id in found]


def _scopes_of_numbers(connection: Connection, setup: Setup, rules: Sequence[Rule]) -> Iterator[set[RuleScope]]:
    """The scopes that fit our numbers, some numbers at a time; only of items that the rules may speak of."""
    if any(rule.scope.named() == ("location",) for rule in rules):
        items = set(guarded_keys.items_shown(connection))
    else:
        items = {name for rule in rules for name in _items_meant(connection, setup, rule.scope)}
    for some in in_batches(sorted(items), ITEMS_AT_ONCE):
        known = (key for key in keys_showing(connection, some) if key.channel in setup.channels)
        yield {scope for key in known for scope in _scopes(key, setup)}


def _items_meant(connection: Connection, setup: Setup, scope: RuleScope) -> Iterable[str]:
    """The items, themselves or in bundles, of whose numbers a scope may speak that names a listing, item or class."""
    if scope.listing is not None:
        return agenda.items_of_listing(connection, scope.listing)
    named = {scope.item} if scope.item else {item for item, one in setup.classes.items() if one == scope.sku_class}
    return {shown for item in named for shown in setup.shown_by(item)}


def _scopes(key: ShownKey, setup: Setup) -> Iterator[RuleScope]:
    """Every scope that fits a number: of its item, and of the parts of which it is made."""
    for item in reachable(key.item, setup.recipes):
        for subject in _subjects(key, item, setup):
            yield from subject.scopes()


def _subjects(key: ShownKey, item: str, setup: Setup) -> set[Subject]:
    """The number as rules see it, before and after one of them says which locations feed it."""
    first, _ = first_subject(key, item, setup)
    return {first, replace(first, location=sole(rules_for(key, item, setup)[1]))}


def _names_unknown(rule: Rule, setup: Setup) -> str:
    """What a rule names that the configuration does not have; empty: nothing."""
    scope, values = rule.scope, rule.values
    for what, name, known in (
        ("channel", scope.channel, setup.channels),
        ("location", scope.location, setup.locations),
        ("class", scope.sku_class, setup.classes.values()),
    ):
        if name is not None and name not in known:
            return f"it reaches no listing: the configuration has no {what} {name}"
    preferred = values.last_units.preferred if values.last_units else ()
    unknown = [f"channel {name}" for name in preferred if name not in setup.channels]
    unknown += [f"location {name}" for name in values.locations or () if name not in setup.locations]
    return f"it names {', '.join(unknown)}, which the configuration does not have" if unknown else ""


def _why(scope: RuleScope, sku: str) -> str:
    """Why no number fits, of a rule that names nothing unknown."""
    where = f" on {scope.channel}" if scope.channel else ""
    if scope.listing:
        return f"no listing {scope.listing}{where} is mapped to an item and has a number of ours"
    meant = f"SKU {sku}" if scope.item else f"an item of the class {scope.sku_class}"
    shown = f"no listing{where} is mapped to {meant}"
    if scope.location:
        other = f"{shown}, or another location feeds it too" if scope.item else "it feeds none alone"
        return f"a rule for the location {scope.location} holds for numbers that this location alone feeds, and {other}"
    return shown


def _remedy(rule: Rule, setup: Setup) -> str:
    if rule.id not in {one.id for one in setup.stored_rules}:
        return f"change it where it stands ({rule.source})"
    again = shlex.join(typed_values(rule.values))
    return (
        f"`channelsync rules remove {rule.id}` takes it away, `channelsync rules set {again}` with other options says "
        "the same of something else"
    )
