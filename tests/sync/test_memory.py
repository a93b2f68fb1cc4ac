"""What a connector keeps over restarts: plain bytes by channel and name, in the database."""

from __future__ import annotations

from typing import Any

import pytest

from channelsync.sdk.memory import CONTENT_MAX, Memory, ProcessMemory
from channelsync.sync.memory import StoredMemory


@pytest.fixture(params=["stored", "process"])
def memory(request: pytest.FixtureRequest, database: Any, clock: Any) -> Memory:
    return StoredMemory(database, clock, "shop") if request.param == "stored" else ProcessMemory()


async def test_the_last_bytes_under_a_name_are_kept_and_empty_ones_are_forgotten(memory: Memory) -> None:
    assert await memory.get("feeds") is None
    await memory.put("feeds", b"one")
    await memory.put("feeds", b"\x00two")
    await memory.put("other", b"three")
    assert await memory.get("feeds") == b"\x00two"
    await memory.put("feeds", b"")
    await memory.put("never there", b"")
    assert await memory.get("feeds") is None
    assert await memory.get("other") == b"three"


async def test_more_than_a_channel_may_keep_is_refused_and_what_was_kept_stays(memory: Memory) -> None:
    await memory.put("feeds", b"one")
    with pytest.raises(ValueError, match="feeds"):
        await memory.put("feeds", b"x" * (CONTENT_MAX + 1))
    assert await memory.get("feeds") == b"one"


async def test_another_process_finds_it_and_another_channel_does_not(database: Any, clock: Any) -> None:
    await StoredMemory(database, clock, "shop").put("feeds", b"one")
    assert await StoredMemory(database, clock, "shop").get("feeds") == b"one"
    assert await StoredMemory(database, clock, "market").get("feeds") is None
