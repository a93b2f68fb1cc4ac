"""Listings that are left as they are, because nobody has said how many units of their items there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from channelsync.sdk.paging import in_batches
from channelsync.store import keys
from channelsync.store.items import items_by_id
from channelsync.sync.measures import Measures
from channelsync.sync.setup import Setup
from channelsync.sync.targets import compute_targets

KEYS_AT_ONCE = 1_000
LOOKED_AT_MAX = 5_000
"""Of a channel's catalogue that is just being mapped no more numbers are looked at: these tell that there are many."""
_NAMED_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """The SKUs of a channel's mapped listings that stay as they are, sorted. location: where its units may be said."""

    channel: str
    skus: tuple[str, ...]
    location: str

    def __str__(self) -> str:
        """What there is to be said, and how."""
        more = len(self.skus) - _NAMED_MAX
        named = ", ".join(self.skus[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        return (
            f"nobody has said yet how many units there are of {named}, so what the channel shows of them stays as it "
            f"is. `channelsync stock adopt --from {self.channel} --location {self.location}` takes the channel's own "
            "numbers; `stock import`, `stock count` and `stock receive` say yours."
        )


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
    """Of these keys what is left alone, by channel. Reads only."""
    found: dict[str, set[str]] = {}
    for some in in_batches(ids, KEYS_AT_ONCE):
        targets = [one for one in compute_targets(connection, setup, measures, some).values() if one.unstated]
        skus = {item: one.sku for item, one in items_by_id(connection, {one.key.item for one in targets}).items()}
        for target in targets:
            found.setdefault(target.key.channel, set()).add(skus[target.key.item or ""])
    locations = {name: next(iter(one.locations), "LOCATION") for name, one in setup.channels.items()}
    return [
        LeftAlone(channel=name, skus=tuple(sorted(skus)), location=locations[name])
        for name, skus in sorted(found.items())
    ]
