"""What the marketplace's deliveries hint at; which of them are genuine is the contract's matter."""

from datetime import timedelta

import orjson
import pytest

from channelsync.lab.webhook_sender import signed
from channelsync.sdk.values import QuantityKey
from channelsync.sdk.webhooks import Harmless, WebhookHint
from channelsync_sandbox import CONNECTOR


@pytest.fixture
def told(subscription, channel_settings, clock, resources):
    """What a signed body hints at."""
    scheme = CONNECTOR.webhooks(channel_settings, resources)

    async def hint(body: bytes) -> WebhookHint | Harmless | None:
        return await scheme.verify(signed(subscription, "msg-7", clock.now(), body), body, clock.now())

    return hint


async def test_a_number_that_changed_hints_at_its_key(told, clock) -> None:
    number = {"key": "K-7", "location": "north", "number": 4, "committed": None, "held": None}
    assert await told(orjson.dumps({"type": "number.changed", "data": {"number": number}})) == WebhookHint(
        topic="number.changed", event="msg-7", sent_at=clock.now(), keys=(QuantityKey("K-7", "north"),)
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<html>", b'{"type": 7}', b'{"data": {}}', b"\xff"])
async def test_a_signed_delivery_that_cannot_be_read_hints_that_something_is_new(told, clock, body: bytes) -> None:
    assert await told(body) == WebhookHint(topic="", event="msg-7", sent_at=clock.now())


@pytest.mark.parametrize("data", [{}, {"order": 7}, {"order": {"id": 7}}, {"order": {"id": ""}}, {"number": "K-7"}])
async def test_a_delivery_of_nothing_known_hints_at_its_topic_only(told, clock, data: dict) -> None:
    expected = WebhookHint(topic="order.updated", event="msg-7", sent_at=clock.now())
    assert await told(orjson.dumps({"type": "order.updated", "data": data})) == expected


def test_a_marketplace_that_sends_no_webhooks_has_no_scheme(channel_settings, resources) -> None:
    assert CONNECTOR.webhooks(channel_settings.model_copy(update={"webhooks": False}), resources) is None


async def test_without_any_secret_nothing_is_genuine(subscription, channel_settings, clock, resources) -> None:
    scheme = CONNECTOR.webhooks(channel_settings.model_copy(update={"webhook_secrets": ()}), resources)
    body = b'{"type": "order.updated"}'
    assert await scheme.verify(signed(subscription, "msg-7", clock.now(), body), body, clock.now()) is None


async def test_the_marketplaces_clock_may_be_off_by_its_skew(subscription, channel_settings, clock, resources) -> None:
    scheme = CONNECTOR.webhooks(channel_settings.model_copy(update={"skew_s": 90.0}), resources)
    body = b'{"type": "order.updated"}'
    for ahead, passes in ((timedelta(seconds=389), True), (timedelta(seconds=391), False)):
        headers = signed(subscription, "msg-7", clock.now() + ahead, body)
        assert (await scheme.verify(headers, body, clock.now()) is not None) == passes
