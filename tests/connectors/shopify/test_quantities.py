"""Writing numbers: what is sent, and what becomes of each row when Shopify refuses the call."""

import random
from typing import Any

import httpx
import pytest
from graphql import GraphQLSchema, coerce_input_value

from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.resources import Resources
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync_shopify import CONNECTOR
from channelsync_shopify.quantities import key_of, rows_of
from channelsync_shopify.settings import ShopifySettings

OPERATION = "SetQuantities"


def update(item: int, value: int = 5, expected: int | None = 9, *, location: str = "7", **more: Any) -> QuantityUpdate:
    more.setdefault("idempotency", f"{item}-1")
    return QuantityUpdate(key=QuantityKey(str(item), location), value=value, listing="1", expected=expected, **more)


@pytest.fixture
def push(settings: ShopifySettings, resources: Resources):
    """Pushes on a channel that was opened anew."""

    async def push_updates(*updates: QuantityUpdate) -> list[PushResult]:
        async with CONNECTOR.open(settings, resources) as channel:
            return list(await channel.push(updates))

    return push_updates


def rows(shop: Any, call: int) -> list[tuple[str, str, int, int | None]]:
    """The rows of one write, as they left."""
    given = shop.variables(OPERATION)[call]["input"]["quantities"]
    return [(one["inventoryItemId"], one["locationId"], one["quantity"], one["changeFromQuantity"]) for one in given]


def items(shop: Any) -> list[list[int]]:
    """The items of each write."""
    writes = range(len(shop.variables(OPERATION)))
    return [[int(row[0].rpartition("/")[2]) for row in rows(shop, call)] for call in writes]


def states(results: list[PushResult]) -> list[str]:
    return [one.state for one in results]


async def test_a_write_is_absolute_compares_and_carries_an_idempotency_key(push, shop, words) -> None:
    shop.on(OPERATION, words.written())
    results = await push(update(1, 5, expected=9), update(2, 0, expected=None))
    assert states(results) == ["accepted", "accepted"]
    assert [one.shown for one in results] == [None, None], "Shopify's answer does not state the number"
    assert rows(shop, 0) == [
        ("gid://shopify/InventoryItem/1", "gid://shopify/Location/7", 5, 9),
        ("gid://shopify/InventoryItem/2", "gid://shopify/Location/7", 0, None),
    ]
    sent = shop.variables(OPERATION)[0]
    assert (sent["input"]["name"], sent["input"]["reason"]) == ("available", "correction")
    assert sent["key"]


def test_what_is_sent_is_what_the_schema_takes(schema: GraphQLSchema) -> None:
    given = rows_of([update(1), update(2, expected=None)], "a-key")
    coerced = coerce_input_value(given, schema.type_map["InventorySetQuantitiesInput"])  # type: ignore[arg-type]
    assert coerced == given
    # The schema does not say so: the field must be there, also where it compares with nothing.
    assert all("changeFromQuantity" in row for row in given["quantities"])


def test_the_idempotency_key_is_the_same_for_a_repeat_and_for_nothing_else() -> None:
    one, two = update(1), update(2)
    assert key_of([one, two]) == key_of([one, two])
    others = [
        [one],
        [two, one],
        [one, update(2, 4)],
        [one, update(2, expected=None)],
        [one, update(2, location="8")],
        [one, update(2, idempotency="2-2")],
    ]
    assert len({key_of([one, two]), *(key_of(other) for other in others)}) == 7


async def test_an_update_without_a_key_of_its_own_is_never_taken_for_an_earlier_one(push, shop, words) -> None:
    shop.on(OPERATION, words.written())
    for _ in range(2):
        await push(update(1, idempotency=""))
    first, second = shop.variables(OPERATION)
    assert first["key"] != second["key"]


@pytest.mark.fault(31, "the row that is named is refused, and the others go again without it")
async def test_a_refused_row_is_answered_and_the_others_go_again_without_it(push, shop, words) -> None:
    shop.on(OPERATION, words.written(words.user_error("INVALID_INVENTORY_ITEM", 1)), words.written())
    results = await push(*(update(item) for item in (1, 2, 3)))
    assert states(results) == ["accepted", "refused", "accepted"]
    assert "INVALID_INVENTORY_ITEM" in results[1].reason
    assert items(shop) == [[1, 2, 3], [1, 3]]
    keys = [one["key"] for one in shop.variables(OPERATION)]
    assert len(set(keys)) == 2, "other rows under one key would be a mismatch"


async def test_a_row_that_shows_another_number_is_a_conflict(push, shop, words) -> None:
    stale = words.user_error("CHANGE_FROM_QUANTITY_STALE", 0, "changeFromQuantity")
    bundle = words.user_error("NON_MUTABLE_INVENTORY_ITEM", 2)
    shop.on(OPERATION, words.written(stale, bundle), words.written())
    results = await push(*(update(item) for item in (1, 2, 3)))
    assert states(results) == ["conflict", "accepted", "refused"]
    assert results[0].shown is None


async def test_where_no_row_is_named_halves_go_by_themselves_until_it_is_found(push, shop, words) -> None:
    def judge(variables: dict[str, Any]) -> httpx.Response:
        bad = any(row["inventoryItemId"].endswith("/6") for row in variables["input"]["quantities"])
        return words.written(words.user_error("CHANGE_FROM_QUANTITY_STALE", None)) if bad else words.written()

    shop.on(OPERATION, judge)
    results = await push(*(update(item) for item in range(1, 9)))
    assert states(results) == ["accepted"] * 5 + ["conflict"] + ["accepted"] * 2
    assert len(items(shop)) == 7


async def test_with_all_rows_bad_each_gets_its_own_answer(push, shop, words) -> None:
    errors = [words.user_error("INVALID_LOCATION", row, "locationId") for row in range(3)]
    shop.on(OPERATION, words.written(*errors))
    assert states(await push(*(update(item) for item in (1, 2, 3)))) == ["refused"] * 3
    assert len(items(shop)) == 1


@pytest.mark.parametrize("code", ["INVALID_NAME", "INVALID_REASON", "INVALID_REFERENCE_DOCUMENT"])
async def test_an_error_of_the_whole_call_is_not_looked_for_row_by_row(push, shop, words, code: str) -> None:
    shop.on(OPERATION, words.written(words.user_error(code, None)))
    assert states(await push(update(1), update(2))) == ["refused", "refused"]
    assert len(items(shop)) == 1


@pytest.mark.parametrize("code", ["IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"])
async def test_a_used_up_key_is_replaced_once(push, shop, words, code: str) -> None:
    shop.on(OPERATION, words.written(words.user_error(code, None)), words.written())
    assert states(await push(update(1))) == ["accepted"]
    first, second = shop.variables(OPERATION)
    assert first["key"] != second["key"]
    assert first["input"]["quantities"] == second["input"]["quantities"]
    shop.on(OPERATION, words.written(words.user_error(code, None)))
    assert states(await push(update(1, idempotency="again"))) == ["refused"]
    assert len(shop.variables(OPERATION)) == 4


async def test_a_write_that_is_still_under_way_has_an_unknown_outcome(push, shop, words) -> None:
    shop.on(OPERATION, words.written(words.user_error("IDEMPOTENCY_CONCURRENT_REQUEST", None)))
    assert states(await push(update(1), update(2))) == ["unknown", "unknown"]


async def test_an_answer_that_changed_something_in_spite_of_an_error_leaves_the_others_unknown(
    push, shop, words
) -> None:
    error = words.user_error("INVALID_INVENTORY_ITEM", 0)
    shop.on(OPERATION, words.written(error, changed=True))
    assert states(await push(update(1), update(2))) == ["refused", "unknown"]
    assert len(items(shop)) == 1


async def test_what_cannot_be_shopifys_never_leaves(push, shop, words) -> None:
    shop.on(OPERATION, words.written())
    odd = QuantityUpdate(key=QuantityKey("no-such-key"), value=1, listing="no-such-listing")
    results = await push(odd, update(2), update(3, location=""))
    assert states(results) == ["refused", "accepted", "refused"]
    assert items(shop) == [[2]]
    assert states(await push(odd)) == ["refused"]
    assert len(items(shop)) == 1
    assert await push() == []


async def test_too_many_rows_and_negative_numbers_are_errors_of_the_caller(push, shop) -> None:
    with pytest.raises(ValueError, match="250"):
        await push(*(update(item) for item in range(1, 252)))
    with pytest.raises(ValueError, match="negative"):
        await push(update(1), update(2, -1))
    assert shop.asked == []


async def test_250_rows_are_one_call(push, shop, words) -> None:
    shop.on(OPERATION, words.written())
    assert states(await push(*(update(item) for item in range(1, 251)))) == ["accepted"] * 250
    assert len(items(shop)) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.ReadTimeout("nothing"), OutcomeUnknown),
        (httpx.Response(502, html="<html>bad gateway</html>"), OutcomeUnknown),
        (httpx.Response(404, html="<html>no such page</html>"), OutcomeUnknown),
        (httpx.Response(423, json={"message": "locked"}), OutcomeUnknown),
        (httpx.Response(402, json={"errors": "Unavailable Shop"}), NeedsSeller),
        (httpx.Response(429, json={"errors": "Exceeded 2 calls per second for api client."}), TryLater),
        (httpx.Response(200, html="<html>maintenance</html>"), ChannelMisbehaved),
        (httpx.Response(200, json={}), ChannelMisbehaved),
    ],
)
async def test_a_write_without_an_answer_is_raised_and_made_once(push, shop, reply: Any, error: type) -> None:
    shop.on(OPERATION, reply)
    with pytest.raises(error):
        await push(update(1))
    assert len(items(shop)) == 1


async def test_a_throttled_write_is_not_made_again_because_its_number_would_be_old(push, shop, words) -> None:
    shop.on(OPERATION, words.answer(errors=[words.refused("THROTTLED")], left=1, asked=11))
    with pytest.raises(TryLater) as caught:
        await push(update(1))
    assert caught.value.retry_after == pytest.approx(0.1)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert len(items(shop)) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("INTERNAL_SERVER_ERROR", OutcomeUnknown),
        ("BAD_REQUEST", ChannelMisbehaved),
        ("INVALID_FIELD_ARGUMENTS", ChannelMisbehaved),
    ],
)
async def test_a_failed_mutation_says_whether_it_may_be_in_force(push, shop, words, code: str, error: type) -> None:
    shop.on(OPERATION, words.answer({"inventorySetQuantities": None}, errors=[words.refused(code)]))
    with pytest.raises(error):
        await push(update(1))


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        (httpx.ReadTimeout("nothing"), "unknown"),
        (httpx.Response(503), "unknown"),
        (httpx.Response(403), "not sent"),
    ],
)
async def test_after_the_first_answer_nothing_is_raised_and_what_is_left_is_told(
    push, shop, words, reply, left: str
) -> None:
    shop.on(OPERATION, words.written(words.user_error("INVALID_INVENTORY_ITEM", 0)), reply)
    results = await push(*(update(item) for item in (1, 2, 3)))
    assert states(results) == ["refused", left, left]


async def test_random_refusals_never_change_or_lose_a_row(push, shop, words) -> None:
    rng = random.Random(7)
    for _ in range(20):
        bad = {item for item in range(1, 31) if rng.random() < 0.2}
        names_rows = rng.random() < 0.5
        in_force: dict[int, int] = {}

        def judge(variables: dict[str, Any], bad=bad, names_rows=names_rows, in_force=in_force) -> httpx.Response:
            given = variables["input"]["quantities"]
            numbers = [int(row["inventoryItemId"].rpartition("/")[2]) for row in given]
            errors = [place for place, number in enumerate(numbers) if number in bad]
            if not errors:
                in_force |= dict(zip(numbers, (row["quantity"] for row in given), strict=True))
                return words.written()
            if names_rows:
                return words.written(*(words.user_error("INVALID_INVENTORY_ITEM", place) for place in errors))
            return words.written(words.user_error("INVALID_INVENTORY_ITEM", None))

        shop.on(OPERATION, judge)
        results = await push(*(update(item, value=item) for item in range(1, 31)))
        assert [one.key.key for one in results] == [str(item) for item in range(1, 31)]
        assert {int(one.key.key) for one in results if one.state == "refused"} == bad
        assert in_force == {item: item for item in range(1, 31) if item not in bad}
