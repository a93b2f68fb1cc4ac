"""[channel.settings.orders] of a place for files. See sections.py."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from channelsync_files.sections import Column, Incoming, Seconds, Text

Happens = Literal["reserve", "wait", "ship", "cancel", "return", "write off"]


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
    deducted_at: Column | None = None
    """When the other system took its units off its number; blank: not yet. Needed where `deducts` is "as told"."""
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

    statuses: dict[str, Happens] = Field(default_factory=dict)
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
