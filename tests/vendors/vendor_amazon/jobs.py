"""What Amazon does with feeds and reports: queued, in progress, and over in one of three ways."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from vendor_amazon.ask import Ask, from_token, token_of, told
from vendor_amazon.errors import ApiError, bad_input
from vendor_amazon.marketplace import AmazonMarketplace

JobStatus = Literal["IN_QUEUE", "IN_PROGRESS", "DONE", "CANCELLED", "FATAL"]
Outcome = Literal["DONE", "CANCELLED", "FATAL"]

_TOKENS_LIVE = timedelta(days=1)


@dataclass(slots=True)
class Job:
    """One feed or report. document: the id of what came of it; empty: nothing did."""

    id: str
    kind: str
    marketplace_ids: tuple[str, ...]
    created: datetime
    status: JobStatus = "IN_QUEUE"
    started: datetime | None = None
    ended: datetime | None = None
    document: str = ""


Finished = Callable[[Job], None]


class Jobs:
    """The feeds, or the reports, of one seller. on_end: who is told of each that is over."""

    def __init__(self, marketplace: AmazonMarketplace, first_id: int, rng: random.Random) -> None:
        self.on_end: list[Finished] = []
        self._marketplace = marketplace
        self._last = first_id
        self._rng = rng
        self._jobs: dict[str, Job] = {}

    def start(
        self, kind: str, ids: tuple[str, ...], takes: timedelta, work: Callable[[Job], tuple[Outcome, str]]
    ) -> Job:
        """Queues a job. work: what is done at its end; gives how it ends, and the id of a document or nothing."""
        now = self._marketplace.now()
        self._last += self._rng.randint(1, 99)
        job = Job(str(self._last), kind, ids, self._marketplace.time())
        self._jobs[job.id] = job
        self._marketplace.schedule(now + takes / 4, lambda at: self._begin(job, at))
        self._marketplace.schedule(now + takes, lambda at: self._end(job, at, work))
        return job

    def _begin(self, job: Job, at: datetime) -> None:
        if job.status == "IN_QUEUE":
            job.status, job.started = "IN_PROGRESS", self._told_at(at)

    def _end(self, job: Job, at: datetime, work: Callable[[Job], tuple[Outcome, str]]) -> None:
        if job.status == "IN_PROGRESS":
            job.status, job.document = work(job)
            job.ended = self._told_at(at)
            for tell in self.on_end:
                tell(job)

    def _told_at(self, at: datetime) -> datetime:
        return at + timedelta(seconds=self._marketplace.rules.skew)

    def cancel(self, job: Job) -> None:
        """Takes a job out of the queue. Raises ApiError for one that has begun."""
        if job.status != "IN_QUEUE":
            raise ApiError(400, "InvalidInput", f"{job.id} can only be cancelled while it is IN_QUEUE.")
        job.status, job.ended = "CANCELLED", self._marketplace.time()
        for tell in self.on_end:
            tell(job)

    def rename(self, name: str, new: str) -> Job:
        """Gives a job another id: that of an example of Amazon's."""
        job = self._jobs.pop(name)
        job.id = new
        self._jobs[new] = job
        return job

    def get(self, name: str) -> Job:
        """The job of this id. Raises ApiError."""
        self._marketplace.now()
        job = self._jobs.get(name)
        if job is None:
            raise ApiError(404, "NotFound", f"{name} is not found.")
        return job

    def page(self, ask: Ask, kinds: str) -> tuple[list[Job], str]:
        """A page of jobs, the newest first, and the token of the next page or nothing. kinds: the parameter's name.

        A token goes alone. Raises ApiError.
        """
        asked = dict(ask.given)
        if text := ask.text("nextToken"):
            token = from_token(text, f"nextToken of {kinds}", _TOKENS_LIVE, ask.now)
            asked, start = token["asked"], int(token["start"])
        elif not asked.get(kinds):
            raise bad_input(f"{kinds} or nextToken is required")
        else:
            start = 0
        found = [job for job in reversed(self._jobs.values()) if self._matches(job, asked, kinds)]
        size = int(asked.get("pageSize", 10))
        more = token_of(f"nextToken of {kinds}", {"at": ask.now.isoformat(), "start": start + size, "asked": asked})
        return found[start : start + size], more if found[start + size :] else ""

    def _matches(self, job: Job, asked: dict[str, Any], kinds: str) -> bool:
        ids, statuses = asked.get("marketplaceIds"), asked.get("processingStatuses")
        since, until = asked.get("createdSince"), asked.get("createdUntil")
        at = told(job.created)
        return (
            job.kind in asked[kinds]
            and (not ids or bool(set(ids) & set(job.marketplace_ids)))
            and (not statuses or job.status in statuses)
            and (not since or at >= str(since))
            and (not until or at <= str(until))
        )


def job_json(job: Job, what: Literal["feed", "report"], document: str) -> dict[str, Any]:
    """A job as its API writes it. document: the name under which that of the result is told."""
    written: dict[str, Any] = {
        f"{what}Id": job.id,
        f"{what}Type": job.kind,
        "marketplaceIds": list(job.marketplace_ids),
        "createdTime": told(job.created),
        "processingStatus": job.status,
    }
    if job.started is not None:
        written["processingStartTime"] = told(job.started)
    if job.ended is not None:
        written["processingEndTime"] = told(job.ended)
    return written | ({document: job.document} if job.document else {})
