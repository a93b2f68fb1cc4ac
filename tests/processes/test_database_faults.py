"""Real daemons while PostgreSQL is killed, an answer is lost, and descriptors run out."""

from __future__ import annotations

import asyncio
import os
import re
import resource
from typing import Any

import asyncpg
import httpx
import pytest

from channelsync.store.database import open_database
from channelsync.store.embedded_postgres import EmbeddedPostgres
from channelsync.store.migrations import upgrade
from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes


@pytest.mark.fault(52, "sessions ended and the server killed while the daemon works: it goes on, nothing is lost")
@pytest.mark.postgresql
async def test_a_daemon_whose_postgresql_is_killed_goes_on_by_itself_once_it_is_back(
    open_day: Any, own_postgresql_server: EmbeddedPostgres
) -> None:
    server = own_postgresql_server
    server.start()
    server.create_database("shop")
    async with open_database(server.url("shop")) as database:
        await upgrade(database)
    async with open_day(server.url("shop"), 52) as day, day.running() as process:
        await day.settled(process)
        for number in range(3):
            day.sites["agora"].marketplace.buy(f"agora-SKU-{number}", 1)
            await day.trapped("/v1/orders", 1, lambda: None, before=False)
            other = await asyncpg.connect(server.url())
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = 'shop' AND pid <> pg_backend_pid()"
            )
            await other.close()
        day.sites["bazaar"].marketplace.buy("bazaar-SKU-4", 2)
        await day.trapped("", 1, server.kill9, before=False)
        day.sites["agora"].marketplace.buy("agora-SKU-6", 1)
        server.start()
        await day.settled(process)
        assert (await day.database.query(verify, snapshot=True)).problems == []
        assert day.wire.never_back()


@pytest.mark.fault(26, "the very same keyed write is repeated, or the number read first; it ends at the right one")
async def test_a_daemon_whose_write_was_applied_and_not_answered_sends_no_other_before_it_knows(
    open_day: Any, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_day(sqlite_url, 26) as day:
        api = day.sites["agora"].api
        handle = type(api).handle
        lost: list[int] = []

        def handled(self: Any, request: Any) -> Any:
            reply = handle(self, request)
            if self is api and request.path == "/v1/numbers" and not lost:
                lost.append(len(day.wire.calls))
                return type(reply)(0, fate="is reset")
            return reply

        monkeypatch.setattr(type(api), "handle", handled)
        async with day.running() as process:
            day.sites["bazaar"].marketplace.buy("bazaar-SKU-5", 3)
            await day.settled(process)
            if not lost:
                pytest.fail("nothing was written")
        _, _, body = day.wire.calls[lost[0] - 1]
        for row in body["updates"]:
            path, said = next(
                (path, said)
                for name, path, said in day.wire.calls[lost[0] :]
                if name == "agora" and path.startswith("/v1/numbers") and row["key"] in str(said)
            )
            assert path == "/v1/numbers/read" or row in said["updates"], "only the very same write may be repeated"
        assert (await day.database.query(verify, snapshot=True)).problems == []


@pytest.mark.fault(57, "with few descriptors connections are shed; once they are gone it answers again")
async def test_a_daemon_without_descriptors_sheds_load_and_answers_again(open_day: Any, sqlite_url: str) -> None:
    async with open_day(sqlite_url, 57) as day:
        day.config.write_text(day.config.read_text().replace('listen = ""', 'listen = "127.0.0.1:0"'))
        async with day.running() as process:
            await day.settled(process)
            said = re.findall(r'"address": ?"(127\.0\.0\.1:\d+)"', day.log.read_text())
            host, port = said[-1].split(":")
            used = len(os.listdir(f"/proc/{process.pid}/fd"))
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 20, used + 20))
            held = [await asyncio.open_connection(host, int(port)) for _ in range(80)]
            day.sites["agora"].marketplace.buy("agora-SKU-1", 1)
            await day.until(lambda: _exhausted(process.pid, used + 18))
            for _, writer in held:
                writer.close()

            async def answers() -> bool:
                assert process.poll() is None, day.tail()
                async with httpx.AsyncClient() as client:
                    try:
                        return (await client.get(f"http://{host}:{port}/healthz")).status_code == 200
                    except httpx.TransportError:
                        return False

            await day.until(answers)
            await day.settled(process)
        assert (await day.database.query(verify, snapshot=True)).problems == []


async def _exhausted(pid: int, many: int) -> bool:
    return len(os.listdir(f"/proc/{pid}/fd")) >= many
