"""What the API answers when it does not do what it was asked: problem details (RFC 9457).

Each says what happened, to which SKU or order, and what to do. `type` names the kind for programs; `title` is the
same for all of a kind; `detail` is about this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.responses import Response

from channelsync.domain.errors import DomainError, ShortOfUnits
from channelsync.store.database_errors import DatabaseError
from channelsync.sync.api_runs import KeyUsed
from channelsync.sync.orders_by_hand import NoSuchOrder

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:channelsync:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem. name: the end of its type."""

    status: int
    name: str
    title: str


BAD_REQUEST = Kind(400, "bad-request", "The request cannot be understood")
NOT_AUTHENTICATED = Kind(401, "not-authenticated", "No token, or one that is not accepted")
NOT_ALLOWED = Kind(403, "not-allowed", "The token may not do this")
NOT_FOUND = Kind(404, "not-found", "There is nothing of this name")
WRONG_METHOD = Kind(405, "wrong-method", "This cannot be done here")
TOO_SLOW = Kind(408, "too-slow", "The body did not come in time")
REFUSED = Kind(409, "refused", "The state of things does not allow it; nothing was changed")
SHORT = Kind(409, "short-of-units", "Fewer units are there than were asked for; nothing was reserved")
TOO_LARGE = Kind(413, "too-large", "The body is too large")
WRONG_TYPE = Kind(415, "wrong-type", "The body is not plain JSON")
INVALID = Kind(422, "invalid", "What the request says is not valid; nothing was changed")
KEY_USED = Kind(422, "key-used", "The Idempotency-Key was used for another request; nothing was changed")
TOO_MANY = Kind(429, "too-many", "Too many requests with this token")
UNEXPECTED = Kind(500, "unexpected", "An error of channelsync itself")
UNAVAILABLE = Kind(503, "unavailable", "The database cannot be used now, or the daemon stops")

KINDS: tuple[Kind, ...] = (
    BAD_REQUEST,
    NOT_AUTHENTICATED,
    NOT_ALLOWED,
    NOT_FOUND,
    WRONG_METHOD,
    TOO_SLOW,
    REFUSED,
    SHORT,
    TOO_LARGE,
    WRONG_TYPE,
    INVALID,
    KEY_USED,
    TOO_MANY,
    UNEXPECTED,
    UNAVAILABLE,
)

RETRY_AFTER_SECONDS = 5
"""After which a request may be repeated that the database could not serve."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong with a request. at: where, such as lines.0.units."""

    at: str
    why: str


@dataclass(eq=False)
class Problem(Exception):
    """Ends a request. more: further members; headers: such as Retry-After."""

    kind: Kind
    detail: str
    errors: Sequence[Wrong] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As it is answered."""
        body: dict[str, Any] = {
            "type": f"{TYPE_PREFIX}{self.kind.name}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            **self.more,
        }
        if self.errors:
            body["errors"] = [{"at": one.at, "why": one.why} for one in self.errors]
        return Response(orjson.dumps(body), self.kind.status, dict(self.headers), MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """There is nothing of this name."""
    return Problem(NOT_FOUND, what)


def bad_request(what: str) -> Problem:
    """It cannot be understood."""
    return Problem(BAD_REQUEST, what)


def problem_of(error: Exception) -> Problem | None:
    """What an error of a use case means to the caller; None: nobody foresaw it."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ShortOfUnits):
        short = {"what": error.item, "wanted": error.wanted, "available": error.available}
        return Problem(SHORT, str(error), more={"short": short})
    if isinstance(error, DatabaseError):
        detail = "The database cannot be used now. Repeat the request later; with the same key it is done once."
        return Problem(UNAVAILABLE, detail, headers={"retry-after": str(RETRY_AFTER_SECONDS)})
    kind = next((kind for known, kind in _MEANING if isinstance(error, known)), None)
    return None if kind is None else Problem(kind, str(error))


_MEANING: tuple[tuple[type[Exception], Kind], ...] = (
    (KeyUsed, KEY_USED),
    (NoSuchOrder, NOT_FOUND),
    (DomainError, REFUSED),
)
"""The first that fits counts."""
