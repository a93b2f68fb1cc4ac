"""`channelsync approvals list|show|approve|reject`: what a run would change too much of waits here."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.context import Invocation, awaited, invocation
from channelsync.runtime.cli.held import end_held
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import AsJson, Ran, Reason, say_run, user_of
from channelsync.runtime.wiring import open_agent, open_reading, setup_of
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import installed
from channelsync.sync import approvals
from channelsync.sync.approvals import Decided, PlannedKey
from channelsync.sync.approvals_shown import PlanOnView, view_plan, waiting_plans
from channelsync.sync.listings_apply import book_waiting
from channelsync.sync.measures import measure
from channelsync.sync.stock import By

PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="As `channelsync approvals list` shows it.")]

_SHOWN = 50
"""Numbers of a plan that a table shows; JSON has all of them."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="See, approve and reject what waits because one run would change too much of a channel.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("list")(list_plans)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("reject")(reject)
    app.add_typer(group, name="approvals")


def list_plans(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that were decided too.")] = False,
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Only of this channel.")] = "",
    as_json: AsJson = False,
) -> None:
    """Plans that wait for approval, the newest first. Rejected ones are among them as long as they hold numbers."""
    loaded = invocation(context).load()

    def unit(connection: Connection) -> list[PlanOnView]:
        waiting = waiting_plans(connection, channel=channel, everything=everything)
        return [view_plan(connection, one) for one in waiting]

    async def work() -> list[PlanOnView]:
        async with open_reading(loaded) as database:
            return await database.query(unit)

    columns = ("id", "channel", "state", "held", "run", "command", "made_at", "reasons")
    Output(as_json=as_json).rows(awaited(work()), columns, title="Approvals")


def show(context: typer.Context, plan: PlanId, as_json: AsJson = False) -> None:
    """One plan: why it waits, and every number that it would change, those that change most first.

    before: without the run; planned: as the run would have it; shows: what may be shown until somebody decides, which
    falls with every order; now: what it would be today.
    """
    loaded = invocation(context).load()
    now = SystemClock().now()

    def unit(connection: Connection) -> tuple[PlanOnView, list[PlannedKey]]:
        found = view_plan(connection, approvals.the_plan(connection, plan))
        setup = setup_of(connection, loaded, installed())
        return found, approvals.planned_keys(connection, setup, measure(connection, setup, now), plan)

    async def work() -> tuple[PlanOnView, list[PlannedKey]]:
        async with open_reading(loaded) as database:
            return await database.query(unit)

    found, rows = awaited(work())
    output = Output(as_json=as_json)
    if as_json:
        output.document({"plan": found, "numbers": rows})
        return
    output.document(_without_unknown(found), title=f"Plan {plan}")
    columns = ("sku", "listing", "before", "planned", "shows", "now", "state", "why")
    if found.kind == "quantities":
        output.rows(rows[:_SHOWN], columns, title="Numbers")
    if len(rows) > _SHOWN:
        output.say(f"{len(rows) - _SHOWN} more numbers are not shown; --json has all of them.")
    if found.state in {"open", "rejected"}:
        output.say(f"`channelsync approvals approve {plan}` lets it go out.")
        if found.kind == "quantities":
            output.say(f"`channelsync approvals reject {plan} --undo` takes run {found.run} back.")


def _without_unknown(plan: PlanOnView) -> PlanOnView:
    """Where no number of the channel was known when the plan was made, it says so instead of 0."""
    if plan.counts.get("units") and plan.counts.get("of_units") == 0:
        return replace(plan, counts={**plan.counts, "of_units": "none known"})
    return plan


def approve(context: typer.Context, plan: PlanId, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let a plan go out: exactly its numbers, less what orders have taken since.

    A number that would be another one than planned by more than orders explain (units came in, rules changed) does not
    go out with it: it is named, and judged again as a plan of its own. A rejected plan can still be approved.

    Ends with 8 where what was overtaken is too much by itself and waits anew.
    """
    ran = awaited(_approve(invocation(context), plan, reason))
    done, output = ran.result, Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "decided": done})
    else:
        went = f"{done.gone} listings are taken as gone" if done.gone else f"{done.released} numbers go out as planned"
        output.say(f"Plan {plan} is approved: {went}.")
    for one in done.overtaken:
        output.say(f"overtaken: {one.sku} ({done.channel} listing {one.listing}): {one.why}.")
    end_held(output, ran.held)


async def _approve(started: Invocation, plan: str, reason: str) -> Ran[Decided]:
    actor = user_of(started)
    async with open_agent(started.load(), "approvals approve", actor=actor, channels=()) as agent:
        by = By(actor=actor, run=agent.run, now=agent.clock.now(), reason=reason)
        done = await agent.database.transact(lambda c: approvals.approve(c, agent.setup, agent.measures, by, plan))
        return Ran(agent.run, done, tuple(done.again))


def reject(
    context: typer.Context,
    plan: PlanId,
    undoing: Annotated[bool, typer.Option("--undo", help="Undo the run that made it, at once.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Do not let a plan go out. Its numbers stay as they are and fall with orders; nobody is asked about it any more.

    The ledger and the other channels have what the run did until it is undone: --undo does that now, `channelsync undo
    RUN` later; or put right what was wrong, by another import or another rule.
    """
    ran = awaited(_reject(invocation(context), plan, reason, undoing=undoing))
    done, output = ran.result, Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "decided": done})
    elif done.undone is not None:
        entries, changes = done.undone.entries, done.undone.changes
        output.say(f"Plan {plan} is rejected, and run {done.run} undone: {entries} counter-entries, {changes} changes.")
        say_run(output, ran.run)
    else:
        output.say(f"Plan {plan} is rejected: its numbers stay. `channelsync undo {done.run}` takes its run back.")
    for left in done.undone.left if done.undone is not None else ():
        output.say(f"left: {left}.")
    end_held(output, ran.held)


async def _reject(started: Invocation, plan: str, reason: str, *, undoing: bool) -> Ran[Decided]:
    actor = user_of(started)
    async with open_agent(started.load(), "approvals reject", actor=actor, channels=()) as agent:
        by = By(actor=actor, run=agent.run, now=agent.clock.now(), reason=reason)
        done = await agent.database.transact(
            lambda c: approvals.reject(c, agent.setup, agent.measures, by, plan, undoing=undoing)
        )
        if done.undone is not None:
            await book_waiting(agent, done.undone.mapped, new_items=True)
        return Ran(agent.run, done, tuple(done.again))
