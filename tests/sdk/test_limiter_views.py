"""The rate limiter: the server's view, looking ahead, paying ahead, days, and what is refused."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta

import pytest

from channelsync.lab.virtual_time import LabClock, run_virtual
from channelsync.sdk.limiter import Budget, Grant, Lane, Limiter, next_utc_midnight, unpaid

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = Budget("calls", capacity=10, per_second=1)


def simulate(main: Callable[[LabClock], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        await main(LabClock())

    run_virtual(run(), start=START)


async def spend(limiter: Limiter, units: int, lane: Lane = Lane.NORMAL) -> list[Grant]:
    return [await limiter.acquire(lane=lane) for _ in range(units)]


# The server's view


@pytest.mark.fault(46, "the bucket follows the channel's own number")
def test_the_servers_number_wins_both_ways_but_never_above_the_capacity() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        limiter.observe(3)
        assert limiter.available() == 3
        limiter.observe(7)
        assert limiter.available() == 7
        limiter.observe(700)
        assert limiter.available() == 10
        limiter.observe(-4)
        assert limiter.available() == 0

    simulate(main)


def test_the_servers_rate_counts_from_then_on_and_nonsense_does_not() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        limiter.observe(0, 4)
        limiter.observe(0, 0)
        await clock.sleep(1)
        assert limiter.available() == pytest.approx(4)

    simulate(main)


def test_what_was_granted_after_the_call_that_was_answered_is_taken_off_the_servers_number() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        slow = await limiter.acquire()
        await spend(limiter, 3)
        limiter.observe(9, since=slow)
        assert limiter.available() == 6

    simulate(main)


def test_what_was_granted_beyond_the_servers_number_is_waited_for_but_nonsense_is_not() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        slow = await limiter.acquire()
        await spend(limiter, 5)
        limiter.observe(2, since=slow)
        assert limiter.would_wait(lane=Lane.URGENT) == 4
        limiter.observe(-1e12)
        assert limiter.would_wait(lane=Lane.URGENT) == 11

    simulate(main)


def test_a_higher_number_from_the_server_wakes_who_waits() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        await spend(limiter, 10, Lane.URGENT)
        waiting = asyncio.create_task(limiter.acquire(9, lane=Lane.URGENT))
        await clock.sleep(1)
        limiter.observe(9)
        assert (await waiting).waited == pytest.approx(1)

    simulate(main)


@pytest.mark.fault(23, "the bucket is empty, and nothing leaves before the time that the channel said")
def test_after_a_429_nothing_leaves_before_its_time_not_even_urgent_and_the_bucket_is_empty() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        limiter.penalise(clock.now() + timedelta(seconds=3))
        limiter.penalise(clock.now() + timedelta(seconds=1))  # a shorter one does not shorten it
        assert limiter.available() == 0
        assert limiter.would_wait(lane=Lane.URGENT) == pytest.approx(3)
        assert (await limiter.acquire(lane=Lane.URGENT)).waited == pytest.approx(3)
        assert limiter.available() == pytest.approx(2)

    simulate(main)


def test_one_bucket_of_an_account_being_empty_does_not_hold_up_another() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([Budget("reads", 5, 1), Budget("writes", 2, 1)], clock, urgent_share=0)
        limiter.penalise(clock.now() + timedelta(hours=1), bucket="reads")
        assert (await limiter.acquire(2, bucket="writes")).waited == 0
        assert limiter.available(bucket="reads") == 0

    simulate(main)


# Looking without waiting, and paying ahead


def test_would_wait_tells_what_acquire_then_does() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock, urgent_share=0.3)
        await limiter.acquire(6)
        told = limiter.would_wait(3)
        first = asyncio.create_task(limiter.acquire(3))
        await asyncio.sleep(0)
        told_behind = limiter.would_wait(2)
        second = asyncio.create_task(limiter.acquire(2))
        await asyncio.sleep(0)
        told_urgent = limiter.would_wait(2, lane=Lane.URGENT)
        assert (told, told_behind, told_urgent) == (2, 4, 0)
        assert (await first).waited == pytest.approx(told, abs=0.01)
        assert (await second).waited == pytest.approx(told_behind, abs=0.01)

    simulate(main)


def test_calls_inside_a_prepaid_block_are_paid_by_its_grant_and_the_rest_goes_back() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        grant = await limiter.acquire(10, lane=Lane.URGENT)
        with limiter.prepaid(grant):
            assert limiter.would_wait(4) == 0
            paid = await limiter.acquire(4)
            assert (paid.waited, limiter.available()) == (0, 0)
        assert limiter.available() == 6

    simulate(main)


def test_a_call_beyond_the_grant_waits_for_itself() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        grant = await limiter.acquire(10, lane=Lane.URGENT)
        with limiter.prepaid(grant):
            await limiter.acquire(9)
            assert (await limiter.acquire(2, lane=Lane.URGENT)).waited == pytest.approx(2, abs=0.01)

    simulate(main)


def test_a_prepaid_block_pays_for_its_own_bucket_only() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([Budget("reads", 5, 1), Budget("writes", 2, 1)], clock, urgent_share=0)
        with limiter.prepaid(await limiter.acquire(2, bucket="writes")):
            await limiter.acquire(2, bucket="reads")
        assert (limiter.available(bucket="reads"), limiter.available(bucket="writes")) == (3, 2)

    simulate(main)


def test_the_server_had_not_seen_what_a_prepaid_block_has_yet_to_spend() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        with limiter.prepaid(await limiter.acquire(5)):
            first = await limiter.acquire(1)
            limiter.observe(9, since=first)  # 4 of the grant are still to come
            assert limiter.available() == 5

    simulate(main)


def test_nor_what_is_kept_for_a_write_while_a_read_before_it_is_answered() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        with limiter.prepaid(await limiter.acquire(5)):
            with unpaid():
                read = await limiter.acquire(1)
            limiter.observe(9, since=read)
            assert limiter.available() == 4
        assert limiter.available() == 9

    simulate(main)


# Days


def daily(clock: LabClock, per_day: float = 10) -> Limiter:
    return Limiter([Budget("calls", 100, 10, per_day=per_day)], clock)


def test_the_days_quota_holds_keeps_its_share_for_urgent_calls_and_starts_anew_at_the_reset() -> None:
    async def main(clock: LabClock) -> None:
        limiter = daily(clock)
        await spend(limiter, 8)
        until_midnight = (next_utc_midnight(START) - START).total_seconds()
        assert limiter.would_wait() == until_midnight
        assert [grant.waited for grant in await spend(limiter, 2, Lane.URGENT)] == [0, 0]
        assert limiter.available() == 0
        waited = (await limiter.acquire(lane=Lane.URGENT)).waited
        assert waited == pytest.approx(until_midnight, abs=0.01)
        assert (await spend(limiter, 7))[-1].waited == 0
        assert limiter.would_wait() == pytest.approx(86_400, abs=1)

    simulate(main)


def test_those_who_wait_already_count_against_the_days_quota() -> None:
    async def main(clock: LabClock) -> None:
        limiter = daily(clock)
        limiter.penalise(clock.now() + timedelta(seconds=5))
        waiting = asyncio.create_task(limiter.acquire(6))
        await asyncio.sleep(0)
        assert limiter.would_wait(2) == 5
        assert limiter.would_wait(3) > 3600
        await waiting

    simulate(main)


def test_a_normal_call_dearer_than_its_share_of_the_day_goes_first_on_a_new_day() -> None:
    async def main(clock: LabClock) -> None:
        limiter = daily(clock)
        assert (await limiter.acquire(9)).waited == 0
        assert limiter.would_wait(9) > 3600

    simulate(main)


def test_the_reset_is_the_channels_own() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter(
            [Budget("calls", 10, 1, per_day=5)], clock, urgent_share=0, next_reset=lambda now: now + timedelta(hours=1)
        )
        await spend(limiter, 5)
        assert limiter.would_wait() == 3600

    simulate(main)


def test_a_restart_forgets_neither_the_level_nor_the_day_nor_a_penalty() -> None:
    async def main(clock: LabClock) -> None:
        before = daily(clock, per_day=50)
        await before.acquire(30, lane=Lane.URGENT)
        before.penalise(clock.now() + timedelta(seconds=9))
        kept = before.state()
        await clock.sleep(2)
        after = Limiter([Budget("calls", 100, 10, per_day=50)], clock, state=kept)
        assert after.state() == before.state()
        assert after.would_wait(20, lane=Lane.URGENT) == 7
        assert after.would_wait(21, lane=Lane.URGENT) > 3600

    simulate(main)


def test_a_wall_clock_that_went_back_before_a_restart_takes_no_units_away() -> None:
    async def main(clock: LabClock) -> None:
        before = Limiter([TEN], clock)
        await spend(before, 4)
        after = Limiter([TEN], LabClock(skew=timedelta(hours=-2)), state=before.state())
        assert after.available() == 6

    simulate(main)


def test_the_utc_midnight_is_the_next_one_whatever_the_zone_of_the_moment() -> None:
    east = datetime.fromisoformat("2026-03-02T01:30:00+03:00")
    assert next_utc_midnight(east) == datetime(2026, 3, 2, tzinfo=UTC)
    assert next_utc_midnight(datetime(2026, 3, 2, tzinfo=UTC)) == datetime(2026, 3, 3, tzinfo=UTC)


# What is refused


@pytest.mark.parametrize("cost", [-1, 10.5, float("nan"), float("inf")])
def test_a_cost_that_could_never_be_paid_is_refused_not_waited_for(cost: float) -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([TEN], clock)
        with pytest.raises(ValueError, match="bucket calls"):
            await limiter.acquire(cost)
        with pytest.raises(ValueError, match="bucket calls"):
            limiter.would_wait(cost)

    simulate(main)


def test_an_unknown_bucket_is_refused_and_so_is_no_bucket_where_there_are_two() -> None:
    async def main(clock: LabClock) -> None:
        limiter = Limiter([Budget("reads", 5, 1), Budget("writes", 2, 1)], clock)
        for name in ("reports", None):
            with pytest.raises(ValueError, match="reads, writes"):
                await limiter.acquire(bucket=name)

    simulate(main)


@pytest.mark.parametrize("figures", [(0, 1, None), (1, 0, None), (1, 1, 0), (-1, 1, None)])
def test_a_budget_that_allows_nothing_is_refused(figures: tuple[float, float, float | None]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Budget("calls", *figures)


def test_a_limiter_without_budgets_with_twins_or_with_all_kept_for_urgent_is_refused() -> None:
    async def main(clock: LabClock) -> None:
        with pytest.raises(ValueError, match="at least one budget"):
            Limiter([], clock)
        with pytest.raises(ValueError, match="names must differ"):
            Limiter([TEN, TEN], clock)
        with pytest.raises(ValueError, match="urgent_share"):
            Limiter([TEN], clock, urgent_share=1)

    simulate(main)
