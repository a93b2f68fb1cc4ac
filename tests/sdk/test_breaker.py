"""The circuit breaker of a channel."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from channelsync.sdk.breaker import Breaker, BreakerState
from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, NotSent, OutcomeUnknown, TryLater


class WallClock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        raise AssertionError("a breaker outlives the process, so it reads the wall clock")

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("a breaker never waits")

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def breaker(clock: WallClock) -> Breaker:
    return Breaker("shop", clock, failures_max=3, cooldown=10, cooldown_max=60)


def call(breaker: Breaker, error: BaseException | None = None, *, cheap_read: bool = True) -> None:
    with breaker.guard(cheap_read=cheap_read):
        if error is not None:
            raise error


def fail(breaker: Breaker, error: BaseException | None = None) -> None:
    error = error or TryLater()
    with pytest.raises(type(error)) as caught:
        call(breaker, error)
    assert caught.value is error  # the channel's own failure, not the breaker's refusal


def seconds_left(breaker: Breaker) -> float | None:
    with pytest.raises(NotSent) as refused:
        breaker.check(cheap_read=True)
    return refused.value.retry_after


def open_up(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker)


@pytest.mark.fault(24, "then the breaker opens and nothing reaches the channel for a while")
@pytest.mark.parametrize("error", [TryLater(), NotSent(), OutcomeUnknown()])
def test_it_opens_after_so_many_failures_in_a_row_of_any_kind_of_try_later(breaker: Breaker, error: TryLater) -> None:
    fail(breaker, error)
    fail(breaker, error)
    breaker.check(cheap_read=False)
    fail(breaker, error)
    assert seconds_left(breaker) == 10


def test_a_success_in_between_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker)
    fail(breaker)
    call(breaker)
    fail(breaker)
    fail(breaker)
    breaker.check(cheap_read=False)


def test_while_open_nothing_reaches_the_channel(breaker: Breaker, clock: WallClock) -> None:
    open_up(breaker)
    clock.advance(9)
    with pytest.raises(NotSent, match="shop: paused after 3 failures") as refused:
        call(breaker, AssertionError("the call was made"))
    assert refused.value.retry_after == 1


def test_after_the_cooldown_only_a_cheap_read_may_try_and_its_success_closes(
    breaker: Breaker, clock: WallClock
) -> None:
    open_up(breaker)
    clock.advance(10)
    with pytest.raises(NotSent):
        call(breaker, AssertionError("a write was made"), cheap_read=False)
    call(breaker)
    call(breaker, cheap_read=False)
    assert breaker.state == BreakerState()


def test_only_one_probe_is_under_way_at_a_time(breaker: Breaker, clock: WallClock) -> None:
    open_up(breaker)
    clock.advance(10)
    with breaker.guard(cheap_read=True), pytest.raises(NotSent):
        call(breaker, AssertionError("a second probe was made"))
    call(breaker)


def test_every_failed_probe_doubles_the_pause_up_to_the_cap(breaker: Breaker, clock: WallClock) -> None:
    open_up(breaker)
    pauses = []
    for _ in range(5):
        pauses.append(seconds_left(breaker))
        clock.advance(pauses[-1] or 0)
        fail(breaker)
    assert pauses == [10, 20, 40, 60, 60]


def test_a_channel_that_asks_for_a_longer_pause_gets_it(breaker: Breaker) -> None:
    fail(breaker)
    fail(breaker)
    fail(breaker, TryLater(retry_after=500))
    assert seconds_left(breaker) == 500


def test_calls_that_were_on_their_way_when_it_opened_decide_nothing(breaker: Breaker, clock: WallClock) -> None:
    def one_that_fails_late() -> None:
        with breaker.guard(cheap_read=True):
            open_up(breaker)
            raise TryLater

    with breaker.guard(cheap_read=True):
        with pytest.raises(TryLater):
            one_that_fails_late()
        assert breaker.state.failures == 3
    assert seconds_left(breaker) == 10


def test_a_cancelled_probe_lets_another_one_try(breaker: Breaker, clock: WallClock) -> None:
    open_up(breaker)
    clock.advance(10)
    fail(breaker, asyncio.CancelledError())
    call(breaker)


def test_an_answer_that_makes_no_sense_is_no_outage(breaker: Breaker) -> None:
    for _ in range(5):
        fail(breaker, ChannelMisbehaved())
    breaker.check(cheap_read=False)


def test_what_the_seller_must_do_is_asked_for_until_somebody_says_it_is_done(
    breaker: Breaker, clock: WallClock
) -> None:
    fail(breaker, NeedsSeller("renew the token"))
    clock.advance(10 * 86_400)
    for cheap_read in (True, False):
        with pytest.raises(NeedsSeller, match="renew the token"):
            call(breaker, AssertionError("the call was made"), cheap_read=cheap_read)
    breaker.reset()
    call(breaker)


def test_a_restart_changes_nothing(breaker: Breaker, clock: WallClock) -> None:
    open_up(breaker)
    clock.advance(4)
    assert seconds_left(Breaker("shop", clock, state=breaker.state)) == 6


@pytest.mark.fault(61, "pauses are measured by a clock that does not leap")
def test_a_wall_clock_that_goes_back_does_not_lengthen_the_pause(breaker: Breaker, clock: WallClock) -> None:
    open_up(breaker)
    clock.advance(-86_400)
    assert seconds_left(breaker) == 10
