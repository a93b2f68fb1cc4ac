"""Offering rules that are set by commands: changed in one transaction with the record that lets them be undone.

A running daemon reads the stored rules when it is woken, so a change holds for it within seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from channelsync.domain.ledger import entry_id
from channelsync.domain.rules import Rule, RuleScope
from channelsync.store import agenda, keys, rules, runs
from channelsync.store.runs import Change
from channelsync.sync.agent import Agent
from channelsync.sync.setup import Setup

RULE = "rule"
"""The kind of a `Change` of a stored rule. subject: its id; before, after: see `plain_rule`; None: there is none."""


_DIGITS = 8


def rule_id(scope: RuleScope, stored: Iterable[Rule]) -> str:
    """The id of the stored rule of a scope: there is one at most. stored: all that there are.

    Short, for it is typed; longer where the short one is that of another scope.
    """
    scopes = {rule.id: rule.scope for rule in stored}
    digits = entry_id(*((name, getattr(scope, name)) for name in scope.named()))
    names = (f"r-{digits[:length]}" for length in range(_DIGITS, len(digits) + 1))
    return next(name for name in names if scopes.get(name, scope) == scope)


def plain_rule(rule: Rule) -> dict[str, Any]:
    """A rule in plain values, as a change records it."""
    return {
        "scope": rules.scope_values(rule.scope),
        "says": rules.plain_values(rule.values),
        "source": rule.source,
    }


def change_rule(
    connection: Connection, setup: Setup, subject: str, plain: dict[str, Any] | None, *, run: str, now: datetime
) -> bool:
    """Stores the rule of this id, or forgets it (None), and puts the keys that it speaks of on the agenda.

    Undoing a change is the same with what was there before. Returns whether anything changed. Raises BadRule.
    """
    stored = {rule.id: rule for rule in rules.stored_rules(connection)}
    before = stored.get(subject)
    after = None
    if plain is not None:
        after = Rule(subject, RuleScope(**plain["scope"]), rules.rule_values(plain["says"]), plain["source"])
    if before == after:
        return False
    if after is None:
        rules.remove_rule(connection, subject)
    else:
        rules.save_rule(connection, after, run)
    mark_affected(connection, setup, [rule for rule in (before, after) if rule is not None], now)
    record = Change(
        run=run,
        kind=RULE,
        subject=subject,
        before=None if before is None else plain_rule(before),
        after=None if after is None else plain_rule(after),
        at=now,
    )
    runs.record_change(connection, record)
    return True


def mark_affected(connection: Connection, setup: Setup, changed: Iterable[Rule], now: datetime) -> None:
    """Puts every key whose target these rules may change on the agenda; on other channels too where they couple.

    Bundles follow their parts: what rules leave of a part to a channel bounds the bundle there.
    """

    def mark(items: Iterable[str]) -> None:
        keys.mark_due(connection, {name for item in items for name in setup.shown_by(item)}, now)

    for rule in changed:
        scope = rule.scope
        divides = rule.values.ring_fenced is not None or rule.values.last_units is not None
        couples = divides or (rule.values.locations is not None and setup.rule_book.ties_channels)
        if scope.item is not None:
            mark([scope.item])
        elif scope.sku_class is not None:
            mark(item for item, name in setup.classes.items() if name == scope.sku_class)
        elif scope.listing is not None:
            mark(agenda.items_of_listing(connection, scope.listing))
        elif scope.channel is not None and not couples:
            agenda.mark_channel_due(connection, scope.channel, now)
        else:
            agenda.mark_all_due(connection, now)


async def refresh_rules(agent: Agent) -> bool:
    """Takes over rules that a command has changed since; returns whether there were any.

    What the database raises is passed on, and the old rules hold until the next call, which finds the same change.
    """
    stored = await agent.database.query(rules.stored_rules)
    known = agent.setup.stored_rules
    if stored == known:
        return False
    agent.setup = replace(agent.setup, stored_rules=stored)
    changed = [rule for rule in (*stored, *known) if rule not in stored or rule not in known]
    now = agent.clock.now()
    try:
        await agent.database.transact(lambda c: mark_affected(c, agent.setup, changed, now))
    except BaseException:
        agent.setup = replace(agent.setup, stored_rules=known)
        raise
    return True
