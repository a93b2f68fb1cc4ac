"""Undoing a run: causes are taken back, facts stay, what is shown is computed again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.quantities import PositionKey
from channelsync.domain.rules import Fixed, Rule, RuleScope, RuleValues
from channelsync.store import channels, items, keys, listings, positions_view, rules, runs, sharing
from channelsync.store.items import item_id
from channelsync.sync.book_orders import Arrival, book_orders
from channelsync.sync.items import SplitOff, add_alias, item_itself, item_named, rename, split
from channelsync.sync.items_merge import merge
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.rule_changes import change_rule, plain_rule
from channelsync.sync.stock import By, Place, Refused
from channelsync.sync.stock_count import count
from channelsync.sync.stock_import import How, import_rows
from channelsync.sync.stock_import_file import read_file
from channelsync.sync.stock_import_rows import Declared
from channelsync.sync.stock_incoming import expect
from channelsync.sync.stock_moves import Receipt, Transfer, receive, transfer, unwithhold, withhold
from channelsync.sync.switches import change_channel
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.undo import Undone, undo
from channelsync.sync.verify import verify

HOUR = timedelta(hours=1)
OpenSeller = Callable[..., Awaitable[Any]]
Work = Callable[[Connection, Any, By], Any]


@dataclass(slots=True)
class Office:
    """Somebody who gives commands, each a run of its own, and takes some of them back."""

    seller: Any
    mug: str
    cup: str
    names: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        at: datetime = self.seller.clock.at
        return at

    async def run(self, work: Work, *, actor: str = "user:eve") -> str:
        """Does something as a run of its own, an hour after the last; returns the run."""
        self.seller.clock.at += HOUR
        name = f"run-{len(self.names) + 1}"
        self.names.append(name)
        by = By(actor=actor, run=name, now=self.now)

        def unit(connection: Connection) -> Any:
            runs.begin_run(connection, name, "command", actor, {}, self.now)
            return work(connection, self.seller.agent.setup, by)

        self.result = await self.seller.database.transact(unit)
        return name

    result: Any = None

    async def undoes(self, run: str) -> Undone:
        await self.run(lambda c, setup, by: undo(c, setup, by, run))
        done: Undone = self.result
        return done

    async def receives(self, units: int, **more: Any) -> str:
        receipt = Receipt(place=self.place("MUG"), units=units, **more)
        return await self.run(lambda c, setup, by: receive(c, setup, by, receipt))

    async def counts(self, units: int) -> str:
        return await self.run(lambda c, setup, by: count(c, setup, by, self.place("MUG"), units))

    def place(self, sku: str, location: str = "main") -> Place:
        return Place(sku, PositionKey(item_id(sku), location))

    async def sums(self, sku: str = "MUG", location: str = "main") -> tuple[int, int, int]:
        position = await self.seller.position(sku, location)
        return position.on_hand, position.reserved, position.withheld

    async def query(self, work: Callable[[Connection], Any]) -> Any:
        return await self.seller.database.query(work, snapshot=True)

    async def leads(self, sku: str) -> str | None:
        found = (await self.query(lambda c: items.items_by_sku(c, [sku]))).get(sku)
        return None if found is None else found.sku

    async def buys(self, listing: str, units: int) -> Any:
        """Somebody buys on the shop, and the order is taken in."""
        self.seller.clock.at += HOUR
        shop = self.seller.shop()
        sale = shop.buy((shop.items[listing], units))
        await poll_orders(self.seller.agent, self.seller.channel())
        return sale

    async def ships(self, sale: Any, units: int) -> None:
        self.seller.clock.at += HOUR
        self.seller.shop().ship(sale, units)
        await poll_orders(self.seller.agent, self.seller.channel())


@pytest.fixture
async def office(open_seller: OpenSeller) -> Any:
    """MUG and CUP are sold on the shop; ten and three are on hand."""
    seller = await open_seller("shop", locations=("main", "annex"))
    yield Office(seller, await seller.sells("MUG", 10), await seller.sells("CUP", 3))
    done = await seller.database.query(verify, snapshot=True)
    assert done.problems == []


async def test_received_units_are_taken_off_again_and_the_entry_says_why(office: Office) -> None:
    run = await office.receives(5, withheld=True)

    done = await office.undoes(run)

    assert (done.run, done.entries, done.left) == (run, 2, [])
    assert await office.sums() == (10, 0, 0)
    last = (await office.seller.entries("MUG"))[-1].movement
    assert last.cause.reason == f"run {run} was undone: received"
    assert last.cause.run == office.names[-1]


async def test_a_run_is_undone_once(office: Office) -> None:
    run = await office.receives(5)
    await office.undoes(run)

    with pytest.raises(Refused, match=r"Run run-1 \(command\) was undone by run-2 already"):
        await office.undoes(run)

    assert await office.sums() == (10, 0, 0)


async def test_undoing_the_undoing_run_has_it_back_and_it_can_be_undone_again(office: Office) -> None:
    run = await office.receives(5)
    await office.undoes(run)

    await office.undoes(office.names[-1])
    assert await office.sums() == (15, 0, 0)

    await office.undoes(run)
    assert await office.sums() == (10, 0, 0)


async def test_a_run_that_had_another_back_cannot_be_taken_back_once_that_was_undone_anew(office: Office) -> None:
    run = await office.receives(5)
    await office.undoes(run)
    await office.undoes(office.names[-1])
    had_back = office.names[-1]
    await office.undoes(run)

    with pytest.raises(Refused, match="Run run-3 dealt with run run-1, which was undone by run-4 since"):
        await office.undoes(had_back)

    assert await office.sums() == (10, 0, 0)


async def test_an_unknown_run_and_one_that_did_nothing_are_refused_and_not_marked(office: Office) -> None:
    with pytest.raises(Refused, match="There is no run 'r-0'"):
        await office.undoes("r-0")

    run = await office.run(lambda c, setup, by: None)
    with pytest.raises(Refused, match="did nothing that can be taken back"):
        await office.undoes(run)

    found = await office.query(lambda c: runs.get_run(c, run))
    assert found.undone_by == ""


async def test_a_transfer_goes_back(office: Office) -> None:
    wanted = Transfer(source=office.place("MUG"), target=office.place("MUG", "annex"), units=4)
    run = await office.run(lambda c, setup, by: transfer(c, setup, by, wanted))

    await office.undoes(run)

    assert (await office.sums(), await office.sums("MUG", "annex")) == ((10, 0, 0), (0, 0, 0))


async def test_units_that_were_sold_meanwhile_are_taken_off_all_the_same_and_it_is_said(office: Office) -> None:
    run = await office.receives(5)
    await office.buys(office.mug, 10)
    await office.run(lambda c, setup, by: withhold(c, setup, by, office.place("MUG"), 4))

    done = await office.undoes(run)

    assert await office.sums() == (10, 10, 4)
    ((below),) = done.below
    assert (below.sku, below.location, below.on_hand, below.available) == ("MUG", "main", 10, -4)
    assert await office.seller.kinds() == ["oversold"]


async def test_units_that_were_put_back_on_sale_meanwhile_cannot_be_put_back_twice(office: Office) -> None:
    run = await office.run(lambda c, setup, by: withhold(c, setup, by, office.place("MUG"), 4))
    await office.run(lambda c, setup, by: unwithhold(c, setup, by, office.place("MUG"), 3))

    done = await office.undoes(run)

    assert await office.sums() == (10, 0, 0)
    assert done.left == ["MUG at main: fewer units are set aside now than the run set aside; none are left"]


async def test_a_count_is_undone_together_with_what_it_said_of_orders(office: Office) -> None:
    run = await office.counts(4)
    assert (await office.seller.position("MUG")).counted_up_to == office.now

    await office.undoes(run)

    assert await office.sums() == (10, 0, 0)
    assert (await office.seller.position("MUG")).counted_up_to is None

    await office.undoes(office.names[-1])

    assert await office.sums() == (4, 0, 0)
    assert (await office.seller.position("MUG")).counted_up_to is not None


async def test_what_a_later_count_found_holds_also_without_the_run_before_it(office: Office) -> None:
    run = await office.receives(90)
    await office.counts(12)

    with pytest.raises(Refused, match="MUG at main: counted since; what the count found on hand holds"):
        await office.undoes(run)

    assert await office.sums() == (12, 0, 0)


async def test_a_later_count_that_was_undone_itself_holds_nothing(office: Office) -> None:
    run = await office.receives(90)
    counted = await office.counts(12)
    await office.undoes(counted)

    await office.undoes(run)

    assert await office.sums() == (10, 0, 0)


async def test_orders_taken_in_by_a_run_stay_and_are_named(office: Office) -> None:
    line = OrderLine(line="1", ordered=2, listing=office.mug)
    snapshot = OrderSnapshot(
        order="o", version=office.now, placed_at=office.now, status=OrderStatus.OPEN, lines=(line,)
    )

    def both(connection: Connection, setup: Any, by: By) -> None:
        book_orders(connection, setup, [Arrival(channel="shop", order=snapshot)], now=by.now, run=by.run)
        receive(connection, setup, by, Receipt(place=office.place("MUG"), units=5))

    done = await office.undoes(await office.run(both))

    assert await office.sums() == (10, 2, 0)
    assert done.left == ["1 entries by orders stay: they say what has happened"]


async def test_an_import_is_undone_whole_and_may_be_imported_again(office: Office) -> None:
    file = read_file("stock.csv", b"sku,location,units\nMUG,main,4\nPLATE,annex,7\n")
    how = How(declared=Declared(basis="physical", as_of=office.now), create_items=True)

    def imports(connection: Connection, setup: Any, by: By) -> Any:
        return import_rows(connection, setup, by, file, how)

    run = await office.run(imports, actor="import:stock.csv")
    assert await office.sums() == (4, 0, 0)

    done = await office.undoes(run)
    assert (await office.sums(), await office.sums("PLATE", "annex")) == ((10, 0, 0), (0, 0, 0))
    assert done.left == ["items are never deleted, so these stay: PLATE"]

    await office.run(imports, actor="import:stock.csv")
    assert office.result.repeated == ""
    assert await office.sums() == (4, 0, 0)


async def test_keys_that_show_an_item_are_due_and_no_number_is_put_back(office: Office) -> None:
    def settle(connection: Connection, setup: Any, by: By) -> list[int]:
        ids = sharing.keys_sharing(connection, [item_id("MUG")])
        keys.save_keys(connection, {key: {"due_at": None, "target": 15} for key in ids})
        return ids

    run = await office.receives(5)
    await office.run(settle)
    (key,) = office.result

    await office.undoes(run)

    record = (await office.query(lambda c: keys.load_keys(c, [key])))[key]
    assert (record.due_at, record.target) == (office.now, 15)


async def test_a_name_and_a_further_one_are_given_back(office: Office) -> None:
    renamed = await office.run(lambda c, setup, by: rename(c, setup, by, item_named(c, "MUG"), "BECHER"))
    aliased = await office.run(lambda c, setup, by: add_alias(c, by, item_named(c, "MUG"), "POT"))

    await office.undoes(aliased)
    await office.undoes(renamed)

    assert [await office.leads(sku) for sku in ("MUG", "BECHER", "POT")] == ["MUG", None, None]

    await office.undoes(office.names[-1])
    assert [await office.leads(sku) for sku in ("MUG", "BECHER")] == ["BECHER", "BECHER"]


async def test_a_name_that_was_changed_since_stays(office: Office) -> None:
    first = await office.run(lambda c, setup, by: rename(c, setup, by, item_named(c, "MUG"), "BECHER"))
    await office.run(lambda c, setup, by: rename(c, setup, by, item_named(c, "MUG"), "POT"))

    done = await office.undoes(first)

    assert await office.leads("BECHER") == "POT"
    assert await office.leads("MUG") is None
    assert done.left == ["BECHER was renamed to POT since; it keeps that SKU"]


async def test_units_on_their_way_are_as_they_were(office: Office) -> None:
    await office.run(lambda c, setup, by: expect(c, setup, by, office.place("MUG"), 20, reference="PO-1"))
    run = await office.receives(15, reference="PO-1")

    await office.undoes(run)

    (one,) = await office.query(lambda c: positions_view.incoming_of(c, item_id("MUG")))
    assert (one.reference, one.units) == ("PO-1", 20)

    expected = office.names[0]
    await office.undoes(expected)
    assert await office.query(lambda c: positions_view.incoming_of(c, item_id("MUG"))) == []


async def test_mappings_are_as_they_were_unless_they_were_changed_since(office: Office) -> None:
    def maps(item: str | None, listing: str) -> Work:
        wanted = Wanted("shop", listing, item, 2)
        return lambda c, setup, by: map_listings(c, setup, [wanted], by="eve", run=by.run, now=by.now)

    first = await office.run(maps(item_id("CUP"), office.mug))
    second = await office.run(maps(None, office.cup))

    done = await office.undoes(second)
    assert done.mapped == {"shop"}
    found = {one.listing: one for one in await office.query(listings.get_listings)}
    assert (found[office.cup].item, found[office.cup].multiple) == (item_id("CUP"), 1)

    await office.run(maps(None, office.mug))
    with pytest.raises(Refused, match="shop listing item-1 was mapped anew since; its mapping stays"):
        await office.undoes(first)


async def test_switches_are_as_they_were_unless_they_were_switched_since(office: Office) -> None:
    def switch(**switches: object) -> Work:
        return lambda c, setup, by: change_channel(c, "shop", switches, run=by.run, now=by.now)

    run = await office.run(switch(zeroed=True, stop="all"))
    await office.run(switch(stop="raises"))

    done = await office.undoes(run)

    state = await office.query(lambda c: channels.channel_states(c)["shop"])
    assert (state.zeroed, state.stop) == (False, "raises")
    assert (done.changes, done.left) == (1, ["shop: stop was switched since; that stays"])


async def test_a_rule_is_as_it_was(office: Office) -> None:
    scope = RuleScope(channel="shop")
    rule = Rule("r-1", scope, RuleValues(buffer=Fixed(2)), "command")

    def says(units: int) -> Work:
        plain = plain_rule(Rule("r-1", scope, RuleValues(buffer=Fixed(units)), "command"))
        return lambda c, setup, by: change_rule(c, setup, "r-1", plain, run=by.run, now=by.now)

    first = await office.run(says(2))
    second = await office.run(says(5))

    await office.undoes(second)
    assert await office.query(rules.stored_rules) == (rule,)
    await office.undoes(first)
    assert await office.query(rules.stored_rules) == ()
    await office.undoes(office.names[-1])
    assert await office.query(rules.stored_rules) == (rule,)


async def merged(office: Office) -> str:
    return await office.run(lambda c, setup, by: merge(c, setup, by, item_itself(c, "CUP"), item_named(c, "MUG")))


async def test_a_merge_is_taken_apart_with_its_units_orders_listings_and_names(office: Office) -> None:
    await office.run(lambda c, setup, by: add_alias(c, by, item_named(c, "CUP"), "TASSE"))
    await office.run(lambda c, setup, by: withhold(c, setup, by, office.place("CUP"), 1))
    await office.run(lambda c, setup, by: expect(c, setup, by, office.place("CUP"), 9, reference="PO-1"))
    sale = await office.buys(office.cup, 2)
    run = await merged(office)
    assert (await office.sums("MUG"), await office.sums("CUP")) == ((13, 2, 1), (0, 0, 0))

    done = await office.undoes(run)

    assert (await office.sums("MUG"), await office.sums("CUP")) == ((10, 0, 0), (3, 2, 1))
    assert done.left == []
    assert [await office.leads(sku) for sku in ("CUP", "TASSE")] == ["CUP", "CUP"]
    listed = {one.listing: one.item for one in await office.query(listings.get_listings)}
    assert listed == {office.mug: item_id("MUG"), office.cup: item_id("CUP")}
    assert [one.units for one in await office.query(lambda c: positions_view.incoming_of(c, item_id("CUP")))] == [9]

    await office.ships(sale, 2)
    assert (await office.sums("MUG"), await office.sums("CUP")) == ((10, 0, 0), (1, 0, 1))


async def test_what_was_sold_after_a_merge_stays_where_it_was_taken_from(office: Office) -> None:
    before = await office.buys(office.cup, 2)
    run = await merged(office)
    await office.ships(before, 1)
    after = await office.buys(office.cup, 1)

    await office.undoes(run)

    assert (await office.sums("MUG"), await office.sums("CUP")) == ((9, 1, 0), (3, 1, 0))
    await office.ships(before, 1)
    await office.ships(after, 1)
    assert (await office.sums("MUG"), await office.sums("CUP")) == ((8, 0, 0), (2, 0, 0))


async def test_undoing_the_undoing_of_a_merge_merges_all_that_is_there_by_then(office: Office) -> None:
    run = await merged(office)
    await office.undoes(run)
    apart = office.names[-1]
    await office.seller.has("CUP", 4)
    await office.buys(office.cup, 1)

    await office.undoes(apart)

    assert (await office.sums("MUG"), await office.sums("CUP")) == ((17, 1, 0), (0, 0, 0))
    assert await office.leads("CUP") == "MUG"


async def test_units_that_were_counted_after_a_merge_cannot_be_parted_by_undoing_it(office: Office) -> None:
    run = await merged(office)
    await office.counts(12)

    done = await office.undoes(run)

    assert (await office.sums("MUG"), await office.sums("CUP")) == ((12, 0, 0), (0, 0, 0))
    assert any("CUP at main, MUG at main: counted since" in one for one in done.left)
    assert await office.leads("CUP") == "CUP"


async def test_a_split_is_taken_back_and_the_new_item_stays_without_units(office: Office) -> None:
    wanted = SplitOff(sku="MUG-RED", listings=[("shop", office.mug)], units={"main": 4})
    run = await office.run(lambda c, setup, by: split(c, setup, by, item_named(c, "MUG"), wanted))

    done = await office.undoes(run)

    assert (await office.sums("MUG"), await office.sums("MUG-RED")) == ((10, 0, 0), (0, 0, 0))
    listed = {one.listing: one.item for one in await office.query(listings.get_listings)}
    assert listed[office.mug] == item_id("MUG")
    assert done.left == ["items are never deleted, so these stay: MUG-RED"]


async def test_a_change_of_a_kind_that_cannot_be_taken_back_is_named(office: Office) -> None:
    def two(connection: Connection, setup: Any, by: By) -> None:
        for kind in ("finding", "weather"):
            change = runs.Change(run=by.run, kind=kind, subject="7", before=None, after={}, at=by.now)
            runs.record_change(connection, change)
        receive(connection, setup, by, Receipt(place=office.place("MUG"), units=5))

    done = await office.undoes(await office.run(two))

    assert done.left == [
        "a change of kind 'weather' cannot be taken back",
        "finding 7 stays closed; what is still wrong is found anew",
    ]


async def test_units_of_an_item_that_was_merged_since_are_taken_off_the_item_that_it_became(office: Office) -> None:
    receipt = Receipt(place=office.place("CUP"), units=5, withheld=True)
    run = await office.run(lambda c, setup, by: receive(c, setup, by, receipt))
    await merged(office)
    assert await office.sums("MUG") == (18, 0, 5)

    await office.undoes(run)

    assert (await office.sums("MUG"), await office.sums("CUP")) == ((13, 0, 0), (0, 0, 0))


async def test_a_merge_on_which_another_was_built_is_taken_back_after_that_one(office: Office) -> None:
    await office.seller.has("GLASS", 1)
    first = await merged(office)
    second = await office.run(lambda c, setup, by: merge(c, setup, by, item_itself(c, "MUG"), item_named(c, "GLASS")))

    with pytest.raises(Refused, match="CUP was merged into MUG, which has become another item since"):
        await office.undoes(first)

    await office.undoes(second)
    await office.undoes(first)
    sums = [await office.sums(sku) for sku in ("MUG", "CUP", "GLASS")]
    assert sums == [(10, 0, 0), (3, 0, 0), (1, 0, 0)]
    assert [await office.leads(sku) for sku in ("MUG", "CUP", "GLASS")] == ["MUG", "CUP", "GLASS"]
