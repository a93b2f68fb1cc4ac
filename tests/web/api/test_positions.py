"""Positions over the API, on both databases."""

from __future__ import annotations

from typing import Any


async def test_positions_are_listed_by_sku_with_what_is_available(api: Any) -> None:
    await api.has("MUG", 5)
    await api.has("BOWL", 0)
    await api.has("MUG", 2, "shop-floor")
    rows = await api.listed("/positions")
    assert [(row["sku"], row["location"], row["on_hand"], row["available"]) for row in rows] == [
        ("MUG", "main", 5, 5),
        ("MUG", "shop-floor", 2, 2),
    ]
    assert [row["sku"] for row in await api.listed("/positions", everything="true")] == ["BOWL", "MUG", "MUG"]


async def test_positions_are_found_by_what_the_command_finds_them_by(api: Any) -> None:
    await api.shelve({"MUG": 5, "MUG-RED": 1, "BOWL": 3})
    await api.has("MUG", 2, "shop-floor")

    async def found(**parameters: Any) -> list[tuple[str, str]]:
        return [(row["sku"], row["location"]) for row in await api.listed("/positions", **parameters)]

    assert await found(location="shop-floor") == [("MUG", "shop-floor")]
    assert await found(search="red") == [("MUG-RED", "main")]
    assert await found(below=3) == [("MUG", "shop-floor"), ("MUG-RED", "main")]
    assert await found(sku=["BOWL", "MUG-RED"]) == [("BOWL", "main"), ("MUG-RED", "main")]
    assert await found(oversold="true") == []
    assert await found(withheld="true") == []


async def test_an_item_is_shown_with_all_its_locations_and_what_is_promised(api: Any) -> None:
    await api.has("MUG", 5)
    await api.has("MUG", 2, "shop-floor")
    lines = [{"sku": "MUG", "units": 3, "location": "main"}]
    assert (await api.post("/orders", {"order": "1", "lines": lines})).status_code == 201
    item = (await api.get("/positions/MUG")).json()
    assert (item["on_hand"], item["reserved"], item["available"]) == (7, 3, 4)
    assert [(one["location"], one["available"]) for one in item["positions"]] == [("main", 2), ("shop-floor", 2)]
    assert [(one["order"], one["open"]) for one in item["reservations"]] == [("1", 3)]


async def test_a_sku_may_have_slashes_blanks_and_letters_of_any_language(api: Any) -> None:
    for sku in ("A/B", "A B", "Größe 5 %/½", "a?b#c", "..", "+"):
        await api.has(sku, 1)
        shown = await api.client.get(
            f"/api/v1/positions/{''.join(f'%{byte:02X}' for byte in sku.encode())}", headers=api.headers("read")
        )
        assert shown.status_code == 200, sku
        assert shown.json()["sku"] == sku
        assert len((await api.get("/positions", sku=sku)).json()["items"]) == 1


async def test_the_ledger_of_an_item_comes_in_pages_the_latest_entry_first(api: Any) -> None:
    await api.has("MUG", 5)
    for number in range(5):
        body = {"sku": "MUG", "units": 1, "location": "shop-floor" if number == 2 else "main", "reason": f"{number}"}
        assert (await api.post("/adjustments", body, key=f"k{number}")).status_code == 201
        if number % 2:
            api.clock.at += api.clock.at.resolution
    entries = await api.listed("/positions/MUG/entries", limit=2)
    assert len(entries) == 6
    whole = (await api.get("/positions/MUG/entries")).json()["items"]
    assert entries == whole
    assert [one["actor"] for one in whole].count("token:the-operate") == 5
    assert [one["reason"] for one in await api.listed("/positions/MUG/entries", location="shop-floor")] == ["2"]


async def test_what_is_not_there_is_said_to_be_not_there(api: Any, refusal: Any) -> None:
    for path, parameters in (
        ("/positions/NOPE", {}),
        ("/positions/NOPE/entries", {}),
        ("/positions", {"sku": "NOPE"}),
        ("/positions", {"location": "nowhere"}),
        ("/positions/%00", {}),
        ("/positions/A%0AB", {}),
        ("/nothing", {}),
    ):
        assert refusal(await api.get(path, **parameters)) == (404, "not-found"), path
