"""Many simulated days: played on several processes, added up, and told as figures."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

import structlog

from channelsync.lab.figures import Figure
from channelsync.lab.invariants import Breach
from channelsync.lab.simulation import Outcome, simulate

CRASH = "crash"
"""The invariant of a day that could not be played to its end: something of ours raised."""

_RARELY = (50_000, 20, 100)


@dataclass(slots=True)
class Tally:
    """What many days came to. Counts are sums over days; see `Outcome`. broken: the days that broke an invariant."""

    days: int = 0
    orders: int = 0
    units: int = 0
    oversold: int = 0
    calls: int = 0
    read_calls: int = 0
    keys_read: int = 0
    writes: int = 0
    raises: int = 0
    raised_over: int = 0
    findings: int = 0
    restarts: int = 0
    seconds: float = 0.0
    broken: list[Outcome] = field(default_factory=list)

    def add(self, day: Outcome) -> None:
        """One more day."""
        self.days += 1
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(day, name))
        if not day.holds:
            self.broken.append(day)

    @property
    def breaches(self) -> int:
        """Over all days."""
        return sum(len(day.breaches) for day in self.broken)

    def figures(self) -> list[Figure]:
        """As they stand in build/figures. Raises above what is sellable are measured and shown: invariant 4."""
        return [
            Figure(name="simulated_seeds", value=self.days, unit="days of 4 hours"),
            Figure(name="seeds_with_a_broken_invariant", value=len(self.broken), unit="seeds", aim="= 0"),
            Figure(name="simulated_orders", value=self.orders, unit="orders"),
            Figure(name="simulated_units_sold", value=self.units, unit="units"),
            Figure(
                name="simulated_oversold_units",
                value=self.oversold,
                unit="units",
                against="units sold",
                ratio=self.oversold / self.units if self.units else 0.0,
            ),
            Figure(name="simulated_calls", value=self.calls, unit="calls"),
            Figure(name="simulated_read_calls", value=self.read_calls, unit="calls"),
            Figure(name="simulated_numbers_read", value=self.keys_read, unit="numbers"),
            Figure(name="simulated_writes", value=self.writes, unit="writes"),
            Figure(name="simulated_raises", value=self.raises, unit="raises"),
            Figure(
                name="simulated_units_raised_above_sellable",
                value=self.raised_over,
                unit="units",
                against="raises",
                ratio=self.raised_over / self.raises if self.raises else 0.0,
            ),
            Figure(name="simulated_findings", value=self.findings, unit="findings"),
            Figure(name="simulated_restarts", value=self.restarts, unit="restarts"),
        ]


_SUMS = (
    "orders",
    "units",
    "oversold",
    "calls",
    "read_calls",
    "keys_read",
    "writes",
    "raises",
    "raised_over",
    "findings",
    "restarts",
    "seconds",
)


def play_seeds(seeds: Iterable[int], workers: int) -> Iterator[Outcome]:
    """Plays these days on so many processes, each day as soon as one is free; yields them as they end.

    A day that raises ends as one whose invariant `CRASH` is broken.
    """
    if workers <= 1:
        for seed in seeds:
            yield play_safely(seed)
        return
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=fresh, initializer=_quiet) as pool:
        days = [pool.submit(play_safely, seed) for seed in seeds]
        try:
            for day in as_completed(days):
                yield day.result()
        finally:
            pool.shutdown(cancel_futures=True)


def play_safely(seed: int) -> Outcome:
    """The day of a seed; what it raised is told as a breach."""
    try:
        return simulate(seed)
    except Exception as error:  # noqa: BLE001 - whatever a seed raises is what it was played for
        told = "".join(traceback.format_exception(error))
        return Outcome(seed=seed, presets={}, breaches=(Breach(CRASH, told),))


def _quiet() -> None:
    """Once a process: nothing is logged, and garbage, of which a day makes little, is rarely looked for."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.set_threshold(*_RARELY)
