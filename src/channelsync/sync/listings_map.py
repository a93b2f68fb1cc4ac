"""What a listing means: mapping it to an item, or taking the mapping back.

A key has one item and one multiple, so listings that share a key are mapped alike or not at all. A key whose meaning
changes starts anew: its next read only sets the watermark, and what it held provisionally is released, for the drop
that it was held for says nothing about the new item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.errors import BadListing
from channelsync.domain.ledger import Cause, EntryKind, Movement
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.sourcing import reachable
from channelsync.store import keys, ledger, listings, listings_view, provisionals, runs
from channelsync.store.listings import StoredListing
from channelsync.store.listings_view import MAPPING, Sharer
from channelsync.store.runs import Change
from channelsync.sync.guard import HeldPlan
from channelsync.sync.oversold import available_as_said, report_oversold
from channelsync.sync.setup import Setup
from channelsync.sync.take_over import end_movements

Name = tuple[str, str]
"""(channel, listing)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a listing is to mean: `multiple` base units of an item. item None: nothing any more."""

    channel: str
    listing: str
    item: str | None
    multiple: int = 1

    @property
    def name(self) -> Name:
        """Which listing."""
        return self.channel, self.listing


@dataclass(slots=True)
class Mapped:
    """What became of it. changed: listings whose meaning is another now. released: base units held provisionally that
    are free again. restarted: keys that start anew. alone: listings, not mapped, that share a key with a mapped one.
    shown: by key that starts anew, the number that it showed, as far as it was read: the guard compares with it.
    held: plans that wait for approval; filled in by whoever runs the guard.
    """

    changed: list[Name] = field(default_factory=list)
    released: int = 0
    restarted: list[int] = field(default_factory=list)
    alone: list[Name] = field(default_factory=list)
    shown: dict[int, int] = field(default_factory=dict)
    held: Sequence[HeldPlan] = ()


def map_listings(
    connection: Connection, setup: Setup, wanted: Sequence[Wanted], *, by: str, run: str, now: datetime
) -> Mapped:
    """Maps or unmaps listings in the caller's transaction; all of them or, with BadListing, none.

    by: who says so, for the reader. Orders that waited for a mapping are booked by `take_orders.book_unmapped`
    afterwards. Raises BadListing where a listing is not known, a multiple is below 1, or listings that share a key
    would mean different things. Saying what is so already changes nothing.
    """
    known = {name: one for one in _stored(connection, wanted) if (name := (one.channel, one.listing))}
    for one in wanted:
        _check(one, known.get(one.name))
    new = {one.name: one for one in wanted if _differs(one, known[one.name])}
    touched = sorted({key for name in new for key in known[name].keys})
    sharers = listings_view.listings_on_keys(connection, touched)
    meanings = _meanings(sharers, new)
    work = _Mapping(connection=connection, setup=setup, by=by, run=run, now=now)
    work.restart(touched, meanings)
    for name, one in sorted(new.items()):
        work.say(one, known[name])
    work.save()
    mapped_keys = {key for key, meaning in meanings.items() if meaning is not None}
    work.done.alone = sorted(
        {
            (sharer.channel, sharer.listing)
            for sharer in sharers
            if sharer.key in mapped_keys and sharer.item is None and (sharer.channel, sharer.listing) not in new
        }
    )
    return work.done


def _stored(connection: Connection, wanted: Iterable[Wanted]) -> list[StoredListing]:
    by_channel: dict[str, list[str]] = {}
    for one in wanted:
        by_channel.setdefault(one.channel, []).append(one.listing)
    return [
        stored
        for channel, names in sorted(by_channel.items())
        for stored in listings.get_listings(connection, channel=channel, listings=names)
    ]


def _check(wanted: Wanted, known: StoredListing | None) -> None:
    if known is None:
        raise BadListing(
            f"{wanted.channel} has no listing {wanted.listing} that we know of. Pull its listings with "
            f"`channelsync listings pull --channel {wanted.channel}`, or correct the id."
        )
    if wanted.multiple < 1:
        raise BadListing(
            f"{wanted.channel} listing {wanted.listing}: it stands for 1 unit or more of an item, not for "
            f"{wanted.multiple}."
        )


def _differs(wanted: Wanted, known: StoredListing) -> bool:
    if wanted.item is None:
        return known.item is not None
    return (wanted.item, wanted.multiple) != (known.item, known.multiple)


def _meanings(sharers: Iterable[Sharer], new: Mapping[Name, Wanted]) -> dict[int, tuple[str, int] | None]:
    """What each key will mean, of all listings that stand on it. Raises BadListing where they disagree."""
    said: dict[int, dict[tuple[str, int], Name]] = {}
    for sharer in sharers:
        name = (sharer.channel, sharer.listing)
        item, multiple = (new[name].item, new[name].multiple) if name in new else (sharer.item, sharer.multiple)
        meant = said.setdefault(sharer.key, {})
        if item is not None:
            meant.setdefault((item, multiple), name)
        if len(meant) > 1:
            first, second = (f"{channel} listing {listing}" for channel, listing in meant.values())
            raise BadListing(
                f"{first} and {second} share one number at the channel, so they cannot mean different things. Map both "
                "to one SKU with one multiple, or unmap the other first."
            )
    return {key: next(iter(meant), None) for key, meant in said.items()}


@dataclass(slots=True, kw_only=True)
class _Mapping:
    """One change of mappings on its way."""

    connection: Connection
    setup: Setup
    by: str
    run: str
    now: datetime
    done: Mapped = field(default_factory=Mapped)
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    left: set[str] = field(default_factory=set)

    def restart(self, touched: Sequence[int], meanings: Mapping[int, tuple[str, int] | None]) -> None:
        """Lets keys that will mean something else start anew, and releases what they hold.

        Positions are locked first, then keys, then provisional rows: the one order of locks.
        """
        before = keys.load_keys(self.connection, touched)
        anew = [key for key in touched if _meaning(before[key].item, before[key].multiple) != meanings.get(key)]
        self.left = {item for key in anew if (item := before[key].item)}
        items = {part for item in self.left for part in reachable(item, self.setup.recipes)}
        items |= listings_view.items_held(self.connection, anew)
        self.positions = ledger.lock_positions(self.connection, items)
        keys.load_keys(self.connection, anew, lock=True)
        rows = provisionals.open_provisionals(self.connection, anew)
        reason = "the listing was mapped to another item"
        ended: dict[str, tuple[int, str]] = {}
        for row in (row for of_key in rows.values() for row in of_key):
            cause = Cause(actor=f"user:{self.by}", run=self.run, reason=reason, channel=before[row.key].channel)
            self.movements += end_movements(row, row.open, EntryKind.RELEASE, cause, f"mapped {self.run}", self.now)
            ended[row.id] = (row.open, reason)
        provisionals.close_units(self.connection, ended, self.now)
        for key in anew:
            item, multiple = meanings.get(key) or (None, 1)
            listings.restart_keys(self.connection, [key], item, multiple, self.now)
        self.done.restarted = anew
        self.done.shown = {key: one.value for key in anew if (one := before[key].state.watermark) is not None}

    def say(self, wanted: Wanted, known: StoredListing) -> None:
        """Writes one listing's meaning, and remembers what it was."""
        multiple = wanted.multiple if wanted.item else 1
        listings.set_meaning(self.connection, wanted.channel, wanted.listing, wanted.item, multiple, self.by, self.now)
        runs.record_change(
            self.connection,
            Change(
                run=self.run,
                kind=MAPPING,
                subject=f"{wanted.channel}/{wanted.listing}",
                before=_plain(known.item, known.multiple, known.mapped_by, known.sku),
                after=_plain(wanted.item, multiple, self.by, known.sku),
                at=self.now,
            ),
        )
        self.done.changed.append(wanted.name)

    def save(self) -> None:
        """Writes what was released, and puts on the agenda what that changes.

        Also the other keys of what a listing meant before: rules may leave them more, now that it shows none of it.
        """
        before = available_as_said(self.positions)
        entries = ledger.write(self.connection, self.movements, self.positions, self.now)
        self.done.released = -sum(entry.movement.reserved for entry in entries)
        changed = self.left | {entry.movement.position.item for entry in entries}
        keys.mark_due(self.connection, {name for item in changed for name in self.setup.shown_by(item)}, self.now)
        report_oversold(self.connection, before, self.positions, self.now)


def _meaning(item: str | None, multiple: int) -> tuple[str, int] | None:
    return None if item is None else (item, multiple)


def _plain(item: str | None, multiple: int, by: str, sku: str | None) -> dict[str, object] | None:
    return None if item is None else {"item": item, "multiple": multiple, "by": by, "sku": sku}
