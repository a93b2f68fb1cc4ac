"""What a change of rules would make channels show, before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from channelsync.sdk.paging import in_batches
from channelsync.store import guarded_keys
from channelsync.store.items import items_by_id
from channelsync.sync.guard_numbers import Numbers
from channelsync.sync.measures import measure
from channelsync.sync.setup import Setup

ITEMS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberMoved:
    """A number that a channel should show, now and under other rules; in its own units. remote: empty where it is one.

    What a plan or a question to the seller holds counts as if nothing held it. A number that rules begin to decide, of
    units of which nobody has said how many there are, is now what was last read.
    """

    channel: str
    listing: str
    remote: str
    sku: str
    now: int
    then: int


def numbers_moved(connection: Connection, before: Setup, after: Setup, now: datetime) -> list[NumberMoved]:
    """Every number that is another under the rules of `after` than under those of `before`; the largest change first.

    Computed as the publisher computes targets, from the positions as they are. Reads only.
    """
    found = sorted(_moved(connection, before, after, now), key=lambda one: (one.channel, one.listing, one.remote))
    return sorted(found, key=lambda one: -abs(one.then - one.now))


def _moved(connection: Connection, before: Setup, after: Setup, now: datetime) -> Iterator[NumberMoved]:
    measures = measure(connection, after, now)
    old = Numbers(connection=connection, setup=before, measures=measures)
    new = Numbers(connection=connection, setup=after, measures=measures)
    shown = guarded_keys.items_shown(connection)
    for some in in_batches(shown, ITEMS_AT_ONCE):
        every = guarded_keys.keys_of_items(connection, some)
        was, will = old.of(every), new.of(every)
        before_it = {key.id: was[key.id].units if key.id in was else key.shown for key in every}
        moved = [key for key in every if key.id in will and before_it[key.id] not in (None, will[key.id].units)]
        skus = {item: one.sku for item, one in items_by_id(connection, {key.item for key in moved}).items()}
        for key in moved:
            yield NumberMoved(
                channel=key.channel,
                listing=key.listing,
                remote=key.remote,
                sku=skus[key.item],
                now=before_it[key.id] or 0,
                then=will[key.id].units,
            )
