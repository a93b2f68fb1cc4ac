"""The Feeds API 2021-06-30, for listings: documents in, documents out, and minutes in between."""

from __future__ import annotations

import random
from collections import deque
from datetime import datetime, timedelta

from channelsync.lab.faults import FaultKind
from channelsync.lab.marketplace_numbers import drawn
from vendor_amazon.ask import Answer, Ask, Call
from vendor_amazon.documents import DocumentShelf
from vendor_amazon.errors import ApiError, bad_input, over_quota
from vendor_amazon.feed_work import LISTINGS_FEED, Fatal, FeedWork
from vendor_amazon.habits import AmazonHabits
from vendor_amazon.jobs import Job, Jobs, Outcome, job_json
from vendor_amazon.places import SellerAccount

_AT_ONCE = 5
_WINDOW = timedelta(minutes=5)
"""Five listings feeds in five minutes (Amazon, «feed size and rate limit changes», May 2025)."""

_RESULT = "resultFeedDocumentId"


class Feeds:
    """The calls that take feeds. outcome: how the next feeds end, whatever is in them; None: as they deserve.

    documents: all of the seller's, those of reports too.
    """

    def __init__(
        self,
        jobs: Jobs,
        documents: DocumentShelf,
        work: FeedWork,
        account: SellerAccount,
        habits: AmazonHabits,
        rng: random.Random,
    ) -> None:
        self.jobs = jobs
        self.outcome: Outcome | None = None
        self.documents = documents
        self._work = work
        self._account = account
        self._habits = habits
        self._rng = rng
        self._made: deque[datetime] = deque(maxlen=_AT_ONCE)

    def calls(self) -> dict[str, Call]:
        """Its operations by id."""
        return {
            "createFeedDocument": self.open_document,
            "createFeed": self.create,
            "getFeed": self.get,
            "getFeeds": self.list,
            "cancelFeed": self.cancel,
            "getFeedDocument": self.document,
        }

    def open_document(self, ask: Ask) -> Answer:
        """A place to put a document."""
        document = self.documents.open(str(ask.body["contentType"]))
        url = self.documents.sign(document, "PUT", ask.origin, ask.now)
        return Answer({"feedDocumentId": document.id, "url": url}, 201)

    def create(self, ask: Ask) -> Answer:
        """Queues a feed, whose document must have been put."""
        kind = str(ask.body["feedType"])
        if kind != LISTINGS_FEED:
            raise bad_input(f"Invalid feedType: {kind}")
        document = self.documents.find(str(ask.body["inputFeedDocumentId"]))
        if document is None or document.content is None:
            raise bad_input("Invalid inputFeedDocumentId: upload the document before the feed is created")
        self._account.check(ask.body["marketplaceIds"])
        if len(self._made) == _AT_ONCE and ask.now - self._made[0] < _WINDOW:
            raise over_quota()
        self._made.append(ask.now)
        content, ids = document.content, tuple(ask.body["marketplaceIds"])
        fault, ends = (ask.fault.kind if ask.fault is not None else None), self.outcome

        def work(job: Job) -> tuple[Outcome, str]:
            return (ends, "") if ends in ("CANCELLED", "FATAL") else self._processed(job, content, fault)

        job = self.jobs.start(kind, ids, drawn(self._rng, self._habits.feed_delay), work)
        return Answer({"feedId": job.id}, 202)

    def _processed(self, job: Job, content: bytes, fault: FaultKind | None) -> tuple[Outcome, str]:
        try:
            report = self._work.process(job.id, content, job.marketplace_ids, fault)
        except Fatal:
            return "FATAL", ""
        zipped = self._rng.random() < 0.5
        return "DONE", self.documents.add(report, "application/json; charset=UTF-8", zipped=zipped).id

    def get(self, ask: Ask) -> Answer:
        """How far a feed is."""
        return Answer(job_json(self.jobs.get(ask.text("feedId")), "feed", _RESULT))

    def list(self, ask: Ask) -> Answer:
        """Feeds, the newest first."""
        found, more = self.jobs.page(ask, "feedTypes")
        told = {"feeds": [job_json(job, "feed", _RESULT) for job in found]}
        return Answer({**told, "nextToken": more} if more else told)

    def cancel(self, ask: Ask) -> Answer:
        """Takes a feed out of the queue."""
        self.jobs.cancel(self.jobs.get(ask.text("feedId")))
        return Answer(None)

    def document(self, ask: Ask) -> Answer:
        """Where a processing report can be got."""
        document = self.documents.find(ask.text("feedDocumentId"))
        if document is None or document.content is None:
            raise ApiError(404, "NotFound", f"{ask.text('feedDocumentId')} is not found.")
        encoded = bool(ask.given.get("enableContentEncodingUrlHeader"))
        return Answer(self.documents.told(document, "feedDocumentId", ask.origin, ask.now, encoded=encoded))
