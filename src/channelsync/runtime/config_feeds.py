"""[[feed]]: other systems that tell what is there, or what arrived."""

from __future__ import annotations

import codecs
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from channelsync.runtime.config_rules import Group
from channelsync.runtime.config_values import Duration, Flag, Name, TimeZone
from channelsync.sdk.files.sftp import SftpServer
from channelsync.sync.feed_files import AsOf, FeedSetup, Kind
from channelsync.sync.stock_import_file import COLUMNS, Form, Layout

Secret = Annotated[SecretStr, Field(min_length=1)]


class FeedConfig(Group):
    """Another system, an ERP, a WMS or a till, that hands over files: numbers of units, or goods received. Each file
    is imported whole or not at all, as a run of its own that can be undone."""

    name: Annotated[Name, Field(examples=["erp"])]
    """Letters, digits, - and _. Stands in the ledger as `feed NAME`: never change it."""

    kind: Annotated[Kind, Field(examples=["folder"])]
    """folder: a folder of this machine. sftp: a folder on an SFTP server. http: files are sent to POST /feeds/NAME with
    a token of scope operate (`channelsync tokens create`)."""

    what: Literal["stock", "receipts"] = "stock"
    """stock: numbers of units. receipts: goods that arrived: SKU and units, and where they are known lot, unit_cost and
    reference. Default stock."""

    place: Annotated[str, Field(examples=["/srv/erp/out"])] = ""
    """folder: an absolute path. sftp: sftp://HOST[:PORT]/FOLDER; below the folder in which we begin, with two slashes
    (sftp://HOST//srv/x) not. Files go from there to `done` or `refused` below it, each with a report. Default none,
    for http."""

    username: Annotated[str | None, Field(min_length=1, examples=["channelsync"])] = None
    """sftp: who we are."""

    password: Annotated[Secret | None, Field(examples=[{"env": "ERP_PASSWORD"}])] = None
    """sftp: the password of `username`. { stored = "NAME" }, here and in the two below, takes a secret from the vault,
    where `channelsync secrets put` keeps it."""

    private_key: Annotated[Secret | None, Field(examples=[{"file": "/run/secrets/erp_key"}])] = None
    """sftp: our private key, as OpenSSH writes it."""

    passphrase: Annotated[Secret | None, Field(examples=[{"env": "ERP_KEY_PASSPHRASE"}])] = None
    """sftp: what `private_key` is locked with."""

    host_keys: Annotated[tuple[str, ...], Field(examples=[["ssh-ed25519 AAAA..."]])] = ()
    """sftp: the server's public keys, as `ssh-keyscan HOST` prints them, without the host's name. Get them from who
    runs the server. Needed for sftp."""

    basis: Annotated[Literal["physical", "available", "delta"] | None, Field(examples=["physical"])] = None
    """What numbers of stock are, needed for them. physical: units that are there. available: units that are there and
    not promised to orders. delta: changes of what is there."""

    as_of: AsOf = "column"
    """As of which moment numbers speak; what happens after it stays on top of them. column: each row says it (as_of).
    name: the file's name says it, as `name_time` tells. modified: when the file was last changed. received: when it
    was taken; right only where a file comes at once. request: over HTTP the parameter as_of. Default column; rows of
    delta and receipts need not say it."""

    name_time: Annotated[str, Field(examples=["stock-%Y%m%d-%H%M%S.csv"])] = ""
    """For as_of = "name": the file's whole name, its time as Python's strptime writes it."""

    orders_behind: Annotated[Duration | None, Field(examples=["15m"])] = None
    """How much older the orders are that the numbers know of: the other system hears of an order so late at most.
    Default none: they are as new as the numbers, or the rows say up to when (orders_counted_up_to)."""

    time_zone: TimeZone = "UTC"
    """Of times that name no zone. Default UTC."""

    location: Annotated[Name | None, Field(examples=["main"])] = None
    """The location where a row names none. Default none: each row names one."""

    currency: Annotated[str, Field(pattern="^([A-Z]{3})?$", examples=["EUR"])] = ""
    """Of costs, where a row names none. Default none."""

    create_items: Flag = False
    """true: a SKU that is unknown becomes an item. Default false: its row is refused, for it may be a typing error."""

    bad_rows: Literal["refuse", "skip"] = "refuse"
    """What follows from a row that cannot be believed. refuse: nothing of its file is imported. skip: the others are.
    Both open a finding, and the report names every such row. Default refuse."""

    pattern: Annotated[str | None, Field(min_length=1, examples=["stock-*.csv"])] = None
    """Which files in the folder are meant, with * and ?. Default `*.` and the format. Names that begin with a dot never
    are."""

    complete: Literal["renamed", "stable"] = "renamed"
    """How a file is known to be whole. renamed: it is written under a name that does not match and renamed. stable: it
    has not changed for `stable` between two of our looks. Default renamed: there is no guessing in it."""

    stable: Duration = timedelta(minutes=1)
    """For complete = "stable": how long. Default 1m."""

    every: Duration = timedelta(minutes=1)
    """Between two looks at the folder. Default 1m."""

    expected_every: Annotated[Duration | None, Field(examples=["1h"])] = None
    """A good file comes at least so often; after a longer silence there is a finding. Default none."""

    format: Form = "csv"
    """csv: a header and rows. jsonl: a JSON object a line. json: one list of objects. Default csv."""

    encoding: str = "utf-8"
    """How letters are written: utf-8, windows-1252 and so on. Default utf-8, with or without a byte order mark."""

    delimiter: Annotated[str, Field(max_length=1, examples=[";"])] = ""
    """Between the cells of a CSV row. Default: found out from the header."""

    columns: Annotated[dict[str, str], Field(examples=[{"sku": "Artikel", "units": "Bestand"}])] = Field(
        default_factory=dict
    )
    """By our names, what the file calls its columns; columns that are not named here are left out. Ours: sku, units,
    location, lot, unit_cost, currency, reference, reason, as_of, orders_counted_up_to. Default: the file has our
    names, and no others."""

    bytes_max: Annotated[int, Field(strict=True, ge=1_000, le=100_000_000)] = 50_000_000
    """A larger file is refused. Default 50000000."""

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            "".encode(encoding)  # a codec that is no text encoding fails here too
            return codecs.lookup(encoding).name
        except LookupError:
            raise ValueError("should be an encoding such as utf-8 or windows-1252") from None

    @field_validator("columns")
    @classmethod
    def _are_ours(cls, columns: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no column of ours; there are {', '.join(COLUMNS)}")
        if columns and not {"sku", "units"} <= columns.keys():
            raise ValueError("should name sku and units")
        return columns

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        parts = urlsplit(self.place)
        if self.kind == "http":
            if self.place:
                raise ValueError("over HTTP there is no `place`: files are sent to /feeds/ and its name")
        elif self.kind == "folder":
            if parts.scheme or not Path(self.place).is_absolute():
                raise ValueError("set `place` to an absolute folder")
        elif parts.scheme != "sftp" or not parts.hostname or parts.username or parts.password or parts.query:
            raise ValueError("set `place` to sftp://HOST/FOLDER, without name and password")
        elif not self.host_keys:
            raise ValueError("set `host_keys`: without the server's key anybody could take its place")
        elif self.username is None or (self.password is None and self.private_key is None):
            raise ValueError("set `username`, and `password` or `private_key`")
        return self

    @model_validator(mode="after")
    def _says_what_numbers_are(self) -> Self:
        if (self.what == "stock") != (self.basis is not None):
            raise ValueError('`basis` and what = "stock" go together: say what its numbers are')
        if (self.as_of == "name") != bool(self.name_time):
            raise ValueError('`name_time` and as_of = "name" go together')
        if self.as_of == "request" and self.kind != "http":
            raise ValueError('as_of = "request" is for kind = "http"')
        if self.as_of in ("name", "modified") and self.kind == "http":
            raise ValueError("over HTTP a file has no name and no time of change: choose column, received or request")
        if self.orders_behind is not None and self.as_of == "column":
            raise ValueError("`orders_behind` counts from a moment of the whole file: choose another `as_of`")
        return self

    @property
    def server(self) -> SftpServer:
        """The SFTP server of the place; of use only where it is one."""
        return SftpServer(
            address=self.place,
            username=self.username,
            password=self.password,
            private_key=self.private_key,
            passphrase=self.passphrase,
            host_keys=self.host_keys,
            bytes_max=self.bytes_max,
        )

    @property
    def setup(self) -> FeedSetup:
        """The feed as the use cases know it."""
        return FeedSetup(
            name=self.name,
            kind=self.kind,
            basis=self.basis or "receipt",
            layout=Layout(
                encoding="" if self.encoding == "utf-8" else self.encoding,
                form=self.format,
                delimiter=self.delimiter,
                columns=self.columns,
            ),
            pattern=self.pattern or f"*.{self.format}",
            as_of=self.as_of,
            name_time=self.name_time,
            orders_behind=self.orders_behind,
            zone=ZoneInfo(self.time_zone),
            location=self.location or "",
            currency=self.currency,
            create_items=self.create_items,
            skip_bad_rows=self.bad_rows == "skip",
            every=self.every,
            expected_every=self.expected_every,
            stable=self.stable if self.complete == "stable" else None,
            bytes_max=self.bytes_max,
        )
