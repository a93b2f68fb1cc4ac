"""Plans that wait for approval, as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from channelsync.store import plans, runs
from channelsync.store.plans import StoredPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOnView:
    """A plan as it is shown. held: numbers that it still holds. command: of the run. decided_at None: nobody has."""

    id: str
    channel: str
    kind: str
    state: str
    held: int
    run: str
    command: str
    actor: str
    reasons: list[str]
    counts: dict[str, Any]
    made_at: datetime
    decided_at: datetime | None
    decided_by: str
    decided_run: str
    note: str


def waiting_plans(connection: Connection, *, channel: str = "", everything: bool = False) -> Sequence[StoredPlan]:
    """Plans that wait for approval, the newest first; rejected ones too, as long as they hold numbers.

    everything: those that were decided as well.
    """
    found = plans.list_plans(connection, channel=channel)
    return [one for one in found if everything or one.state == "open" or (one.state == "rejected" and one.held)]


def view_plan(connection: Connection, plan: StoredPlan) -> PlanOnView:
    """A plan with the run that made it."""
    run = runs.get_run(connection, plan.run)
    return PlanOnView(
        id=plan.id,
        channel=plan.channel,
        kind=plan.kind,
        state=plan.state,
        held=plan.held,
        run=plan.run,
        command=run.command if run else "",
        actor=run.actor if run else "",
        reasons=list(plan.reasons),
        counts=plan.counts,
        made_at=plan.made_at,
        decided_at=plan.decided_at,
        decided_by=plan.decided_by,
        decided_run=plan.decided_run,
        note=plan.note,
    )
