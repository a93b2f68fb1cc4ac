"""Work that a channel does by itself is asked about less and less often, and not without end."""

import pytest

from channelsync.sdk.contract import ContractClock
from channelsync.sdk.jobs import Patience, until_over

PATIENCE = Patience(first=2, longest=6)


class Working:
    """Is over when it was asked so often."""

    def __init__(self, clock: ContractClock, left: int) -> None:
        self.clock, self.left = clock, left
        self.asked: list[float] = []

    async def ask(self) -> int:
        self.asked.append(self.clock.monotonic())
        self.left -= 1
        return self.left


async def over(working: Working, within: float) -> int:
    return await until_over(
        working.clock, working.left, working.ask, under_way=lambda left: left > 0, patience=PATIENCE, within=within
    )


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


async def test_waits_grow_by_half_up_to_the_longest(clock: ContractClock) -> None:
    begun, working = clock.monotonic(), Working(clock, 5)
    assert await over(working, 600) == 0
    assert [at - begun for at in working.asked] == [2, 5, 9.5, 15.5, 21.5]


async def test_what_is_over_already_is_not_asked_about(clock: ContractClock) -> None:
    working = Working(clock, 0)
    assert await over(working, 600) == 0
    assert working.asked == []


async def test_it_is_given_up_before_a_wait_that_would_take_too_long(clock: ContractClock) -> None:
    begun, working = clock.monotonic(), Working(clock, 100)
    assert await over(working, 10) > 0
    assert clock.monotonic() - begun == 9.5
