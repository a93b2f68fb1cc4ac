"""One call that is not permitted stops no other; credentials that are refused stop all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import respx

from channelsync.sdk.errors import NeedsSeller, NotPermitted
from channelsync.sdk.http import Call

ORDERS = Call("GET", "/orders", "read")
NUMBERS = Call("POST", "/quantities", "write", json={"MUG": 3})


@pytest.mark.fault(37, "one call is not permitted: every other is made as before")
@respx.mock
async def test_a_call_that_is_not_permitted_stops_no_other(rig: Callable[..., Any]) -> None:
    numbers = respx.post(url__startswith="http://shop.test/api").mock(return_value=httpx.Response(403))
    orders = respx.get(url__startswith="http://shop.test/api").mock(return_value=httpx.Response(200, json=[]))
    async with rig() as the:
        for _ in range(3):
            error = await the.error(NUMBERS)
            assert type(error) is NotPermitted
            assert "give them the permission that is missing" in error.what_to_do
            assert (await the.http.request(ORDERS)).json() == []
        assert the.breaker.state.needs_seller is None
    assert (numbers.call_count, orders.call_count) == (3, 3), "and it is asked for once each time"


@pytest.mark.fault(36, "credentials that are refused: no further call leaves until the seller has acted")
@respx.mock
async def test_credentials_that_are_refused_stop_every_call_until_the_seller_has_acted(rig: Callable[..., Any]) -> None:
    numbers = respx.post(url__startswith="http://shop.test/api").mock(return_value=httpx.Response(401))
    orders = respx.get(url__startswith="http://shop.test/api").mock(return_value=httpx.Response(200, json=[]))
    async with rig() as the:
        for call in (NUMBERS, *[ORDERS, NUMBERS] * 10):
            assert type(await the.error(call)) is NeedsSeller
        assert (numbers.call_count, orders.call_count) == (1, 0)
        the.breaker.reset()
        assert (await the.http.request(ORDERS)).json() == []
