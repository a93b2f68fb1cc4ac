"""Feeds: files of other systems become positions, each once, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from pydantic import SecretStr

from channelsync.domain.guard import GuardLimits
from channelsync.domain.ledger import EntryKind
from channelsync.domain.quantities import PositionKey
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.files.place import FolderPlace
from channelsync.sdk.files.sftp import SftpPlace, SftpServer
from channelsync.store import feed_files, runs
from channelsync.store.items import item_id
from channelsync.sync import feed_files as taking
from channelsync.sync.feed_files import Came, FeedSetup, KeyUsedBefore, prune_feed_files, take_file
from channelsync.sync.feeds import FolderFeed, check_late
from channelsync.sync.publish import publish_tick
from channelsync.sync.stock import By
from channelsync.sync.stock import place as placed_at
from channelsync.sync.stock_import_file import Layout
from channelsync.sync.stock_incoming import expect
from channelsync.sync.undo import undo

CSV = Layout(form="csv")
FEED = FeedSetup(
    name="erp", kind="folder", basis="physical", layout=CSV, pattern="*.csv", as_of="received", location="main"
)


class Folder:
    """The folder of a feed, and the other system that writes to it."""

    def __init__(self, base: Path, agent: Any, **more: Any) -> None:
        self.base, self.agent = base, agent
        self.feed = replace(FEED, **more)
        self.watch = self.again()
        base.mkdir(exist_ok=True)

    def again(self) -> FolderFeed:
        """Another process looks at it."""
        self.watch = FolderFeed(self.agent, self.feed, FolderPlace(str(self.base), "feed erp", self.feed.bytes_max))
        return self.watch

    def write(self, text: str | bytes, name: str = "numbers.csv", at: datetime | None = None) -> Path:
        path = self.base / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        if at is not None:
            os.utime(path, (at.timestamp(), at.timestamp()))
        return path

    def names(self, folder: str = ".") -> list[str]:
        """Files by the names that they came with; reports as such."""
        found = sorted(one.name for one in (self.base / folder).iterdir() if one.is_file())
        return [name if folder == "." else name[24:] for name in found]

    def report(self, folder: str) -> dict[str, Any]:
        (path,) = (self.base / folder).glob("*.report.json")
        found: dict[str, Any] = orjson.loads(path.read_bytes())
        return found


@pytest.fixture
async def folder(seller: Any, tmp_path: Path) -> Callable[..., Folder]:
    await seller.has("MUG", 5)
    return lambda **more: Folder(tmp_path / "erp", seller.agent, **more)


async def test_a_file_becomes_positions_and_goes_to_done_with_its_report(seller: Any, folder: Any) -> None:
    erp = folder()
    erp.write("sku,units\nMUG,8\n")
    seller.clock.at += timedelta(hours=1)
    looked = await erp.watch.look()
    assert (await seller.position("MUG")).on_hand == 8
    assert str(looked) == "1 files taken"
    assert (erp.names(), erp.names("taking")) == ([], [])
    assert erp.names("done") == ["numbers.csv", "numbers.csv.report.json"]
    report = erp.report("done")
    assert (report["outcome"], report["rows"], report["refused_rows"]) == ("imported", 1, [])
    run = await seller.database.query(lambda c: runs.get_run(c, report["run"]))
    assert (run.actor, run.command, run.outcome, run.arguments["file"]) == (
        "feed erp",
        "feed erp",
        "done",
        "numbers.csv",
    )
    entry = (await seller.entries("MUG"))[-1]
    assert (entry.movement.cause.actor, entry.movement.cause.run) == ("feed erp", report["run"])


async def test_a_run_of_a_feed_can_be_undone_and_its_file_taken_again(seller: Any, folder: Any) -> None:
    erp = folder(basis="delta", as_of="column")
    erp.write("sku,units\nMUG,+3\n")
    (done,) = (await erp.watch.look()).taken
    now = seller.clock.now()
    await seller.database.transact(lambda c: runs.begin_run(c, "taken back", "undo", "test", {}, now))
    by = By(actor="test", run="taken back", now=now)
    await seller.database.transact(lambda c: undo(c, seller.agent.setup, by, done.run))
    assert (await seller.position("MUG")).on_hand == 5
    erp.write("sku,units\nMUG,+3\n")
    (again,) = (await erp.watch.look()).taken
    assert (again.outcome, (await seller.position("MUG")).on_hand) == ("imported", 8)


async def test_the_same_file_twice_changes_nothing(seller: Any, folder: Any) -> None:
    erp = folder(basis="delta", as_of="column")
    for name in ("a.csv", "b.csv"):
        erp.write("sku,units\nMUG,+3\n", name)
        await erp.watch.look()
        seller.clock.at += timedelta(minutes=1)
    assert (await seller.position("MUG")).on_hand == 8
    second = orjson.loads(next((erp.base / "done").glob("*b.csv.report.json")).read_bytes())
    assert second["outcome"] == "repeated"
    assert second["repeats_run"]


async def test_the_same_numbers_an_hour_later_speak_of_that_hour(seller: Any, folder: Any) -> None:
    """8 are there at ten and at eleven, although one was written off in between: one came that we did not hear of."""
    erp = folder()
    seller.clock.at += timedelta(minutes=1)
    erp.write("sku,units\nMUG,8\n")
    await erp.watch.look()
    seller.clock.at += timedelta(hours=1)
    erp.write("sku,units\nMUG,8\n")
    (done,) = (await erp.watch.look()).taken
    assert done.outcome == "imported"


BAD = {
    "a blank SKU": ("sku,units\n,8\n", "the SKU is blank"),
    "an unknown SKU": ("sku,units\nCUP,8\n", "There is no item with the SKU 'CUP'"),
    "no number": ("sku,units\nMUG,eight\n", "not a whole number"),
    "no units": ("sku,units\nMUG,\n", "units is blank"),
    "half a unit": ("sku,units\nMUG,1.5\n", "not a whole number"),
    "below 0": ("sku,units\nMUG,-8\n", "cannot be below 0"),
    "too many": ("sku,units\nMUG,9999999999999\n", "are more than"),
    "an unknown location": ("sku,units,location\nMUG,8,moon\n", "There is no location 'moon'"),
    "twice": ("sku,units\nMUG,8\nMUG,9\n", "for the same item and location"),
    "a cost without currency": ("sku,units,unit_cost\nMUG,8,1.50\n", "a cost needs one"),
    "a cost that is none": ("sku,units,unit_cost,currency\nMUG,8,cheap,EUR\n", "unit_cost is 'cheap'"),
    "too many fields": ("sku,units\nMUG,8,9\n", "it has 3 fields, the header has 2"),
    "a time that is none": ("sku,units,as_of\nMUG,8,soon\n", "as_of is 'soon'"),
    "a time to come": ("sku,units,as_of\nMUG,8,2099-01-01T00:00:00Z\n", "is in the future"),
    "orders later than the number": (
        "sku,units,as_of,orders_counted_up_to\nMUG,8,2026-03-01T09:10:00Z,2026-03-01T09:20:00Z\n",
        "orders cannot be counted up to",
    ),
    "counted later": ("sku,units,as_of\nMUG,8,2026-03-01T09:10:00Z\n", "it was counted as of"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_row_refuses_the_file_or_is_left_out(seller: Any, folder: Any, kind: str) -> None:
    text, reason = BAD[kind]
    await seller.has("PLATE", 1)
    seller.clock.at += timedelta(hours=1)
    if kind == "counted later":
        first = folder()
        first.write("sku,units\nMUG,7\n", "first.csv")
        await first.watch.look()
        seller.clock.at += timedelta(minutes=1)
    header, *_ = text.splitlines()
    good = {"sku": "PLATE", "units": "2", "location": "main"}
    text += ",".join(good.get(name, "") for name in header.split(",")) + "\n"
    strict = folder()
    strict.write(text, "strict.csv")
    before = (await seller.position("MUG")).on_hand
    (refused,) = (await strict.watch.look()).taken
    assert (refused.outcome, (await seller.position("PLATE")).on_hand) == ("refused", 1)
    assert reason in refused.report["refused_rows"][0]["reason"]
    assert strict.names("refused") == ["strict.csv", "strict.csv.report.json"]
    assert await seller.kinds() == ["feed refused"]
    seller.clock.at += timedelta(minutes=1)
    loose = folder(skip_bad_rows=True)
    loose.write(text, "loose.csv")
    (taken,) = (await loose.watch.look()).taken
    assert (taken.outcome, taken.rows, (await seller.position("PLATE")).on_hand) == ("imported", 1, 2)
    assert reason in taken.report["refused_rows"][0]["reason"]
    assert (await seller.position("MUG")).on_hand == before
    seller.clock.at += timedelta(minutes=1)
    loose.write("sku,units\nPLATE,2\n", "good.csv")
    await loose.watch.look()
    assert await seller.kinds() == []


UNREADABLE = {
    "empty": (b"", "is empty"),
    "only a header": (b"sku,units\n", "a header and no rows"),
    "UTF-16": ("sku,units\nMUG,8\n".encode("utf-16"), "is UTF-16"),
    "another encoding": ("sku,units,reason\nMUG,8,für\n".encode("cp1252"), "is not UTF-8"),
    "no text": (b"sku,units\nMUG,8\0\n", "NUL characters"),
    "another header": (b"article;pieces\nMUG;8\n", "no column sku"),
    "a column twice": (b"sku,units,units\nMUG,8,8\n", "the column units twice"),
    "cut off in a row": (b'sku,units\nMUG,8\nMUG,"9', "it was cut off"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_a_file_that_cannot_be_read_is_refused_whole(seller: Any, folder: Any, kind: str) -> None:
    content, reason = UNREADABLE[kind]
    erp = folder()
    erp.write(content)
    await erp.watch.look()
    assert reason in erp.report("refused")["message"]
    assert await seller.kinds() == ["feed refused"]
    assert (await seller.position("MUG")).on_hand == 5


async def test_a_file_that_is_too_large_is_refused_unread(seller: Any, folder: Any) -> None:
    erp = folder(bytes_max=20)
    erp.write("sku,units\nMUG,8\nPLATE,9\n")
    await erp.watch.look()
    assert "larger than 20 bytes" in erp.report("refused")["message"]


async def test_columns_and_forms_are_as_the_other_system_has_them(seller: Any, folder: Any) -> None:
    german = folder(
        layout=Layout(form="csv", encoding="cp1252", delimiter=";", columns={"sku": "Artikel-Nr.", "units": "Menge"})
    )
    german.write("Größe;Artikel-Nr.;Menge;units\nXL;MUG;11;99\n".encode("cp1252"))
    await german.watch.look()
    assert (await seller.position("MUG")).on_hand == 11
    seller.clock.at += timedelta(hours=1)
    listed = folder(pattern="*.json", layout=Layout(form="json", columns={"sku": "id", "units": "free"}))
    listed.write('[{"id": "MUG", "free": 12, "colour": "blue"}]', "n.json")
    await listed.watch.look()
    assert (await seller.position("MUG")).on_hand == 12
    seller.clock.at += timedelta(hours=1)
    lines = folder(pattern="*.jsonl", layout=Layout(form="jsonl"))
    lines.write('{"sku": "MUG", "units": 13}\n', "n.jsonl")
    await lines.watch.look()
    assert (await seller.position("MUG")).on_hand == 13


@pytest.mark.parametrize("text", ["[1]", '{"sku": "MUG"}', "[]", '[{"sku": "MUG", "units": 1}'])
async def test_a_json_document_that_is_no_list_of_objects_is_refused(seller: Any, folder: Any, text: str) -> None:
    erp = folder(pattern="*.json", layout=Layout(form="json"))
    erp.write(text, "n.json")
    (done,) = (await erp.watch.look()).taken
    assert done.outcome == "refused"


async def test_a_mapped_column_that_is_missing_is_named_as_the_file_has_it(seller: Any, folder: Any) -> None:
    erp = folder(layout=Layout(columns={"sku": "Artikel", "units": "Menge"}))
    erp.write("Artikel;Bestand\nMUG;8\n")
    await erp.watch.look()
    assert "no column Menge" in erp.report("refused")["message"]


async def test_numbers_speak_of_the_moment_that_the_rule_finds(seller: Any, folder: Any) -> None:
    """What is received after that moment stays on top."""
    at = seller.clock.at + timedelta(hours=1)
    seller.clock.at += timedelta(hours=2)
    await seller.has("MUG", 2)  # at eleven; the numbers are of ten
    seller.clock.at += timedelta(hours=1)
    berlin = at.astimezone(ZoneInfo("Europe/Berlin"))
    named = folder(as_of="name", name_time="n-%Y%m%d-%H%M.csv", zone=ZoneInfo("Europe/Berlin"))
    named.write("sku,units\nMUG,20\n", f"n-{berlin:%Y%m%d-%H%M}.csv")
    await named.watch.look()
    assert (await seller.position("MUG")).on_hand == 22
    named.write("sku,units\nMUG,20\n", "other.csv")
    assert (await named.watch.look()).taken[0].report["message"].startswith("other.csv: its name has no time")
    changed = folder(as_of="modified")
    changed.write("sku,units\nMUG,30\n", "m.csv", at=at + timedelta(minutes=1))
    await changed.watch.look()
    assert (await seller.position("MUG")).on_hand == 32
    rows = folder(as_of="column", zone=ZoneInfo("Europe/Berlin"))
    local = (at + timedelta(minutes=2)).astimezone(ZoneInfo("Europe/Berlin"))
    rows.write(f"sku,units,as_of\nMUG,40,{local:%Y-%m-%d %H:%M:%S}\n", "r.csv")
    await rows.watch.look()
    assert (await seller.position("MUG")).on_hand == 42


async def test_a_shipment_that_the_feed_does_not_know_yet_stays_off_its_number(seller: Any, folder: Any) -> None:
    """The numbers are of now, the orders in them are an hour old."""
    listing = await seller.sells("CUP", 10)
    seller.clock.at += timedelta(minutes=1)
    shop = seller.shop()
    shop.ship(shop.buy((shop.items[listing], 4)), 4)
    from channelsync.sync.take_orders import poll_orders

    await poll_orders(seller.agent, seller.channel())
    assert (await seller.position("CUP")).on_hand == 6
    seller.clock.at += timedelta(minutes=10)
    behind = folder(orders_behind=timedelta(hours=1))
    behind.write("sku,units\nCUP,10\n")
    await behind.watch.look()
    assert (await seller.position("CUP")).on_hand == 6
    seller.clock.at += timedelta(minutes=1)
    current = folder()
    current.write("sku,units\nCUP,6\n", "current.csv")
    await current.watch.look()
    assert (await seller.position("CUP")).on_hand == 6


async def test_receipts_are_received_with_lot_cost_and_reference(seller: Any, folder: Any) -> None:
    now = seller.clock.now()
    by = By(actor="test", run="test", now=now)
    await seller.database.transact(
        lambda c: expect(
            c, seller.agent.setup, by, placed_at(c, seller.agent.setup, "MUG", "main"), 10, reference="PO-1"
        )
    )
    seller.clock.at += timedelta(minutes=1)
    erp = folder(basis="receipt", as_of="column", create_items=True, currency="EUR")
    erp.write("sku,units,lot,unit_cost,reference\nMUG,4,L1,2.50,PO-1\nMUG,2,L2,2.60,PO-1\nVASE,3,,,PO-2\n")
    (done,) = (await erp.watch.look()).taken
    assert (done.outcome, done.rows, done.report["new_items"]) == ("imported", 3, ["VASE"])
    entries = [one.movement for one in await seller.entries("MUG")][1:]
    assert [(one.kind, one.on_hand, one.lot, str(one.unit_cost)) for one in entries] == [
        (EntryKind.RECEIPT, 4, "L1", "2.50"),
        (EntryKind.RECEIPT, 2, "L2", "2.60"),
    ]
    from channelsync.store import incoming

    key = PositionKey(item_id("MUG"), "main")
    left = await seller.database.query(lambda c: incoming.find_incoming(c, key, "PO-1"))
    assert left.units == 4
    assert (await seller.position("VASE")).on_hand == 3


@pytest.mark.parametrize("units", ["0", "-3"])
async def test_less_than_one_unit_does_not_arrive(seller: Any, folder: Any, units: str) -> None:
    erp = folder(basis="receipt", as_of="column")
    erp.write(f"sku,units\nMUG,{units}\n")
    await erp.watch.look()
    assert "1 or more arrive" in erp.report("refused")["refused_rows"][0]["reason"]


async def test_a_file_that_is_still_written_is_not_taken(seller: Any, folder: Any) -> None:
    erp = folder(stable=timedelta(seconds=60))
    erp.write("sku,units\nMUG,")
    for text in ("sku,units\nMUG,", "sku,units\nMUG,8\nMUG", None, None):
        assert (await erp.watch.look()).taken == []
        seller.clock.at += timedelta(seconds=30)
        if text is not None:
            erp.write(text + "1")
    erp.write("sku,units\nMUG,81\n")
    looked = await erp.watch.look()
    assert (looked.taken, looked.waiting, str(looked)) == ([], 1, "1 not whole yet")
    seller.clock.at += timedelta(seconds=59)
    assert (await erp.watch.look()).taken == []
    seller.clock.at += timedelta(seconds=1)
    await erp.watch.look()
    assert (await seller.position("MUG")).on_hand == 81


async def test_names_that_do_not_match_hidden_names_and_folders_are_left_alone(seller: Any, folder: Any) -> None:
    erp = folder()
    for name in ("numbers.csv.tmp", ".numbers.csv", "readme.txt"):
        erp.write("sku,units\nMUG,8\n", name)
    (erp.base / "folder.csv").mkdir()
    assert (await erp.watch.look()).taken == []
    assert erp.names() == [".numbers.csv", "numbers.csv.tmp", "readme.txt"]


class Killed(BaseException):
    """The process ends here."""


STEPS = (
    "before the claim",
    "after the claim",
    "in the import",
    "after the import",
    "after the report",
    "after the move",
)


@pytest.mark.fault(47, "a feed's file is imported once and reported, whichever step its process was killed after")
@pytest.mark.parametrize("step", STEPS)
async def test_a_file_is_imported_once_wherever_the_process_was_killed(
    seller: Any, folder: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    erp = folder(basis="delta", as_of="column")
    erp.write("sku,units\nMUG,+3\n")
    await FolderPlace(str(erp.base), "x", 1).make("taking")

    def dying(name: str, when: str, owner: Any, method: str, nth: int = 1) -> None:
        if step != name:
            return
        right, calls = getattr(owner, method), []

        async def or_die(*given: Any, **more: Any) -> Any:
            calls.append(given)
            if len(calls) == nth and when == "before":
                raise Killed
            done = await right(*given, **more)
            if len(calls) == nth:
                raise Killed
            return done

        monkeypatch.setattr(owner, method, or_die)

    dying("before the claim", "before", FolderPlace, "move")
    dying("after the claim", "after", FolderPlace, "move")
    dying("after the import", "before", FolderPlace, "put")
    dying("after the report", "after", FolderPlace, "put")
    dying("after the move", "after", FolderPlace, "move", nth=2)
    if step == "in the import":
        right = taking.import_rows

        def half(*given: Any) -> Any:
            right(*given)
            raise Killed

        monkeypatch.setattr(taking, "import_rows", half)
    with pytest.raises(Killed):
        await erp.watch.look()
    monkeypatch.undo()
    seller.clock.at += timedelta(minutes=1)
    await erp.again().look()
    assert (await seller.position("MUG")).on_hand == 8
    assert (erp.names(), erp.names("taking")) == ([], [])
    assert erp.names("done") == ["numbers.csv", "numbers.csv.report.json"]
    report = erp.report("done")
    assert (report["outcome"], report["rows"], report["entries"]) == ("imported", 1, 1)


async def test_a_moment_of_taking_outlives_the_process(
    seller: Any, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes the file up again says the same of it: what arrived meanwhile is not counted into its number."""
    erp = folder()
    erp.write("sku,units\nMUG,20\n")
    right = FolderPlace.move

    async def once(place: FolderPlace, *given: Any) -> None:
        await right(place, *given)
        raise Killed

    monkeypatch.setattr(FolderPlace, "move", once)
    seller.clock.at += timedelta(minutes=1)
    with pytest.raises(Killed):
        await erp.watch.look()
    monkeypatch.undo()
    seller.clock.at += timedelta(hours=1)
    await seller.has("MUG", 2)
    seller.clock.at += timedelta(minutes=1)
    await erp.again().look()
    assert (await seller.position("MUG")).on_hand == 22


async def test_two_workers_at_one_folder_import_each_file_once(seller: Any, folder: Any) -> None:
    import asyncio

    erp = folder(basis="delta", as_of="column")
    for number in range(6):
        erp.write(f"sku,units,reason\nMUG,+1,number {number}\n", f"{number}.csv")
    one, other = erp.watch, erp.again()
    await one.look()  # makes the folders
    for number in range(6, 12):
        erp.write(f"sku,units,reason\nMUG,+1,number {number}\n", f"{number}.csv")
    await asyncio.gather(one.look(), other.look(), return_exceptions=True)  # who comes second may be told so
    await one.look()
    assert (await seller.position("MUG")).on_hand == 17
    assert (erp.names(), erp.names("taking")) == ([], [])
    assert len(erp.names("done")) == 24


@pytest.mark.fault(64, "a file that raises an unknown error is set aside, and those behind it are taken")
async def test_a_file_that_breaks_the_import_is_set_aside(
    seller: Any, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = taking.import_rows

    def breaks(connection: Any, setup: Any, by: Any, file: Any, *more: Any) -> Any:
        if file.name == "a.csv":
            raise ZeroDivisionError
        return right(connection, setup, by, file, *more)

    monkeypatch.setattr(taking, "import_rows", breaks)
    erp = folder()
    erp.write("sku,units\nMUG,7\n", "a.csv")
    erp.write("sku,units\nMUG,8\n", "b.csv")
    seller.clock.at += timedelta(minutes=1)
    looked = await erp.watch.look()
    assert sorted(one.outcome for one in looked.taken) == ["imported", "refused"]
    assert (await seller.position("MUG")).on_hand == 8


async def test_a_file_that_only_the_seller_can_set_right_holds_up_no_other(
    seller: Any, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = FolderPlace._fetch

    def may_not(place: FolderPlace, where: str, name: str) -> bytes:
        if name.endswith("a.csv"):
            raise PermissionError(13, "Permission denied")
        return right(place, where, name)

    monkeypatch.setattr(FolderPlace, "_fetch", may_not)
    erp = folder()
    erp.write("sku,units\nMUG,7\n", "a.csv")
    erp.write("sku,units\nMUG,8\n", "b.csv")
    for name in ("b.csv", "c.csv"):
        seller.clock.at += timedelta(minutes=1)
        with pytest.raises(NeedsSeller, match="right to read"):
            await erp.watch.look()
        assert (erp.names("taking"), name in erp.names("done")) == (["a.csv"], True)
        erp.write("sku,units\nMUG,9\n", "c.csv")
    monkeypatch.undo()
    (erp.base / "c.csv").unlink()
    await erp.watch.look()
    assert (erp.names("taking"), (await seller.position("MUG")).on_hand) == ([], 9), "an older number changes nothing"


async def test_a_file_that_was_changed_after_its_import_is_told_and_holds_up_no_other(
    seller: Any, folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    erp = folder()
    erp.write("sku,units\nMUG,7\n", "a.csv")
    monkeypatch.setattr(FolderPlace, "put", None)  # it dies after the import
    with pytest.raises(TypeError):
        await erp.watch.look()
    monkeypatch.undo()
    (left,) = (erp.base / "taking").iterdir()
    left.write_text("sku,units\nMUG,70\n")
    erp.write("sku,units\nMUG,8\n", "b.csv")
    seller.clock.at += timedelta(minutes=1)
    with pytest.raises(KeyUsedBefore):
        await erp.again().look()
    assert ((await seller.position("MUG")).on_hand, erp.names("taking")) == (8, ["a.csv"])


async def test_a_file_of_nobody_in_taking_is_left_there(seller: Any, folder: Any) -> None:
    erp = folder()
    await erp.watch.look()
    (erp.base / "taking" / "notes.txt").write_text("mine")
    assert (await erp.watch.look()).taken == []
    assert (erp.base / "taking" / "notes.txt").exists()


async def test_a_folder_that_is_missing_is_for_the_seller(seller: Any, folder: Any, tmp_path: Path) -> None:
    erp = folder()
    erp.base.rmdir()
    with pytest.raises(NeedsSeller, match=f"Create the folder {erp.base}:"):
        await erp.watch.look()


async def test_a_feed_that_is_late_is_found_and_a_good_file_closes_it(seller: Any, folder: Any) -> None:
    erp = folder(expected_every=timedelta(hours=2))
    began = seller.clock.now()
    assert not await check_late(seller.agent, erp.feed, began)
    seller.clock.at += timedelta(hours=2, seconds=1)
    assert await check_late(seller.agent, erp.feed, began)
    erp.write("sku,pieces\nMUG,8\n", "bad.csv")
    await erp.watch.look()
    assert await seller.kinds() == ["feed late", "feed refused"]
    erp.write("sku,units\nMUG,8\n")
    await erp.watch.look()
    assert await seller.kinds() == []
    seller.clock.at += timedelta(hours=1)
    assert not await check_late(seller.agent, erp.feed, began)
    assert not await check_late(seller.agent, folder().feed, began)


def came(key: str = "k", text: str = "sku,units\nMUG,+3\n", **more: Any) -> Came:
    return Came(key=key, name="n.csv", content=text.encode(), received_at=datetime(2026, 3, 1, 9, tzinfo=UTC), **more)


async def test_a_key_stands_for_one_file(seller: Any, folder: Any) -> None:
    feed = folder(basis="delta", as_of="column").feed
    first = await take_file(seller.agent, feed, came(own_key="k"))
    assert await take_file(seller.agent, feed, came(own_key="k")) == first
    with pytest.raises(KeyUsedBefore, match="was used for another file"):
        await take_file(seller.agent, feed, came(text="sku,units\nMUG,+4\n", own_key="k"))
    assert (await seller.position("MUG")).on_hand == 8
    other = await take_file(seller.agent, feed, came(key="l", own_key="l"))
    assert (other.outcome, (await seller.position("MUG")).on_hand) == ("imported", 11)


async def test_a_refused_file_may_come_again_once_its_fault_is_mended_here(seller: Any, folder: Any) -> None:
    feed = folder(basis="delta", as_of="column").feed
    file = came(text="sku,units\nVASE,+3\n")
    assert (await take_file(seller.agent, feed, file)).outcome == "refused"
    await seller.has("VASE", 1)
    assert (await take_file(seller.agent, feed, file)).outcome == "imported"
    assert (await seller.position("VASE")).on_hand == 4


async def test_a_moment_that_nothing_tells_refuses_the_file(seller: Any, folder: Any) -> None:
    for rule in ("request", "modified"):
        done = await take_file(seller.agent, folder(as_of=rule).feed, came(key=rule))
        assert "nothing says as of when" in done.report["message"]


async def test_finished_files_are_forgotten_in_time_save_the_last_good_one(seller: Any, folder: Any) -> None:
    feed = folder(basis="delta", as_of="column").feed
    for key in ("a", "b"):
        await take_file(seller.agent, feed, came(key=key, own_key=key))
        seller.clock.at += timedelta(minutes=1)
    seller.clock.at += timedelta(days=91)
    assert await prune_feed_files(seller.agent) == 1
    assert await seller.database.query(lambda c: feed_files.find_file(c, "erp", "a")) is None
    assert await seller.database.query(lambda c: feed_files.find_file(c, "erp", "b")) is not None


async def test_a_file_that_would_empty_a_channel_waits_there_for_approval(open_seller: Any, tmp_path: Path) -> None:
    seller = await open_seller("shop", channel={"guard": GuardLimits(zeroed=0.1, least=3)})
    erp = Folder(tmp_path / "erp", seller.agent)
    for number in range(20):
        await seller.sells(f"SKU-{number}", 10)
    for channel in seller.agent.channels.values():
        for _ in range(2):
            await publish_tick(seller.agent, channel)
    seller.clock.at += timedelta(minutes=10)
    erp.write("sku,units\n" + "".join(f"SKU-{number},0\n" for number in range(20)))
    (done,) = (await erp.watch.look()).taken
    assert done.outcome == "imported"
    assert [one["channel"] for one in done.report["held"]] == ["shop"]
    assert (await seller.position("SKU-1")).on_hand == 0


async def test_a_feed_is_read_from_a_real_sftp_server(seller: Any, folder: Any) -> None:
    asyncssh = pytest.importorskip("asyncssh", reason="the extra `sftp` is not installed")
    erp = folder(basis="delta", as_of="modified")

    class Door(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("erp", "erp-password-1")

    key = asyncssh.generate_private_key("ssh-ed25519")
    listening = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(erp.base).encode()),
    )
    server = SftpServer(
        address=f"sftp://127.0.0.1:{listening.get_port()}/",
        username="erp",
        password=SecretStr("erp-password-1"),
        host_keys=(key.export_public_key().decode().strip(),),
        bytes_max=1_000,
    )
    erp.write("sku,units\nMUG,+3\n", at=seller.clock.now())
    seller.clock.at += timedelta(minutes=1)
    place = SftpPlace(server, "feed erp")
    async with listening:
        watch = FolderFeed(seller.agent, erp.feed, place)
        assert str(await watch.look()) == "1 files taken"
        assert (await watch.look()).taken == []
        await place.aclose()
    assert (await seller.position("MUG")).on_hand == 8
    assert (erp.names(), erp.names("done")) == ([], ["numbers.csv", "numbers.csv.report.json"])
