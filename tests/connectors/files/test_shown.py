"""What the other system offers and shows: the newest file counts, and an old one is not believed."""

import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, TryLater
from channelsync.sdk.resources import unused
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_files import CONNECTOR
from channelsync_files import shown as shown_module
from channelsync_files.settings import FilesSettings


class Shelf:
    """A system that writes its listings and numbers."""

    def __init__(self, base: Path, clock) -> None:
        self.base, self.clock = base, clock
        self.more: dict[str, object] = {}
        for name in ("items", "numbers", "out"):
            (base / name).mkdir()

    def drop(self, folder: str, name: str, text: str, age: float = 0) -> None:
        path = self.base / folder / name
        path.write_text(text)
        at = self.clock.now().timestamp() - age
        os.utime(path, (at, at))

    @property
    def settings(self) -> FilesSettings:
        return FilesSettings.model_validate(
            {
                "place": str(self.base),
                "staleness_s": 600,
                "skew_s": 60,
                "numbers": {"path": "numbers", "columns": {"key": "SKU", "number": "Units"}},
                "quantities": {"path": "out", "columns": {"sku": "SKU", "units": "Units"}},
                **self.more,
            }
        )

    @asynccontextmanager
    async def opened(self):
        async with CONNECTOR.open(
            self.settings, unused("shelf", CONNECTOR.budgets(self.settings), self.clock)
        ) as channel:
            yield channel

    async def shows(self, *keys: str) -> list[int | None]:
        async with self.opened() as channel:
            return [one.value for one in await channel.read([QuantityKey(key) for key in keys])]


@pytest.fixture
def shelf(tmp_path: Path, clock) -> Shelf:
    return Shelf(tmp_path, clock)


async def test_the_newest_file_counts_whatever_it_is_called(shelf: Shelf) -> None:
    shelf.drop("numbers", "z.csv", "SKU,Units\nMUG,1\n", age=100)
    shelf.drop("numbers", "a.csv", "SKU,Units\nMUG,2\n")
    assert await shelf.shows("MUG", "CUP") == [2, None]


async def test_a_file_that_is_older_than_it_can_be_is_not_believed(shelf: Shelf) -> None:
    shelf.drop("numbers", "a.csv", "SKU,Units\nMUG,2\n", age=660)
    assert await shelf.shows("MUG") == [2]
    await shelf.clock.sleep(1)
    with pytest.raises(TryLater, match=r"a\.csv is 661 s old, and numbers are at most 600 s behind"):
        await shelf.shows("MUG")
    async with shelf.opened() as channel:
        with pytest.raises(TryLater):
            [one async for one in channel.listings()]
        update = QuantityUpdate(key=QuantityKey("MUG"), value=0, listing="MUG")
        assert [one.state for one in await channel.push([update])] == ["accepted"], "a lowering still leaves"


async def test_before_the_first_file_there_is_nothing_to_read_and_nothing_wrong(shelf: Shelf) -> None:
    async with shelf.opened() as channel:
        assert (await channel.check()).name == str(shelf.base)
        with pytest.raises(TryLater, match="no file"):
            await channel.read([QuantityKey("MUG")])


async def test_a_newest_file_that_cannot_be_read_is_no_reason_to_believe_an_older_one(shelf: Shelf) -> None:
    shelf.drop("numbers", "a.csv", "SKU,Units\nMUG,2\n", age=60)
    shelf.drop("numbers", "b.csv", "SKU;Units\nMUG;1\n")
    with pytest.raises(ChannelMisbehaved, match=r"b\.csv: its header lacks"):
        await shelf.shows("MUG")


async def test_a_row_that_cannot_be_read_harms_no_other(shelf: Shelf) -> None:
    shelf.drop("numbers", "a.csv", "SKU,Units\nMUG,2\nCUP,1.5\nPOT,3\nPOT,4\nTEA,7,7\nPAN,5\n")
    assert await shelf.shows("MUG", "CUP", "POT", "TEA", "PAN") == [2, None, None, None, 5]
    async with shelf.opened() as channel:
        assert sorted([one.listing async for one in channel.listings()]) == ["MUG", "PAN"]


async def test_a_number_beside_a_cell_that_makes_no_sense_is_not_believed(shelf: Shelf) -> None:
    shelf.more = {"numbers": {"path": "numbers", "columns": {"key": "SKU", "number": "Units", "committed": "Open"}}}
    shelf.drop("numbers", "a.csv", "SKU,Units,Open\nMUG,2,1\nCUP,3,?\n")
    assert await shelf.shows("MUG", "CUP") == [2, None]


async def test_a_file_is_parsed_once_as_long_as_it_is_the_same(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    real = shown_module.wire.parse
    monkeypatch.setattr(shown_module.wire, "parse", lambda *args: parsed.append(1) or real(*args))
    shelf.drop("numbers", "a.csv", "SKU,Units\nMUG,2\n")
    async with shelf.opened() as channel:
        for _ in range(3):
            await channel.read([QuantityKey("MUG")])
        shelf.drop("numbers", "a.csv", "SKU,Units\nMUG,33\n")
        (read,) = await channel.read([QuantityKey("MUG")])
    assert read.value == 33
    assert len(parsed) == 2


async def test_a_listing_that_no_number_is_told_for_is_unknown_and_one_with_a_blank_untracked(shelf: Shelf) -> None:
    shelf.more = {"listings": {"path": "items", "columns": {"sku": "SKU"}}}
    shelf.drop("items", "a.csv", "SKU\nMUG\nCUP\nPOT\n")
    shelf.drop("numbers", "a.csv", "SKU,Units\nMUG,2\nCUP,\n")
    async with shelf.opened() as channel:
        found = {one.listing: (one.tracked, dict(one.shown)) async for one in channel.listings()}
    assert found == {"MUG": (True, {QuantityKey("MUG"): 2}), "CUP": (False, {}), "POT": (True, {})}


async def test_each_location_has_a_key_and_committed_units_are_told(shelf: Shelf) -> None:
    columns = {"key": "SKU", "number": "Units", "location": "Place", "committed": "Open"}
    shelf.more = {
        "numbers": {"path": "numbers", "columns": columns},
        "quantities": {"path": "out", "columns": {"sku": "SKU", "units": "Units", "location": "Place"}},
    }
    shelf.drop("numbers", "a.csv", "SKU,Place,Units,Open\nMUG,east,2,1\nMUG,west,5,0\n")
    west = QuantityKey("MUG", "west")
    async with shelf.opened() as channel:
        (listing,) = [one async for one in channel.listings()]
        reads = await channel.read([west, QuantityKey("MUG", "east")])
        (result,) = await channel.push([QuantityUpdate(key=west, value=4, listing="MUG")])
    assert listing.keys == (QuantityKey("MUG", "east"), west)
    assert [(one.value, one.committed) for one in reads] == [(5, 0), (2, 1)]
    assert result.state == "accepted"
    (written,) = (shelf.base / "out").glob("quantities-*.csv")
    assert written.read_text().splitlines() == ["SKU,Place,Units", "MUG,west,4"]


# `channels check`


async def inspected(shelf: Shelf) -> dict[str, tuple[str, str]]:
    async with shelf.opened() as channel:
        return {point.what: (point.found, point.advice) for point in await channel.inspect()}


async def test_an_account_that_is_right_needs_nothing(shelf: Shelf) -> None:
    shelf.drop("numbers", "a.csv", "SKU,Units\nMUG,2\nCUP,3\n")
    assert await inspected(shelf) == {
        "numbers": ("numbers/a.csv: 2 understood", ""),
        "quantities": ("out can be written to", ""),
        "shown": ("what is shown is read from its files", ""),
    }


async def test_an_inspection_says_whether_the_newest_file_fits(shelf: Shelf) -> None:
    columns = {"order": "Order", "sku": "SKU", "units": "Units", "placed_at": "At", "changed_at": "At"}
    shelf.more = {"orders": {"path": "orders", "columns": columns}}
    missing = await inspected(shelf)
    assert missing["orders"][0] == "orders cannot be used"
    assert "Create the folder" in missing["orders"][1]
    (shelf.base / "orders").mkdir()
    assert (await inspected(shelf))["orders"] == ("orders is there; no file *.csv has come yet", "")
    shelf.drop("orders", "o.csv", "Order;SKU\n1;MUG\n")
    assert (await inspected(shelf))["orders"][1] == "Compare the file with the mapping."
    shelf.drop("orders", "o.csv", "Order,SKU,Units,At\n1,MUG,1,2017-06-01T08:00Z\n2,MUG,?,2017-06-01T08:00Z\n")
    assert (await inspected(shelf))["orders"] == (
        "orders/o.csv: 1 of 2 are not understood",
        "First: orders/o.csv: line 3: units is no number",
    )
    assert (shelf.base / "orders" / "o.csv").exists(), "looking takes nothing"


async def test_a_folder_that_is_missing_needs_the_seller_and_is_not_made(shelf: Shelf) -> None:
    (shelf.base / "out").rmdir()
    async with shelf.opened() as channel:
        with pytest.raises(NeedsSeller, match=r"Create the folder .*out: shelf needs it"):
            await channel.check()
    assert not (shelf.base / "out").exists()


async def test_two_channels_of_one_account_are_one(shelf: Shelf) -> None:
    shelf.more = {"account": "high-street"}
    async with shelf.opened() as channel:
        assert (await channel.check()).name == "high-street"
