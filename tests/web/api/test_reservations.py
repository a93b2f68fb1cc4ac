"""Reservations over the API: refused when short, whoever asks at once."""

from __future__ import annotations

import asyncio
from typing import Any


def wanted(order: str, units: int = 1, sku: str = "MUG") -> dict[str, Any]:
    return {"order": order, "lines": [{"sku": sku, "units": units}]}


async def test_units_are_reserved_until_they_are_released(api: Any) -> None:
    await api.has("MUG", 5)
    assert (await api.post("/reservations", wanted("cart", 4))).status_code == 201
    assert (await api.get("/positions/MUG")).json()["available"] == 1
    assert (await api.post("/reservations/cart/release", {"lines": [{"sku": "MUG", "units": 1}]})).status_code == 200
    assert (await api.get("/positions/MUG")).json()["available"] == 2
    assert (await api.post("/reservations/cart/release")).json()["status"] == "cancelled"
    assert (await api.get("/positions/MUG")).json()["available"] == 5


async def test_a_short_reservation_is_refused_and_says_how_many_there_are(api: Any, refusal: Any) -> None:
    await api.has("MUG", 5)
    await api.post("/reservations", wanted("first", 3))
    short = await api.post("/reservations", wanted("second", 3))
    assert refusal(short) == (409, "short-of-units")
    assert short.json()["short"] == {"what": "MUG", "wanted": 3, "available": 2}
    assert "MUG: 3 units wanted, 2 available" in short.json()["detail"]
    assert (await api.get("/positions/MUG")).json()["reserved"] == 3
    unknown = await api.post("/reservations", wanted("third", 1, "NOPE"))
    assert refusal(unknown) == (409, "short-of-units")


async def test_the_same_reservation_again_reserves_nothing_more(api: Any) -> None:
    await api.has("MUG", 5)
    statuses = [(await api.post("/reservations", wanted("cart", 3))).status_code for _ in range(3)]
    assert statuses == [201, 200, 200]
    assert (await api.get("/positions/MUG")).json()["reserved"] == 3


async def test_of_many_that_reserve_at_once_as_many_get_a_unit_as_there_are(api: Any) -> None:
    await api.has("MUG", 7)
    answers = await asyncio.gather(*(api.post("/reservations", wanted(f"cart-{number}")) for number in range(20)))
    assert sorted(one.status_code for one in answers) == [201] * 7 + [409] * 13
    assert (await api.get("/positions/MUG")).json()["available"] == 0


async def test_two_equal_reservations_at_once_reserve_once(api: Any) -> None:
    await api.has("MUG", 7)
    answers = await asyncio.gather(*(api.post("/reservations", wanted("cart", 2)) for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [200] * 5 + [201]
    assert (await api.get("/positions/MUG")).json()["reserved"] == 2


async def test_a_reservation_ships_as_the_order_of_its_id(api: Any) -> None:
    await api.has("MUG", 7)
    await api.post("/reservations", wanted("cart", 2))
    assert (await api.post("/orders/cart/ship")).json()["status"] == "closed"
    assert (await api.get("/positions/MUG")).json()["on_hand"] == 5


async def test_what_is_promised_is_listed_the_oldest_first(api: Any) -> None:
    await api.shelve({"MUG": 5, "BOWL": 5})
    for number in range(4):
        await api.post("/reservations", wanted(f"cart-{number}", 1, "MUG" if number % 2 else "BOWL"))
        api.clock.at = api.clock.at.replace(minute=number)
    await api.post("/reservations/cart-0/release")

    async def found(**parameters: Any) -> list[tuple[str, str]]:
        return [(row["order"], row["sku"]) for row in await api.listed("/reservations", limit=1, **parameters)]

    everything = await found()
    assert sorted(everything) == [("cart-1", "MUG"), ("cart-2", "BOWL"), ("cart-3", "MUG")]
    assert await found(sku="MUG") == [one for one in everything if one[1] == "MUG"]
    assert await found(order="cart-2", channel="manual", location="main") == [("cart-2", "BOWL")]
    assert await found(channel="shop") == []


async def test_of_two_that_reserve_other_units_under_one_id_at_once_one_is_refused(api: Any) -> None:
    await api.has("MUG", 7)
    answers = await asyncio.gather(*(api.post("/reservations", wanted("cart", units)) for units in (1, 2, 3)))
    assert sorted(one.status_code for one in answers) == [201, 409, 409]
    (kept,) = [one.json()["lines"][0]["ordered"] for one in answers if one.status_code == 201]
    assert (await api.get("/positions/MUG")).json()["reserved"] == kept
