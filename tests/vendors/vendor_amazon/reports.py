"""The Reports API 2021-06-30: tab-separated texts, made minutes later, and not made anew for hours."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from channelsync.lab.marketplace_numbers import drawn
from vendor_amazon.ask import Answer, Ask, Call, moment
from vendor_amazon.documents import DocumentShelf
from vendor_amazon.errors import ApiError, bad_input
from vendor_amazon.habits import AmazonHabits
from vendor_amazon.jobs import Job, Jobs, Outcome, job_json
from vendor_amazon.places import SellerAccount
from vendor_amazon.report_columns import ALL_LISTINGS, COLUMNS, INACTIVE, RETURNS
from vendor_amazon.report_rows import ReportRows, Row

ENCODING = "cp1252"
"""What Amazon writes reports of European and American marketplaces in."""

_KIND = "text/plain;charset=Cp1252"
_NEVER_EMPTY = frozenset({ALL_LISTINGS, INACTIVE})
_RESULT = "reportDocumentId"
_LOOKS_BACK = timedelta(days=60)


class Reports:
    """The calls that make reports. outcome: how the next reports end; None: as they deserve.

    A report without rows is CANCELLED, but for those of listings, which then hold their columns only.
    """

    def __init__(
        self,
        jobs: Jobs,
        documents: DocumentShelf,
        rows: ReportRows,
        account: SellerAccount,
        habits: AmazonHabits,
        rng: random.Random,
    ) -> None:
        self.jobs = jobs
        self.outcome: Outcome | None = None
        self._documents = documents
        self._rows = rows
        self._account = account
        self._habits = habits
        self._rng = rng
        self._made: dict[tuple[str, tuple[str, ...]], tuple[datetime, list[Row]]] = {}

    def calls(self) -> dict[str, Call]:
        """Its operations by id."""
        return {
            "createReport": self.create,
            "getReport": self.get,
            "getReports": self.list,
            "cancelReport": self.cancel,
            "getReportDocument": self.document,
        }

    def create(self, ask: Ask) -> Answer:
        """Queues a report."""
        kind, ids = str(ask.body["reportType"]), tuple(str(each) for each in ask.body["marketplaceIds"])
        if kind not in COLUMNS:
            raise bad_input(f"Invalid reportType: {kind}")
        self._account.check(ids)
        since = self._moment(ask, "dataStartTime", ask.time - _LOOKS_BACK)
        until = self._moment(ask, "dataEndTime", ask.time)
        if since > until or until > ask.time:
            raise bad_input("dataStartTime and dataEndTime must be in this order, and not in the future")
        ends = self.outcome

        def work(job: Job) -> tuple[Outcome, str]:
            return (ends, "") if ends in ("CANCELLED", "FATAL") else self._processed(job, since, until)

        job = self.jobs.start(kind, ids, drawn(self._rng, self._habits.report_delay), work)
        return Answer({"reportId": job.id}, 202)

    def _moment(self, ask: Ask, name: str, default: datetime) -> datetime:
        return moment(str(ask.body[name]), name) if name in ask.body else default

    def _processed(self, job: Job, since: datetime, until: datetime) -> tuple[Outcome, str]:
        rows = self._fresh_enough(job, since, until)
        if not rows and job.kind not in _NEVER_EMPTY:
            return "CANCELLED", ""
        columns = COLUMNS[job.kind]
        lines = [columns, *([row.get(column, "") for column in columns] for row in rows)]
        text = "".join("\t".join(_cell(cell) for cell in line) + "\r\n" for line in lines)
        content = text.encode(ENCODING, errors="replace")
        return "DONE", self._documents.add(content, _KIND, zipped=self._rng.random() < 0.5).id

    def _fresh_enough(self, job: Job, since: datetime, until: datetime) -> list[Row]:
        """The rows, or those of a report that was made not long ago; reports of a span of time are always made anew."""
        if job.kind == RETURNS:
            return self._rows.make(job.kind, job.marketplace_ids, since, until)
        name = (job.kind, tuple(sorted(job.marketplace_ids)))
        made = self._made.get(name)
        if made is None or (job.created - made[0]).total_seconds() >= self._habits.report_age:
            made = (job.created, self._rows.make(job.kind, job.marketplace_ids, since, until))
            self._made[name] = made
        return made[1]

    def get(self, ask: Ask) -> Answer:
        """How far a report is."""
        return Answer(job_json(self.jobs.get(ask.text("reportId")), "report", _RESULT))

    def list(self, ask: Ask) -> Answer:
        """Reports, the newest first."""
        found, more = self.jobs.page(ask, "reportTypes")
        told = {"reports": [job_json(job, "report", _RESULT) for job in found]}
        return Answer({**told, "nextToken": more} if more else told)

    def cancel(self, ask: Ask) -> Answer:
        """Takes a report out of the queue."""
        self.jobs.cancel(self.jobs.get(ask.text("reportId")))
        return Answer(None)

    def document(self, ask: Ask) -> Answer:
        """Where a report can be got."""
        document = self._documents.find(ask.text("reportDocumentId"))
        if document is None or document.content is None:
            raise ApiError(404, "NotFound", f"{ask.text('reportDocumentId')} is not found.")
        encoded = bool(ask.given.get("enableContentEncodingUrlHeader"))
        return Answer(self._documents.told(document, "reportDocumentId", ask.origin, ask.now, encoded=encoded))


def _cell(text: str) -> str:
    """A text without what separates cells and rows: Amazon quotes nothing."""
    return " ".join(text.split()) if any(mark in text for mark in "\t\r\n") else text
