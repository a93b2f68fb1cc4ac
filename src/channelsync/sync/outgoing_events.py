"""What hooks are told: each event with what it says. Thin: no buyer, and what the API can be asked for stays there.

docs/hooks.md shows an example of each, docs/hooks.schema.json says exactly what each looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import orjson
from pydantic import SecretStr

EventType = Literal["position.changed", "order.changed", "finding.opened", "finding.closed"]
EVENTS: tuple[EventType, ...] = get_args(EventType)

TEST = "hook.test"
"""The type of the message that `channelsync hooks test` sends."""

_TEXT_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSetup:
    """One configured hook. secrets: each signs every message. See `runtime.config_hooks`."""

    name: str
    url: str
    secrets: tuple[SecretStr, ...]
    events: tuple[EventType, ...] = EVENTS
    allow_private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that changed, as it is now. subject: what it is about; version: of that, never the same for another
    state. at: when it changed."""

    type: EventType
    subject: str
    version: str
    at: datetime
    data: Mapping[str, Any]


def payload_of(kind: str, data: Mapping[str, Any], made_at: datetime) -> bytes:
    """The body of a message; a text of more than 2,000 characters is cut. made_at: when its content was true."""
    told = {name: _cut(value) for name, value in data.items()}
    stamp = made_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps({"type": kind, "timestamp": stamp, "data": told}, option=orjson.OPT_UTC_Z)


def _cut(value: Any) -> Any:
    return f"{value[: _TEXT_MAX - 1]}…" if isinstance(value, str) and len(value) > _TEXT_MAX else value
