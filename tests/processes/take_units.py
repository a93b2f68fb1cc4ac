"""A process that takes units of one item: `take_units.py URL reserve|book NAME CALLERS ATTEMPTS`; prints what it got.

reserve: `book_by_hand` with refuse_short, one transaction each. book: orders of a channel through the intake.
"""

import asyncio
import json
import sys
from functools import partial

from sqlalchemy import Connection

from channelsync.domain.errors import ShortOfUnits
from channelsync.domain.orders import OrderLine, OrderSnapshot, OrderStatus
from channelsync.sdk.channel import Capabilities
from channelsync.sdk.clock import SystemClock
from channelsync.store.database import Database, open_database
from channelsync.sync.book_orders import Arrival
from channelsync.sync.intake import Intake
from channelsync.sync.orders_by_hand import BookByHand, LineByHand, book_by_hand, by_hand
from channelsync.sync.setup import BY_HAND, ChannelSetup, Setup

CLOCK = SystemClock()
SETUP = Setup(
    channels={
        BY_HAND: by_hand(["main"]),
        "shop": ChannelSetup(name="shop", capabilities=Capabilities(), locations=("main",)),
    },
    locations=("main",),
)


def reserve_one(wanted: BookByHand, connection: Connection) -> None:
    """One attempt, in one transaction."""
    book_by_hand(connection, SETUP, wanted, now=CLOCK.now(), run="test")


async def reserve(database: Database, name: str, callers: int, attempts: int) -> int:
    """How many of the attempts were promised their unit."""
    numbers = iter(range(attempts))
    promised = 0

    async def caller() -> None:
        nonlocal promised
        for number in numbers:
            wanted = BookByHand(order=f"{name}-{number}", lines=(LineByHand("MUG", 1),), refuse_short=True)
            try:
                await database.transact(partial(reserve_one, wanted), attempts=50)
                promised += 1
            except ShortOfUnits:
                pass

    await asyncio.gather(*(caller() for _ in range(callers)))
    return promised


async def book(database: Database, name: str, callers: int, attempts: int) -> int:
    """How many orders were booked."""
    numbers = iter(range(attempts))
    booked = 0

    async def caller(intake: Intake) -> None:
        nonlocal booked
        for number in numbers:
            at = CLOCK.now()
            line = OrderLine(line="1", ordered=1, listing="mug")
            order = OrderSnapshot(
                order=f"{name}-{number}", version=at, placed_at=at, status=OrderStatus.OPEN, lines=(line,)
            )
            verdict = await intake.book(Arrival(channel="shop", order=order))
            booked += verdict == "booked"

    async with Intake(database, SETUP, CLOCK, "test") as intake:
        await asyncio.gather(*(caller(intake) for _ in range(callers)))
    return booked


async def main() -> None:
    """See the first lines of this file."""
    url, what, name, callers, attempts = sys.argv[1:]
    async with open_database(url, pool_size=8) as database:
        work = {"reserve": reserve, "book": book}[what]
        print(json.dumps(await work(database, name, int(callers), int(attempts))))  # noqa: T201 - for the test


if __name__ == "__main__":
    asyncio.run(main())
