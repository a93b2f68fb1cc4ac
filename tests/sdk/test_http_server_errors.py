"""A channel that answers 5xx: how often it is asked, how the waits grow, and when it is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import respx

from channelsync.sdk.errors import NotSent, OutcomeUnknown, TryLater
from channelsync.sdk.http import Backoff, Call, Timeouts

READ = Call("GET", "/orders", "read")
WRITE = Call("POST", "/quantities", "write", json={"MUG": 3})
IDEMPOTENT = replace(WRITE, idempotent=True)
STATUSES = (500, 502, 503, 504)


@pytest.mark.fault(24, "a read is repeated with growing waits, a write is not; its outcome is unknown")
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("call", "times", "expected"), [(READ, 4, TryLater), (WRITE, 1, OutcomeUnknown), (IDEMPOTENT, 4, OutcomeUnknown)]
)
@respx.mock
async def test_reads_are_repeated_with_growing_waits_and_writes_are_not(
    rig: Callable[..., Any], status: int, call: Call, times: int, expected: type[Exception]
) -> None:
    route = respx.route(url__startswith="http://shop.test/api").mock(return_value=httpx.Response(status))
    async with rig(backoff=Backoff(attempts=4, first=0.5)) as the:
        assert type(await the.error(call)) is expected
        assert the.clock.slept == [0.5, 1.0, 2.0][: times - 1]
    assert route.call_count == times


@pytest.mark.fault(24, "however often it may be repeated, at the deadline it ends")
@pytest.mark.parametrize("status", STATUSES)
@respx.mock
async def test_it_is_given_up_at_the_deadline(rig: Callable[..., Any], status: int) -> None:
    respx.route(url__startswith="http://shop.test/api").mock(return_value=httpx.Response(status))
    async with rig(backoff=Backoff(attempts=1000, first=0.5, longest=4.0), timeouts=Timeouts(total=30.0)) as the:
        assert type(await the.error(READ)) is TryLater
        assert sum(the.clock.slept) <= 30.0
        assert len(the.clock.slept) > 5


@pytest.mark.fault(24, "the channel is left alone for a while, then asked by one read")
@respx.mock
async def test_a_channel_that_goes_on_failing_is_left_alone_for_a_while(rig: Callable[..., Any]) -> None:
    answers = [httpx.Response(status) for status in STATUSES] + [httpx.Response(200, json=[])] * 2
    route = respx.route(url__startswith="http://shop.test/api").mock(side_effect=answers)
    async with rig(failures_max=len(STATUSES), backoff=Backoff(attempts=1)) as the:
        for _ in STATUSES:
            await the.error(READ)
        for call in (READ, WRITE):
            error = await the.error(call)
            assert (type(error), error.retry_after) == (NotSent, 10)
        assert route.call_count == len(STATUSES), "nothing of it left"
        await the.clock.sleep(10)
        assert type(await the.error(WRITE)) is NotSent, "a read tries first"
        assert (await the.http.request(READ)).status == 200
        assert (await the.http.request(WRITE)).status == 200
