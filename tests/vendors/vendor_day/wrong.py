"""Numbers that are not what is physically left."""

from __future__ import annotations

from dataclasses import dataclass

from channelsync.lab.stage import Stage


@dataclass(frozen=True, slots=True)
class Wrong:
    """A number that is not what it should be by what is physically left."""

    listing: str
    shown: int
    should: int


def drift(stage: Stage) -> dict[str, tuple[Wrong, ...]]:
    """The wrong numbers of each channel, by the referee, who never looks at our database."""
    found: dict[str, list[Wrong]] = {}
    for one in stage.wares.listings:
        market = stage.sites[one.marketplace].marketplace
        (key,) = market.offers[one.listing].keys
        shown, should = market.number(key), stage.wares.shown(one, stage.referee.left)
        if shown != should:
            found.setdefault(one.marketplace, []).append(Wrong(one.listing, shown, should))
    return {name: tuple(wrong) for name, wrong in found.items()}
