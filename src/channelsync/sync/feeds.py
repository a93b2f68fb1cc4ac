"""Folders of feeds, of this machine or of an SFTP server: which files are whole, and the way of each through them.

    (the folder) -> taking/ -> done/ or refused/

A file that is whole is renamed into `taking`, under a name that begins with the moment of taking: that is its key.
Then it is imported, then its report is put beside the place that it goes to, then it goes there. Whoever was stopped
in between finds it in `taking` and goes on from what the database says of it: nothing is imported twice or lost, and
nothing is ever deleted.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import orjson
import structlog
from sqlalchemy import Connection

from channelsync.domain.findings import Finding, FindingKind
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.files.place import Entry, NoSuchFile, Place, TooLarge
from channelsync.store import feed_files, findings
from channelsync.store.feed_files import REFUSED, FeedFile
from channelsync.sync.agent import Agent
from channelsync.sync.feed_files import Came, FeedSetup, KeyUsedBefore, take_file

log = structlog.get_logger(__name__)

HERE, TAKING, DONE, REFUSED_FILES = ".", "taking", "done", "refused"
REPORT = ".report.json"
"""What the name of a file's report adds to that of the file."""

FILES_AT_ONCE = 100
"""Files that one look takes; the rest waits for the next."""

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_STAMP_LENGTH = len("20260301T090000.000000Z")
_NAME_BYTES_MAX = 150
_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Looked:
    """What one look came to. taken: files that are finished, refused ones too. waiting: files that are not whole."""

    taken: list[FeedFile] = field(default_factory=list)
    waiting: int = 0

    def __str__(self) -> str:
        refused = sum(one.outcome == REFUSED for one in self.taken)
        words = [f"{len(self.taken) - refused} files taken"] if len(self.taken) > refused else []
        words += [f"{refused} refused"] if refused else []
        words += [f"{self.waiting} not whole yet"] if self.waiting else []
        return ", ".join(words)


Seen = dict[str, tuple[Entry, float]]
"""Files that were there at the last look, by name: as they were, and since when they have been so."""


class FolderFeed:
    """The folder of one feed. place: the folder itself. seen: what an earlier look at it saw, and what this one will
    have seen."""

    def __init__(self, agent: Agent, feed: FeedSetup, place: Place, seen: Seen | None = None) -> None:
        self._agent, self._feed, self._place = agent, feed, place
        self._prepared = False
        self._seen: Seen = {} if seen is None else seen
        self._last: datetime | None = None
        self._passed: NeedsSeller | KeyUsedBefore | None = None

    async def look(self) -> Looked:
        """Takes what is whole, the oldest first; goes on first with what was begun. Raises what the place raises.

        A file that only somebody else can set right (it must not be read, or was changed after it was imported) holds
        up no other; what it raises is raised in the end.
        """
        if not self._prepared:
            await self._place.entries(HERE)  # whose absence is for the seller to mend; the others are ours to make
            for folder in (TAKING, DONE, REFUSED_FILES):
                await self._place.make(folder)
            self._prepared = True
        looked, self._passed = Looked(), None
        for entry in sorted(await self._place.entries(TAKING), key=lambda one: one.name):
            await self._finish_or_pass(entry, looked)
        whole = await self._whole(looked)
        for entry in whole[:FILES_AT_ONCE]:
            if self._agent.stopping:
                break
            name = f"{self._stamp()}.{entry.name.encode()[-_NAME_BYTES_MAX:].decode(errors='ignore')}"
            with contextlib.suppress(NoSuchFile):  # somebody else took it
                await self._place.move(HERE, entry.name, TAKING, name)
                await self._finish_or_pass(Entry(name, entry.size, entry.modified), looked)
        if self._passed is not None:
            raise self._passed
        return looked

    async def _whole(self, looked: Looked) -> list[Entry]:
        """The files that are whole. One that is written in place is, when it did not change between two looks."""
        mine = [one for one in await self._place.entries(HERE) if fnmatchcase(one.name, self._feed.pattern)]
        if self._feed.stable is None:
            return mine
        now, before = self._agent.clock.monotonic(), dict(self._seen)
        self._seen.clear()
        for one in mine:
            known = before.get(one.name)
            self._seen[one.name] = known if known is not None and known[0] == one else (one, now)
        rest = self._feed.stable.total_seconds()
        whole = [one for one in mine if now - self._seen[one.name][1] >= rest]
        looked.waiting = len(mine) - len(whole)
        return whole

    async def _finish_or_pass(self, entry: Entry, looked: Looked) -> None:
        try:
            await self._finish(entry, looked)
        except (NeedsSeller, KeyUsedBefore) as error:
            log.warning("feed.file_left", feed=self._feed.name, file=entry.name, reason=str(error))
            self._passed = self._passed or error

    async def _finish(self, entry: Entry, looked: Looked) -> None:
        """A file in `taking`: imported, unless it was; then its report; then away."""
        at = _taken_at(entry.name)
        if at is None:
            log.warning("feed.unknown_file", feed=self._feed.name, file=entry.name)
            return
        try:
            content, problem = await self._place.fetch(TAKING, entry.name), ""
        except TooLarge as error:
            content, problem = b"", str(error)
        except NoSuchFile:
            return  # another worker has finished it
        came = Came(
            key=entry.name,
            name=entry.name[_STAMP_LENGTH + 1 :],
            content=content,
            received_at=at,
            modified=entry.modified,
            problem=problem,
        )
        done = await take_file(self._agent, self._feed, came)
        folder = REFUSED_FILES if done.outcome == REFUSED else DONE
        await self._place.put(folder, entry.name + REPORT, report_of(done))
        with contextlib.suppress(NoSuchFile):
            await self._place.move(TAKING, entry.name, folder, entry.name)
        looked.taken.append(done)

    def _stamp(self) -> str:
        """Now, and later than the stamp before."""
        now = self._agent.clock.now()
        self._last = now if self._last is None or now > self._last else self._last + _TICK
        return self._last.astimezone(UTC).strftime(_STAMP)


def _taken_at(name: str) -> datetime | None:
    try:
        return datetime.strptime(name[:_STAMP_LENGTH], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def report_of(file: FeedFile) -> bytes:
    """The report of a finished file, as it lies beside it and as HTTP answers with it."""
    return orjson.dumps(file.report, option=orjson.OPT_INDENT_2) + b"\n"


async def check_late(agent: Agent, feed: FeedSetup, since: datetime) -> bool:
    """Whether no good file came for longer than is expected; then a finding is open. A good file closes it.

    since: when somebody began to wait, for a feed that never had one.
    """
    if feed.expected_every is None:
        return False
    expected, now = feed.expected_every, agent.clock.now()
    last = await agent.database.query(lambda c: feed_files.last_good_at(c, feed.name))
    waited_from = last or since
    if now - waited_from <= expected:
        return False
    when = f"since {waited_from:%Y-%m-%d %H:%M} UTC" if last else "yet"
    finding = Finding(
        kind=FindingKind.FEED_LATE,
        subject=(feed.name,),
        summary=f"Feed {feed.name}: no good file came {when}; one is expected every {expected}. What its numbers say "
        "grows old, and what was sold meanwhile is taken off them. See to the system that sends them.",
        evidence={"feed": feed.name, "last": last},
    )

    def unit(connection: Connection) -> None:
        findings.open_findings(connection, [finding], now)

    await agent.database.transact(unit)
    return True
