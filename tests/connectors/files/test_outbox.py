"""Numbers on their way out: whole files, numbered, acknowledged or not; and what a read tells where nobody does."""

import csv
import io
import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channelsync.sdk.errors import ChannelMisbehaved, NotSent, OutcomeUnknown, TryLater
from channelsync.sdk.files.place import FolderPlace
from channelsync.sdk.resources import unused
from channelsync.sdk.right_to_write import writing_while
from channelsync.sdk.values import Deducts, PushResult, QuantityKey, QuantityUpdate
from channelsync_files import CONNECTOR
from channelsync_files.record import NAME
from channelsync_files.settings import FilesSettings, capabilities

ITEMS = "Id,SKU,Name\nA-1,MUG,Mug\nA-2,CUP,=Cup\nA-3,=1+1,Formula\nA-4,TÄSSE,Tässe\n"
ACKNOWLEDGEMENTS = {"path": "replies", "columns": {"file": "File", "key": "Id", "status": "Result", "reason": "Why"}}


class Board:
    """A system that takes numbers and tells none."""

    def __init__(self, base: Path, clock) -> None:
        self.base, self.clock = base, clock
        self.more: dict[str, object] = {}
        self.quantities: dict[str, object] = {"columns": {"listing": "Id", "units": "Units", "file": "File"}}
        for name in ("items", "out", "replies"):
            (base / name).mkdir(exist_ok=True)
        (base / "items" / "items.csv").write_text(ITEMS)

    @property
    def settings(self) -> FilesSettings:
        return FilesSettings.model_validate(
            {
                "place": str(self.base),
                "listings": {"path": "items", "columns": {"listing": "Id", "sku": "SKU", "title": "Name"}},
                "quantities": {"path": "out", **self.quantities},
                **self.more,
            }
        )

    @asynccontextmanager
    async def opened(self):
        resources = unused("board", CONNECTOR.budgets(self.settings), self.clock)
        async with CONNECTOR.open(self.settings, resources) as channel:
            yield channel

    async def push(self, *values: tuple[str, int]) -> list[PushResult]:
        async with self.opened() as channel:
            return list(await channel.push([update(*value) for value in values]))

    async def shows(self, *listings: str) -> list[int | None]:
        async with self.opened() as channel:
            return [one.value for one in await channel.read([QuantityKey(name) for name in listings])]

    def files(self) -> dict[str, list[dict[str, str]]]:
        found = sorted(path for path in (self.base / "out").iterdir() if not path.name.startswith("."))
        return {one.name: list(csv.DictReader(io.StringIO(one.read_text(), newline=""))) for one in found}

    def reply(self, *rows: tuple[object, ...], name: str = "reply") -> None:
        text = "File,Id,Result,Why\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)
        (self.base / "replies" / f"{name}.csv").write_text(text)


def update(listing: str, value: int) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(listing), value=value, listing=listing, idempotency=f"{listing}-{value}")


@pytest.fixture
def board(tmp_path: Path, clock) -> Board:
    return Board(tmp_path, clock)


async def test_each_push_is_a_file_with_the_next_number_over_restarts(board: Board) -> None:
    await board.push(("A-1", 3), ("A-2", 0))
    await board.push(("A-1", 2))
    assert board.files() == {
        "quantities-0000000001.csv": [
            {"Id": "A-1", "Units": "3", "File": "1"},
            {"Id": "A-2", "Units": "0", "File": "1"},
        ],
        "quantities-0000000002.csv": [{"Id": "A-1", "Units": "2", "File": "2"}],
    }


async def test_a_file_may_hold_every_number_that_was_told(board: Board) -> None:
    board.quantities["content"] = "all"
    await board.push(("A-1", 3), ("A-2", 5))
    await board.push(("A-1", 2))
    newest = board.files()["quantities-0000000002.csv"]
    assert [(row["Id"], row["Units"]) for row in newest] == [("A-1", "2"), ("A-2", "5")]


async def test_a_refused_number_is_not_repeated_in_files_that_hold_every_number(board: Board) -> None:
    board.quantities["content"] = "all"
    board.more = {"acknowledgements": {**ACKNOWLEDGEMENTS, "wait_s": 0}}
    await board.push(("A-1", 3), ("A-2", 5))
    board.reply((1, "A-1", "OK", ""), (1, "A-2", "error", "locked"))
    await board.push(("A-1", 2))
    board.reply((2, "A-1", "error", "locked"))
    await board.push(("A-4", 1))
    told = [[(row["Id"], row["Units"]) for row in rows] for rows in board.files().values()]
    assert told == [[("A-1", "3"), ("A-2", "5")], [("A-1", "2")], [("A-1", "3"), ("A-4", "1")]]


async def test_columns_have_the_order_names_and_constants_of_the_settings(board: Board) -> None:
    columns = {"sku": "Artikel", "title": "Bezeichnung", "units": "Menge", "at": "Stand"}
    board.quantities = {
        "columns": columns,
        "delimiter": ";",
        "encoding": "cp1252",
        "name": "lager_{number}.txt",
        "constants": {"Lager": "01"},
    }
    await board.push(("A-4", 3))
    content = (board.base / "out" / "lager_0000000001.txt").read_bytes()
    assert content == (
        "Artikel;Bezeichnung;Menge;Stand;Lager\r\nTÄSSE;Tässe;3;2017-06-01T09:00:00Z;01\r\n".encode("cp1252")
    )


async def test_what_a_spreadsheet_would_run_is_not_written(board: Board) -> None:
    board.quantities["columns"] = {"sku": "SKU", "title": "Name", "units": "Units"}
    cup, formula = await board.push(("A-2", 1), ("A-3", 1))
    assert (cup.state, formula.state) == ("accepted", "refused")
    assert "formula" in formula.reason
    assert board.files()["quantities-0000000001.csv"] == [{"Units": "1", "SKU": "CUP", "Name": "'=Cup"}]
    board.quantities["formulas"] = "write"
    (formula,) = await board.push(("A-3", 1))
    assert formula.state == "accepted"


async def test_a_name_that_the_encoding_does_not_have_is_refused_alone(board: Board) -> None:
    board.quantities = {"columns": {"sku": "SKU", "units": "Units"}, "encoding": "ascii"}
    mug, cup = await board.push(("A-1", 1), ("A-4", 1))
    assert (mug.state, cup.state) == ("accepted", "refused")
    assert "ascii" in cup.reason


async def test_a_location_that_no_column_names_is_refused(board: Board) -> None:
    async with board.opened() as channel:
        east = QuantityUpdate(key=QuantityKey("A-1", "east"), value=1, listing="A-1")
        (result,) = await channel.push([east])
    assert result.state == "refused"
    assert "location" in result.reason


# What is shown, where no file tells it


async def test_without_any_reply_what_was_written_counts_as_shown(board: Board) -> None:
    assert await board.shows("A-1", "A-2", "A-9") == [-1, -1, None]
    assert [one.state for one in await board.push(("A-1", 0))] == ["accepted"]
    assert await board.shows("A-1", "A-2", "A-9") == [0, -1, None]
    async with board.opened() as channel:
        shown = {one.listing: one.shown async for one in channel.listings()}
    assert shown["A-1"] == {QuantityKey("A-1"): 0}
    assert shown["A-2"] == {}, "never told is not 0, and not untracked"


def test_a_number_that_only_we_know_follows_no_order_and_is_never_behind(board: Board) -> None:
    board.more = {"deducts": "at order", "staleness_s": 900}
    told = capabilities(board.settings)
    assert told.behaviour.deducts is Deducts.NEVER
    assert told.behaviour.gives_back == frozenset()
    assert told.timing.staleness.total_seconds() == 0
    assert not told.timing.never_negative, "what was never told stands below 0, so that 0 is written too"


async def test_an_acknowledgement_settles_each_row(board: Board) -> None:
    board.more = {"acknowledgements": ACKNOWLEDGEMENTS}
    board.clock.work.append(lambda: board.reply((1, "A-1", "OK", ""), (1, "A-2", "error", "locked")))
    mug, cup, other = await board.push(("A-1", 3), ("A-2", 4), ("A-4", 5))
    assert (mug.state, cup.state, other.state) == ("accepted", "refused", "unknown")
    assert cup.reason == "locked"
    assert "no acknowledgement of file 1 within 20 s" in other.reason
    assert await board.shows("A-1", "A-2", "A-4") == [3, -1, -1]
    done = {path.name.split(".", 3)[3] for path in (board.base / "replies" / "done").iterdir()}
    assert done == {"reply.csv"}


async def test_what_is_acknowledged_late_is_shown_and_a_late_refusal_is_told_once(board: Board) -> None:
    board.more = {"acknowledgements": ACKNOWLEDGEMENTS}
    async with board.opened() as channel:
        results = await channel.push([update("A-1", 3), update("A-2", 4)])
        assert [one.state for one in results] == ["unknown", "unknown"]
        board.reply((1, "A-1", "OK", ""), (1, "A-2", "error", "locked"))
        assert await board.shows("A-1", "A-2") == [3, -1], "whoever only reads moves nothing"
        assert (board.base / "replies" / "reply.csv").exists()
        (again,) = await channel.push([update("A-2", 4)])
        assert (again.state, again.reason) == ("refused", "locked")
        assert list(board.files()) == ["quantities-0000000001.csv"]
        (then,) = await channel.push([update("A-2", 4)])
        assert then.state == "unknown", "the next time it is tried again"
    assert list(board.files()) == ["quantities-0000000001.csv", "quantities-0000000002.csv"]


async def test_an_older_acknowledgement_does_not_bring_an_older_number_back(board: Board) -> None:
    board.more = {"acknowledgements": {**ACKNOWLEDGEMENTS, "wait_s": 0}}
    await board.push(("A-1", 3))
    await board.push(("A-1", 2))
    board.reply((2, "A-1", "OK", ""), name="b")
    assert await board.shows("A-1") == [2]
    await board.push()
    board.reply((1, "A-1", "OK", ""), name="c")
    assert await board.shows("A-1") == [2]
    await board.push(("A-2", 1))
    assert await board.shows("A-1") == [2]


@pytest.mark.parametrize("file", ["1", "0000000001", "quantities-0000000001.csv", "C:/in/quantities-0000000001.csv"])
async def test_a_whole_file_may_be_acknowledged_by_number_or_name(board: Board, file: str) -> None:
    columns = {"file": "File", "status": "Result"}
    board.more = {"acknowledgements": {**ACKNOWLEDGEMENTS, "columns": columns}}
    board.clock.work.append(lambda: board.reply((file, "", "accepted", "")))
    assert [one.state for one in await board.push(("A-1", 3), ("A-2", 4))] == ["accepted"] * 2


async def test_acknowledgements_may_name_what_our_files_name(board: Board) -> None:
    board.quantities["columns"] = {"sku": "SKU", "units": "Units"}
    board.more = {"acknowledgements": {**ACKNOWLEDGEMENTS, "columns": {"key": "Id", "status": "Result"}}}
    board.clock.work.append(lambda: board.reply(("", "MUG", "OK", "")))
    assert [one.state for one in await board.push(("A-1", 3))] == ["accepted"]
    assert await board.shows("A-1") == [3]


async def test_a_word_that_means_nothing_and_a_file_that_cannot_be_read_settle_nothing(board: Board) -> None:
    board.more = {"acknowledgements": ACKNOWLEDGEMENTS}

    def reply() -> None:
        board.reply((1, "A-1", "perhaps", ""))
        (board.base / "replies" / "other.csv").write_text("what;is;this\n")

    board.clock.work.append(reply)
    assert [one.state for one in await board.push(("A-1", 3))] == ["unknown"]
    refused = {path.name.split(".", 3)[3] for path in (board.base / "replies" / "refused").iterdir()}
    assert refused == {"other.csv", "other.csv.reason.txt"}


# Crashes


async def test_a_crash_between_writing_and_renaming_leaves_nothing_to_import(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_self: Path, _target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        FolderPlace(str(board.base), "board", 1_000)._put("out", "quantities-0000000001.csv", b"half")
    monkeypatch.undo()
    assert board.files() == {}
    assert [path.name for path in (board.base / "out").iterdir()] == [".quantities-0000000001.csv.part"]
    await board.push(("A-1", 3))
    assert list(board.files()) == ["quantities-0000000001.csv"]


async def test_a_crash_after_the_number_was_kept_costs_a_number_and_claims_nothing(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = FolderPlace.put

    async def dies_at_the_file(self, folder: str, name: str, content: bytes) -> None:
        if name != NAME:
            raise KeyboardInterrupt
        await put(self, folder, name, content)

    monkeypatch.setattr(FolderPlace, "put", dies_at_the_file)
    with pytest.raises(KeyboardInterrupt):
        await board.push(("A-1", 3))
    monkeypatch.undo()
    assert await board.shows("A-1") == [-1]
    await board.push(("A-1", 3))
    assert list(board.files()) == ["quantities-0000000002.csv"]


async def test_when_the_record_fails_after_the_file_was_written_the_outcome_is_unknown(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, kept = FolderPlace.put, []

    async def full_the_second_time(self, folder: str, name: str, content: bytes) -> None:
        kept.append(name)
        if kept.count(NAME) == 2:
            raise TryLater("no space left on the disk")
        await put(self, folder, name, content)

    monkeypatch.setattr(FolderPlace, "put", full_the_second_time)
    (result,) = await board.push(("A-1", 3))
    assert result.state == "unknown"
    assert "no space left" in result.reason
    assert list(board.files()) == ["quantities-0000000001.csv"]


async def test_when_the_record_cannot_be_kept_nothing_is_written(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_self, _folder: str, _name: str, _content: bytes) -> None:
        raise TryLater("no space left on the disk")

    monkeypatch.setattr(FolderPlace, "put", full)
    with pytest.raises(NotSent, match="nothing was written"):
        await board.push(("A-1", 3))
    assert board.files() == {}


async def test_a_rename_that_fails_leaves_the_outcome_unknown(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if target.name != NAME:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OutcomeUnknown):
        await board.push(("A-1", 3))


async def test_a_lost_record_makes_no_file_be_written_over(board: Board) -> None:
    await board.push(("A-1", 3))
    (board.base / "out" / NAME).unlink()
    await board.push(("A-1", 2))
    assert [rows[0]["Units"] for rows in board.files().values()] == ["3", "2"]


async def test_a_broken_record_is_named_and_not_guessed_at(board: Board) -> None:
    (board.base / "out" / NAME).write_text(json.dumps({"last": "many"}))
    with pytest.raises(ChannelMisbehaved, match="our own record"):
        await board.push(("A-1", 3))
    assert board.files() == {}


async def test_nothing_is_written_once_the_right_to_write_has_run_out(board: Board) -> None:
    with writing_while(lambda: False), pytest.raises(NotSent):
        await board.push(("A-1", 3))
    assert board.files() == {}


async def test_a_channel_without_quantities_refuses_each_update(tmp_path: Path, clock) -> None:
    (tmp_path / "orders").mkdir()
    columns = {"order": "o", "sku": "s", "units": "u", "placed_at": "p", "changed_at": "c"}
    settings = FilesSettings.model_validate({"place": str(tmp_path), "orders": {"path": "orders", "columns": columns}})
    async with CONNECTOR.open(settings, unused("till", CONNECTOR.budgets(settings), clock)) as channel:
        (result,) = await channel.push([update("A-1", 3)])
        assert [one async for one in channel.listings()] == []
        (read,) = await channel.read([QuantityKey("A-1")])
    assert (result.state, read.value) == ("refused", None)
