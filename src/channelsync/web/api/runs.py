"""/runs: what was done, by whom, and taking it back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from channelsync.store import runs, undoing
from channelsync.store.runs import Run
from channelsync.sync.api_runs import Answered
from channelsync.sync.approvals import undo_guarded
from channelsync.sync.guard import HeldPlan
from channelsync.sync.listings_apply import book_waiting
from channelsync.sync.stock import By
from channelsync.sync.undo import Undone
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.paging import Page, key_after, page_of
from channelsync.web.api.problems import not_found
from channelsync.web.api.values import Listed, Said, Sentence

TOPIC = "Runs"

CHANGES_SHOWN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOnView:
    """A change to a mapping, rule, item or switch. before, after: null where it was not there."""

    kind: str
    subject: str
    before: Any
    after: Any
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOnView(Run):
    """A run with what it did. entries: in the ledger. changes: the first of them; change_count: all."""

    entries: int
    change_count: int
    changes: list[ChangeOnView]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneOnView:
    """What undoing did. run: the undoing run, which can be undone itself. held: what of it waits for approval."""

    run: str
    undone: Undone
    held: list[HeldPlan]


class UndoSaid(Said):
    """Why; stands in the ledger."""

    reason: Sentence = ""


async def list_runs(call: Call, said: Listed) -> Answer:
    """Runs, the latest first.

    A run is one command, import, rule change, daemon session or change through this API. `actor` says who did it:
    token:NAME for a token.
    """
    after = key_after(call.endpoint.path, said, datetime, str)
    found = await call.look(
        lambda c: runs.list_runs(c, said.limit + 1, after=after)  # type: ignore[arg-type]  # as it was asked for
    )
    return Answer(page_of(call.endpoint.path, said, found, lambda one: (one.started_at, one.id), lambda one: one))


async def show_run(call: Call, _said: object) -> Answer:
    """One run with what it did."""
    run = call.names["run"]

    def work(connection: Connection) -> RunOnView:
        changes = runs.changes_of(connection, run, CHANGES_SHOWN)
        return RunOnView(
            **asdict(_run(connection, run)),
            entries=undoing.count_entries(connection, run),
            change_count=sum(one.changes for one in undoing.count_changes(connection, [run])),
            changes=[
                ChangeOnView(kind=one.kind, subject=one.subject, before=one.before, after=one.after, at=one.at)
                for one in changes
            ],
        )

    return Answer(await call.look(work))


async def undo_run(call: Call, said: UndoSaid) -> Answered:
    """Take a run back.

    Its ledger entries by counter-entries; rules, mappings, items and switches as they were. Orders and reads of
    channels that it took in stay, and so do counts that were made since; each is named in `left`. Units that were
    sold meanwhile are taken off all the same: available may go below 0, and `below` says where. A run is undone once;
    undoing the undoing run has it back.
    """
    run = call.names["run"]
    mapped: set[str] = set()

    def work(connection: Connection, by: By) -> Answer:
        _run(connection, run)
        done, held = undo_guarded(connection, call.agent.setup, call.agent.measures, by, run)
        mapped.update(done.mapped)
        return Answer(UndoneOnView(run=by.run, undone=done, held=held))

    answered = await call.change("undo", work, reason=said.reason)
    await book_waiting(call.agent, mapped, new_items=True)
    return answered


def _run(connection: Connection, run: str) -> Run:
    found = runs.get_run(connection, run)
    if found is None:
        raise not_found(f"There is no run {run!r}.")
    return found


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/runs",
        scope="read",
        topic=TOPIC,
        run=list_runs,
        said=Listed,
        gives=Page[Run],
    ),
    Endpoint(
        method="GET",
        path="/runs/{run}",
        scope="read",
        topic=TOPIC,
        run=show_run,
        gives=RunOnView,
        misses=True,
    ),
    Endpoint(
        method="POST",
        path="/runs/{run}/undo",
        scope="admin",
        topic=TOPIC,
        run=undo_run,
        said=UndoSaid,
        gives=UndoneOnView,
        misses=True,
        refuses=True,
        example={"reason": "the wrong delivery note"},
    ),
)
