"""Long lists come whole, page by page, while rows are added and taken away."""

from __future__ import annotations

import random
from typing import Any

ROWS = 10_000
PAGE = 1000


async def through(api: Any, path: str, meanwhile: Any, **parameters: Any) -> list[dict[str, Any]]:
    """All pages of a list; `meanwhile` is done after each."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await api.get(path, limit=PAGE, **parameters, **({"cursor": cursor} if cursor else {}))
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found
        await meanwhile()


async def test_ten_thousand_positions_come_whole_while_rows_are_added(api: Any) -> None:
    names = [f"SKU-{number:05}" for number in range(ROWS)]
    chance = random.Random(7)
    await api.shelve(dict.fromkeys(names, 1))
    added: list[str] = []

    async def add() -> None:
        new = [f"SKU-{chance.randrange(ROWS):05}-{len(added)}" for _ in range(1)]
        added.extend(new)
        await api.shelve(dict.fromkeys(new, 1))

    rows = [row["sku"] for row in await through(api, "/positions", add)]
    assert len(rows) == len(set(rows))
    assert rows == sorted(rows)
    assert set(names) <= set(rows) <= {*names, *added}
    assert len(added) >= ROWS // PAGE - 1


async def test_listings_come_whole_while_rows_are_added(api: Any) -> None:
    names = [f"L-{number:05}" for number in range(2 * PAGE)]
    await api.lists(*names)
    added = iter(f"L-0{number}" for number in range(100))

    async def add() -> None:
        await api.lists(next(added))

    rows = [row["listing"] for row in await through(api, "/listings", add)]
    assert len(rows) == len(set(rows))
    assert set(names) <= set(rows)


async def test_orders_that_come_while_the_list_is_read_move_none_out_of_it(api: Any) -> None:
    await api.has("MUG", 100)
    for number in range(30):
        await api.post("/orders", {"order": f"{number}", "lines": [{"sku": "MUG", "units": 1}]})
        if number % 7 == 0:
            api.clock.at += api.clock.at.resolution
    seen: list[str] = []
    cursor = ""
    for number in range(100):
        answer = (await api.get("/orders", limit=4, **({"cursor": cursor} if cursor else {}))).json()
        seen += [row["order"] for row in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break
        api.clock.at += api.clock.at.resolution
        await api.post("/orders", {"order": f"new-{number}", "lines": [{"sku": "MUG", "units": 1}]})
    assert sorted(seen) == sorted(str(number) for number in range(30))
