"""Whether the wall clock is believed, after starts and leaps, with and without witnesses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from channelsync.sync.clock_watch import LEAP_GUARD, ClockWatch

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Clocks:
    """A wall clock and a monotonic one, looked at once a minute."""

    def __init__(self) -> None:
        self.watch, self.wall, self.monotonic = ClockWatch(), START, 1_000.0

    def go(self, minutes: int, *, ahead: Sequence[timedelta] = ()) -> bool:
        for _ in range(minutes):
            self.wall += MINUTE
            self.monotonic += 60
            told = [(f"shop-{number}", one) for number, one in enumerate(ahead)]
            self.watch.look(self.wall, self.monotonic, told)
        return self.watch.believed(self.monotonic)


GUARD = int(LEAP_GUARD / MINUTE)


def test_after_a_start_the_clock_is_believed_once_it_has_gone_steadily() -> None:
    clocks = Clocks()
    assert not clocks.watch.believed(clocks.monotonic)
    assert not clocks.go(GUARD)
    assert clocks.go(1)


def test_a_channel_that_tells_the_same_time_is_enough() -> None:
    assert Clocks().go(1, ahead=[timedelta(seconds=3)])


@pytest.mark.parametrize("leap", [DAY, -DAY])
def test_after_a_leap_it_is_not_believed_until_it_has_gone_steadily_again(leap: timedelta) -> None:
    clocks = Clocks()
    assert clocks.go(GUARD + 1)
    clocks.wall += leap
    assert not clocks.go(GUARD)
    assert clocks.go(1)


def test_while_every_channel_contradicts_it_is_never_believed() -> None:
    clocks = Clocks()
    assert clocks.go(1, ahead=[timedelta(seconds=3)])
    clocks.wall += DAY
    assert not clocks.go(24 * 60, ahead=[-DAY, -DAY])
    assert "shop-0 is -86400 s ahead of it" in clocks.watch.wrong
    clocks.wall -= DAY
    assert clocks.go(1, ahead=[timedelta(), timedelta()])
    assert clocks.watch.wrong == ""


def test_one_channel_whose_own_clock_is_wrong_speaks_against_nobody() -> None:
    assert Clocks().go(1, ahead=[timedelta(hours=1), timedelta()])


def test_a_small_step_as_ntp_makes_it_is_no_leap() -> None:
    clocks = Clocks()
    assert clocks.go(GUARD + 1)
    clocks.wall += MINUTE
    assert clocks.go(1)
