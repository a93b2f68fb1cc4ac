"""The inbox: what is new is followed by whoever holds the account; what cannot be is set aside; old rows go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import Connection

from channelsync.domain.findings import FindingKind
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import WebhookHint
from channelsync.store import inbox, keys, orders
from channelsync.store.inbox import Delivery
from channelsync.sync.inbox import ATTEMPTS, Inbox, arrived, follow_new, keep_following, prune_inbox, replay
from channelsync.sync.leasing import Leases
from channelsync.sync.orders_by_id import read_hinted
from channelsync.sync.vault import Seals

SEALS = Seals([SecretStr(Fernet.generate_key().decode())])


async def comes(
    seller: Any, event: str, *orders: str, keys: Sequence[str] = (), body: bytes = b"{}", topic: str = "orders/create"
) -> str:
    """A genuine delivery comes in; says what became of it."""
    named = tuple(QuantityKey(key) for key in keys)
    hint = WebhookHint(topic=topic, event=event, sent_at=seller.clock.now(), orders=orders, keys=named)
    async with Inbox(seller.database) as kept:
        return await kept.keep(arrived("shop", hint, body, SEALS, seller.clock.now()))


async def rows(seller: Any, **chosen: Any) -> list[Delivery]:
    found = await seller.database.query(lambda c: inbox.list_deliveries(c, **chosen))
    return list(reversed(found))


async def states(seller: Any) -> list[tuple[str, str]]:
    return [(row.event, row.state) for row in await rows(seller)]


async def wanted(seller: Any, listing: str) -> bool:
    identity = seller.channel().identity

    def unit(connection: Connection) -> bool:
        (row,) = keys.ids_of(connection, identity, [(listing, "")]).values()
        return bool(keys.load_keys(connection, [row])[row].read_wanted)

    return bool(await seller.database.query(unit))


async def test_what_a_delivery_names_is_noted_and_it_is_done(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    channel = seller.channel()
    events = (channel.wake_hinted, channel.wake_publisher, channel.wake_orders)
    for event in events:
        event.clear()
    await comes(seller, "e-1", "o-1", "o-2")
    await comes(seller, "e-2", keys=[mug, "unknown"])

    followed = await follow_new(seller.agent, channel)

    assert followed.done == 2
    assert await states(seller) == [("e-1", "done"), ("e-2", "done")]
    assert await seller.hinted() == ["o-1", "o-2"]
    assert await wanted(seller, mug)
    assert [event.is_set() for event in events] == [True, True, False]


async def test_one_that_names_nothing_wakes_the_poll(seller: Any) -> None:
    await seller.sells("MUG", 5)
    seller.channel().wake_orders.clear()
    await comes(seller, "e-1", topic="carts/update")
    await follow_new(seller.agent, seller.channel())
    assert seller.channel().wake_orders.is_set()


async def test_a_delivery_that_comes_to_two_receivers_at_once_is_a_copy_at_the_second(
    seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has looked before the first has committed."""
    assert await comes(seller, "e1") == "new"
    known, early = inbox._known, [True]
    monkeypatch.setattr(inbox, "_known", lambda c, some: {} if early and early.pop() else known(c, some))
    assert await comes(seller, "e1") == "copy"
    assert [(row.event, row.copies) for row in await rows(seller)] == [("e1", 1)]


async def test_what_was_followed_is_not_followed_again(seller: Any) -> None:
    await seller.sells("MUG", 5)
    await comes(seller, "e-1", "o-1")
    assert (await follow_new(seller.agent, seller.channel())).done == 1
    assert await comes(seller, "e-1", "o-1") == "copy"
    assert (await follow_new(seller.agent, seller.channel())).done == 0


async def test_noting_and_marking_are_one_transaction(seller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await seller.sells("MUG", 5)
    await comes(seller, "e-1", "o-1")

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "mark_done", dies)
        with pytest.raises(KeyboardInterrupt):
            await follow_new(seller.agent, seller.channel())
    assert await seller.hinted() == []
    assert await states(seller) == [("e-1", "new")]
    assert (await follow_new(seller.agent, seller.channel())).done == 1


async def test_only_the_channel_s_own_deliveries_are_followed(open_seller: Any) -> None:
    seller = await open_seller("shop", "market")
    await seller.sells("MUG", 5)
    await seller.pull("market")
    await comes(seller, "e-1", "o-1")
    assert (await follow_new(seller.agent, seller.channel("market"))).done == 0
    assert (await follow_new(seller.agent, seller.channel("shop"))).done == 1


async def test_more_than_fit_in_one_transaction_are_all_followed(seller: Any) -> None:
    await seller.sells("MUG", 5)
    named = [WebhookHint(topic="t", event=f"e-{n}", sent_at=seller.clock.now(), orders=(f"o-{n}",)) for n in range(450)]
    async with Inbox(seller.database) as kept:
        await asyncio.gather(*(kept.keep(arrived("shop", one, b"", SEALS, seller.clock.now())) for one in named))
    assert (await follow_new(seller.agent, seller.channel())).done == 450
    assert len(await rows(seller, state="done", limit=1_000)) == 450


@pytest.mark.fault(64, "parked with its reason and a finding after 5 attempts; its neighbours are followed at once")
async def test_a_delivery_that_cannot_be_followed_is_parked_and_its_neighbours_are_not_held_up(
    seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seller.sells("MUG", 5)
    real = orders.hint_orders

    def fails(connection: Connection, channel: str, named: Any, now: Any) -> None:
        if "poison" in named:
            raise ZeroDivisionError("it is \x00 poison")
        real(connection, channel, named, now)

    for event, order in (("e-1", "o-1"), ("e-bad", "poison"), ("e-2", "o-2")):
        await comes(seller, event, order)
    with monkeypatch.context() as patched:
        patched.setattr(orders, "hint_orders", fails)
        assert (await follow_new(seller.agent, seller.channel())).done == 2
        assert await seller.hinted() == ["o-1", "o-2"]
        await comes(seller, "e-3", "o-3")
        for _ in range(ATTEMPTS - 1):
            assert (await states(seller))[1] == ("e-bad", "new")
            await follow_new(seller.agent, seller.channel())
    assert await states(seller) == [("e-1", "done"), ("e-bad", "parked"), ("e-2", "done"), ("e-3", "done")]
    (bad,) = await rows(seller, state="parked")
    assert (bad.attempts, "poison" in bad.why) == (ATTEMPTS, True)
    (finding,) = [one for one in await seller.findings() if one.kind == FindingKind.WEBHOOKS]
    assert "e-bad" in finding.summary
    assert "inbox replay" in finding.summary

    await seller.database.transact(lambda c: replay(c, [bad.id], seller.clock.now()))
    assert FindingKind.WEBHOOKS not in await seller.kinds()
    assert (await follow_new(seller.agent, seller.channel())).done == 1
    assert await seller.hinted() == ["o-1", "o-2", "o-3", "poison"]


async def test_an_order_id_that_a_database_cannot_hold_is_parked_or_noted_and_never_in_the_way(seller: Any) -> None:
    await seller.sells("MUG", 5)
    await comes(seller, "e-bad", "\x00")
    await comes(seller, "e-1", "o-1")
    for _ in range(ATTEMPTS):
        await follow_new(seller.agent, seller.channel())
    assert dict(await states(seller))["e-1"] == "done"
    assert "new" not in dict(await states(seller)).values()


async def test_a_quarantined_delivery_is_followed_only_when_somebody_says_so(seller: Any) -> None:
    await seller.sells("MUG", 5)
    assert await comes(seller, "e-1", "o-1", body=b"one") == "new"
    assert await comes(seller, "e-1", "o-2", body=b"two") == "quarantined"
    await follow_new(seller.agent, seller.channel())
    assert await seller.hinted() == ["o-1"]
    assert FindingKind.WEBHOOKS in await seller.kinds()

    (odd,) = await rows(seller, state="quarantined")
    replayed = await seller.database.transact(lambda c: replay(c, [odd.id, 999], seller.clock.now()))
    assert [(one.id, one.state) for one in replayed] == [(odd.id, "new")]
    await follow_new(seller.agent, seller.channel())
    assert await seller.hinted() == ["o-1", "o-2"]
    assert FindingKind.WEBHOOKS not in await seller.kinds()


async def test_bodies_go_after_days_and_rows_after_weeks(seller: Any) -> None:
    await seller.sells("MUG", 5)
    await comes(seller, "old", "o-1")
    await comes(seller, "old", "o-2", body=b"another")
    seller.clock.at += timedelta(days=25)
    await comes(seller, "young", "o-3")
    await prune_inbox(seller.database, seller.clock)
    assert [(row.event, row.has_body) for row in await rows(seller)] == [
        ("old", False),
        ("old", False),
        ("young", True),
    ]
    assert FindingKind.WEBHOOKS in await seller.kinds()

    seller.clock.at += timedelta(days=6)
    assert await prune_inbox(seller.database, seller.clock) == (0, 2)
    assert [row.event for row in await rows(seller)] == ["young"]
    assert FindingKind.WEBHOOKS not in await seller.kinds(), "nothing of it is there any more"
    assert await prune_inbox(seller.database, seller.clock, timedelta(days=1), timedelta(days=7)) == (1, 0)


async def test_much_that_is_old_goes_in_small_steps(seller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each transaction is short, and others get their turn in between."""
    from channelsync.sync import inbox as following

    monkeypatch.setattr(following, "_PRUNED_AT_ONCE", 3)
    for number in range(8):
        await comes(seller, f"e-{number}")
    taken: list[int] = []

    def counted(step: Any) -> Any:
        def work(*given: Any) -> int:
            taken.append(step(*given))
            return taken[-1]

        return work

    for step in ("drop_bodies", "drop_deliveries"):
        monkeypatch.setattr(inbox, step, counted(getattr(inbox, step)))
    seller.clock.at += timedelta(days=31)
    assert await prune_inbox(seller.database, seller.clock) == (8, 8)
    assert taken == [3, 3, 2, 3, 3, 2, 0]


async def test_what_waits_is_counted_by_channel_and_state(seller: Any) -> None:
    await seller.sells("MUG", 5)
    began = seller.clock.now()
    await comes(seller, "e-1", "o-1")
    seller.clock.at += timedelta(minutes=1)
    await comes(seller, "e-2", "o-2")
    waits = await seller.database.query(inbox.waiting)
    assert (waits["shop"].counts, waits["shop"].oldest_new) == ({"new": 2}, began)
    await follow_new(seller.agent, seller.channel())
    assert await seller.database.query(inbox.waiting) == {}
    assert await seller.database.query(inbox.last_events) == {("shop", "orders/create"): seller.clock.now()}


# The loop


async def test_the_loop_follows_what_comes_while_it_waits_and_only_where_the_account_is_held(seller: Any) -> None:
    await seller.sells("MUG", 5)
    seller.channel().wake_hinted.clear()
    leases = Leases(seller.agent, "worker")
    arrived_here = asyncio.Event()
    following = asyncio.create_task(keep_following(seller.agent, leases, arrived_here))
    try:
        async with asyncio.timeout(60):
            if seller.database.dialect == "postgresql":
                await comes(seller, "e-0", "o-0")
                for _ in range(2):  # when it begins to look for the second time, it has looked once
                    arrived_here.set()
                    while arrived_here.is_set():  # noqa: ASYNC110 - it clears what we set
                        await asyncio.sleep(0.01)
                assert await states(seller) == [("e-0", "new")], "another worker may hold the account"
                await leases.take(seller.channel().identity)
            await comes(seller, "e-1", "o-1")
            arrived_here.set()
            await seller.channel().wake_hinted.wait()
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    assert "o-1" in await seller.hinted()


async def test_a_bug_in_hearing_of_other_processes_ends_the_loop_instead_of_being_lost(
    seller: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_channel: str) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(seller.database, "listen", broken)
    async with asyncio.timeout(60):
        with pytest.raises(RuntimeError, match="a bug"):
            await keep_following(seller.agent, Leases(seller.agent, "worker"), asyncio.Event())


# From the hint to the ledger


@pytest.mark.fault(7, "the order is read again, and booked as it is now")
async def test_a_delivery_that_is_a_day_late_books_the_order_as_it_is_now(seller: Any) -> None:
    mug = await seller.sells("MUG", 5)
    shop = seller.shop()
    sale = shop.buy((shop.items[mug], 3))
    shop.cancel(sale)
    seller.clock.at += timedelta(hours=26)
    await comes(seller, "e-1", sale.id)
    await follow_new(seller.agent, seller.channel())
    await read_hinted(seller.agent, seller.channel())
    assert (await seller.position("MUG")).reserved == 0
    assert await seller.hinted() == []


async def test_a_burst_of_hints_is_read_to_its_end(seller: Any) -> None:
    mug = await seller.sells("MUG", 500)
    shop = seller.shop()
    for number in range(180):
        await comes(seller, f"e-{number}", shop.buy((shop.items[mug], 1)).id)
    await follow_new(seller.agent, seller.channel())
    assert await read_hinted(seller.agent, seller.channel()) == 180
    assert (await seller.position("MUG")).reserved == 180
    assert await seller.hinted() == []
