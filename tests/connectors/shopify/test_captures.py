"""Answers that Shopify really gave (API 2026-04), replayed: the connector says of each what happened."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import GraphQLSchema, parse, validate

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync_shopify import CONNECTOR, documents, wire, wire_listings
from channelsync_shopify.quantities import REASON, rows_of
from channelsync_shopify.translate import number_of
from channelsync_shopify.translate_listings import available

OPERATION = "SetQuantities"


def updates(given: dict[str, Any]) -> list[QuantityUpdate]:
    """The captured rows as updates of ours."""
    return [
        QuantityUpdate(
            key=QuantityKey(number_of(row["inventoryItemId"]), number_of(row["locationId"])),
            value=row["quantity"],
            listing="1",
            expected=row.get("changeFromQuantity"),
            idempotency="captured",
        )
        for row in given["quantities"]
    ]


def cases_in(captured: Any) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each (name, input, response) of an absolute write in a capture."""
    if isinstance(captured, dict):
        for name, one in captured.items():
            if isinstance(one, dict) and isinstance(one.get("response"), dict):
                given = (one.get("variables") or {}).get("input")
                data = one["response"].get("data") or {}
                if isinstance(given, dict) and "quantities" in given and "inventorySetQuantities" in data:
                    yield name, given, one["response"]
            yield from cases_in(one)


def answers_in(captured: Any) -> Iterator[dict[str, Any]]:
    """Each GraphQL answer in a capture."""
    if isinstance(captured, dict):
        if "extensions" in captured and "cost" in (captured["extensions"] or {}):
            yield captured
        for one in captured.values():
            yield from answers_in(one)
    elif isinstance(captured, list):
        for one in captured:
            yield from answers_in(one)


def levels_in(captured: Any) -> Iterator[dict[str, Any]]:
    """Each level with its quantities in a capture."""
    if isinstance(captured, dict):
        if "quantities" in captured and isinstance(captured.get("location"), dict):
            yield captured
        for one in captured.values():
            yield from levels_in(one)
    elif isinstance(captured, list):
        for one in captured:
            yield from levels_in(one)


@pytest.fixture
def replay(settings, resources, shop):
    """Pushes what was captured against the captured answer."""

    async def replayed(given: list[QuantityUpdate], response: dict[str, Any]) -> list[PushResult]:
        shop.on(OPERATION, httpx.Response(200, json=response))
        async with CONNECTOR.open(settings, resources) as channel:
            return list(await channel.push(given))

    return replayed


async def test_the_captured_write_is_what_we_send_and_is_accepted(capture, replay, shop) -> None:
    captured = capture("inventory-quantity-contracts-2026-04")["inventorySetQuantities"]
    given = captured["variables"]["input"]
    (result,) = await replay(updates(given), captured["response"])
    assert (result.state, result.shown) == ("accepted", None)
    sent = shop.variables(OPERATION)[0]["input"]
    ours = {name: value for name, value in sent.items() if name != "referenceDocumentUri"}
    assert ours == {name: value for name, value in given.items() if name != "referenceDocumentUri"}


@pytest.mark.parametrize("name", ["missingSetIdempotency", "missingSetChangeFromQuantity", "legacySetShape"])
async def test_a_captured_refusal_of_the_whole_request_is_a_bug_of_ours(capture, replay, name: str) -> None:
    captured = capture("inventory-quantity-contracts-2026-04")[name]
    with pytest.raises(ChannelMisbehaved) as caught:
        await replay(updates(captured["variables"]["input"]), captured["response"])
    assert captured["response"]["errors"][0]["extensions"]["code"] in str(caught.value)


@pytest.mark.fault(31, "the rows that are named are refused, the others are not")
@pytest.mark.parametrize(
    "name",
    ["2026-04__products__inventorySetQuantities-name-validation", "inventorySetQuantities-quantity-bounds"],
)
async def test_captured_user_errors_refuse_the_rows_that_they_name(capture, replay, shop, name: str) -> None:
    seen = 0
    for case, given, response in cases_in(capture(name)):
        asked = updates(given)
        negative = any(one.value < 0 for one in asked)
        errors = response["data"]["inventorySetQuantities"]["userErrors"]
        shop.asked.clear()
        if negative:  # never leaves us
            with pytest.raises(ValueError, match="negative"):
                await replay(asked, response)
            seen += 1
            continue
        results = await replay(asked, response)
        assert [one.key for one in results] == [one.key for one in asked]
        if errors:
            assert {one.state for one in results} == {"refused"}, case
            assert errors[0]["message"] in results[0].reason
        else:
            assert {one.state for one in results} == {"accepted"}, case
        seen += 1
    assert seen >= 1


async def test_our_reason_is_one_that_shopify_took(capture, replay) -> None:
    captured = capture("inventory-reason-validation")["acceptedReasonCases"][REASON]
    assert captured["response"]["data"]["inventorySetQuantities"]["userErrors"] == []
    given = captured["variables"]["input"]
    assert rows_of(updates(given), "key")["reason"] == given["reason"]
    assert {one.state for one in await replay(updates(given), captured["response"])} == {"accepted"}


async def test_the_captured_sixth_bulk_operation_is_refused_and_pages_are_read_instead(
    capture, settings, resources, shop, words
) -> None:
    captured = capture("bulk-operation-run-query-concurrency-limit")
    shop.on("ListingsCount", words.answer({"productVariantsCount": {"count": 5000}}))
    shop.on("BulkStart", httpx.Response(200, json=captured["sixthRun"]["response"]))
    shop.on("Listings", words.answer({"productVariants": words.page(words.variant(1))}))
    async with CONNECTOR.open(settings, resources) as channel:
        assert [one.listing async for one in channel.listings()] == ["1"]


def test_a_captured_bulk_operation_that_started_is_read(capture) -> None:
    runs = capture("bulk-operation-run-query-concurrency-limit")["successfulRuns"]
    assert runs
    for run in runs:
        started = wire.BulkStarted.model_validate(run["response"]["data"]["bulkOperationRunQuery"])
        assert started.bulk_operation is not None
        assert started.bulk_operation.status == "CREATED"


async def test_a_captured_denial_of_access_names_the_permission(capture, settings, resources, shop) -> None:
    denied = [
        one
        for one in answers_in(capture("2025-01__products__inventory-adjust-quantities-parity"))
        if any(error["extensions"].get("code") == "ACCESS_DENIED" for error in one.get("errors", []))
    ]
    assert denied
    for one in denied:
        shop.on("Check", httpx.Response(200, json=one))
        async with CONNECTOR.open(settings, resources) as channel:
            with pytest.raises(NeedsSeller, match="read_users"):
                await channel.check()


def test_every_captured_answer_says_what_is_left(contracts: Path) -> None:
    seen = 0
    for path in sorted((contracts / "live-captures").glob("*.json")):
        for one in answers_in(json.loads(path.read_text())):
            envelope = wire.Envelope.model_validate(one)
            status = envelope.extensions.cost.throttle_status
            assert status is not None, path.name
            assert status.restore_rate > 0
            assert 0 <= status.currently_available <= 20 * status.restore_rate
            seen += 1
    assert seen > 100


def test_every_captured_level_can_be_read(contracts: Path) -> None:
    seen = 0
    for path in sorted((contracts / "live-captures").glob("2026-04__products__*.json")):
        for one in levels_in(json.loads(path.read_text())):
            if not {"id"} <= set(one["location"]) or not all({"name", "quantity"} <= set(q) for q in one["quantities"]):
                continue
            level = wire_listings.Level.model_validate(one)
            told = {quantity["name"]: quantity["quantity"] for quantity in one["quantities"]}
            assert available(level.quantities) == told.get("available")
            seen += 1
    assert seen > 10


def test_the_captured_form_of_a_write_is_valid_and_the_one_before_it_is_not(
    contracts: Path, schema: GraphQLSchema
) -> None:
    requests = contracts / "live-captures" / "requests"
    text = (requests / "products__inventory-quantity-contracts-2026-set.graphql").read_text()
    assert validate(schema, parse(text)) == []
    old = documents.SET_QUANTITIES.text.replace("@idempotent(key: $key)", "@idempotent")
    assert validate(schema, parse(old)) != []
