"""A channel whose name nobody knows: the resolver says no, or says nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from channelsync.sdk.clock import SystemClock
from channelsync.sdk.errors import NotSent
from channelsync.sdk.http import Call

WRITE = Call("POST", "/quantities", "write", json={"MUG": 3}, attempts=1)
UNKNOWN = (
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
)


@pytest.mark.fault(25, "no such name: nothing was sent, it is said which name, and in a row the channel is left alone")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("error", UNKNOWN, ids=["unknown", "no answer"])
async def test_a_name_that_is_not_found_means_that_nothing_was_sent(
    rig: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, scheme: str, error: OSError
) -> None:
    asked: list[str] = []

    def resolves(host: Any, *_given: Any, **_more: Any) -> Any:
        asked.append(host if isinstance(host, str) else host.decode())
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", resolves)
    async with rig(base_url=f"{scheme}://shop.test", clock=SystemClock(), failures_max=2) as the:
        for _ in range(2):
            told = await the.error(WRITE)
            assert type(told) is NotSent
            assert str(error.args[1]) in str(told)
        assert "paused after 2 failures" in str(await the.error(WRITE))
    assert asked == ["shop.test"] * 2, "no other name, and none once it is left alone"
