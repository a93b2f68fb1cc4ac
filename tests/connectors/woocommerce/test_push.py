"""What a push sends, and what each answer means for each row. The shop is played by respx."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller, NotSent, OutcomeUnknown, TryLater
from channelsync.sdk.values import QuantityKey, QuantityUpdate
from channelsync_woocommerce import CONNECTOR
from channelsync_woocommerce.settings import PUSH_SECONDS

API = "https://shop.example/wp-json/wc/v3"
PRODUCTS = f"{API}/products/batch"
FATAL = {"code": "internal_server_error", "message": "<p>There has been a critical error.</p>", "data": {"status": 500}}


def update(key: str, value: int = 5) -> QuantityUpdate:
    return QuantityUpdate(key=QuantityKey(key), value=value, listing=key)


def written(request: httpx.Request) -> httpx.Response:
    """The shop writes all that it is asked to."""
    rows = json.loads(request.content)["update"]
    return httpx.Response(200, json={"update": [{**row, "manage_stock": True} for row in rows]})


def under(parent: int) -> str:
    return f"{API}/products/{parent}/variations/batch"


@respx.mock
async def test_a_hundred_numbers_are_one_request(shop) -> None:
    route = respx.post(PRODUCTS).mock(side_effect=written)
    updates = [update(str(number), number) for number in range(1, 101)]
    results = await shop.push(updates)
    assert [(one.state, one.shown) for one in results] == [("accepted", number) for number in range(1, 101)]
    assert route.call_count == 1
    assert json.loads(route.calls[0].request.content)["update"][0] == {"id": 1, "stock_quantity": 1}


@respx.mock
async def test_variations_go_in_one_request_for_each_parent(shop) -> None:
    routes = [respx.post(url).mock(side_effect=written) for url in (PRODUCTS, under(15), under(25))]
    results = await shop.push([update("15:18", 1), update("10", 2), update("25:26", 3), update("15:16", 4)])
    assert [(one.key.key, one.shown) for one in results] == [("15:18", 1), ("10", 2), ("25:26", 3), ("15:16", 4)]
    assert [route.call_count for route in routes] == [1, 1, 1]


@respx.mock
async def test_a_recorded_batch_with_partial_errors_is_told_row_by_row(shop, recorded) -> None:
    respx.post(PRODUCTS).respond(json=recorded("035"))
    results = await shop.push([update("10", 10), update("999999", 3), update("12", 0)])
    assert [one.state for one in results] == ["accepted", "refused", "accepted"]


@respx.mock
async def test_a_key_that_names_nothing_is_refused_without_a_request(shop) -> None:
    (result,) = await shop.push([update("no-such-key")])
    assert (result.state, bool(result.reason)) == ("refused", True)


async def test_nothing_to_push_asks_nothing_and_too_much_changes_nothing(shop) -> None:
    assert await shop.push([]) == []
    with pytest.raises(ValueError, match="100"):
        await shop.push([update("10")] * 101)
    with pytest.raises(ValueError, match="negative"):
        await shop.push([update("10", -1)])


class TestASmallerBatch:
    @pytest.fixture
    def settings(self, settings):
        return settings.model_copy(update={"updates_per_push": 20})

    async def test_the_batch_is_as_large_as_the_host_takes(self, shop, settings) -> None:
        assert CONNECTOR.capabilities(settings).updates_per_push == 20
        with pytest.raises(ValueError, match="20"):
            await shop.push([update(str(number)) for number in range(1, 22)])


# When nothing at all was done


@respx.mock
@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_batch_that_the_shop_refuses_on_purpose_is_refused_row_by_row(shop, status: int) -> None:
    error = {"code": "woocommerce_rest_cannot_edit", "message": "Not now.", "data": status}
    route = respx.post(PRODUCTS).respond(status, json=error)
    results = await shop.push([update("10"), update("11")])
    assert [(one.state, one.reason) for one in results] == [("refused", "woocommerce_rest_cannot_edit: Not now.")] * 2
    assert route.call_count == 1


@respx.mock
async def test_a_recorded_500_that_is_the_clients_error_is_a_refusal(shop, recorded) -> None:
    respx.post(PRODUCTS).respond(500, json=recorded("046"))
    (result,) = await shop.push([update("10")])
    assert (result.state, result.reason) == (
        "refused",
        "woocommerce_rest_cannot_create_order_refund: Invalid refund amount.",
    )


@respx.mock
async def test_a_recorded_batch_that_is_too_large_says_what_to_lower(shop, recorded) -> None:
    respx.post(PRODUCTS).respond(413, json=recorded("037"))
    with pytest.raises(NeedsSeller, match="updates_per_push"):
        await shop.push([update("10")])


@respx.mock
async def test_a_throttled_push_is_not_repeated_with_numbers_that_have_aged(shop) -> None:
    route = respx.post(PRODUCTS).respond(429, headers={"Retry-After": "2"})
    with pytest.raises(TryLater) as caught:
        await shop.push([update("10")])
    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.retry_after == 2
    assert route.call_count == 1


@respx.mock
async def test_a_shop_that_cannot_be_reached_got_nothing(shop) -> None:
    respx.post(PRODUCTS).mock(side_effect=httpx.ConnectError)
    with pytest.raises(NotSent):
        await shop.push([update("10")])


# When nobody can tell


@respx.mock
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json=FATAL),  # PHP died in the middle of it
        httpx.Response(500, html="<h1>Internal Server Error</h1>"),
        httpx.Response(502),
        httpx.Response(503, headers={"Retry-After": "5"}),
        httpx.Response(504, html="<h1>Gateway timeout</h1>"),
    ],
)
async def test_a_push_that_broke_has_an_unknown_outcome_and_leaves_once(shop, answer: httpx.Response) -> None:
    route = respx.post(PRODUCTS).mock(return_value=answer)
    with pytest.raises(OutcomeUnknown):
        await shop.push([update("10")])
    assert route.call_count == 1


@respx.mock
@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
async def test_a_push_without_an_answer_has_an_unknown_outcome(shop, error: type[Exception]) -> None:
    route = respx.post(PRODUCTS).mock(side_effect=error)
    with pytest.raises(OutcomeUnknown):
        await shop.push([update("10")])
    assert route.call_count == 1


@respx.mock
@pytest.mark.parametrize("body", [b"<html>Maintenance</html>", b"", b"[]", b'{"envelope": {}}', b'{"update": [{"id'])
async def test_an_answer_to_a_push_that_nobody_can_read_may_have_been_applied(shop, body: bytes) -> None:
    respx.post(PRODUCTS).respond(200, content=body)
    with pytest.raises(AnswerUnreadable):
        await shop.push([update("10")])


@respx.mock
@pytest.mark.parametrize(
    ("second", "state"),
    [
        (httpx.Response(429), "not sent"),
        (httpx.Response(500), "unknown"),
        (httpx.Response(200, content=b""), "unknown"),
        (httpx.Response(401), "not sent"),
        (httpx.Response(418), "not sent"),
    ],
)
async def test_what_was_written_is_told_though_the_next_batch_fails(shop, second: httpx.Response, state: str) -> None:
    respx.post(PRODUCTS).mock(side_effect=written)
    respx.post(under(15)).mock(return_value=second)
    last = respx.post(under(25)).mock(side_effect=written)
    results = await shop.push([update("10"), update("15:18"), update("25:26"), update("nothing")])
    assert [one.state for one in results] == ["accepted", state, "not sent", "refused"]
    assert not last.called, "a shop in trouble is left alone; what was not sent comes again"


@respx.mock
async def test_an_error_of_the_first_batch_is_raised_because_nothing_was_written(shop) -> None:
    respx.post(PRODUCTS).respond(418)
    last = respx.post(under(15)).mock(side_effect=written)
    with pytest.raises(ChannelMisbehaved):
        await shop.push([update("10"), update("15:18")])
    assert not last.called


@respx.mock
async def test_no_batch_is_begun_when_those_before_it_took_too_long(shop, clock) -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await clock.sleep(PUSH_SECONDS + 1)
        return written(request)

    respx.post(PRODUCTS).mock(side_effect=slow)
    last = respx.post(under(15)).mock(side_effect=written)
    results = await shop.push([update("10"), update("15:18")])
    assert [one.state for one in results] == ["accepted", "not sent"]
    assert not last.called


def test_the_grace_covers_all_batches_of_a_push(settings: Any) -> None:
    grace = CONNECTOR.capabilities(settings).timing.grace
    assert grace >= timedelta(seconds=PUSH_SECONDS + 60)
