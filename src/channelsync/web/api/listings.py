"""/listings: what the channels list, what it means to us, and the numbers behind it."""

from __future__ import annotations

from sqlalchemy import Connection

from channelsync.store.listings_view import ListingOnView, ListingRow, listing_row, listings_page
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.named import item_of, known_channels
from channelsync.web.api.paging import Page, key_after, page_of
from channelsync.web.api.problems import not_found
from channelsync.web.api.values import Flag, Listed, Text

TOPIC = "Listings"


class ListingsSaid(Listed):
    """Which listings. channel: may be given again. sku: mapped to it. unmapped: only those that are not mapped."""

    channel: tuple[Text, ...] = ()
    sku: Text | None = None
    unmapped: Flag = False


async def list_listings(call: Call, said: ListingsSaid) -> Answer:
    """Listings as last pulled, by channel and id.

    With what each is mapped to, and what its numbers show and should show.
    """
    channels = known_channels(call.agent.setup, said.channel)
    after = key_after(call.endpoint.path, said, str, str)

    def work(connection: Connection) -> list[ListingOnView]:
        return listings_page(
            connection,
            channels=channels,
            item=item_of(connection, said.sku).id if said.sku else "",
            only_unmapped=said.unmapped,
            after=(str(after[0]), str(after[1])) if after else None,
            limit=said.limit + 1,
        )

    found = await call.look(work)
    return Answer(
        page_of(call.endpoint.path, said, found, lambda one: (one.stored.channel, one.stored.listing), listing_row)
    )


async def show_listing(call: Call, _said: object) -> Answer:
    """One listing, by its channel and the channel's id of it."""
    (channel,) = known_channels(call.agent.setup, [call.names["channel"]])
    listing = call.names["listing"]
    found = await call.look(lambda c: listings_page(c, channels=[channel], listing=listing, limit=1))
    if not found:
        raise not_found(f"{channel} has no listing {listing!r}; `channelsync listings pull` reads them anew.")
    return Answer(listing_row(found[0]))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/listings",
        scope="read",
        topic=TOPIC,
        run=list_listings,
        said=ListingsSaid,
        gives=Page[ListingRow],
        misses=True,
    ),
    Endpoint(
        method="GET",
        path="/listings/{channel}/{listing}",
        scope="read",
        topic=TOPIC,
        run=show_listing,
        gives=ListingRow,
        misses=True,
    ),
)
