"""[channel.settings.*] of a place for files, section by section: what a file is called, how it is written, what is in
which column."""

from __future__ import annotations

import codecs
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Text = Annotated[str, Field(min_length=1)]
Column = Annotated[str, Field(min_length=1)]
Rows = Annotated[int, Field(strict=True, ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Format = Literal["csv", "json", "jsonl"]
Complete = Literal["renamed", "stable", "marker", "trailer"]
Happens = Literal["reserve", "wait", "ship", "cancel", "return", "write off"]

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


class OrderColumns(BaseModel):
    """Which column holds what. Columns that are not named here are dropped as they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    order: Column
    """The order's id."""
    units: Column
    """Units ordered on the line."""
    placed_at: Column
    """When it was ordered."""
    changed_at: Column | None = None
    """When the order last changed."""
    line: Column | None = None
    """The line's id. Without it a line is known by its listing or SKU."""
    listing: Column | None = None
    """The other system's own number of what was bought."""
    sku: Column | None = None
    """The SKU."""
    status: Column | None = None
    """A word that `statuses` explains; of the row in CSV, of the whole order where `lines` is set."""
    line_status: Column | None = None
    """A word of the line; counts before that of the order."""
    paid_at: Column | None = None
    """When it was paid."""
    cancelled_at: Column | None = None
    """When it was cancelled."""
    cancelled: Column | None = None
    """Units of the line that will not be shipped and are free again."""
    lost: Column | None = None
    """Units of the line that will not be shipped and do not come back for sale."""
    shipped: Column | None = None
    """Units of the line shipped so far."""
    returned: Column | None = None
    """Units of the line that came back and may be sold again."""
    withheld: Column | None = None
    """Units of the line that came back and may not."""
    location: Column | None = None
    """The location that ships."""

    @model_validator(mode="after")
    def _says_what_was_bought(self) -> Self:
        if self.listing is None and self.sku is None:
            raise ValueError("map `sku` or `listing`, or nobody knows what was bought")
        return self


LINE_FIELDS = frozenset(
    {"line", "listing", "sku", "units", "line_status", "cancelled", "lost", "shipped", "returned", "withheld"}
    | {"location"}
)
"""What is looked for in the line where `lines` is set; everything else in the order."""


class OrdersIn(Incoming):
    """Orders: whole orders as they are now, one row a line, all lines of an order in one file."""

    columns: OrderColumns
    """Which column holds what."""

    statuses: dict[str, Happens] = {}
    """What each status word means: reserve; wait (reserve, but unpaid); ship (all of it has left); cancel; return (all
    came back and may be sold again); write off (all came back and may not). Capital letters do not matter. An order
    with another word is not understood, and said so. Default none: no status column, every row reserves."""

    lines: str = ""
    """Of JSON: where in an order its list of lines is, e.g. `items`. Default: each row is a line."""

    version: Literal["changed_at", "name", "arrival"] = "changed_at"
    """What tells the newer of two files about one order. changed_at: its column. name: the file names, numbers in them
    counted. arrival: the one that came later; a file that is late then brings back old state. Default changed_at."""

    time_format: str = "iso"
    """How times are written: iso, unix (seconds), or as Python's strptime has it. Default iso."""

    time_zone: str = "UTC"
    """The zone of times that name none. Default UTC."""

    heartbeat_s: Annotated[Seconds | None, Field(examples=[900])] = None
    """A file comes at least so often, if only an empty one. After a longer silence orders count as read up to the last
    file only, and nothing that is held for an unseen order is given up. Default none: no file means no order."""

    done: Text = "done"
    """The sub-folder that files are moved to when they are taken. It is also where orders are read from by their ids,
    so leave in it what is not settled yet. Default done."""

    refused: Text = "refused"
    """The sub-folder for files that cannot be read at all, each with its reason beside it. Default refused."""

    per_page: Annotated[int, Field(strict=True, ge=1, le=1_000)] = 200
    """Orders handed on at once. Default 200."""

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ValueError, OSError, KeyError):
            raise ValueError(f"{zone} is no time zone that is known here; Europe/Berlin is") from None
        return zone

    @field_validator("statuses")
    @classmethod
    def _words_alike(cls, statuses: dict[str, Happens]) -> dict[str, Happens]:
        plain = {word.strip().casefold(): meaning for word, meaning in statuses.items()}
        if len(plain) != len(statuses):
            raise ValueError("two status words differ in capital letters only")
        return plain

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.version == "changed_at" and self.columns.changed_at is None:
            raise ValueError('map `changed_at`, or choose version = "name" or "arrival"')
        told = self.columns.status is not None or self.columns.line_status is not None
        if told != bool(self.statuses):
            raise ValueError("`statuses` and a status column go together")
        if self.lines and self.format == "csv":
            raise ValueError("`lines` is for JSON; in CSV each row is a line")
        if self.time_format not in ("iso", "unix"):
            datetime(2000, 1, 1).strftime(self.time_format)  # noqa: DTZ001 - only whether the format can be used
        return self


class ListingColumns(BaseModel):
    """Which column holds what."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    sku: Column
    """The SKU."""
    listing: Column | None = None
    """The other system's own number of the listing. Without it the SKU is the listing."""
    title: Column | None = None
    """For people."""
    barcode: Column | None = None
    """GTIN, EAN or UPC."""
    number: Column | None = None
    """The number that it shows."""
    state: Column | None = None
    """A word that `states` explains."""


class ListingsIn(Incoming):
    """Listings: all that the other system offers, whole in one file; the newest file counts."""

    columns: ListingColumns
    """Which column holds what."""

    states: dict[str, Literal["active", "inactive", "ended"]] = {}
    """What each word of the state column means. Another word counts as inactive, the word as its reason. Default
    none."""

    @field_validator("states")
    @classmethod
    def _words_alike(cls, states: dict[str, str]) -> dict[str, str]:
        return {word.strip().casefold(): meaning for word, meaning in states.items()}


class NumberColumns(BaseModel):
    """Which column holds what."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    key: Column
    """The listing: the other system's own number of it, or the SKU, as in `listings`."""
    number: Column
    """What it shows. Empty: nothing is counted."""
    location: Column | None = None
    """The other system's name of a location, where it keeps a number for each."""
    committed: Column | None = None
    """Units in the other system's own open orders."""


class NumbersIn(Incoming):
    """Numbers: what the other system shows, whole in one file; the newest file counts."""

    columns: NumberColumns
    """Which column holds what."""


class QuantityColumns(BaseModel):
    """What a row of ours says, in this order, under which heading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    listing: Column | None = None
    """The listing."""
    sku: Column | None = None
    """The SKU, as `listings` tells it."""
    location: Column | None = None
    """The location."""
    title: Column | None = None
    """The title, as `listings` tells it."""
    units: Column
    """The number to show."""
    file: Column | None = None
    """The number of the file."""
    at: Column | None = None
    """When it was written."""

    @model_validator(mode="after")
    def _says_whose(self) -> Self:
        if self.listing is None and self.sku is None:
            raise ValueError("map `sku` or `listing`, or nobody knows whose number it is")
        return self


class QuantitiesOut(Section):
    """Quantities: what we write."""

    columns: QuantityColumns
    """What a row says, under which heading."""

    name: Annotated[str, Field(pattern=r"^[^./\\\x00][^/\\\x00]*\{number\}[^/\\\x00]*$")] = "quantities-{number}.csv"
    """The files' names; `{number}` is a number of ten digits that rises with each. Default
    `quantities-{number}.csv`."""

    content: Literal["changes", "all"] = "changes"
    """changes: a file holds what changes. all: every number that was told so far, for systems that take what is missing
    as ended. Default changes."""

    rows_per_file: Rows = 500
    """Changes that go in one file. Default 500."""

    constants: dict[str, str] = {}
    """Columns that say the same in every row. Default none."""

    formulas: Literal["refuse", "write"] = "refuse"
    """What becomes of an id or a SKU that a spreadsheet would run as a formula (it begins with = + - @ or a tab).
    refuse: that update is refused, with the reason. write: as it is. A title gets an apostrophe instead. Default
    refuse."""

    method: Literal["POST", "PUT"] = "POST"
    """Over HTTP: how they are sent. Default POST."""


class AcknowledgementColumns(BaseModel):
    """Which column holds what."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    status: Column
    """A word: one of `accepted` or of `refused`."""
    key: Column | None = None
    """The listing or SKU as our file named it. Without it a row is about a whole file."""
    location: Column | None = None
    """The location, where our file named one."""
    file: Column | None = None
    """The number or the name of our file. Without it the newest file with that key is meant."""
    reason: Column | None = None
    """Why it was refused."""

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if self.key is None and self.file is None:
            raise ValueError("map `key` or `file`, or nobody knows what was acknowledged")
        return self


class AcknowledgementsIn(Incoming):
    """Acknowledgements: what became of our files; over HTTP the answer to each."""

    columns: AcknowledgementColumns
    """Which column holds what."""

    accepted: tuple[str, ...] = ("ok", "accepted")
    """Words for a number that was taken. Default ok, accepted. Capital letters do not matter; any word that is neither
    of these nor of `refused` leaves the outcome unknown."""

    refused: tuple[str, ...] = ("error", "refused")
    """Words for a number that was not. Default error, refused."""

    wait_s: Seconds = 20
    """How long a push waits for its acknowledgement; after that the outcome is unknown until it comes. Default 20."""

    done: Text = "done"
    """The sub-folder that they are moved to. Default done."""

    unreadable: Text = "refused"
    """The sub-folder for those that cannot be read. Default refused."""
