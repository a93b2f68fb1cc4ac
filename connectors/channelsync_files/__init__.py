"""Any system that reads and writes files: a till, an ERP, a shop or marketplace without a connector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from pydantic import BaseModel

from channelsync.sdk.channel import Connector
from channelsync.sdk.connecting import Guide
from channelsync.sdk.files.place import FolderPlace, Place
from channelsync.sdk.files.sftp import SftpPlace
from channelsync.sdk.http import HttpSettings, HttpTransport
from channelsync.sdk.other_hosts import own_host
from channelsync.sdk.resources import Resources
from channelsync.sdk.settings import own
from channelsync_files.access import authorization
from channelsync_files.channel import FilesChannel
from channelsync_files.documents import Documents
from channelsync_files.order_log import OrderLog
from channelsync_files.orders import NoOrders, OrderDocument, OrderSource
from channelsync_files.outbox import FileOutbox, HttpOutbox, Outbox
from channelsync_files.replies import Replies
from channelsync_files.settings import FilesSettings, budgets, capabilities
from channelsync_files.setup import Inspection
from channelsync_files.shown import Shown

USER_AGENT = "channelsync-files"


@asynccontextmanager
async def open_channel(settings: BaseModel, resources: Resources) -> AsyncIterator[FilesChannel]:
    """The account; nothing is asked before the first call."""
    mine = own(FilesSettings, settings)
    async with AsyncExitStack() as stack:
        if mine.kind == "http":
            yield _over_http(mine, resources, await stack.enter_async_context(_transport(mine, resources)))
            return
        place: Place
        if mine.kind == "sftp":
            place = sftp = SftpPlace(mine.server, resources.channel)
            stack.push_async_callback(sftp.aclose)
        else:
            place = FolderPlace(mine.place, resources.channel, mine.file_bytes_max)
        yield _over_files(mine, resources, place)


def _over_files(mine: FilesSettings, resources: Resources, place: Place) -> FilesChannel:
    clock, name, ours = resources.clock, resources.channel, mine.quantities
    orders: OrderSource = NoOrders(clock) if mine.orders is None else OrderLog(place, mine.orders, clock, name)
    replies = None if ours is None else Replies(place, mine.acknowledgements, ours, clock, name)
    outbox: Outbox | None = None
    if ours is not None and replies is not None:
        outbox = FileOutbox(place, ours, replies, clock, name)
    shown = Shown(place, mine, replies, clock, name)
    return FilesChannel(mine, orders, shown, outbox, Inspection(place, mine, clock), clock)


def _over_http(mine: FilesSettings, resources: Resources, http: HttpTransport) -> FilesChannel:
    clock, name, ours = resources.clock, resources.channel, mine.quantities
    documents = Documents(http, mine)
    back = timedelta(seconds=mine.order_overlap_s + mine.skew_s)
    orders: OrderSource = NoOrders(clock)
    if mine.orders is not None:
        orders = OrderDocument(documents, mine.orders, back, name)
    outbox = None if ours is None else HttpOutbox(documents, ours, mine.acknowledgements, clock)
    shown = Shown(documents, mine, None, clock, name)
    return FilesChannel(mine, orders, shown, outbox, Inspection(documents, mine, clock), clock)


def _transport(mine: FilesSettings, resources: Resources) -> HttpTransport:
    shown = authorization(mine)
    return own_host(
        resources,
        HttpSettings(
            channel=resources.channel,
            base_url=mine.place,
            user_agent=USER_AGENT,
            secrets=mine.secrets if shown is None else (*mine.secrets, shown),
            body_bytes_max=mine.file_bytes_max,
        ),
    )


GUIDE = Guide(
    steps=(
        "Make a folder that the other system and channelsync can both reach, on this machine or an SFTP server, and"
        " in it one for orders, one for listings or numbers, and one for our quantities. Or find the addresses at"
        " which the other system offers the same over HTTPS.",
        "Let the other system export its orders with their ids, lines, units, status and the time of the last"
        " change, whole orders in each file, written under another name and renamed when complete.",
        "Let it export what it offers and the numbers it shows, whole in one file, as often as it can.",
        "Let it import our quantities, and if it can, write what became of each row.",
        "For SFTP: make a user for channelsync, and set the server's public key as host_keys; `ssh-keyscan` prints"
        " it, who runs the server confirms it.",
        "Write which column holds what in [channel.settings], with one file of each kind beside you, then run"
        " `channelsync channels check`: it says whether the newest files fit.",
    )
)


CONNECTOR = Connector(
    name="files",
    title="Files",
    settings=FilesSettings,
    capabilities=lambda settings: capabilities(own(FilesSettings, settings)),
    budgets=lambda settings: budgets(own(FilesSettings, settings)),
    open=open_channel,
    guide=GUIDE,
)
