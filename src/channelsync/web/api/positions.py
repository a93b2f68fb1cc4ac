"""/positions: what is on hand, reserved, withheld and available, and how it came about."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from channelsync.store.positions_view import EntryOnView, PositionOnView, PositionsWanted, find_positions, history_of
from channelsync.sync.stock_shown import ItemOnView, view_item
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.named import item_of, items_of, known_location
from channelsync.web.api.paging import Page, key_after, page_of
from channelsync.web.api.values import Flag, Listed, Moment, Number, Text

TOPIC = "Positions"


class PositionsSaid(Listed):
    """Which positions. sku: only these; may be given again. search: a part of SKU or title. below: with less available.

    everything: also places that never had a unit.
    """

    sku: tuple[Text, ...] = ()
    location: Text | None = None
    search: Text | None = None
    oversold: Flag = False
    below: Number | None = None
    withheld: Flag = False
    everything: Flag = False


class EntriesSaid(Listed):
    """Which entries. since: only those written from then on."""

    location: Text | None = None
    since: Moment | None = None


async def list_positions(call: Call, said: PositionsSaid) -> Answer:
    """Positions by SKU and location.

    One entry is one item at one location. available = on hand - reserved - withheld; below 0 it is oversold, and
    `oversold` says by how many units. `below` and `oversold` leave out positions that have more.
    """
    location = known_location(call.agent.setup, said.location or "")
    after = key_after(call.endpoint.path, said, str, str)

    def work(connection: Connection) -> list[PositionOnView]:
        wanted = PositionsWanted(
            items=items_of(connection, said.sku) if said.sku else None,
            search=said.search or "",
            location=location,
            below=0 if said.oversold else said.below,
            only_withheld=said.withheld,
            everything=said.everything,
        )
        behind = (str(after[0]), str(after[1])) if after else None
        return list(find_positions(connection, wanted, after=behind, limit=said.limit + 1))

    found = await call.look(work)
    return Answer(page_of(call.endpoint.path, said, found, lambda one: (one.sku, one.location), lambda one: one))


async def show_position(call: Call, _said: object) -> Answer:
    """One item with all its locations.

    Named by its SKU or an alias. With what is reserved, by which order, and what is on its way.
    """

    def work(connection: Connection) -> ItemOnView:
        item_of(connection, call.names["sku"])
        return view_item(connection, call.names["sku"])

    return Answer(await call.look(work))


async def list_entries(call: Call, said: EntriesSaid) -> Answer:
    """The ledger of one item, the latest entry first.

    Every change of a position is an entry: what changed, when, why, by whom and in which run.
    """
    location = known_location(call.agent.setup, said.location or "")
    after = key_after(call.endpoint.path, said, datetime, str, int)

    def work(connection: Connection) -> list[EntryOnView]:
        item = item_of(connection, call.names["sku"])
        return list(
            history_of(
                connection,
                item.id,
                location=location,
                since=said.since,
                after=after,  # type: ignore[arg-type]  # as `key_after` was asked for
                limit=said.limit + 1,
            )
        )

    found = await call.look(work)
    return Answer(
        page_of(
            call.endpoint.path,
            said,
            found,
            lambda one: (one.recorded_at, one.location, one.number),
            lambda one: one,
        )
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/positions",
        scope="read",
        topic=TOPIC,
        run=list_positions,
        said=PositionsSaid,
        gives=Page[PositionOnView],
        misses=True,
    ),
    Endpoint(
        method="GET",
        path="/positions/{sku}",
        scope="read",
        topic=TOPIC,
        run=show_position,
        gives=ItemOnView,
        misses=True,
    ),
    Endpoint(
        method="GET",
        path="/positions/{sku}/entries",
        scope="read",
        topic=TOPIC,
        run=list_entries,
        said=EntriesSaid,
        gives=Page[EntryOnView],
        misses=True,
    ),
)
