"""The HTTP transport keeps secrets out of errors, reprs and logs."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from channelsync.sdk.clock import SystemClock
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.http import Backoff, Call, HttpSettings

CANARY = "canary-0123456789"
CALLS = [
    Call("GET", f"/orders?access_token={CANARY}", "read"),
    Call("GET", f"/shops/{CANARY}/orders", "read"),
    Call("POST", "/token", "write", params={"refresh": SecretStr(CANARY)}, json={"secret": CANARY}),
    Call("GET", f"http://evil.test/?next={CANARY}", "read"),
    Call("POST", "/q", "write", headers={"X-Pass": SecretStr(f"{CANARY}\n")}),
]
REFUSAL = f'{{"error": "the token {CANARY} is wrong"}}'
ECHO = f"Content-Length: {len(REFUSAL)}\r\n\r\n{REFUSAL}"
ANSWERS = {
    "fine": f"HTTP/1.1 200 OK\r\nSet-Cookie: s={CANARY}\r\nContent-Length: 2\r\n\r\n[]",
    "echoes the token": f"HTTP/1.1 422 Unprocessable\r\n{ECHO}",
    "unauthorised": f"HTTP/1.1 401 Unauthorized\r\n{ECHO}",
    "redirects": f"HTTP/1.1 302 Found\r\nLocation: /{CANARY}?x={CANARY}\r\n\r\n",
    "garbage": f"{CANARY} is no HTTP\r\n\r\n",
    "odd packing": f"HTTP/1.1 200 OK\r\nContent-Encoding: {CANARY}\r\n\r\n[]",
    "closes": "",
    "no JSON": f"HTTP/1.1 200 OK\r\n\r\n{CANARY}",
}


def saying(text: str) -> Callable[..., Any]:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text.encode())

    return handler


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("call", CALLS, ids=["in the query", "in the path", "in parameters", "in a link", "illegal"])
async def test_a_secret_shows_in_no_error_repr_or_log(
    call: Call, answer: str, rig: Callable[..., Any], serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    shown = [repr(call)]
    secrets = {"headers": {"Authorization": SecretStr(f"Bearer {CANARY}")}, "secrets": [SecretStr(CANARY)]}
    with capture_logs() as logs, caplog.at_level(logging.DEBUG):
        async with (
            serve(saying(answer)) as url,
            rig(base_url=url, clock=SystemClock(), backoff=Backoff(attempts=1), **secrets) as the,
        ):
            try:
                shown.append(repr(await the.http.request(call)))
            except ChannelError as error:
                shown += [repr(error), *traceback.format_exception(error)]
            shown += [repr(the.http), repr(the.breaker.state), repr(the.limiter.state())]
    # httpcore tells headers at debug; the program's logging keeps it above that.
    shown += [record.getMessage() for record in caplog.records if not record.name.startswith("httpcore")]
    shown += [repr(entry) for entry in logs]
    assert [text for text in shown if CANARY in text] == []


def test_settings_show_no_secret() -> None:
    settings = HttpSettings("shop", "http://shop.test", "test", {"X-Pass": CANARY}, [SecretStr(CANARY)])
    assert CANARY not in repr(settings)


async def test_a_token_renewed_later_is_hidden_too(rig: Callable[..., Any], serve: Callable[..., Any]) -> None:
    async with serve(saying(ANSWERS["echoes the token"])) as url, rig(base_url=url, clock=SystemClock()) as the:
        the.http.keep_secret(SecretStr(CANARY))
        error = await the.error(Call("GET", "/orders", "read"))
    assert "the token [redacted] is wrong" in str(error)
