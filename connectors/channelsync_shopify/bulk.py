"""All listings by a bulk operation: Shopify runs the question by itself and leaves the answer in a file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import orjson
import structlog

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.jobs import Patience, until_over
from channelsync.sdk.wire import read_part
from channelsync_shopify import documents, wire
from channelsync_shopify.client import ShopifyClient

log = structlog.get_logger(__name__)

FILE_BYTES_MAX = 512 * 1024 * 1024
"""A larger result is left where it is: it is read whole."""

WAIT_MAX = 3600.0
"""Seconds after which a bulk operation counts as stuck."""

_PATIENCE = Patience(first=1.0, longest=30.0)
_UNDER_WAY = ("CREATED", "RUNNING")

Fetch = Callable[[str], Awaitable[bytes | None]]
"""Loads what is at an address, as it is; None where its host does not give it out."""


class BulkPull:
    """Pulls the variants of one shop in bulk."""

    def __init__(self, channel: str, client: ShopifyClient, clock: Clock, fetch: Fetch) -> None:
        self._channel = channel
        self._client = client
        self._clock = clock
        self._fetch = fetch

    async def variants(self) -> list[dict[str, Any]] | None:
        """Every variant, whole; None where Shopify did not do it (too many at once, failed, too slow, too large)."""
        # Not a write: started twice, it costs nothing but one of five places.
        data, answer = await self._client.ask(documents.BULK_START, {"query": documents.BULK_LISTINGS.text})
        name = documents.BULK_START.name
        started = read_part(wire.BulkStarted, data.get("bulkOperationRunQuery"), answer, name)
        operation = started.bulk_operation
        if operation is None or started.user_errors:
            why = "; ".join(error.code or error.message for error in started.user_errors)
            self._gave_up(why or "no operation was started")
            return None
        operation = await self._finished(operation)
        if operation.status != "COMPLETED":
            self._gave_up(f"the operation is {operation.status} {operation.error_code or ''}".strip())
            return None
        if operation.url is None:  # nothing was found
            return []
        if operation.file_size is not None and operation.file_size > FILE_BYTES_MAX:
            self._gave_up(f"the result has {operation.file_size} bytes")
            return None
        result = await self._fetch(operation.url)
        if result is None:
            self._gave_up("the result is not given out")
            return None
        return joined(result)

    async def _finished(self, operation: wire.BulkOperation) -> wire.BulkOperation:
        """The operation once it is no longer under way, or after the longest wait."""

        async def ask() -> wire.BulkOperation:
            data, answer = await self._client.ask(documents.BULK_STATE, {"id": operation.id})
            return read_part(wire.BulkOperation, data.get("bulkOperation"), answer, documents.BULK_STATE.name)

        return await until_over(
            self._clock,
            operation,
            ask,
            under_way=lambda one: one.status in _UNDER_WAY,
            patience=_PATIENCE,
            within=WAIT_MAX,
        )

    def _gave_up(self, why: str) -> None:
        log.warning("shopify.bulk_given_up", channel=self._channel, why=why)


def joined(text: bytes) -> list[dict[str, Any]]:
    """The variants of a result: one object a line; what belongs to a variant names it, or its item, as its parent."""
    variants: dict[str, dict[str, Any]] = {}
    children: list[dict[str, Any]] = []
    for row in _rows(text):
        if "__parentId" in row:
            children.append(row)
        else:
            item = row.get("inventoryItem")
            names = [row.get("id"), item.get("id") if isinstance(item, dict) else None]
            variants |= {name: row for name in names if isinstance(name, str)}
    for child in children:
        parent = variants.get(child["__parentId"])
        if parent is None:
            raise AnswerUnreadable("the bulk operation's result holds a row whose parent is missing")
        if child.get("__typename") == "InventoryLevel":
            parent["inventoryItem"].setdefault("inventoryLevels", {"nodes": []})["nodes"].append(child)
        else:
            parent.setdefault("productVariantComponents", {"nodes": []})["nodes"].append(child)
    return [row for name, row in variants.items() if name == row.get("id")]


def _rows(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            raise AnswerUnreadable("the bulk operation's result holds a line that is not JSON") from None
        if not isinstance(row, dict):
            raise AnswerUnreadable("the bulk operation's result holds a line that is no object")
        yield row
