"""Plans over the API: what would move too much waits, and an admin decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from channelsync.domain.guard import GuardLimits
from channelsync.store.tables import metadata

STRICT = GuardLimits(listings=0.0, zeroed=0.0, units=0.0, value=None, least=1)


@pytest.fixture
async def guarded(api: Any) -> Any:
    """Eight mugs, listed on a channel where nothing may move unseen."""
    setup = api.agent.setup
    shop = replace(setup.channels["shop"], guard=STRICT)
    api.agent.setup = replace(setup, channels={**setup.channels, "shop": shop})
    await api.has("MUG", 8)
    await api.lists("MUG")
    shown = update(metadata.tables["quantity_key"]).values(value=8, target=8)
    await api.agent.database.transact(lambda c: c.execute(shown).rowcount)
    api.clock.at += timedelta(seconds=1)
    return api


async def held(api: Any, key: str = "k", units: int = 90) -> dict[str, Any]:
    """A count that is too much for the channel, and the plan that holds it."""
    answer = await api.post("/counts", {"sku": "MUG", "units": units, "location": "main"}, key=key)
    assert answer.status_code == 201, answer.text
    (plan,) = answer.json()["held"]
    assert plan["channel"] == "shop"
    return {**plan, "answer": answer}


async def test_what_would_move_too_much_is_named_and_waits(guarded: Any, refusal: Any) -> None:
    plan = await held(guarded)
    (row,) = await guarded.listed("/approvals", limit=1)
    assert (row["id"], row["state"], row["actor"], row["run"]) == (
        plan["id"],
        "open",
        "token:the-operate",
        plan["run"],
    )
    shown = (await guarded.get(f"/approvals/{plan['id']}")).json()
    assert shown["plan"] == row
    assert [(one["sku"], one["planned"], one["state"]) for one in shown["numbers"]] == [("MUG", 90, "held")]
    assert await guarded.listed("/approvals", channel="market") == []
    assert refusal(await guarded.get("/approvals/none")) == (404, "not-found")


async def test_an_admin_lets_a_plan_go_out_once(guarded: Any, refusal: Any) -> None:
    plan = await held(guarded)
    path = f"/approvals/{plan['id']}/approve"
    assert refusal(await guarded.post(path, {}, "operate")) == (403, "not-allowed")
    done = (await guarded.post(path, {"reason": "it is right"}, "admin")).json()
    assert (done["decided"]["plan"], done["decided"]["released"]) == (plan["id"], 1)
    assert refusal(await guarded.post(path, {}, "admin")) == (409, "refused")
    assert await guarded.listed("/approvals") == []
    (row,) = await guarded.listed("/approvals", everything="true")
    assert (row["state"], row["decided_by"], row["note"]) == ("approved", "token:the-admin", "it is right")


async def test_a_rejected_plan_is_undone_with_its_run_when_asked(guarded: Any, refusal: Any) -> None:
    plan = await held(guarded)
    done = await guarded.post(f"/approvals/{plan['id']}/reject", {"undo": True}, "admin")
    assert done.status_code == 200
    assert done.json()["decided"]["undone"]["run"] == plan["run"]
    assert (await guarded.get("/positions/MUG")).json()["on_hand"] == 8
    assert refusal(await guarded.post("/approvals/none/reject", {}, "admin")) == (404, "not-found")


async def test_a_repeat_of_what_was_held_names_the_same_plan(guarded: Any) -> None:
    plan = await held(guarded)
    again = await guarded.post("/counts", {"sku": "MUG", "units": 90, "location": "main"}, key="k")
    assert again.content == plan["answer"].content
    assert len(await guarded.listed("/approvals", everything="true")) == 1
