"""Up- and downloads at the addresses that Amazon hands out for feeds and reports. They get none of our credentials."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, TryLater
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync_amazon import wire_documents as documents
from channelsync_amazon.settings import FILES_BUCKET

FILE_BYTES_MAX = 256 * 1024 * 1024
"""A larger document is left where it is: it is read whole."""

_GONE = (400, 401, 403, 404, 410)
"""What a host answers for an address that is no longer good: it lives for five minutes."""

_SIGNED = re.compile("signature|credential|token", re.IGNORECASE)
"""What lets anybody in who knows the address."""

_CHARSETS = ("utf-8", "cp1252")

OpenHost = Callable[[str], AbstractAsyncContextManager[HttpTransport]]
"""Opens a transport to a host that is not the API's, by its scheme and name."""


class Files:
    """Loads and stores documents. insecure: plain http is allowed, for a server on this machine."""

    def __init__(self, open_host: OpenHost, *, insecure: bool) -> None:
        self._open_host = open_host
        self._schemes = ("https", "http") if insecure else ("https",)

    async def upload(self, url: str, content: bytes, content_type: str) -> None:
        """Puts a document there. Raises TryLater where the address is no longer good."""
        # A read: a document that nothing refers to yet changes no number.
        call = Call(
            "PUT",
            url,
            "read",
            bucket=FILES_BUCKET,
            headers={"Content-Type": content_type},
            content=content,
            expect="bytes",
            accept=_GONE,
        )
        answer = await self._ask(url, call)
        if answer.status in _GONE:
            raise TryLater(f"the feed's document was not taken: HTTP {answer.status}")

    async def download(self, document: documents.Document) -> str:
        """A document's text. Raises TryLater where the address is no longer good."""
        call = Call("GET", document.url, "read", bucket=FILES_BUCKET, expect="bytes", accept=_GONE)
        answer = await self._ask(document.url, call)
        if answer.status in _GONE:
            raise TryLater(f"the document is not given out any more: HTTP {answer.status}")
        body = answer.body
        if document.compression_algorithm == "GZIP" and body[:2] == b"\x1f\x8b":
            body = _unpacked(body)
        return _text(body, answer.headers.get("content-type", ""))

    async def _ask(self, url: str, call: Call) -> Answer:
        parts = urlsplit(url)
        if parts.scheme not in self._schemes or not parts.netloc:
            raise ChannelMisbehaved("Amazon names an address for a document that is none we may use")
        async with self._open_host(f"{parts.scheme}://{parts.netloc}") as http:
            for name, value in parse_qsl(parts.query):
                if _SIGNED.search(name):
                    http.keep_secret(SecretStr(value))
            return await http.request(call)


def _unpacked(body: bytes) -> bytes:
    """What is in a gzip file, up to the cap."""
    packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = packed.decompress(body, FILE_BYTES_MAX)
    except zlib.error:
        raise AnswerUnreadable("a document is said to be gzip and is not") from None
    if not packed.eof:
        raise AnswerUnreadable(f"a document is cut short, or longer than {FILE_BYTES_MAX} bytes")
    return plain


def _text(body: bytes, content_type: str) -> str:
    """The text, by the charset that its host names; reports of western marketplaces are often not UTF-8."""
    _, _, named = content_type.lower().partition("charset=")
    for charset in (named.strip(' ";'), *_CHARSETS):
        try:
            return body.decode(charset).lstrip("\ufeff")
        except (UnicodeDecodeError, LookupError):
            continue
    return body.decode("latin-1")
