"""Figures: what is written can be read, aims decide what holds, and tables of documents are rendered in their place."""

from pathlib import Path

import orjson
import pytest

from channelsync.lab.figures import Figure, number, read_figures, render_tables, write_figures


@pytest.mark.parametrize(
    ("aim", "value", "ratio", "holds"),
    [
        ("", 3, None, None),
        ("= 0", 0, None, True),
        ("= 0", 1, None, False),
        ("<= 2", 2, None, True),
        ("<= 2", 2.01, None, False),
        (">= 0.5", 0.5, None, True),
        (">= 0.5", 0.4, None, False),
        ("<= 1", 40, 0.4, True),
        ("<= 1", 0.4, 40, False),
    ],
)
def test_the_aim_decides_over_the_ratio_or_else_over_the_value(
    aim: str, value: float, ratio: float | None, holds: bool | None
) -> None:
    assert Figure(name="one", value=value, unit="", ratio=ratio, aim=aim).holds is holds


def test_an_aim_that_is_no_aim_is_refused() -> None:
    with pytest.raises(ValueError, match="speed: 'fast' is no aim"):
        _ = Figure(name="speed", value=1, unit="", aim="fast").holds


def test_figures_that_are_written_are_read_again(tmp_path: Path) -> None:
    figures = [Figure(name="calls", value=3, unit="calls", against="2 calls", ratio=1.5, aim="<= 1")]
    path = write_figures("bench", figures, tmp_path)
    assert orjson.loads(path.read_bytes()) == [
        {
            "name": "calls",
            "value": 3,
            "unit": "calls",
            "against": "2 calls",
            "ratio": 1.5,
            "aim": "<= 1",
            "holds": False,
        }
    ]
    assert read_figures(tmp_path) == {"bench": figures}


def test_what_a_file_says_holds_is_computed_anew(tmp_path: Path) -> None:
    path = write_figures("demo", [Figure(name="drift_left", value=2, unit="numbers", aim="= 0")], tmp_path)
    path.write_bytes(path.read_bytes().replace(b"false", b"true"))
    assert read_figures(tmp_path)["demo"][0].holds is False


def test_a_table_is_rendered_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\n<!-- figures:demo -->\nold\n<!-- /figures -->\n\n<!-- figures:soak -->\n<!-- /figures -->\n"
    )
    figures = {"demo": [Figure(name="drift_left", value=0, unit="numbers", aim="= 0")]}
    assert render_tables(figures, [page]) == [page]
    text = page.read_text()
    assert "| drift left | 0 numbers |  |  | = 0 | yes |" in text
    assert "\nold\n" not in text
    assert text.startswith("# Page\n\n<!-- figures:demo -->\n")
    assert text.endswith("<!-- /figures -->\n\n<!-- figures:soak -->\n<!-- /figures -->\n")
    assert render_tables(figures, [page]) == [], "rendering again changes nothing"


def test_a_page_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert render_tables({}, [tmp_path / "missing.md"]) == []


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (12345, "12,345"), (0.12345, "0.123"), (1234.56, "1,235"), (2.0, "2")]
)
def test_numbers_are_written_as_people_read_them(value: float, shown: str) -> None:
    assert number(value) == shown
