"""`channelsync demo` and `channelsync figures`: what they print, and how they end."""

from pathlib import Path

import orjson
import pytest

from channelsync.lab.figures import Figure, write_figures
from channelsync.runtime.cli import lab_commands, main
from channelsync.runtime.cli.exit_codes import ExitCode


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_figures_are_printed_and_rendered_into_the_documents(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "docs").mkdir()
    page = folder / "docs" / "performance.md"
    page.write_text("<!-- figures:bench -->\n<!-- /figures -->\n")
    write_figures("bench", [Figure(name="orders_a_second", value=1234, unit="orders", aim=">= 1000")])
    assert main(["figures", "--json"], {}) == ExitCode.DONE
    (row,) = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (row["of"], row["figure"], row["value"], row["holds"]) == ("bench", "orders_a_second", 1234, True)
    assert "| orders a second | 1,234 orders |" in page.read_text()


def test_a_figure_that_is_not_what_it_should_be_ends_with_1(folder: Path) -> None:
    write_figures("demo", [Figure(name="drift_left", value=1, unit="numbers", aim="= 0")], folder / "build" / "figures")
    assert main(["figures"], {}) == ExitCode.FOUND_WRONG


def test_without_figures_nothing_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figures"], {}) == ExitCode.DONE
    assert "Figures: none" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_figures_that_nothing_computes_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figures", "weather"], {}) == ExitCode.USAGE
    assert "Nothing computes weather; there are demo" in capsys.readouterr().err


def test_figures_that_could_not_be_computed_are_not_passed_off_as_new(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_figures("demo", [Figure(name="drift_left", value=0, unit="numbers", aim="= 0")], folder / "build" / "figures")
    monkeypatch.setitem(lab_commands.COMPUTED_BY, "demo", ("-c", "raise SystemExit(70)"))
    assert main(["figures", "demo"], {}) == ExitCode.FOUND_WRONG
    assert "ended with 70 and computed nothing" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--day", "2019-01-01"], "there are no baskets on 2019-01-01: choose another day from 2017-01-01"),
        (["--scale", "0"], "a plan needs baskets"),
        (["--day", "tomorrow"], "tomorrow"),
        (["--database", "oracle"], "oracle"),
    ],
)
def test_a_demo_that_cannot_be_is_a_usage_error_before_anything_starts(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *arguments], {}) == ExitCode.USAGE
    assert says in capsys.readouterr().err
