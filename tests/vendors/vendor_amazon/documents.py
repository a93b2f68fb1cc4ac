"""Documents behind presigned addresses, as Amazon keeps them in S3: put once, got for five minutes.

S3 refuses headers that begin with `x-amz-` and were not signed, so an access token sent along is an error.
"""

from __future__ import annotations

import gzip
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channelsync.lab.marketplace_http import Reply, Request

PREFIX = "/tortuga-documents/"
"""Where documents lie."""

_LIVES = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Document:
    """A document. content None: nothing was put there yet. zipped: kept and sent as GZIP. kind: its media type."""

    id: str
    kind: str
    content: bytes | None = None
    zipped: bool = False


@dataclass(frozen=True, slots=True)
class _Signed:
    """What an address is good for. encoded: the answer says that it is GZIP, so that clients unpack it."""

    document: str
    method: str
    ends: datetime
    encoded: bool


class DocumentShelf:
    """All documents of one seller, by id."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._documents: dict[str, Document] = {}
        self._signed: dict[str, _Signed] = {}

    def open(self, kind: str) -> Document:
        """A place for a document that is still to be put."""
        return self._keep(Document(self._name("amzn1.tortuga.4.eu"), kind))

    def add(self, content: bytes, kind: str, *, zipped: bool) -> Document:
        """A document of our own."""
        kept = gzip.compress(content, mtime=0) if zipped else content
        return self._keep(Document(self._name("amzn1.spdoc.1.4.eu"), kind, kept, zipped))

    def rename(self, document: str, new: str) -> Document:
        """Gives a document another id: that of an example of Amazon's."""
        return self._keep(replace(self._documents.pop(document), id=new))

    def find(self, document: str) -> Document | None:
        """The document of this id; None: there is none."""
        return self._documents.get(document)

    def sign(self, document: Document, method: str, origin: str, now: datetime, *, encoded: bool = False) -> str:
        """An address at which it can be put or got for five minutes."""
        signature = f"{self._rng.getrandbits(160):040x}"
        self._signed[signature] = _Signed(document.id, method, now + _LIVES, encoded and document.zipped)
        return f"{origin}{PREFIX}{document.id}?X-Amz-Expires=300&X-Amz-Signature={signature}"

    def told(self, document: Document, name: str, origin: str, now: datetime, *, encoded: bool) -> dict[str, str]:
        """Where a document can be got, as the APIs write it. name: of its id there."""
        url = self.sign(document, "GET", origin, now, encoded=encoded)
        return {name: document.id, "url": url} | ({"compressionAlgorithm": "GZIP"} if document.zipped else {})

    def handle(self, request: Request, now: datetime) -> Reply | None:
        """Takes or gives a document; None for any other address."""
        if not request.path.startswith(PREFIX):
            return None
        signed = self._signed.get(request.query.get("X-Amz-Signature", ""))
        if signed is None or signed.document != request.path.removeprefix(PREFIX) or signed.method != request.method:
            return _refusal("SignatureDoesNotMatch", "The request signature we calculated does not match.")
        if signed.ends <= now:
            return _refusal("AccessDenied", "Request has expired")
        if any(header.lower().startswith("x-amz-") for header in request.headers):
            return _refusal("AccessDenied", "There were headers present in the request which were not signed")
        document = self._documents[signed.document]
        if signed.method == "PUT":
            return self._put(document, request)
        encoding = {"content-encoding": "gzip"} if signed.encoded else {}
        return Reply(200, {"content-type": document.kind, **encoding}, document.content or b"")

    def _put(self, document: Document, request: Request) -> Reply:
        if request.headers.get("content-type", "") != document.kind:
            return _refusal("SignatureDoesNotMatch", "The request signature we calculated does not match.")
        self._keep(replace(document, content=request.body))
        return Reply(200, {"etag": f'"{len(request.body):032x}"'})

    def _keep(self, document: Document) -> Document:
        self._documents[document.id] = document
        return document

    def _name(self, start: str) -> str:
        return f"{start}.{self._rng.getrandbits(128):032x}"


def _refusal(code: str, message: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(403, {"content-type": "application/xml"}, body.encode())
