"""A change of rules as a run of its own, or only looked at: what would be shown then, and nothing is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, NoReturn

from sqlalchemy import Connection

from channelsync.domain.rules import Rule
from channelsync.runtime.cli.held import end_held
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import Ran, say_run
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import open_reading, open_run, setup_of
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import installed
from channelsync.store import rules, runs
from channelsync.sync.guard import guard_rules, with_stored_rules
from channelsync.sync.rule_effect import NumberMoved, numbers_moved
from channelsync.sync.rule_words import typed_values
from channelsync.sync.run_ids import new_run_id
from channelsync.sync.setup import Setup

_SWITCHES = ("may_lower", "may_raise", "do_not_touch")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChanged:
    """What becomes of a rule. before, after: None where there is none. warnings: conflicts that it is part of then,
    and that it reaches no listing.

    emptied: it goes because nothing is left that it says.
    """

    id: str
    before: Rule | None
    after: Rule | None
    warnings: tuple[str, ...] = ()
    emptied: bool = False


class Done(NamedTuple):
    """A change of rules. moved: the numbers that would be others, where it was only looked at; None: it was made."""

    ran: Ran[RuleChanged]
    moved: tuple[NumberMoved, ...] | None = None


Change = Callable[[Connection, Setup, str, datetime], RuleChanged]
"""Changes a rule in the caller's transaction: given the set-up before, the run and the time."""


class _OnlyLooked(Exception):
    """What a dry run would have done; raised so that nothing of it is kept."""

    def __init__(self, done: Done) -> None:
        self.done = done
        super().__init__()


async def change_rules(
    loaded: Loaded, command: str, arguments: Mapping[str, object], change: Change, *, dry_run: bool
) -> Done:
    """Makes the change as a run, judged by the guard. dry_run: in a transaction that is taken back, so nothing is kept.

    Raises what the change raises, and DatabaseError.
    """
    if dry_run:
        return await _look(loaded, command, arguments, change)
    async with open_run(loaded, command, arguments=arguments) as run:
        now = run.clock.now()
        return Done(await run.database.transact(lambda c: _changed(c, loaded, change, run.run, now)[0]))


async def _look(loaded: Loaded, command: str, arguments: Mapping[str, object], change: Change) -> Done:
    now = SystemClock().now()
    run = new_run_id(now)

    def unit(connection: Connection) -> NoReturn:
        runs.begin_run(connection, run, command, "user", arguments, now)
        ran, before = _changed(connection, loaded, change, run, now)
        moved = numbers_moved(connection, before, with_stored_rules(connection, before), now)
        raise _OnlyLooked(Done(ran, tuple(moved)))

    async with open_reading(loaded) as database:
        try:
            await database.transact(unit)
        except _OnlyLooked as looked:
            return looked.done
    raise AssertionError("a dry run ends with what it found")


def _changed(
    connection: Connection, loaded: Loaded, change: Change, run: str, now: datetime
) -> tuple[Ran[RuleChanged], Setup]:
    """The change, and the set-up before it."""
    before = setup_of(connection, loaded, installed())
    done = change(connection, before, run, now)
    return Ran(run, done, tuple(guard_rules(connection, before, run=run, now=now))), before


def tell_rules(output: Output, done: Done) -> None:
    """Says what became of a rule, or would; the command ends with `end_held`."""
    told, dry_run = done.ran.result, done.moved is not None
    if output.as_json:
        output.document(
            {
                "run": None if dry_run else done.ran.run,
                "rule": told.id,
                "says": None if told.after is None else rules.plain_values(told.after.values),
                "warnings": told.warnings,
                "dry_run": dry_run,
                "moved": done.moved,
                "held": done.ran.held,
            }
        )
    else:
        _say(output, told, dry_run=dry_run)
        if done.moved is not None:
            _say_moved(output, told, done.moved)
        else:
            say_run(output, done.ran.run)
    for warning in told.warnings:
        output.say(f"warning: {warning}")
    end_held(output, done.ran.held, dry_run=dry_run)


def _say(output: Output, told: RuleChanged, *, dry_run: bool) -> None:
    if told.after is None:
        rule = "The rule says nothing any more and" if told.emptied else f"Rule {told.id}"
        output.say(f"{rule} {'would be' if dry_run else 'was'} removed.")
        return
    said = ", ".join(typed_values(told.after.values))
    if dry_run:
        output.say(f"Rule {told.id} would say: {said}.")
    else:
        output.say(f"Rule {told.id}: {said}. Take it away with `channelsync rules remove {told.id}`.")


def _say_moved(output: Output, told: RuleChanged, moved: tuple[NumberMoved, ...]) -> None:
    output.rows(moved, ("channel", "listing", "sku", "now", "then"), title="What would be shown")
    lower = sum(one.then < one.now for one in moved)
    output.say(f"{lower} numbers would be lowered, {len(moved) - lower} raised. Nothing was changed.")
    named = {name for rule in (told.before, told.after) if rule is not None for name in rule.values.said()}
    if switches := [name for name in _SWITCHES if name in named]:
        output.say(f"{', '.join(switches)}: says which numbers may be written, and makes none another one.")
