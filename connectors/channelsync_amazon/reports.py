"""Reports: Amazon makes them by itself and leaves them as a document."""

from __future__ import annotations

from typing import Final

import structlog

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, TryLater
from channelsync.sdk.jobs import Patience, until_over
from channelsync_amazon import wire_documents as documents
from channelsync_amazon.client import AmazonClient
from channelsync_amazon.files import Files
from channelsync_amazon.translate_listings import Row, rows_of

log = structlog.get_logger(__name__)

ALL_LISTINGS: Final = "GET_MERCHANT_LISTINGS_ALL_DATA"
SUPPRESSED: Final = "GET_MERCHANTS_LISTINGS_FYP_REPORT"
STRANDED: Final = "GET_STRANDED_INVENTORY_UI_DATA"

WAIT_MAX = 1800.0
"""Seconds after which a report counts as stuck."""

_PATIENCE = Patience(first=5.0, longest=60.0)
_UNDER_WAY = ("IN_QUEUE", "IN_PROGRESS")
_AGAIN = 300.0


class Reports:
    """The reports of one account."""

    def __init__(self, client: AmazonClient, files: Files, clock: Clock, channel: str) -> None:
        self._client = client
        self._files = files
        self._clock = clock
        self._channel = channel

    async def rows(self, report_type: str, marketplace: str) -> list[Row]:
        """A new report, whole; empty where Amazon cancels it, as it does where there is nothing to tell.

        One marketplace each: not every report tells of all that it is asked about.

        Raises TryLater where the report failed or takes too long.
        """
        report = await self._made(report_type, marketplace)
        if report.processing_status == "CANCELLED":
            return []
        if report.processing_status != "DONE":
            raise TryLater(
                f"{self._channel}: the report {report_type} is {report.processing_status}", retry_after=_AGAIN
            )
        if report.report_document_id is None:
            raise ChannelMisbehaved(f"{self._channel}: the report {report_type} is done and has no document")
        return rows_of(await self._files.download(await self._client.report_document(report.report_document_id)))

    async def rows_if_possible(self, report_type: str, marketplace: str) -> list[Row]:
        """A report that only adds to what is known: where it fails or is not permitted, it is left out."""
        try:
            return await self.rows(report_type, marketplace)
        except (TryLater, ChannelMisbehaved, NeedsSeller) as error:
            log.warning("amazon.report_left_out", channel=self._channel, report=report_type, why=str(error))
            return []

    async def _made(self, report_type: str, marketplace: str) -> documents.Report:
        """The report once it is no longer under way, or after the longest wait."""
        name = await self._client.create_report(report_type, marketplace)
        return await until_over(
            self._clock,
            await self._client.report(name),
            lambda: self._client.report(name),
            under_way=lambda one: one.processing_status in _UNDER_WAY,
            patience=_PATIENCE,
            within=WAIT_MAX,
        )
