"""The two ways to a marketplace, in process and over a socket, behave alike, whatever becomes of an answer."""

import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace_fronts import HANGS, HungUp, MarketplaceApp
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_site import Site, open_site
from channelsync.lab.marketplace_values import Offer
from channelsync.lab.virtual_time import InFlightTransport, LabClock, loopback_server, run_virtual

START = datetime(2017, 12, 23, tzinfo=UTC)
FRONTS = ("in process", "socket")
Story = Callable[[Site, httpx.AsyncClient, LabClock], Awaitable[Any]]


def told(
    front: str, story: Story, *, rules: MarketplaceRules = PRESETS["plain"], faults: FaultPlan | None = None
) -> Any:
    """Lets a story happen at a marketplace with 10 mugs, reached by a client with a token."""

    async def main() -> Any:
        clock = LabClock()
        site = open_site("agora", rules, clock, faults=faults)
        site.marketplace.open_listing(Offer(listing="mug", sku="MUG"), 10)
        token = site.api.tokens.give(site.account.refresh_token, clock.now())
        async with AsyncExitStack() as stack:
            transport: httpx.AsyncBaseTransport = site.transport
            base = "http://agora.example"
            if front == "socket":
                base = await stack.enter_async_context(loopback_server(site.app))
                transport = InFlightTransport(httpx.AsyncHTTPTransport())
            headers = {"authorization": f"Bearer {token}"}
            client = httpx.AsyncClient(transport=transport, base_url=base, headers=headers, timeout=20)
            await stack.enter_async_context(client)
            return await story(site, client, clock)

    return run_virtual(main(), start=START, patience=20)


def a_fault(kind: FaultKind, *, endpoints: frozenset[str] = frozenset(), **how: Any) -> FaultPlan:
    return FaultPlan([Fault(kind=kind, starts=START, ends=START + timedelta(hours=1), endpoints=endpoints, **how)])


async def push(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/numbers", json={"updates": [{"key": "K-mug", "location": "", "number": 4}]})


@pytest.mark.parametrize("front", FRONTS)
def test_a_seller_reads_writes_and_searches(front: str) -> None:
    async def story(site: Site, client: httpx.AsyncClient, _clock: LabClock) -> None:
        site.marketplace.buy("mug", 1)
        read = await client.post("/v1/numbers/read", json={"keys": [{"key": "K-mug"}]})
        assert read.json()["numbers"][0]["number"] == 9
        assert (await push(client)).json()["results"][0]["status"] == "accepted"
        since = (START - timedelta(hours=1)).isoformat()
        found = await client.get("/v1/orders", params={"updated_since": since, "scope": "seller", "limit": 5})
        assert [order["id"] for order in found.json()["orders"]] == ["agora-1001"]
        assert found.headers["date"] == "Sat, 23 Dec 2017 00:00:00 GMT"
        made = await client.post("/v1/webhooks", json={"url": "http://us.example", "topics": ["order.created"]})
        gone = await client.delete(f"/v1/webhooks/{made.json()['id']}")
        assert (gone.status_code, gone.content) == (204, b"")

    told(front, story)


def test_both_fronts_give_the_same_answers_to_the_byte() -> None:
    async def story(site: Site, client: httpx.AsyncClient, clock: LabClock) -> list[tuple[int, bytes]]:
        seen = []
        for turn in range(20):
            site.marketplace.buy("mug", 1)
            await clock.sleep(7)
            for asked in (client.get("/v1/orders"), client.get("/v1/listings"), client.get(f"/v1/nothing/{turn}")):
                answer = await asked
                seen.append((answer.status_code, answer.content))
        return seen

    rules = PRESETS["orders found late"]
    assert told("in process", story, rules=rules) == told("socket", story, rules=rules)


@pytest.mark.parametrize("front", FRONTS)
def test_the_way_takes_time_there_and_back(front: str) -> None:
    async def story(site: Site, client: httpx.AsyncClient, clock: LabClock) -> None:
        for _ in range(20):
            before = clock.now()
            await push(client)
            accepted = site.marketplace.changes[-1].at
            assert timedelta(seconds=0.05) <= accepted - before <= timedelta(seconds=1.5)
            assert timedelta(seconds=0.05) <= clock.now() - accepted <= timedelta(seconds=1.5)

    told(front, story, rules=PRESETS["far away"])


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(
    ("kind", "applied"),
    [
        (FaultKind.OUTAGE, False),
        (FaultKind.NO_ANSWER, False),
        (FaultKind.NO_ANSWER_AFTER, True),
        (FaultKind.RESET_AFTER, True),
        (FaultKind.TRUNCATED_AFTER, True),
    ],
)
def test_a_lost_answer_is_an_error_of_the_connection_and_the_change_may_be_made(
    front: str, kind: FaultKind, applied: bool
) -> None:
    async def story(site: Site, client: httpx.AsyncClient, clock: LabClock) -> None:
        before = clock.now()
        with pytest.raises(httpx.TransportError) as failed:
            await push(client)
        assert (site.marketplace.changes[-1].after == 4) is applied
        hung = kind in (FaultKind.NO_ANSWER, FaultKind.NO_ANSWER_AFTER)
        assert isinstance(failed.value, httpx.ReadTimeout) is hung
        assert clock.now() - before == timedelta(seconds=20 if hung else 0)

    told(front, story, faults=a_fault(kind, endpoints=frozenset({"push"})))


def test_in_process_an_outage_refuses_the_connection() -> None:
    async def story(_site: Site, client: httpx.AsyncClient, _clock: LabClock) -> None:
        with pytest.raises(httpx.ConnectError):
            await push(client)

    told("in process", story, faults=a_fault(FaultKind.OUTAGE))


@pytest.mark.parametrize("front", FRONTS)
def test_a_dripping_answer_comes_whole_but_late(front: str) -> None:
    async def story(_site: Site, client: httpx.AsyncClient, clock: LabClock) -> None:
        before = clock.now()
        answer = await client.get("/v1/listings")
        assert answer.json()["listings"][0]["id"] == "mug"
        assert (clock.now() - before).total_seconds() == pytest.approx(30)

    told(front, story, faults=a_fault(FaultKind.DRIP, seconds=30.0))


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.HTML_AFTER, FaultKind.EMPTY_AFTER])
def test_a_200_may_hold_no_answer_at_all(front: str, kind: FaultKind) -> None:
    async def story(site: Site, client: httpx.AsyncClient, _clock: LabClock) -> None:
        answer = await push(client)
        assert answer.status_code == 200
        assert (answer.content == b"") is (kind is FaultKind.EMPTY_AFTER)
        with pytest.raises(ValueError, match="Expecting value"):
            answer.json()
        assert (site.marketplace.changes[-1].after == 4) is (kind is not FaultKind.HTML)

    told(front, story, faults=a_fault(kind))


@pytest.mark.parametrize("front", FRONTS)
def test_the_connection_serves_again_after_every_fault(front: str) -> None:
    kinds = [kind for kind in FaultKind if kind is not FaultKind.OUTAGE]
    hour = timedelta(hours=1)
    plan = FaultPlan(
        Fault(kind=kind, starts=START + turn * hour, ends=START + (turn + 0.5) * hour)
        for turn, kind in enumerate(kinds)
    )

    async def story(_site: Site, client: httpx.AsyncClient, clock: LabClock) -> int:
        good = 0
        for turn in range(len(kinds)):
            await clock.sleep((START + turn * hour - clock.now()).total_seconds())
            for path in ("/v1/orders", "/v1/account"):
                try:
                    await client.get(path)
                except httpx.TransportError:
                    continue
            await clock.sleep((START + (turn + 0.6) * hour - clock.now()).total_seconds())
            good += (await push(client)).status_code == 200
        return good

    assert told(front, story, faults=plan) == len(kinds)


async def test_a_server_that_cannot_hang_up_is_told_so_by_an_error(clock: Any) -> None:
    site = open_site(
        "agora",
        PRESETS["plain"],
        clock,
        faults=FaultPlan([Fault(kind=FaultKind.OUTAGE, starts=clock.now(), ends=clock.now() + timedelta(hours=1))]),
    )
    app = MarketplaceApp(site.api, clock, random.Random(1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://agora.example") as client:
        with pytest.raises(HungUp):
            await client.get("/v1/account")


async def test_without_a_timeout_of_its_own_a_request_hangs_as_long_as_the_server_keeps_it(clock: Any) -> None:
    plan = FaultPlan([Fault(kind=FaultKind.NO_ANSWER, starts=clock.now(), ends=clock.now() + timedelta(hours=1))])
    site = open_site("agora", PRESETS["plain"], clock, faults=plan)
    before = clock.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        await site.transport.handle_async_request(httpx.Request("GET", "http://agora.example/v1/account"))
    assert clock.monotonic() - before == HANGS
