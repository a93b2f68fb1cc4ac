"""Receipts, adjustments, counts and transfers over the API, each done once for a key."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from channelsync.store import runs
from channelsync.sync.api_runs import ANSWERS_KEPT, prune_api_answers

RECEIPT = {"sku": "MUG", "units": 4, "location": "main", "create_item": True}


async def on_hand(api: Any, sku: str = "MUG") -> int:
    units: int = (await api.get(f"/positions/{sku}")).json()["on_hand"]
    return units


async def test_units_are_received_and_a_new_sku_becomes_an_item(api: Any) -> None:
    body = {
        **RECEIPT,
        "unit_cost": {"amount": "2.50", "currency": "EUR"},
        "lot": "L1",
        "at": "2026-03-01T08:00:00+01:00",
    }
    answer = await api.post("/receipts", body, key="k1")
    assert answer.status_code == 201
    (position,) = answer.json()["positions"]
    assert (position["sku"], position["available"]) == ("MUG", 4)
    (entry,) = (await api.get("/positions/MUG/entries")).json()["items"]
    assert (entry["unit_cost"], entry["currency"], entry["lot"]) == ("2.50", "EUR", "L1")
    assert (entry["at"], entry["run"]) == ("2026-03-01T07:00:00Z", answer.json()["run"])


async def test_an_order_that_waited_for_a_sku_is_booked_when_it_is_received(api: Any) -> None:
    await api.post("/orders", {"order": "1", "lines": [{"sku": "MUG", "units": 1}]})
    await api.post("/receipts", RECEIPT, key="k1")
    assert (await api.get("/positions/MUG")).json()["reserved"] == 1


async def test_units_are_adjusted_counted_and_moved(api: Any) -> None:
    await api.has("MUG", 10)
    adjusted = {"sku": "MUG", "units": -3, "location": "main", "reason": "broken"}
    assert (await api.post("/adjustments", adjusted, key="k1")).status_code == 201
    assert await on_hand(api) == 7
    assert (await api.post("/counts", {"sku": "MUG", "units": 9, "location": "main"}, key="k2")).status_code == 201
    moved = {"sku": "MUG", "units": 2, "source": "main", "target": "shop-floor"}
    told = (await api.post("/transfers", moved, key="k3")).json()["positions"]
    assert [(one["location"], one["on_hand"]) for one in told] == [("main", 7), ("shop-floor", 2)]


async def test_a_repeat_under_the_same_key_is_answered_alike_and_does_nothing(api: Any) -> None:
    first = await api.post("/receipts", RECEIPT, key="k1")
    reordered = dict(reversed(RECEIPT.items()))
    again = await api.post("/receipts", reordered, key="k1")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert await on_hand(api) == 4


async def test_the_same_key_for_another_request_is_refused(api: Any, refusal: Any) -> None:
    await api.post("/receipts", RECEIPT, key="k1")
    assert refusal(await api.post("/receipts", {**RECEIPT, "units": 5}, key="k1")) == (422, "key-used")
    moved = {"sku": "MUG", "units": 4, "location": "main"}
    assert refusal(await api.post("/counts", moved, key="k1")) == (422, "key-used")
    assert await on_hand(api) == 4


async def test_a_key_is_of_one_token(api: Any) -> None:
    await api.post("/receipts", RECEIPT, key="k1")
    assert (await api.post("/receipts", RECEIPT, "admin", key="k1")).status_code == 201
    assert await on_hand(api) == 8


async def test_a_key_is_free_again_when_its_request_was_refused(api: Any, refusal: Any) -> None:
    await api.has("MUG", 1)
    taken_off = {"sku": "MUG", "units": -2, "location": "main", "reason": "lost"}
    assert refusal(await api.post("/adjustments", taken_off, key="k1")) == (409, "refused")
    await api.has("MUG", 1)
    assert (await api.post("/adjustments", taken_off, key="k1")).status_code == 201
    assert await on_hand(api) == 0


async def test_two_equal_requests_at_once_have_one_effect_and_one_answer(api: Any) -> None:
    answers = await asyncio.gather(*(api.post("/receipts", RECEIPT, key="k1") for _ in range(8)))
    assert {(one.status_code, one.content) for one in answers} == {(201, answers[0].content)}
    assert await on_hand(api) == 4
    made = [run for run in await api.agent.database.query(runs.list_runs) if run.command == "stock receive"]
    assert len(made) == 1


async def test_an_answer_is_forgotten_after_a_day(api: Any) -> None:
    await api.post("/receipts", RECEIPT, key="k1")
    api.clock.at += ANSWERS_KEPT
    assert await prune_api_answers(api.agent) == 0
    api.clock.at += timedelta(seconds=1)
    assert await prune_api_answers(api.agent) == 1
    assert (await api.post("/receipts", RECEIPT, key="k1")).status_code == 201
    assert await on_hand(api) == 8


async def test_a_key_must_be_sent_and_be_one(api: Any, refusal: Any) -> None:
    assert refusal(await api.post("/receipts", RECEIPT)) == (400, "bad-request")
    assert refusal(await api.post("/receipts", RECEIPT, key="two words")) == (400, "bad-request")
    assert refusal(await api.post("/receipts", RECEIPT, key="k" * 256)) == (400, "bad-request")


async def test_what_the_rules_of_units_do_not_allow_is_refused(api: Any, refusal: Any) -> None:
    await api.has("MUG", 1)
    for path, body in (
        ("/receipts", {"sku": "NOPE", "units": 1, "location": "main"}),
        ("/receipts", {"sku": "MUG", "units": 1, "location": "nowhere"}),
        ("/receipts", {"sku": "MUG", "units": 1, "location": "main", "at": "2027-01-01T00:00:00Z"}),
        ("/transfers", {"sku": "MUG", "units": 2, "source": "main", "target": "shop-floor"}),
        ("/transfers", {"sku": "MUG", "units": 1, "source": "main", "target": "main"}),
    ):
        assert refusal(await api.post(path, body, key="k")) == (409, "refused"), body
