"""The HTTP transport: what goes out, and which failure means what."""

import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import respx
from pydantic import SecretStr
from structlog.testing import capture_logs

from channelsync.sdk.errors import (
    AnswerUnreadable,
    ChannelError,
    ChannelMisbehaved,
    NeedsSeller,
    NotPermitted,
    NotSent,
    OutcomeUnknown,
    TryLater,
)
from channelsync.sdk.http import Call

BASE = "http://shop.test/api"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
READ = Call("GET", "/orders", "read")
WRITE = Call("POST", "/quantities", "write", json={"MUG": 3})
IDEMPOTENT = replace(WRITE, idempotent=True)


def answers(*replies: httpx.Response | Exception | type[Exception]) -> respx.Route:
    return respx.route(url__startswith=BASE).mock(side_effect=list(replies))


def ok(data: object = None, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"ok": True} if data is None else data, **more)


# What goes out, and what comes back


@respx.mock
async def test_an_answer_tells_when_it_was_asked_and_what_the_channels_clock_said(rig: Callable[..., Any]) -> None:
    at = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
    answers(ok({"a": 1}, headers={"Date": format_datetime(at, usegmt=True), "X-Left": "7"}))
    async with rig() as the:
        answer = await the.http.request(READ)
    assert (answer.status, answer.json(), answer.headers["x-left"]) == (200, {"a": 1}, "7")
    assert (answer.asked_at, answer.answered_at, answer.server_date) == (START, START, at)
    assert answer.grant.cost == 1


@respx.mock
async def test_a_call_becomes_the_request_that_it_says(rig: Callable[..., Any]) -> None:
    route = answers(ok())
    call = Call(
        "PUT", "/a%20b?x=1", "write", headers={"user-agent": "mine"}, params={"y": 2, "z": SecretStr("q")}, json=[1]
    )
    async with rig(headers={"Authorization": SecretStr("Bearer t")}) as the:
        await the.http.request(call)
    request = route.calls.last.request
    assert (request.method, str(request.url)) == ("PUT", f"{BASE}/a%20b?x=1&y=2&z=q")
    assert request.content == b"[1]"
    wanted = {"user-agent": "mine", "authorization": "Bearer t", "content-type": "application/json"}
    assert wanted.items() <= dict(request.headers).items()
    assert request.headers.get_list("user-agent") == ["mine"]


@respx.mock
async def test_a_next_page_on_the_same_host_is_followed_and_one_elsewhere_is_not(rig: Callable[..., Any]) -> None:
    route = answers(ok())
    async with rig() as the:
        await the.http.request(Call("GET", f"{BASE}/orders?page=2", "read"))
        assert str(route.calls.last.request.url) == f"{BASE}/orders?page=2"
        for elsewhere in ("http://evil.test/api/orders", "https://shop.test/api/orders", "http://shop.test:81/"):
            error = await the.error(Call("GET", elsewhere, "read"))
            assert type(error) is ChannelMisbehaved
    assert route.call_count == 1


@pytest.mark.parametrize("path", ["orders", "", "//evil.test/orders", "ftp://shop.test/"])
def test_a_path_that_is_neither_below_the_base_nor_an_address_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Call("GET", path, "read")


@respx.mock
async def test_statuses_that_the_caller_accepts_come_back_as_answers_with_bodies_unchecked(
    rig: Callable[..., Any],
) -> None:
    answers(httpx.Response(404, text="<html>"), httpx.Response(204), httpx.Response(401), httpx.Response(302))
    async with rig() as the:
        call = replace(READ, accept=(404, 204, 401, 302))
        assert [(await the.http.request(call)).status for _ in range(4)] == [404, 204, 401, 302]
        the.breaker.check(cheap_read=False)


@respx.mock
async def test_every_whole_answer_is_observed_before_it_is_judged(rig: Callable[..., Any]) -> None:
    answers(httpx.Response(503, headers={"X-Left": "1"}), ok(headers={"X-Left": "0"}))
    seen: list[str] = []
    async with rig(observe_answer=lambda answer: seen.append(answer.headers["x-left"])) as the:
        await the.http.request(READ)
    assert seen == ["1", "0"]


# Which failure means what

FAULTS: list[tuple[str, Any, type[ChannelError], type[ChannelError]]] = [
    ("connection refused", httpx.ConnectError("refused"), NotSent, NotSent),
    ("connecting takes too long", httpx.ConnectTimeout("slow"), NotSent, NotSent),
    ("no connection free", httpx.PoolTimeout("full"), NotSent, NotSent),
    ("the proxy refuses", httpx.ProxyError("407"), NotSent, NotSent),
    ("no answer in time", httpx.ReadTimeout("slow"), TryLater, OutcomeUnknown),
    ("sending takes too long", httpx.WriteTimeout("slow"), TryLater, OutcomeUnknown),
    ("reset while reading", httpx.ReadError("reset"), TryLater, OutcomeUnknown),
    ("closed without an answer", httpx.RemoteProtocolError("closed"), TryLater, OutcomeUnknown),
    ("a request that HTTP cannot express", httpx.LocalProtocolError("bad"), ChannelMisbehaved, ChannelMisbehaved),
    ("400", httpx.Response(400), ChannelMisbehaved, ChannelMisbehaved),
    ("401", httpx.Response(401), NeedsSeller, NeedsSeller),
    ("403", httpx.Response(403), NotPermitted, NotPermitted),
    ("404", httpx.Response(404), ChannelMisbehaved, ChannelMisbehaved),
    ("408", httpx.Response(408), TryLater, TryLater),
    ("410", httpx.Response(410), ChannelMisbehaved, ChannelMisbehaved),
    ("422", httpx.Response(422), ChannelMisbehaved, ChannelMisbehaved),
    ("429", httpx.Response(429), TryLater, TryLater),
    ("500", httpx.Response(500), TryLater, OutcomeUnknown),
    ("502", httpx.Response(502), TryLater, OutcomeUnknown),
    ("503", httpx.Response(503), TryLater, OutcomeUnknown),
    ("504", httpx.Response(504), TryLater, OutcomeUnknown),
    ("302", httpx.Response(302, headers={"Location": "http://evil.test/"}), ChannelMisbehaved, ChannelMisbehaved),
    ("empty 200", httpx.Response(200), AnswerUnreadable, AnswerUnreadable),
    ("204 where JSON is expected", httpx.Response(204), AnswerUnreadable, AnswerUnreadable),
    ("HTML with 200", httpx.Response(200, html="<html>maintenance</html>"), AnswerUnreadable, AnswerUnreadable),
    ("fewer bytes than stated", ok([1], headers={"Content-Length": "500"}), TryLater, OutcomeUnknown),
    ("half a JSON", httpx.Response(200, text='{"orders": ['), AnswerUnreadable, AnswerUnreadable),
    ("not a number", httpx.Response(200, text='{"quantity": NaN}'), AnswerUnreadable, AnswerUnreadable),
    ("nested too deep", httpx.Response(200, text="[" * 5000 + "]" * 5000), AnswerUnreadable, AnswerUnreadable),
    ("not UTF-8", httpx.Response(200, content=b'{"a": "\xff"}'), AnswerUnreadable, AnswerUnreadable),
]


@pytest.mark.parametrize(
    ("fault", "for_read", "for_write"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
@respx.mock
async def test_each_failure_says_what_to_do_next(
    fault: Any, for_read: type[ChannelError], for_write: type[ChannelError], rig: Callable[..., Any]
) -> None:
    for call, expected in ((READ, for_read), (WRITE, for_write), (IDEMPOTENT, for_write)):
        respx.clear()
        answers(*[fault] * 20)
        async with rig() as the:
            error = await the.error(call)
        assert type(error) is expected
        assert f"shop: {call.method} {call.path}" in str(error)


@respx.mock
async def test_what_the_channel_says_about_a_refusal_is_told_in_short(rig: Callable[..., Any]) -> None:
    answers(httpx.Response(422, text="unknown   SKU\nMUG " + "x" * 5000))
    async with rig() as the:
        error = await the.error(WRITE)
    assert "HTTP 422: unknown SKU MUG xxx" in str(error)
    assert len(str(error)) < 300


@respx.mock
async def test_bodies_of_unreadable_answers_are_not_told_as_they_may_hold_buyers_data(rig: Callable[..., Any]) -> None:
    answers(*[httpx.Response(200, text='{"buyer": "Jane Doe", ')] * 2)
    async with rig() as the:
        error = await the.error(READ)
    assert "Jane" not in "".join(traceback.format_exception(error))
    assert error.__suppress_context__  # the parser's own error holds the whole body
    assert error.__cause__ is None


@respx.mock
async def test_lost_credentials_stop_the_channel_until_it_is_reset(rig: Callable[..., Any]) -> None:
    route = answers(httpx.Response(401), ok())
    async with rig() as the:
        first, second = await the.error(READ), await the.error(WRITE)
        assert str(first) == str(second)
        assert route.call_count == 1
        the.breaker.reset()
        await the.http.request(READ)


@respx.mock
async def test_each_call_leaves_one_line_at_debug(rig: Callable[..., Any]) -> None:
    answers(httpx.Response(503), ok())
    with capture_logs() as logs:
        async with rig() as the:
            await the.http.request(READ)
    assert logs == [
        {
            "event": "channel.call",
            "log_level": "debug",
            "channel": "shop",
            "call": "shop: GET /orders",
            "kind": "read",
            "outcome": "HTTP 200",
            "attempts": 2,
            "waited_s": 0.0,
            "took_s": 0.5,
        }
    ]
