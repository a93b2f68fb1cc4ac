"""All strategies compared: stories shared out over processes, means with confidence intervals, figures with aims."""

from __future__ import annotations

import logging
import math
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import NormalDist, mean, stdev

import structlog

from channelsync.lab.figures import Figure
from channelsync.lab.strategies import ABSOLUTE_SET, STRATEGIES, Outcome, Strategy, Terms
from channelsync.lab.strategies_world import play
from channelsync.lab.virtual_time import run_virtual

CONFIDENCE = 0.95
FEWEST_STORIES = 2
"""Of fewer there is no interval."""

STORIES_A_WORLD = 200
"""At most: all keys of a channel are surveyed in one transaction, and fit one call."""

AIMS: Mapping[str, float] = {
    "watermark": 0.6,
    "watermark_hot_reads": 0.2,
    "watermark_compare_and_set": 0.6,
    "watermark_hot_reads_compare_and_set": 0.2,
}
"""Oversold units, at most so much of those of the plain absolute set."""

NOTHING_UNSOLD = frozenset({"watermark_hot_reads", "watermark_hot_reads_compare_and_set"})

_STARTS = datetime(2026, 1, 1, tzinfo=UTC)
_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

Told = Callable[[float, str], None]
"""Progress: the part of the stories that is played (0 to 1), and of which strategy the last ones were."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over stories. margin: the confidence interval reaches so far to both sides; normal, 95 %."""

    value: float
    margin: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.margin:.2f}"


def mean_of(values: Sequence[int]) -> Mean:
    """The mean of at least two values, with its confidence interval."""
    return Mean(mean(values), _Z * stdev(values) / math.sqrt(len(values)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is compared. The same stories are played with every strategy. workers: processes; 1: this one."""

    stories: int = 2_000
    seed: int = 1
    workers: int = 1
    strategies: Sequence[Strategy] = STRATEGIES
    terms: Terms = field(default_factory=Terms)

    def __post_init__(self) -> None:
        if self.stories < FEWEST_STORIES or self.workers < 1:
            raise ValueError(f"a comparison needs at least {FEWEST_STORIES} stories and one worker")

    def batches(self) -> list[tuple[Strategy, range]]:
        """The stories of every strategy by worlds."""
        size = min(STORIES_A_WORLD, math.ceil(self.stories / self.workers))
        starts = range(0, self.stories, size)
        return [(each, range(at, min(at + size, self.stories))) for at in starts for each in self.strategies]


Compared = Mapping[str, Sequence[Outcome]]
"""What every story came to, in the order of the stories, by the name of the strategy."""


def compare(options: Options, told: Told) -> Compared:
    """Plays all stories with all strategies."""
    batches = options.batches()
    outcomes: dict[int, list[Outcome]] = {}
    if options.workers == 1:
        for number, (strategy, stories) in enumerate(batches):
            outcomes[number] = play_batch(strategy, stories, options.terms, options.seed)
            told((number + 1) / len(batches), strategy.name)
    else:
        spawning = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.workers, mp_context=spawning, initializer=_be_quiet) as pool:
            jobs = {
                pool.submit(play_batch, strategy, stories, options.terms, options.seed): number
                for number, (strategy, stories) in enumerate(batches)
            }
            for done, job in enumerate(as_completed(jobs), 1):
                outcomes[jobs[job]] = job.result()
                told(done / len(batches), batches[jobs[job]][0].name)
    compared: dict[str, list[Outcome]] = {strategy.name: [] for strategy in options.strategies}
    for number, (strategy, _) in enumerate(batches):
        compared[strategy.name] += outcomes[number]
    return compared


def play_batch(strategy: Strategy, stories: range, terms: Terms, seed: int) -> list[Outcome]:
    """These stories in a world of their own."""
    return run_virtual(play(strategy, stories, terms, seed), start=_STARTS)


def _be_quiet() -> None:
    """In a worker: standard output belongs to the table."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy in the table: means a story. ratio: oversold, against the plain absolute set."""

    strategy: str
    oversold: Mean
    ratio: float | None
    unsold: Mean
    turned_away: Mean
    key_reads: Mean


def rows(compared: Compared) -> list[Row]:
    """The table, in the order of the strategies."""
    means = {name: mean_of([each.oversold for each in outcomes]) for name, outcomes in compared.items()}
    base = means[ABSOLUTE_SET.name].value if ABSOLUTE_SET.name in means else 0.0
    return [
        Row(
            name,
            means[name],
            means[name].value / base if base else None,
            mean_of([each.unsold for each in outcomes]),
            mean_of([each.turned_away for each in outcomes]),
            mean_of([each.key_reads for each in outcomes]),
        )
        for name, outcomes in compared.items()
    ]


def figures(compared: Compared) -> list[Figure]:
    """For build/figures/strategies.json: all four measures of all strategies; key reads of those that read at all."""
    table = rows(compared)
    stories = max(map(len, compared.values()))
    first = Figure(name="stories", value=stories, unit="of each strategy", aim=">= 2000")
    return [first, *_oversold(table), *_others(table)]


def _oversold(table: Sequence[Row]) -> Iterator[Figure]:
    base = next((row.oversold for row in table if row.strategy == ABSOLUTE_SET.name), None)
    for row in table:
        against = base is not None and row.strategy != ABSOLUTE_SET.name
        aim = AIMS.get(row.strategy)
        yield Figure(
            name=f"oversold_{row.strategy}",
            value=round(row.oversold.value, 4),
            unit=_unit("units", row.oversold),
            against=f"absolute set: {base}" if against else "",
            ratio=row.ratio if against else None,
            aim=f"<= {aim}" if against and aim is not None else "",
        )


def _others(table: Sequence[Row]) -> Iterator[Figure]:
    for row in table:
        yield Figure(
            name=f"unsold_{row.strategy}",
            value=round(row.unsold.value, 4),
            unit=_unit("units", row.unsold),
            aim="= 0" if row.strategy in NOTHING_UNSOLD else "",
        )
    for row in table:
        value = round(row.turned_away.value, 4)
        yield Figure(name=f"turned_away_{row.strategy}", value=value, unit=_unit("buyers", row.turned_away))
    for row in table:
        if row.strategy.startswith("watermark"):
            value = round(row.key_reads.value, 4)
            yield Figure(name=f"key_reads_{row.strategy}", value=value, unit=_unit("reads", row.key_reads))


def _unit(what: str, of: Mean) -> str:
    return f"± {of.margin:.2f} {what} a story"


def failures(found: Sequence[Figure]) -> list[str]:
    """One sentence for every figure that is not what it should be."""
    return [
        f"{each.name} is {each.value:g}{'' if each.ratio is None else f' ({each.ratio:.2f} of absolute set)'}, "
        f"and should be {each.aim}."
        for each in found
        if each.holds is False
    ]
