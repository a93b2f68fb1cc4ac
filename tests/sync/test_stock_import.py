"""Importing a file: what it declares, all of it or nothing, and every row of the table of bad input."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection

from channelsync.domain.ledger import LedgerEntry
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.store import items
from channelsync.store.items import item_id
from channelsync.sync.book_orders import Arrival, book_orders
from channelsync.sync.stock import By, Refused
from channelsync.sync.stock_import import BadRows, How, Imported, import_rows
from channelsync.sync.stock_import_file import BadFile, read_file
from channelsync.sync.stock_import_rows import Basis, Declared, refused_rows, understood
from channelsync.sync.verify import verify

HOUR = timedelta(hours=1)
HEADER = "sku,location,units\n"


@dataclass(slots=True)
class Office:
    """A seller with the locations main and annex, and somebody who imports files."""

    seller: Any

    @property
    def now(self) -> datetime:
        at: datetime = self.seller.clock.at
        return at

    async def imports(
        self,
        text: str | bytes,
        basis: Basis = "physical",
        *,
        as_of: datetime | None = None,
        up_to: datetime | None = None,
        key: str = "",
        location: str = "",
        **how: Any,
    ) -> Imported:
        raw = text if isinstance(text, bytes) else text.encode()
        file = read_file("stock.csv", raw)
        moment = as_of or (None if basis == "delta" else self.now)
        declared = Declared(basis=basis, as_of=moment, orders_up_to=up_to, location=location)
        agent = self.seller.agent
        by = By(actor="import:stock.csv", run="test", now=self.now, key=key)
        unit = lambda c: import_rows(c, agent.setup, by, file, How(declared=declared, **how))  # noqa: E731
        done: Imported = await agent.database.transact(unit)
        return done

    async def bad(self, text: str, basis: Basis = "physical", **more: Any) -> list[tuple[int, str, str]]:
        """The rows for which an import is refused."""
        with pytest.raises(BadRows) as refused:
            await self.imports(text, basis, **more)
        return [(one.row, one.sku, one.reason) for one in refused.value.bad]

    async def orders(self, units: int, *, at: datetime, shipped_at: datetime | None = None, name: str = "o-1") -> None:
        shipped = (Moved(units=units, at=shipped_at),) if shipped_at else ()
        line = OrderLine(line="1", ordered=units, listing="item-1", shipped=shipped)
        status = OrderStatus.CLOSED if shipped else OrderStatus.OPEN
        snapshot = OrderSnapshot(order=name, version=shipped_at or at, placed_at=at, status=status, lines=(line,))
        agent, now = self.seller.agent, self.now
        arrivals = [Arrival(channel="shop", order=snapshot)]
        await agent.database.transact(lambda c: book_orders(c, agent.setup, arrivals, now=now, run="test"))

    async def on_hand(self, sku: str = "MUG", location: str = "main") -> int:
        return int((await self.seller.position(sku, location)).on_hand)

    async def available(self, sku: str = "MUG", location: str = "main") -> int:
        return int((await self.seller.position(sku, location)).available)

    async def last_entry(self, sku: str = "MUG", location: str = "main") -> LedgerEntry:
        last: LedgerEntry = (await self.seller.entries(sku, location))[-1]
        return last

    async def query(self, work: Callable[[Connection], Any]) -> Any:
        return await self.seller.agent.database.query(work, snapshot=True)


@pytest.fixture
async def office(open_seller: Callable[..., Awaitable[Any]]) -> Any:
    """MUG is sold on the shop, ten are on hand; CUP is there too, three of it. SET is a virtual bundle."""
    seller = await open_seller("shop", locations=("main", "annex"), recipes={"SET": {"MUG": 2}})
    await seller.sells("MUG", 10)
    await seller.has("CUP", 3)
    made = Office(seller)
    yield made
    assert (await made.query(verify)).problems == []


async def test_physical_numbers_become_what_is_on_hand_and_the_file_is_the_actor(office: Office) -> None:
    done = await office.imports(HEADER + "MUG,main,7\nMUG,annex,2\nCUP,main,3\n")

    assert (done.rows, done.entries, done.unchanged) == (3, 2, 1)
    assert (await office.on_hand(), await office.on_hand("MUG", "annex"), await office.on_hand("CUP")) == (7, 2, 3)
    cause = (await office.last_entry()).movement.cause
    assert (cause.actor, cause.run, cause.reason) == ("import:stock.csv", "test", "counted 7 physical")


async def test_changes_are_added_with_lot_cost_and_reason(office: Office) -> None:
    text = (
        "sku,location,units,lot,unit_cost,currency,reason\nMUG,main,5,L7,2.50,EUR,delivery\nMUG,main,-1,L6,,,broken\n"
    )

    done = await office.imports(text, "delta")

    assert (done.rows, done.entries) == (2, 2)
    assert await office.on_hand() == 14
    entries = await office.seller.entries("MUG")
    assert [(e.movement.lot, e.movement.unit_cost, e.movement.cause.reason) for e in entries[-2:]] == [
        ("L7", Decimal("2.50"), "delivery"),
        ("L6", None, "broken"),
    ]


async def test_a_number_that_is_available_leaves_out_what_is_set_aside_and_promised(office: Office) -> None:
    await office.orders(4, at=office.now)

    await office.imports(HEADER + "MUG,main,5\n", "available")

    assert (await office.on_hand(), await office.available()) == (9, 5)


async def test_orders_placed_after_those_in_an_available_number_stay_on_top(office: Office) -> None:
    await office.orders(4, at=office.now, name="counted")
    counted = office.now
    office.seller.clock.at += HOUR
    await office.orders(2, at=office.now, name="open since")
    await office.orders(1, at=office.now, shipped_at=office.now, name="shipped since")

    await office.imports(HEADER + "MUG,main,5\n", "available", up_to=counted)

    assert await office.available() == 5 - 2 - 1


async def test_a_shipment_after_an_available_number_takes_the_unit_that_was_promised(office: Office) -> None:
    await office.orders(4, at=office.now)
    office.seller.clock.at += HOUR
    await office.imports(HEADER + "MUG,main,5\n", "available")

    await office.orders(4, at=office.now - HOUR, shipped_at=office.now - HOUR / 2)

    assert (await office.on_hand(), await office.available()) == (5, 5)


async def test_an_old_order_that_turns_up_after_an_available_number_was_in_it_already(office: Office) -> None:
    """The whole history of a channel is read after the first import: what was shipped long ago lowers nothing."""
    office.seller.clock.at += HOUR
    await office.imports(HEADER + "MUG,main,5\n", "available")

    await office.orders(3, at=office.now - HOUR, shipped_at=office.now - HOUR / 2)

    assert (await office.on_hand(), await office.available()) == (5, 5)


async def test_what_arrived_after_the_moment_of_an_available_number_stays_on_top(office: Office) -> None:
    morning = office.now
    office.seller.clock.at += HOUR
    await office.imports(HEADER + "MUG,main,6\n", "delta")

    await office.imports(HEADER + "MUG,main,5\n", "available", as_of=morning)

    assert await office.available() == 11


async def test_rows_may_have_moments_of_their_own(office: Office) -> None:
    morning = office.now
    office.seller.clock.at += HOUR
    await office.orders(2, at=morning, shipped_at=office.now)
    text = (
        "sku;location;units;as of;orders counted up to\n"
        f"MUG;main;8;{morning.isoformat()};\n"
        f"CUP;main;4;;{morning.isoformat()}\n"
    )

    await office.imports(text)

    assert (await office.on_hand("MUG"), await office.on_hand("CUP")) == (6, 4)


async def test_the_same_file_imported_again_changes_nothing_and_says_by_which_run(office: Office) -> None:
    text, morning = HEADER + "MUG,main,7\n", office.now
    await office.imports(text, as_of=morning)
    await office.orders(2, at=office.now, shipped_at=office.now + HOUR / 2)
    office.seller.clock.at += HOUR

    again = await office.imports(text, as_of=morning)

    assert (again.repeated, again.rows, again.entries) == ("test", 0, 0)
    assert await office.on_hand() == 5


async def test_the_same_changes_imported_again_change_nothing_unless_a_key_says_that_they_are_others(
    office: Office,
) -> None:
    text = HEADER + "MUG,main,5\n"
    await office.imports(text, "delta")
    office.seller.clock.at += HOUR

    assert (await office.imports(text, "delta")).repeated == "test"
    assert await office.on_hand() == 15

    await office.imports(text, "delta", key="Tuesday")
    assert await office.on_hand() == 20


async def test_the_same_numbers_as_of_a_later_moment_are_another_import(office: Office) -> None:
    text = HEADER + "MUG,main,7\n"
    await office.imports(text)
    await office.imports(HEADER + "MUG,main,1\n", "delta")
    office.seller.clock.at += HOUR

    again = await office.imports(text)

    assert again.repeated == ""
    assert await office.on_hand() == 7


BAD_ROWS: dict[str, tuple[str, Basis, list[tuple[int, str, str]]]] = {
    "a fraction": ("MUG,main,1.5\n", "physical", [(2, "MUG", "units is '1.5', not a whole number")]),
    "a word": ("MUG,main,many\n", "physical", [(2, "MUG", "units is 'many', not a whole number")]),
    "thousands": ("MUG,main,'1 000'\n", "physical", [(2, "MUG", "units is \"'1 000'\", not a whole number")]),
    "digits of another script": ("MUG,main,١٢\n", "physical", [(2, "MUG", "units is '١٢', not a whole number")]),
    "no number": ("MUG,main,\n", "physical", [(2, "MUG", "units is blank")]),
    "fewer than none": (
        "MUG,main,-1\n",
        "available",
        [(2, "MUG", "units is -1: a number that is available cannot be below 0")],
    ),
    "far too many": (
        f"MUG,main,{10**18}\n",
        "physical",
        [(2, "MUG", "1000000000000000000 units are more than 1000000000")],
    ),
    "a blank SKU": (" ,main,1\n", "physical", [(2, "", "the SKU is blank")]),
    "an unknown location": (
        "MUG,mian,1\n",
        "physical",
        [(2, "MUG", "There is no location 'mian'; there is main, annex.")],
    ),
    "no location": (
        "MUG,,1\n",
        "physical",
        [(2, "MUG", "no location is named, neither by the row nor with --location")],
    ),
    "a row that is twice in the file": (
        "MUG,main,1\nCUP,main,1\nMUG,main,2\n",
        "physical",
        [
            (2, "MUG", "row 4 is for the same item and location, so which one holds is unknown"),
            (4, "MUG", "row 2 is for the same item and location, so which one holds is unknown"),
        ],
    ),
    "a short row": ("MUG,main\nCUP,main,1\n", "physical", [(2, "MUG", "it has 2 fields, the header has 3")]),
    "a long row": ("MUG,main,1,2\n", "physical", [(2, "MUG", "it has 4 fields, the header has 3")]),
    "more taken off than there is": (
        "CUP,main,-4\n",
        "delta",
        [(2, "CUP", "4 units cannot be taken off, 3 are on hand")],
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
async def test_a_bad_row_is_named_with_its_sku_and_reason_and_changes_nothing(office: Office, case: str) -> None:
    rows, basis, named = BAD_ROWS[case]

    assert await office.bad(HEADER + rows + "CUP,annex,9\n", basis) == named

    assert (await office.on_hand(), await office.on_hand("CUP"), await office.on_hand("CUP", "annex")) == (10, 3, 0)


async def test_every_bad_row_is_named_with_all_that_is_wrong_with_it(office: Office) -> None:
    text = "sku,location,units,unit_cost,as_of\nMUG,main,x,2,yesterday\nCUP,main,1,,\nMUGG,main,1,,\nMUG,main,2,1e3,\n"

    bad = await office.bad(text)

    assert [(row, sku) for row, sku, _ in bad] == [(2, "MUG"), (4, "MUGG"), (5, "MUG")]
    assert bad[0][2] == (
        "units is 'x', not a whole number; currency is '', not a code such as EUR; a cost needs one; as_of is "
        "'yesterday', not a time such as 2026-03-01T09:30:00Z"
    )
    assert "unit_cost is '1e3', not a number" in bad[2][2]


async def test_an_unknown_sku_is_refused_unless_it_is_to_become_an_item(office: Office) -> None:
    text = HEADER + "PLATE,main,4\nMUG,main,5\n"

    ((row, sku, reason),) = await office.bad(text)
    assert (row, sku) == (2, "PLATE")
    assert "There is no item with the SKU 'PLATE'" in reason
    assert await office.query(lambda c: items.items_by_sku(c, ["PLATE"])) == {}

    done = await office.imports(text, create_items=True)

    assert done.new_items == ["PLATE"]
    assert (await office.on_hand("PLATE"), await office.on_hand()) == (4, 5)


async def test_a_virtual_bundle_has_no_units_to_import(office: Office) -> None:
    ((_, sku, reason),) = await office.bad(HEADER + "SET,main,4\n")

    assert sku == "SET"
    assert "SET is a virtual bundle" in reason


async def test_two_skus_of_one_item_are_one_row_twice(office: Office) -> None:
    await office.seller.agent.database.transact(lambda c: items.add_alias(c, "MUG-OLD", item_id("MUG"), "test"))

    bad = await office.bad(HEADER + "MUG,main,1\nMUG-OLD,main,1\n")

    assert [(row, sku) for row, sku, _ in bad] == [(2, "MUG"), (3, "MUG-OLD")]


async def test_numbers_need_a_moment(office: Office) -> None:
    declared = Declared(basis="physical")
    by = By(actor="import:stock.csv", run="test", now=office.now)
    file = read_file("stock.csv", (HEADER + "MUG,main,1\n").encode())
    agent = office.seller.agent

    with pytest.raises(BadRows, match=r"neither the row \(as_of\) nor --as-of says as of when the number is"):
        await agent.database.transact(lambda c: import_rows(c, agent.setup, by, file, How(declared=declared)))


async def test_moments_to_come_and_orders_later_than_the_number_are_refused(office: Office) -> None:
    later = (office.now + HOUR).isoformat()
    text = f"sku,location,units,as_of,orders_counted_up_to\nMUG,main,1,{later},\nCUP,main,1,,{office.now.isoformat()}\n"

    bad = await office.bad(text, as_of=office.now - HOUR)

    assert "as_of: The time 2026-03-01T10:00:00+00:00 is in the future" in bad[0][2]
    assert "orders cannot be counted up to" in bad[1][2]


async def test_a_number_older_than_a_count_is_refused_for_its_row_only(office: Office) -> None:
    morning = office.now
    office.seller.clock.at += HOUR
    await office.imports(HEADER + "MUG,main,7\n")
    text = HEADER + "MUG,main,9\nCUP,main,1\n"

    ((row, sku, reason),) = await office.bad(text, as_of=morning)
    assert (row, sku) == (2, "MUG")
    assert "it was counted as of 2026-03-01T10:00:00" in reason

    done = await office.imports(text, as_of=morning, skip_bad_rows=True)
    assert [one.row for one in done.bad] == [2]
    assert (await office.on_hand(), await office.on_hand("CUP")) == (7, 1)


async def test_changes_older_than_a_count_are_in_it(office: Office) -> None:
    morning = office.now
    office.seller.clock.at += HOUR
    await office.imports(HEADER + "MUG,main,7\n")

    bad = await office.bad(HEADER + "MUG,main,2\nCUP,main,2\n", "delta", as_of=morning)

    assert [(row, sku) for row, sku, _ in bad] == [(2, "MUG")]


async def test_skipped_rows_can_be_mended_in_their_own_file_and_imported(office: Office) -> None:
    raw = (HEADER + "MUG,main,x\nCUP,main,5\nMUG\n").encode()
    file = read_file("stock.csv", raw)

    done = await office.imports(raw, skip_bad_rows=True)

    assert (done.rows, [one.row for one in done.bad]) == (1, [2, 4])
    assert (await office.on_hand(), await office.on_hand("CUP")) == (10, 5)
    refused = refused_rows(file, done.bad)
    assert refused.splitlines() == [
        "sku,location,units,refused_row,refused_because",
        "MUG,main,x,2,\"units is 'x', not a whole number\"",
        'MUG,,,4,"it has 1 fields, the header has 3"',
    ]

    mended = refused.replace("MUG,main,x", "MUG,main,6").replace("MUG,,,", "MUG,annex,2,")
    await office.imports(mended)

    assert (await office.on_hand(), await office.on_hand("MUG", "annex")) == (6, 2)


async def test_an_import_that_leaves_fewer_units_than_are_promised_says_so(office: Office) -> None:
    await office.orders(4, at=office.now)

    done = await office.imports(HEADER + "MUG,main,3\n")

    assert done.oversold == [("MUG", "main", -1)]
    assert await office.seller.kinds() == ["oversold"]


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "stock.csv is empty."),
    "blank": (b" \n\n", "stock.csv is empty."),
    "a header only": (HEADER.encode(), "stock.csv has a header and no rows."),
    "another header": (
        b"name,place,count\nMUG,main,1\n",
        "stock.csv has no column sku, no column units, the unknown column name, the unknown column place, the unknown "
        "column count. Its first line must name its columns",
    ),
    "no header": (b"MUG,main,1\n", "stock.csv has no column sku, no column units"),
    "a column with a typo": (b"sku,location,units,as_off\nMUG,main,1,x\n", "stock.csv has the unknown column as_off."),
    "a column twice": (b"sku,units,units\nMUG,1,2\n", "stock.csv has the column units twice."),
    "cut off in a row": (b"sku,location,units\nMUG,main,1\nCUP,ma", "ends in the middle of line 3: it was cut off."),
    "cut off in quotes": (b'sku,location,units\nMUG,main,1\nCUP,"ma', "ends in the middle of line 3: it was cut off."),
    "cut off in a letter": (
        "sku,location,units\nMUG,main,1\nTASSE-Ä".encode()[:-1],
        "ends in the middle of a character, on line 3: it was cut off.",
    ),
    "cut off in an object": (b'{"sku":"MUG","units":1}\n{"sku":"CU', "ends in the middle of line 2: it was cut off."),
    "saved by a Windows program": (
        "sku,location,units\nMUG,main,1\nKRÜGE,main,2\n".encode("windows-1252"),
        "Line 3 of stock.csv is not UTF-8 (byte 0xdc). Was it saved by a Windows program? Save it as `CSV UTF-8`, or "
        "say --encoding windows-1252.",
    ),
    "saved as UTF-16": (HEADER.encode("utf-16"), "stock.csv is UTF-16, not UTF-8."),
    "no text": (b"sku,location,units\nMUG,main,1\0\n", "stock.csv is no text: it contains NUL characters."),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_imported_at_all_says_why_and_what_to_do(case: str) -> None:
    raw, said = BAD_FILES[case]

    with pytest.raises(BadFile) as refused:
        read_file("stock.csv", raw)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    "raw",
    [
        "sku;location;units\r\nKRÜGE;main;2\r\n".encode("utf-8-sig"),
        "SKU\tLocation\tUnits\nKRÜGE\tmain\t2\n".encode(),
        "sku|units|location\n\nKRÜGE|2|main".encode(),
        '{"sku":"KRÜGE","location":"main","units":2}\n'.encode(),
    ],
    ids=["semicolons with a mark", "tabs", "bars without a last line end", "JSON lines"],
)
def test_files_of_many_programs_are_read_alike(raw: bytes) -> None:
    (row,) = read_file("stock.csv", raw).rows

    assert row.fields == {"sku": "KRÜGE", "location": "main", "units": "2"}


def test_another_encoding_is_read_when_it_is_named() -> None:
    raw = "sku,units\nKRÜGE,2\n".encode("windows-1252")

    (row,) = read_file("stock.csv", raw, encoding="windows-1252").rows

    assert row.fields == {"sku": "KRÜGE", "units": "2"}
    with pytest.raises(Refused, match="There is no encoding 'windos'"):
        read_file("stock.csv", raw, encoding="windos")


def test_columns_that_are_named_as_such_are_left_out() -> None:
    (row,) = read_file("stock.csv", b"sku,Title,units\nMUG,Big mug,2\n", ignore=["title"]).rows

    assert row.fields == {"sku": "MUG", "units": "2"}


def test_a_file_whose_last_line_does_not_end_is_told_apart() -> None:
    assert read_file("stock.csv", b"sku,units\nMUG,2").no_line_end
    assert not read_file("stock.csv", b"sku,units\nMUG,2\n").no_line_end


def test_rows_are_numbered_by_their_first_line() -> None:
    rows = read_file("stock.csv", b'sku,units,reason\nMUG,2,"two\nlines"\nCUP,3,x\n').rows

    assert [one.number for one in rows] == [2, 4]


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b" \r\n\t"])
@pytest.mark.parametrize("encoding", ["", "utf-8"])
def test_a_json_list_is_known_by_its_first_character(before: bytes, encoding: str) -> None:
    file = read_file(
        "stock.txt", before + b'[{"sku": "MUG", "units": 2},\n {"sku": "CUP", "units": 1}]', encoding=encoding
    )

    assert [row.fields for row in file.rows] == [{"sku": "MUG", "units": "2"}, {"sku": "CUP", "units": "1"}]
    assert not file.no_line_end, "it ends with its bracket"


@pytest.mark.parametrize(
    ("told", "units", "problem"),
    [("2", 2, ""), (" 2 ", 2, ""), ("2.0", None, "units is '2.0', not a whole number"), ("", None, "units is blank")],
)
def test_units_of_json_may_be_the_text_of_a_whole_number_as_in_csv(told: str, units: int | None, problem: str) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    declared = Declared(basis="physical", as_of=now, location="main")
    file = read_file("stock.jsonl", f'{{"sku": "MUG", "units": "{told}"}}\n'.encode())

    good, bad = understood(file, declared, By(actor="import:stock.jsonl", run="test", now=now))

    assert [row.units for row in good] == ([] if units is None else [units])
    assert [row.reason for row in bad] == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"sku":"MUG","units":2.0}', "units is 2.0, not a whole number"),
        ('{"sku":"MUG","units":[2]}', "units is [2], not a whole number"),
        ('{"sku":"MUG","units":true}', "units is true, not a whole number"),
        ('{"sku":17,"units":2}', "sku is 17, not a text: put it in quotes"),
        ('{"sku":"MUG","units":2,"place":"main"}', "place is unknown"),
        ("[1]", "it is no JSON object"),
        ("{", "it is no JSON"),
    ],
)
def test_an_object_that_says_something_else_is_a_bad_row(line: str, problem: str) -> None:
    good = '{"sku":"CUP","units":1}\n'

    rows = read_file("stock.jsonl", f"{good}{line}\n".encode()).rows

    assert rows[0].fields == {"sku": "CUP", "units": "1"}
    assert rows[1].fields is None
    assert problem in rows[1].problem
