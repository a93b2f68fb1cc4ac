"""Items: other names, two made one, one made two; ids and history stay, and orders find their units."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from channelsync.domain.booked import BookedLine, BookedOrder, Leg
from channelsync.domain.errors import BadListing
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.quantities import PositionKey
from channelsync.domain.sourcing import SoldAs
from channelsync.store import (
    incoming,
    items,
    items_view,
    keys,
    ledger,
    listings,
    positions_view,
    provisionals,
    runs,
    sharing,
)
from channelsync.store.incoming import Incoming
from channelsync.store.items import Item, item_id
from channelsync.store.open_orders import names
from channelsync.sync.book_orders import Arrival, book_orders
from channelsync.sync.items import (
    SplitOff,
    add_alias,
    item_itself,
    item_named,
    remove_alias,
    rename,
    split,
)
from channelsync.sync.items_merge import Merged, merge
from channelsync.sync.items_new import add_new_items
from channelsync.sync.items_redirect import redirected, taken_back
from channelsync.sync.pull_listings import pull_listings
from channelsync.sync.stock import By, Place, Refused
from channelsync.sync.stock_count import count
from channelsync.sync.stock_moves import withhold
from channelsync.sync.take_orders import poll_orders
from channelsync.sync.verify import verify

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
OpenSeller = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Office:
    """Somebody who gives items other names."""

    seller: Any
    mug: str
    cup: str

    @property
    def now(self) -> datetime:
        at: datetime = self.seller.clock.at
        return at

    def by(self) -> By:
        return By(actor="user:eve", run="test", now=self.now)

    async def do(self, work: Callable[[Connection], Any]) -> Any:
        return await self.seller.database.transact(work)

    async def named(self, sku: str) -> Item | None:
        found: dict[str, Item] = await self.do(lambda c: items.items_by_sku(c, [sku]))
        return found.get(sku)

    async def renames(self, sku: str, new: str) -> None:
        await self.do(lambda c: rename(c, self.seller.agent.setup, self.by(), item_named(c, sku), new))

    async def merges(self, source: str, target: str) -> Merged:
        setup = self.seller.agent.setup
        done: Merged = await self.do(
            lambda c: merge(c, setup, self.by(), item_itself(c, source), item_named(c, target))
        )
        return done

    async def splits(self, sku: str, wanted: SplitOff) -> Any:
        return await self.do(lambda c: split(c, self.seller.agent.setup, self.by(), item_named(c, sku), wanted))

    async def order(
        self, name: str, listing: str, units: int, *, shipped: int = 0, cancelled: int = 0, returned: int = 0
    ) -> None:
        """The order as the shop tells it now; every call is a later version."""
        self.seller.clock.at += HOUR
        moved = {
            what: (Moved(units=many, at=self.now),) if many else ()
            for what, many in (("shipped", shipped), ("cancelled", cancelled), ("returned", returned))
        }
        line = OrderLine(line="1", ordered=units, listing=listing, **moved)
        status = OrderStatus.OPEN if units > shipped + cancelled else OrderStatus.CLOSED
        snapshot = OrderSnapshot(order=name, version=self.now, placed_at=self.now - HOUR, status=status, lines=(line,))
        agent, now = self.seller.agent, self.now
        arrivals = [Arrival(channel="shop", order=snapshot)]
        await self.do(lambda c: book_orders(c, agent.setup, arrivals, now=now, run="test"))

    async def sums(self, sku: str, location: str = "main") -> tuple[int, int, int]:
        """On hand, reserved, withheld of the item that had this SKU first."""
        position = await self.seller.position(sku, location)
        return position.on_hand, position.reserved, position.withheld

    async def changes(self) -> list[tuple[str, str]]:
        found = await self.do(lambda c: runs.changes_of(c, "test"))
        return [(one.kind, one.subject) for one in found if one.kind in ("item", "alias", "merge")]


@pytest.fixture
async def office(open_seller: OpenSeller) -> Any:
    """MUG and CUP are sold on the shop, ten and three are on hand; they turn out to be the same."""
    seller = await open_seller("shop", locations=("main", "annex"), recipes={"SET": {"PLATE": 2}})
    yield Office(seller, await seller.sells("MUG", 10), await seller.sells("CUP", 3))
    done = await seller.database.query(verify, snapshot=True)
    assert done.problems == []


async def test_a_renamed_item_keeps_its_id_and_its_old_sku_still_leads_to_it(office: Office) -> None:
    await office.renames("MUG", "MUG-BLUE")

    new, old = await office.named("MUG-BLUE"), await office.named("MUG")
    assert new is not None
    assert new == old
    assert (new.id, new.sku) == (item_id("MUG"), "MUG-BLUE")
    assert await office.sums("MUG") == (10, 0, 0)
    assert await office.changes() == [("item", new.id), ("alias", "MUG")]


async def test_an_item_gets_its_old_sku_back(office: Office) -> None:
    await office.renames("MUG", "MUG-BLUE")
    await office.renames("MUG-BLUE", "MUG")

    found = await office.named("MUG")
    assert found is not None
    assert found.sku == "MUG"
    assert await office.named("MUG-BLUE") == found


@pytest.mark.parametrize(
    ("sku", "said"),
    [
        ("CUP", "CUP is a SKU of an item already; nothing was changed"),
        ("TASSE", "TASSE is a SKU of CUP already; nothing was changed"),
        ("", "'' cannot be a SKU"),
        (" MUG2", "' MUG2' cannot be a SKU"),
        ("MUG\t2", "cannot be a SKU"),
        ("M" * 201, "cannot be a SKU"),
    ],
)
async def test_a_sku_that_is_taken_or_cannot_be_one_is_refused(office: Office, sku: str, said: str) -> None:
    await office.do(lambda c: add_alias(c, office.by(), item_named(c, "CUP"), "TASSE"))

    with pytest.raises(Refused, match=said):
        await office.renames("MUG", sku)

    found = await office.named("MUG")
    assert found is not None
    assert found.sku == "MUG"


async def test_a_further_sku_leads_to_its_item_until_it_is_taken_away(office: Office) -> None:
    def alias(connection: Connection) -> bool:
        return add_alias(connection, office.by(), item_named(connection, "MUG"), "BECHER")

    assert await office.do(alias)
    assert not await office.do(alias)
    found = await office.named("BECHER")
    assert found is not None
    assert found.sku == "MUG"

    await office.do(lambda c: remove_alias(c, office.by(), item_named(c, "MUG"), "BECHER"))

    assert await office.named("BECHER") is None
    with pytest.raises(Refused, match="BECHER is no further SKU of MUG"):
        await office.do(lambda c: remove_alias(c, office.by(), item_named(c, "MUG"), "BECHER"))
    with pytest.raises(Refused, match="MUG is the item's own SKU"):
        await office.do(lambda c: remove_alias(c, office.by(), item_named(c, "MUG"), "MUG"))


async def test_a_sku_that_comes_back_for_another_item_gets_an_id_of_its_own(office: Office) -> None:
    await office.renames("MUG", "MUG-BLUE")
    await office.do(lambda c: remove_alias(c, office.by(), item_named(c, "MUG-BLUE"), "MUG"))

    made = await office.do(lambda c: add_new_items(c, office.by(), ["MUG"]))

    assert made["MUG"].id != item_id("MUG")
    assert await office.named("MUG") == made["MUG"]


async def test_a_merged_item_s_units_go_on_under_the_other_and_its_sku_leads_there(office: Office) -> None:
    agent = office.seller.agent
    cup = Place("CUP", PositionKey(item_id("CUP"), "main"))
    await office.do(lambda c: withhold(c, agent.setup, office.by(), cup, 2))

    done = await office.merges("CUP", "MUG")

    assert (done.units, done.listings, done.orders) == (3, 1, 0)
    assert await office.sums("MUG") == (13, 0, 2)
    assert await office.sums("CUP") == (0, 0, 0)
    found = await office.named("CUP")
    assert found is not None
    assert found.sku == "MUG"
    history = await office.do(lambda c: positions_view.history_of(c, item_id("CUP")))
    assert {entry.reason for entry in history} >= {"received", "CUP was merged into MUG"}


async def stated_at(office: Office, sku: str) -> list[str]:
    """The locations at which somebody said how many units there are of the item that had this SKU first."""
    found = await office.do(lambda c: ledger.read_positions(c, [item_id(sku)]))
    return [key.location for key, position in found.items() if position.stated_by]


async def test_what_was_said_of_an_item_that_is_merged_goes_on_for_the_other(office: Office) -> None:
    await office.do(lambda c: add_new_items(c, office.by(), ["PAN", "POT", "LID"]))
    pan = Place("PAN", PositionKey(item_id("PAN"), "annex"))
    await office.do(lambda c: count(c, office.seller.agent.setup, office.by(), pan, 0))
    await office.merges("POT", "LID")
    assert await stated_at(office, "LID") == []
    await office.merges("PAN", "LID")
    assert await stated_at(office, "LID") == ["annex"]


async def test_what_is_promised_beyond_none_is_found_when_a_merge_says_that_there_are_none(office: Office) -> None:
    await office.do(lambda c: add_new_items(c, office.by(), ["PAN", "POT"]))
    pot = await office.seller.lists("POT", 3)
    await office.seller.pull()
    await office.seller.map(pot, "POT")
    await office.order("A-1", pot, 2)
    assert await office.seller.kinds() == []
    pan = Place("PAN", PositionKey(item_id("PAN"), "main"))
    await office.do(lambda c: count(c, office.seller.agent.setup, office.by(), pan, 0))
    await office.merges("PAN", "POT")
    assert await office.seller.kinds() == ["oversold"]


async def test_of_an_item_that_was_split_off_with_units_it_is_known_how_many_there_are(office: Office) -> None:
    await office.splits("MUG", SplitOff(sku="MUG-BLUE", units={"main": 4}))
    assert await stated_at(office, "MUG-BLUE") == ["main"]


async def test_of_an_item_that_was_split_off_without_units_it_is_known_that_there_are_none(office: Office) -> None:
    (listing,) = await office.do(lambda c: [one.listing for one in listings.get_listings(c, item=item_id("MUG"))])
    await office.splits("MUG", SplitOff(sku="MUG-BLUE", listings=[("shop", listing)]))
    assert await stated_at(office, "MUG-BLUE") == ["main"]


async def test_listings_and_keys_follow_a_merge_and_keys_keep_their_watermarks(office: Office) -> None:
    (key,) = await office.do(lambda c: sharing.keys_sharing(c, [item_id("CUP")]))
    before = (await office.do(lambda c: keys.load_keys(c, [key])))[key]

    await office.merges("CUP", "MUG")

    after = (await office.do(lambda c: keys.load_keys(c, [key])))[key]
    assert (after.item, after.state, after.due_at) == (item_id("MUG"), before.state, before.due_at or office.now)
    listed = await office.do(lambda c: items_view.listings_of_item(c, item_id("MUG")))
    assert {one.listing for one in listed} == {office.mug, office.cup}


async def test_orders_that_were_open_when_items_were_merged_ship_cancel_and_return_afterwards(office: Office) -> None:
    await office.order("ships", office.cup, 1)
    await office.order("cancels", office.cup, 2)
    await office.order("other", office.mug, 1)

    done = await office.merges("CUP", "MUG")

    assert done.orders == 2
    assert await office.sums("CUP") == (0, 0, 0)
    assert await office.sums("MUG") == (13, 4, 0)

    await office.order("ships", office.cup, 1, shipped=1)
    assert await office.sums("MUG") == (12, 3, 0)
    await office.order("cancels", office.cup, 2, cancelled=2)
    assert await office.sums("MUG") == (12, 1, 0)
    await office.order("ships", office.cup, 1, shipped=1, returned=1)
    assert await office.sums("MUG") == (13, 1, 0)
    await office.order("other", office.mug, 1, shipped=1)
    assert await office.sums("MUG") == (12, 0, 0)
    assert await office.sums("CUP") == (0, 0, 0)


async def test_an_order_that_grows_after_a_merge_takes_the_units_of_the_other_item(office: Office) -> None:
    await office.order("grows", office.cup, 1)
    await office.merges("CUP", "MUG")

    await office.order("grows", office.cup, 3)

    assert await office.sums("MUG") == (13, 3, 0)
    assert await office.sums("CUP") == (0, 0, 0)


async def test_an_order_that_was_seen_as_cancelled_first_reserves_the_other_item_when_it_comes_alive(
    office: Office,
) -> None:
    await office.order("late", office.cup, 2, cancelled=2)
    await office.merges("CUP", "MUG")

    await office.order("late", office.cup, 2)

    assert await office.sums("MUG") == (13, 2, 0)


async def test_what_a_read_holds_provisionally_follows_a_merge_and_ends_like_any_other(office: Office) -> None:
    agent, shop, channel = office.seller.agent, office.seller.shop(), office.seller.channel()
    for drop in (0, 2):
        office.seller.clock.at += HOUR
        shop.items[office.cup].number -= drop
        await pull_listings(agent, channel)
    assert await office.sums("CUP") == (3, 2, 0)

    await office.merges("CUP", "MUG")

    assert await office.sums("CUP") == (0, 0, 0)
    assert await office.sums("MUG") == (13, 2, 0)
    shown = await office.do(lambda c: sharing.keys_sharing(c, [item_id("MUG")]))
    rows = await office.do(lambda c: provisionals.open_provisionals(c, shown))
    assert [row.takes for held in rows.values() for row in held] == [((item_id("MUG"), 1),)]

    office.seller.clock.at += HOUR
    await poll_orders(agent, channel)  # no order explains the drop
    assert await office.sums("MUG") == (13, 0, 0)


async def test_units_on_their_way_and_further_skus_follow_a_merge(office: Office) -> None:
    def expected(connection: Connection) -> None:
        for sku, units in (("CUP", 5), ("MUG", 2)):
            there = PositionKey(item_id(sku), "main")
            wanted = Incoming(position=there, reference="PO-1", units=units, due=date(2026, 4, 1))
            incoming.save_incoming(connection, wanted, "test")
        add_alias(connection, office.by(), item_named(connection, "CUP"), "TASSE")

    await office.do(expected)

    await office.merges("CUP", "MUG")

    (one,) = await office.do(lambda c: positions_view.incoming_of(c, item_id("MUG")))
    assert (one.reference, one.units) == ("PO-1", 7)
    assert await office.do(lambda c: positions_view.incoming_of(c, item_id("CUP"))) == []
    found = await office.named("TASSE")
    assert found is not None
    assert found.sku == "MUG"


async def test_an_item_merged_into_one_that_is_merged_on_leads_to_the_last(office: Office) -> None:
    await office.seller.has("GLASS", 4)
    await office.merges("CUP", "MUG")
    await office.merges("MUG", "GLASS")

    found = await office.named("CUP")

    assert found is not None
    assert found.sku == "GLASS"
    assert await office.sums("GLASS") == (17, 0, 0)


async def test_the_earlier_moment_is_counted_up_to_after_a_merge(office: Office) -> None:
    agent = office.seller.agent
    for sku in ("CUP", "MUG"):
        office.seller.clock.at += HOUR
        where = Place(sku, PositionKey(item_id(sku), "main"))
        await office.do(lambda c, where=where: count(c, agent.setup, office.by(), where, 5))

    await office.merges("CUP", "MUG")

    assert (await office.seller.position("MUG")).counted_up_to == office.now - HOUR


async def test_merging_again_moves_what_came_late(office: Office) -> None:
    await office.merges("CUP", "MUG")
    await office.seller.has("CUP", 2)

    done = await office.merges("CUP", "MUG")

    assert done.units == 2
    assert await office.sums("MUG") == (15, 0, 0)


async def test_what_cannot_be_merged_is_refused(office: Office) -> None:
    await office.seller.has("PLATE", 4)
    await office.seller.has("GLASS", 4)

    for source, target, said in (
        ("MUG", "MUG", "MUG is that item already"),
        ("SET", "MUG", "SET is a bundle of the configuration"),
        ("PLATE", "MUG", "PLATE is a part of SET: name MUG there"),
        ("MUG", "SET", "SET is a virtual bundle"),
        ("MUGG", "MUG", "There is no item with the SKU 'MUGG'"),
    ):
        with pytest.raises(Refused, match=said):
            await office.merges(source, target)

    await office.merges("CUP", "MUG")
    with pytest.raises(Refused, match="CUP was merged into MUG; undo that first"):
        await office.merges("CUP", "GLASS")


def test_an_order_whose_line_takes_both_items_in_legs_of_their_own_cannot_be_told_apart_after_a_merge() -> None:
    legs = tuple(Leg(number=n, location="main", takes=((item, 1),), open=1) for n, item in ((1, "cup"), (2, "mug")))
    line = BookedLine(line="1", sold=SoldAs("mug"), legs=legs)
    order = BookedOrder(channel="shop", order="o", version=START, content="", status=OrderStatus.OPEN, lines=(line,))

    assert redirected(order, "cup", "mug").doubled == ("1",)


def test_a_leg_that_takes_both_items_takes_their_sum_and_gives_the_first_one_s_part_back() -> None:
    leg = Leg(number=1, location="main", takes=(("cup", 1), ("mug", 2)), open=3)
    line = BookedLine(line="1", sold=SoldAs("set"), legs=(leg,))
    order = BookedOrder(channel="shop", order="o", version=START, content="", status=OrderStatus.OPEN, lines=(line,))

    there = redirected(order, "cup", "mug")
    back = taken_back(there.order, there.was, "cup", "mug")

    assert there.order.lines[0].legs[0].takes == (("mug", 3),)
    assert [one.units for one in there.held] == [3]
    assert back.order == order
    assert back.held == there.held


def legs() -> st.SearchStrategy[tuple[Leg, ...]]:
    """Legs at locations of their own, so that no two of them can become alike."""
    takes = st.dictionaries(st.sampled_from(["cup", "mug", "lid"]), st.integers(1, 5), min_size=1)
    units = st.integers(0, 9)

    def numbered(drawn: list[tuple[dict[str, int], int, int]]) -> tuple[Leg, ...]:
        return tuple(
            Leg(number=n, location=f"place {n}", takes=tuple(sorted(one.items())), open=opened, shipped=shipped)
            for n, (one, opened, shipped) in enumerate(drawn, 1)
        )

    return st.lists(st.tuples(takes, units, units), max_size=4).map(numbered)


@given(st.lists(st.tuples(st.sampled_from(["cup", "mug", "set"]), legs()), min_size=1, max_size=3))
def test_an_order_that_was_redirected_and_taken_back_is_as_it_was_and_holds_what_it_held(
    drawn: list[tuple[str, tuple[Leg, ...]]],
) -> None:
    lines = tuple(BookedLine(line=str(n), sold=SoldAs(sold), legs=one) for n, (sold, one) in enumerate(drawn))
    order = BookedOrder(channel="shop", order="o", version=START, content="", status=OrderStatus.OPEN, lines=lines)
    holds = sum(leg.open * dict(leg.takes).get("cup", 0) for line in lines for leg in line.legs)

    there = redirected(order, "cup", "mug")
    back = taken_back(there.order, there.was, "cup", "mug")

    assert back.order == order
    assert not names(there.order, "cup")
    assert sum(one.units for one in there.held) == sum(one.units for one in back.held) == holds


def test_a_leg_that_takes_something_else_since_is_not_given_back() -> None:
    leg = Leg(number=1, location="main", takes=(("cup", 1),), open=3)
    line = BookedLine(line="1", sold=SoldAs("cup"), legs=(leg,))
    order = BookedOrder(channel="shop", order="o", version=START, content="", status=OrderStatus.OPEN, lines=(line,))
    there = redirected(order, "cup", "mug")
    further = redirected(there.order, "mug", "glass")

    back = taken_back(further.order, there.was, "cup", "mug")

    assert back.order == further.order
    assert back.held == ()


async def test_a_split_item_gets_its_listings_and_units_and_booked_orders_stay(office: Office) -> None:
    second = await office.seller.lists("MUG-RED", 4)
    await office.seller.pull()
    await office.seller.map(second, "MUG", 2)
    await office.order("stays", second, 1)

    done = await office.splits("MUG", SplitOff(sku="MUG-RED", listings=[("shop", second)], units={"main": 4}))

    assert (done.listings, done.entries, done.item.sku) == (1, 2, "MUG-RED")
    assert await office.sums("MUG-RED") == (4, 0, 0)
    assert await office.sums("MUG") == (6, 2, 0)
    (one,) = await office.do(lambda c: listings.get_listings(c, listings=[second]))
    assert (one.item, one.multiple) == (item_id("MUG-RED"), 2)

    await office.order("stays", second, 1, shipped=1)
    await office.order("new", second, 1)

    assert await office.sums("MUG") == (4, 0, 0)
    assert await office.sums("MUG-RED") == (4, 2, 0)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (SplitOff(sku="MUG-RED"), "Name listings or units"),
        (SplitOff(sku="CUP", units={"main": 1}), "CUP is a SKU of an item already"),
        (SplitOff(sku="MUG-RED", units={"main": 11}), "11 units cannot go to MUG-RED, 10 are available"),
        (SplitOff(sku="MUG-RED", units={"mian": 1}), "There is no location 'mian'"),
        (SplitOff(sku="MUG-RED", units={"main": 0}), "0 is no number of units"),
        (SplitOff(sku="MUG-RED", listings=[("shop", "item-2")]), "shop listing item-2 is not mapped to MUG"),
    ],
)
async def test_what_cannot_be_split_off_is_refused_and_makes_no_item(
    office: Office, wanted: SplitOff, said: str
) -> None:
    with pytest.raises((Refused, BadListing), match=said):
        await office.splits("MUG", wanted)

    assert await office.named("MUG-RED") is None
    assert await office.sums("MUG") == (10, 0, 0)


async def test_promised_units_are_split_off_only_by_force(office: Office) -> None:
    await office.order("holds", office.mug, 8)

    await office.splits("MUG", SplitOff(sku="MUG-RED", units={"main": 5}, force=True))

    assert (await office.seller.position("MUG")).available == -3
    assert await office.seller.kinds() == ["oversold"]


async def test_items_are_listed_with_their_names_sums_and_listings(office: Office) -> None:
    await office.renames("MUG", "MUG-BLUE")
    await office.seller.has("GLASS", 4)
    await office.merges("GLASS", "CUP")

    found = {one.sku: one for one in await office.do(lambda c: list(items_view.find_items(c)))}
    everything = {
        one.sku: one for one in await office.do(lambda c: list(items_view.find_items(c, include_merged=True)))
    }

    assert (found["MUG-BLUE"].aliases, found["MUG-BLUE"].on_hand, found["MUG-BLUE"].listings) == (("MUG",), 10, 1)
    assert (found["CUP"].on_hand, "GLASS" in found, everything["GLASS"].merged_into) == (7, False, "CUP")
    by_alias = await office.do(lambda c: [one.sku for one in items_view.find_items(c, search="mug")])
    assert by_alias == ["MUG-BLUE"]


async def test_entries_of_a_merged_item_are_chained_as_ever(office: Office) -> None:
    await office.merges("CUP", "MUG")

    entries = await office.seller.entries("CUP")

    assert [one.movement.kind.value for one in entries] == ["receipt", "transfer"]
