"""The receiver: what it answers, what it keeps, and that it neither believes nor writes anything unverified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Connection

from channelsync.lab.virtual_time import loopback_server
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync.store import findings, inbox
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseFull, DatabaseUnavailable
from channelsync.store.inbox import Delivery
from channelsync.sync import receiving
from channelsync.sync.group_commit import TooMuchWaiting
from channelsync.sync.inbox import Inbox, unsealed_body
from channelsync.sync.receiving import Door, Receiver
from channelsync.sync.vault import Seals
from channelsync.web import receiver as receiver_module
from channelsync.web.app import build_app
from channelsync.web.receiver import ReceiverCounters, receiver_routes

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
KEY = SecretStr(Fernet.generate_key().decode())
SIGNED = {"x-signed": "yes", "x-event": "e-1"}
ADDRESS = "https://agent.example.com/webhooks/shop"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is slow, and no fault of the code's."""
    monkeypatch.setattr(receiving, "KEPT_WITHIN", 120.0)


class Clock:
    """It stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


class Scheme:
    """Signed is what says so. Its topic, event and orders stand in headers. fails: what verifying raises."""

    fails: Exception | None = None
    before: Callable[[], Any] | None = None

    async def verify(self, headers: Mapping[str, str], body: bytes, now: datetime) -> WebhookHint | Harmless | None:
        found = {name.lower(): value for name, value in headers.items()}
        if self.before is not None:
            await self.before()
        if self.fails is not None:
            raise self.fails
        if body == b"ping":
            return Harmless("ping")
        if found.get("x-signed") != "yes":
            return None
        orders = tuple(one for one in found.get("x-orders", "o-1").split(",") if one)
        return WebhookHint(
            topic=found.get("x-topic", "orders/create"),
            event=found["x-event"],
            sent_at=now,
            orders=orders,
            keys=(QuantityKey("K", "north"),) if orders else (),
        )

    def answer(self, query: Mapping[str, str], address: str) -> bytes | None:
        return f'{{"{query["code"]}": "{address}"}}'.encode() if "code" in query else None


class World:
    """A receiver with one channel, "shop", and one without a receiver, "bare"; and who asks it."""

    def __init__(self, database: Any, *, seals: Seals, on_kept: Callable[[], None]) -> None:
        self.database = database
        self.scheme = Scheme()
        self.counters = ReceiverCounters()
        self.inbox = Inbox(database, on_kept)
        doors = {
            "shop": Door("shop", self.scheme, ADDRESS),
            "bare": Door("bare", None),
            "closed": Door("closed", None, closed="its secret is not there"),
        }
        self.receiver = Receiver(doors, self.inbox, Clock(), seals)
        self.app = build_app(receiver_routes(self.receiver, self.counters, body_limit=10_000))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test")

    async def post(self, body: bytes = b"{}", *, channel: str = "shop", **headers: str) -> httpx.Response:
        """A signed delivery; `event="e-2"` is the header x-event."""
        given = SIGNED | {f"x-{name}": value for name, value in headers.items()}
        return await self.client.post(f"/webhooks/{channel}", content=body, headers=given)

    async def rows(self) -> list[Delivery]:
        """All that is in the inbox, the oldest first."""
        found = await self.database.query(lambda c: inbox.list_deliveries(c, limit=100_000))
        return list(reversed(found))


@asynccontextmanager
async def opened(
    database: Any, *, seals: Seals | None = None, on_kept: Callable[[], None] = lambda: None
) -> AsyncIterator[World]:
    world = World(database, seals=Seals([KEY]) if seals is None else seals, on_kept=on_kept)
    async with world.inbox:
        yield world


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with opened(database) as world:
        yield world


class NoDatabase:
    """Every use of it is a failure of the test."""

    dialect = "sqlite"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the database was used: {name}")


class BrokenDatabase:
    """It cannot be written to. error: why; None: it never answers."""

    dialect = "sqlite"

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def transact(self, _work: Any) -> Any:
        if self.error is None:
            await asyncio.Event().wait()
        raise self.error or AssertionError


async def test_a_genuine_delivery_is_durable_before_it_is_answered(world: World) -> None:
    answer = await world.post(b'{"id": 1}', orders="o-1,o-2")
    assert (answer.status_code, answer.content) == (200, b"")
    (row,) = await world.rows()
    assert (row.channel, row.topic, row.event, row.state) == ("shop", "orders/create", "e-1", "new")
    assert (row.orders, row.keys) == (("o-1", "o-2"), (("K", "north"),))
    assert (row.received_at, row.sent_at, row.copies) == (NOW, NOW, 0)
    assert world.counters.taken["shop"] == world.counters.received["shop"] == 1


async def test_nothing_is_answered_well_that_is_not_committed(database: Database) -> None:
    """The commit is held back; meanwhile there is no answer."""
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        dialect = database.dialect

        async def transact(self, work: Any) -> Any:
            entered.set()
            await go_on.wait()
            return await database.transact(work)

    async with opened(Slow()) as world:
        asking = asyncio.create_task(world.post())
        await entered.wait()
        assert not asking.done()
        go_on.set()
        assert (await asking).status_code == 200
    assert len(await database.query(inbox.list_deliveries)) == 1


@pytest.mark.fault(1, "200, one row, the copy is counted")
@pytest.mark.fault(10, "where nothing tells when it was signed it is a copy: counted, and it moves nothing")
async def test_a_delivery_that_comes_again_is_answered_well_and_kept_once(world: World) -> None:
    assert [(await world.post()).status_code for _ in range(3)] == [200, 200, 200]
    (row,) = await world.rows()
    assert (row.copies, row.state) == (2, "new")
    assert (world.counters.taken["shop"], world.counters.duplicates["shop"]) == (1, 2)


@pytest.mark.fault(2, "all 200, one row, 49 copies counted")
async def test_fifty_copies_at_once_are_one(world: World) -> None:
    answers = await asyncio.gather(*(world.post() for _ in range(50)))
    assert {one.status_code for one in answers} == {200}
    (row,) = await world.rows()
    assert row.copies == 49
    assert (world.counters.taken["shop"], world.counters.duplicates["shop"]) == (1, 49)


async def test_fifty_copies_that_come_to_two_receivers_at_once_are_one(database: Database, database_url: str) -> None:
    from channelsync.store.database import open_database

    async with open_database(database_url) as other, opened(database) as here, opened(other) as there:
        posts = [world.post(b"x%d" % (number % 3)) for number in range(25) for world in (here, there)]
        answers = await asyncio.gather(*posts)
        rows = await here.rows()
    assert {one.status_code for one in answers} == {200}
    assert len(rows) == 3, "one body that counts, two others under its name"
    assert sorted(row.state for row in rows) == ["new", "quarantined", "quarantined"]
    assert sum(row.copies + 1 for row in rows) == 50


@pytest.mark.fault(3, "200 to stop the repeats; the second body is kept as quarantined, with a finding")
async def test_another_body_under_the_same_name_is_kept_aside_and_told(world: World) -> None:
    first, second = await world.post(b"one", orders="o-1"), await world.post(b"two", orders="o-2")
    again = await world.post(b"two", orders="o-2")
    assert [one.status_code for one in (first, second, again)] == [200, 200, 200]
    kept = await world.rows()
    assert [(row.orders, row.state, row.copies) for row in kept] == [
        (("o-1",), "new", 0),
        (("o-2",), "quarantined", 1),
    ]
    (finding,) = await world.database.query(findings.list_findings)
    assert "e-1 (orders/create) came a second time with another body" in finding.summary
    assert world.counters.quarantined["shop"] == 1


async def test_one_event_under_two_topics_is_two_deliveries(world: World) -> None:
    await world.post(b"one", topic="orders/create")
    await world.post(b"two", topic="orders/paid")
    assert [row.state for row in await world.rows()] == ["new", "new"]


@pytest.mark.fault(17, "stored, 200, counted")
async def test_a_topic_that_names_nothing_we_read_is_kept_and_counted(world: World) -> None:
    assert (await world.post(topic="carts/update", orders="")).status_code == 200
    (row,) = await world.rows()
    assert (row.topic, row.orders, row.state) == ("carts/update", (), "new")
    assert world.counters.unknown_topics["shop"] == 1


@pytest.mark.parametrize("topic", ["x" * 5_000, "bell \x07", "\u00e9" * 300])
async def test_an_event_or_topic_of_any_length_and_characters_is_kept(world: World, topic: str) -> None:
    hint = WebhookHint(topic=topic + "\x00", event=topic + "\x00", sent_at=NOW)

    async def verify(*_: Any) -> WebhookHint:
        return hint

    world.scheme.verify = verify  # type: ignore[method-assign]
    assert [(await world.post()).status_code for _ in range(2)] == [200, 200]
    (row,) = await world.rows()
    assert len(row.topic) <= 200
    assert row.copies == 1


async def test_what_is_known_to_mean_nothing_is_answered_well_and_not_kept() -> None:
    async with opened(NoDatabase()) as world:
        assert (await world.post(b"ping")).status_code == 200
        assert world.counters.harmless["shop"] == 1


@pytest.mark.fault(8, "401 for what is not genuine, counted, and the database is not touched")
async def test_a_forgery_is_refused_without_any_use_of_the_database() -> None:
    async with opened(NoDatabase()) as world:
        answers = [await world.post(b"x", signed="no") for _ in range(3)]
        assert [one.status_code for one in answers] == [401] * 3
        assert world.counters.refused == {("shop", "forged"): 3}
        assert world.counters.taken == world.counters.duplicates == {}


async def test_channels_that_are_unknown_or_take_no_webhooks_are_not_found_and_not_counted_by_their_names() -> None:
    async with opened(NoDatabase()) as world:
        for channel in ("nope", "bare", "x" * 1_000, "Shop"):
            assert (await world.post(channel=channel)).status_code == 404
        assert world.counters.refused == {("", "no receiver"): 4}


async def test_a_channel_whose_secret_is_missing_takes_nothing_and_asks_for_it_later() -> None:
    async with opened(NoDatabase()) as world:
        answer = await world.post(channel="closed")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused(method: str) -> None:
    async with opened(NoDatabase()) as world:
        assert (await world.client.request(method, "/webhooks/shop", headers=SIGNED)).status_code == 405


async def test_a_challenge_is_answered_with_the_address_that_the_channel_knows() -> None:
    async with opened(NoDatabase()) as world:
        asked = await world.client.get("/webhooks/shop", params={"code": "abc"}, headers={"host": "evil.example"})
        assert (asked.status_code, asked.json()) == (200, {"abc": ADDRESS})
        assert asked.headers["content-type"] == "application/json"
        for path in ("/webhooks/shop", "/webhooks/bare?code=1", "/webhooks/closed?code=1", "/webhooks/nope?code=1"):
            assert (await world.client.get(path)).status_code == 404


@pytest.mark.parametrize("error", [DatabaseUnavailable("gone"), DatabaseFull("no room")], ids=["gone", "full"])
@pytest.mark.fault(20, "503 with Retry-After, never 200, and the channel comes again")
async def test_a_database_that_cannot_be_written_to_is_never_a_good_answer(error: Exception) -> None:
    async with opened(BrokenDatabase(error)) as world:
        answers = await asyncio.gather(*(world.post(event=f"e-{number}") for number in range(20)))
    assert {(one.status_code, one.headers["retry-after"]) for one in answers} == {(503, "5")}
    assert world.counters.refused == {("shop", "unavailable"): 20}


@pytest.mark.fault(54, "a delivery waits for a connection so long and no longer, then 503")
async def test_a_database_that_does_not_answer_is_waited_for_so_long_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiving, "KEPT_WITHIN", 0.05)
    async with opened(BrokenDatabase(None)) as world:
        answers = await asyncio.gather(*(world.post(event=f"e-{number}") for number in range(20)))
    assert {one.status_code for one in answers} == {503}


async def test_when_too_much_waits_a_delivery_is_to_come_again() -> None:
    async with opened(NoDatabase()) as world:

        async def full(_one: Any) -> Any:
            raise TooMuchWaiting

        world.inbox.keep = full  # type: ignore[method-assign]
        answer = await world.post()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert world.counters.refused == {("shop", "busy"): 1}


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (TryLater("no key", retry_after=17.2), "18"),
        (TryLater("no key"), "5"),
        (TryLater("no key", retry_after=10**9), "3600"),
        (NeedsSeller("connect the account"), "5"),
    ],
)
async def test_what_cannot_be_verified_now_is_to_come_again(error: Exception, wait: str) -> None:
    async with opened(NoDatabase()) as world:
        world.scheme.fails = error
        answer = await world.post()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, wait)


async def test_a_key_that_does_not_come_is_waited_for_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "VERIFIED_WITHIN", 0.05)
    async with opened(NoDatabase()) as world:
        world.scheme.before = asyncio.Event().wait
        assert (await world.post()).status_code == 503


async def test_an_error_that_nobody_foresaw_is_no_good_answer() -> None:
    async with opened(NoDatabase()) as world:
        world.scheme.fails = ZeroDivisionError("canary")
        answer = await world.post()
    assert answer.status_code == 500
    assert "canary" not in answer.text


async def test_a_body_is_kept_sealed_and_unseals_to_what_came(world: World) -> None:
    body = bytes(range(256)) + b"canary@birdwhistle.example"
    await world.post(body)
    (row,) = await world.rows()
    sealed = await world.database.query(lambda c: inbox.sealed_body(c, row.id))
    assert sealed is not None
    assert b"canary" not in sealed
    assert unsealed_body(Seals([KEY]), row, sealed) == body
    assert unsealed_body(Seals([SecretStr(Fernet.generate_key().decode())]), row, sealed) is None


async def test_without_a_key_no_body_is_kept(database: Database) -> None:
    async with opened(database, seals=Seals()) as world:
        await world.post(b"canary")
        (row,) = await world.rows()
        assert await database.query(lambda c: inbox.sealed_body(c, row.id)) is None


async def test_nothing_of_the_buyer_stands_in_the_database_without_a_key(database: Database) -> None:
    def everything(connection: Connection) -> str:
        return str(connection.exec_driver_sql("SELECT * FROM inbox").all())

    async with opened(database) as world:
        await world.post(b'{"email": "canary@birdwhistle.example"}')
    assert "canary" not in await database.query(everything)


async def test_whoever_follows_the_inbox_is_woken_by_what_is_new_and_not_by_copies(database: Database) -> None:
    woken: list[None] = []
    async with opened(database, on_kept=lambda: woken.append(None)) as world:
        await world.post()
        assert len(woken) == 1
        await world.post()
        await world.post(b"other")
    assert len(woken) == 1


async def test_one_delivery_that_the_database_refuses_harms_only_itself(database: Database) -> None:
    real = inbox.keep_deliveries

    def poisoned(connection: Connection, arrived: Any, why: str) -> Any:
        if any(one.event == "e-bad" for one in arrived):
            raise ZeroDivisionError
        return real(connection, arrived, why)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inbox, "keep_deliveries", poisoned)
        async with opened(database) as world:
            events = ["e-bad", *(f"e-{number}" for number in range(10))]
            answers = await asyncio.gather(*(world.post(event=event) for event in events))
            assert [one.status_code for one in answers] == [500, *[200] * 10]
            assert len(await world.rows()) == 10


@pytest.mark.fault(19, "a burst is answered, and every delivery is kept")
async def test_a_burst_over_a_socket_is_all_kept(database: Database) -> None:
    async with opened(database) as world, loopback_server(world.app) as address:
        async with httpx.AsyncClient(base_url=address, limits=httpx.Limits(max_connections=20), timeout=120) as client:

            async def send(number: int) -> int:
                headers = SIGNED | {"x-event": f"e-{number}"}
                return (await client.post("/webhooks/shop", content=b"x" * 500, headers=headers)).status_code

            answers = await asyncio.gather(*(send(number) for number in range(300)))
        assert set(answers) == {200}
        assert len({row.event for row in await world.rows()}) == 300


@pytest.mark.fault(57, "bodies together have so much memory and no more: beyond it 503, and it is given back")
async def test_all_bodies_together_take_no_more_memory_than_is_set_aside_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiver_module, "BODIES_AT_ONCE", 2)
    began, go_on = asyncio.Queue[None](), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield b"x" * 9_000
        began.put_nowait(None)
        await go_on.wait()
        yield b"x"

    async with opened(NoDatabase()) as world, asyncio.timeout(60):

        async def send(content: AsyncIterator[bytes] | bytes) -> httpx.Response:
            return await world.client.post("/webhooks/shop", content=content)

        waiting = [asyncio.create_task(send(held())) for _ in range(2)]
        for _ in waiting:
            await began.get()
        refused = await send(b"x" * 2_100)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert (await send(b"x" * 1_900)).status_code == 401, "a short one has room still"
        go_on.set()
        assert [(await one).status_code for one in waiting] == [401, 401]
        assert (await send(b"x" * 9_000)).status_code == 401, "and what was taken is given back"
        assert world.counters.refused == {("shop", "no room"): 1, ("shop", "forged"): 4}


@given(path=st.text(max_size=30), body=st.binary(max_size=200), signed=st.booleans())
async def test_no_request_makes_the_receiver_break(path: str, body: bytes, signed: bool) -> None:
    async with opened(BrokenDatabase(DatabaseUnavailable("gone"))) as world:
        headers = SIGNED if signed else {}
        url = httpx.URL("http://test/webhooks/" + path.encode("utf-8", "replace").hex())
        for where in (url, httpx.URL("http://test/webhooks/shop")):
            answer = await world.client.post(where, content=body, headers=headers)
            assert answer.status_code in (200, 401, 404, 503)
            assert answer.status_code != 200 or body == b"ping"
