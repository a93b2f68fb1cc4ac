"""Changes taken back, kind by kind: each only where things still are as the run left them.

Every one is recorded as a change of the undoing run, so that undoing that run puts it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from channelsync.domain.errors import BadListing
from channelsync.domain.quantities import PositionKey
from channelsync.store import channels, counts, item_moves, items, ledger, listings, rules, runs
from channelsync.store.counts import COUNTED, counts_of
from channelsync.store.listings_view import MAPPING
from channelsync.store.runs import Change
from channelsync.sync.items import ALIAS, drop_alias
from channelsync.sync.items_merge import MERGE, merge, unmerge
from channelsync.sync.items_new import ITEM
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.oversold import rename_oversold
from channelsync.sync.rule_changes import RULE, change_rule, plain_rule
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By
from channelsync.sync.stock_incoming import INCOMING, restore
from channelsync.sync.switches import CHANNEL, change_channel

COUNTED_UP_TO = "counted up to"
"""The kind of a `Change` that only moves the moment up to which positions are counted. after: rows of item, location,
the moment before and after."""

UNDONE = "undone"
"""The kind of a `Change` that undoes a run. subject: the run; before, after: the run that undid it, "" for none."""


# So many things are named in one sentence; nobody reads more.
NAMED_MAX = 20

FINDING = "finding"
"""The kind of a `Change` that closes a finding by hand."""


@dataclass(slots=True, kw_only=True)
class TakingBack:
    """Changes of one run on their way back. left: what stays, and why; taken: how many changes were taken back.

    mapped: channels of which a listing means something again, so that orders that waited may be booked. made: items
    that the run made.
    """

    connection: Connection
    setup: Setup
    by: By
    run: str
    taken: int = 0
    left: list[str] = field(default_factory=list)
    mapped: set[str] = field(default_factory=set)
    made: list[str] = field(default_factory=list)

    def take_back(self, changes: Sequence[Change]) -> None:
        """Takes changes back, the last one first; those of mappings all at once, because listings share keys."""
        self._mappings([one for one in changes if one.kind == MAPPING])
        for change in reversed(changes):
            if change.kind == MAPPING:
                continue
            handle = _HANDLERS.get(change.kind)
            problem = handle(self, change) if handle else f"a change of kind {change.kind!r} cannot be taken back"
            if problem:
                self.left.append(problem)
            elif change.kind != ITEM or change.before is not None:
                self.taken += 1
        if self.made:
            self.left.append(f"items are never deleted, so these stay: {in_words(sorted(self.made))}")

    def record(self, kind: str, subject: str, before: Any, after: Any) -> None:
        """Remembers what this undoing changed."""
        change = Change(run=self.by.run, kind=kind, subject=subject, before=before, after=after, at=self.by.now)
        runs.record_change(self.connection, change)

    def _mappings(self, changes: Sequence[Change]) -> None:
        first: dict[str, Change] = {}
        last: dict[str, Change] = {}
        for change in changes:
            first.setdefault(change.subject, change)
            last[change.subject] = change
        wanted = []
        for subject, change in first.items():
            channel, _, listing = subject.partition("/")
            known = listings.get_listings(self.connection, channel=channel, listings=[listing])
            now = (known[0].item, known[0].multiple) if known else None
            if now is None or now != _meaning(last[subject].after):
                self.left.append(f"{channel} listing {listing} was mapped anew since; its mapping stays")
                continue
            item, multiple = _meaning(change.before)
            wanted.append(Wanted(channel, listing, item, multiple))
        try:
            who = self.by.actor.removeprefix("user:")
            map_listings(self.connection, self.setup, wanted, by=who, run=self.by.run, now=self.by.now)
        except BadListing as error:
            self.left.append(f"mappings stay as they are: {error}")
            return
        self.taken += len(wanted)
        self.mapped |= {one.channel for one in wanted if one.item is not None}


def in_words(names: Sequence[str]) -> str:
    """Names in one sentence, the first ones of many."""
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(names[:NAMED_MAX]) + more


def _meaning(plain: Mapping[str, Any] | None) -> tuple[str | None, int]:
    return (None, 1) if plain is None else (plain["item"], plain["multiple"])


def _item(work: TakingBack, change: Change) -> str:
    found = items.items_by_id(work.connection, [change.subject]).get(change.subject)
    if change.before is None or found is None:
        work.made.append(found.sku if found else change.subject)
        return ""
    was, became = change.before["sku"], change.after["sku"]
    if found.sku != became:
        return f"{became} was renamed to {found.sku} since; it keeps that SKU"
    other = item_moves.item_by_name(work.connection, was)
    if other is not None:
        return f"{became} keeps its SKU, for {was} is a SKU of {other.sku} now"
    items.change_item(work.connection, found.id, sku=was)
    rename_oversold(work.connection, found.id)
    work.record(ITEM, found.id, change.after, change.before)
    return ""


def _alias(work: TakingBack, change: Change) -> str:
    sku, now = change.subject, item_moves.alias_of(work.connection, change.subject)
    if now != change.after:
        return f"{sku} leads to another item since, or to none; that stays"
    if change.before is None:
        drop_alias(work.connection, work.by, sku)
        return ""
    other = item_moves.item_by_name(work.connection, sku)
    if other is not None and now is None:
        return f"{sku} is a SKU of {other.sku} now; that stays"
    items.add_alias(work.connection, sku, change.before, work.by.run)
    work.record(ALIAS, sku, None, change.before)
    return ""


def _merge(work: TakingBack, change: Change) -> str:
    found = items.items_by_id(work.connection, [change.subject])
    source = found[change.subject]
    if change.after is not None:
        if source.merged_into != change.after["into"]:
            return f"{source.sku} was merged into another item since; that stays"
        unmerge(work.connection, work.setup, work.by, source.id, change.after)
        work.record(MERGE, source.id, change.after, None)
        return ""
    target = items.items_by_id(work.connection, [change.before["into"]])[change.before["into"]]
    merge(work.connection, work.setup, work.by, source, target)
    return ""


def _incoming(work: TakingBack, change: Change) -> str:
    if restore(work.connection, work.setup, work.by, change):
        return ""
    _, location, reference = change.subject.split("\n")
    return f"what is on its way to {location} under {reference} was changed since; that stays"


def _counted(work: TakingBack, change: Change) -> str:
    told = [(one.position, one.was, one.up_to) for one in counts_of(change.after)]
    _move_counted(work, told)
    return ""


def _counted_up_to(work: TakingBack, change: Change) -> str:
    _move_counted(work, [(PositionKey(i, place), _time(was), _time(became)) for i, place, was, became in change.after])
    return ""


def _move_counted(work: TakingBack, told: Iterable[tuple[PositionKey, datetime | None, datetime | None]]) -> None:
    """Moves the moments back where nothing has moved them since."""
    rows = list(told)
    positions = ledger.read_positions(work.connection, {key.item for key, _, _ in rows})
    moved = {
        key: (became, was)
        for key, was, became in rows
        if key in positions and positions[key].counted_up_to == became and was != became
    }
    counts.set_counted_up_to(work.connection, {key: was for key, (_, was) in moved.items()})
    if moved:
        plain = [[*key, became, was] for key, (became, was) in sorted(moved.items())]
        work.record(COUNTED_UP_TO, "", None, plain)


def _channel(work: TakingBack, change: Change) -> str:
    state = channels.channel_state(work.connection, change.subject)
    same = {name: was for name, was in change.before.items() if getattr(state, name) == change.after[name]}
    since = sorted(change.before.keys() - same.keys())
    problem = f"{change.subject}: {', '.join(since)} was switched since; that stays" if since else ""
    if not same:
        return problem
    change_channel(work.connection, change.subject, same, run=work.by.run, now=work.by.now)
    if problem:
        work.left.append(problem)
    return ""


def _rule(work: TakingBack, change: Change) -> str:
    known = {rule.id: rule for rule in rules.stored_rules(work.connection)}.get(change.subject)
    if (None if known is None else plain_rule(known)) != change.after:
        return f"the rule {change.subject} was changed since; that stays"
    change_rule(work.connection, work.setup, change.subject, change.before, run=work.by.run, now=work.by.now)
    return ""


def _finding(_work: TakingBack, change: Change) -> str:
    return f"finding {change.subject} stays closed; what is still wrong is found anew"


def _undone(work: TakingBack, change: Change) -> str:
    runs.mark_undone(work.connection, change.subject, change.before)
    work.record(UNDONE, change.subject, change.after, change.before)
    return ""


def always_stays(kind: str, *, made: bool) -> bool:
    """Whether a change of this kind is never taken back. made: what it changed was not there before."""
    return kind == FINDING or (kind == ITEM and made)


def _time(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)


_HANDLERS: Mapping[str, Callable[[TakingBack, Change], str]] = {
    ITEM: _item,
    ALIAS: _alias,
    MERGE: _merge,
    INCOMING: _incoming,
    COUNTED: _counted,
    COUNTED_UP_TO: _counted_up_to,
    CHANNEL: _channel,
    RULE: _rule,
    UNDONE: _undone,
    FINDING: _finding,
}
"""What takes a change back, by its kind; each returns why it was left, or nothing."""
