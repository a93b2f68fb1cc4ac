"""`channelsync reconcile`: a full comparison now, as a plan that is printed and then carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Annotated

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.channels_commands import Only, known_channels
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import open_agent, open_run, open_trial, setup_of, worker_name
from channelsync.sdk.discovery import installed
from channelsync.store import items
from channelsync.store.database_errors import PublisherRunning
from channelsync.sync.agent import Agent
from channelsync.sync.leasing import Leases
from channelsync.sync.measures import measure
from channelsync.sync.questions import Answer, Answered, answer_questions
from channelsync.sync.reconcile import (
    LEFT,
    Chosen,
    Looked,
    Planned,
    ask_publisher,
    chosen_ids,
    look,
    plan,
    planned_now,
    publish_until_settled,
    wait_for_publisher,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_COLUMNS = ("channel", "listing", "sku", "shown", "should", "action", "state", "why")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("reconcile")(reconcile)


@dataclass(slots=True, kw_only=True)
class Reconciled:
    """What a comparison found and did. result: how the numbers stand afterwards; the plan itself in a dry run.

    by: who publishes: "this process", or "the daemon" that runs beside it. left: of the numbers, those that are not
    right and should be. failures: channels that could not be asked, and why.
    """

    by: str
    compared: int = 0
    orders: int = 0
    answered: list[Answered] = field(default_factory=list)
    plan: list[Planned] = field(default_factory=list)
    result: list[Planned] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Numbers that are not right and should be."""
        return sum(row.state in LEFT for row in self.result)


def reconcile(
    context: typer.Context,
    skus: Annotated[list[str] | None, typer.Argument(metavar="SKU", help="Only these; default all.")] = None,
    channel: Only = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan; write nothing anywhere.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Answer open questions: write our numbers.")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Answer open questions: adjust on hand, for the channel was right.")
    ] = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait for the channels to show it.")
    ] = 180,
    as_json: AsJson = False,
) -> None:
    """Compare what the channels show with what they should show, print the plan, and carry it out.

    Listings and numbers are read and orders taken in; the plan says for every number what is shown, what should be
    and why. Then lowerings and raises go out until every number was seen to be right, or --wait has passed. Numbers
    that a rule or a switch keeps from being written, and channels that are only observed, are shown and left alone.

    While a daemon runs on the same database, it is asked to do so, and this command waits and prints.

    --dry-run does it on a copy of the database that is thrown away: channels are read, orders fetched and understood,
    and neither the database nor any channel is changed.

    Ends with 0 when everything is right, 1 when something is left (in a dry run: when there is something to do), 5
    when a channel could not be asked.
    """
    if repair and adopt:
        raise CommandFailed("--repair and --adopt contradict one another; give one of them.", ExitCode.USAGE)
    loaded = invocation(context).load()
    channels = known_channels(loaded, channel)
    answer: Answer | None = "repair" if repair else "adopt" if adopt else None
    asked = _Asked(loaded=loaded, channels=channels, skus=skus or (), answer=answer, within=timedelta(seconds=wait))
    done = awaited(asked.dry_run() if dry_run else asked.run())
    _print(done, Output(as_json=as_json), everything=bool(skus), dry_run=dry_run)
    if done.failures:
        raise typer.Exit(ExitCode.UNREACHABLE)
    if done.left:
        raise typer.Exit(ExitCode.FOUND_WRONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What was asked for, and how it is done."""

    loaded: Loaded
    channels: Sequence[str]
    skus: Sequence[str]
    answer: Answer | None
    within: timedelta

    async def run(self) -> Reconciled:
        """By this process if it gets the right to publish, else by the daemon that has it."""
        try:
            async with open_agent(self.loaded, "reconcile", publisher=True) as agent:
                leases = Leases(agent, worker_name(agent.run), self.loaded.config.limits.lease)
                async with leases.kept():
                    done = await self._here(agent, leases)
        except PublisherRunning:
            done = None
        return done if done is not None else await self._beside()

    async def _here(self, agent: Agent, leases: Leases) -> Reconciled | None:
        """None: another process publishes to one of the accounts."""
        chosen = await agent.database.query(self._chosen)
        for channel in agent.channels.values():
            if channel.name in self.channels and channel.identity and not await leases.take(channel.identity):
                return None
        looked = await look(agent, chosen)
        for name in self.channels:
            if name in agent.channels and name not in looked.failures:
                await leases.take(agent.channels[name].identity)
        done = Reconciled(by="this process", failures=looked.failures)
        ids = await agent.database.query(lambda c: chosen_ids(c, chosen))
        done.answered = await self._answered(agent, ids)
        done.plan = await planned_now(agent, ids)
        done.result = await publish_until_settled(agent, leases, ids, looked, self.within)
        return _counted(done, looked)

    async def dry_run(self) -> Reconciled:
        """The plan, made on a copy of the database."""
        async with open_trial(self.loaded) as agent:
            chosen = await agent.database.query(self._chosen)
            looked = await look(agent, chosen)
            done = Reconciled(by="nobody", failures=looked.failures)
            ids = await agent.database.query(lambda c: chosen_ids(c, chosen))
            done.answered = await self._answered(agent, ids)
            done.plan = done.result = await planned_now(agent, ids)
            return _counted(done, looked)

    async def _answered(self, agent: Agent, ids: Sequence[int]) -> list[Answered]:
        if self.answer is None:
            return []
        answer, now = self.answer, agent.clock.now()
        return await agent.database.transact(
            lambda c: answer_questions(c, agent.setup, ids, answer, run=agent.run, actor="user", now=now)
        )

    async def _beside(self) -> Reconciled:
        """Puts the keys on the agenda of the process that publishes, and waits."""
        async with open_run(self.loaded, "reconcile") as run:
            database, now = run.database, run.clock.now()
            setup = await database.query(lambda c: setup_of(c, self.loaded, installed()))
            measures = await database.query(lambda c: measure(c, setup, now))
            chosen = await database.query(self._chosen)
            ids = await database.query(lambda c: chosen_ids(c, chosen))
            done = Reconciled(by="the daemon")
            if self.answer is not None:
                answer = self.answer
                done.answered = await database.transact(
                    lambda c: answer_questions(c, setup, ids, answer, run=run.run, actor="user", now=now)
                )
            await database.transact(lambda c: ask_publisher(c, ids, now))
            await run.wake_others()
            done.plan = await database.query(lambda c: plan(c, setup, measures, ids, now))
            done.result = await wait_for_publisher(database, run.clock, setup, measures, ids, self.within)
            return _counted(done, Looked())

    def _chosen(self, connection: Connection) -> Chosen:
        if not self.skus:
            return Chosen(tuple(self.channels))
        known = items.items_by_sku(connection, self.skus)
        unknown = [sku for sku in self.skus if sku not in known]
        if unknown:
            raise CommandFailed(f"There is no item with the SKU {unknown[0]}; `channelsync items list` shows them all.")
        return Chosen(tuple(self.channels), frozenset(item.id for item in known.values()))


def _counted(done: Reconciled, looked: Looked) -> Reconciled:
    return replace(done, compared=len(done.result), orders=looked.orders)


def _print(done: Reconciled, output: Output, *, everything: bool, dry_run: bool) -> None:
    if output.as_json:
        said = {"by": done.by, "dry_run": dry_run, "compared": done.compared, "orders": done.orders, "left": done.left}
        rows = {"answered": done.answered, "plan": done.plan, "result": [] if dry_run else done.result}
        output.document({**said, **rows, "failures": done.failures})
        return
    if done.answered:
        output.rows(done.answered, ("channel", "listing", "question", "units", "refused"), title="Questions answered")
    changing = {row.key for row in done.plan if everything or row.state != "right"}
    output.rows([row for row in done.plan if row.key in changing], _COLUMNS, title="Plan")
    if not dry_run and changing:
        result = [row for row in done.result if row.key in changing]
        output.rows(result, ("channel", "listing", "sku", "shown", "should", "state"), title="Result")
    for name, reason in done.failures.items():
        output.fail(f"{name} could not be asked, its numbers are those of before: {reason}")
    put_right = sum(row.state == "right" for row in done.result) - sum(row.state == "right" for row in done.plan)
    output.say(
        f"{done.compared} numbers compared, {done.orders} orders taken in. "
        + (f"{done.left} to put right." if dry_run else f"{put_right} put right by {done.by}, {done.left} left.")
    )
