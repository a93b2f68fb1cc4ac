"""Amazon's JSON of feeds and reports, as it names things.

Sources: the models feeds_2021-06-30 and reports_2021-06-30, and the schema of JSON_LISTINGS_FEED's processing report
(v2).
"""

from __future__ import annotations

from typing import Literal

from channelsync.sdk.wire import CamelWire, Name, Units

ProcessingStatus = Literal["CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"]


class UploadTo(CamelWire):
    """Where a feed's document goes."""

    feed_document_id: Name
    url: Name


class FeedCreated(CamelWire):
    """The id of a new feed."""

    feed_id: Name


class Feed(CamelWire):
    """How far a feed is."""

    feed_id: Name
    processing_status: ProcessingStatus
    result_feed_document_id: str | None = None


class ReportCreated(CamelWire):
    """The id of a report that was asked for."""

    report_id: Name


class Report(CamelWire):
    """How far a report is."""

    report_id: Name
    processing_status: ProcessingStatus
    report_document_id: str | None = None


class Document(CamelWire):
    """Where a document can be loaded from, for five minutes."""

    url: Name
    compression_algorithm: Literal["GZIP"] | None = None


class RowIssue(CamelWire):
    """What is wrong with a message of a feed. message_id: None: with the feed itself."""

    message_id: Units | None = None
    code: str = ""
    severity: str
    message: str


class FeedSummary(CamelWire):
    """How many messages of a feed were taken."""

    messages_processed: Units = 0
    messages_accepted: Units = 0
    messages_invalid: Units = 0


class ProcessingReport(CamelWire):
    """What became of a feed's messages."""

    issues: tuple[RowIssue, ...]
    summary: FeedSummary
