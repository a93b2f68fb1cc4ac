"""A place over HTTP: an address for each section. Answers come whole; what has not changed is not sent again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

from pydantic import SecretStr

from channelsync.sdk.answers import Answer, parse_http_date
from channelsync.sdk.calls import Call
from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.http import HttpTransport
from channelsync.sdk.times import utc_text
from channelsync_files.access import authorization
from channelsync_files.sections import Section
from channelsync_files.settings import FilesSettings

SINCE = "{since}"
"""Stands in the path of `orders` for the time from which changes are wanted."""

_TYPES = {"csv": "text/csv", "json": "application/json", "jsonl": "application/x-ndjson"}
_NOT_MODIFIED = 304
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Document:
    """What an address answered. tag: what tells it from another version; empty: the server tells nothing.

    asked: our clock before it was asked for. modified: the server's time of its last change; None: not told.
    """

    content: bytes = field(repr=False)
    tag: str
    asked: datetime
    answered: datetime
    modified: datetime | None = None


class Documents:
    """The addresses of one account. What it holds of an answer it holds only to ask whether that has changed."""

    def __init__(self, http: HttpTransport, settings: FilesSettings) -> None:
        self._http = http
        self._authorization = authorization(settings)
        self._held: dict[str, Document] = {}

    async def get(self, section: Section, since: datetime | None = None) -> Document:
        """The document of a section, whole. Raises AnswerUnreadable for an empty one: none is taken for no rows."""
        path = "/" + section.path.replace(SINCE, quote(utc_text(since or _BEGINNING, "seconds")))
        held = self._held.get(section.path) if SINCE not in section.path else None
        headers = self._headers()
        if held is not None and held.tag:
            name = "If-Modified-Since" if held.tag.endswith("GMT") else "If-None-Match"
            headers[name] = held.tag
        call = Call("GET", path, "read", headers=headers, expect="bytes", accept=(_NOT_MODIFIED,))
        answer = await self._http.request(call)
        if answer.status == _NOT_MODIFIED and held is not None:
            return Document(held.content, held.tag, answer.asked_at, answer.answered_at, held.modified)
        if not answer.body.strip():
            raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with nothing in it")
        changed = answer.headers.get("last-modified", "")
        tag = answer.headers.get("etag", "") or changed
        found = Document(answer.body, tag, answer.asked_at, answer.answered_at, parse_http_date(changed or None))
        if SINCE not in section.path:
            self._held[section.path] = found
        return found

    async def send(self, section: Section, method: str, content: bytes, idempotency: str) -> Answer:
        """Sends a file of ours. It leaves once only: sent again later, an old number would come after a newer one."""
        headers = self._headers() | {
            "Content-Type": f"{_TYPES[section.format]}; charset={section.encoding}",
            "Idempotency-Key": idempotency,
        }
        path = f"/{section.path}"
        call = Call(method, path, "write", headers=headers, content=content, expect="bytes", attempts=1)
        return await self._http.request(call)

    def _headers(self) -> dict[str, str | SecretStr]:
        return {} if self._authorization is None else {"Authorization": self._authorization}
