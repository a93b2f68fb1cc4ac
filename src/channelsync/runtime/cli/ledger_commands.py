"""`channelsync verify` and `channelsync undo`: the ledger proven, and a run taken back."""

from __future__ import annotations

from typing import Annotated

import typer

from channelsync.runtime.cli.context import Invocation, awaited, invocation
from channelsync.runtime.cli.exit_codes import ExitCode
from channelsync.runtime.cli.held import end_held
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import AsJson, Ran, Reason, say_run, user_of
from channelsync.runtime.wiring import open_agent, open_reading
from channelsync.sync.approvals import undo_guarded
from channelsync.sync.listings_apply import book_waiting
from channelsync.sync.stock import By
from channelsync.sync.undo import Undone
from channelsync.sync.verify import Verification
from channelsync.sync.verify import verify as verify_all


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("verify")(verify)
    app.command("undo")(undo)


def verify(context: typer.Context, as_json: AsJson = False) -> None:
    """Prove the stock: compute every position and reservation again from the ledger, and name what differs.

    Every chain of entries is checked by its hashes; orders, provisional reservations and the order of writes are
    compared. Changes nothing, and may run beside the daemon. Ends with 1 when anything is wrong.
    """
    loaded = invocation(context).load()

    async def work() -> Verification:
        async with open_reading(loaded) as database:
            return await database.query(verify_all, snapshot=True)

    done = awaited(work())
    output = Output(as_json=as_json)
    if as_json:
        output.document({"clean": done.clean, **_counts(done), "problems": done.problems, "not_shown": done.not_shown})
    else:
        output.document(_counts(done), title="Verified")
        for one in done.problems:
            output.fail(f"{one.about} {one.subject}: {one.what}")
        if done.not_shown:
            output.fail(f"{done.not_shown} more problems are not shown.")
        output.say("Everything adds up." if done.clean else "The database does not add up.")
    if not done.clean:
        raise typer.Exit(ExitCode.FOUND_WRONG)


def _counts(done: Verification) -> dict[str, int]:
    return {
        "entries": done.entries,
        "positions": done.positions,
        "reservations": done.reservations,
        "orders": done.orders,
        "provisional_rows": done.provisional_rows,
        "writes": done.writes,
    }


def undo(
    context: typer.Context,
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="The run, as its command printed it, or `channelsync runs list` shows it."),
    ],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Take a run back: its ledger entries by counter-entries, rules, mappings, items and switches as they were.

    Orders and reads of channels that it took in stay, and so do counts that were made since; each is named. What
    channels show is computed again and never put back. Units that were sold meanwhile are taken off all the same:
    available may go below 0. A run is undone once; undoing the undoing run has it back. Numbers that a plan of the run
    holds are let go where they show again what they should.

    Ends with 8 where undoing would change too much of a channel: that waits there for `channelsync approvals`.
    """
    ran = awaited(_undo(invocation(context), run, reason))
    done, output = ran.result, Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "undone": done, "held": ran.held})
    else:
        output.say(f"Undid {done.command} ({run}): {done.entries} counter-entries, {done.changes} changes taken back.")
    for left in done.left:
        output.say(f"left: {left}.")
    for one in done.below:
        output.say(
            f"warning: {one.sku} at {one.location} has {one.on_hand} on hand and {one.available} available now: the "
            "units were sold or moved meanwhile."
        )
    if not as_json:
        say_run(output, ran.run)
    end_held(output, ran.held)


async def _undo(started: Invocation, run: str, reason: str) -> Ran[Undone]:
    actor = user_of(started)
    async with open_agent(started.load(), "undo", actor=actor, channels=()) as agent:
        by = By(actor=actor, run=agent.run, now=agent.clock.now(), reason=reason)
        done, held = await agent.database.transact(lambda c: undo_guarded(c, agent.setup, agent.measures, by, run))
        await book_waiting(agent, done.mapped, new_items=True)
        return Ran(agent.run, done, tuple(held))
