"""Pages by key: the next one begins behind the last entry of this one, however many came or went meanwhile.

A cursor is opaque to callers. It holds the key of the last entry and a digest of what was asked for, so that it is
refused under other filters. It gives no right: whoever makes one up reads what any other page shows.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import orjson

from channelsync.web.api.problems import bad_request
from channelsync.web.api.values import Listed

T = TypeVar("T")
R = TypeVar("R")

Key = tuple[str | int | datetime, ...]

_INT_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A page of a list. next: the cursor of the page behind it; null: this is the last one."""

    items: list[T]
    next: str | None


def page_of(
    listing: str, wanted: Listed, found: Sequence[R], key: Callable[[R], Key], shown: Callable[[R], T]
) -> Page[T]:
    """The page of `found`, of which one more was asked for than a page has. listing: the name of the list."""
    kept = found[: wanted.limit]
    more = len(found) > wanted.limit
    return Page(items=[shown(one) for one in kept], next=_cursor(listing, wanted, key(kept[-1])) if more else None)


def key_after(listing: str, wanted: Listed, *kinds: type) -> Key | None:
    """The key behind which the page begins; None: at the beginning. Raises Problem: a cursor that is none of ours."""
    if not wanted.cursor:
        return None
    try:
        said = orjson.loads(base64.b64decode(wanted.cursor, altchars=b"-_", validate=True))
        digest, *raw = said
        key = tuple(_value(value, kind) for value, kind in zip(raw, kinds, strict=True))
    except (ValueError, TypeError) as error:
        raise bad_request("The cursor is none that a page has given as `next`; begin without one.") from error
    if digest != _digest(listing, wanted):
        raise bad_request("The cursor belongs to a list with other filters; keep them as they are, or begin anew.")
    return key


def _value(raw: object, kind: type) -> str | int | datetime:
    if kind is datetime and isinstance(raw, str):
        at = datetime.fromisoformat(raw)
        if at.tzinfo is None:
            raise ValueError("a time without zone")
        return at
    if kind is str and isinstance(raw, str) and "\x00" not in raw:
        return raw
    if kind is int and type(raw) is int and abs(raw) <= _INT_MAX:
        return raw
    raise ValueError("of another kind")


def _cursor(listing: str, wanted: Listed, key: Key) -> str:
    said = [_digest(listing, wanted), *(one.isoformat() if isinstance(one, datetime) else one for one in key)]
    return base64.urlsafe_b64encode(orjson.dumps(said)).decode()


def _digest(listing: str, wanted: Listed) -> str:
    filters = wanted.model_dump_json(exclude={"limit", "cursor"})
    return hashlib.sha256(f"{listing} {filters}".encode()).hexdigest()[:12]
