"""Feeds over HTTP: who may send a file, what is answered, and what a key stands for."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from channelsync.domain.quantities import PositionKey
from channelsync.lab.virtual_time import loopback_server
from channelsync.runtime.logging import Redactor
from channelsync.store import items, ledger, runs
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseUnavailable
from channelsync.store.items import Item, item_id
from channelsync.sync.agent import Agent
from channelsync.sync.feed_files import FeedSetup, digest_of
from channelsync.sync.measures import measure
from channelsync.sync.orders_by_hand import by_hand
from channelsync.sync.setup import BY_HAND, Setup
from channelsync.sync.stock_import_file import Layout
from channelsync.sync.tokens import SCOPES, create_token
from channelsync.web import feeds
from channelsync.web.app import build_app
from channelsync.web.feeds import AT_ONCE, feed_routes

HANG_GUARD = 60.0
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
FEEDS = {
    "wms": FeedSetup(
        name="wms", kind="http", basis="delta", layout=Layout(form="csv"), location="main", bytes_max=1_000
    ),
    "counts": FeedSetup(
        name="counts", kind="http", basis="physical", layout=Layout(form="json"), location="main", as_of="request"
    ),
    "folder": FeedSetup(name="folder", kind="folder", basis="delta"),
}


class Clock:
    """It stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


@dataclass(slots=True)
class Wms:
    """Another system, with a token of every scope."""

    agent: Agent
    client: httpx.AsyncClient
    tokens: dict[str, str]

    async def send(
        self,
        body: str | bytes = "sku,units\nMUG,+3\n",
        path: str = "/feeds/wms",
        scope: str = "operate",
        **headers: str,
    ) -> httpx.Response:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if scope:
            said.setdefault("authorization", f"Bearer {self.tokens[scope]}")
        return await self.client.post(path, content=body, headers=said)

    async def on_hand(self) -> int:
        key = PositionKey(item_id("MUG"), "main")
        found = await self.agent.database.query(lambda c: ledger.read_positions(c, [key.item]))
        return found[key].on_hand if key in found else 0


@pytest.fixture
async def wms(database: Database) -> AsyncIterator[Wms]:
    setup = Setup(channels={BY_HAND: by_hand(("main",))}, locations=("main",))

    def begin(connection: Connection) -> dict[str, str]:
        runs.begin_run(connection, "test", "test", "test", {}, NOW)
        items.add_items(connection, [Item(id=item_id("MUG"), sku="MUG")], NOW)
        return {scope: create_token(connection, scope, scope, NOW) for scope in SCOPES}

    tokens = await database.transact(begin)
    measures = await database.query(lambda c: measure(c, setup, NOW))
    agent = Agent(database=database, clock=Clock(), setup=setup, run="test", measures=measures)
    app = build_app(feed_routes(agent, lambda: FEEDS))
    async with loopback_server(app) as address, httpx.AsyncClient(base_url=address) as client:
        yield Wms(agent, client, tokens)


async def test_a_file_is_imported_and_its_report_answered(wms: Wms) -> None:
    answer = await wms.send()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    report = answer.json()
    assert (report["outcome"], report["rows"], report["entries"], report["refused"]) == ("imported", 1, 1, 0)
    assert await wms.on_hand() == 3
    run = await wms.agent.database.query(lambda c: runs.get_run(c, report["run"]))
    assert run is not None
    assert (run.actor, run.outcome) == ("feed wms", "done")


async def test_a_repeat_changes_nothing_and_is_answered_as_before(wms: Wms) -> None:
    first, again = await wms.send(), await wms.send()
    keyed, keyed_again = await wms.send(idempotency_key="export 7"), await wms.send(idempotency_key="export 7")
    assert first.json() == again.json()
    assert keyed.json() == keyed_again.json() != first.json()
    assert await wms.on_hand() == 6


async def test_a_key_that_comes_with_another_body_is_refused(wms: Wms) -> None:
    await wms.send(idempotency_key="export 7")
    answer = await wms.send("sku,units\nMUG,+4\n", idempotency_key="export 7")
    assert answer.status_code == 422
    assert "was used for another file" in answer.json()["error"]["message"]
    assert await wms.on_hand() == 3


async def test_bad_rows_refuse_the_file_and_are_named(wms: Wms) -> None:
    answer = await wms.send("sku,units\nMUG,+3\nCUP,+1\n")
    assert answer.status_code == 422
    assert [one["row"] for one in answer.json()["refused_rows"]] == [3]
    assert await wms.on_hand() == 0


async def test_the_request_says_as_of_when_its_numbers_are(wms: Wms) -> None:
    body = '[{"sku": "MUG", "units": 8}]'
    told = await wms.send(body, "/feeds/counts?as_of=2026-03-01T08:30:00Z&orders_counted_up_to=2026-03-01T08:00:00Z")
    assert (told.status_code, await wms.on_hand()) == (200, 8)
    later = await wms.send(body, "/feeds/counts?as_of=2026-03-01T08:45:00Z")
    assert later.json()["outcome"] == "imported"
    silent = await wms.send(body, "/feeds/counts")
    assert "nothing says as of when" in silent.json()["message"]
    for wrong in ("soon", "2026-03-01T08:30:00"):
        assert (await wms.send(body, f"/feeds/counts?as_of={wrong}")).status_code == 400


async def test_a_time_said_of_one_thing_is_not_the_same_time_said_of_another(wms: Wms) -> None:
    """The second file is no repeat of the first, with a key and without one."""
    body, at = '[{"sku": "MUG", "units": 8}]', "2026-03-01T08:30:00Z"
    for headers in {}, {"idempotency_key": "export 7"}:
        assert (await wms.send(body, f"/feeds/counts?as_of={at}", **headers)).status_code == 200
        assert (await wms.send(body, f"/feeds/counts?orders_counted_up_to={at}", **headers)).status_code == 422


def test_a_file_of_which_the_request_says_nothing_is_known_by_its_content_alone() -> None:
    """So those are known again that came before the times were told apart."""
    assert digest_of(b"sku,units", None, None) == hashlib.sha256(b"sku,units").hexdigest()


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer cs_" + "x" * 43, "Basic YTpi", "Bearer é"])
async def test_nobody_unknown_may_send(wms: Wms, authorization: str) -> None:
    headers = {"authorization": authorization.encode()} if authorization else {}
    answer = await wms.client.post("/feeds/wms", content=b"sku,units\nMUG,+3\n", headers=headers)
    assert (answer.status_code, await wms.on_hand()) == (401, 0)
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_only_who_may_operate_may_send(wms: Wms) -> None:
    assert (await wms.send(scope="read")).status_code == 403
    assert (await wms.send(scope="admin")).status_code == 200
    assert await wms.on_hand() == 3


async def test_who_sent_a_file_and_who_was_not_let_in_is_logged_without_a_token(wms: Wms) -> None:
    with capture_logs() as logs:
        await wms.send()
        await wms.send(scope="")
        await wms.send(scope="read")
        await wms.send(scope="", authorization=f"Bearer cs_{'A' * 43}")
    told = [one for one in logs if one["event"] in ("feed.answered", "feed.denied")]
    assert [(one["event"], one["status"], one.get("caller"), one["log_level"]) for one in told] == [
        ("feed.answered", 200, "operate", "info"),
        ("feed.denied", 401, None, "warning"),
        ("feed.denied", 403, "read", "warning"),
        ("feed.denied", 401, "", "warning"),
    ]
    assert all((one["feed"], one["address"]) == ("wms", "127.0.0.1") for one in told)
    assert all(Redactor(())(None, "info", dict(one)) == one for one in told), "a log that hides its words tells nothing"
    assert not any(token in str(logs) for token in wms.tokens.values())


@pytest.mark.parametrize("path", ["/feeds/other", "/feeds/folder", "/feeds/", "/feeds/wms/more"])
async def test_only_feeds_over_http_take_files(wms: Wms, path: str) -> None:
    assert (await wms.send(path=path)).status_code == 404


@pytest.mark.fault(14, "a feed's body beyond the limit is 413, and nothing of it is imported")
async def test_what_is_too_large_compressed_or_no_key_is_refused(wms: Wms) -> None:
    assert (await wms.send("sku,units\n" + "MUG,+1\n" * 200)).status_code == 413
    assert (await wms.send(content_encoding="gzip")).status_code == 415
    assert (await wms.send(idempotency_key="k" * 201)).status_code == 400
    assert (await wms.client.get("/feeds/wms")).status_code == 405
    assert await wms.on_hand() == 0


@pytest.mark.fault(20, "a feed's file is answered 503 while the database is down, never 200")
async def test_without_the_database_the_file_is_to_come_again(wms: Wms, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_given: Any, **_more: Any) -> None:
        raise DatabaseUnavailable("it is down")

    right = wms.agent.database.transact
    monkeypatch.setattr(wms.agent.database, "transact", down)
    answer = await wms.send()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    monkeypatch.setattr(wms.agent.database, "transact", right)
    assert (await wms.send()).json()["outcome"] == "imported"


async def test_an_agent_that_stops_takes_no_file(wms: Wms) -> None:
    wms.agent.stopping = True
    assert (await wms.send()).status_code == 503
    assert await wms.on_hand() == 0


async def test_so_many_files_are_taken_at_once_and_the_next_is_to_come_again(
    wms: Wms, monkeypatch: pytest.MonkeyPatch
) -> None:
    came, go_on = [asyncio.Event() for _ in range(AT_ONCE)], asyncio.Event()
    waiting = iter(came)
    real = feeds.take_file

    async def slow(*given: Any) -> Any:
        next(waiting).set()
        await go_on.wait()
        return await real(*given)

    monkeypatch.setattr(feeds, "take_file", slow)
    async with asyncio.timeout(HANG_GUARD):
        first = [asyncio.create_task(wms.send(f"sku,units\nMUG,+{number}\n")) for number in range(1, AT_ONCE + 1)]
        await asyncio.gather(*(one.wait() for one in came))
        refused = await wms.send("sku,units\nMUG,+9\n")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        go_on.set()
        assert [(await one).status_code for one in first] == [200] * AT_ONCE
    assert await wms.on_hand() == sum(range(1, AT_ONCE + 1))


async def test_two_of_one_body_at_once_are_one_file(wms: Wms) -> None:
    answers = await asyncio.gather(wms.send(), wms.send(), return_exceptions=False)
    assert {one.status_code for one in answers} <= {200, 503}
    assert await wms.on_hand() == 3
