"""Whole simulated days with everything going wrong: every invariant holds, and a seed repeats its history."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from channelsync.lab.simulation import Outcome, play
from channelsync.lab.simulation_plan import STARTS, USUAL, Size, plan_simulation

FEWER = replace(USUAL, skus=12)
"""The days of `make test`: as long and as troubled as those of `make simulate`, with fewer SKUs."""

SHORT = Size(
    skus=6,
    marketplaces=3,
    lasts=timedelta(hours=2, minutes=40),
    buying=timedelta(minutes=50),
    troubled=timedelta(minutes=92),
)

_REPLAY = """
from datetime import timedelta
from channelsync.lab.simulation import play
from channelsync.lab.simulation_plan import Size, plan_simulation
size = Size(
    skus=6, marketplaces=3, lasts=timedelta(hours=2, minutes=40), buying=timedelta(minutes=50),
    troubled=timedelta(minutes=92),
)
print(play(plan_simulation(3, size)).digest)
"""


@pytest.mark.parametrize("seed", range(4))
def test_every_invariant_holds_on_a_day_on_which_everything_goes_wrong(seed: int) -> None:
    outcome = play(plan_simulation(seed, FEWER))
    assert outcome.breaches == ()
    assert min(outcome.orders, outcome.units, outcome.writes, outcome.raises, outcome.keys_read) > 0


def test_a_marketplace_is_never_asked_for_more_revisions_than_it_takes() -> None:
    outcome = play(plan_simulation(2, SHORT, presets=("three revisions a day", "plain", "compare-and-set")))
    assert outcome.breaches == ()


@cache
def short(seed: int) -> Outcome:
    """A short day, played once."""
    return play(plan_simulation(seed, SHORT))


def test_a_seed_repeats_its_history_and_another_has_its_own() -> None:
    assert play(plan_simulation(3, SHORT)) == short(3)
    assert short(4).digest != short(3).digest


def test_a_seed_repeats_its_history_in_another_process() -> None:
    """There the order of every set is another one; it must decide nothing."""
    told = subprocess.run(
        [sys.executable, "-c", _REPLAY],
        env=os.environ | {"PYTHONHASHSEED": "1"},  # noqa: TID251  # it loads what this process loads
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout.splitlines()[-1] == short(3).digest


def test_a_plan_draws_all_that_goes_wrong() -> None:
    plans = [plan_simulation(seed) for seed in range(40)]
    deeds = {deed.what for plan in plans for faults in plan.faults.values() for deed in faults.deeds}
    assert deeds == {"human edit", "typo", "tokens dropped"}
    assert {len(plan.stops) for plan in plans} == {0, 1, 2}
    assert {bool(plan.rules) for plan in plans} == {False, True}
    assert {len(plan.marketplaces) for plan in plans} == {4}
    assert all(len(plan.wares.opening) == 50 for plan in plans)
    assert all(faults.ends is not None for plan in plans for faults in plan.faults.values())


def test_everything_has_gone_wrong_before_the_quiet_begins() -> None:
    for seed in range(40):
        plan = plan_simulation(seed)
        quiet = STARTS + plan.size.troubled
        ends = [faults.ends for faults in plan.faults.values()] + list(plan.stops)
        ends += [order.placed_at for order in plan.orders]
        ends += [event.at for order in plan.orders for event in order.after]
        assert all(end is not None and end <= quiet for end in ends)
        assert plan.size.lasts - plan.size.troubled >= timedelta(minutes=60)
