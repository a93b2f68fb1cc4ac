"""[channel.settings.*] of a place for files: listings, numbers, quantities and acknowledgements. See sections.py."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from channelsync_files.sections import Column, Incoming, Rows, Seconds, Section, Text


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

    states: dict[str, Literal["active", "inactive", "ended"]] = Field(default_factory=dict)
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

    constants: dict[str, str] = Field(default_factory=dict)
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
