"""Amazon ready for use: the marketplace, its API, a seller, and the way to reach it in process."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from channelsync.lab.faults import FaultPlan
from channelsync.lab.marketplace_fronts import InProcessTransport, MarketplaceApp
from channelsync.lab.marketplace_rules import MarketplaceRules
from channelsync.sdk.clock import Clock
from vendor_amazon.api import AmazonApi
from vendor_amazon.catalogue import Catalogue
from vendor_amazon.documents import DocumentShelf
from vendor_amazon.fba import FbaPool, FbaSummaries
from vendor_amazon.feed_work import FeedWork
from vendor_amazon.feeds import Feeds
from vendor_amazon.habits import AMAZON_RULES, AmazonHabits
from vendor_amazon.jobs import Jobs
from vendor_amazon.listings import Listings
from vendor_amazon.marketplace import AmazonMarketplace
from vendor_amazon.models import read_models
from vendor_amazon.notifications import Notifications
from vendor_amazon.order_book import OrderBook
from vendor_amazon.orders import Orders
from vendor_amazon.orders_json import OrderWriter
from vendor_amazon.places import GERMANY, UK, SellerAccount
from vendor_amazon.report_rows import ReportRows
from vendor_amazon.reports import Reports
from vendor_amazon.sellers import Sellers
from vendor_amazon.submissions import Submissions


@dataclass(frozen=True, slots=True)
class AmazonSite:
    """Amazon with all that belongs to one seller. transport: in process. app: for a server on a socket.

    catalogue: what humans and Amazon do to listings. book: what people do with orders. feeds,
    reports: how they end. pool: units that Amazon keeps. notifications: queues, and what was sent to them.
    """

    marketplace: AmazonMarketplace
    api: AmazonApi
    transport: InProcessTransport
    app: MarketplaceApp
    account: SellerAccount
    catalogue: Catalogue
    book: OrderBook
    feeds: Feeds
    reports: Reports
    pool: FbaPool
    notifications: Notifications

    @property
    def client_id(self) -> str:
        """The application's."""
        return self.account.client_id

    @property
    def client_secret(self) -> str:
        """The application's."""
        return self.account.client_secret

    @property
    def refresh_token(self) -> str:
        """Of the seller, for the application."""
        return self.account.refresh_token

    @property
    def seller_id(self) -> str:
        """The merchant token."""
        return self.account.seller_id

    @property
    def marketplace_ids(self) -> tuple[str, ...]:
        """Where the seller sells."""
        return self.account.marketplace_ids


def open_vendor(
    name: str,
    clock: Clock,
    *,
    seed: int = 0,
    contracts: Path,
    faults: FaultPlan | None = None,
    rules: MarketplaceRules = AMAZON_RULES,
    habits: AmazonHabits | None = None,
    account: SellerAccount | None = None,
) -> AmazonSite:
    """Opens Amazon with one seller. The same arguments and calls give the same history.

    contracts: the folder that holds a folder of descriptions for every vendor.
    """
    habits = habits or AmazonHabits()
    account = account or a_seller(name)
    marketplace = AmazonMarketplace(name, rules, clock, random.Random(f"{seed} {name} marketplace"))
    catalogue = Catalogue(marketplace, account, random.Random(f"{seed} {name} catalogue"))
    book = OrderBook(marketplace)
    documents = DocumentShelf(random.Random(f"{seed} {name} documents"))
    submissions = Submissions(catalogue)
    feed_jobs = Jobs(marketplace, 50_000_000_000, random.Random(f"{seed} {name} feed ids"))
    feed_work = FeedWork(catalogue, submissions, contracts)
    feeds = Feeds(feed_jobs, documents, feed_work, account, habits, random.Random(f"{seed} {name} feeds"))
    pool = FbaPool(catalogue)
    report_jobs = Jobs(marketplace, 60_000_000_000, random.Random(f"{seed} {name} report ids"))
    rows = ReportRows(catalogue, pool)
    reports = Reports(report_jobs, documents, rows, account, habits, random.Random(f"{seed} {name} reports"))
    messages = random.Random(f"{seed} {name} notifications")
    notifications = Notifications(catalogue, book, feed_jobs, report_jobs, messages)
    sections = (
        Orders(book, OrderWriter(book, catalogue, habits), account, habits),
        Listings(catalogue, submissions, random.Random(f"{seed} {name} submissions")),
        Sellers(account),
        feeds,
        reports,
        FbaSummaries(catalogue, pool),
        notifications,
    )
    api = AmazonApi(
        marketplace,
        read_models(contracts),
        account,
        {operation: call for section in sections for operation, call in section.calls().items()},
        random.Random(f"{seed} {name} api"),
        documents=documents,
        habits=habits,
        faults=faults,
    )
    transport = InProcessTransport(api, clock, random.Random(f"{seed} {name} way"))
    app = MarketplaceApp(api, clock, random.Random(f"{seed} {name} way"))
    return AmazonSite(marketplace, api, transport, app, account, catalogue, book, feeds, reports, pool, notifications)


def a_seller(name: str, *, sees_buyers: bool = False) -> SellerAccount:
    """A seller in the United Kingdom and in Germany, without the role for buyers' data."""
    return SellerAccount(
        seller_id="A3EXAMPLESELLER",
        title=f"Shop of {name}",
        marketplace_ids=(UK.id, GERMANY.id),
        client_id=f"amzn1.application-oa2-client.{name}",
        client_secret=f"amzn1.oa2-cs.v1.{name}",
        refresh_token=f"Atzr|{name}-refresh",
        sees_buyers=sees_buyers,
    )
