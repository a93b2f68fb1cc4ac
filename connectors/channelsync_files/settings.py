"""[channel.settings] of a place for files, and what they say about the other system: capabilities and budget."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from channelsync.sdk.channel import Capabilities, Moves, QuantityMeaning, ZeroPolicy
from channelsync.sdk.files.sftp import SftpServer
from channelsync.sdk.http import Timeouts
from channelsync.sdk.limiter import Budget
from channelsync.sdk.values import Applies, Deducts, GivesBack, NumberBehaviour, Timing
from channelsync_files.sections_numbers import AcknowledgementsIn, ListingsIn, NumbersIn, QuantitiesOut
from channelsync_files.sections_orders import OrdersIn

READS_PER_CALL = 1_000
"""A read opens the one file that holds all numbers, so it may as well be asked for many."""

Count = Annotated[int, Field(strict=True, ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Source = Literal["snapshot", "acknowledgement", "written"]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class FilesSettings(BaseModel):
    """Where the files are, what is in them, and how the other system behaves."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    place: Annotated[str, Field(min_length=1, examples=["/srv/till", "sftp://files.example/channelsync"])]
    """A folder of this machine (absolute), sftp://host[:port]/folder or https://host/path. Without name and password:
    they have settings of their own. On an SFTP server a folder is below the one in which we begin; with two slashes
    (sftp://host//srv/x) it is not."""

    account: Annotated[str | None, Field(min_length=1, examples=["till-high-street"])] = None
    """Whose files these are. Two channels of one account share its numbers. Default: the place."""

    username: Annotated[str | None, Field(min_length=1, examples=["channelsync"])] = None
    """SFTP and HTTP with a password: who we are. Default none."""

    password: Annotated[Secret | None, Field(examples=[{"env": "TILL_PASSWORD"}])] = None
    """SFTP and HTTP (basic): the password of `username`. Default none."""

    token: Annotated[Secret | None, Field(examples=[{"env": "TILL_TOKEN"}])] = None
    """HTTP: a bearer token. Default none."""

    private_key: Annotated[Secret | None, Field(examples=[{"file": "/run/secrets/till_key"}])] = None
    """SFTP: our private key, as OpenSSH writes it. Default none."""

    passphrase: Annotated[Secret | None, Field(examples=[{"env": "TILL_KEY_PASSPHRASE"}])] = None
    """SFTP: what `private_key` is locked with. Default none."""

    host_keys: Annotated[tuple[str, ...], Field(examples=[["ssh-ed25519 AAAA..."]])] = ()
    """SFTP: the server's public keys, as `ssh-keyscan HOST` prints them, without the host's name. Get them from who
    runs the server. Needed: a server with another key is not talked to."""

    allow_plain_http: bool = False
    """Whether secrets and orders may go over http:// to another machine, readable on the way. Default false."""

    orders: OrdersIn | None = None
    """Orders that come in. Default none: the other system sells nothing, or tells nothing of it."""

    listings: ListingsIn | None = None
    """What the other system offers. Default none: what `numbers` names."""

    numbers: NumbersIn | None = None
    """The numbers that it shows. Default none: the `number` column of `listings`, or what it acknowledged, or what was
    written."""

    quantities: QuantitiesOut | None = None
    """The numbers that we write. Default none: nothing is written."""

    acknowledgements: AcknowledgementsIn | None = None
    """What became of the files that we wrote. Default none: what is written counts as accepted."""

    meaning: QuantityMeaning = "available"
    """What its number is. available: units a buyer may buy. physical: also those in its own open orders. Default
    available."""

    deducts: Deducts = Deducts.AT_ORDER
    """When a sale lowers its number by itself: at order, as told (the orders' column `deducted_at`), at shipment,
    never. Default "at order". Counts only where its numbers can be read."""

    gives_back: frozenset[GivesBack] = frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT})
    """What raises it again by itself: on cancel, on edit, on restock. Default the first two."""

    moves: Moves = "own"
    """Which numbers a sold bundle moves: own, components, both. Default own."""

    zero: ZeroPolicy = "shows 0"
    """What 0 does to a listing: shows 0, deactivates, ends. Default "shows 0"."""

    applies: Applies = Applies.ANY_ORDER
    """When our files come into force: at once, in order, any order. Default "any order": nothing is relied on."""

    grace_s: Seconds = 7_200
    """Seconds within which a written number shows, or is lost: its import, and the next file of numbers. Default
    7200."""

    staleness_s: Seconds = 3_900
    """Seconds that a file of numbers may be behind: the time between two of them and what one takes. From an older one
    nothing is read. Default 3900."""

    skew_s: Seconds = 60
    """Seconds that the other system's clock may be off, either way. Default 60."""

    never_negative: bool = True
    """Its numbers stop at 0. Default true."""

    cap: Annotated[Count | None, Field(examples=[999])] = None
    """The largest number it shows. Default none."""

    order_visibility_s: Seconds = 3_600
    """Seconds within which an order is in a file: the time between two exports and what one takes. Default 3600."""

    order_overlap_s: Seconds = 3_600
    """Over HTTP: seconds that each search goes back, because changes are not found in their order. Default 3600. A
    folder needs none: each file is taken whenever it comes."""

    pending_limit_s: Annotated[Seconds | None, Field(examples=[172_800])] = 604_800
    """Seconds after which an order that waits for payment holds no units any more. Default 604800: seven days."""

    unique_skus: bool = False
    """No two listings have one SKU. Default false."""

    file_bytes_max: Count = 50_000_000
    """A file that is larger is not read. Default 50000000."""

    calls_per_second: Annotated[float, Field(gt=0)] = 2
    """Requests a second that the other system can take, over HTTP. Default 2."""

    @field_validator("place")
    @classmethod
    def _is_a_place(cls, place: str) -> str:
        parts = urlsplit(place)
        if parts.scheme in ("sftp", "https", "http"):
            if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
                raise ValueError("a place has a host, and no name, password or question mark")
            return place.rstrip("/")
        if "://" in place or not Path(place).is_absolute():
            raise ValueError("a place is an absolute folder, sftp://host/folder or https://host/path")
        return place

    @property
    def kind(self) -> Literal["folder", "sftp", "http"]:
        """What the place is."""
        scheme = urlsplit(self.place).scheme
        if scheme == "sftp":
            return "sftp"
        return "http" if scheme in ("https", "http") else "folder"

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
            bytes_max=self.file_bytes_max,
        )

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """All that must not be shown."""
        return tuple(one for one in (self.password, self.token, self.private_key, self.passphrase) if one is not None)

    @property
    def source(self) -> Source:
        """Where the number that a listing shows is known from."""
        if self.numbers is not None or (self.listings is not None and self.listings.columns.number is not None):
            return "snapshot"
        return "written" if self.acknowledgements is None else "acknowledgement"

    @property
    def identity(self) -> str:
        """The account's name."""
        return self.account or self.place

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.orders is None and self.quantities is None:
            raise ValueError("set `orders`, `quantities` or both: there is nothing to do")
        if self.quantities is not None and self.listings is None and self.numbers is None:
            raise ValueError("`quantities` needs `listings` or `numbers`, to know what the other system offers")
        if self.acknowledgements is not None and self.quantities is None:
            raise ValueError("`acknowledgements` are of `quantities`, which are not set")
        if self.meaning == "physical" and self.source != "snapshot":
            raise ValueError('meaning = "physical" needs a file of numbers to read')
        if self.meaning == "physical" and self.cap is not None:
            raise ValueError('meaning = "physical" does not go with `cap`: what is cut off looks sold')
        told = self.orders is not None and self.orders.columns.deducted_at is not None
        if told != (self.deducts is Deducts.AS_TOLD):
            raise ValueError('deducts = "as told" and a column `deducted_at` of the orders go together')
        paths = [one.path for one in (self.orders, self.listings, self.numbers, self.quantities) if one is not None]
        paths += [self.acknowledgements.path] if self.acknowledgements is not None and self.kind != "http" else []
        if len(set(paths)) != len(paths):
            raise ValueError("each section has a path of its own")
        return self

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.kind == "sftp":
            if not self.host_keys:
                raise ValueError("set `host_keys`: without the server's key anybody could take its place")
            if self.username is None or (self.password is None and self.private_key is None):
                raise ValueError("SFTP needs `username`, and `password` or `private_key`")
        if self.kind == "http":
            self._check_http()
        return self

    def _check_http(self) -> None:
        parts = urlsplit(self.place)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.allow_plain_http:
            raise ValueError("use https://, or set allow_plain_http: what goes over http:// can be read on the way")
        if self.token is not None and self.password is not None:
            raise ValueError("set `token` or `password`, not both")
        if (self.username is None) != (self.password is None):
            raise ValueError("over HTTP `username` and `password` go together")
        if self.quantities is not None and self.source != "snapshot":
            raise ValueError("over HTTP `numbers`, or a number in `listings`, must say what is shown")
        if self.quantities is not None and self.quantities.content == "all":
            raise ValueError('over HTTP only content = "changes" is sent')
        if self.orders is not None and (self.orders.version != "changed_at" or self.orders.heartbeat_s is not None):
            raise ValueError('over HTTP orders need version = "changed_at", and have no heartbeat')


def capabilities(settings: FilesSettings) -> Capabilities:
    """The other system that these settings tell of.

    Where its numbers cannot be read, a read tells what it acknowledged or what was written: that number follows no
    order by itself, is never behind, and stands below 0 until the first number was told.
    """
    readable = settings.source == "snapshot"
    behaviour = NumberBehaviour(settings.deducts, settings.gives_back)
    committed = settings.numbers is not None and settings.numbers.columns.committed is not None
    request = Timeouts().total if settings.kind == "http" else 0
    waits = 0 if settings.acknowledgements is None else settings.acknowledgements.wait_s
    return Capabilities(
        updates_per_push=1 if settings.quantities is None else settings.quantities.rows_per_file,
        reads_per_call=READS_PER_CALL,
        meaning=settings.meaning,
        committed_readable=committed,
        zero=settings.zero,
        behaviour=behaviour if readable else NumberBehaviour(Deducts.NEVER, frozenset()),
        moves=settings.moves,
        timing=Timing(
            staleness=timedelta(seconds=settings.staleness_s if readable else 0),
            skew=timedelta(seconds=settings.skew_s),
            # Counted from the sending where no answer came, so the wait for one must fit in.
            grace=timedelta(seconds=settings.grace_s + request + waits),
            applies=settings.applies,
            never_negative=settings.never_negative and readable,
            cap=settings.cap,
        ),
        order_visibility=timedelta(seconds=settings.order_visibility_s),
        order_overlap=timedelta(seconds=settings.order_overlap_s if settings.kind == "http" else 0),
        pending_limit=None if settings.pending_limit_s is None else timedelta(seconds=settings.pending_limit_s),
        unique_skus=settings.unique_skus,
    )


def budgets(settings: FilesSettings) -> tuple[Budget, ...]:
    """Requests over HTTP; a folder has all it wants."""
    rate = settings.calls_per_second if settings.kind == "http" else 1_000
    return (Budget("calls", capacity=max(10.0, 10 * rate), per_second=rate),)
