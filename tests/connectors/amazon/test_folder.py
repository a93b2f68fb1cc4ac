"""The folder's files, and what the settings say."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from channelsync.sdk.contract.folder import FolderContract
from channelsync.sdk.values import Applies
from channelsync_amazon import CONNECTOR
from channelsync_amazon.settings import RATES, AmazonSettings

GIVEN = {
    "seller_id": "A3TH9S8BH6GOGM",
    "region": "eu",
    "marketplaces": ("A1PA6795UKMFR9",),
    "client_id": "x",
    "client_secret": "a-secret-of-the-app",
    "refresh_token": "a-token-of-the-account",
}


class TestFolder(FolderContract):
    connector = CONNECTOR
    settings = AmazonSettings(**GIVEN)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("na", "https://sellingpartnerapi-na.amazon.com"),
        ("eu", "https://sellingpartnerapi-eu.amazon.com"),
        ("fe", "https://sellingpartnerapi-fe.amazon.com"),
    ],
)
def test_the_region_decides_where_the_api_is(region: str, url: str) -> None:
    settings = AmazonSettings(**{**GIVEN, "region": region})
    assert (settings.url, settings.tokens_url) == (url, "https://api.amazon.com")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seller_id", "not a token"),
        ("region", "us"),
        ("marketplaces", ()),
        ("marketplaces", ("A1", "A1")),
        ("refresh_token", ""),
        ("base_url", "http://sellingpartnerapi-eu.amazon.com"),
        ("lwa_url", "http://api.amazon.com"),
        ("orders_per_page", 101),
        ("order_visibility_s", 60),
        ("feed_from", 0),
    ],
)
def test_settings_that_cannot_be_right_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        AmazonSettings(**{**GIVEN, name: value})
    assert "a-secret" not in str(caught.value)
    assert "a-token" not in str(caught.value)


def test_plain_http_goes_to_this_machine_only() -> None:
    settings = AmazonSettings(**{**GIVEN, "base_url": "http://127.0.0.1:8080", "lwa_url": "http://localhost:1"})
    assert (settings.url, settings.tokens_url) == ("http://127.0.0.1:8080", "http://localhost:1")


def test_every_declared_call_has_a_bucket_that_can_pay_it() -> None:
    capabilities = CONNECTOR.capabilities(TestFolder.settings)
    budgets = {one.name: one for one in CONNECTOR.budgets(TestFolder.settings)}
    for cost in (capabilities.push_cost, capabilities.read_cost):
        assert cost.bucket is not None
        assert cost.cost <= budgets[cost.bucket].capacity * 0.8
    assert set(budgets) == set(RATES)


def test_what_is_declared_follows_the_settings() -> None:
    told = {"grace_s": 60, "staleness_s": 5, "order_visibility_s": 300, "updates_per_push": 7}
    capabilities = CONNECTOR.capabilities(AmazonSettings(**GIVEN, **told))
    assert capabilities.timing.grace == timedelta(seconds=60)
    assert capabilities.timing.staleness == timedelta(seconds=5)
    assert capabilities.order_visibility == capabilities.order_overlap == timedelta(seconds=300)
    assert capabilities.updates_per_push == 7


def test_nobody_promises_an_order_of_writes_and_pending_orders_outlive_the_check_of_their_payment() -> None:
    capabilities = CONNECTOR.capabilities(TestFolder.settings)
    assert capabilities.timing.applies is Applies.ANY_ORDER
    assert capabilities.pending_limit is not None
    assert capabilities.pending_limit > timedelta(days=21)
    assert CONNECTOR.webhooks is None


def test_the_guide_names_what_the_settings_want() -> None:
    said = " ".join(CONNECTOR.guide.steps)
    for name in ("client_id", "client_secret", "refresh_token", "seller_id"):
        assert name in said


@pytest.mark.parametrize(
    ("feed_from", "raises", "most"), [(1000, 2000, 2000), (1000, 900, None), (50, 20, 100)], ids=["on", "off", "low"]
)
def test_raises_have_fuller_pushes_where_feeds_may_take_them(feed_from: int, raises: int, most: int | None) -> None:
    told = CONNECTOR.capabilities(AmazonSettings(**GIVEN, feed_from=feed_from, raises_per_push=raises))
    assert (told.updates_per_push, told.raises_per_push) == (100, most)
    assert told.timing.grace == timedelta(minutes=15), "what goes one by one is not waited for as long as a feed"
