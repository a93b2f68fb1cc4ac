"""The HTTP transport: what is repeated, when, and who pays."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import respx

from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.errors import BudgetShort, NeedsSeller, NotSent, OutcomeUnknown, TryLater
from channelsync.sdk.http import Answer, Backoff, Call, Timeouts
from channelsync.sdk.limiter import Budget, Lane, in_lane

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
READ = Call("GET", "/orders", "read")
WRITE = Call("POST", "/quantities", "write", json={"MUG": 3})
IDEMPOTENT = replace(WRITE, idempotent=True)


def answers(*replies: httpx.Response | Exception | type[Exception]) -> respx.Route:
    return respx.route(url__startswith="http://shop.test/api").mock(side_effect=list(replies))


def ok(data: object = None, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"ok": True} if data is None else data, **more)


# What is repeated


async def tries(rig: Callable[..., Any], call: Call, fault: Any, **settings: Any) -> int:
    respx.clear()
    route = answers(*[fault] * 20)
    async with rig(**settings) as the:
        await the.error(call)
    return route.call_count


@pytest.mark.fault(24, "repeated with growing waits until the deadline")
@respx.mock
async def test_what_is_repeated_and_how_often(rig: Callable[..., Any]) -> None:
    backoff = Backoff(attempts=3)
    counts = {
        (name, kind): await tries(rig, call, fault, backoff=backoff)
        for name, fault in (
            ("not sent", httpx.ConnectError("refused")),
            ("unknown", httpx.ReadTimeout("slow")),
            ("busy", httpx.Response(429)),
            ("refused", httpx.Response(422)),
            ("no right", httpx.Response(403)),
            ("unreadable", httpx.Response(200, html="<html>")),
        )
        for kind, call in (("read", READ), ("write", WRITE), ("idempotent", IDEMPOTENT))
    }
    assert counts == {
        ("not sent", "read"): 3, ("not sent", "write"): 3, ("not sent", "idempotent"): 3,
        ("unknown", "read"): 3, ("unknown", "write"): 1, ("unknown", "idempotent"): 3,
        ("busy", "read"): 3, ("busy", "write"): 3, ("busy", "idempotent"): 3,
        ("refused", "read"): 1, ("refused", "write"): 1, ("refused", "idempotent"): 1,
        ("no right", "read"): 1, ("no right", "write"): 1, ("no right", "idempotent"): 1,
        ("unreadable", "read"): 2, ("unreadable", "write"): 1, ("unreadable", "idempotent"): 2,
    }  # fmt: skip
    assert await tries(rig, replace(READ, attempts=1), httpx.ConnectError("refused")) == 1


@respx.mock
async def test_a_call_that_succeeds_in_the_end_is_a_success(rig: Callable[..., Any]) -> None:
    answers(httpx.ConnectError("refused"), httpx.Response(503), httpx.Response(200, text="half"), ok())
    async with rig() as the:
        assert (await the.http.request(READ)).json() == {"ok": True}


@pytest.mark.parametrize("last", [httpx.ConnectError("refused"), httpx.Response(429), httpx.Response(409)])
@pytest.mark.parametrize("first", [httpx.ReadTimeout("slow"), httpx.Response(200, html="<html>")])
@respx.mock
async def test_a_write_that_may_have_been_applied_once_stays_unknown_however_it_ends(
    first: Any, last: Any, rig: Callable[..., Any]
) -> None:
    answers(first, *[last] * 9)
    async with rig() as the:
        assert type(await the.error(IDEMPOTENT)) is OutcomeUnknown


@respx.mock
async def test_waits_double_with_full_jitter_up_to_a_cap(rig: Callable[..., Any]) -> None:
    answers(*[httpx.Response(503)] * 9)
    async with rig(backoff=Backoff(attempts=6, first=0.5, longest=3), timeouts=Timeouts(total=100)) as the:
        await the.error(READ)
    assert the.clock.slept == [0.5, 1, 2, 3, 3]


RETRY_AFTER = [
    ("seconds", "7", 7.0),
    ("a fraction", "2.5", 2.5),
    ("less than our own wait", "0", 0.0),
    ("a date", format_datetime(START + timedelta(seconds=9), usegmt=True), 9.0),
    ("a date in the past", format_datetime(START - timedelta(days=1), usegmt=True), 0.0),
    ("ten days", "864000", 20.0),
    ("a date in ten years", "Sat, 01 Mar 2036 12:00:00 GMT", 20.0),
    ("absent", None, None),
    ("nonsense", "soon", None),
    ("negative", "-5", None),
]


@pytest.mark.fault(23, "the wait that the channel asks for is kept, within reason")
@pytest.mark.parametrize(("header", "seconds"), [row[1:] for row in RETRY_AFTER], ids=[row[0] for row in RETRY_AFTER])
@respx.mock
async def test_the_channels_own_wait_is_kept_within_reason(
    header: str | None, seconds: float | None, rig: Callable[..., Any]
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    answers(*[httpx.Response(503, headers=headers)] * 3)
    backoff = Backoff(attempts=2, first=0.5, retry_after_max=20)
    async with rig(backoff=backoff) as the:
        error = await the.error(replace(READ, attempts=1))
        assert isinstance(error, TryLater)
        assert error.retry_after == seconds
        await the.error(READ)
        assert the.clock.slept == [max(seconds or 0, 0.5)]


@respx.mock
async def test_a_date_to_wait_for_is_of_the_channels_clock(rig: Callable[..., Any]) -> None:
    theirs = START + timedelta(hours=1)  # their clock is an hour ahead of ours
    headers = {
        "Date": format_datetime(theirs, usegmt=True),
        "Retry-After": format_datetime(theirs + timedelta(seconds=4), usegmt=True),
    }
    answers(httpx.Response(429, headers=headers))
    async with rig() as the:
        error = await the.error(replace(READ, attempts=1))
    assert isinstance(error, TryLater)
    assert error.retry_after == 4


@pytest.mark.parametrize(("header", "seconds"), [("6", 6.0), (None, 0.5)])
@respx.mock
@pytest.mark.fault(23, "the whole account waits, not only the call that was refused")
async def test_after_a_429_the_whole_account_waits_not_only_this_call(
    header: str | None, seconds: float, rig: Callable[..., Any]
) -> None:
    answers(httpx.Response(429, headers={} if header is None else {"Retry-After": header}), ok())
    async with rig() as the:
        await the.error(replace(WRITE, attempts=1))
        assert the.limiter.would_wait(lane=Lane.URGENT) == seconds
        await the.http.request(replace(READ, lane=Lane.URGENT))
        assert the.clock.slept == [seconds]


@respx.mock
async def test_a_wait_that_ends_after_the_deadline_is_not_begun(rig: Callable[..., Any]) -> None:
    route = answers(httpx.Response(503, headers={"Retry-After": "31"}))
    async with rig(timeouts=Timeouts(total=30)) as the:
        error = await the.error(READ)
    assert (type(error), the.clock.slept, route.call_count) == (TryLater, [], 1)


# The budget and the breaker


@respx.mock
async def test_every_attempt_is_paid_at_its_cost_from_its_bucket_in_its_lane(rig: Callable[..., Any]) -> None:
    answers(httpx.Response(503), ok())
    budgets = (Budget("reads", 100, 0.001), Budget("writes", 100, 0.001))
    async with rig(budgets=budgets) as the:
        with in_lane(Lane.URGENT):
            answer = await the.http.request(replace(READ, cost=7, bucket="reads"))
    assert (answer.grant.lane, answer.grant.bucket) == (Lane.URGENT, "reads")
    assert the.limiter.available(bucket="reads") == pytest.approx(86, abs=0.1)
    assert the.limiter.available(bucket="writes") == 100


@respx.mock
async def test_a_call_whose_budget_would_take_too_long_is_not_begun_and_told_how_long(rig: Callable[..., Any]) -> None:
    route = answers()
    async with rig(timeouts=Timeouts(budget=60)) as the:
        the.limiter.penalise(START + timedelta(seconds=61))
        error = await the.error(WRITE)
        assert isinstance(error, NotSent)
        assert (error.retry_after, route.call_count) == (61, 0)
        the.breaker.check(cheap_read=False)
        assert the.breaker.state.failures == 0


@respx.mock
async def test_waiting_for_the_budget_does_not_eat_the_deadline(rig: Callable[..., Any]) -> None:
    answers(httpx.Response(503, headers={"Retry-After": "29"}), ok())
    async with rig(timeouts=Timeouts(budget=60, total=30)) as the:
        the.limiter.penalise(START + timedelta(seconds=50))
        await the.http.request(READ)
    assert the.clock.slept == [50, 29]


@respx.mock
async def test_a_prepaid_grant_pays_for_the_call(rig: Callable[..., Any]) -> None:
    answers(ok())
    async with rig() as the:
        grant = await the.limiter.acquire(1000, lane=Lane.URGENT)
        with the.limiter.prepaid(grant):
            await the.http.request(replace(READ, cost=600))
        assert the.limiter.available() == 400
    assert the.clock.slept == []


@respx.mock
async def test_while_the_breaker_is_open_nothing_is_sent_nor_paid(rig: Callable[..., Any]) -> None:
    route = answers(*[httpx.Response(503)] * 20)
    async with rig(backoff=Backoff(attempts=1), failures_max=2) as the:
        failures = [type(await the.error(READ)) for _ in range(4)]
        assert failures == [TryLater, TryLater, NotSent, NotSent]
        assert (route.call_count, the.limiter.available()) == (2, 998)
        await the.clock.sleep(10)
        await the.error(WRITE)  # half open: writes wait until a read has succeeded
        assert route.call_count == 2
        respx.clear()
        answers(ok(), ok())
        await the.http.request(READ)
        await the.http.request(WRITE)


@respx.mock
async def test_units_paid_for_a_call_that_the_breaker_then_refuses_go_back(rig: Callable[..., Any]) -> None:
    route = answers(httpx.Response(401))
    async with rig(timeouts=Timeouts(budget=60)) as the:
        the.limiter.penalise(START + timedelta(seconds=5))
        before = the.limiter.state()["calls"].used_today
        calls = await asyncio.gather(the.error(READ), the.error(READ))
        assert [type(error) for error in calls] == [NeedsSeller, NeedsSeller]
        assert route.call_count == 1
        assert the.limiter.state()["calls"].used_today == before + 1


@respx.mock
async def test_a_call_that_the_breaker_refuses_does_not_wait_for_the_budget_first(rig: Callable[..., Any]) -> None:
    answers(httpx.Response(401))
    async with rig() as the:
        await the.error(READ)
        the.limiter.penalise(START + timedelta(seconds=50))
        assert type(await the.error(READ)) is NeedsSeller
        assert the.clock.slept == []


@respx.mock
async def test_a_repetition_waits_for_the_budget_no_longer_than_until_the_deadline(rig: Callable[..., Any]) -> None:
    route = answers(httpx.Response(503), ok())

    def emptied(answer: Answer) -> None:
        the.limiter.penalise(answer.answered_at + timedelta(seconds=31))

    async with rig(observe_answer=emptied, timeouts=Timeouts(total=30, budget=60)) as the:
        assert type(await the.error(READ)) is BudgetShort
    assert (route.call_count, the.clock.slept) == (1, [0.5])


def test_a_budget_that_runs_short_while_a_call_waits_is_given_up_in_time(rig: Callable[..., Any]) -> None:
    async def main() -> None:
        clock = LabClock()
        async with rig(clock=clock, timeouts=Timeouts(budget=60)) as the:
            the.limiter.penalise(clock.now() + timedelta(seconds=10))
            waiting = asyncio.create_task(the.error(WRITE))
            await clock.sleep(5)
            the.limiter.penalise(clock.now() + timedelta(hours=1))
            assert type(await waiting) is BudgetShort
            assert clock.now() == START + timedelta(seconds=60)

    run_virtual(main(), start=START)


@respx.mock
async def test_nothing_is_sent_once_the_deadline_has_passed(rig: Callable[..., Any]) -> None:
    route = answers(httpx.Response(503), ok())
    async with rig(timeouts=Timeouts(total=30)) as the:
        step = the.clock.sleep

        async def longer_than_asked(seconds: float) -> None:
            await step(seconds + 30)

        the.clock.sleep = longer_than_asked
        assert type(await the.error(READ)) is BudgetShort
    assert route.call_count == 1
