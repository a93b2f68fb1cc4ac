"""A folder of this machine: nothing leads out of it, nothing is taken for a file that is none."""

import os
from pathlib import Path

import pytest

from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.files.place import FolderPlace, NoSuchFile, TooLarge, check_name, is_seen


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "place" / "in").mkdir(parents=True)
    (tmp_path / "place" / "out").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_text("not yours")
    return tmp_path / "place"


@pytest.fixture
def place(base: Path) -> FolderPlace:
    return FolderPlace(str(base), "till", 100)


async def test_files_are_listed_oldest_first_without_what_is_hidden_or_a_folder(base: Path, place: FolderPlace) -> None:
    for name, at in (("b.csv", 2), ("a.csv", 3), (".c.csv", 1), ("d.csv", 1)):
        (base / "in" / name).write_text("x")
        os.utime(base / "in" / name, (at, at))
    (base / "in" / "folder.csv").mkdir()
    assert [one.name for one in await place.entries("in")] == ["d.csv", "b.csv", "a.csv"]


async def test_a_link_out_of_the_place_is_not_followed(base: Path, place: FolderPlace) -> None:
    (base / "in" / "link.csv").symlink_to(base.parent / "outside" / "secret.csv")
    assert await place.entries("in") == []
    with pytest.raises((NeedsSeller, TryLater)):
        await place.fetch("in", "link.csv")


async def test_a_folder_that_leads_out_of_the_place_is_not_used(base: Path, place: FolderPlace) -> None:
    (base / "away").symlink_to(base.parent / "outside")
    for asked in (
        place.entries("away"),
        place.fetch("away", "secret.csv"),
        place.put("away", "new.csv", b"x"),
        place.make("away/done"),
        place.entries("in/../../outside"),
    ):
        with pytest.raises(NeedsSeller, match=r"leads out|right to"):
            await asked
    assert [path.name for path in (base.parent / "outside").iterdir()] == ["secret.csv"]


async def test_a_link_in_the_place_of_a_part_is_not_written_through(base: Path, place: FolderPlace) -> None:
    (base / "out" / ".new.csv.part").symlink_to(base.parent / "outside" / "secret.csv")
    await place.put("out", "new.csv", b"ours")
    assert (base.parent / "outside" / "secret.csv").read_text() == "not yours"
    assert (base / "out" / "new.csv").read_bytes() == b"ours"


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "", ".", "..", "a\0b", "/etc/passwd"])
async def test_a_name_that_leads_out_is_refused(place: FolderPlace, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        check_name(name)
    for asked in (place.fetch("in", name), place.put("in", name, b"x"), place.move("in", "a", "out", name)):
        with pytest.raises(ValueError, match="no name of a file"):
            await asked


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", ".hidden", "a\0b"])
def test_such_a_name_in_a_listing_is_not_seen(name: str) -> None:
    assert not is_seen(name)


async def test_a_missing_place_and_a_missing_folder_need_the_seller(base: Path, place: FolderPlace) -> None:
    with pytest.raises(NeedsSeller, match=rf"Create the folder {base}/nowhere: .* needs it"):
        await place.entries("nowhere")
    with pytest.raises(NeedsSeller):
        await FolderPlace(str(base / "not-mounted"), "till", 100).make("in/done")
    assert not (base / "not-mounted").exists()


async def test_a_file_is_read_whole_or_not_at_all(base: Path, place: FolderPlace) -> None:
    (base / "in" / "a.csv").write_bytes(b"x" * 100)
    assert await place.fetch("in", "a.csv") == b"x" * 100
    (base / "in" / "a.csv").write_bytes(b"x" * 101)
    with pytest.raises(TooLarge):
        await place.fetch("in", "a.csv")
    with pytest.raises(NoSuchFile):
        await place.fetch("in", "b.csv")
    with pytest.raises(NoSuchFile):
        await place.move("in", "b.csv", "out", "b.csv")


async def test_a_file_is_moved_over_no_other(base: Path, place: FolderPlace) -> None:
    for folder in ("in", "out"):
        (base / folder / "a.csv").write_text(folder)
    with pytest.raises(TryLater, match="already"):
        await place.move("in", "a.csv", "out", "a.csv")
    assert (base / "out" / "a.csv").read_text() == "out"


async def test_a_disk_that_fails_is_tried_later(place: FolderPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object, **_more: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", fails)
    with pytest.raises(TryLater, match="list in: Input/output error"):
        await place.entries("in")


async def test_a_disk_that_is_read_only_needs_the_seller(place: FolderPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object, **_more: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", fails)
    with pytest.raises(NeedsSeller, match="writable"):
        await place.put("out", "a.csv", b"x")
