"""The rate limiter in simulated time: what holds for every schedule, lanes, cancelling."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.limiter import Budget, Grant, Lane, Limiter, current_lane, in_lane

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = Budget("calls", capacity=10, per_second=1)


def simulate(main: Callable[[LabClock], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        await main(LabClock())

    run_virtual(run(), start=START)


async def spend(limiter: Limiter, units: int, lane: Lane = Lane.NORMAL) -> list[Grant]:
    return [await limiter.acquire(lane=lane) for _ in range(units)]


# What holds for every schedule


@dataclass(frozen=True)
class Arrival:
    at: float
    cost: float
    lane: Lane
    patience: float | None
    """Seconds until it is cancelled; None for never."""


@dataclass(frozen=True)
class Served:
    arrival: int
    asked_at: float
    at: float
    grant: Grant


seconds = st.floats(0, 20).map(lambda value: round(value, 3))
arrivals = st.builds(
    Arrival,
    at=seconds,
    cost=st.floats(0.1, 8).map(lambda value: round(value, 2)),
    lane=st.sampled_from(Lane),
    patience=st.none() | seconds,
)


async def serve(limiter: Limiter, clock: LabClock, schedule: list[Arrival]) -> list[Served]:
    served: list[Served] = []
    asked = 0

    async def one(arrival: Arrival) -> None:
        nonlocal asked
        await clock.sleep(arrival.at)
        asked += 1
        number, asked_at = asked, clock.monotonic()
        try:
            async with asyncio.timeout(arrival.patience):
                grant = await limiter.acquire(arrival.cost, lane=arrival.lane)
        except TimeoutError:
            return
        served.append(Served(number, asked_at, clock.monotonic(), grant))

    async with asyncio.TaskGroup() as tasks:
        for arrival in schedule:
            tasks.create_task(one(arrival))
    return sorted(served, key=lambda each: each.grant.mark)


@given(
    schedule=st.lists(arrivals, max_size=25),
    capacity=st.floats(8, 30),
    rate=st.floats(0.1, 20),
    share=st.sampled_from([0.0, 0.2, 0.9]),
    penalty=st.none() | st.tuples(seconds, seconds),
)
def test_for_every_schedule_the_budget_holds_urgent_goes_first_and_everybody_is_served(
    schedule: list[Arrival], capacity: float, rate: float, share: float, penalty: tuple[float, float] | None
) -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([Budget("calls", capacity, rate)], clock, urgent_share=share)
        began = clock.monotonic()

        async def punish() -> None:
            if penalty is not None:
                await clock.sleep(penalty[0])
                limiter.penalise(clock.now() + timedelta(seconds=penalty[1]))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(punish())
            serving = tasks.create_task(serve(limiter, clock, schedule))
        served = serving.result()
        # A waiter left for ever would be a deadlock, which the loop reports; the rest gave up by themselves.
        assert len(served) >= sum(arrival.patience is None for arrival in schedule)
        assert_within_budget(served, capacity, rate)
        assert_urgent_overtakes(served)
        assert_first_come_first_served(served)
        if penalty is not None:
            start, end = began + penalty[0], began + sum(penalty)
            assert not [each for each in served if start < each.at < end - 0.01]

    simulate(main)


def assert_within_budget(served: list[Served], capacity: float, rate: float) -> None:
    for first in range(len(served)):
        spent = 0.0
        for last in served[first:]:
            spent += last.grant.cost
            assert spent <= capacity + rate * (last.at - served[first].at) + 0.01


def assert_urgent_overtakes(served: list[Served]) -> None:
    for place, normal in enumerate(served):
        if normal.grant.lane is Lane.NORMAL:
            later = [each for each in served[place:] if each.grant.lane is Lane.URGENT]
            assert not [urgent for urgent in later if urgent.asked_at < normal.at]


def assert_first_come_first_served(served: list[Served]) -> None:
    for lane in Lane:
        same = [each for each in served if each.grant.lane is lane]
        assert all(earlier.arrival < later.arrival for earlier, later in pairwise(same))


@given(st.lists(arrivals, max_size=15))
def test_whoever_gives_up_leaves_no_trace(schedule: list[Arrival]) -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([Budget("calls", 10, 1, per_day=1000)], clock)
        served = await serve(limiter, clock, schedule)
        spent = sum(each.grant.cost for each in served)
        assert limiter.state()["calls"].used_today == pytest.approx(spent)
        await clock.sleep(3600)
        assert (await limiter.acquire(10, lane=Lane.URGENT)).waited == 0

    simulate(main)


# Lanes


def test_normal_calls_leave_the_declared_share_to_urgent_ones() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock, urgent_share=0.3)
        normal = await spend(limiter, 8)
        urgent = await limiter.acquire(lane=Lane.URGENT)
        assert [round(grant.waited, 3) for grant in normal] == [0] * 7 + [1]
        assert urgent.waited == 0

    simulate(main)


def test_a_normal_call_dearer_than_its_share_waits_for_a_full_bucket_but_not_for_ever() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock, urgent_share=0.3)
        await limiter.acquire(4, lane=Lane.URGENT)
        assert (await limiter.acquire(9)).waited == pytest.approx(4, abs=0.01)

    simulate(main)


def test_the_lane_of_the_block_around_a_call_counts_unless_the_call_names_one() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        with in_lane(Lane.URGENT):
            assert (await limiter.acquire()).lane is Lane.URGENT
            assert (await limiter.acquire(lane=Lane.NORMAL)).lane is Lane.NORMAL
        assert current_lane() is Lane.NORMAL

    simulate(main)


# Cancelling


def test_units_granted_to_a_caller_that_is_cancelled_at_the_same_moment_go_back() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        await spend(limiter, 10, Lane.URGENT)
        waiting = asyncio.create_task(limiter.acquire(5, lane=Lane.URGENT))
        await asyncio.sleep(0)
        limiter.observe(5)  # grants; the task has not run yet
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert limiter.available() == 5

    simulate(main)


def test_units_are_not_granted_to_a_caller_that_is_already_cancelled() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        await spend(limiter, 10, Lane.URGENT)
        waiting = asyncio.create_task(limiter.acquire(5, lane=Lane.URGENT))
        await asyncio.sleep(0)
        waiting.cancel()
        limiter.observe(5)  # the task has not run yet
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert limiter.available() == 5

    simulate(main)


def test_units_given_back_go_to_whoever_waits_and_to_the_day() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([Budget("calls", 10, 1, per_day=15)], clock)
        unused = await limiter.acquire(10, lane=Lane.URGENT)
        waiting = asyncio.create_task(limiter.acquire(9, lane=Lane.URGENT))
        await asyncio.sleep(0)
        limiter.give_back(unused)
        assert (await waiting).waited == 0
        assert limiter.state()["calls"].used_today == 9

    simulate(main)


def test_whoever_stood_behind_a_cancelled_caller_moves_up_at_once() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        await spend(limiter, 8, Lane.URGENT)
        dear = asyncio.create_task(limiter.acquire(9, lane=Lane.URGENT))
        await asyncio.sleep(0)
        cheap = asyncio.create_task(limiter.acquire(1, lane=Lane.URGENT))
        await asyncio.sleep(0)
        dear.cancel()
        assert (await cheap).waited == 0

    simulate(main)


def test_a_cancelled_caller_no_longer_counts_for_those_who_ask_how_long() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        waiting = [asyncio.create_task(limiter.acquire(8, lane=Lane.URGENT)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[2].cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting[2]
        assert limiter.would_wait(1, lane=Lane.URGENT) == 7
        await waiting[1]

    simulate(main)


# Two accesses to one account


def test_two_that_share_grant_together_what_one_may() -> None:
    async def main(clock: LabClock) -> None:
        first, second = Limiter([TEN], clock), Limiter([TEN], clock)
        await spend(first, 4)
        second.share(first)
        assert (first.available(), second.available()) == (6, 6)
        grant = await second.acquire(4)
        assert first.available() == 2
        second.give_back(grant)
        assert (first.available(), first.state()) == (6, second.state())

    simulate(main)


def test_what_either_spent_before_counts_and_so_does_a_penalty() -> None:
    daily = Budget("calls", capacity=10, per_second=1, per_day=100)

    async def main(clock: LabClock) -> None:
        first, second, third = (Limiter([daily], clock) for _ in range(3))
        await spend(second, 7)
        second.share(first)
        assert (first.available(), first.state()["calls"].used_today) == (3, 7)
        third.penalise(clock.now() + timedelta(seconds=30))
        third.share(first)
        assert (first.available(), second.would_wait()) == (0, 30)

    simulate(main)


def test_budgets_that_are_declared_differently_stay_apart() -> None:
    async def main(clock: LabClock) -> None:
        first, second = Limiter([TEN], clock), Limiter([Budget("calls", capacity=5, per_second=1)], clock)
        second.share(first)
        await spend(first, 5)
        assert second.available() == 5

    simulate(main)


def test_a_bucket_fills_up_no_further_while_calls_that_are_paid_for_have_not_left() -> None:
    """Or they would leave together with as many as the bucket holds."""

    async def main(clock: LabClock) -> None:
        limiter = Limiter((TEN,), clock)
        grant = await limiter.acquire(4)
        with limiter.prepaid(grant):
            await clock.sleep(60)
            await limiter.acquire()
            await clock.sleep(60)
            assert limiter.available() == 7, "one has left, three are still to come"
            await limiter.acquire(3)
        await clock.sleep(60)
        assert limiter.available() == 10

    simulate(main)
