"""Ours in the benchmark of order intake: `sync.intake`, which puts what several senders bring into one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from benchmarks.contenders import Tasks
from benchmarks.scene import RUN, Scene
from channelsync.sdk.clock import SystemClock
from channelsync.store.database import Database, open_database
from channelsync.sync.intake import Intake


@asynccontextmanager
async def ours(url: str, skus: int) -> AsyncIterator[Tasks]:
    """On an empty database. Ends with AssertionError when not every order is booked exactly once."""
    scene = Scene(skus)
    async with open_database(url) as database:
        await scene.lay_out(database)
        async with booking(database, scene) as tasks:
            yield tasks
        reserved = await database.query(lambda c: c.execute(text("SELECT sum(reserved) FROM position")).scalar_one())
        assert reserved == tasks.booked, f"{reserved} units are reserved by {tasks.booked} orders"


@asynccontextmanager
async def booking(database: Database, scene: Scene) -> AsyncIterator[Tasks]:
    """On a database where the scene is laid out."""
    async with Intake(database, scene.setup(), SystemClock(), RUN) as intake:

        async def book(sku: int) -> None:
            await intake.book(scene.arrival(sku))

        yield Tasks([book])
