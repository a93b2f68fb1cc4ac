"""/reservations: units promised. A reservation of a caller's is an order of our own that is refused when short."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlalchemy import Connection

from channelsync.store.positions_view import PromisedOnView, PromisesWanted, find_promises
from channelsync.sync.api_runs import Answered
from channelsync.sync.orders_shown import ByHandOnView
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.named import item_of, known_channels, known_location
from channelsync.web.api.orders import BookSaid, CancelSaid, LineSaid, book, cancel
from channelsync.web.api.paging import Page, key_after, page_of
from channelsync.web.api.values import LINES_MAX, Listed, Said, Text

TOPIC = "Reservations"


class ReservationsSaid(Listed):
    """Which reservations. channel: `manual` for those of callers and of orders booked by hand."""

    sku: Text | None = None
    location: Text | None = None
    channel: Text | None = None
    order: Text | None = None


class ReserveSaid(Said):
    """Units that somebody is promised. order: your own id of the reservation, by which it is shipped or released."""

    order: Text
    lines: Annotated[tuple[LineSaid, ...], Field(min_length=1, max_length=LINES_MAX)]


async def list_reservations(call: Call, said: ReservationsSaid) -> Answer:
    """What is promised and not shipped, the oldest first.

    Of orders of all channels, of reservations, and provisional ones: units that a channel seems to have sold, whose
    order has not come yet.
    """
    setup = call.agent.setup
    (channel,) = known_channels(setup, [said.channel], by_hand=True) if said.channel else ("",)
    location = known_location(setup, said.location or "")
    after = key_after(call.endpoint.path, said, datetime, str)

    def work(connection: Connection) -> list[PromisedOnView]:
        wanted = PromisesWanted(
            item=item_of(connection, said.sku).id if said.sku else "",
            location=location,
            channel=channel,
            order=said.order or "",
        )
        behind = after  # as `key_after` was asked for
        return find_promises(connection, wanted, after=behind, limit=said.limit + 1)  # type: ignore[arg-type]

    found = await call.look(work)
    return Answer(page_of(call.endpoint.path, said, found, lambda one: (one.opened_at, one.id), lambda one: one))


async def reserve(call: Call, said: ReserveSaid) -> Answered:
    """Reserve units, or be refused when they are short.

    All of it or nothing: where a line asks for more than is available, the answer is 409 with how many there are, and
    nothing is reserved. What is reserved is taken off every channel. The same reservation again changes nothing and
    is answered with 200, so it may always be repeated. It stands until it is released or shipped, as the order of the
    same id: `POST /orders/{order}/ship`.
    """
    wanted = BookSaid(order=said.order, lines=said.lines, refuse_short=True)
    return await call.change("reserve", lambda c, by: book(c, call, by, wanted))


async def release(call: Call, said: CancelSaid) -> Answered:
    """Release a reservation, or units of it.

    No lines: all that is not shipped. Units are all that were released so far, so it may always be repeated.
    """
    return await call.change("release", lambda c, by: cancel(c, call, by, said))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/reservations",
        scope="read",
        topic=TOPIC,
        run=list_reservations,
        said=ReservationsSaid,
        gives=Page[PromisedOnView],
        misses=True,
    ),
    Endpoint(
        method="POST",
        path="/reservations",
        scope="operate",
        topic=TOPIC,
        run=reserve,
        said=ReserveSaid,
        gives=ByHandOnView,
        creates=True,
        refuses=True,
        example={"order": "cart-77", "lines": [{"sku": "MUG-BLUE", "units": 2}]},
    ),
    Endpoint(
        method="POST",
        path="/reservations/{order}/release",
        scope="operate",
        topic=TOPIC,
        run=release,
        said=CancelSaid,
        gives=ByHandOnView,
        misses=True,
        refuses=True,
        example={},
    ),
)
