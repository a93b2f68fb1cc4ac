"""What the commands on stock and items have in common: options, one run each, and how they tell what they did."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import typer
from sqlalchemy import Connection
from typer.core import TyperCommand

from channelsync.runtime.cli.context import Invocation, awaited, invocation
from channelsync.runtime.cli.output import Output
from channelsync.runtime.wiring import open_agent
from channelsync.sync.guard import Guarded, HeldPlan, guard_run
from channelsync.sync.listings_apply import book_waiting
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By
from channelsync.sync.stock_shown import Told

T = TypeVar("T")

_BELOW_0 = re.compile(r"-[0-9]+")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Sku = Annotated[str, typer.Argument(metavar="SKU", help="The item, by its SKU or a further one.")]
Units = Annotated[int, typer.Argument(metavar="UNITS", help="Base units, a whole number.")]
Location = Annotated[
    str,
    typer.Option(
        "--location", metavar="NAME", help="A location of the configuration; may be left out where there is one."
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence; stands in the ledger.")]
Key = Annotated[
    str, typer.Option("--key", help="Your own key of this command: given again, it changes nothing and says so.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Also units that are promised to orders: available goes below 0, knowingly.")
]
At = Annotated[
    str, typer.Option("--at", metavar="TIME", help="When it happened, such as 2026-03-01T09:00:00Z; default now.")
]


class UnitsCommand(TyperCommand):
    """A command on units: -5 is a number there, which is taken or refused as one, and no option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Options that do not exist are refused all the same, unless there is such a number."""
        ctx.ignore_unknown_options = any(_BELOW_0.fullmatch(one) for one in args)
        return super().parse_args(ctx, args)


@dataclass(frozen=True, slots=True)
class Ran(Generic[T]):
    """What a command did, and the run in which it did it. held: what of it waits for approval; see `held.end_held`."""

    run: str
    result: T
    held: tuple[HeldPlan, ...] = ()


# Commands that say how many units there are; the others add and take some.
_SAYS_HOW_MANY = frozenset({"stock count"})

Work = Callable[[Connection, Setup, By], T]


def run_command(
    context: typer.Context, command: str, work: Work[T], *, reason: str = "", key: str = "", new_skus: bool = False
) -> Ran[T]:
    """Does one use case as a run of its own. new_skus: SKUs may lead to items now, so orders that waited are booked.

    The guard ends its transaction: whoever runs a command ends with `held.end_held`.
    """
    started = invocation(context)
    return awaited(_run(started, command, work, reason, key, new_skus=new_skus))


async def _run(started: Invocation, command: str, work: Work[T], reason: str, key: str, *, new_skus: bool) -> Ran[T]:
    actor = user_of(started)
    async with open_agent(started.load(), command, actor=actor, channels=()) as agent:
        by = By(actor=actor, run=agent.run, now=agent.clock.now(), reason=reason, key=key)
        done = Guarded(run=by.run, now=by.now, relative=command not in _SAYS_HOW_MANY)

        def unit(connection: Connection) -> Ran[T]:
            result = work(connection, agent.setup, by)
            return Ran(by.run, result, tuple(guard_run(connection, agent.setup, agent.measures, done)))

        ran = await agent.database.transact(unit)
        if new_skus:
            await book_waiting(agent, (), new_items=True)
        return ran


def user_of(started: Invocation) -> str:
    """Who gives commands here, as the ledger names them."""
    name = started.environ.get("USER") or started.environ.get("LOGNAME")
    return f"user:{name}" if name else "user"


def warn_oversold(output: Output, positions: Iterable[Told], held: Sequence[HeldPlan]) -> None:
    """Says where more is promised than is there."""
    for one in positions:
        if one.oversold:
            output.say(f"warning: {one.sku} at {one.location} is oversold by {one.oversold}: {lowered_to_0(held)}.")


def lowered_to_0(held: Sequence[HeldPlan]) -> str:
    """What follows for the numbers of an item of which more is promised than is there."""
    waiting = ", ".join(sorted({one.channel for one in held}))
    if waiting:
        return f"every channel is lowered to 0, except that {waiting} waits for your approval"
    return "every channel is lowered to 0"


def say_run(output: Output, run: str) -> None:
    """Says how the command can be taken back."""
    output.say(f"Run {run}; `channelsync undo {run}` takes it back.")
