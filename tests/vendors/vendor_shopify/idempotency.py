"""Keys of @idempotent: the same key and input answers the same, the same key with other input is an error.

The sentences are those of the schema's error codes. How long a key is kept is not told in what we have: 24 hours
here, so a key that is older runs the mutation again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from vendor_shopify.errors import Node

KEPT = timedelta(hours=24)

MISMATCH = "The same idempotency key cannot be used with different operation parameters."
FAILED = "A previous request with this idempotency key failed. Retry with a new idempotency key."
CONCURRENT = "This request is currently in progress, please try again."


@dataclass(frozen=True, slots=True)
class _Kept:
    at: datetime
    asked: bytes
    answer: Node


class IdempotencyBook:
    """What was answered under which key."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def answer(self, key: str, mutation: str, args: Mapping[str, Any], now: datetime) -> Node | str | None:
        """What the key was answered before; a code (text) for another input; None for a new key."""
        kept = self._kept.get(key)
        if kept is None or now - kept.at >= KEPT:
            return None
        return kept.answer if kept.asked == _asked(mutation, args) else "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"

    def keep(self, key: str, mutation: str, args: Mapping[str, Any], now: datetime, answer: Node) -> None:
        """Remembers an answer, and forgets the oldest that are past their time."""
        while self._kept and now - (oldest := next(iter(self._kept.items())))[1].at >= KEPT:
            del self._kept[oldest[0]]
        self._kept[key] = _Kept(now, _asked(mutation, args), answer)


def _asked(mutation: str, args: Mapping[str, Any]) -> bytes:
    return orjson.dumps([mutation, args], option=orjson.OPT_SORT_KEYS, default=str)
