"""`channelsync strategies`: what it prints and writes, and how it ends."""

from pathlib import Path

import orjson
import pytest

from channelsync.lab import strategies_report
from channelsync.lab.strategies import MORE, STRATEGIES, Outcome
from channelsync.lab.strategies_report import Options, Told
from channelsync.runtime.cli import main
from channelsync.runtime.cli.exit_codes import ExitCode


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pretend(monkeypatch: pytest.MonkeyPatch, *, watermark: int) -> list[Options]:
    """Comparisons end at once: absolute set oversells 4 a story, the watermark so many. Returns what was asked for."""
    asked: list[Options] = []

    def compare(options: Options, told: Told) -> dict[str, list[Outcome]]:
        asked.append(options)
        told(1.0, "watermark")
        return {
            name: [Outcome(oversold=units, unsold=0, turned_away=0, key_reads=0, minutes=60)] * options.stories
            for name, units in (("absolute_set", 4), ("watermark", watermark))
        }

    monkeypatch.setattr(strategies_report, "compare", compare)
    return asked


def test_aims_that_are_met_end_with_0_and_the_figures_are_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = pretend(monkeypatch, watermark=2)
    assert main(["strategies", "--seed", "7", "--workers", "1"], {}) == ExitCode.DONE
    assert (asked[0].stories, asked[0].seed, asked[0].workers) == (2_000, 7, 1)
    assert asked[0].strategies == STRATEGIES
    assert "2.00 ± 0.00" in capsys.readouterr().out
    written = {row["name"]: row for row in orjson.loads((folder / "build/figures/strategies.json").read_bytes())}
    assert written["oversold_watermark"]["ratio"] == 0.5
    assert written["oversold_watermark"]["holds"] is True


@pytest.mark.usefixtures("folder")
def test_an_aim_that_is_missed_ends_with_1_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, watermark=3)
    assert main(["strategies", "--json"], {}) == ExitCode.FOUND_WRONG
    said = capsys.readouterr()
    assert "oversold_watermark is 3 (0.75 of absolute set), and should be <= 0.6." in said.err
    lines = [orjson.loads(line) for line in said.out.splitlines()]
    assert lines[1] == {
        "strategy": "watermark",
        "oversold": {"value": 3, "margin": 0},
        "ratio": 0.75,
        "unsold": {"value": 0, "margin": 0},
        "turned_away": {"value": 0, "margin": 0},
        "key_reads": {"value": 0, "margin": 0},
    }


@pytest.mark.usefixtures("folder")
def test_more_is_compared_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend(monkeypatch, watermark=2)
    assert main(["strategies", "--more"], {}) == ExitCode.DONE
    assert asked[0].strategies == (*STRATEGIES, *MORE)


@pytest.mark.usefixtures("folder")
def test_too_few_stories_prove_nothing_even_if_the_aims_are_met(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, watermark=2)
    assert main(["strategies", "--stories", "1999"], {}) == ExitCode.FOUND_WRONG


@pytest.mark.parametrize("arguments", [["--stories", "1"], ["--workers", "0"], ["--stories", "many"]])
def test_a_comparison_that_cannot_be_is_a_usage_error(arguments: list[str]) -> None:
    assert main(["strategies", *arguments], {}) == ExitCode.USAGE
