"""Offering rules that were set by a command; those of the configuration file are not in here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select

from channelsync.domain.rules import (
    Buffer,
    Computed,
    CountIncoming,
    Fixed,
    LastUnits,
    Percent,
    Rule,
    RuleScope,
    RuleValues,
)
from channelsync.store.codec import dump, load
from channelsync.store.tables import metadata
from channelsync.store.upsert import upsert

_RULE = metadata.tables["rule"]


def stored_rules(connection: Connection) -> tuple[Rule, ...]:
    """All of them, by id."""
    return tuple(_rule(row) for row in connection.execute(select(_RULE).order_by(_RULE.c.id)))


def save_rule(connection: Connection, rule: Rule, run: str) -> None:
    """Adds a rule, or replaces the one of its id."""
    row = {
        "id": rule.id,
        "scope": dump(scope_values(rule.scope)),
        "says": dump(plain_values(rule.values)),
        "source": rule.source,
        "run": run,
    }
    connection.execute(
        upsert(_RULE, connection.dialect.name, keys=("id",), update=("scope", "says", "source", "run")), [row]
    )


def remove_rule(connection: Connection, rule: str) -> None:
    """Forgets a rule."""
    connection.execute(delete(_RULE).where(_RULE.c.id == rule))


def scope_values(scope: RuleScope) -> dict[str, object]:
    """A scope in plain values; parts that are not set are left out."""
    return {name: getattr(scope, name) for name in scope.named()}


def plain_values(values: RuleValues) -> dict[str, object]:
    """What a rule says, in plain values; fields it says nothing about are left out."""
    plain: dict[str, object] = {}
    for name in values.said():
        value = getattr(values, name)
        match value:
            case Fixed(units):
                plain[name] = {"fixed": units}
            case Percent(percent):
                plain[name] = {"percent": percent}
            case Computed(p, at_most):
                plain[name] = {"p": p, "at_most": at_most}
            case LastUnits(at_or_below, preferred):
                plain[name] = {"at_or_below": at_or_below, "preferred": list(preferred)}
            case CountIncoming(at_most):
                plain[name] = {"at_most": at_most}
            case tuple():
                plain[name] = list(value)
            case _:
                plain[name] = value
    return plain


def rule_values(plain: dict[str, Any]) -> RuleValues:
    """What `plain_values` wrote."""
    read: dict[str, Any] = dict(plain)
    if "buffer" in read:
        read["buffer"] = _buffer(read["buffer"])
    if "last_units" in read:
        read["last_units"] = LastUnits(read["last_units"]["at_or_below"], tuple(read["last_units"]["preferred"]))
    if "preorder_from_incoming" in read:
        read["preorder_from_incoming"] = CountIncoming(read["preorder_from_incoming"]["at_most"])
    if "locations" in read:
        read["locations"] = tuple(read["locations"])
    return RuleValues(**read)


def _buffer(plain: dict[str, Any]) -> Buffer:
    if "fixed" in plain:
        return Fixed(plain["fixed"])
    if "percent" in plain:
        return Percent(plain["percent"])
    return Computed(plain["p"], plain["at_most"])


def _rule(row: Any) -> Rule:
    return Rule(id=row.id, scope=RuleScope(**load(row.scope)), values=rule_values(load(row.says)), source=row.source)
