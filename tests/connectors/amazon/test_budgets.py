"""Budgets: a bucket for each operation, as the models tell them, corrected by what Amazon says."""

import json
import re

import httpx
import pytest

from channelsync.sdk.errors import TryLater
from channelsync.sdk.limiter import Limiter
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_amazon import CONNECTOR
from channelsync_amazon.settings import FILES_BUCKET, LWA_BUCKET, QUEUE_BUCKET, RATES, AmazonSettings

MODELS = {
    "orders_2026-01-01": ("searchOrders", "getOrder"),
    "listingsItems_2021-08-01": ("getListingsItem", "searchListingsItems", "patchListingsItem"),
    "feeds_2021-06-30": ("createFeedDocument", "createFeed", "getFeed", "cancelFeed", "getFeedDocument"),
    "reports_2021-06-30": ("createReport", "getReport", "getReportDocument"),
    "sellers": ("getMarketplaceParticipations",),
    "fbaInventory": ("getInventorySummaries",),
}
USAGE = re.compile(r"\|\s*([\d.]+)\s*\|\s*(\d+)\s*\|")
MUG = QuantityKey("MUG")


@pytest.mark.parametrize("name", list(MODELS))
def test_every_operation_has_the_rate_that_its_description_tells(models, name: str) -> None:
    told = json.loads((models / "models" / f"{name}.json").read_text())
    entries = [one for path in told["paths"].values() for one in path.values()]
    operations = [one for one in entries if isinstance(one, dict) and "operationId" in one]
    usage = {one["operationId"]: USAGE.search(one["description"]) for one in operations}
    for operation in MODELS[name]:
        found = usage[operation]
        assert found is not None
        rate, burst = float(found[1]), float(found[2])
        ours = (2.0, rate) if operation == "createFeed" else (burst, rate)
        assert RATES[operation] == ours, operation


def test_there_are_never_more_than_five_feeds_in_five_minutes() -> None:
    burst, rate = RATES["createFeed"]
    assert burst + 300 * rate <= 5


def test_no_operation_is_without_a_bucket() -> None:
    assert set(RATES) == {one for some in MODELS.values() for one in some} | {LWA_BUCKET, FILES_BUCKET, QUEUE_BUCKET}


async def test_each_call_pays_from_the_bucket_of_its_operation(channel, resources, amazon, words) -> None:
    amazon.on("getListingsItem", words.item())
    amazon.on("searchListingsItems", words.items(words.item("A"), words.item("B")))
    await channel.read([MUG])
    await channel.read([QuantityKey("A"), QuantityKey("B")])
    levels = {name: state.level for name, state in resources.limiter.state().items()}
    spent = {name: RATES[name][0] - level for name, level in levels.items() if level < RATES[name][0]}
    assert spent == {"getListingsItem": 1, "searchListingsItems": 1, LWA_BUCKET: 1}


async def test_a_burst_that_is_used_up_is_waited_for(channel, amazon, words, clock) -> None:
    amazon.on("getListingsItem", words.item())
    begun = clock.monotonic()
    for _ in range(18):
        await channel.read([MUG])
    assert clock.monotonic() - begun == pytest.approx(2, abs=0.05), "8 of 10 at once, then 5 a second"


def rated(body: object, rate: str) -> httpx.Response:
    return httpx.Response(200, json=body, headers={"x-amzn-RateLimit-Limit": rate})


@pytest.mark.parametrize(("told", "rate"), [("10.0", 10.0), ("0.5", 0.5), ("2", 2.0)])
async def test_the_rate_that_amazon_tells_counts(channel, resources, amazon, words, told: str, rate: float) -> None:
    amazon.on("getListingsItem", rated(words.item(), told))
    await channel.read([MUG])
    state = resources.limiter.state()
    assert state["getListingsItem"].per_second == rate
    assert state["getListingsItem"].level == pytest.approx(9), "what is left is not told, so it stays as it was"
    assert state["searchListingsItems"].per_second == 5, "it is the operation's own"


@pytest.mark.parametrize("told", ["", "none", "0", "-1", "nan", "inf"])
async def test_a_rate_that_is_none_changes_nothing(channel, resources, amazon, words, told: str) -> None:
    amazon.on("getListingsItem", rated(words.item(), told))
    await channel.read([MUG])
    assert resources.limiter.state()["getListingsItem"].per_second == 5


async def test_a_refusal_tells_the_rate_too(channel, resources, amazon) -> None:
    headers = {"x-amzn-RateLimit-Limit": "3"}
    told = {"errors": [{"code": "NOT_FOUND", "message": "SKU 'MUG' not found"}]}
    amazon.on("getListingsItem", httpx.Response(404, json=told, headers=headers))
    await channel.read([MUG])
    assert resources.limiter.state()["getListingsItem"].per_second == 3


async def test_a_throttled_operation_waits_and_the_others_do_not(channel, resources, amazon, words) -> None:
    quota = words.error(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")
    amazon.on("getOrder", quota)
    with pytest.raises(TryLater):
        await channel.orders_by_id(["250-0000000-0000001"])
    limiter: Limiter = resources.limiter
    assert limiter.would_wait(bucket="getOrder") > 0
    assert limiter.would_wait(bucket="getListingsItem") == 0


async def test_what_amazon_asks_to_wait_is_told(channel, amazon) -> None:
    amazon.on("getOrder", httpx.Response(429, json={"errors": []}, headers={"Retry-After": "120"}))
    with pytest.raises(TryLater) as caught:
        await channel.orders_by_id(["250-0000000-0000001"])
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 119


@pytest.fixture
def feeding(amazon, words):
    """Feeds that are cancelled at once, and patches."""
    amazon.on(
        "searchListingsItems",
        lambda asked: words.items(*(words.item(sku) for sku in asked.params["identifiers"].split(","))),
    )
    amazon.on("createFeedDocument", {"feedDocumentId": "in", "url": f"{words.files}/in"})
    amazon.on("PUT /in", httpx.Response(200))
    amazon.on("createFeed", {"feedId": "1"})
    amazon.on("getFeed", words.feed("CANCELLED"))
    amazon.on("patchListingsItem", lambda asked: words.submission(asked.sku))
    return [
        QuantityUpdate(key=QuantityKey(f"S-{place}"), value=1, listing=f"S-{place}", lowering=False)
        for place in range(12)
    ]


async def test_without_a_feeds_turn_numbers_go_one_by_one(channel, amazon, feeding) -> None:
    await channel.push(feeding[:3])
    assert amazon.of("patchListingsItem") == []
    results = await channel.push(feeding)
    assert {one.state for one in results} == {"accepted"}
    assert len(amazon.of("patchListingsItem")) == 12
    assert len(amazon.of("createFeed")) == 1


async def test_a_full_push_of_zeroes_ends_in_well_under_a_minute(settings, resources, amazon, feeding, clock) -> None:
    most = AmazonSettings.model_fields["updates_per_push"].default
    zeroes = [QuantityUpdate(key=QuantityKey(f"S-{place}"), value=0, listing=f"S-{place}") for place in range(most)]
    async with CONNECTOR.open(settings.model_copy(update={"updates_per_push": most}), resources) as channel:
        begun = clock.monotonic()
        assert {one.state for one in await channel.push(zeroes)} == {"accepted"}
    assert clock.monotonic() - begun < 30
    assert len(amazon.of("patchListingsItem")) == most
