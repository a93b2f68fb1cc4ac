"""Access, budget and paging of the sandbox connector, against a marketplace of the lab."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from channelsync.lab.faults import Fault as LabFault
from channelsync.lab.faults import FaultKind
from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_values import NumberKey
from channelsync.sdk.contract import HttpFaults
from channelsync.sdk.errors import ChannelMisbehaved, NeedsSeller, TryLater
from channelsync.sdk.limiter import Lane, in_lane
from channelsync.sdk.resources import Resources
from channelsync.sdk.values import QuantityUpdate
from channelsync_sandbox import CONNECTOR
from channelsync_sandbox.settings import SandboxSettings


def paths(world) -> list[str]:
    return [request.url.path for request in world.wire.requests]


def update(offered, value: int, **more) -> QuantityUpdate:
    return QuantityUpdate(key=offered.key, value=value, listing=offered.listing, **more)


async def everything(found) -> list:
    return [one async for one in found]


@pytest.fixture
def lab_fault(world, clock):
    """Lets the marketplace fail in one way for a day."""

    def fail(kind: FaultKind, **more) -> None:
        now = clock.now()
        world.site.api.faults.faults = (LabFault(kind=kind, starts=now, ends=now + timedelta(days=1), **more),)

    return fail


# Access


async def test_of_many_callers_without_a_token_one_gets_it_for_all(world, channel_settings, resources) -> None:
    async with CONNECTOR.open(channel_settings, resources) as channel:
        await asyncio.gather(*(channel.check() for _ in range(8)))
    assert paths(world).count("/oauth/token") == 1


@pytest.mark.fault(35, "renewed once for all callers")
async def test_a_token_that_was_dropped_is_replaced_once_for_all_callers(world, channel_settings, resources) -> None:
    async with CONNECTOR.open(channel_settings, resources) as channel:
        await channel.check()
        world.site.api.tokens.drop()
        await asyncio.gather(*(channel.check() for _ in range(8)))
    assert paths(world).count("/oauth/token") == 2


class TestATokenThatEndsBetweenTwoPages:
    @pytest.fixture
    def rules(self) -> MarketplaceRules:
        return PRESETS["small pages"]

    @pytest.mark.fault(35, "renewed once, and the pages go on where they were")
    async def test_is_renewed_and_the_pages_go_on_where_they_were(self, world, channel_settings, resources) -> None:
        offered = await world.offer("MUG-BLUE", 100)
        placed = [await world.buy((offered, 1)) for _ in range(10)]
        await world.advance(timedelta(seconds=5))
        found: list[str] = []
        async with CONNECTOR.open(channel_settings, resources) as channel:
            async for page in channel.orders(cursor=None):
                if not found:
                    world.site.api.tokens.drop()
                found += [one.order for one in page.orders]
        assert (sorted(set(found)), paths(world).count("/oauth/token")) == (sorted(placed), 2)
        assert len(found) == len(placed), "no page was read twice"


async def test_a_write_with_a_dropped_token_is_repeated_with_a_new_one(world, channel_settings, resources) -> None:
    offered = await world.offer("MUG-BLUE", 10)
    async with CONNECTOR.open(channel_settings, resources) as channel:
        await channel.check()
        world.site.api.tokens.drop()
        (result,) = await channel.push([update(offered, 4)])
    assert result.state == "accepted"
    assert await world.number(offered.key) == 4


class TestTokensThatEnd:
    @pytest.fixture
    def rules(self) -> MarketplaceRules:
        return PRESETS["tokens last 10 min"]

    async def test_a_token_is_renewed_before_it_ends(self, world, channel_settings, resources, clock) -> None:
        statuses = []
        async with CONNECTOR.open(channel_settings, resources) as channel:
            for _ in range(30):
                statuses.append((await channel.check()).name)
                await clock.sleep(60)
        assert paths(world).count("/oauth/token") == 4, "30 minutes with tokens of 10, each used for 9"
        assert paths(world).count("/v1/account") == 30, "no call was refused and repeated"


async def test_a_refresh_token_that_is_not_valid_any_more_needs_the_seller(world, channel_settings, resources) -> None:
    async with CONNECTOR.open(channel_settings, resources) as channel:
        await channel.check()
        world.site.api.tokens.drop()
        world.site.api.tokens.revoke(world.site.account)
        with pytest.raises(NeedsSeller, match="refresh_token") as caught:
            await channel.check()
    assert "invalid_grant" in caught.value.what_to_do


async def test_a_failed_renewal_does_not_leave_a_write_in_doubt(world, channel_settings, resources, lab_fault) -> None:
    offered = await world.offer("MUG-BLUE", 10)
    lab_fault(FaultKind.SERVER_ERROR, endpoints=frozenset({"token"}))
    async with CONNECTOR.open(channel_settings, resources) as channel:
        with pytest.raises(TryLater) as caught:
            await channel.push([update(offered, 4)])
    assert type(caught.value) is TryLater, "the write was never sent, so its outcome is known"
    assert set(paths(world)) == {"/oauth/token"}


# Holds


class TestNamedHolds:
    @pytest.fixture(params=["names its holds", "plain"])
    def rules(self, request: pytest.FixtureRequest) -> MarketplaceRules:
        return PRESETS[request.param]

    async def test_what_is_held_is_told_where_the_marketplace_tells_it(
        self, world, rules, channel_settings, resources
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        world.marketplace.hold(NumberKey(offered.key.key, offered.key.location), 2)
        async with CONNECTOR.open(channel_settings, resources) as channel:
            (read,) = await channel.read([offered.key])
            (listing,) = [one async for one in channel.listings()]
        told = 2 if rules.holds_readable else None
        assert (read.value, read.held, listing.held.get(offered.key)) == (8, told, told)


# Budget


class TestATightBudget:
    @pytest.fixture
    def rules(self) -> MarketplaceRules:
        return PRESETS["tight budget"]

    async def test_no_call_goes_over_the_budget(self, world, channel_settings, resources) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        async with CONNECTOR.open(channel_settings, resources) as channel:
            for _ in range(20):
                await channel.read([offered.key])
                await everything(channel.listings())
        assert not world.site.api.meter.violations
        assert world.site.api.meter.spent == 20 * (1 + 2)

    async def test_what_others_spend_of_it_is_learnt_from_the_answers(self, world, channel_settings, resources, clock):
        async with CONNECTOR.open(channel_settings, resources) as channel:
            for _ in range(8):
                world.site.api.meter.charge(1, clock.now(), clock.now().date(), "another app", "read")
            await channel.check()
            assert resources.limiter.available() <= 1.0
            with in_lane(Lane.URGENT):
                await channel.check()
                await channel.check()
        assert not world.site.api.meter.violations


class TestHeadersOfAnySort:
    @pytest.fixture
    def way(self) -> httpx.AsyncBaseTransport:
        return httpx.MockTransport(self.answer)

    header = ""

    def answer(self, request: httpx.Request) -> httpx.Response:
        headers = {"X-Budget-Available": self.header}
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "at-1", "expires_in": None})
        account = {"account": "a", "seller": {"id": "s"}, "declares": {}}
        return httpx.Response(200, json=account, headers=headers)

    @pytest.mark.parametrize("header", ["", "many", "nan", "inf", "-3", "1e999"])
    async def test_a_budget_header_that_makes_no_sense_is_ignored(self, channel_settings, resources, header) -> None:
        type(self).header = header
        async with CONNECTOR.open(channel_settings, resources) as channel:
            await channel.check()
            assert resources.limiter.available() == pytest.approx(channel_settings.budget_capacity - 1, abs=0.5)


async def test_a_throttled_push_is_not_repeated_with_numbers_that_have_aged(
    world, channel_settings, resources, lab_fault
) -> None:
    offered = await world.offer("MUG-BLUE", 10)
    async with CONNECTOR.open(channel_settings, resources) as channel:
        await channel.check()
        lab_fault(FaultKind.TOO_MANY, retry_after=2)
        with pytest.raises(TryLater) as caught:
            await channel.push([update(offered, 4)])
    assert caught.value.retry_after == 2
    assert paths(world).count("/v1/numbers") == 1


# What comes back


async def test_a_row_without_an_answer_is_unknown_and_a_busy_one_refused(
    world, channel_settings, resources, lab_fault
) -> None:
    many = [await world.offer(f"SKU-{place}", 10) for place in range(20)]
    async with CONNECTOR.open(channel_settings, resources) as channel:
        await channel.check()
        lab_fault(FaultKind.ROWS_MISSING)
        missing = await channel.push([update(one, 4) for one in many])
        lab_fault(FaultKind.PARTIAL)
        partial = await channel.push([update(one, 5) for one in many])
    assert {(one.state, one.within) for one in missing} == {("accepted", timedelta(0)), ("unknown", None)}
    assert {one.state for one in partial} == {"accepted", "refused"}
    assert all("busy" in one.reason for one in partial if one.state == "refused")
    for offered, result in zip(many, partial, strict=True):
        assert (await world.number(offered.key) == 5) == (result.state == "accepted")


@pytest.mark.fault(40, "rows that come twice, and a cursor that leads nowhere new, lose no order")
async def test_rows_that_come_twice_and_a_cursor_that_leads_nowhere_lose_no_order(
    world, channel_settings, resources, lab_fault
) -> None:
    offered = await world.offer("MUG-BLUE", 100)
    placed = [await world.buy((offered, 1)) for _ in range(10)]
    await world.advance(timedelta(seconds=5))
    for kind in (FaultKind.ROWS_TWICE, FaultKind.SAME_CURSOR):
        lab_fault(kind)
        async with CONNECTOR.open(channel_settings, resources) as channel:
            pages = await everything(channel.orders(cursor=None))
        assert {one.order for page in pages for one in page.orders} == set(placed), kind


@pytest.mark.fault(40, "a page that leads back to itself is an error, and never half a list")
async def test_listings_that_cannot_be_paged_are_an_error_and_not_half_a_list(
    world, channel_settings, resources, lab_fault
) -> None:
    for place in range(250):
        await world.offer(f"SKU-{place}", 1)
    lab_fault(FaultKind.SAME_CURSOR)
    async with CONNECTOR.open(channel_settings, resources) as channel:
        with pytest.raises(ChannelMisbehaved, match="leads back to itself"):
            await everything(channel.listings())


async def test_a_cursor_of_another_connector_is_refused(channel_settings, resources) -> None:
    async with CONNECTOR.open(channel_settings, resources) as channel:
        for cursor in ("17", "{}x", '{"page": 3}', '{"since": "yesterday"}'):
            with pytest.raises(ValueError, match="no cursor of this connector"):
                await everything(channel.orders(cursor=cursor))


async def test_more_ids_than_one_request_takes_are_asked_for_in_several(world, channel_settings, resources) -> None:
    offered = await world.offer("MUG-BLUE", 200)
    placed = [await world.buy((offered, 1)) for _ in range(120)]
    async with CONNECTOR.open(channel_settings, resources) as channel:
        found = await channel.orders_by_id(placed[::-1])
    assert [one.order for one in found] == placed[::-1]
    assert paths(world).count("/v1/orders/read") == 3


# What is declared


class TestAnotherMarketplaceThanConfigured:
    @pytest.fixture
    def rules(self) -> MarketplaceRules:
        return replace(PRESETS["compare-and-set"], cap=20)

    @pytest.fixture
    def channel_settings(self, site) -> SandboxSettings:
        return SandboxSettings(
            **site.settings() | {"compare_and_set": False, "cap": None, "zero": "ends", "pending_limit_s": 60.0}
        )

    async def test_check_stops_the_channel_and_says_what_to_set(self, channel_settings, resources) -> None:
        async with CONNECTOR.open(channel_settings, resources) as channel:
            with pytest.raises(NeedsSeller) as caught:
                await channel.check()
        assert caught.value.what_to_do.endswith(
            'cap = 20, compare_and_set = true, no pending_limit_s, zero = "shows 0".'
        )

    async def test_the_settings_may_be_told_to_count(self, channel_settings, resources, capsys) -> None:
        settings = channel_settings.model_copy(update={"on_difference": "warn"})
        async with CONNECTOR.open(settings, resources) as channel:
            assert (await channel.check()).name
        assert "channel.declares_otherwise" in capsys.readouterr().out


def test_the_defaults_are_those_of_a_plain_marketplace() -> None:
    declared = PRESETS["plain"].declares()
    settings = SandboxSettings(base_url="http://agora.example", refresh_token="rt-1", **declared)
    assert settings == SandboxSettings(base_url="http://agora.example", refresh_token="rt-1")
    assert set(declared) == set(SandboxSettings.model_fields) - {
        "base_url",
        "refresh_token",
        "webhook_secrets",
        "on_difference",
    }


async def test_a_listing_that_cannot_be_read_is_named_and_its_neighbours_come(
    channel_settings, resources: Resources, capsys
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "at-1", "expires_in": None})
        row = {"id": "L-1", "sku": "MUG-BLUE", "state": "active", "keys": [{"key": "K-1", "number": 3}]}
        broken = row | {"id": "L-2", "keys": [{"key": "K-2", "number": 1.5}]}
        return httpx.Response(200, json={"listings": [broken, row, "?"], "next": None})

    stub = replace(resources, transport=HttpFaults(httpx.MockTransport(answer)))
    async with CONNECTOR.open(channel_settings, stub) as channel:
        listings = await everything(channel.listings())
    assert [one.listing for one in listings] == ["L-1"]
    assert "listing.unreadable" in capsys.readouterr().out
