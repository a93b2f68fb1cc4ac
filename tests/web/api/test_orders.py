"""Orders of our own over the API, and orders of all channels to look at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus
from channelsync.store import runs
from channelsync.sync.book_orders import Arrival, book_orders

MUGS = [{"sku": "MUG", "units": 2}]


async def test_an_order_is_booked_shipped_and_done(api: Any) -> None:
    await api.has("MUG", 5)
    booked = await api.post("/orders", {"order": "1", "lines": MUGS})
    assert booked.status_code == 201
    assert booked.json() == {
        "channel": "manual",
        "order": "1",
        "status": "open",
        "changed": True,
        "lines": [{"line": "MUG", "sku": "MUG", "ordered": 2, "shipped": 0, "cancelled": 0, "open": 2, "waits": False}],
        "oversold": [],
    }
    shipped = await api.post("/orders/1/ship", {"lines": [{"sku": "MUG", "units": 1}], "location": "main"})
    assert (shipped.status_code, shipped.json()["lines"][0]["shipped"]) == (200, 1)
    assert (await api.post("/orders/1/ship", {})).json()["status"] == "closed"
    item = (await api.get("/positions/MUG")).json()
    assert (item["on_hand"], item["reserved"]) == (3, 0)


async def test_the_same_call_again_changes_nothing(api: Any) -> None:
    await api.has("MUG", 5)
    assert (await api.post("/orders", {"order": "1", "lines": MUGS})).status_code == 201
    again = await api.post("/orders", {"order": "1", "lines": MUGS})
    assert (again.status_code, again.json()["changed"]) == (200, False)
    cancelled = {"lines": [{"sku": "MUG", "units": 1}]}
    assert (await api.post("/orders/1/cancel", cancelled)).json()["changed"] is True
    assert (await api.post("/orders/1/cancel", cancelled)).json()["changed"] is False
    assert (await api.get("/positions/MUG")).json()["reserved"] == 1


async def test_the_same_id_with_other_lines_is_refused_unless_change_is_said(api: Any, refusal: Any) -> None:
    await api.has("MUG", 5)
    await api.post("/orders", {"order": "1", "lines": MUGS})
    other = {"order": "1", "lines": [{"sku": "MUG", "units": 3}]}
    assert refusal(await api.post("/orders", other)) == (409, "refused")
    assert (await api.post("/orders", {**other, "change": True})).status_code == 201
    assert (await api.get("/positions/MUG")).json()["reserved"] == 3


async def test_an_order_is_booked_though_units_are_short_and_says_so(api: Any) -> None:
    await api.has("MUG", 1)
    booked = (await api.post("/orders", {"order": "1", "lines": MUGS})).json()
    assert booked["oversold"] == [{"sku": "MUG", "location": "main", "available": -1}]


async def test_the_publishers_are_woken_by_a_change_and_by_nothing_else(api: Any) -> None:
    await api.has("MUG", 1)
    await api.get("/orders")
    assert not api.agent.changed.is_set()
    await api.post("/orders", {"order": "1", "lines": MUGS})
    assert api.agent.changed.is_set()


async def test_orders_of_all_channels_are_listed_and_filtered(api: Any) -> None:
    await api.has("MUG", 9)
    await api.lists("MUG")
    now = api.clock.now()
    line = OrderLine(line="1", ordered=1, listing="MUG")
    orders = [
        OrderSnapshot(order=f"s-{number}", version=now, placed_at=now, status=OrderStatus.OPEN, lines=(one,))
        for number, one in enumerate([line, OrderLine(line="1", ordered=1, listing="unknown")])
    ]
    arrived = [Arrival(channel="shop", order=order) for order in orders]
    await api.agent.database.transact(lambda c: book_orders(c, api.agent.setup, arrived, now=now, run="test"))
    api.clock.at = now.replace(hour=10)
    await api.post("/orders", {"order": "m-1", "lines": MUGS})

    async def found(**parameters: Any) -> list[str]:
        return [row["order"] for row in await api.listed("/orders", limit=1, **parameters)]

    assert await found() == ["m-1", "s-0", "s-1"]
    assert await found(channel="manual") == ["m-1"]
    assert await found(only="waiting") == ["s-1"]
    assert await found(only="closed") == []
    assert await found(sku="MUG") == ["m-1", "s-0"]
    assert await found(since="2026-03-01T10:00:00+00:00") == ["m-1"]


async def test_an_order_is_shown_with_where_its_units_come_from(api: Any, refusal: Any) -> None:
    await api.has("MUG", 9)
    await api.post("/orders", {"order": "2024/17", "lines": MUGS})
    shown = (await api.get("/orders/2024%2F17")).json()
    assert shown["head"]["status"] == "open"
    assert shown["legs"][0]["takes"] == {"MUG": 1}
    assert [one["kind"] for one in shown["entries"]] == ["reserve"]
    assert refusal(await api.get("/orders/2024%2F18")) == (404, "not-found")
    assert refusal(await api.get("/orders/2024%2F17", channel="shop")) == (404, "not-found")
    assert refusal(await api.post("/orders/2024%2F18/ship", {})) == (404, "not-found")


async def test_an_order_shows_when_the_channel_took_its_units_off_its_number(api: Any) -> None:
    await api.has("MUG", 9)
    await api.lists("MUG")
    now = api.clock.now()
    line = OrderLine(line="1", ordered=1, listing="MUG")
    for name, taken in (("waits", None), ("taken", now)):
        order = OrderSnapshot(
            order=name, version=now, placed_at=now, status=OrderStatus.PENDING, lines=(line,), deducted_at=taken
        )
        arrived = [Arrival(channel="shop", order=order)]
        await api.agent.database.transact(lambda c, a=arrived: book_orders(c, api.agent.setup, a, now=now, run="test"))
        head = (await api.get(f"/orders/{name}", channel="shop")).json()["head"]
        told = head["deducted_at"]
        assert (head["status"], told and datetime.fromisoformat(told)) == ("pending", taken)


async def test_a_change_is_a_run_that_names_the_token(api: Any) -> None:
    await api.has("MUG", 9)
    await api.post("/orders", {"order": "1", "lines": MUGS})
    (run,) = [one for one in await api.agent.database.query(runs.list_runs) if one.id != "test"]
    assert (run.command, run.actor, run.outcome) == ("orders book", "token:the-operate", "done")
    shown = (await api.get("/orders/1")).json()
    assert {one["run"] for one in shown["entries"]} == {run.id}


async def test_what_cannot_be_said_of_an_order_is_refused_and_leaves_no_run(api: Any, refusal: Any) -> None:
    await api.has("MUG", 9)
    await api.post("/orders", {"order": "1", "lines": MUGS})
    before = await api.agent.database.query(runs.list_runs)
    for path, body in (
        ("/orders/1/ship", {"lines": [{"sku": "MUG", "units": 3}]}),
        ("/orders/1/ship", {"lines": [{"sku": "BOWL", "units": 1}]}),
        ("/orders/1/cancel", {"lines": [*MUGS, *MUGS]}),
        ("/orders/1/cancel", {"lines": [{"sku": "MUG", "units": 99}]}),
        ("/orders", {"order": "2", "lines": [*MUGS, *MUGS]}),
        ("/orders", {"order": "2", "lines": MUGS, "placed_at": "2036-01-01T00:00:00Z"}),
        ("/orders", {"order": " 1", "lines": MUGS}),
        ("/reservations", {"order": "1 ", "lines": MUGS}),
        ("/orders", {"order": "2", "lines": [{"sku": "MUG", "units": 1, "location": "nowhere"}]}),
        ("/orders", {"order": "2", "lines": [{"sku": "MUG", "units": 10}], "refuse_short": True}),
    ):
        answer = await api.post(path, body)
        assert refusal(answer)[0] == 409, (path, body)
    assert await api.agent.database.query(runs.list_runs) == before
