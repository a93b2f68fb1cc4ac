"""Writing numbers one by one: what is sent, what the answers mean, and what is never sent."""

import httpx
import pytest

from channelsync.sdk.errors import AnswerUnreadable, NeedsSeller, NotSent, OutcomeUnknown, TryLater
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_amazon import CONNECTOR

US, CA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"


def update(sku: str, value: int, *, lowering: bool = True, location: str = "") -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(sku, location), value=value, listing=sku, sku=sku, lowering=lowering)


@pytest.fixture(autouse=True)
def selling(amazon, words) -> None:
    """A, B and C are the seller's own; every patch is taken."""
    amazon.on(
        "searchListingsItems",
        lambda asked: words.items(
            *(words.item(sku) for sku in asked.params["identifiers"].split(",") if sku in ("A", "B", "C"))
        ),
    )
    amazon.on("getListingsItem", words.error(404, "NOT_FOUND"))
    amazon.on("patchListingsItem", lambda asked: words.submission(asked.sku))


async def test_a_number_is_merged_into_the_offer(channel, amazon) -> None:
    (result,) = await channel.push([update("A", 7)])
    assert (result.key, result.state, result.shown) == (QuantityKey("A"), "accepted", None)
    (asked,) = amazon.of("patchListingsItem")
    assert asked.params == {"marketplaceIds": US, "includedData": "issues", "issueLocale": "en_US"}
    assert asked.body == {
        "productType": "PRODUCT",
        "patches": [
            {
                "op": "merge",
                "path": "/attributes/fulfillment_availability",
                "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": 7}],
            }
        ],
    }


async def test_what_was_not_seen_is_looked_at_once_before_it_is_written(channel, amazon) -> None:
    await channel.push([update("A", 1), update("B", 1)])
    await channel.push([update("A", 2), update("B", 2)])
    assert amazon.operations == ["searchListingsItems", *["patchListingsItem"] * 4]


async def test_a_read_is_a_sight_too_and_a_sight_ends(channel, amazon, words, clock) -> None:
    amazon.on("getListingsItem", words.item("A"))
    await channel.read([QuantityKey("A")])
    await channel.push([update("A", 1)])
    assert amazon.of("searchListingsItems") == []
    await clock.sleep(6 * 3600)
    await channel.push([update("A", 1)])
    assert len(amazon.of("searchListingsItems")) == 1


async def test_an_unknown_sku_is_refused_because_amazon_would_make_a_listing_of_it(channel, amazon) -> None:
    results = await channel.push([update("X", 1), update("A", 1)])
    assert [(one.key.key, one.state) for one in results] == [("X", "refused"), ("A", "accepted")]
    assert "no listing" in results[0].reason
    assert [one.sku for one in amazon.of("patchListingsItem")] == ["A"]


@pytest.mark.parametrize("more", [{"code": "AMAZON_NA", "quantity": None}, {"code": "AMAZON_EU"}])
async def test_what_amazon_fulfils_is_never_written(channel, amazon, words, more) -> None:
    amazon.on("searchListingsItems", words.items(words.item("A", **more)))
    (result,) = await channel.push([update("A", 0)])
    assert (result.state, result.reason) == ("refused", "Amazon fulfils it: its number is not ours to write")
    assert amazon.of("patchListingsItem") == []


async def test_a_sku_that_flipped_is_refused_from_the_read_on_that_saw_it(channel, amazon, words) -> None:
    await channel.push([update("A", 1)])
    amazon.on("getListingsItem", words.item("A", None, "AMAZON_NA"))
    await channel.read([QuantityKey("A")])
    (result,) = await channel.push([update("A", 1)])
    assert result.state == "refused"
    assert len(amazon.of("patchListingsItem")) == 1


@pytest.mark.parametrize(
    "available", [[], [{"fulfillmentChannelCode": "d7679e14-031b", "quantity": 3}]], ids=["no offer", "per source"]
)
async def test_what_has_no_number_of_its_own_is_refused(channel, amazon, words, available) -> None:
    amazon.on("searchListingsItems", words.items(words.item("A", fulfillmentAvailability=available)))
    (result,) = await channel.push([update("A", 1)])
    assert result.state == "refused"
    assert result.reason


async def test_there_are_no_locations(channel, amazon) -> None:
    (result,) = await channel.push([update("A", 1, location="somewhere")])
    assert result.state == "refused"
    assert amazon.operations == []


async def test_a_number_is_written_where_the_sku_is_listed(settings, resources, amazon, words) -> None:
    amazon.on("searchListingsItems", words.items(words.item("A", summaries=[words.summary(CA, "BUYABLE")])))
    both = settings.model_copy(update={"marketplaces": (US, CA)})
    async with CONNECTOR.open(both, resources) as channel:
        await channel.push([update("A", 1)])
    assert amazon.of("patchListingsItem")[0].params["marketplaceIds"] == CA
    assert amazon.of("searchListingsItems")[0].params["marketplaceIds"] == f"{US},{CA}"


async def test_results_come_in_the_order_of_the_updates_and_zeroes_go_first(channel, amazon) -> None:
    updates = [update("A", 5, lowering=False), update("B", 0), update("C", 1)]
    results = await channel.push(updates)
    assert [one.key.key for one in results] == ["A", "B", "C"]
    assert [one.sku for one in amazon.of("patchListingsItem")] == ["B", "C", "A"]


async def test_a_refused_number_holds_up_nobody(channel, amazon, words) -> None:
    issue = words.issue("4000004", message="This listing is under review")
    warning = words.issue("1", "WARNING")

    def answer(asked):
        invalid = words.submission(asked.sku, "INVALID", warning, issue)
        return invalid if asked.sku == "B" else words.submission(asked.sku)

    amazon.on("patchListingsItem", answer)
    results = await channel.push([update("A", 0), update("B", 0), update("C", 0)])
    assert [one.state for one in results] == ["accepted", "refused", "accepted"]
    assert results[1].reason == "4000004: This listing is under review", "INVALID comes with HTTP 200"


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (lambda words: words.submission("A", "ACCEPTED", words.issue("1", "WARNING")), "accepted", ""),
        (lambda words: words.submission("A", "INVALID"), "refused", "Amazon gives no reason"),
        (lambda words: words.submission("A", "INVALID", words.issue("1", "WARNING")), "refused", "1: something is"),
        (lambda words: words.submission("A", "VALID"), "unknown", "'VALID'"),
        (lambda words: words.error(400, "InvalidInput", "bad quantity"), "refused", "InvalidInput: bad quantity"),
        (lambda words: words.error(413, "TooLarge"), "refused", "TooLarge"),
        (lambda _words: httpx.Response(404, text="nothing"), "refused", "HTTP 404"),
    ],
)
async def test_what_the_answer_to_a_patch_means(channel, amazon, words, answer, state: str, reason: str) -> None:
    amazon.on("patchListingsItem", answer(words))
    (result,) = await channel.push([update("A", 1)])
    assert result.state == state
    assert reason in result.reason


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500, json={"errors": []}), OutcomeUnknown),
        (httpx.ReadTimeout("nothing came"), OutcomeUnknown),
        (httpx.Response(200, text="<html>"), AnswerUnreadable),
        (httpx.Response(200, json={"sku": "A"}), AnswerUnreadable),
        (httpx.Response(429, json={"errors": []}), TryLater),
        (httpx.ConnectError("no"), NotSent),
        (httpx.Response(403, json={"errors": []}), NeedsSeller),
    ],
)
async def test_a_write_that_is_not_answered_is_raised_and_sent_once(channel, amazon, answer, error) -> None:
    await channel.push([update("A", 9)])
    amazon.on("patchListingsItem", answer)
    with pytest.raises(error):
        await channel.push([update("A", 1)])
    assert len(amazon.of("patchListingsItem")) == 2


async def test_a_write_without_an_answer_leaves_its_own_number_open(channel, amazon, words) -> None:
    lost = httpx.Response(500, json={"errors": []})
    amazon.on("patchListingsItem", lambda asked: lost if asked.sku == "B" else words.submission(asked.sku))
    results = await channel.push([update("B", 0), update("A", 0), update("C", 0)])
    assert [one.state for one in results] == ["unknown", "accepted", "accepted"]


async def test_after_two_writes_without_an_answer_no_more_are_sent(channel, amazon, words) -> None:
    lost = httpx.Response(500, json={"errors": []})
    amazon.on("patchListingsItem", words.submission("A"), lost, lost)
    results = await channel.push([update("A", 0), update("B", 0), update("C", 0), update("A", 0), update("B", 0)])
    assert [one.state for one in results] == ["accepted", "unknown", "unknown", "not sent", "not sent"]
    assert len(amazon.of("patchListingsItem")) == 3
    assert "not sent" in results[3].reason


async def test_once_a_number_was_answered_nothing_is_raised(channel, amazon, words) -> None:
    amazon.on("patchListingsItem", words.submission("A"), httpx.Response(429, json={"errors": []}))
    results = await channel.push([update("A", 0), update("B", 0), update("C", 0)])
    assert [one.state for one in results] == ["accepted", "not sent", "not sent"]
    assert len(amazon.of("patchListingsItem")) == 2


async def test_a_refusal_of_our_own_hides_no_failure(channel, amazon) -> None:
    amazon.on("patchListingsItem", httpx.Response(403, json={"errors": []}))
    with pytest.raises(NeedsSeller):
        await channel.push([update("X", 1), update("A", 1)])


async def test_negative_numbers_and_too_many_never_leave(settings, resources, amazon) -> None:
    small = settings.model_copy(update={"updates_per_push": 2})
    async with CONNECTOR.open(small, resources) as channel:
        with pytest.raises(ValueError, match="negative"):
            await channel.push([update("A", -1)])
        with pytest.raises(ValueError, match="2"):
            await channel.push([update("A", 1)] * 3)
        assert await channel.push([]) == []
    assert amazon.asked == []
