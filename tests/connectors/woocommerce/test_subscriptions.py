"""The webhooks that bring deliveries, and the options of the shop that decide when units are held."""

import json
from typing import Any

import pytest
import respx

from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.subscriptions import mend
from channelsync.sync.check_channels import webhook_points
from channelsync_woocommerce.settings import WooSettings
from channelsync_woocommerce.setup import HOLDING, TRACKING, checkpoints
from channelsync_woocommerce.webhooks import KEPT_AS, TOPICS

API = "https://shop.example/wp-json/wc/v3"
OURS = "https://seller.example/webhooks/s"


def webhook(number: int, topic: str, status: str = "active", url: str = OURS) -> dict[str, Any]:
    return {"id": number, "name": "any", "status": status, "topic": topic, "delivery_url": url, "secret": "hidden"}


ALL = [webhook(number, topic) for number, topic in enumerate(TOPICS, 1)]


def play(*rows: Any) -> None:
    """The shop with these webhooks; whatever else is asked of it fails the test."""
    respx.get(f"{API}/webhooks").respond(json=list(rows), headers={"X-WP-TotalPages": "1"})


@pytest.mark.parametrize(
    ("rows", "missing", "off"),
    [
        (ALL, [], []),
        ([], list(TOPICS), []),
        (ALL[1:], [TOPICS[0]], []),
        ([webhook(1, TOPICS[0], "disabled"), *ALL[1:]], [], ["1"]),
        ([webhook(1, TOPICS[0], "paused"), *ALL[1:]], [], []),  # the seller's wish
        ([*ALL, webhook(9, TOPICS[0], "disabled", "https://others.example")], [], []),
        ([webhook(1, TOPICS[0], url="https://others.example"), *ALL[1:]], [TOPICS[0]], []),
        ([*ALL, webhook(9, "coupon.updated", "disabled")], [], []),
    ],
)
@respx.mock
async def test_what_is_missing_or_was_switched_off_is_mended(
    shop, rows: list[Any], missing: list[str], off: list[str]
) -> None:
    play(*rows)
    added = respx.post(f"{API}/webhooks").respond(201, json=webhook(50, "any"))
    switched = respx.put(url__regex=rf"{API}/webhooks/\d+").respond(json=webhook(1, TOPICS[0]))
    done = await mend(shop, OURS)
    assert (list(done.missing), [one.name for one in done.off]) == (missing, off)
    bodies = [json.loads(call.request.content) for call in added.calls]
    assert [(body["topic"], body["delivery_url"], body["status"]) for body in bodies] == [
        (topic, OURS, "active") for topic in missing
    ]
    assert [json.loads(call.request.content)["status"] for call in switched.calls] == ["active"] * len(off)


@respx.mock
async def test_a_paused_webhook_is_told_with_what_the_seller_can_do(shop) -> None:
    play(webhook(1, TOPICS[0], "paused"), webhook(2, TOPICS[1], "disabled"), *ALL[2:])
    off, paused = webhook_points("my-shop", TOPICS, await shop.subscriptions(), OURS)
    why = "the shop has switched it off after failed deliveries"
    assert off.found == f"not delivered as they must be: {TOPICS[1]} ({why})"
    assert paused.found == f"{TOPICS[0]}: paused in the shop"
    assert paused.advice.startswith("Set it to Active in the shop")


@respx.mock
async def test_webhooks_that_the_seller_has_made_by_hand_keep_their_secret(shop) -> None:
    play(*ALL[1:])
    added = respx.post(f"{API}/webhooks").respond(201, json=webhook(50, TOPICS[0]))
    await mend(shop, OURS)
    assert json.loads(added.calls[0].request.content)["secret"] == "lab-webhook-secret"


class TestWithoutASecretInTheSettings:
    @pytest.fixture
    def settings(self, settings: WooSettings) -> WooSettings:
        return settings.model_copy(update={"webhook_secrets": ()})

    @respx.mock
    async def test_one_secret_is_made_for_all_and_kept(self, shop, resources) -> None:
        play()
        added = respx.post(f"{API}/webhooks").respond(201, json=webhook(50, TOPICS[0]))
        await mend(shop, OURS)
        given = {json.loads(call.request.content)["secret"] for call in added.calls}
        kept = await resources.vault.get(KEPT_AS)
        assert kept is not None
        assert given == {kept.get_secret_value()}
        assert len(kept.get_secret_value()) >= 40

    @respx.mock
    async def test_webhooks_whose_secret_nobody_knows_count_as_off(self, shop, resources) -> None:
        play(*ALL)
        switched = respx.put(url__regex=rf"{API}/webhooks/\d+").respond(json=webhook(1, TOPICS[0]))
        await mend(shop, OURS)
        assert switched.call_count == len(TOPICS)
        kept = await resources.vault.get(KEPT_AS)
        assert kept is not None
        assert {json.loads(call.request.content)["secret"] for call in switched.calls} == {kept.get_secret_value()}
        assert all(one.active for one in await shop.subscriptions()), "it is known now"


@respx.mock
async def test_a_webhook_that_cannot_be_read_is_an_error_and_not_one_more(shop) -> None:
    play({"id": "?"})
    with pytest.raises(AnswerUnreadable):
        await mend(shop, OURS)


@respx.mock
async def test_a_webhook_that_is_gone_already_is_ended(shop) -> None:
    play(*ALL)
    gone = respx.delete(f"{API}/webhooks/1").respond(404, json={"code": "woocommerce_rest_shop_webhook_invalid_id"})
    await shop.unsubscribe((await shop.subscriptions())[0])
    assert gone.calls[0].request.url.params["force"] == "true"


@respx.mock
async def test_the_recorded_webhooks_are_read(shop, recorded) -> None:
    play(*recorded("058"))
    assert {one.topic for one in await shop.subscriptions()} >= set(TOPICS)
    play(recorded("204"), recorded("205"))
    assert [one.active for one in await shop.subscriptions()] == [False, True]


# The shop's options


@pytest.mark.parametrize(
    ("tracking", "holding", "advised"),
    [
        ("yes", "60", []),
        ("yes", "", []),
        ("yes", "0", []),
        ("yes", "61", ["hold_stock_minutes = 61"]),
        ("no", "60", ["Enable stock management"]),
        (None, None, []),
    ],
)
def test_options_that_make_units_wrong_are_told(
    settings: WooSettings, tracking: str | None, holding: str | None, advised: list[str]
) -> None:
    points = checkpoints(settings, {TRACKING: tracking, HOLDING: holding})
    assert len(points) == 2
    told = [point.advice for point in points if not point.fine]
    assert len(told) == len(advised)
    assert all(some in advice for some, advice in zip(advised, told, strict=True))


@respx.mock
async def test_the_options_are_asked_for_and_a_shop_that_does_not_tell_them_is_no_fault(shop) -> None:
    respx.get(f"{API}/settings/products/{TRACKING}").respond(json={"value": "yes"})
    respx.get(f"{API}/settings/products/{HOLDING}").respond(404, json={"code": "rest_no_route"})
    assert [point.fine for point in await shop.inspect()] == [True, True]


def test_a_limit_of_0_is_none_and_not_a_short_one(settings: WooSettings) -> None:
    found = {
        holding: checkpoints(settings, {TRACKING: "yes", HOLDING: holding})[1].found for holding in ("", "0", "30")
    }
    assert found[""] == found["0"] == "unpaid orders hold units until somebody cancels them"
    assert found["30"] == "30 minutes, and we wait 60"
