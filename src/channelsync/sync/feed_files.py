"""One file of a feed: what is declared of it, its import as a run of its own, and the report of it.

The run, what the file changes and the note that it is finished are one transaction. So whoever died in between finds
the file not finished and takes it again, and one that is finished is never imported again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal

import structlog
from sqlalchemy import Connection

from channelsync.domain.errors import DomainError
from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.ledger import joined
from channelsync.store import feed_files, findings, runs
from channelsync.store.database_errors import DatabaseError
from channelsync.store.feed_files import IMPORTED, REFUSED, REPEATED, FeedFile
from channelsync.sync.agent import Agent
from channelsync.sync.guard import Guarded, guard_run
from channelsync.sync.listings_apply import book_waiting
from channelsync.sync.run_ids import new_run_id
from channelsync.sync.stock import By, happened
from channelsync.sync.stock_import import BY_CONFIGURATION, BadRows, How, Imported, import_rows
from channelsync.sync.stock_import_file import BadFile, FileOfRows, Layout, read_file
from channelsync.sync.stock_import_rows import BadRow, Basis, Declared

log = structlog.get_logger(__name__)

Kind = Literal["folder", "sftp", "http"]
AsOf = Literal["column", "name", "modified", "received", "request"]

REFUSED_ROWS_TOLD = 1_000
"""Refused rows that a report names; it says how many there are in all."""

KEPT_FOR = timedelta(days=90)
"""How long a finished file is remembered, and with it the caller's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSetup:
    """One feed: another system that tells numbers, or goods that arrived.

    basis: what its numbers are; see `Declared`. layout: how its files are written. as_of: which moment they speak of:
    column, each row says it; name, the file's name, read as `name_time` says; modified, when the file was last
    changed; received, when it came; request, a parameter of the HTTP request. orders_behind: so much older are the
    orders that the numbers know of; None: they are as new as the numbers. zone: of times that name none.
    location, currency: where a row names none. every: between two looks at its place. expected_every: a good file
    comes at least so often; None: it need not. stable: a file is whole when it has not changed for so long; None:
    files are renamed when they are whole.
    """

    name: str
    kind: Kind
    basis: Basis
    layout: Layout = field(default_factory=Layout)
    pattern: str = "*"
    as_of: AsOf = "column"
    name_time: str = ""
    orders_behind: timedelta | None = None
    zone: tzinfo = UTC
    location: str = ""
    currency: str = ""
    create_items: bool = False
    skip_bad_rows: bool = False
    every: timedelta = timedelta(minutes=1)
    expected_every: timedelta | None = None
    stable: timedelta | None = None
    bytes_max: int = 50_000_000

    @property
    def actor(self) -> str:
        """As runs and ledger entries name it."""
        return f"feed {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A file that came. key: see `FeedFile`. problem: why it cannot be read at all; empty: it can.

    received_at: when it was taken. modified: its time of change. as_of, orders_up_to: as the request said. own_key:
    the caller's key for it, by which the same content told again is another file; empty: content tells files apart.
    """

    key: str
    name: str
    content: bytes = field(repr=False)
    received_at: datetime
    modified: datetime | None = None
    as_of: datetime | None = None
    orders_up_to: datetime | None = None
    own_key: str = ""
    problem: str = ""

    @property
    def digest(self) -> str:
        """See `digest_of`."""
        return digest_of(self.content, self.as_of, self.orders_up_to)


def digest_of(content: bytes, as_of: datetime | None, orders_up_to: datetime | None) -> str:
    """What tells a file's content, and what the request said of it, from every other.

    Where the request said nothing it is the digest of the content alone.
    """
    said = joined((as_of or "", orders_up_to or "")) if as_of or orders_up_to else b""
    return hashlib.sha256(said + content).hexdigest()


class KeyUsedBefore(DomainError):
    """A caller's key came again with another content; nothing was changed."""


async def take_file(agent: Agent, feed: FeedSetup, file: Came) -> FeedFile:
    """Imports a file, or says why not; one that is finished already is only told again.

    Raises KeyUsedBefore, and DatabaseError: then nothing is known of the file, and it is to be taken again.
    """
    known = await agent.database.query(lambda c: feed_files.find_file(c, feed.name, file.key))
    if known is not None and known.digest != file.digest:
        raise KeyUsedBefore(
            f"The key {file.key!r} was used for another file (run {known.run}); nothing was changed. Give every file a "
            "key of its own, and send a file again only as it was."
        )
    if known is not None and known.outcome != REFUSED:
        return known
    taking = _Taking(agent, feed, file, new_run_id(agent.clock.now()))
    try:
        done = await taking.imported()
    except DatabaseError:
        raise
    except DomainError as error:
        return await taking.refused(str(error), error.bad if isinstance(error, BadRows) else ())
    except Exception as error:
        log.exception("feed.failed", feed=feed.name, file=file.name)
        return await taking.refused(f"channelsync met a case it does not know ({type(error).__name__}); report it.")
    return done


def declared_of(feed: FeedSetup, file: Came) -> Declared:
    """What holds for the whole file, by the rule of its feed. Raises BadFile where the rule finds nothing."""
    as_of = {
        "column": None,
        "name": _time_in_name(feed, file.name) if feed.as_of == "name" else None,
        "modified": file.modified,
        "received": file.received_at,
        "request": file.as_of,
    }[feed.as_of]
    if as_of is None and feed.as_of in ("modified", "request"):
        raise BadFile(f"{file.name}: nothing says as of when its numbers are ({feed.as_of}).")
    up_to = file.orders_up_to if feed.as_of == "request" else None
    if up_to is None and as_of is not None and feed.orders_behind is not None:
        up_to = as_of - feed.orders_behind
    return Declared(
        basis=feed.basis,
        as_of=as_of,
        orders_up_to=up_to,
        location=feed.location,
        currency=feed.currency,
        zone=feed.zone,
    )


def _time_in_name(feed: FeedSetup, name: str) -> datetime:
    try:
        at = datetime.strptime(name, feed.name_time)  # noqa: DTZ007 - the zone follows
    except ValueError as error:
        raise BadFile(f"{name}: its name has no time as {feed.name_time} says. Correct `name_time`.") from error
    return at if at.tzinfo else at.replace(tzinfo=feed.zone)


@dataclass(slots=True)
class _Taking:
    """One file on its way in."""

    agent: Agent
    feed: FeedSetup
    file: Came
    run: str
    rows: int = 0

    async def imported(self) -> FeedFile:
        feed, file, agent = self.feed, self.file, self.agent
        if file.problem:
            raise BadFile(f"{file.name}: {file.problem}.")
        read = await asyncio.to_thread(read_file, file.name, file.content, layout=feed.layout)
        self.rows = len(read.rows)
        declared = declared_of(feed, file)
        by = By(actor=feed.actor, run=self.run, now=agent.clock.now(), reason=file.name, key=file.own_key)
        for told in (declared.as_of, declared.orders_up_to):
            happened(told, by)
        how = How(
            declared=declared,
            create_items=feed.create_items,
            skip_bad_rows=feed.skip_bad_rows,
            wished=BY_CONFIGURATION,
        )
        done, result = await agent.database.transact(lambda c: self._unit(c, by, read, how))
        if done.new_items:
            await book_waiting(agent, (), new_items=True)
        agent.wake_publishers()
        log.info("feed.imported", feed=feed.name, file=file.name, outcome=result.outcome, rows=done.rows)
        return result

    def _unit(self, connection: Connection, by: By, read: FileOfRows, how: How) -> tuple[Imported, FeedFile]:
        self._begin(connection, by.now)
        touched: set[str] = set()
        done = import_rows(connection, self.agent.setup, by, read, how, touched)
        guarded = Guarded(run=self.run, now=by.now, items=touched, relative=how.declared.moves)
        held = guard_run(connection, self.agent.setup, self.agent.measures, guarded)
        runs.end_run(connection, self.run, "done", by.now)
        if done.repeated:
            meanwhile = feed_files.find_file(connection, self.feed.name, self.file.key)
            if meanwhile is not None and meanwhile.outcome != REFUSED:
                return done, meanwhile  # by another worker
        outcome = REPEATED if done.repeated else IMPORTED
        told = {
            "rows": done.rows,
            "entries": done.entries,
            "unchanged": done.unchanged,
            "new_items": done.new_items,
            "oversold": [
                {"sku": sku, "location": where, "available": available} for sku, where, available in done.oversold
            ],
            **_bad_rows(done.bad),
            "held": [{"channel": one.channel, "plan": one.id, "reasons": list(one.reasons)} for one in held],
            "repeats_run": done.repeated or None,
            "last_line_ends": not read.no_line_end,
        }
        result = self._finished(outcome, done.rows, told, by.now)
        feed_files.save_file(connection, result)
        self._judge(connection, done.bad, by.now)
        return done, result

    def _begin(self, connection: Connection, now: datetime) -> None:
        arguments = {"feed": self.feed.name, "file": self.file.name}
        runs.begin_run(connection, self.run, f"feed {self.feed.name}", self.feed.actor, arguments, now)

    def _judge(self, connection: Connection, bad: Sequence[BadRow], now: datetime) -> None:
        """A file without a bad row closes what an earlier one opened; one with some opens it."""
        if bad:
            first = bad[0]
            why = f"{len(bad)} of its {self.rows} rows were left out; the first is row {first.row}: {first.reason}"
            self._open(connection, why, now)
            return
        name = fingerprint(FindingKind.FEED_REFUSED, self.feed.name)
        late = fingerprint(FindingKind.FEED_LATE, self.feed.name)
        findings.close_findings(connection, [name, late], f"{self.file.name} was imported", now)

    def _open(self, connection: Connection, why: str, now: datetime) -> None:
        finding = Finding(
            kind=FindingKind.FEED_REFUSED,
            subject=(self.feed.name,),
            summary=f"Feed {self.feed.name}: {self.file.name}: {why}. Let the other system send it again, mended; "
            "`channelsync feeds list` shows the last file of each feed.",
            evidence={"feed": self.feed.name, "file": self.file.name, "run": self.run},
        )
        findings.open_findings(connection, [finding], now)

    async def refused(self, why: str, bad: Sequence[BadRow] = ()) -> FeedFile:
        """Says that nothing of the file was imported, and why."""
        now = self.agent.clock.now()
        result = self._finished(REFUSED, self.rows, {"message": why, "rows": self.rows, **_bad_rows(bad)}, now)

        def unit(connection: Connection) -> None:
            self._begin(connection, now)
            runs.end_run(connection, self.run, "refused", now)
            feed_files.save_file(connection, result)
            self._open(connection, why.removeprefix(f"{self.file.name}: ").rstrip("."), now)

        await self.agent.database.transact(unit)
        log.warning("feed.refused", feed=self.feed.name, file=self.file.name, reason=why)
        return result

    def _finished(self, outcome: str, rows: int, told: dict[str, Any], now: datetime) -> FeedFile:
        head = {"feed": self.feed.name, "file": self.file.name, "outcome": outcome, "run": self.run}
        head["at"] = now.isoformat()
        return FeedFile(
            feed=self.feed.name,
            key=self.file.key,
            name=self.file.name,
            digest=self.file.digest,
            outcome=outcome,
            run=self.run,
            rows=rows,
            report={**head, **told},
            at=now,
        )


def _bad_rows(bad: Sequence[BadRow]) -> dict[str, Any]:
    return {
        "refused": len(bad),
        "refused_rows": [{"row": one.row, "sku": one.sku, "reason": one.reason} for one in bad[:REFUSED_ROWS_TOLD]],
    }


async def prune_feed_files(agent: Agent) -> int:
    """Forgets files that were finished long ago; returns how many."""
    before = agent.clock.now() - KEPT_FOR
    return await agent.database.transact(lambda c: feed_files.prune_files(c, before))
