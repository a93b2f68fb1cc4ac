"""Times as channels write them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from channelsync.sdk.times import utc_text

AT = datetime(2026, 3, 1, 14, 30, 5, 999_999, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("seconds", "2026-03-01T12:30:05Z"),
        ("milliseconds", "2026-03-01T12:30:05.999Z"),
        ("microseconds", "2026-03-01T12:30:05.999999Z"),
    ],
)
def test_a_time_is_cut_in_utc_and_never_later_than_it_is(to: Any, text: str) -> None:
    assert utc_text(AT, to) == text
    assert datetime.fromisoformat(text) <= AT
    assert utc_text(AT.astimezone(UTC), to) == text
