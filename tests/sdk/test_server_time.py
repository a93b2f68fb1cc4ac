"""How far a channel's clock is off, as its answers tell: never more is said than they show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from channelsync.sdk.breaker import ServerTime
from channelsync.sdk.http import Call

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(
    ahead=st.floats(-400, 400),
    there=st.floats(0, 5),
    back=st.floats(0, 5),
    start=st.floats(0, 60),
)
def test_no_more_is_told_than_is_so(ahead: float, there: float, back: float, start: float) -> None:
    asked = NOON + timedelta(seconds=start)
    written = asked + timedelta(seconds=there)
    theirs = (written + timedelta(seconds=ahead)).replace(microsecond=0)
    told = ServerTime(theirs, asked, written + timedelta(seconds=back)).ahead.total_seconds()

    assert abs(told) <= abs(ahead) + 1e-5
    assert told * ahead >= -1e-5
    assert abs(told) >= abs(ahead) - there - back - 1 - 1e-5


@pytest.mark.parametrize(("headers", "told"), [({}, True), ({"Age": "30"}, False), ({"Date": "yesterday"}, False)])
@respx.mock
async def test_the_last_answers_date_is_known_unless_a_cache_told_it(
    rig: Callable[..., Any], headers: dict[str, str], *, told: bool
) -> None:
    date = format_datetime(NOON, usegmt=True)
    respx.get("http://shop.test/api/orders").respond(headers={"Date": date, **headers}, json={})
    async with rig() as the:
        assert the.breaker.server_time is None
        await the.http.request(Call("GET", "/orders", "read"))

        assert the.breaker.server_time == (ServerTime(NOON, NOON, NOON) if told else None)
