"""Order files in a folder: each is taken once, none is lost, and no older state comes back."""

import os
import threading
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from channelsync.sdk.contract import CANARY
from channelsync.sdk.resources import unused
from channelsync.sdk.values import OrderSnapshot, OrderStatus
from channelsync_files import CONNECTOR
from channelsync_files import order_log as orders_module
from channelsync_files.order_log import natural
from channelsync_files.orders import parsed
from channelsync_files.settings import FilesSettings

HEADER = "Order,Line,SKU,Units,Status,Placed,Changed,Customer\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "orders").mkdir()
    return tmp_path / "orders"


def settings_of(inbox: Path, **more) -> FilesSettings:
    columns = {"order": "Order", "line": "Line", "sku": "SKU", "units": "Units", "status": "Status"}
    columns |= {"placed_at": "Placed"} | ({} if more.get("version") else {"changed_at": "Changed"})
    statuses = {"open": "reserve", "off": "cancel"}
    orders = {"path": "orders", "columns": columns, "statuses": statuses, **more}
    return FilesSettings.model_validate({"place": str(inbox.parent), "orders": orders})


def line(order: str, *, units: str = "1", status: str = "open", changed: str = "10:00") -> str:
    return f"{order},1,MUG,{units},{status},2017-06-01T08:00Z,2017-06-01T{changed}Z,{CANARY[0]}\n"


class Till:
    """The folder and the connector at it."""

    def __init__(self, inbox: Path, clock, **more) -> None:
        self.inbox, self.clock = inbox, clock
        self.settings = settings_of(inbox, **more)

    def drop(self, name: str, *lines: str, age: float = 0, header: str = HEADER) -> Path:
        path = self.inbox / name
        path.write_text(header + "".join(lines))
        at = self.clock.now().timestamp() - age
        os.utime(path, (at, at))
        return path

    @asynccontextmanager
    async def opened(self):
        async with CONNECTOR.open(
            self.settings, unused("till", CONNECTOR.budgets(self.settings), self.clock)
        ) as channel:
            yield channel

    async def poll(self, cursor: str | None = None):
        async with self.opened() as channel:
            return [page async for page in channel.orders(cursor=cursor)]

    def done(self) -> list[str]:
        return sorted(path.name.split(".", 3)[3] for path in (self.inbox / "done").iterdir())

    def refused(self) -> list[str]:
        return sorted(path.name.split(".", 3)[3] for path in (self.inbox / "refused").iterdir())


@pytest.fixture
def till(inbox: Path, clock) -> Till:
    return Till(inbox, clock)


def told(pages) -> list[tuple[str, str]]:
    return [(one.order, one.status.value) for page in pages for one in page.orders]


async def test_a_file_is_taken_moved_and_not_given_again(till: Till) -> None:
    till.drop("orders-1.csv", line("1"), line("2"))
    first = await till.poll()
    assert told(first) == [("1", "open"), ("2", "open")]
    assert till.done() == ["orders-1.csv"]
    assert [path.name for path in till.inbox.iterdir() if path.is_file()] == []
    assert told(await till.poll(first[-1].cursor)) == []


async def test_a_crash_after_the_file_was_moved_and_before_the_cursor_was_kept_loses_nothing(till: Till) -> None:
    before = (await till.poll())[-1].cursor
    till.drop("orders-1.csv", line("1"))
    assert told(await till.poll(before)) == [("1", "open")]  # its cursor is lost with the process
    assert told(await till.poll(before)) == [("1", "open")]


async def test_a_file_that_comes_late_with_an_old_time_is_taken(till: Till) -> None:
    till.drop("orders-2.csv", line("2"))
    cursor = (await till.poll())[-1].cursor
    till.drop("orders-1.csv", line("1"), age=86_400)
    assert told(await till.poll(cursor)) == [("1", "open")]


async def test_a_clock_that_was_set_back_hides_no_file(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    await till.clock.sleep(3_600)
    till.drop("orders-1.csv", line("1"))
    cursor = (await till.poll())[-1].cursor
    till.clock._seconds = 0.0
    for path in (till.inbox / "done").iterdir():  # and the archive was tidied up
        path.unlink()
    till.drop("orders-2.csv", line("2"))
    assert told(await till.poll(cursor)) == [("2", "open")]


async def test_files_in_the_wrong_order_do_not_bring_back_old_state(till: Till) -> None:
    till.drop("orders-2.csv", line("1", status="off", changed="12:00"))
    first = await till.poll()
    till.drop("orders-1.csv", line("1", changed="11:00"))
    late = await till.poll(first[-1].cursor)
    assert late[0].orders[0].version < first[0].orders[0].version, "so that whoever books it ignores it"
    async with till.opened() as channel:
        (now,) = await channel.orders_by_id(["1"])
    assert now.status is OrderStatus.CANCELLED


async def test_where_names_tell_what_is_newer_older_state_is_not_handed_on(inbox: Path, clock) -> None:
    till = Till(inbox, clock, version="name")
    till.drop("orders-10.csv", line("1", status="off"), line("2"))
    first = await till.poll()
    till.drop("orders-9.csv", line("1"), line("3"))
    assert told(await till.poll(first[-1].cursor)) == [("3", "open")]
    till.drop("orders-11.csv", line("2", status="off"), age=99)
    till.drop("orders-8.csv", line("2"))
    assert told(await till.poll()) == [("1", "cancelled"), ("3", "open"), ("2", "cancelled")]
    async with till.opened() as channel:
        found = await channel.orders_by_id(["1", "2"])
    assert [one.status for one in found] == [OrderStatus.CANCELLED] * 2


def test_numbers_in_names_are_counted() -> None:
    assert sorted(["o-10.csv", "o-9.csv", "a-11.csv"], key=natural) == ["a-11.csv", "o-9.csv", "o-10.csv"]


async def test_one_file_twice_changes_nothing(inbox: Path, clock) -> None:
    till = Till(inbox, clock, version="arrival")
    till.drop("orders-1.csv", line("1"))
    cursor = (await till.poll())[-1].cursor
    till.drop("orders-2.csv", line("1", status="off"))
    cursor = (await till.poll(cursor))[-1].cursor
    till.drop("orders-1.csv", line("1"))
    assert told(await till.poll(cursor)) == []
    assert till.done() == ["orders-1.csv", "orders-1.csv", "orders-2.csv"]
    async with till.opened() as channel:
        (now,) = await channel.orders_by_id(["1"])
    assert now.status is OrderStatus.CANCELLED


async def test_a_file_that_cannot_be_read_is_refused_with_its_reason_and_its_neighbours_are_taken(till: Till) -> None:
    till.drop("orders-1.csv", line("1"), header="Bestellung;Position\n")
    till.drop("orders-2.csv", line("2"))
    pages = await till.poll()
    assert told(pages) == [("2", "open")]
    (odd,) = pages[0].unreadable
    assert odd.order == "(file orders-1.csv)"
    assert "its header lacks" in odd.reason
    assert till.refused() == ["orders-1.csv", "orders-1.csv.reason.txt"]
    (reason,) = [path for path in (till.inbox / "refused").iterdir() if path.name.endswith(".txt")]
    assert "its header lacks" in reason.read_text()
    assert not [text for text in CANARY if text in repr(pages)]


async def test_no_file_is_read_by_the_thread_that_everything_waits_for(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is taken, nor one that was refused, nor one that waits to be taken."""
    read: dict[str, threading.Thread] = {}

    def noted(content, how, name, at):
        read[name] = threading.current_thread()
        return parsed(content, how, name, at)

    till.drop("orders-1.csv", line("1"))
    till.drop("orders-2.csv", line("2"), header="Bestellung;Position\n")
    await till.poll()
    till.drop("orders-3.csv", line("3"))
    monkeypatch.setattr(orders_module, "parsed", noted)
    async with till.opened() as channel:
        await channel.orders_by_id(["1", "3"])
    assert sorted(read) == ["orders-1.csv", "orders-2.csv", "orders-3.csv"]
    assert threading.current_thread() not in read.values()


async def test_a_refused_file_that_is_put_back_is_taken_once_the_mapping_fits(inbox: Path, clock) -> None:
    wrong = Till(inbox, clock, delimiter=";")
    content = wrong.drop("orders-1.csv", line("1")).read_bytes()
    cursor = (await wrong.poll())[-1].cursor
    (refused,) = [path for path in (inbox / "refused").iterdir() if not path.name.endswith(".txt")]
    assert refused.read_bytes() == content
    refused.rename(inbox / "orders-1.csv")
    assert told(await Till(inbox, clock).poll(cursor)) == [("1", "open")]


async def test_a_row_that_cannot_be_read_is_named_and_the_other_orders_are_taken(till: Till) -> None:
    till.drop("orders-1.csv", line("1"), line("2", units="0.5"), f"3,1,{CANARY[1]},MUG,1,open,x,y,z\n", line("4"))
    pages = await till.poll()
    assert told(pages) == [("1", "open"), ("4", "open")]
    odd = {one.order: one.reason for one in pages[0].unreadable}
    assert odd["2"] == "orders-1.csv: line 3: units '0.5' is no whole number"
    assert odd["3"] == "orders-1.csv: line 4 has 9 cells where the header has 8"
    assert not [text for text in CANARY if text in repr(pages)]


async def test_a_file_that_is_too_large_is_refused(inbox: Path, clock) -> None:
    till = Till(inbox, clock)
    till.settings = till.settings.model_copy(update={"file_bytes_max": 300})
    till.drop("orders-1.csv", *(line(str(number)) for number in range(20)))
    (page,) = await till.poll()
    assert "larger than 300 bytes" in page.unreadable[0].reason


async def test_what_is_still_being_written_is_not_seen(till: Till) -> None:
    till.drop("orders-1.csv.tmp", line("1"))
    till.drop(".orders-2.csv", line("2"))
    (page,) = await till.poll()
    assert (page.orders, page.unreadable) == ((), ())


async def test_a_file_that_changes_is_not_taken_and_what_it_may_hold_is_not_covered(inbox: Path, clock) -> None:
    till = Till(inbox, clock, complete="stable", stable_s=60)
    changed = clock.now() - timedelta(seconds=30)
    till.drop("orders-1.csv", line("1"), age=30)
    (page,) = await till.poll()
    assert page.orders == ()
    assert page.covered_to == changed
    await clock.sleep(30)
    (page,) = await till.poll(page.cursor)
    assert told([page]) == [("1", "open")]
    assert page.covered_to == clock.now()


async def test_a_file_waits_for_its_marker_which_is_moved_with_it(inbox: Path, clock) -> None:
    till = Till(inbox, clock, complete="marker", pattern="orders*")
    till.drop("orders-1.csv", line("1"))
    (page,) = await till.poll()
    assert page.orders == ()
    (inbox / "orders-1.csv.done").touch()
    assert told(await till.poll(page.cursor)) == [("1", "open")]
    assert till.done() == ["orders-1.csv", "orders-1.csv.done"]
    assert told(await till.poll()) == [("1", "open")]


async def test_half_a_file_waits_for_its_trailer(inbox: Path, clock) -> None:
    till = Till(inbox, clock, complete="trailer", trailer="END")
    till.drop("orders-1.csv", line("1"), line("2")[:20])
    (page,) = await till.poll()
    assert (page.orders, page.unreadable) == ((), ())
    till.drop("orders-1.csv", line("1"), line("2"), "END;2\n")
    assert told(await till.poll(page.cursor)) == [("1", "open"), ("2", "open")]


async def test_a_file_that_grows_while_it_is_read_waits(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    path = till.drop("orders-1.csv", line("1"))
    whole = path.read_bytes() + line("2").encode()
    async with till.opened() as channel:
        place = channel._orders._place
        fetch = place.fetch

        async def fetch_while_it_grows(folder: str, name: str) -> bytes:
            if (Path(folder), name) == (Path("orders"), "orders-1.csv"):
                path.write_bytes(whole)
            return await fetch(folder, name)

        monkeypatch.setattr(place, "fetch", fetch_while_it_grows)
        (page,) = [page async for page in channel.orders(cursor=None)]
        assert page.orders == ()
        pages = [page async for page in channel.orders(cursor=page.cursor)]
    assert told(pages) == [("1", "open"), ("2", "open")]


async def test_after_a_silence_nothing_is_covered_past_the_last_file(inbox: Path, clock) -> None:
    till = Till(inbox, clock, heartbeat_s=900)
    till.drop("orders-1.csv", line("1"))
    came = clock.now()
    (page,) = await till.poll()
    assert page.covered_to == came
    await clock.sleep(600)
    (page,) = await till.poll(page.cursor)
    assert page.covered_to == clock.now()
    await clock.sleep(600)
    (page,) = await till.poll(page.cursor)
    assert page.covered_to == came
    for name in ("orders-2.csv", "orders-3.csv"):  # both empty, byte by byte the same
        till.drop(name)
        (page,) = await till.poll(page.cursor)
        assert page.covered_to == clock.now()
        await clock.sleep(1_000)
    (page,) = await till.poll(page.cursor)
    assert page.covered_to == clock.now() - timedelta(seconds=1_000)


async def test_single_orders_and_days_are_found_without_taking_anything(till: Till) -> None:
    till.drop("orders-1.csv", line("1"))
    await till.poll()
    waiting = till.drop("orders-2.csv", line("1", status="off", changed="12:00"), line("2", units="x"))
    async with till.opened() as channel:
        one, other = await channel.orders_by_id(["1", "2"])
        ids = [order async for order in channel.order_ids(till.clock.now().date())]
    assert one.status is OrderStatus.CANCELLED
    assert "units is no number" in other.reason
    assert ids == ["1"]
    assert waiting.exists()
    assert till.done() == ["orders-1.csv"]


async def test_a_poll_after_a_restart_reads_what_is_new_and_nothing_else(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        till.drop(f"orders-{number}.csv", line(str(number)))
    cursor = (await till.poll())[-1].cursor
    till.drop("orders-9.csv", line("9"))
    parsed = []

    def noting(content, how, file, taken):
        parsed.append(file)
        return real(content, how, file, taken)

    real = orders_module.parsed
    monkeypatch.setattr(orders_module, "parsed", noting)
    assert told(await till.poll(cursor)) == [("9", "open")]
    assert set(parsed) <= {"orders-9.csv", "orders-4.csv"}, "the file that the cursor is in, and what came after"


async def test_a_cursor_of_something_else_is_refused(till: Till) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        await till.poll('{"page": 3}')


async def test_a_very_long_name_is_kept_by_its_end(till: Till) -> None:
    till.drop(f"{'ä' * 110}7.csv", line("1"))
    assert told(await till.poll()) == [("1", "open")]
    assert till.done()[0].endswith("7.csv")


async def test_columns_that_are_not_mapped_are_in_no_value(till: Till) -> None:
    till.drop("orders-1.csv", line("1"), line("2", units="0.5"))
    pages = await till.poll()
    assert isinstance(pages[0].orders[0], OrderSnapshot)
    assert pages[0].unreadable
    assert not [text for text in CANARY if text in repr(pages)]
