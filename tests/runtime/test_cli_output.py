"""What commands print: JSON for programs, tables for people, nothing that steers a terminal."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from channelsync.runtime.cli.output import Output, as_iso, cell


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Colour(Enum):
    RED = "red"


class Word(StrEnum):
    DONE = "done"


class Secretive(BaseModel):
    token: SecretStr = SecretStr("hush")


@dataclass(frozen=True)
class Row:
    sku: str
    units: int
    at: datetime


ROWS = [
    Row("MUG", 3, datetime(2024, 1, 31, 12, 30, tzinfo=UTC)),
    Row("A" * 300, -2, datetime(2024, 1, 31, 12, 30, 0, 5, tzinfo=timezone(timedelta(hours=2)))),
]


def printed(as_json: bool = False, stream: io.StringIO | None = None) -> tuple[Output, io.StringIO]:
    out = stream or io.StringIO()
    return Output(as_json=as_json, out=out, err=out), out


def test_rows_as_json_are_one_object_a_line_with_all_keys_and_times_in_utc() -> None:
    output, out = printed(as_json=True)
    output.rows(ROWS, ["sku"])

    first, second = map(json.loads, out.getvalue().splitlines())
    assert first == {"sku": "MUG", "units": 3, "at": "2024-01-31T12:30:00Z"}
    assert second["at"] == "2024-01-31T10:30:00.000005Z"


def test_no_rows_are_nothing_as_json_and_said_in_words() -> None:
    output, out = printed(as_json=True)
    output.rows([], title="Positions")
    assert out.getvalue() == ""
    output, out = printed()
    output.rows([], title="Positions")
    assert out.getvalue() == "Positions: none\n"


def test_a_document_as_json_is_one_line_of_plain_values_without_secrets() -> None:
    output, out = printed(as_json=True)
    output.document(
        {
            "money": Decimal("1.10"),
            "colour": Colour.RED,
            "word": Word.DONE,
            "day": datetime(2024, 1, 31, tzinfo=UTC).date(),
            "wait": timedelta(minutes=1),
            "skus": {"B", "A"},
            "path": Path("x"),
            "inner": Secretive(),
            "big": 10**18,
            "none": None,
        }
    )
    assert out.getvalue() == (
        '{"money":"1.10","colour":"red","word":"done","day":"2024-01-31","wait":60.0,"skus":["A","B"],'
        '"path":"x","inner":{"token":"[redacted]"},"big":1000000000000000000,"none":null}\n'
    )


def test_what_nobody_said_how_to_print_is_an_error_and_not_a_repr() -> None:
    output, _ = printed(as_json=True)

    with pytest.raises(TypeError, match="nothing says how to print a object"):
        output.document({"x": object()})


def test_a_table_in_a_pipe_has_no_colour_and_cuts_nothing() -> None:
    output, out = printed()
    output.rows(ROWS, ["sku", "units"], title="Positions")

    assert "\x1b" not in out.getvalue()
    assert "A" * 300 in out.getvalue()
    assert "2024" not in out.getvalue()
    assert "│     3 │" in out.getvalue()


def test_a_table_on_a_terminal_is_coloured_and_folds_to_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output, out = printed(stream=Terminal())
    output.fail("it broke")
    output.rows(ROWS, ["sku"])

    assert "\x1b[1;31m" in out.getvalue()
    assert "A" * 300 not in out.getvalue()
    assert out.getvalue().count("A") == 300


def test_what_a_channel_wrote_is_neither_markup_nor_an_escape_code() -> None:
    output, out = printed()
    output.rows([{"title": "[red]x[/red] :smile: \x1b[2J\u202e"}])
    output.say("[bold]\x1b]0;owned\x07")

    assert "[red]x[/red] :smile:" in out.getvalue()
    assert "[bold]" in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


def test_a_document_for_people_is_a_table_of_keys() -> None:
    output, out = printed()
    output.document({"on_hand": 3, "paused": False, "parts": [1, {"a": None}]}, title="MUG")

    assert "on hand" in out.getvalue()
    assert "no" in out.getvalue()
    assert "1, a=" in out.getvalue()


def test_cells_and_times_in_words() -> None:
    assert (cell(True), cell(None), cell(["a", 1])) == ("yes", "", "a, 1")
    assert as_iso(datetime(2024, 1, 31, 1, tzinfo=timezone(timedelta(hours=2)))) == "2024-01-30T23:00:00Z"
