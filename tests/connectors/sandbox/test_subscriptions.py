"""Webhooks that the sandbox connector registers: their secrets are in the vault, and verify what is delivered."""

from dataclasses import replace

import pytest

from channelsync.lab.webhook_sender import signed
from channelsync.sdk.connecting import Inspects
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.subscriptions import Subscribes, mend, repair_of
from channelsync.sdk.webhooks import WebhookHint
from channelsync_sandbox import CONNECTOR

OURS = "https://agent.example.com/webhooks/agora-uk"
BODY = b'{"type": "order.updated"}'


@pytest.fixture
def alone(channel_settings):
    """Settings without a secret that was set by hand."""
    return channel_settings.model_copy(update={"webhook_secrets": ()})


async def test_what_is_registered_is_verified_with_the_secret_that_was_told(alone, resources, site, clock) -> None:
    scheme = CONNECTOR.webhooks(alone, resources)
    async with CONNECTOR.open(alone, resources) as channel:
        assert isinstance(channel, Subscribes)
        await mend(channel, OURS)
        assert not repair_of(channel.topics, await channel.subscriptions(), OURS).needed

    ours = [one for one in site.api.subscriptions.of("agora") if one.url == OURS]
    assert len(ours) == len({one.topics for one in ours}) == 4
    for one in ours:
        hint = await scheme.verify(signed(one, "msg-1", clock.now(), BODY), BODY, clock.now())
        assert isinstance(hint, WebhookHint)
        forged = signed(one, "msg-1", clock.now(), BODY, forged=True)
        assert await scheme.verify(forged, BODY, clock.now()) is None


async def test_an_ended_webhooks_secret_is_good_for_nothing_any_more(alone, resources, site, clock) -> None:
    scheme = CONNECTOR.webhooks(alone, resources)
    async with CONNECTOR.open(alone, resources) as channel:
        await channel.subscribe("order.created", OURS)
        (ours,) = [one for one in site.api.subscriptions.of("agora") if one.url == OURS]
        found = await channel.subscriptions()
        await channel.unsubscribe(next(one for one in found if one.address == OURS))
        await channel.unsubscribe(next(one for one in found if one.address == OURS))

    assert await scheme.verify(signed(ours, "msg-1", clock.now(), BODY), BODY, clock.now()) is None


async def test_a_webhook_without_a_known_secret_is_off_until_it_is_registered_anew(alone, resources, site) -> None:
    site.api.subscriptions.add("agora", OURS, ("order.created",))
    async with CONNECTOR.open(alone, resources) as channel:
        off = [one for one in await channel.subscriptions() if one.address == OURS]
        assert [(one.active, one.trouble) for one in off] == [(False, "its secret is not known here")]
        await mend(channel, OURS)
        assert {one.active for one in await channel.subscriptions() if one.address == OURS} == {True}

    assert off[0].name not in {one.id for one in site.api.subscriptions.of("agora")}


async def test_secrets_set_by_hand_make_every_webhook_count_as_on(channel_settings, resources) -> None:
    async with CONNECTOR.open(channel_settings, resources) as channel:
        assert {one.active for one in await channel.subscriptions()} == {True}


class Locked:
    """A vault whose key was lost."""

    async def get(self, name: str):
        raise NeedsSeller("Put the key back.")

    async def put(self, name: str, secret) -> None:
        raise NeedsSeller("Put the key back.")


async def test_a_vault_that_cannot_be_opened_makes_a_delivery_wait(alone, resources, subscription, clock) -> None:
    scheme = CONNECTOR.webhooks(alone, replace(resources, vault=Locked()))
    with pytest.raises(TryLater, match="Put the key back"):
        await scheme.verify(signed(subscription, "msg-1", clock.now(), BODY), BODY, clock.now())


async def test_a_marketplace_that_sends_none_wants_no_topic(alone, resources) -> None:
    async with CONNECTOR.open(alone.model_copy(update={"webhooks": False}), resources) as channel:
        assert channel.topics == ()


async def test_it_tells_what_the_marketplace_declares_otherwise(alone, resources) -> None:
    for settings, fine in (
        (alone, True),
        (alone.model_copy(update={"on_difference": "warn", "updates_per_push": 7}), False),
    ):
        async with CONNECTOR.open(settings, resources) as channel:
            assert isinstance(channel, Inspects)
            declares = (await channel.inspect())[1]
            assert declares.fine is fine
            assert fine or "updates_per_push = " in declares.found
