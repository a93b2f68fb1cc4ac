"""Answers of a real shop, read from the folder beside the contracts: what the test server is held against."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from channelsync.lab.marketplace_http import Request


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request with its answer. name: of the file, e.g. "012_product_create_simple0"."""

    name: str
    method: str
    path: str
    raw_query: bytes
    sent: bytes
    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def at(self) -> datetime:
        """When it was done, by the shop's clock; whole seconds: as a write's answer tells, else as its header does."""
        told = self.body.get("date_modified_gmt") if isinstance(self.body, dict) and self.method != "GET" else None
        if told is not None and self.method != "DELETE":
            return datetime.fromisoformat(told).replace(tzinfo=UTC)
        return parsedate_to_datetime(self.headers["date"])

    def request(self, key: str, secret: str) -> Request:
        """The same request, with another key."""
        token = base64.b64encode(f"{key}:{secret}".encode()).decode()
        headers = {"authorization": f"Basic {token}", "content-type": "application/json"}
        return Request(self.method, self.path, {}, headers, self.sent, self.raw_query)


def recordings(folder: Path) -> list[Recorded]:
    """The numbered ones, in the order in which they were made."""
    found = []
    for file in sorted(folder.glob("[0-9]*.json")):
        told = json.loads(file.read_text())
        request, answer = told.get("request", {}), told.get("response")
        if answer is None:
            continue
        url = urlsplit(request["url"])
        sent = b"" if request["body"] is None else json.dumps(request["body"]).encode()
        found.append(
            Recorded(
                name=file.stem,
                method=request["method"],
                path=url.path,
                raw_query=url.query.encode(),
                sent=sent,
                status=answer["status"],
                headers=dict(answer["headers"]),
                body=answer["body"],
            )
        )
    return found


def differences(ours: Any, theirs: Any, ignored: frozenset[str], where: str = "") -> list[str]:
    """Where two answers differ: keys, types and values.

    ignored: names whose values, but not types, may differ: "related_ids", or "meta_data.id" for an id right there.
    """
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if set(ours) != set(theirs):
            return [f"{where}: {sorted(set(ours) ^ set(theirs))} is in one of them only"]
        return [each for name in theirs for each in differences(ours[name], theirs[name], ignored, f"{where}.{name}")]
    if type(ours) is type(theirs) and re.sub(r"\[\d+\]", "", f".{where}").endswith(
        tuple(f".{name}" for name in ignored)
    ):
        return []
    if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [each for turn, (one, two) in pairs for each in differences(one, two, ignored, f"{where}[{turn}]")]
    return [] if type(ours) is type(theirs) and ours == theirs else [f"{where}: {ours!r} instead of {theirs!r}"]


def shape(value: Any) -> Any:
    """Keys and types of an answer: of a list, the shapes that its members have."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
