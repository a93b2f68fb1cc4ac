"""One call to the API as its answer needs it, and what an answer is."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from channelsync.lab.faults import Fault
from vendor_amazon.errors import ApiError, bad_input

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A call whose token, rate and parameters are in order.

    given: path and query parameters by name, as JSON values, with the models' defaults. now: the lab's true time.
    time: by Amazon's clock. fault: what goes wrong while it is carried out; the rest is done for all calls alike.
    origin: scheme and host that the caller used, for addresses in answers.
    """

    given: Mapping[str, Any]
    body: Any
    now: datetime
    time: datetime
    fault: Fault | None = None
    origin: str = ""

    def text(self, name: str) -> str:
        """A text; empty where it was not given."""
        return str(self.given.get(name, ""))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where it was not given."""
        return tuple(self.given.get(name, ()))

    def moment(self, name: str) -> datetime | None:
        """A time; None where it was not given. Raises ApiError."""
        return moment(self.text(name), name) if self.given.get(name) else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered with. content None: no body."""

    content: Json | None
    status: int = 200


Call = Callable[[Ask], Answer]


def moment(text: str, name: str) -> datetime:
    """A time that a caller wrote. Raises ApiError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise bad_input(f"Invalid date/time field [{name}]") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def told(at: datetime) -> str:
    """A time as Amazon writes it: to the second, in UTC."""
    return whole(at).astimezone(UTC).isoformat().replace("+00:00", "Z")


def whole(at: datetime) -> datetime:
    """A time to the second, as Amazon tells it."""
    return at.replace(microsecond=0)


def token_of(name: str, content: Json) -> str:
    """An opaque text that holds this, and is good as this parameter only."""
    body = orjson.dumps({"for": name, **content})
    return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(4)).decode().rstrip("=")


def from_token(text: str, name: str, issued_within: timedelta, now: datetime) -> dict[str, Any]:
    """What a token of ours holds; `at` is when it was made. Raises ApiError for any other text, and when it is old."""
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        sealed = b""
    body = sealed[:-4]
    if not body or sealed[-4:] != zlib.crc32(body).to_bytes(4):
        raise bad_input(f"Invalid value for {name}")
    content: dict[str, Any] = orjson.loads(body)
    if content["for"] != name:
        raise bad_input(f"Invalid value for {name}")
    if now - datetime.fromisoformat(content["at"]) > issued_within:
        raise ApiError(400, "InvalidInput", f"The {name} has expired.")
    return content
