"""Days are added up, told as figures, and one that raises is a broken one with its seed."""

import pytest

from channelsync.lab import simulation_many
from channelsync.lab.invariants import Breach
from channelsync.lab.simulation import Outcome
from channelsync.lab.simulation_many import CRASH, Tally, play_safely, play_seeds

GOOD = Outcome(seed=1, presets={"m1": "plain"}, breaches=(), orders=10, units=20, oversold=2, raises=4, raised_over=1)
BAD = Outcome(seed=2, presets={"m1": "plain"}, breaches=(Breach("3", "drift"), Breach("4", "too high")), orders=5)


def figures(*days: Outcome) -> dict[str, tuple[float, float | None, bool | None]]:
    tally = Tally()
    for day in days:
        tally.add(day)
    return {figure.name: (figure.value, figure.ratio, figure.holds) for figure in tally.figures()}


def test_days_are_added_up() -> None:
    told = figures(GOOD, GOOD)
    assert told["simulated_seeds"][0] == 2
    assert told["simulated_orders"][0] == 20
    assert told["simulated_oversold_units"][:2] == (4, 0.1)
    assert told["simulated_units_raised_above_sellable"][:2] == (2, 0.25)


def test_the_figures_hold_only_while_no_day_broke_an_invariant() -> None:
    assert figures(GOOD)["seeds_with_a_broken_invariant"] == (0, None, True)
    assert figures(GOOD, BAD)["seeds_with_a_broken_invariant"] == (1, None, False)


def test_every_breach_of_a_broken_day_is_kept() -> None:
    tally = Tally()
    tally.add(GOOD)
    tally.add(BAD)
    assert (tally.days, tally.breaches, [day.seed for day in tally.broken]) == (2, 2, [2])


def test_a_day_that_raises_is_a_broken_one_that_tells_what_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(seed: int) -> Outcome:
        raise RuntimeError(f"seed {seed} came to nothing")

    monkeypatch.setattr(simulation_many, "simulate", fails)
    day = play_safely(7)
    assert (day.seed, day.holds, day.breaches[0].invariant) == (7, False, CRASH)
    assert "seed 7 came to nothing" in day.breaches[0].what


def test_one_worker_plays_in_the_order_of_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation_many, "simulate", lambda seed: Outcome(seed=seed, presets={}, breaches=()))
    assert [day.seed for day in play_seeds(range(3, 6), 1)] == [3, 4, 5]
