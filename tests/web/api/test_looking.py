"""Listings, channels, findings, runs and explanations over the API, on both databases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from channelsync.domain.findings import Finding, FindingKind
from channelsync.store import findings, runs

RECEIPT = {"sku": "MUG", "units": 4, "location": "main"}


async def test_listings_come_in_pages_with_what_they_are_mapped_to(api: Any, refusal: Any) -> None:
    await api.shelve({"MUG": 1, "BOWL": 1})
    await api.lists("MUG", "BOWL", "unknown")
    await api.lists("MUG", channel="market")

    async def found(**parameters: Any) -> list[tuple[str, str, str | None]]:
        rows = await api.listed("/listings", limit=1, **parameters)
        return [(row["channel"], row["listing"], row["mapped_to"]) for row in rows]

    assert await found() == [
        ("market", "MUG", "MUG"),
        ("shop", "BOWL", "BOWL"),
        ("shop", "MUG", "MUG"),
        ("shop", "unknown", None),
    ]
    assert await found(channel="market") == [("market", "MUG", "MUG")]
    assert await found(channel=["market", "shop"], sku="MUG") == [("market", "MUG", "MUG"), ("shop", "MUG", "MUG")]
    assert await found(unmapped="true") == [("shop", "unknown", None)]
    assert refusal(await api.get("/listings", channel="nowhere")) == (404, "not-found")


async def test_a_listing_is_shown_by_its_channel_and_id(api: Any, refusal: Any) -> None:
    await api.lists("gid://shop/1")
    shown = await api.get("/listings/shop/gid%3A%2F%2Fshop%2F1")
    assert (shown.json()["listing"], shown.json()["state"]) == ("gid://shop/1", "active")
    assert refusal(await api.get("/listings/shop/2")) == (404, "not-found")
    assert refusal(await api.get("/listings/manual/2")) == (404, "not-found")


async def test_channels_are_shown_with_their_mode(api: Any, refusal: Any) -> None:
    shown = (await api.get("/channels")).json()["items"]
    assert [(one["name"], one["connector"], one["mode"]) for one in shown] == [
        ("shop", "memory", "live"),
        ("market", "memory", "live"),
    ]
    assert (await api.get("/channels/market")).json() == shown[1]
    assert refusal(await api.get("/channels/nowhere")) == (404, "not-found")


async def found_wrong(api: Any, *subjects: str, kind: FindingKind = FindingKind.DRIFT, channel: str = "shop") -> None:
    for subject in subjects:
        one = Finding(kind=kind, subject=(subject,), channel=channel, summary=f"{subject} is wrong", evidence={"n": 1})
        await api.agent.database.transact(lambda c, one=one: findings.open_findings(c, [one], api.clock.now()))
        api.clock.at += timedelta(seconds=1)


async def test_findings_come_in_pages_the_newest_first(api: Any, refusal: Any) -> None:
    await found_wrong(api, "a", "b")
    await found_wrong(api, "c", kind=FindingKind.OVERSOLD, channel="")

    async def found(**parameters: Any) -> list[str]:
        return [row["summary"][0] for row in await api.listed("/findings", limit=1, **parameters)]

    assert await found() == ["c", "b", "a"]
    assert await found(kind="oversold") == ["c"]
    assert await found(channel="shop") == ["b", "a"]
    assert refusal(await api.get("/findings", kind="nonsense")) == (404, "not-found")


async def test_a_finding_is_closed_once_and_by_whom_is_kept(api: Any, refusal: Any) -> None:
    await found_wrong(api, "a")
    (open_one,) = (await api.get("/findings")).json()["items"]
    path = f"/findings/{open_one['id']}"
    assert (await api.get(path)).json() == open_one
    closed = (await api.post(f"{path}/close", {"why": "counted again"})).json()
    assert (closed["closed_at"], closed["closed_why"]) == ("2026-03-01T09:00:01Z", "counted again")
    again = (await api.post(f"{path}/close", {"why": "once more"})).json()
    assert again["closed_why"] == "counted again"
    assert (await api.get("/findings")).json()["items"] == []
    assert [one["id"] for one in await api.listed("/findings", everything="true")] == [open_one["id"]]
    for unknown in ("/findings/99", "/findings/x", "/findings/99999999999", "/findings/0"):
        assert refusal(await api.get(unknown)) == (404, "not-found")
    changes = await api.agent.database.query(lambda c: [runs.changes_of(c, run.id) for run in runs.list_runs(c)])
    assert [one.subject for some in changes for one in some] == [str(open_one["id"])]


async def test_a_run_is_shown_with_what_it_did_and_undone_by_an_admin(api: Any, refusal: Any) -> None:
    received = (await api.post("/receipts", {**RECEIPT, "create_item": True}, key="k")).json()
    run = received["run"]
    shown = (await api.get(f"/runs/{run}")).json()
    assert (shown["command"], shown["actor"], shown["outcome"]) == ("stock receive", "token:the-operate", "done")
    assert (shown["entries"], shown["change_count"]) == (1, 1)
    assert shown["changes"][0]["kind"] == "item"
    assert refusal(await api.post(f"/runs/{run}/undo", {}, "operate")) == (403, "not-allowed")
    undone = await api.post(f"/runs/{run}/undo", {"reason": "wrong note"}, "admin")
    assert undone.status_code == 200
    assert (undone.json()["undone"]["run"], undone.json()["undone"]["entries"]) == (run, 1)
    assert (await api.get("/positions/MUG")).json()["on_hand"] == 0
    undoing = (await api.get(f"/runs/{undone.json()['run']}")).json()
    assert (undoing["command"], undoing["actor"]) == ("undo", "token:the-admin")
    assert (await api.get(f"/runs/{run}")).json()["undone_by"] == undoing["id"]
    assert refusal(await api.post(f"/runs/{run}/undo", {}, "admin")) == (409, "refused")
    assert refusal(await api.post("/runs/none/undo", {}, "admin")) == (404, "not-found")


async def test_a_run_is_undone_once_by_two_at_once(api: Any) -> None:
    await api.has("MUG", 0)
    run = (await api.post("/receipts", RECEIPT, key="k")).json()["run"]
    answers = await asyncio.gather(*(api.post(f"/runs/{run}/undo", {}, "admin") for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 409, 409, 409]
    assert (await api.get("/positions/MUG")).json()["on_hand"] == 0


async def test_runs_come_in_pages_the_latest_first(api: Any) -> None:
    await api.has("MUG", 0)
    made = []
    for number in range(5):
        made.append((await api.post("/receipts", RECEIPT, key=f"k{number}")).json()["run"])
        if number % 2:
            api.clock.at += timedelta(seconds=1)
    rows = await api.listed("/runs", limit=2)
    assert {row["id"] for row in rows} == {"test", *made}
    assert rows == (await api.get("/runs")).json()["items"]
    assert [row["started_at"] for row in rows] == sorted((row["started_at"] for row in rows), reverse=True)


async def test_a_number_is_explained_now_and_as_it_was(api: Any, refusal: Any) -> None:
    await api.has("MUG", 4)
    await api.lists("MUG")
    began = api.clock.now()
    api.clock.at += timedelta(hours=1)
    await api.post("/orders", {"order": "1", "lines": [{"sku": "MUG", "units": 1}]})
    now = (await api.get("/explain/MUG")).json()
    assert [(one["location"], one["available"]) for one in now["positions"]] == [("main", 3), ("shop-floor", 0)]
    (number,) = now["numbers"]
    assert (number["channel"], number["should"], number["steps"][0]["step"]) == ("shop", 3, "sum of locations")
    assert (await api.get("/explain/MUG", channel="market")).json()["numbers"] == []
    then = (await api.get("/explain/MUG", at=began.isoformat())).json()
    assert (then["past"], then["positions"][0]["available"]) == (True, 4)
    assert refusal(await api.get("/explain/NOPE")) == (404, "not-found")
    assert refusal(await api.get("/explain/MUG", channel="nowhere")) == (404, "not-found")
    assert refusal(await api.get("/explain/MUG", at="2027-01-01T00:00:00Z")) == (409, "refused")


async def test_orders_that_could_not_be_understood_are_listed(api: Any) -> None:
    from channelsync.store.orders import keep_unreadable

    for number in range(3):
        api.clock.at += timedelta(seconds=number % 2)
        await api.agent.database.transact(
            lambda c, number=number: keep_unreadable(c, "shop", [(f"{number}", "odd", "{}")], api.clock.now())
        )
    rows = await api.listed("/unreadable-orders", limit=1)
    assert [(row["order"], row["reason"]) for row in rows] == [("1", "odd"), ("2", "odd"), ("0", "odd")]
    assert (await api.get("/orders/1")).json()["head"]["reason"] == "odd"
