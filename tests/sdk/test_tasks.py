"""Work beside other work: what it raises is heard, and none of it goes on afterwards."""

from __future__ import annotations

import asyncio

import pytest

from channelsync.sdk.tasks import beside, first_of, set_or_after


class Work:
    """Runs until it is ended, or fails as soon as it is told to."""

    def __init__(self) -> None:
        self.begun, self.fails, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        try:
            self.begun.set()
            await self.fails.wait()
            raise RuntimeError("a bug")
        finally:
            self._over.set()

    async def failed(self) -> None:
        """Lets it fail, and returns when it has."""
        self.fails.set()
        await self._over.wait()

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._over.is_set()


@pytest.fixture
def work() -> Work:
    return Work()


async def test_work_beside_a_block_has_ended_when_the_block_is_left(work: Work) -> None:
    async with beside(work(), "work"):
        await work.begun.wait()
        assert not work.ended
    assert work.ended


async def test_what_the_work_raised_is_raised_at_the_end_of_the_block(work: Work) -> None:
    went_on = False

    async def block() -> None:
        nonlocal went_on
        async with beside(work(), "work"):
            await work.failed()
            went_on = True

    with pytest.raises(RuntimeError, match="a bug"):
        await block()
    assert went_on


async def test_what_the_block_raised_comes_before_what_the_work_raised(work: Work) -> None:
    async def block() -> None:
        async with beside(work(), "work"):
            await work.failed()
            raise KeyError("of the block")

    with pytest.raises(KeyError, match="of the block"):
        await block()


async def test_the_first_work_that_ends_ends_the_others() -> None:
    first, other = Work(), Work()

    async def ends() -> None:
        await first.begun.wait()
        await other.begun.wait()

    async with asyncio.timeout(30):
        await first_of(first(), ends(), other())
    assert (first.ended, other.ended) == (True, True)


async def test_what_the_first_work_raised_is_raised(work: Work) -> None:
    other = Work()
    work.fails.set()
    with pytest.raises(RuntimeError, match="a bug"):
        async with asyncio.timeout(30):
            await first_of(other(), work())
    assert other.ended


async def test_who_is_cancelled_while_waiting_for_works_ends_them_all(work: Work) -> None:
    waiting = asyncio.create_task(first_of(work()))
    await work.begun.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (waiting.cancelled(), work.ended) == (True, True)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_no_event_is_waited_for_where_no_time_is_left(seconds: float) -> None:
    async with asyncio.timeout(30):
        await set_or_after(asyncio.Event(), seconds)


async def test_an_event_that_is_set_ends_the_wait() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    async with asyncio.timeout(30):
        await set_or_after(event, 3_600)
