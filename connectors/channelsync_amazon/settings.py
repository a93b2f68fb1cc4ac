"""[channel.settings] of an Amazon seller account, what they say about it, and how Amazon behaves for all sellers."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from channelsync.sdk.channel import CallCost, Capabilities
from channelsync.sdk.limiter import Budget
from channelsync.sdk.values import Applies, Deducts, GivesBack, NumberBehaviour, Timing

Count = Annotated[int, Field(strict=True, ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Secret = Annotated[SecretStr, Field(min_length=1)]
Marketplace = Annotated[str, Field(pattern=r"^[A-Z0-9]+$")]

ITEMS_PER_SEARCH = 20
"""Listings that searchListingsItems takes by name, and puts on a page (listingsItems_2021-08-01)."""

SEARCHED_MAX = 1000
"""Listings that searchListingsItems pages through at most; what is beyond needs a report."""

FEED_ROWS_MAX = 25_000
"""Messages in one JSON_LISTINGS_FEED (listings-feed-schema-v2)."""

FEED_GRACE = timedelta(hours=1)
"""Within it a feed's numbers are mostly seen: half an hour in the queue is usual at times, whatever a feed's size
(amzn/selling-partner-api-models 5151), and minutes until a number is live."""

BLIND = timedelta(minutes=2)
"""Orders changed less than this ago are in no search (orders_2026-01-01, lastUpdatedBefore)."""

SKEW = timedelta(seconds=5)

PENDING_MAX = timedelta(days=21)
"""Amazon checks a payment for as long as this, then cancels the order (Seller Central help 200200040)."""

ENDPOINTS = {
    "na": "https://sellingpartnerapi-na.amazon.com",
    "eu": "https://sellingpartnerapi-eu.amazon.com",
    "fe": "https://sellingpartnerapi-fe.amazon.com",
}
LWA = "https://api.amazon.com"

LWA_BUCKET = "loginWithAmazon"
FILES_BUCKET = "documents"
"""Up- and downloads at the addresses that Amazon hands out."""
QUEUE_BUCKET = "notifications"
"""Calls to the seller's queue at AWS."""

RATES: dict[str, tuple[float, float]] = {
    "searchOrders": (20, 0.0056),
    "getOrder": (30, 0.5),
    "getListingsItem": (10, 5),
    "searchListingsItems": (5, 5),
    "patchListingsItem": (5, 5),
    "createFeedDocument": (15, 0.5),
    "createFeed": (2, 0.0083),
    "getFeed": (15, 2),
    "cancelFeed": (15, 2),
    "getFeedDocument": (10, 0.0222),
    "createReport": (15, 0.0167),
    "getReport": (15, 2),
    "getReportDocument": (15, 0.0167),
    "getMarketplaceParticipations": (15, 0.016),
    "getInventorySummaries": (2, 2),
    LWA_BUCKET: (5, 1),
    FILES_BUCKET: (10, 10),
    QUEUE_BUCKET: (20, 20),
}
"""Burst and calls per second of each operation, from its description in the models. createFeed's burst is less
than its own: of JSON_LISTINGS_FEED Amazon takes five in any five minutes, and with this burst there are never more.
The last three are ours: Amazon publishes none for
them."""


class QueueSettings(BaseModel):
    """A queue at AWS (SQS), and the key that may read it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    url: Annotated[str, Field(pattern=r"^https?://[^/]+/")]
    """The queue's address, as AWS shows it."""

    access_key: Annotated[str, Field(min_length=1)]
    """The id of an access key that may receive and delete the queue's messages."""

    secret_key: Secret
    """The secret of that access key."""

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        _check_safe(url)
        return url


class AmazonSettings(BaseModel):
    """Whose account it is, how we are let in, and what differs from one seller to another."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    seller_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{5,20}$", examples=["A3TH9S8BH6GOGM"])]
    """The merchant token: Seller Central > Account Info > Your Merchant Token. No call of the API tells it."""

    region: Literal["na", "eu", "fe"]
    """Where the account is: na (Americas), eu (Europe, Middle East, Africa, India), fe (Japan, Australia,
    Singapore). An account in two regions is two channels."""

    marketplaces: Annotated[tuple[Marketplace, ...], Field(min_length=1)]
    """The ids of the marketplaces whose listings are pulled and written, the most important first. Orders are read
    from every marketplace of the region: the number of a SKU counts for all of them."""

    client_id: Annotated[str, Field(min_length=1)]
    """The app's LWA client identifier."""

    client_secret: Secret
    """The app's LWA client secret. Amazon wants it replaced every 180 days; the refresh token stays."""

    refresh_token: Secret
    """What Amazon showed when the app was authorised for the account (Atzr|...). It is not replaced by use."""

    history_days: Annotated[int, Field(strict=True, ge=1, le=730)] = 30
    """Days that the very first pull of orders goes back. Default 30: pending orders live 21 days; Amazon gives 100
    orders about every three minutes."""

    orders_per_page: Annotated[Count, Field(le=100)] = 100
    """Orders in one answer. Default 100, the most: a search is the dearest call."""

    fba_orders: bool = False
    """Whether orders that Amazon fulfils are pulled too. They never move our units. Default false: they would use
    up the searches."""

    fba_pools: tuple[Marketplace, ...] = ()
    """Where Amazon keeps units of yours: one marketplace of each pool of them, named in marketplaces too. Those that
    sell the same units (in Pan-European FBA all of the EU; the UK has its own) are one pool: a second would count them
    twice. Each needs a [[location]] with kept_by = this channel, and an entry in the channel's remotes. Default none:
    units at Amazon are not read."""

    report_from: Annotated[Count, Field(le=SEARCHED_MAX)] = SEARCHED_MAX
    """From so many listings on their SKUs come by report, and are searched for. Default 1000: a search shows no
    more."""

    feed_from: Count = 1000
    """From so many raises at once on they go in one feed; one by one a thousand take 200 seconds. Default 1000: a feed
    takes minutes, at times half an hour. Zeroes and lowerings never go in one."""

    feed_least: Count = 10
    """Raises to fewer units go one by one: while a feed holds a SKU nothing else may be sent for it, and such a number
    may have to be lowered soon. Default 10."""

    raises_per_push: Annotated[Count, Field(le=FEED_ROWS_MAX)] = 2000
    """Raises in one push, so in one feed. Default 2000. Less than feed_from: nothing goes in feeds."""

    updates_per_push: Annotated[Count, Field(le=FEED_ROWS_MAX)] = 100
    """Numbers in one push. Default 100: one by one they take 20 seconds, and longer would hold up what is urgent."""

    feed_wait_s: Seconds = 0
    """Seconds that a push waits for Amazon to work off its feed; all other numbers of the account wait as long. After
    it the feed's numbers count as accepted. Default 0."""

    grace_s: Seconds = 900
    """Seconds within which an accepted number can be read, or is lost. Default 900: Amazon says minutes. For a feed's
    numbers it counts as an hour at least."""

    staleness_s: Seconds = 120
    """Seconds that a number which is read may be behind. Default 120."""

    order_visibility_s: Annotated[float, Field(ge=BLIND.total_seconds())] = 900
    """Seconds within which nearly every order can be found. Every search goes back as far. Default 900."""

    queue: Annotated[
        QueueSettings | None,
        Field(
            examples=[
                {
                    "url": "https://sqs.eu-west-1.amazonaws.com/123456789012/channelsync",
                    "access_key": "AKIAIOSFODNN7EXAMPLE",
                    "secret_key": {"env": "AMAZON_QUEUE_SECRET_KEY"},
                }
            ]
        ),
    ] = None
    """A queue of yours at AWS that Amazon sends its notifications to: changes are then seen within seconds. Needs
    the extra amazon-sqs. Not set by default: orders and numbers are polled only."""

    base_url: Annotated[str | None, Field(pattern=r"^https?://", examples=["http://127.0.0.1:8080"])] = None
    """Where the API is, for tests and Amazon's sandbox. Default: the region's."""

    lwa_url: Annotated[str | None, Field(pattern=r"^https?://", examples=["http://127.0.0.1:8080"])] = None
    """Where access tokens are made, without /auth/o2/token. Default https://api.amazon.com."""

    @field_validator("marketplaces", "fba_pools")
    @classmethod
    def _each_once(cls, marketplaces: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(marketplaces)) != len(marketplaces):
            raise ValueError("a marketplace is named twice")
        return marketplaces

    @model_validator(mode="after")
    def _pools_are_marketplaces(self) -> Self:
        other = [one for one in self.fba_pools if one not in self.marketplaces]
        if other:
            raise ValueError(f"fba_pools names {', '.join(other)}, which marketplaces does not: name it there too")
        return self

    @model_validator(mode="after")
    def _secrets_travel_safely(self) -> Self:
        for url in (self.url, self.tokens_url):
            _check_safe(url)
        return self

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.base_url or ENDPOINTS[self.region]

    @property
    def tokens_url(self) -> str:
        """Where access tokens are made."""
        return self.lwa_url or LWA

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """All that must not be shown."""
        queue = () if self.queue is None else (self.queue.secret_key,)
        return (self.client_secret, self.refresh_token, *queue)

    @property
    def grace(self) -> timedelta:
        """See `grace_s`."""
        return timedelta(seconds=self.grace_s)

    @property
    def feeds(self) -> bool:
        """Whether raises may go in feeds."""
        return self.feed_from <= max(self.raises_per_push, self.updates_per_push)

    @property
    def order_visibility(self) -> timedelta:
        """See `order_visibility_s`."""
        return timedelta(seconds=self.order_visibility_s)


def _check_safe(url: str) -> None:
    local = url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
    if url.startswith("http://") and not local:
        raise ValueError("secrets go over plain http to this machine only: use https")


def capabilities(settings: AmazonSettings) -> Capabilities:
    """How Amazon behaves. What no model or page tells was not measured yet (see quality.toml).

    updates_per_push: lowerings go one by one, each paid from patchListingsItem: a push must end soon, and what its last
        number rests on must still be fresh then. raises_per_push: a feed takes 25,000.
    reads_per_call: searchListingsItems by name. compare_and_set, answers_with_number: there is neither
        (ListingsItemPatchRequest, ListingsItemSubmissionResponse).
    meaning, behaviour: the quantity of a merchant-fulfilled listing is what is left to sell: it is lowered when the
        order comes in as pending (Seller Central help 200200040), and restored by a cancel, unless the seller gives
        `No Inventory` as the reason (Amazon seller support blog, 28 Mar 2011). A return raises nothing.
    zero: at 0 a listing is inactive until there is a number again (Seller Central: Inactive, out of stock).
    applies: nobody promises an order, neither among patches nor between patches and feeds
        (amzn/selling-partner-api-samples discussion 109).
    grace, staleness, order_visibility: unmeasured, hence settings. order_overlap: as far as orders come late.
    pending_limit: 21 days of checking the payment, and a day for the news to arrive.
    unique_skus: a listing is named by the seller's SKU.
    """
    return Capabilities(
        updates_per_push=settings.updates_per_push,
        raises_per_push=max(settings.raises_per_push, settings.updates_per_push) if settings.feeds else None,
        reads_per_call=ITEMS_PER_SEARCH,
        push_cost=CallCost(1, "patchListingsItem"),
        read_cost=CallCost(1, "searchListingsItems"),
        meaning="available",
        zero="deactivates",
        behaviour=NumberBehaviour(Deducts.AT_ORDER, frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT})),
        timing=Timing(
            staleness=timedelta(seconds=settings.staleness_s),
            skew=SKEW,
            grace=settings.grace,
            applies=Applies.ANY_ORDER,
        ),
        order_visibility=settings.order_visibility,
        order_overlap=settings.order_visibility,
        pending_limit=PENDING_MAX + timedelta(days=1),
        unique_skus=True,
    )


def budgets(_settings: AmazonSettings) -> tuple[Budget, ...]:
    """One bucket for each operation, of this account, app and region. What Amazon tells of its rate counts for more."""
    return tuple(Budget(name, burst, rate) for name, (burst, rate) in RATES.items())
