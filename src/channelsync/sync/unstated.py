"""Listings that are left as they are, because nobody has said how many units of their items there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from channelsync.sdk.paging import in_batches
from channelsync.store import keys, listings_view
from channelsync.sync.item_names import skus_of
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup
from channelsync.sync.targets import Target, compute_targets

KEYS_AT_ONCE = 1_000
LOOKED_AT_MAX = 5_000
"""Of a channel's catalogue that is just being mapped no more numbers are looked at: these tell that there are many."""
_NAMED_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """Mapped listings of a channel that stay as they are until somebody says how many units there are at a location.

    skus: of the listings, sorted. location: one that feeds them. count: the SKUs to count there, sorted: the same, or
    those of parts of bundles; empty: the channel's own numbers can be adopted there.
    """

    channel: str
    skus: tuple[str, ...]
    location: str
    count: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What there is to be said, and how."""
        if not self.count:
            return (
                f"nobody has said yet how many units there are of {_some(self.skus)}, so what the channel shows of "
                f"them stays as it is. `channelsync stock adopt --from {self.channel} --location {self.location}` "
                "takes the channel's own numbers; `stock import`, `stock count` and `stock receive` say yours."
            )
        parts = (
            "" if self.count == self.skus else f", which {_some(self.skus)} {'are' if self.skus[1:] else 'is'} made of"
        )
        return (
            f"nobody has said yet how many units there are at {self.location} of {_some(self.count)}{parts}, so what "
            f"the channel shows stays as it is, or is only lowered. `channelsync stock count {self.count[0]} UNITS "
            f"--location {self.location}` says it{'' if len(self.count) == 1 else ', and so for each'}; `stock adopt` "
            "takes no number of bundles, of what was counted elsewhere, or where the channel sells nothing."
        )


def _some(skus: Sequence[str]) -> str:
    more = len(skus) - _NAMED_MAX
    return ", ".join(skus[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def left_alone(
    connection: Connection, setup: Setup, measures: Measures, channels: Collection[str] | None = None
) -> list[LeftAlone]:
    """Of these channels, None: of all, what is left alone, as the publisher would; one where nothing is, is left out.

    Reads only.
    """
    wanted = [name for name in sorted(setup.channels) if channels is None or name in channels]
    asked = {name: keys.without_target(connection, name, LOOKED_AT_MAX) for name in wanted}
    found = {name: left_among(connection, setup, measures, some) for name, some in asked.items()}
    return [one for some in found.values() for one in some]


def left_among(connection: Connection, setup: Setup, measures: Measures, ids: Sequence[int]) -> list[LeftAlone]:
    """Of these keys what is left alone, by channel and by how it can be said. Reads only."""
    skus: dict[tuple[str, str, bool], set[str]] = {}
    counts: dict[tuple[str, str, bool], set[str]] = {}
    for some in in_batches(ids, KEYS_AT_ONCE):
        targets = [one for one in compute_targets(connection, setup, measures, some).values() if one.unsaid]
        named = {item for one in targets if one.unsaid for item in (*one.unsaid.items, one.key.item) if item}
        known = skus_of(connection, setup, named)
        stated = listings_view.stated_items(connection) if targets else set()
        for target in targets:
            location, adopts = _where(target, setup, stated)
            way = (target.key.channel, location, not adopts)
            skus.setdefault(way, set()).add(known.get(target.key.item or "", ""))
            counted = () if adopts or target.unsaid is None else target.unsaid.items
            counts.setdefault(way, set()).update(known.get(item, item) for item in counted)
    return [
        LeftAlone(channel=way[0], skus=tuple(sorted(some)), location=way[1], count=tuple(sorted(counts[way])))
        for way, some in sorted(skus.items())
    ]


def _where(target: Target, setup: Setup, stated: Collection[str]) -> tuple[str, bool]:
    """A location that feeds a key, and whether `stock adopt` takes the key's number there.

    It leaves bundles alone that are made of parts, items of which somebody said anything anywhere, and locations that
    the channel does not sell from.
    """
    channel, remote = setup.channels[target.key.channel], target.key.remote
    feeding = [name for name in target.unsaid.locations if name in setup.locations] if target.unsaid else []
    adopted = channel.remotes.get(remote) if channel.remotes else None
    taken = [name for name in feeding if name in channel.locations and (not channel.remotes or name == adopted)]
    itself = target.unsaid is not None and target.unsaid.items == {target.key.item}
    if taken and itself and target.key.item not in stated:
        return taken[0], True
    return next(iter(feeding), "LOCATION"), False
