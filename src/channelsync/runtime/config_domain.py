"""From the configuration to what the domain computes with: rules, recipes, classes, locations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from channelsync.domain.bundles import Part, Recipe, Recipes
from channelsync.domain.rules import (
    FIELDS,
    BadRule,
    Buffer,
    Computed,
    LastUnits,
    Rule,
    RuleScope,
    RuleValues,
)
from channelsync.runtime.config_models import BundleConfig, ChannelConfig, Config
from channelsync.runtime.config_rules import ComputedBuffer, LastUnitsConfig, RuleConfig, RuleValuesConfig

NOWHERE: Mapping[str, str] = MappingProxyType({})
"""The origins of a configuration that was made in code."""


def as_written(sku: str) -> str:
    """The SKU itself: the item of a rule or recipe, until somebody who knows the items looks it up."""
    return sku


def rules_of(
    config: Config, origins: Mapping[str, str] = NOWHERE, item_of: Callable[[str], str] = as_written
) -> tuple[Rule, ...]:
    """All rules of the configuration, the less specific part of the file first.

    origins: `Loaded.origins`, for the source of each rule ("config.toml line 14").
    item_of: the item of a SKU; by default the SKU stands for it.
    Raises BadRule; a configuration that was loaded has been checked for that.
    """
    found = [_locations_rule(config), *(channel_rule(one, origins) for one in config.channels)]
    targets = {one.name: one.oversell_target for one in config.channels}
    found.extend(scoped_rule(number, rule, targets, origins, item_of) for number, rule in enumerate(config.rules, 1))
    return tuple(rule for rule in found if rule is not None)


def _locations_rule(config: Config) -> Rule | None:
    """Where nothing else is said, all locations feed a channel, by their priority."""
    names = locations_by_priority(config)
    if not names:
        return None
    return Rule("all locations", RuleScope(), RuleValues(locations=names), "the priorities of [[location]]")


def locations_by_priority(config: Config) -> tuple[str, ...]:
    """The names of all locations whose units channels may sell, the one that ships first in front."""
    ours = [one for one in config.locations if one.kept_by is None]
    return tuple(one.name for one in sorted(ours, key=lambda one: one.priority))


def remotes_of(channel: ChannelConfig, config: Config) -> tuple[dict[str, str], dict[str, str]]:
    """The channel's own locations with ours: those that ours feed, and those where the channel keeps units itself."""
    kept = {one.name for one in config.locations if one.kept_by == channel.name}
    fed = {remote: name for remote, name in channel.remotes.items() if name not in kept}
    return fed, {remote: name for remote, name in channel.remotes.items() if name in kept}


def channel_rule(channel: ChannelConfig, origins: Mapping[str, str]) -> Rule | None:
    """What [channel.rules] and the channel's locations say; None when they say nothing. Raises BadRule."""
    name = f"channel.{channel.name}"
    source = origins.get(f"{name}.rules") or origins.get(name, "configuration")
    identity = channel.name
    values = rule_values(channel.rules, channel.oversell_target, identity, source)
    values["locations"] = channel.locations or None
    if all(value is None for value in values.values()):
        return None
    return Rule(identity, RuleScope(channel=channel.name), RuleValues(**values), source)  # type: ignore[arg-type]


def scoped_rule(
    number: int,
    rule: RuleConfig,
    oversell_targets: Mapping[str, float],
    origins: Mapping[str, str] = NOWHERE,
    item_of: Callable[[str], str] = as_written,
) -> Rule:
    """The rule of one [[rule]], numbered from 1. Raises BadRule."""
    source = origins.get(f"rule.{number}", "configuration")
    identity = f"#{number}"
    target = oversell_targets.get(rule.channel) if rule.channel is not None else None
    values = rule_values(rule, target, identity, source)
    values["locations"] = rule.locations
    scope = RuleScope(
        channel=rule.channel,
        location=rule.location,
        sku_class=rule.sku_class,
        item=item_of(rule.sku) if rule.sku is not None else None,
        listing=rule.listing,
    )
    return Rule(identity, scope, RuleValues(**values), source)  # type: ignore[arg-type]


def rule_values(config: RuleValuesConfig, target: float | None, identity: str, source: str) -> dict[str, object]:
    """The fields of `RuleValues`, as far as both sides call them the same. Raises BadRule.

    target: the oversell_target of the rule's channel; None where it names none. identity, source: of the rule.
    """
    values: dict[str, object] = {name: getattr(config, name, None) for name in FIELDS}
    if isinstance(config.buffer, ComputedBuffer):
        values["buffer"] = _computed(config.buffer, target, identity, source)
    if isinstance(config.last_units, LastUnitsConfig):
        values["last_units"] = LastUnits(config.last_units.at_or_below, config.last_units.preferred)
    return values


def _computed(buffer: ComputedBuffer, target: float | None, identity: str, source: str) -> Buffer:
    p = buffer.p if buffer.p is not None else target
    if p is None:
        raise BadRule(
            f"rule {identity} ({source}): buffer is computed, but no channel is named whose oversell_target holds; "
            "write buffer = { p = 0.01 }, or name a channel"
        )
    return Computed(p, buffer.at_most)


def recipes_of(config: Config, item_of: Callable[[str], str] = as_written) -> Recipes:
    """The bundles of the configuration by item."""
    return {recipe.item: recipe for recipe in (recipe_of(one, item_of) for one in config.bundles)}


def recipe_of(bundle: BundleConfig, item_of: Callable[[str], str] = as_written) -> Recipe:
    """One bundle."""
    parts = tuple(Part(item_of(part.sku), part.units) for part in bundle.parts)
    return Recipe(item_of(bundle.sku), bundle.kind, parts)


def classes_of(config: Config) -> dict[str, str]:
    """The class of each SKU that is in one."""
    return dict(_class_pairs(config))


def _class_pairs(config: Config) -> Iterator[tuple[str, str]]:
    for one in config.sku_classes:
        for sku in one.skus:
            yield sku, one.name
