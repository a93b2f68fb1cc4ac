"""What Amazon does with the document of a JSON_LISTINGS_FEED: message by message, with a report of them all.

A message that cannot be read is «Invalid parameters provided.», without its SKU (amzn/selling-partner-api-models
issue 4554). Messages that would create, replace or delete whole listings are refused likewise: this seller's
application has no business with them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

from channelsync.lab.faults import FaultKind
from vendor_amazon.catalogue import Catalogue
from vendor_amazon.errors import ApiError
from vendor_amazon.listings_json import item_json
from vendor_amazon.patches import ATTRIBUTE, issue
from vendor_amazon.submissions import Submissions

LISTINGS_FEED = "JSON_LISTINGS_FEED"
SIZE_MAX = 10 * 1024 * 1024
"""Bytes of a document. Amazon asks for less than 10 MiB."""

_UNREADABLE = "Invalid parameters provided."


class Fatal(Exception):
    """The document as a whole cannot be processed."""


class FeedWork:
    """Processes feeds by Amazon's own schemas of them."""

    def __init__(self, catalogue: Catalogue, submissions: Submissions, contracts: Path) -> None:
        folder = contracts / "amazon" / "schemas" / "feeds"
        self._catalogue = catalogue
        self._submissions = submissions
        whole = json.loads((folder / "listings-feed-schema-v2.json").read_text())
        del whole["properties"]["messages"]["items"]  # message by message, so that a bad one spoils itself only
        self._feed = Draft7Validator(whole)
        self._message = Draft7Validator(json.loads((folder / "listings-feed-message-schema-v2.json").read_text()))

    def process(self, feed: str, content: bytes, ids: Sequence[str], fault: FaultKind | None) -> bytes:
        """Takes what can be taken, and gives the processing report. Raises Fatal."""
        document = self._document(content)
        header, messages = document["header"], document["messages"]
        issues: list[dict[str, Any]] = []
        taken: list[str] = []
        seen: set[int] = set()
        for turn, message in enumerate(messages):
            spoilt = fault is FaultKind.PARTIAL and turn % 2 == 1
            found = self._take(message, ids, seen, spoilt=spoilt)
            issues += found
            if not found:
                taken.append(str(message["sku"]))
        bad = len(messages) - len(taken)
        report: dict[str, Any] = {
            "header": {"sellerId": header["sellerId"], "version": "2.0", "feedId": feed},
            "issues": [] if fault is FaultKind.ROWS_MISSING else issues,
            "summary": {
                "errors": len(issues),
                "warnings": 0,
                "messagesProcessed": len(messages),
                "messagesAccepted": len(taken),
                "messagesInvalid": bad,
            },
        }
        if "report" in header:
            self._add_items(report, header["report"], taken, ids)
        return orjson.dumps(report)

    def _document(self, content: bytes) -> dict[str, Any]:
        if len(content) > SIZE_MAX:
            raise Fatal("The document is too large.")
        try:
            document = orjson.loads(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        except (orjson.JSONDecodeError, OSError, EOFError):
            raise Fatal("The document is not JSON.") from None
        wrong = next(self._feed.iter_errors(document), None)
        if wrong is not None:
            raise Fatal(str(wrong.message)[:200])
        if document["header"]["sellerId"] != self._catalogue.account.seller_id:
            raise Fatal("The sellerId of the header is another seller's.")
        found: dict[str, Any] = document
        return found

    def _take(self, message: Any, ids: Sequence[str], seen: set[int], *, spoilt: bool) -> list[dict[str, Any]]:
        """The issues of one message; none where it was taken."""
        if not self._message.is_valid(message) or message["messageId"] in seen:
            known = message.get("messageId") if isinstance(message, dict) else None
            named = {"messageId": known} if isinstance(known, int) and known > 0 else {}
            return [{**named, "code": "BAD_REQUEST", "severity": "ERROR", "message": _UNREADABLE}]
        number = int(message["messageId"])
        seen.add(number)
        patches = _patches(message)
        if patches is None or not all(_complete(patch) for patch in patches):
            return [{"messageId": number, "code": "BAD_REQUEST", "severity": "ERROR", "message": _UNREADABLE}]
        sku = str(message["sku"])
        if spoilt:
            found: Sequence[dict[str, Any]] = (issue("4000001", "An internal error occurred. Try again later."),)
        else:
            try:
                found = self._submissions.submit(sku, str(message["productType"]), patches, ids).issues
            except ApiError as error:
                found = (issue("BAD_REQUEST", error.message),)
        return [_reported(number, sku, each) for each in found]

    def _add_items(self, report: dict[str, Any], wanted: dict[str, Any], taken: list[str], ids: Sequence[str]) -> None:
        items = [item for sku in dict.fromkeys(taken) if (item := self._catalogue.item(sku)) is not None]
        report["header"]["report"] = wanted
        report["items"] = [item_json(self._catalogue, item, ids, wanted["includedData"]) for item in items]
        counted = [str(each["severity"]) for item in items for each in item.issues]
        report["summary"]["itemSummary"] = {
            "items": len(items),
            "errors": counted.count("ERROR"),
            "warnings": counted.count("WARNING"),
        }


def _patches(message: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The patches of a message; None where it is of another kind."""
    match message["operationType"]:
        case "PATCH":
            found: list[dict[str, Any]] = message["patches"]
            return found
        case "PARTIAL_UPDATE":
            return [
                {"op": "replace", "path": f"/attributes/{name}", "value": value}
                for name, value in message["attributes"].items()
            ]
    return None


def _complete(patch: dict[str, Any]) -> bool:
    """A quantity without its fulfilment channel makes a message unreadable."""
    values = patch.get("value") or ()
    return not str(patch["path"]).endswith(f"/{ATTRIBUTE}") or all(
        "fulfillment_channel_code" in each for each in values
    )


def _reported(number: int, sku: str, found: dict[str, Any]) -> dict[str, Any]:
    told = {"messageId": number, "sku": sku, "code": found["code"]}
    told |= {"severity": found["severity"], "message": found["message"]}
    names = found.get("attributeNames") or ()
    return told | ({"attributeName": names[0]} if names else {})
