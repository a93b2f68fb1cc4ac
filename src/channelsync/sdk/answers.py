"""What a channel answered, read whole: bounded in size, never a part taken for the whole."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx
import orjson

from channelsync.sdk.budgets import Grant
from channelsync.sdk.errors import AnswerUnreadable

_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a channel. Headers and body stay out of the repr: they may hold secrets or buyer data."""

    call: str
    """Whom we asked for what, for messages: "shop: GET /orders"."""
    status: int
    headers: httpx.Headers = field(repr=False)
    """Names are matched in any case."""
    body: bytes = field(repr=False)
    """Decompressed."""
    asked_at: datetime
    """Our clock just before the request left: what the answer shows is at least as new as the channel's then."""
    answered_at: datetime
    """Our clock once the whole body was here."""
    grant: Grant
    """What paid for the call; `Limiter.observe(..., since=answer.grant)`."""

    @property
    def server_date(self) -> datetime | None:
        """The channel's clock when it answered, to the second; None when it sent no readable Date."""
        return parse_http_date(self.headers.get("date"))

    def json(self) -> Any:
        """The body as JSON. Raises `AnswerUnreadable` for anything else, an empty body included."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            # The parser's error holds the whole body, which may hold buyer data: it is not chained.
            raise AnswerUnreadable(self._why_not_json(str(error))) from None

    def _why_not_json(self, reason: str) -> str:
        got = f"{self.call}: HTTP {self.status}"
        if not self.body.strip():
            return f"{got} with an empty body where JSON was expected"
        if self.body.lstrip()[:1] == b"<":
            return f"{got} with HTML or XML where JSON was expected (a login or maintenance page?)"
        return f"{got} with {len(self.body)} bytes that are not JSON: {reason}"


def parse_http_date(text: str | None) -> datetime | None:
    """A date as HTTP writes it, aware, in UTC; None for none or for one that cannot be read."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


async def read_body(response: httpx.Response, *, method: str, bytes_max: int) -> bytes:
    """The whole body, decompressed.

    Raises `AnswerUnreadable` when it is longer than `bytes_max` (counted after decompression, as it grows,
    so that a few bytes that unpack to gigabytes stop at the cap), or packed in a way we did not ask for; and
    `httpx.RemoteProtocolError`, as for any broken connection, when it ends before its declared end.
    """
    unpack = _unpacker(response.headers.get("content-encoding", "identity").strip().lower())
    declared = response.headers.get("content-length")
    received = 0
    body = bytearray()
    async for chunk in cast(httpx.AsyncByteStream, response.stream):
        received += len(chunk)
        for piece in unpack.feed(chunk, bytes_max + 1 - len(body)):
            body += piece
            if len(body) > bytes_max:
                break
        if max(received, len(body)) > bytes_max:
            raise AnswerUnreadable(f"HTTP {response.status_code} with a body of more than {bytes_max} bytes")
    if method == "HEAD" or response.status_code in _WITHOUT_BODY:
        return bytes(body)
    short = declared is not None and declared.isdecimal() and received != int(declared)
    if short or (received and not unpack.finished):
        raise httpx.RemoteProtocolError(f"the body ended after {received} bytes, before its declared end")
    return bytes(body)


class _Plain:
    finished = True

    def feed(self, data: bytes, _most: int) -> Iterator[bytes]:
        yield data


class _Gzip:
    """gzip, member by member, never more than asked for at a time."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def finished(self) -> bool:
        return self._member.eof

    def feed(self, data: bytes, most: int) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                piece = self._member.decompress(data, most)
            except zlib.error as error:
                raise AnswerUnreadable(f"the body is not the gzip that it says it is: {error}") from error
            yield piece
            most -= len(piece)
            data = self._member.unused_data or self._member.unconsumed_tail


def _unpacker(encoding: str) -> _Plain | _Gzip:
    if encoding in ("identity", ""):
        return _Plain()
    if encoding in ("gzip", "x-gzip"):
        return _Gzip()
    raise AnswerUnreadable(f"the body is packed as {encoding!r}; we asked for gzip or nothing")
