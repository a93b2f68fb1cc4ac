"""/healthz tells whether the process lives, /readyz whether it may be given work; both say little to strangers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from channelsync.sync.beats import LOOP, Beats
from channelsync.sync.readiness import State
from channelsync.web.app import build_app
from channelsync.web.health import health_routes

CHANNEL_DOWN = State(what="channel shop", level="amber", found="is left alone")
DATABASE_GONE = State(what="database", level="red", found="it does not answer")


class StillClock:
    """Stands where the test puts it."""

    at = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


async def asked(path: str, beats: Beats, states: Sequence[State] = (), *, details: bool = False) -> Any:
    async def look() -> Sequence[State]:
        return states

    app = build_app(health_routes(beats, look, details=details))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(path)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def beats(clock: StillClock) -> Beats:
    made = Beats(clock)
    made.touch(LOOP, 30)
    made.touch("shop: orders", 900)
    return made


async def test_a_process_whose_parts_beat_is_alive(beats: Beats, clock: StillClock) -> None:
    clock.at = 12.0
    answer = await asked("/healthz", beats)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "beat_age_seconds": 12.0, "parts": 2, "late": 0}


async def test_a_part_that_was_not_heard_of_in_time_makes_it_503(beats: Beats, clock: StillClock) -> None:
    clock.at = 901.0
    beats.touch(LOOP, 30)
    answer = await asked("/healthz", beats)
    assert answer.status_code == 503
    assert answer.json()["late"] == 1


async def test_names_are_told_only_where_details_are_wanted(beats: Beats) -> None:
    assert "shop" not in (await asked("/healthz", beats)).text
    assert (await asked("/healthz", beats, details=True)).json()["each"]["shop: orders"]["late_seconds"] == 0


async def test_what_is_amber_is_named_and_harms_nothing(beats: Beats) -> None:
    answer = await asked("/readyz", beats, [CHANNEL_DOWN])
    assert (answer.status_code, answer.json()["status"]) == (200, "amber")
    assert answer.json()["amber"] == ["channel shop"]


async def test_what_is_red_is_503(beats: Beats) -> None:
    answer = await asked("/readyz", beats, [CHANNEL_DOWN, DATABASE_GONE])
    assert (answer.status_code, answer.json()["status"], answer.json()["red"]) == (503, "red", ["database"])
    assert "does not answer" not in answer.text
    assert "does not answer" in (await asked("/readyz", beats, [DATABASE_GONE], details=True)).text


async def test_nothing_wrong_is_green_and_only_get_is_answered(beats: Beats) -> None:
    assert (await asked("/readyz", beats)).json() == {"status": "green", "red": [], "amber": []}
    app = build_app(health_routes(beats, lambda: pytest.fail("nobody may look")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        assert (await client.post("/healthz")).status_code == 405
