"""docs/files-channel.md tells the truth: its files, through the connector, give what it says."""

import os
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channelsync.sdk.contract import ContractClock
from channelsync.sdk.resources import unused
from channelsync.sdk.values import OrderStatus, QuantityKey, QuantityUpdate
from channelsync_files import CONNECTOR
from channelsync_files.settings import FilesSettings

DOCUMENT = Path(__file__).parents[3] / "docs" / "files-channel.md"
NAMED = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOW = datetime(2026, 11, 24, 8, 20, tzinfo=UTC)


@pytest.fixture
def files() -> dict[str, str]:
    """Every file that the page shows, by its name."""
    return dict(NAMED.findall(DOCUMENT.read_text()))


@pytest.fixture
def place(files: dict[str, str], tmp_path: Path) -> Path:
    """The till's folder as the page has it, before anything of ours is in it."""
    for name in ("orders", "articles", "numbers", "quantities", "replies"):
        (tmp_path / name).mkdir()
    for name in ("orders/orders-0007.csv", "articles/articles.csv", "numbers/numbers.csv"):
        (tmp_path / name).write_text(files[name])
        os.utime(tmp_path / name, (NOW.timestamp(), NOW.timestamp()))
    return tmp_path


@pytest.fixture
def settings(files: dict[str, str], place: Path) -> FilesSettings:
    (channel,) = tomllib.loads(files["channelsync.toml"])["channel"]
    assert channel["connector"] == CONNECTOR.name
    assert channel["settings"]["place"] == "/srv/till"
    return FilesSettings.model_validate({**channel["settings"], "place": str(place)})


class TillClock(ContractClock):
    """A moment after the files were written; while we wait, the till answers with the page's reply."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.answer = lambda: None

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.answer()


async def test_the_page_from_the_first_file_to_the_last(
    files: dict[str, str], place: Path, settings: FilesSettings
) -> None:
    clock = TillClock()
    resources = unused("till", CONNECTOR.budgets(settings), clock)
    async with CONNECTOR.open(settings, resources) as channel:
        assert (await channel.check()).name == "till-high-street"
        points = {point.what: point for point in await channel.inspect()}
        (page,) = [page async for page in channel.orders(cursor=None)]
        listings = [one async for one in channel.listings()]
        reads = await channel.read([QuantityKey(key) for key in ("MUG-BLUE", "TEA-500", "POT")])
        clock.answer = lambda: (place / "replies" / "reply-1.csv").write_text(files["replies/reply-1.csv"])
        results = await channel.push(
            [
                QuantityUpdate(key=QuantityKey(key), value=value, listing=key)
                for key, value in (("MUG-BLUE", 5), ("POT", 2))
            ]
        )
    booked = {one.order: one for one in page.orders}
    assert {name: one.status for name, one in booked.items()} == {
        "4711": OrderStatus.OPEN,
        "4712": OrderStatus.CANCELLED,
    }
    assert [(line.sku, line.to_ship) for line in booked["4711"].lines] == [("MUG-BLUE", 2), ("TEA-500", 1)]
    assert booked["4711"].placed_at == datetime(2026, 11, 24, 8, 2, 11, tzinfo=UTC)
    assert [one.order for one in page.unreadable] == ["4713"]
    assert "line 5" in page.unreadable[0].reason
    assert [path.name.rpartition(".csv")[0][-11:] for path in (place / "orders" / "done").glob("2026*")] == [
        "orders-0007"
    ]
    assert (listings[0].listing, listings[0].title) == ("MUG-BLUE", "Mug, blue")
    assert [one.value for one in reads] == [7, 0, 3]
    written = place / "quantities" / "quantities-0000000001.csv"
    assert written.read_text().splitlines() == files["quantities/quantities-0000000001.csv"].splitlines()
    assert [(one.state, one.reason) for one in results] == [("accepted", ""), ("refused", "counted today")]
    told = f"{points['orders'].what}: {points['orders'].found}. {points['orders'].advice}"
    assert told in " ".join(DOCUMENT.read_text().split())
    assert points["numbers"].fine
    for buyer in ("Mustermann", "example.org", "Beispiel"):
        assert buyer in files["orders/orders-0007.csv"]
        assert buyer not in repr((page, listings, reads, results, points))


def test_every_part_of_the_page_that_claims_to_be_a_file_is_found(files: dict[str, str]) -> None:
    assert set(files) == {
        "orders/orders-0007.csv",
        "articles/articles.csv",
        "numbers/numbers.csv",
        "channelsync.toml",
        "quantities/quantities-0000000001.csv",
        "replies/reply-1.csv",
    }
