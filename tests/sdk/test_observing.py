"""Whoever observes hears of every call as it ended; nobody must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import respx

from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.http import Call
from channelsync.sdk.observing import EndedCall, observing_calls


class Notes:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[EndedCall] = []

    def call_ended(self, call: EndedCall) -> None:
        self.told.append(call)


@respx.mock
async def test_every_call_is_told_once_with_all_its_attempts(rig: Callable[..., Any]) -> None:
    respx.get("http://shop.test/api/orders").mock(
        side_effect=[respx.MockResponse(503), respx.MockResponse(200, json={})]
    )
    respx.get("http://shop.test/api/me").respond(401)
    notes = Notes()
    async with rig() as the:
        with observing_calls(notes):
            await the.http.request(Call("GET", "/orders", "read"))
            with pytest.raises(NeedsSeller):
                await the.http.request(Call("GET", "/me", "read"))
    assert [(one.kind, one.outcome, one.attempts) for one in notes.told] == [
        ("read", "HTTP 200", 2),
        ("read", "NeedsSeller", 1),
    ]


@respx.mock
async def test_outside_of_the_block_nobody_is_told(rig: Callable[..., Any]) -> None:
    respx.get("http://shop.test/api/orders").respond(json={})
    notes = Notes()
    with observing_calls(notes):
        pass
    async with rig() as the:
        await the.http.request(Call("GET", "/orders", "read"))
    assert notes.told == []
