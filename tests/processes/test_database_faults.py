"""Real daemons while an answer is lost, and descriptors run out."""

from __future__ import annotations

import asyncio
import os
import re
import resource
from typing import Any

import httpx
import pytest

from channelsync.sync.verify import verify

pytestmark = pytest.mark.processes


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
        day.configure('listen = ""', 'listen = "127.0.0.1:0"')
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
