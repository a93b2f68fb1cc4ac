"""A file of positions that is written and read again: nothing changes, also where orders are read behind the times."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

import pytest

from channelsync.store import channels, items
from channelsync.store.items import Item, item_id
from channelsync.store.positions_view import PositionsWanted
from channelsync.sync.stock import By
from channelsync.sync.stock_count import CountBasis
from channelsync.sync.stock_export import Exported, exported
from channelsync.sync.stock_import import Declared, How, import_rows
from channelsync.sync.stock_import_file import read_file
from channelsync.sync.take_orders import poll_orders

BASES: list[CountBasis] = ["physical", "available"]


async def exports(seller: Any, basis: CountBasis) -> list[Exported]:
    modes, now = {"shop": "live"}, seller.clock.now()
    found: list[Exported] = await seller.database.query(
        lambda c: exported(c, modes, PositionsWanted(), basis, now), snapshot=True
    )
    return found


async def imports(seller: Any, rows: list[Exported], basis: CountBasis) -> int:
    """Imports the rows as their file; returns how many entries that made."""
    written = io.StringIO()
    writer = csv.DictWriter(written, [field.name for field in fields(Exported)])
    writer.writeheader()
    times = ("as_of", "orders_counted_up_to")
    writer.writerows(asdict(one) | {name: getattr(one, name).isoformat() for name in times} for one in rows)
    file = read_file("stock.csv", written.getvalue().encode())
    by = By(actor="import:stock.csv", run="test", now=seller.clock.now())
    how = How(declared=Declared(basis=basis, as_of=None, orders_up_to=None, location="main"))
    done = await seller.database.transact(lambda c: import_rows(c, seller.agent.setup, by, file, how))
    return int(done.entries)


@pytest.mark.parametrize("shipped", [1, 4])
@pytest.mark.parametrize("basis", BASES)
async def test_a_shipment_that_is_heard_of_after_the_export_still_takes_its_units(
    seller: Any, basis: CountBasis, shipped: int
) -> None:
    await seller.sells("MUG", 10, units=10)
    shop, channel = seller.shop(), seller.channel()
    (mug,) = shop.items.values()
    sale = shop.buy((mug, 4))
    seller.clock.at += timedelta(minutes=1)
    await poll_orders(seller.agent, channel)
    seller.clock.at += timedelta(minutes=1)
    shop.ship(sale, shipped)
    seller.clock.at += timedelta(minutes=1)

    rows = await exports(seller, basis)
    assert await imports(seller, rows, basis) == 0
    await poll_orders(seller.agent, channel)

    position = await seller.position("MUG")
    assert (position.on_hand, position.reserved, position.available) == (10 - shipped, 4 - shipped, 6)
    assert await imports(seller, await exports(seller, basis), basis) == 0


async def test_orders_are_counted_up_to_where_every_channel_that_is_not_off_was_read(seller: Any) -> None:
    await seller.sells("MUG", 10, units=10)
    began = seller.clock.now()
    (row,) = await exports(seller, "physical")
    assert row.orders_counted_up_to == began, "no channel ever read any: nothing is behind"

    for name, behind in (("shop", 5), ("gone", 90)):
        read_to = began - timedelta(minutes=behind)
        await seller.database.transact(lambda c, n=name, to=read_to: channels.save_channel(c, n, covered_to=to))
    (row,) = await exports(seller, "physical")
    assert (row.as_of, row.orders_counted_up_to) == (began, began - timedelta(minutes=5))
    await seller.database.transact(lambda c: channels.save_channel(c, "shop", mode="off"))
    (row,) = await exports(seller, "physical")
    assert row.orders_counted_up_to == began


async def test_what_nobody_said_is_in_no_file(seller: Any) -> None:
    await seller.sells("MUG", 10)
    cup = Item(id=item_id("CUP"), sku="CUP")
    await seller.database.transact(lambda c: items.add_items(c, [cup], seller.clock.now()))
    listing = await seller.lists("CUP", 5)
    await seller.pull()
    await seller.map(listing, "CUP")
    shop = seller.shop()
    shop.buy((shop.items[listing], 2))
    seller.clock.at += timedelta(minutes=1)
    await poll_orders(seller.agent, seller.channel())
    assert (await seller.position("CUP")).available == -2
    assert [one.sku for one in await exports(seller, "available")] == ["MUG"]
