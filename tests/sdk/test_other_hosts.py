"""A second host beside the channel's own: what the two share, and what they do not."""

import httpx
import pytest

from channelsync.sdk.answers import Answer
from channelsync.sdk.budgets import Budget
from channelsync.sdk.contract import ContractClock
from channelsync.sdk.errors import ChannelMisbehaved, TryLater
from channelsync.sdk.http import Call, HttpSettings
from channelsync.sdk.other_hosts import other_host, own_host
from channelsync.sdk.resources import Resources, unused

FILES = HttpSettings(channel="shop", base_url="https://files.example", user_agent="test")
FILE = Call("GET", "https://files.example/one", "read", bucket="files", expect="bytes")


class Wire(httpx.AsyncBaseTransport):
    """Answers with this status, and knows whether it was closed."""

    def __init__(self) -> None:
        self.status = 200
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.closed
        return httpx.Response(self.status, text=request.url.host)

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def resources(wire: Wire) -> Resources:
    budgets = [Budget("api", 10, 1), Budget("files", 10, 1)]
    return unused("shop", budgets, ContractClock(), transport=wire)


async def test_the_transport_that_was_lent_stays_open(resources: Resources, wire: Wire) -> None:
    for _ in range(2):
        async with other_host(resources, FILES) as http:
            assert (await http.request(FILE)).body == b"files.example"
        assert not wire.closed


async def test_its_calls_are_paid_from_the_accounts_budget(resources: Resources) -> None:
    async with other_host(resources, FILES) as http:
        await http.request(FILE)
    assert resources.limiter.available(bucket="files") == 9


async def test_closing_the_channels_own_closes_the_transport(resources: Resources, wire: Wire) -> None:
    async with own_host(resources, FILES) as http:
        assert (await http.request(FILE)).body == b"files.example"
    assert wire.closed
    assert resources.limiter.available(bucket="files") == 9


async def test_the_failures_of_the_channels_own_close_the_way_to_the_api(resources: Resources, wire: Wire) -> None:
    wire.status = 503
    async with own_host(resources, FILES) as http:
        for _ in range(20):
            with pytest.raises(TryLater):
                await http.request(FILE)
    with pytest.raises(TryLater):
        resources.breaker.check(cheap_read=False)


async def test_the_answers_of_the_channels_own_are_seen(resources: Resources) -> None:
    seen: list[Answer] = []
    async with own_host(resources, FILES, seen.append) as http:
        answer = await http.request(FILE)
    assert seen == [answer]


async def test_its_failures_do_not_close_the_way_to_the_api(resources: Resources, wire: Wire) -> None:
    wire.status = 503
    async with other_host(resources, FILES) as http:
        for _ in range(20):
            with pytest.raises(TryLater):
                await http.request(FILE)
    resources.breaker.check(cheap_read=False)


async def test_it_leads_to_no_third_host(resources: Resources) -> None:
    async with other_host(resources, FILES) as http:
        with pytest.raises(ChannelMisbehaved, match="not on"):
            await http.request(Call("GET", "https://elsewhere.example/one", "read", bucket="files"))


async def test_without_a_transport_it_goes_to_the_network(resources: Resources) -> None:
    budgets = [Budget("files", 10, 1)]
    async with other_host(unused("shop", budgets, ContractClock()), FILES) as http:
        assert isinstance(http._transport, httpx.AsyncHTTPTransport)
