"""`channelsync rules list|set|remove`: offering rules beside those of the configuration."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from inspect import cleandoc
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from sqlalchemy import Connection

from channelsync.domain.rule_conflicts import conflicts
from channelsync.domain.rules import FIELDS, Rule, RuleScope, RuleValues
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.rules_runs import RuleChanged, change_rules, tell_rules
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_domain import locations_by_priority, rule_values
from channelsync.runtime.config_errors import suggestion
from channelsync.runtime.config_rules import RuleConfig
from channelsync.runtime.wiring import open_reading, setup_of
from channelsync.sdk.discovery import installed
from channelsync.store import items, rules
from channelsync.sync.guard import with_stored_rules
from channelsync.sync.item_names import named, skus_of
from channelsync.sync.rule_changes import change_rule, plain_rule, rule_id
from channelsync.sync.rule_reach import idle_rules
from channelsync.sync.rule_words import typed_values
from channelsync.sync.setup import Setup

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print which listings would show what, now and then; change nothing.")
]

PRECEDENCE = """\b
Which rule wins, for each key of a listing by itself: the most specific rule
that says the key. From most to least specific:
    --listing (with or without --channel)    this one listing
    --sku and --channel                      this SKU on this channel
    --sku and --location                     this SKU where this location alone feeds it
    --sku                                    this SKU everywhere
    --class and --channel                    a class of SKUs on this channel
    --class                                  a class of SKUs
    --channel                                everything on this channel
    --location                               everything this location alone feeds
    nothing                                  everything
Of two rules of one rank the one set here wins over the configuration's, and
of two in the configuration the later one. `channelsync explain SKU` shows the
rule that bit."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    text = f"See and set what channels may show.\n\n{PRECEDENCE}"
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_rules)
    group.command("set", help=f"{cleandoc(set_rule.__doc__ or '')}\n\n{PRECEDENCE}")(set_rule)
    group.command("remove")(remove)
    app.add_typer(group, name="rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOnView:
    """A rule. rank: how specific it is, 9 the most. says: its keys and values, as in the configuration file."""

    id: str
    rank: int
    applies_to: str
    says: dict[str, Any]
    source: str


def list_rules(context: typer.Context, as_json: AsJson = False) -> None:
    """Every rule, of the configuration and set here, the most specific first."""
    loaded = invocation(context).load()
    found, warnings = awaited(_listed(loaded))
    output = Output(as_json=as_json)
    output.rows([one if as_json else {**_fields(one), "says": typed} for one, typed in found], title="Rules")
    if not as_json:
        for warning in warnings:
            output.say(f"warning: {warning}")


def _fields(rule: RuleOnView) -> dict[str, object]:
    return {one.name: getattr(rule, one.name) for one in fields(rule)}


async def _listed(loaded: Loaded) -> tuple[list[tuple[RuleOnView, str]], list[str]]:
    def unit(connection: Connection) -> tuple[list[tuple[RuleOnView, str]], list[str]]:
        setup = setup_of(connection, loaded, installed())
        book = setup.rule_book.rules
        skus = skus_of(connection, setup)
        ranked = sorted(book, key=lambda one: -one.rank)
        shown = [(_viewed(rule, skus), " ".join(typed_values(rule.values))) for rule in ranked]
        return shown, [named(one.text, skus) for one in conflicts(book)]

    async with open_reading(loaded) as database:
        return await database.query(unit)


def _viewed(rule: Rule, skus: Mapping[str, str]) -> RuleOnView:
    scope = rule.scope
    sku = None if scope.item is None else f"SKU {skus.get(scope.item, scope.item)}"
    parts = [f"listing {scope.listing}" if scope.listing else None, sku]
    parts += [f"class {scope.sku_class}" if scope.sku_class else None, scope.channel and f"channel {scope.channel}"]
    parts.append(f"location {scope.location}" if scope.location else None)
    return RuleOnView(
        id=rule.id,
        rank=rule.rank,
        applies_to=" on ".join(part for part in parts if part) or "everything",
        says=rules.plain_values(rule.values),
        source=rule.source,
    )


def set_rule(  # noqa: PLR0913, PLR0917 - each is an option
    context: typer.Context,
    assignments: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE...", help=f"Of {', '.join(FIELDS)}. KEY= takes it out."),
    ],
    channel: Annotated[str | None, typer.Option("--channel", metavar="NAME", help="For this channel.")] = None,
    sku: Annotated[str | None, typer.Option("--sku", metavar="SKU", help="For this SKU.")] = None,
    sku_class: Annotated[str | None, typer.Option("--class", metavar="NAME", help="For a class of SKUs.")] = None,
    listing: Annotated[str | None, typer.Option("--listing", metavar="ID", help="For one listing.")] = None,
    location: Annotated[str | None, typer.Option("--location", metavar="NAME", help="For a location.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set keys of the rule for some scope; what it says already about other keys stays.

    Holds for a running daemon within seconds, is recorded, and can be taken back with `channelsync undo`. Values are
    written as in the configuration file: buffer=2, buffer=10%, buffer=computed, share=40, minimum_shown=2,
    maximum_shown=20, ring_fenced=5, may_raise=false, do_not_touch=true, backorder=10, preorder_from_incoming=true,
    'last_units={ at_or_below = 2, preferred = ["shop-uk"] }', 'locations=["main"]'.

    A rule that reaches no listing is set all the same, with a warning; `channelsync listings lint` names such rules.

    --dry-run prints every number that would be another one, now and then, and changes nothing. Ends with 8 where it
    changes too much of a channel (with --dry-run: would change), which waits there for `channelsync approvals`.
    """
    loaded = invocation(context).load()
    _known(loaded, channel, sku_class, location)
    says, unsaid = _parsed(assignments)

    def change(connection: Connection, setup: Setup, run: str, now: datetime) -> RuleChanged:
        scope = RuleScope(
            channel=channel,
            location=location,
            sku_class=sku_class,
            item=None if sku is None else _item_of(connection, sku),
            listing=listing,
        )
        return _changed(connection, setup, loaded, scope, says, unsaid, run=run, now=now)

    said = {"says": list(assignments)}
    done = awaited(change_rules(loaded, "rules set", said, change, dry_run=dry_run))
    tell_rules(Output(as_json=as_json), done)


def remove(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(metavar="ID", help="As `channelsync rules list` shows it.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove a rule that was set here. Those of the configuration are removed in its file.

    Ends with 8 where it changes too much of a channel (with --dry-run: would change), which waits there for
    `channelsync approvals`.
    """
    loaded = invocation(context).load()

    def change(connection: Connection, setup: Setup, run: str, now: datetime) -> RuleChanged:
        before = next((one for one in setup.stored_rules if one.id == rule), None)
        if before is None:
            configured = next((one for one in setup.rules if one.id == rule), None)
            if configured is not None:
                raise CommandFailed(f"rule {rule} stands in the configuration ({configured.source}); remove it there.")
            stored = [one.id for one in setup.stored_rules]
            raise CommandFailed(f"there is no rule {rule!r} that was set by a command: {suggestion(rule, stored)}")
        change_rule(connection, setup, rule, None, run=run, now=now)
        return RuleChanged(id=rule, before=before, after=None)

    done = awaited(change_rules(loaded, "rules remove", {"rule": rule}, change, dry_run=dry_run))
    tell_rules(Output(as_json=as_json), done)


def _changed(
    connection: Connection,
    setup: Setup,
    loaded: Loaded,
    scope: RuleScope,
    says: Mapping[str, Any],
    unsaid: Sequence[str],
    *,
    run: str,
    now: datetime,
) -> RuleChanged:
    """Stores the rule of the scope as it is then; one that says nothing any more is removed."""
    name = rule_id(scope, setup.stored_rules)
    before = next((one for one in setup.stored_rules if one.id == name), None)
    values = replace(before.values if before else RuleValues(), **_values(says, name, loaded, scope.channel))
    values = replace(values, **dict.fromkeys(unsaid))
    if not values.said():
        if before is None:
            raise CommandFailed("the rule would say nothing; give it a key with a value, such as buffer=2.")
        change_rule(connection, setup, name, None, run=run, now=now)
        return RuleChanged(id=name, before=before, after=None, emptied=True)
    rule = Rule(name, scope, values, f"`channelsync rules set`, run {run}")
    change_rule(connection, setup, name, plain_rule(rule), run=run, now=now)
    others = [one for one in setup.rule_book.rules if one.id != name]
    skus = skus_of(connection, setup, {scope.item} if scope.item else ())
    warnings = [named(one.text, skus) for one in conflicts([*others, rule]) if name in one.rules]
    warnings += [one.what for one in idle_rules(connection, with_stored_rules(connection, setup), [rule])]
    return RuleChanged(id=name, before=before, after=rule, warnings=tuple(warnings))


def _values(says: Mapping[str, Any], name: str, loaded: Loaded, channel: str | None) -> dict[str, Any]:
    """The fields of `RuleValues`, checked as those of the configuration are."""
    try:
        told = RuleConfig.model_validate(dict(says))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"][:1])) or "the rule"
        raise CommandFailed(f"{key}: {first['msg'].removeprefix('Value error, ')}", ExitCode.USAGE) from error
    _all_known("location", told.locations or (), loaded)
    _all_known("channel", told.last_units.preferred if told.last_units else (), loaded)
    targets = {one.name: one.oversell_target for one in loaded.config.channels}
    made = rule_values(told, None if channel is None else targets[channel], name, "command line")
    return {key: made[key] for key in says}


def _parsed(assignments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """(what is said, what is taken out). A value is TOML, or a bare word. Raises CommandFailed."""
    says: dict[str, Any] = {}
    unsaid: list[str] = []
    for one in assignments:
        key, sign, text = one.partition("=")
        key = key.strip()
        if not sign:
            raise CommandFailed(f"{one!r} is not KEY=VALUE, such as buffer=2.", ExitCode.USAGE)
        if key not in FIELDS:
            raise CommandFailed(f"there is no key {key!r}: {suggestion(key, FIELDS)}", ExitCode.USAGE)
        if text.strip():
            says[key] = _value(text.strip())
        else:
            unsaid.append(key)
    return says, unsaid


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _known(loaded: Loaded, channel: str | None, sku_class: str | None, location: str | None) -> None:
    for what, name in (("channel", channel), ("class", sku_class), ("location", location)):
        _all_known(what, () if name is None else (name,), loaded)


def _all_known(what: str, names: Sequence[str], loaded: Loaded) -> None:
    config = loaded.config
    known = {
        "channel": [one.name for one in config.channels],
        "class": [one.name for one in config.sku_classes],
        "location": locations_by_priority(config),
    }[what]
    for name in names:
        if name not in known:
            raise CommandFailed(f"there is no {what} {name!r} in {loaded.path}: {suggestion(name, known)}")


def _item_of(connection: Connection, sku: str) -> str:
    found = items.items_by_sku(connection, [sku])
    if sku not in found:
        raise CommandFailed(f"There is no item with the SKU {sku}; `channelsync items list` shows them all.")
    return found[sku].id
