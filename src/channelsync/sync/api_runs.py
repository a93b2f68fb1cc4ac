"""A change that a caller of the API asks for: one run, in one transaction, at most once for a key of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from channelsync.domain.errors import DomainError
from channelsync.store import api_answers, runs
from channelsync.sync.agent import Agent
from channelsync.sync.run_ids import new_run_id
from channelsync.sync.stock import By
from channelsync.sync.tokens import Caller

ANSWERS_KEPT = timedelta(hours=24)
"""How long a repeat under the same key is recognised."""


class KeyUsed(DomainError):
    """The same key came with another request; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """The caller's key of a request, and the digest of all that the request says."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What is answered: a status and a body, written already. repeated: as it was answered the first time."""

    status: int
    body: bytes
    repeated: bool = False


Work = Callable[[Connection, By], Answered]


async def run_for_caller(
    agent: Agent,
    caller: Caller,
    command: str,
    work: Work,
    *,
    arguments: Mapping[str, object] | None = None,
    keyed: Keyed | None = None,
) -> Answered:
    """Does one change as a run that names the caller, and wakes the publishers.

    The run, its effect and the answer kept under the caller's key are one transaction: what raises leaves nothing,
    not even the key. Raises KeyUsed, and whatever the work raises.
    """
    now = agent.clock.now()
    run = new_run_id(now)

    def unit(connection: Connection) -> Answered:
        if keyed is not None:
            kept = api_answers.claim_key(connection, caller.name, keyed.key, digest=keyed.digest, run=run, now=now)
            if kept is not None:
                return _again(keyed, kept)
        runs.begin_run(connection, run, command, caller.actor, arguments or {}, now)
        answered = work(connection, By(actor=caller.actor, run=run, now=now))
        runs.end_run(connection, run, "done", now)
        if keyed is not None:
            api_answers.keep_answer(connection, caller.name, keyed.key, answered.status, answered.body)
        return answered

    answered = await agent.database.transact(unit)
    if not answered.repeated:
        agent.wake_publishers()
    return answered


def _again(keyed: Keyed, kept: api_answers.KeptAnswer) -> Answered:
    if kept.digest != keyed.digest:
        raise KeyUsed(
            f"The key {keyed.key!r} was used for another request (run {kept.run}); nothing was changed. Give every "
            "request a key of its own, and repeat a request only as it was."
        )
    return Answered(kept.status, kept.body, repeated=True)


async def forget_answers(agent: Agent) -> str:
    """What the schedule does: prunes them, unless the clock is not believed. A repeat that is not recognised because a
    clock leapt a day ahead is done a second time, and cannot be taken back."""
    if not agent.clock_watch.believed(agent.clock.monotonic()):
        return "no answer taken away: the clock has leapt, or this process has just begun"
    return f"{await prune_api_answers(agent)} answers taken away"


async def prune_api_answers(agent: Agent) -> int:
    """Forgets answers that are older than a repeat is recognised; returns how many."""
    before = agent.clock.now() - ANSWERS_KEPT
    return await agent.database.transact(lambda c: api_answers.prune_answers(c, before))
