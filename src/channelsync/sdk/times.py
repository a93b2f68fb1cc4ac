"""Times as channels write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal


def utc_text(at: datetime, to: Literal["seconds", "milliseconds", "microseconds"]) -> str:
    """An aware time in ISO 8601 and UTC, with a Z, cut to so fine a part and never later than it is."""
    return at.astimezone(UTC).isoformat(timespec=to).replace("+00:00", "Z")
