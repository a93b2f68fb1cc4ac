"""[channel.settings.*] of a place for files, section by section: what a file is called, how it is written, what is in
which column."""

from __future__ import annotations

import codecs
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Text = Annotated[str, Field(min_length=1)]
Column = Annotated[str, Field(min_length=1)]
Rows = Annotated[int, Field(strict=True, ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Format = Literal["csv", "json", "jsonl"]
Complete = Literal["renamed", "stable", "marker", "trailer"]

MARKER = ".done"
"""What a marker's name adds to that of the file that it says is complete."""


class Section(BaseModel):
    """What all kinds of files have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    path: Text
    """The folder below `place`; over HTTP the path of the address. Never absolute and never with `..`."""

    format: Format = "csv"
    """csv: a header and rows. json: one document. jsonl: a JSON object a line. Default csv."""

    encoding: str = "utf-8"
    """How letters are written: utf-8 (a byte order mark is skipped), cp1252 and so on. Default utf-8. A file with
    bytes that it cannot mean is refused whole."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """Between the cells of a CSV row. Default a comma."""

    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    """Around cells that hold the delimiter or a line's end. Default a double quote."""

    @field_validator("path")
    @classmethod
    def _stays_below(cls, path: str) -> str:
        clean = path.strip("/")
        if ".." in PurePosixPath(clean.partition("?")[0]).parts or "\\" in clean or "\0" in clean or not clean:
            raise ValueError("a path stays below `place`: no .., no backslash")
        return clean

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            "".encode(encoding)  # a codec that is no text encoding fails here too
            return codecs.lookup(encoding).name
        except LookupError:
            raise ValueError(f"{encoding} is no encoding that is known here; utf-8 and cp1252 are") from None


class Incoming(Section):
    """Files that we read."""

    pattern: Annotated[str | None, Field(examples=["orders-*.csv"])] = None
    """Which files in the folder are meant, with * and ?. Default `*.` and the format. Names that begin with a dot are
    never read."""

    rows: str = ""
    """Of a JSON document: where its list of rows is, e.g. `data.orders`. Default: the document is the list."""

    decimal: Literal[".", ","] = "."
    """What stands before a fraction, so that "2,00" is two. Default a point. Signs between thousands are refused."""

    complete: Complete = "renamed"
    """How a file is known to be whole. renamed: it is written under a name that does not match and renamed. stable: it
    has not changed for `stable_s`. marker: a second file of its name and ".done" stands beside it. trailer: its last
    line begins with `trailer`. Default renamed. Over HTTP an answer is whole by its declared length."""

    stable_s: Seconds = 60
    """For complete = "stable": seconds without a change, by the time of change that the folder tells. Default 60."""

    trailer: str = ""
    """For complete = "trailer": how the last line begins. It is no row."""

    @property
    def matching(self) -> str:
        """The pattern, or its default."""
        return self.pattern or f"*.{self.format}"

    def means(self, name: str) -> bool:
        """Whether a file of this name is one of these."""
        return fnmatchcase(name, self.matching) and not (self.complete == "marker" and name.endswith(MARKER))

    @model_validator(mode="after")
    def _trailer_is_told(self) -> Self:
        if (self.complete == "trailer") != bool(self.trailer):
            raise ValueError('`trailer` and complete = "trailer" go together')
        return self
