"""/approvals: what waits because one run would change too much of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from channelsync.store import plans
from channelsync.store.plans import StoredPlan
from channelsync.sync import approvals
from channelsync.sync.api_runs import Answered
from channelsync.sync.approvals import Decided, PlannedKey
from channelsync.sync.approvals_shown import PlanOnView, view_plan, waiting_plans
from channelsync.sync.listings_apply import book_waiting
from channelsync.sync.stock import By
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.named import known_channels
from channelsync.web.api.paging import Page, key_after, page_of
from channelsync.web.api.problems import not_found
from channelsync.web.api.values import Flag, Listed, Said, Sentence, Text

TOPIC = "Approvals"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWhole:
    """A plan, and every number that it would change, those that change most first."""

    plan: PlanOnView
    numbers: list[PlannedKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedOnView:
    """What a decision did, in which run. `again` names plans that hold what was overtaken and is too much by itself."""

    run: str
    decided: Decided


class ApprovalsSaid(Listed):
    """Which plans. everything: those that were decided too."""

    channel: Text | None = None
    everything: Flag = False


class ApproveSaid(Said):
    """Why, for the record."""

    reason: Sentence = ""


class RejectSaid(Said):
    """Why, for the record. undo: the run that made the plan is undone at once."""

    reason: Sentence = ""
    undo: bool = False


async def list_approvals(call: Call, said: ApprovalsSaid) -> Answer:
    """Plans that wait for approval, the newest first.

    Rejected ones are among them as long as they hold numbers.
    """
    (channel,) = known_channels(call.agent.setup, [said.channel]) if said.channel else ("",)
    after = key_after(call.endpoint.path, said, datetime, str)

    def work(connection: Connection) -> list[PlanOnView]:
        found = waiting_plans(connection, channel=channel, everything=said.everything)
        behind = [one for one in found if after is None or (one.made_at, one.id) < after]
        return [view_plan(connection, one) for one in behind[: said.limit + 1]]

    found = await call.look(work)
    return Answer(page_of(call.endpoint.path, said, found, lambda one: (one.made_at, one.id), lambda one: one))


async def show_approval(call: Call, _said: object) -> Answer:
    """One plan: why it waits, and every number that it would change.

    before: without the run; planned: as the run would have it; shows: what may be shown until somebody decides, which
    falls with every order; now: what it would be today.
    """
    name, agent = call.names["plan"], call.agent

    def work(connection: Connection) -> PlanWhole:
        plan = view_plan(connection, _plan(connection, name))
        return PlanWhole(plan=plan, numbers=approvals.planned_keys(connection, agent.setup, agent.measures, name))

    return Answer(await call.look(work))


async def approve(call: Call, said: ApproveSaid) -> Answered:
    """Let a plan go out: exactly its numbers, less what orders have taken since.

    A number that would be another one than planned by more than orders explain does not go out with it: it is named
    in `overtaken`, and judged again as a plan of its own (`again`). A rejected plan can still be approved.
    """
    name, agent = call.names["plan"], call.agent

    def work(connection: Connection, by: By) -> Answer:
        _plan(connection, name)
        done = approvals.approve(connection, agent.setup, agent.measures, by, name)
        return Answer(DecidedOnView(run=by.run, decided=done))

    return await call.change("approvals approve", work, reason=said.reason)


async def reject(call: Call, said: RejectSaid) -> Answered:
    """Do not let a plan go out.

    Its numbers stay as they are and fall with orders; nobody is asked about it any more. The ledger and the other
    channels have what the run did until it is undone: `undo` does that now, `POST /runs/{run}/undo` later.
    """
    name, agent = call.names["plan"], call.agent
    mapped: set[str] = set()

    def work(connection: Connection, by: By) -> Answer:
        _plan(connection, name)
        done = approvals.reject(connection, agent.setup, agent.measures, by, name, undoing=said.undo)
        mapped.update(done.undone.mapped if done.undone else ())
        return Answer(DecidedOnView(run=by.run, decided=done))

    answered = await call.change("approvals reject", work, reason=said.reason)
    if said.undo and not answered.repeated:
        await book_waiting(agent, mapped, new_items=True)
    return answered


def _plan(connection: Connection, name: str) -> StoredPlan:
    found = plans.get_plan(connection, name)
    if found is None:
        raise not_found(f"There is no plan {name!r}.")
    return found


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/approvals",
        scope="read",
        topic=TOPIC,
        run=list_approvals,
        said=ApprovalsSaid,
        gives=Page[PlanOnView],
        misses=True,
    ),
    Endpoint(
        method="GET",
        path="/approvals/{plan}",
        scope="read",
        topic=TOPIC,
        run=show_approval,
        gives=PlanWhole,
        misses=True,
    ),
    Endpoint(
        method="POST",
        path="/approvals/{plan}/approve",
        scope="admin",
        topic=TOPIC,
        run=approve,
        said=ApproveSaid,
        gives=DecidedOnView,
        misses=True,
        refuses=True,
        example={"reason": "the delivery is right"},
    ),
    Endpoint(
        method="POST",
        path="/approvals/{plan}/reject",
        scope="admin",
        topic=TOPIC,
        run=reject,
        said=RejectSaid,
        gives=DecidedOnView,
        misses=True,
        refuses=True,
        example={"undo": True},
    ),
)
