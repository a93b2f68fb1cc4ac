"""Faults that no single setting shows: names used twice or unknown, cyclic bundles, SKUs that nearly agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channelsync.domain.bundles import BadRecipe, CyclicBundle, Recipe, validate
from channelsync.domain.rules import BadRule
from channelsync.runtime.config_domain import channel_rule, recipe_of, scoped_rule
from channelsync.runtime.config_draft import Draft, value_at
from channelsync.runtime.config_errors import suggestion
from channelsync.runtime.config_feeds import FeedConfig
from channelsync.runtime.config_file import KeyPath
from channelsync.runtime.config_hooks import HookConfig
from channelsync.runtime.config_models import (
    BundleConfig,
    ChannelConfig,
    LocationConfig,
    SkuClassConfig,
)
from channelsync.runtime.config_rules import RuleConfig
from channelsync.runtime.config_values import sku_form
from channelsync.sync.setup import BY_HAND


@dataclass(slots=True)
class Parts:
    """The entries that are sound in themselves, each with its number in the file, from 0."""

    location: list[tuple[int, LocationConfig]] = field(default_factory=list)
    channel: list[tuple[int, ChannelConfig]] = field(default_factory=list)
    rule: list[tuple[int, RuleConfig]] = field(default_factory=list)
    bundle: list[tuple[int, BundleConfig]] = field(default_factory=list)
    sku_class: list[tuple[int, SkuClassConfig]] = field(default_factory=list)
    feed: list[tuple[int, FeedConfig]] = field(default_factory=list)
    hook: list[tuple[int, HookConfig]] = field(default_factory=list)


_NAMED = (
    ("location", "locations"),
    ("channel", "channels"),
    ("sku_class", "classes"),
    ("feed", "feeds"),
    ("hook", "hooks"),
)


def check(draft: Draft, parts: Parts) -> None:
    """Notes every fault in the draft. Names of unsound entries count as known, so that one fault is told once."""
    for array, noun in _NAMED:
        _check_twice(draft, array, "name", f"two {noun}")
    _check_feeds(draft, parts)
    _check_twice(draft, "bundle", "sku", "two bundles")
    _check_own_name(draft)
    _check_locations(draft, parts)
    _check_rules(draft, parts)
    _check_cycles(draft, parts)
    _check_skus(draft)
    _check_classes(draft, parts)


def _names(draft: Draft, array: str, key: str = "name") -> list[tuple[int, str]]:
    """The names of all entries of an array, sound or not, with their numbers."""
    entries = value_at((array,), draft.values)
    if not isinstance(entries, list):
        return []
    return [
        (number, entry[key])
        for number, entry in enumerate(entries)
        if isinstance(entry, Mapping) and isinstance(entry.get(key), str)
    ]


def _check_twice(draft: Draft, array: str, key: str, who: str) -> None:
    """Capitals do not tell two names apart: neither environment variables nor people do so."""
    first: dict[str, tuple[int, str]] = {}
    for number, name in _names(draft, array, key):
        held = first.setdefault(name.casefold(), (number, name))
        if held[0] != number:
            place = draft.place((array, held[0], key))
            draft.add((array, number, key), f"{who} are called {name!r}", f"the first is at {place}; rename one")


def _check_feeds(draft: Draft, parts: Parts) -> None:
    """No two look at one folder, and each location is one of ours."""
    known = [name for _, name in _names(draft, "location")]
    first: dict[str, str] = {}
    for number, feed in parts.feed:
        _check_target(draft, ("feed", number, "location"), feed.location, known, "location")
        _check_sold(draft, ("feed", number, "location"), (feed.location or "",), _kept(parts))
        held = first.setdefault(feed.place.rstrip("/"), feed.name)
        if feed.place and held != feed.name:
            what = f"the feeds {held!r} and {feed.name!r} look at one folder"
            draft.add(("feed", number, "place"), what, "give each a folder of its own")


def _check_own_name(draft: Draft) -> None:
    for number, name in _names(draft, "channel"):
        if name.casefold() == BY_HAND:
            what = f"a channel cannot be called {name!r}, for orders that are booked by hand stand under that name"
            draft.add(("channel", number, "name"), what, "choose another name")


def _check_locations(draft: Draft, parts: Parts) -> None:
    known = [name for _, name in _names(draft, "location")]
    kept = _kept(parts)
    if parts.channel and not set(known) - kept.keys():
        number = parts.channel[0][0]
        draft.add(
            ("channel", number),
            f"there is no location that could feed {draft.table(('channel', number))}",
            'add a [[location]], for example with name = "main"',
        )
        return
    for number, channel in parts.channel:
        _check_known(draft, ("channel", number, "locations"), channel.locations, known, "location")
        _check_sold(draft, ("channel", number, "locations"), channel.locations, kept)
        for remote, name in channel.remotes.items():
            path: KeyPath = ("channel", number, "remotes", remote)
            _check_target(draft, path, name, known, "location")
            _check_sold(draft, path, () if kept.get(name) == channel.name else (name,), kept)
    _check_keepers(draft, parts)


def _kept(parts: Parts) -> dict[str, str]:
    """The locations that a channel keeps itself, with its name."""
    return {one.name: one.kept_by for _, one in parts.location if one.kept_by is not None}


def _check_sold(draft: Draft, path: KeyPath, names: Sequence[str], kept: Mapping[str, str]) -> None:
    """None of these locations is one that a channel keeps itself: nobody else sells or counts its units."""
    for name in names:
        if name in kept:
            what = f"the units at {name!r} are kept by the channel {kept[name]!r}, which counts and ships them itself"
            draft.add(path, what, "name a location of yours")


def _check_keepers(draft: Draft, parts: Parts) -> None:
    """Whoever keeps units at a location is a channel, and says which of its places that is."""
    channels = [name for _, name in _names(draft, "channel")]
    remotes = {channel.name: channel.remotes for _, channel in parts.channel}
    for number, one in parts.location:
        path: KeyPath = ("location", number, "kept_by")
        _check_target(draft, path, one.kept_by, channels, "channel")
        if one.kept_by in remotes and one.name not in remotes[one.kept_by].values():
            what = f"the channel {one.kept_by!r} does not say which of its places {one.name!r} is"
            draft.add(
                path, what, f"name it in `remotes` of the channel, by the channel's id of the place: {one.name!r}"
            )


def _check_known(
    draft: Draft, path: KeyPath, given: Sequence[str], known: Sequence[str], noun: str, *, once: bool = True
) -> None:
    """Each name of a list is known and stands there once."""
    for at, name in enumerate(given):
        table = draft.table(path[:-1])
        if name not in known:
            draft.add((*path, at), f"unknown {noun} {name!r} in {path[-1]!r} of {table}", suggestion(name, known))
        elif once and name in given[:at]:
            draft.add((*path, at), f"{noun} {name!r} stands twice in {path[-1]!r} of {table}", "remove one")


def _check_rules(draft: Draft, parts: Parts) -> None:
    channels = [name for _, name in _names(draft, "channel")]
    locations = [name for _, name in _names(draft, "location")]
    classes = [name for _, name in _names(draft, "sku_class")]
    kept = _kept(parts)
    targets = dict.fromkeys(channels, 0.5) | {channel.name: channel.oversell_target for _, channel in parts.channel}
    for number, channel in parts.channel:
        try:
            channel_rule(channel.model_copy(update={"locations": ()}), {})
        except BadRule as error:
            draft.add(("channel", number, "rules"), *_complaint(error, draft, ("channel", number, "rules")))
    for number, rule in parts.rule:
        path: KeyPath = ("rule", number)
        _check_target(draft, (*path, "channel"), rule.channel, channels, "channel")
        _check_target(draft, (*path, "location"), rule.location, locations, "location")
        _check_target(draft, (*path, "class"), rule.sku_class, classes, "class")
        _check_known(draft, (*path, "locations"), rule.locations or (), locations, "location", once=False)
        _check_sold(draft, (*path, "location"), (rule.location or "",), kept)
        _check_sold(draft, (*path, "locations"), rule.locations or (), kept)
        if rule.last_units is not None:
            preferred = rule.last_units.preferred
            _check_known(draft, (*path, "last_units", "preferred"), preferred, channels, "channel", once=False)
        try:
            scoped_rule(number + 1, rule, {rule.channel or "": 0.5, **targets})
        except BadRule as error:
            draft.add(path, *_complaint(error, draft, path))


def _check_target(draft: Draft, path: KeyPath, name: str | None, known: Sequence[str], noun: str) -> None:
    if name is not None and name not in known:
        draft.add(path, f"unknown {noun} {name!r} in {draft.table(path[:-1])}", suggestion(name, known))


def _complaint(error: BadRule, draft: Draft, path: KeyPath) -> tuple[str, str]:
    """What is wrong and what to do, from the domain's sentence without the rule's id, which the place replaces."""
    said = str(error).partition("): ")[2]
    return f"{draft.table(path)} cannot be followed", said


def _check_cycles(draft: Draft, parts: Parts) -> None:
    """One fault a cycle: the bundle named first is left out, and the rest is looked at again."""
    numbers = {bundle.sku: number for number, bundle in parts.bundle}
    recipes: dict[str, Recipe] = {bundle.sku: recipe_of(bundle) for _, bundle in parts.bundle}
    while True:
        try:
            validate(recipes)
        except CyclicBundle as error:
            way, _, todo = str(error).partition(": ")
            sku = way.split(" -> ")[0]
            draft.add(("bundle", numbers[sku]), f"the bundle {sku!r} contains itself ({way})", todo)
            del recipes[sku]
        except BadRecipe as error:
            way, _, todo = str(error).partition(": ")
            sku = way.split(" -> ")[0]
            draft.add(("bundle", numbers[sku]), f"the bundle {sku!r} cannot be made", todo)
            del recipes[sku]
        else:
            return


def _check_skus(draft: Draft) -> None:
    """Two spellings that people read as one SKU are taken for a slip, wherever in the file they stand."""
    first: dict[str, tuple[str, KeyPath]] = {}
    for sku, path in _skus(draft.values):
        if sku != sku.strip():  # told as a fault of its own
            continue
        held, place = first.setdefault(sku_form(sku), (sku, path))
        if held != sku:
            draft.add(
                path,
                f"the SKUs {sku!r} and {held!r} differ only in capitals, blanks or Unicode form",
                f"the other is at {draft.place(place)}; write both alike",
            )


def _skus(values: Mapping[str, Any]) -> Iterator[tuple[str, KeyPath]]:
    """Every SKU that the file names, in its order as far as arrays go."""
    for array, inner in (("bundle", "parts"), ("sku_class", "skus"), ("rule", None)):
        entries = value_at((array,), values)
        for number, entry in enumerate(entries if isinstance(entries, list) else []):
            if not isinstance(entry, Mapping):
                continue
            if isinstance(entry.get("sku"), str):
                yield entry["sku"], (array, number, "sku")
            below = entry.get(inner) if inner else None
            for at, part in enumerate(below if isinstance(below, list) else []):
                sku = part.get("sku") if isinstance(part, Mapping) else part
                if isinstance(sku, str):
                    end = ("sku",) if isinstance(part, Mapping) else ()
                    yield sku, (array, number, inner or "", at, *end)


def _check_classes(draft: Draft, parts: Parts) -> None:
    """A SKU is in one class at most, so that no two classes disagree about it."""
    first: dict[str, tuple[str, KeyPath]] = {}
    for number, one in parts.sku_class:
        for at, sku in enumerate(one.skus):
            path: KeyPath = ("sku_class", number, "skus", at)
            held, place = first.setdefault(sku, (one.name, path))
            if place != path:
                draft.add(
                    path,
                    f"the SKU {sku!r} is in class {one.name!r} and, at {draft.place(place)}, in {held!r}",
                    "a SKU may be in one class, once; remove it from one",
                )
