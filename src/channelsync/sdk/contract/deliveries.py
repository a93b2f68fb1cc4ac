"""Webhooks: a genuine delivery is a hint, anything else is nothing, and no delivery raises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import pytest
from pydantic import BaseModel

from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.base import ContractBase, FreshResources
from channelsync.sdk.contract.forgeries import forgeries
from channelsync.sdk.contract.world import Delivery, World
from channelsync.sdk.webhooks import WebhookHint

FORGERIES_MIN = 40
"""So many forgeries are tried at the least."""

MadeScheme = Callable[[], WebhookScheme]
Judge = Callable[[WebhookScheme, Mapping[str, str], bytes], Awaitable[bool]]
"""Whether a delivery passes for genuine."""


class WebhookContract(ContractBase):
    """`Connector.webhooks`: what a verified delivery says, and what is refused."""

    @pytest.fixture
    def made_scheme(self, channel_settings: BaseModel, fresh_resources: FreshResources) -> MadeScheme:
        """Makes the connector's scheme; skips where there is none."""

        def make() -> WebhookScheme:
            if self.connector.webhooks is None:
                pytest.skip("the connector takes no webhooks")
            scheme = self.connector.webhooks(channel_settings, fresh_resources())
            if scheme is None:
                pytest.skip("these settings hold no webhook secret")
            return scheme

        return make

    async def test_a_genuine_delivery_hints_at_what_changed(
        self, world: World, clock: Clock, made_scheme: MadeScheme
    ) -> None:
        scheme, order, delivery = await self._delivered(world, made_scheme)
        hint = await scheme.verify(delivery.headers, delivery.body, clock.now())
        assert isinstance(hint, WebhookHint)
        assert hint.orders == (order,)
        assert hint.event == delivery.event or delivery.event is None
        assert abs(hint.sent_at - clock.now()) <= timedelta(minutes=5)
        assert not [text for text in world.canaries if text in repr(hint)], "a hint holds ids, nothing of the buyer"

    async def test_an_event_names_one_delivery_and_every_repeat_of_it(
        self, world: World, clock: Clock, made_scheme: MadeScheme
    ) -> None:
        scheme, _, delivery = await self._delivered(world, made_scheme)
        other = await world.delivery(await world.buy((await world.offer("MUG-RED", 10), 1)))
        first, again, another = [
            await scheme.verify(one.headers, one.body, clock.now()) for one in (delivery, delivery, other)
        ]
        assert isinstance(first, WebhookHint)
        assert isinstance(again, WebhookHint)
        assert isinstance(another, WebhookHint)
        assert first.event, "without a name an inbox cannot tell what it has already"
        assert first.event == again.event, "a repeat has the name of the first, so an inbox keeps it once"
        assert first.event != another.event, "an inbox would take the second order's delivery for the first one's"

    async def test_header_names_are_matched_in_any_case(
        self, world: World, clock: Clock, made_scheme: MadeScheme
    ) -> None:
        scheme, _, delivery = await self._delivered(world, made_scheme)
        for spelled in (str.lower, str.upper, str.title):
            headers = {spelled(name): value for name, value in delivery.headers.items()}
            assert await scheme.verify(headers, delivery.body, clock.now()) is not None

    @pytest.fixture
    def judge(self, request: pytest.FixtureRequest, clock: Clock) -> Judge:
        """Judges by the scheme alone, or by the fixture `judge_delivery` where there is one."""
        try:
            found: Judge = request.getfixturevalue("judge_delivery")
        except pytest.FixtureLookupError:
            return lambda scheme, headers, body: _passes(scheme, headers, body, clock)
        return found

    async def test_a_forged_delivery_is_refused_and_never_raises(
        self, world: World, clock: Clock, made_scheme: MadeScheme, judge: Judge
    ) -> None:
        scheme, _, delivery = await self._delivered(world, made_scheme)
        needed = [name for name in delivery.headers if await self._matters(scheme, delivery, name, clock)]
        assert needed, "no header is needed for a delivery to pass"
        tried = forgeries(delivery, needed)
        assert len(tried) >= FORGERIES_MIN
        passed = [what for what, (headers, body) in tried.items() if await judge(scheme, headers, body)]
        assert passed == []
        assert await judge(scheme, delivery.headers, delivery.body), "and the genuine one passes still"

    async def test_a_stale_delivery_hints_at_nothing(self, world: World, clock: Clock, made_scheme: MadeScheme) -> None:
        scheme, _, delivery = await self._delivered(world, made_scheme)
        late = await scheme.verify(delivery.headers, delivery.body, clock.now() + timedelta(days=1))
        assert not isinstance(late, WebhookHint), "one that was caught on its way could be sent again for ever"
        early = await scheme.verify(delivery.headers, delivery.body, clock.now() - timedelta(days=1))
        assert early is None, "nothing is sent tomorrow"

    async def _matters(self, scheme: WebhookScheme, delivery: Delivery, name: str, clock: Clock) -> bool:
        """Whether the delivery is refused without this header."""
        headers = {one: value for one, value in delivery.headers.items() if one != name}
        return await scheme.verify(headers, delivery.body, clock.now()) is None

    async def _delivered(self, world: World, made_scheme: MadeScheme) -> tuple[WebhookScheme, str, Delivery]:
        """The connector's scheme, an order, and a genuine delivery about it."""
        scheme = made_scheme()
        offered = await world.offer("MUG-BLUE", 10)
        order = await world.buy((offered, 1))
        return scheme, order, await world.delivery(order)


async def _passes(scheme: WebhookScheme, headers: Mapping[str, str], body: bytes, clock: Clock) -> bool:
    return await scheme.verify(headers, body, clock.now()) is not None
