"""What follows when the seller's set-up changes while we run: which keys may have to show another number now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.rules import Rule
from channelsync.store import agenda, keys
from channelsync.store.channels import ChannelState
from channelsync.sync.rule_changes import mark_affected
from channelsync.sync.setup import Setup
from channelsync.sync.switches import mode_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """Keys whose targets may differ under another set-up.

    everything: all of them, and the rest says nothing. channels: all keys of these. anew: channels whose mode changed;
    their numbers are read first, for another tool may have written there. items: those that show one of these.
    rules: those in the scope of one of these.
    """

    everything: bool = False
    channels: frozenset[str] = frozenset()
    anew: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether no key is affected."""
        return not (self.everything or self.channels or self.anew or self.items or self.rules)


def affected_by(before: Setup, after: Setup, states: Mapping[str, ChannelState]) -> Affected:
    """What must be looked at again when one set-up takes the place of another. states: the channels' rows.

    Channels that come or go change what the others may show, and so does what feeds one where rules divide items
    among channels; then everything is looked at, which costs no call.
    """
    both = before.channels.keys() & after.channels.keys()
    changed = frozenset(name for name in both if _what_counts(before, name) != _what_counts(after, name))
    divided = bool(changed) and (before.rule_book.ties_channels or after.rule_book.ties_channels)
    others = before.channels.keys() != after.channels.keys() or tuple(before.locations) != tuple(after.locations)
    if others or divided:
        anew = _changed_modes(before, after, states, both) | (after.channels.keys() - before.channels.keys())
        return Affected(everything=True, anew=frozenset(anew))
    recipes = {
        item
        for item in before.recipes.keys() | after.recipes.keys()
        if before.recipes.get(item) != after.recipes.get(item)
    }
    classes = {
        item
        for item in before.classes.keys() | after.classes.keys()
        if before.classes.get(item) != after.classes.get(item)
    }
    shown = {name for item in recipes | classes for setup in (before, after) for name in setup.shown_by(item)}
    return Affected(
        channels=changed,
        anew=frozenset(_changed_modes(before, after, states, both)),
        items=frozenset(shown),
        rules=_changed_rules(before.rules, after.rules),
    )


def mark_changed(connection: Connection, before: Setup, after: Setup, affected: Affected, now: datetime) -> None:
    """Puts everything that is affected on the publisher's agenda; call it once the new set-up is in use."""
    for name in sorted(affected.anew):
        agenda.forget_rises(connection, name)
        agenda.ask_for(connection, agenda.chosen_keys(connection, channels=[name]), now)
    if affected.everything:
        agenda.mark_all_due(connection, now)
        return
    for name in sorted(affected.channels):
        agenda.mark_channel_due(connection, name, now)
    keys.mark_due(connection, affected.items, now)
    for setup in (before, after):
        mark_affected(connection, setup, affected.rules, now)


def _what_counts(setup: Setup, name: str) -> tuple[object, ...]:
    """Of a channel what changes its numbers: not how often something is done."""
    one = setup.channels[name]
    return one.capabilities, one.locations, dict(one.remotes), one.paused, one.drift


def _changed_modes(before: Setup, after: Setup, states: Mapping[str, ChannelState], names: Iterable[str]) -> set[str]:
    return {
        name
        for name in names
        if mode_now(before.channels[name], states.get(name)) != mode_now(after.channels[name], states.get(name))
    }


def _changed_rules(before: Sequence[Rule], after: Sequence[Rule]) -> tuple[Rule, ...]:
    """Rules that are not in both. Where all are, but in another order, all of them: the later of two equals wins."""
    said, says = [_meaning(one) for one in before], [_meaning(one) for one in after]
    if said == says:
        return ()
    changed = [one for one in before if _meaning(one) not in says] + [one for one in after if _meaning(one) not in said]
    return tuple(changed or after)


def _meaning(rule: Rule) -> tuple[object, object]:
    """A rule without its number and its line in the file, which change when another is written above it."""
    return rule.scope, rule.values
