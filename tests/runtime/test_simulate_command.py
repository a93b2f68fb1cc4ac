"""`channelsync simulate`: what it prints, what it writes, and how it ends."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from channelsync.lab import simulation_many
from channelsync.lab.invariants import Breach
from channelsync.lab.simulation import Outcome
from channelsync.runtime.cli import main
from channelsync.runtime.cli.exit_codes import ExitCode


def good(seed: int) -> Outcome:
    return Outcome(seed=seed, presets={"m1": "plain"}, breaches=(), orders=3, units=4, digest="abc")


def bad(seed: int) -> Outcome:
    return Outcome(seed=seed, presets={"m1": "plain"}, breaches=(Breach("4", "m1-S01 was raised to 5"),) * 7)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Sequence[int], int]]:
    """Days cost no time: seed 11 breaks an invariant, the others none."""
    asked: list[tuple[Sequence[int], int]] = []

    def play(seeds: Sequence[int], workers: int) -> Iterator[Outcome]:
        asked.append((list(seeds), workers))
        return iter([bad(seed) if seed == 11 else good(seed) for seed in seeds])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(simulation_many, "play_seeds", play)
    monkeypatch.setattr(simulation_many, "play_safely", lambda seed: bad(seed) if seed == 11 else good(seed))
    return asked


def figure(name: str, file: str = "simulation") -> dict[str, object]:
    rows = orjson.loads(Path("build/figures", f"{file}.json").read_bytes())
    return next(row for row in rows if row["name"] == name)


def test_days_that_hold_end_well_and_leave_their_figures(
    played: list[tuple[Sequence[int], int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--seeds", "3", "--from", "20", "--workers", "1"]) == ExitCode.DONE
    assert played == [([20, 21, 22], 1)]
    assert "3 simulated days" in capsys.readouterr().out
    assert (figure("simulated_orders")["value"], figure("seeds_with_a_broken_invariant")["holds"]) == (9, True)


def test_a_broken_invariant_ends_with_1_and_says_which_seed_to_replay(
    played: list[tuple[Sequence[int], int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--seeds", "3", "--from", "10"]) == ExitCode.FOUND_WRONG
    told = capsys.readouterr().err
    assert "channelsync simulate --seed 11" in told
    assert "invariant 4: m1-S01 was raised to 5" in told
    assert "and 2 more" in told
    assert figure("seeds_with_a_broken_invariant")["holds"] is False


def test_json_has_the_figures_and_the_broken_days(
    played: list[tuple[Sequence[int], int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--seeds", "2", "--from", "11", "--json"]) == ExitCode.FOUND_WRONG
    document = orjson.loads(capsys.readouterr().out)
    assert document["simulated_seeds"] == 2
    assert [day["seed"] for day in document["broken"]] == [11]


def test_the_figures_of_a_soak_stand_in_a_file_of_their_own(played: list[tuple[Sequence[int], int]]) -> None:
    assert main(["simulate", "--seeds", "1", "--figures", "soak_simulation"]) == ExitCode.DONE
    assert figure("simulated_seeds", "soak_simulation")["value"] == 1
    assert not Path("build/figures/simulation.json").exists()


def test_a_replay_tells_what_the_day_is_made_of_and_every_breach(
    played: list[tuple[Sequence[int], int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--seed", "12"]) == ExitCode.DONE
    told = capsys.readouterr()
    assert "history abc" in told.out
    assert "human edits" in told.out
    assert "Every invariant held" in told.err
    assert main(["simulate", "--seed", "11"]) == ExitCode.FOUND_WRONG
    assert capsys.readouterr().err.count("m1-S01 was raised to 5") == 7
    assert played == []


def test_a_replay_as_json_is_one_document(
    played: list[tuple[Sequence[int], int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--seed", "12", "--json"]) == ExitCode.DONE
    document = orjson.loads(capsys.readouterr().out)
    assert (document["seed"], document["digest"], document["breaches"]) == (12, "abc", [])
