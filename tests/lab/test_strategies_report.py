"""From outcomes to means, figures and aims."""

import math

import pytest

from channelsync.lab.strategies import ABSOLUTE_SET, STRATEGIES, Outcome, Strategy, Terms
from channelsync.lab.strategies_report import Compared, Options, compare, failures, figures, mean_of, play_batch, rows

WATERMARK = Strategy(way="watermark")
HOT = Strategy(way="watermark", hot_reads=True)


def outcomes(*oversold: int, unsold: int = 0, reads: int = 0) -> list[Outcome]:
    return [Outcome(oversold=each, unsold=unsold, turned_away=1, key_reads=reads, minutes=60) for each in oversold]


def many(oversold: int, *, unsold: int = 0) -> list[Outcome]:
    return outcomes(*[oversold] * 1_000, *[oversold + 1] * 1_000, unsold=unsold)


def test_the_mean_comes_with_its_95_percent_interval() -> None:
    mean = mean_of([1, 2, 3, 4])
    assert mean.value == 2.5
    assert mean.margin == pytest.approx(1.96 * math.sqrt(5 / 3) / 2, rel=1e-3)
    assert str(mean) == "2.50 ± 1.27"


def test_all_are_measured_against_the_plain_absolute_set() -> None:
    compared = {"absolute_set": outcomes(2, 4), "delta": outcomes(1, 2), "watermark": outcomes(0, 3, reads=9)}
    table = {row.strategy: row for row in rows(compared)}
    assert (table["absolute_set"].ratio, table["delta"].ratio, table["watermark"].ratio) == (1.0, 0.5, 0.5)
    found = {figure.name: figure for figure in figures(compared)}
    assert (found["oversold_watermark"].ratio, found["oversold_watermark"].aim) == (0.5, "<= 0.6")
    assert found["oversold_watermark"].against == "absolute set: 3.00 ± 1.96"
    assert found["oversold_absolute_set"].ratio is None
    assert found["key_reads_watermark"].value == 9
    assert "key_reads_delta" not in found


@pytest.mark.parametrize(
    ("compared", "missed"),
    [
        ({"absolute_set": many(3), "watermark": many(1), "watermark_hot_reads": many(0)}, []),
        ({"absolute_set": many(3), "watermark": many(2)}, ["oversold_watermark"]),
        ({"absolute_set": many(3), "watermark_hot_reads": many(1)}, ["oversold_watermark_hot_reads"]),
        ({"absolute_set": many(3), "watermark_hot_reads": many(0, unsold=1)}, ["unsold_watermark_hot_reads"]),
        ({"absolute_set": outcomes(3, 3), "watermark": outcomes(0, 0)}, ["stories"]),
    ],
)
def test_an_aim_that_is_missed_is_said(compared: Compared, missed: list[str]) -> None:
    assert [sentence.split()[0] for sentence in failures(figures(compared))] == missed


def test_every_story_is_played_once_with_every_strategy_in_worlds_that_are_not_too_large() -> None:
    options = Options(stories=450, workers=2)
    for strategy in STRATEGIES:
        mine = [stories for each, stories in options.batches() if each == strategy]
        assert [story for stories in mine for story in stories] == list(range(450))
        assert max(map(len, mine)) <= 200
    assert [stories for _, stories in Options(stories=3, workers=2, strategies=[HOT]).batches()] == [
        range(2),
        range(2, 3),
    ]


@pytest.mark.parametrize("wrong", [{"stories": 1}, {"workers": 0}])
def test_a_comparison_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 2 stories and one worker"):
        Options(**wrong)  # type: ignore[arg-type]


def test_two_processes_find_what_one_finds_in_the_order_of_the_stories() -> None:
    told: list[float] = []
    options = Options(stories=4, workers=2, strategies=[ABSOLUTE_SET])
    found = compare(options, lambda part, _: told.append(part))
    assert found == {"absolute_set": play_batch(ABSOLUTE_SET, range(4), Terms(), 1)}
    assert told == [0.5, 1.0]
