"""Writing many numbers in a feed: its document, its report row by row, and a feed that dies."""

import json
from typing import Any

import httpx
import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from channelsync.sdk.errors import NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_amazon import CONNECTOR, feeds
from channelsync_amazon.wire_documents import ProcessingReport

SELLER = "A3TH9S8BH6GOGM"
SKUS = ("A", "B", "C", "D")


def update(sku: str, value: int = 5, *, lowering: bool = False) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(sku), value=value, listing=sku, sku=sku, lowering=lowering or value == 0)


UPDATES = [update(sku) for sku in SKUS]


@pytest.fixture(autouse=True)
def selling(amazon, words) -> None:
    """A to D are the seller's own; a feed is done at once and all of it was taken."""
    amazon.on(
        "searchListingsItems",
        lambda asked: words.items(*(words.item(sku) for sku in asked.params["identifiers"].split(","))),
    )
    amazon.on("patchListingsItem", lambda asked: words.submission(asked.sku))
    amazon.on("createFeedDocument", {"feedDocumentId": "in", "url": f"{words.files}/in?X-Amz-Signature=signed-away"})
    amazon.on("PUT /in", httpx.Response(200))
    amazon.on("createFeed", {"feedId": "1"})
    amazon.on("getFeed", words.feed("DONE", "out"))
    amazon.on("getFeedDocument", words.document("out", "feed"))
    amazon.on("GET /out", words.feed_result(accepted=4))


def states(results: Any) -> list[str]:
    return [one.state for one in results]


# The document and the report


def schema(models: Any, name: str) -> Draft7Validator:
    folder = models / "schemas" / "feeds"
    loaded = {path.name: json.loads(path.read_text()) for path in folder.glob("*schema-v2.json")}
    registry: Registry[Any] = Registry().with_resources(
        [(file, Resource.from_contents(content, default_specification=DRAFT7)) for file, content in loaded.items()]
    )
    return Draft7Validator(loaded[name], registry=registry)


def test_the_document_fits_amazons_schema(models) -> None:
    document = json.loads(feeds.document_of(SELLER, [update("A", 0), update("B", 7)]))
    validator = schema(models, "listings-feed-schema-v2.json")
    assert [error.message for error in validator.iter_errors(document)] == []
    assert document["header"] == {"sellerId": SELLER, "version": "2.0", "issueLocale": "en_US"}
    assert document["messages"][1] == {
        "messageId": 2,
        "sku": "B",
        "operationType": "PATCH",
        "productType": "PRODUCT",
        "patches": [
            {
                "op": "merge",
                "path": "/attributes/fulfillment_availability",
                "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": 7}],
            }
        ],
    }
    assert [*validator.iter_errors({"header": {}, "messages": []})], "the schema refuses nothing"


def test_a_merge_is_what_amazons_example_of_a_feed_shows(models) -> None:
    example = json.loads((models / "schemas" / "feeds" / "listings-feed-schema-v2.example.json").read_text())
    merges = [one for one in example["messages"] if one.get("patches", [{}])[0].get("op") == "merge"]
    assert [one["patches"] for one in merges] == [[feeds.quantity_patch(10)]]


def test_amazons_example_of_a_processing_report(models) -> None:
    path = models / "schemas" / "feeds" / "listings-feed-processing-report-schema-v2.example.json"
    report = ProcessingReport.model_validate(json.loads(path.read_text()))
    results = feeds.results_of([update(f"S-{number}") for number in range(1, 7)], report)
    assert states(results) == ["accepted", "accepted", "accepted", "refused", "refused", "accepted"]
    assert results[3].reason.startswith("90220: '[batteries_required]' is required but not supplied.; 90220: ")


# (issues as (message, severity), accepted, invalid) -> states of four rows
REPORTS: dict[str, tuple[list[tuple[int | None, str]], int, int, list[str]]] = {
    "all taken": ([], 4, 0, ["accepted"] * 4),
    "one refused": ([(2, "ERROR")], 3, 1, ["accepted", "refused", "accepted", "accepted"]),
    "a warning": ([(2, "WARNING")], 4, 0, ["accepted"] * 4),
    "an information": ([(2, "INFO")], 4, 0, ["accepted"] * 4),
    "the whole feed refused": ([(None, "ERROR")], 0, 0, ["refused"] * 4),
    "an error of no message, some taken": ([(None, "ERROR")], 2, 2, ["unknown"] * 4),
    "an error of no message, one of a message": ([(None, "ERROR"), (1, "ERROR")], 1, 3, ["refused", *["unknown"] * 3]),
    "an error of no message, and yet all taken": ([(None, "ERROR")], 4, 0, ["accepted"] * 4),
    "a warning of no message": ([(None, "WARNING")], 4, 0, ["accepted"] * 4),
    "an error of a message that was not sent": ([(9, "ERROR")], 4, 0, ["accepted"] * 4),
}


@pytest.mark.parametrize("case", list(REPORTS))
def test_what_a_processing_report_means_row_by_row(words, models, case: str) -> None:
    issues, accepted, invalid, expected = REPORTS[case]
    told = [words.row_issue(message, severity=severity) for message, severity in issues]
    body = words.feed_result(*told, accepted=accepted, invalid=invalid).json()
    validator = schema(models, "listings-feed-processing-report-schema-v2.json")
    assert [error.message for error in validator.iter_errors(body)] == []
    results = feeds.results_of(UPDATES, ProcessingReport.model_validate(body))
    assert states(results) == expected
    assert all(one.reason for one in results if one.state != "accepted")


# Pushing


async def test_many_numbers_go_in_one_feed(channel, amazon) -> None:
    results = await channel.push(UPDATES)
    assert [(one.key.key, one.state) for one in results] == [(sku, "accepted") for sku in SKUS]
    assert amazon.operations == [
        "searchListingsItems",
        "createFeedDocument",
        "PUT /in",
        "createFeed",
        "getFeed",
        "getFeedDocument",
        "GET /out",
    ]
    (upload,) = amazon.of("PUT /in")
    assert upload.headers["content-type"] == amazon.of("createFeedDocument")[0].body["contentType"]
    assert "x-amz-access-token" not in upload.headers
    assert [one["sku"] for one in upload.body["messages"]] == [*SKUS]
    assert amazon.of("createFeed")[0].body == {
        "feedType": "JSON_LISTINGS_FEED",
        "marketplaceIds": ["ATVPDKIKX0DER"],
        "inputFeedDocumentId": "in",
    }


async def test_few_numbers_go_one_by_one(channel, amazon) -> None:
    await channel.push(UPDATES[:2])
    assert len(amazon.of("patchListingsItem")) == 2
    assert amazon.of("createFeed") == []


async def test_zeroes_go_by_themselves_and_before_the_feed(channel, amazon) -> None:
    await channel.push([*UPDATES[:3], update("D", 0)])
    assert amazon.operations[1] == "patchListingsItem"
    assert [one.sku for one in amazon.of("patchListingsItem")] == ["D"]
    assert [one["sku"] for one in amazon.of("PUT /in")[0].body["messages"]] == ["A", "B", "C"]


async def test_a_lowering_never_waits_for_a_feed(channel, amazon) -> None:
    await channel.push([update(sku, 1, lowering=True) for sku in SKUS])
    assert len(amazon.of("patchListingsItem")) == 4
    assert amazon.of("createFeed") == []


async def test_a_sku_goes_one_way_only(channel, amazon) -> None:
    await channel.push([*UPDATES, update("A", 0)])
    patched = {one.sku for one in amazon.of("patchListingsItem")}
    fed = {one["sku"] for one in amazon.of("PUT /in")[0].body["messages"]}
    assert (patched, fed) == ({"A"}, {"B", "C", "D"})


async def test_a_row_that_is_refused_has_its_reason_and_its_neighbours_are_taken(channel, amazon, words) -> None:
    amazon.on("GET /out", words.feed_result(words.row_issue(2, "under review"), accepted=3, invalid=1))
    results = await channel.push(UPDATES)
    assert states(results) == ["accepted", "refused", "accepted", "accepted"]
    assert results[1].reason == "4000: under review"


async def test_a_push_waits_for_its_feed(channel, amazon, words, clock) -> None:
    begun = clock.now()
    amazon.on("getFeed", words.feed("IN_QUEUE"), words.feed("IN_PROGRESS"), words.feed("DONE", "out"))
    assert states(await channel.push(UPDATES)) == ["accepted"] * 4
    assert 2 <= (clock.now() - begun).total_seconds() < 120
    assert len(amazon.of("getFeed")) == 3


@pytest.mark.parametrize(
    ("state", "reason"), [("FATAL", "gave the feed up"), ("CANCELLED", "cancelled"), ("DONE", "no result")]
)
async def test_a_feed_that_dies_leaves_its_numbers_open(channel, amazon, words, state: str, reason: str) -> None:
    amazon.on("getFeed", words.feed("IN_PROGRESS"), words.feed(state))
    results = await channel.push(UPDATES)
    assert states(results) == ["unknown"] * 4
    assert reason in results[0].reason
    assert states(await channel.push(UPDATES[:1])) == ["accepted"], "they are free again"


async def test_what_takes_too_long_is_accepted_and_nothing_else_is_sent_for_it(channel, amazon, words) -> None:
    amazon.on("getFeed", words.feed("IN_PROGRESS"))
    assert states(await channel.push(UPDATES[:3])) == ["accepted"] * 3
    results = await channel.push([update("A", 0), update("D", 0)])
    assert states(results) == ["not sent", "accepted"]
    assert "feed 1 still holds it" in results[0].reason
    assert [one.sku for one in amazon.of("patchListingsItem")] == ["D"]
    amazon.on("getFeed", words.feed("DONE", "out"))
    assert states(await channel.push([update("A", 0)])) == ["accepted"]
    assert [one.sku for one in amazon.of("patchListingsItem")] == ["D", "A"]


async def test_a_lowering_takes_a_feed_back_that_amazon_has_not_begun_with(channel, amazon, words) -> None:
    amazon.on("getFeed", words.feed("IN_QUEUE"))
    amazon.on("cancelFeed", httpx.Response(200))
    await channel.push(UPDATES[:3])
    assert states(await channel.push([update("A", 7), update("D", 0)])) == ["not sent", "accepted"], "a raise waits"
    assert amazon.of("cancelFeed") == []
    assert states(await channel.push([update("A", 0), update("B", 6)])) == ["accepted"] * 2, "all are free again"
    assert [one.sku for one in amazon.of("patchListingsItem")] == ["D", "A", "B"]
    await channel.push([update("C", 0)])
    assert len(amazon.of("cancelFeed")) == 1


async def test_a_feed_that_amazon_has_begun_with_is_waited_for(channel, amazon, words) -> None:
    amazon.on("getFeed", words.feed("IN_QUEUE"))
    amazon.on("cancelFeed", words.error(400, "InvalidInput"))
    await channel.push(UPDATES[:3])
    assert states(await channel.push([update("A", 0)])) == ["not sent"]
    assert len(amazon.of("cancelFeed")) == 1
    assert amazon.of("patchListingsItem") == []


async def test_what_a_feed_refuses_late_is_told_with_the_next_push_once(channel, amazon, words) -> None:
    amazon.on("getFeed", words.feed("IN_PROGRESS"))
    await channel.push(UPDATES[:3])
    amazon.on("getFeed", words.feed("DONE", "out"))
    amazon.on("GET /out", words.feed_result(words.row_issue(2, "under review"), accepted=2, invalid=1))
    results = await channel.push(UPDATES[:2])
    assert states(results) == ["accepted", "refused"]
    assert results[1].reason == "4000: under review"
    assert states(await channel.push(UPDATES[1:2])) == ["accepted"]


async def test_a_late_refusal_of_another_number_holds_up_nothing(channel, amazon, words) -> None:
    amazon.on("getFeed", words.feed("IN_PROGRESS"))
    await channel.push(UPDATES[:3])
    amazon.on("getFeed", words.feed("DONE", "out"))
    amazon.on("GET /out", words.feed_result(words.row_issue(1), words.row_issue(2), accepted=1, invalid=2))
    assert states(await channel.push([update("A", 0), update("B", 3)])) == ["accepted", "accepted"]


@pytest.mark.fault(33, "a feed without a result is dead after hours, and the newest number is sent")
async def test_a_feed_that_never_ends_is_dead_after_hours(channel, amazon, words, clock) -> None:
    amazon.on("getFeed", words.feed("IN_PROGRESS"))
    await channel.push(UPDATES[:3])
    await clock.sleep(6 * 3600)
    assert states(await channel.push(UPDATES[:1])) == ["accepted"]
    assert len(amazon.of("patchListingsItem")) == 1


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ("getFeed", httpx.Response(503)),
        ("getFeedDocument", httpx.Response(503)),
        ("GET /out", httpx.Response(403)),
        ("GET /out", httpx.Response(200, text="<html>")),
        ("GET /out", httpx.Response(200, json={"issues": "none"})),
    ],
)
async def test_a_feed_that_cannot_be_watched_is_watched_later(channel, amazon, words, where: str, answer) -> None:
    amazon.on(where, answer)
    assert states(await channel.push(UPDATES)) == ["accepted"] * 4, "Amazon has taken it"
    amazon.on("getFeed", words.feed("DONE", "out"))
    amazon.on("getFeedDocument", words.document("out", "feed"))
    amazon.on("GET /out", words.feed_result(words.row_issue(1), accepted=3, invalid=1))
    assert states(await channel.push(UPDATES[:1])) == ["refused"]


async def test_a_result_that_stays_unreadable_holds_nobody_up_for_ever(channel, amazon) -> None:
    amazon.on("GET /out", httpx.Response(200, text="<html>"))
    await channel.push(UPDATES)
    assert states(await channel.push(UPDATES[:1])) == ["accepted"]


@pytest.mark.parametrize("where", ["createFeedDocument", "PUT /in"])
async def test_before_a_feed_is_handed_over_nothing_was_written(channel, amazon, where: str) -> None:
    amazon.on(where, httpx.Response(503))
    with pytest.raises(TryLater) as caught:
        await channel.push(UPDATES)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert amazon.of("createFeed") == []


async def test_an_upload_to_an_address_that_has_ended_is_tried_later(channel, amazon) -> None:
    amazon.on("PUT /in", httpx.Response(403, text="<Error>Request has expired</Error>"))
    with pytest.raises(TryLater):
        await channel.push(UPDATES)


async def test_a_feed_that_may_have_been_handed_over_has_an_unknown_outcome(channel, amazon) -> None:
    amazon.on("createFeed", httpx.ReadTimeout("nothing came"))
    with pytest.raises(OutcomeUnknown):
        await channel.push(UPDATES)
    assert len(amazon.of("createFeed")) == 1


async def test_once_zeroes_were_answered_a_feed_that_fails_never_left(channel, amazon, clock) -> None:
    amazon.on("createFeed", httpx.Response(403, json={"errors": []}))
    with pytest.raises(NeedsSeller):
        await channel.push(UPDATES)
    await clock.sleep(300)
    results = await channel.push([*UPDATES[:3], update("D", 0)])
    assert states(results) == ["not sent"] * 3 + ["accepted"]


async def test_each_marketplace_has_a_feed_of_its_own(settings, resources, amazon, words) -> None:
    def listed(sku: str) -> list[Any]:
        return [words.summary(words.us if sku in "ABC" else words.ca, "BUYABLE")]

    amazon.on(
        "searchListingsItems",
        lambda asked: words.items(
            *(words.item(sku, summaries=listed(sku)) for sku in asked.params["identifiers"].split(","))
        ),
    )
    both = settings.model_copy(update={"marketplaces": (words.us, words.ca)})
    async with CONNECTOR.open(both, resources) as channel:
        assert states(await channel.push(UPDATES)) == ["accepted"] * 4
    assert [one.body["marketplaceIds"] for one in amazon.of("createFeed")] == [[words.us]]
    assert [one.params["marketplaceIds"] for one in amazon.of("patchListingsItem")] == [words.ca]
