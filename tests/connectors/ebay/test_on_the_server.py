"""The eBay connector against a server that was written without knowledge of it: what the contract does not look at.

Consent, what is set wrongly, notifications from their registration to a signed delivery, revisions that run out,
numbers of which only a part was taken.
"""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace import Wanted
from channelsync.sdk.channel import WebhookScheme
from channelsync.sdk.contract import ContractClock
from channelsync.sdk.errors import NeedsSeller, TryLater
from channelsync.sdk.resources import Resources, unused
from channelsync.sdk.subscriptions import mend
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate
from channelsync.sdk.vault import MemoryVault
from channelsync_ebay import CONNECTOR
from channelsync_ebay.channel import EbayChannel
from channelsync_ebay.settings import EbaySettings
from vendor_ebay import EbayBehaviour, EbaySite
from vendor_ebay.errors import no_revision
from vendor_ebay.notifications import Challenge

ADDRESS = "https://receiver.example/webhooks/my-ebay"
STATE = "a-state-that-nobody-guesses"
SCOPE = "https://api.ebay.com/oauth/api_scope"


class Receiver:
    """Our side's address: answers challenges and takes deliveries by the connector's scheme."""

    def __init__(self) -> None:
        self.scheme: WebhookScheme | None = None
        self.clock: ContractClock | None = None
        self.asked: list[str] = []
        self.hints: list[object] = []
        self.down = False

    def challenge(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url)
        parts = urlsplit(url)
        address = f"{parts.scheme}://{parts.netloc}{parts.path}"
        body = None if self.scheme is None else self.scheme.answer(dict(parse_qsl(parts.query)), address)
        return (404, b"") if body is None else (200, body)

    async def take(self, request: httpx.Request) -> httpx.Response:
        hint = None if self.down else await self.scheme.verify(request.headers, request.content, self.clock.now())
        self.hints.append(hint)
        return httpx.Response(412 if hint is None else 204)


@pytest.fixture
def receiver(clock: ContractClock) -> Receiver:
    made = Receiver()
    made.clock = clock
    return made


@pytest.fixture
def challenge(receiver: Receiver) -> Challenge:
    return receiver.challenge


@pytest.fixture
def settings(site: EbaySite, sellers: Callable[..., EbaySettings]) -> EbaySettings:
    return sellers(site)


@pytest.fixture
def resources(settings: EbaySettings, clock: ContractClock, noting) -> Resources:
    return unused("my-ebay", CONNECTOR.budgets(settings), clock, vault=MemoryVault(), transport=noting)


@pytest.fixture
async def seller(settings: EbaySettings, resources: Resources) -> AsyncIterator[EbayChannel]:
    async with CONNECTOR.open(settings, resources) as channel:
        yield channel


@pytest.fixture
async def client(receiver: Receiver) -> AsyncIterator[httpx.AsyncClient]:
    """How the server delivers."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(receiver.take)) as client:
        yield client


async def connected(settings: EbaySettings, resources: Resources, site: EbaySite) -> None:
    """The seller's consent, as `channels connect` asks for it; the server's page plays the browser."""
    consent = CONNECTOR.guide.consent
    pasted = site.api.oauth.consent(consent.address(settings, STATE), site.marketplace.time())
    for name, secret in (await consent.redeem(settings, resources, pasted, STATE)).items():
        await resources.vault.put(name, secret)


async def push(seller: EbayChannel, number: int, *keys: str, lowering: bool = True) -> list[PushResult]:
    updates = [QuantityUpdate(key=QuantityKey(key), value=number, listing=key, lowering=lowering) for key in keys]
    return list(await seller.push(updates))


async def read(seller: EbayChannel, key: str) -> int | None:
    (found,) = await seller.read([QuantityKey(key)])
    return found.value


class TestConnecting:
    @pytest.fixture
    def settings(self, settings: EbaySettings) -> EbaySettings:
        return settings.model_copy(update={"refresh_token": None})

    async def test_the_consent_lets_us_in_from_then_on(self, settings, resources, site) -> None:
        async with CONNECTOR.open(settings, resources) as seller:
            with pytest.raises(NeedsSeller, match="Connect"):
                await seller.check()
        await connected(settings, resources, site)
        async with CONNECTOR.open(settings, resources) as seller:
            assert (await seller.check()).name == "production:u-ebay_seller"
            points = {one.what: one for one in await seller.inspect()}
        assert [one for one in points.values() if not one.fine] == []
        assert points["permissions"].found == "The consent holds all that is needed."
        assert "2018-11-30" in points["consent"].found, "18 months from 2017-06-01"
        assert CONNECTOR.guide.consent.gives == ("refresh_token",)

    async def test_an_answer_to_another_question_and_an_old_code_are_refused(
        self, settings, resources, site, clock
    ) -> None:
        consent = CONNECTOR.guide.consent
        pasted = site.api.oauth.consent(consent.address(settings, "another"), site.marketplace.time())
        with pytest.raises(NeedsSeller, match="another question"):
            await consent.redeem(settings, resources, pasted, STATE)
        late = site.api.oauth.consent(consent.address(settings, STATE), site.marketplace.time())
        await clock.sleep(301)
        with pytest.raises(NeedsSeller, match="invalid_grant"):
            await consent.redeem(settings, resources, late, STATE)

    async def test_a_consent_that_is_taken_back_needs_the_seller(self, settings, resources, site) -> None:
        await connected(settings, resources, site)
        async with CONNECTOR.open(settings, resources) as seller:
            await seller.check()
            site.api.oauth.withdraw_consent()
            with pytest.raises(NeedsSeller, match="Connect the eBay account anew"):
                await seller.check()

    async def test_a_consent_to_less_is_told_by_name(self, settings, resources, site) -> None:
        held = frozenset({SCOPE, f"{SCOPE}/sell.inventory", f"{SCOPE}/commerce.identity.readonly"})
        held |= {f"{SCOPE}/sell.account.readonly"}
        await resources.vault.put(
            "refresh_token", SecretStr(site.api.oauth.seller_token(site.marketplace.time(), held))
        )
        async with CONNECTOR.open(settings, resources) as seller:
            (point,) = [one for one in await seller.inspect() if one.what == "permissions"]
            assert "sell.fulfillment.readonly, commerce.notification.subscription" in point.found
            with pytest.raises(NeedsSeller):
                await seller.check()


class TestInspection:
    @pytest.fixture
    def settings(self, site: EbaySite, sellers: Callable[..., EbaySettings]) -> EbaySettings:
        return sellers(site, legacy_listings=True)

    async def test_all_is_well_on_a_new_account(self, seller) -> None:
        points = {one.what: one for one in await seller.inspect()}
        assert [one for one in points.values() if not one.fine] == []
        assert "inventory 1999" in points["daily limits"].found
        assert "trading 4999 of 5000" in points["daily limits"].found

    async def test_what_is_set_wrongly_is_found(self, seller, site) -> None:
        site.api.account.registered = False
        site.api.account.locations["main"]["merchantLocationStatus"] = "DISABLED"
        site.api.shop.out_of_stock_control = False
        wrong = {one.what for one in await seller.inspect() if not one.fine}
        assert wrong == {"seller", "out-of-stock control", "locations"}


class TestDailyLimit:
    @pytest.fixture
    def behaviour(self) -> EbayBehaviour:
        return EbayBehaviour(quotas={"sell.inventory": 3, "developer.analytics": 100})

    async def test_once_it_is_spent_we_wait_for_ebays_next_day(self, seller, site, clock) -> None:
        site.api.shop.sell_item("MUG-1", 5)
        assert await read(seller, "MUG-1") == 5
        with pytest.raises(TryLater):
            await push(seller, 3, "MUG-1", "MUG-2")
        asked = site.api.calls["push"]
        with pytest.raises(TryLater) as caught:
            await read(seller, "MUG-1")
        assert caught.value.retry_after > 3600, "eBay told when its day ends"
        assert site.api.calls["push"] == asked
        await clock.sleep(86_400)
        assert await read(seller, "MUG-1") == 5


class TestNotifications:
    @pytest.fixture(autouse=True)
    def _reachable(self, receiver: Receiver, settings: EbaySettings, resources: Resources) -> None:
        receiver.scheme = CONNECTOR.webhooks(settings, resources)

    async def test_they_are_registered_and_deliveries_are_verified(
        self, seller, site, noting, receiver, client
    ) -> None:
        done = await mend(seller, ADDRESS)
        assert done.missing == ("ORDER_CONFIRMATION",)
        told = site.api.notifications
        assert told.alert_email == "shop@seller.example"
        ((place,), (subscription,)) = told.destinations.values(), told.subscriptions.values()
        assert (place.endpoint, place.status, subscription.status) == (ADDRESS, "ENABLED", "ENABLED")
        assert [url.partition("?")[0] for url in receiver.asked] == [ADDRESS]
        assert not (await mend(seller, ADDRESS)).needed
        for sku in ("MUG-1", "MUG-2"):
            site.api.shop.sell_item(sku, 5)
        order = site.marketplace.place([Wanted("MUG-1", 1), Wanted("MUG-2", 1)]).order
        assert await site.api.deliveries.send(order, client) == [204, 204]
        assert [hint.orders for hint in receiver.hints] == [(order.id,)] * 2
        assert {hint.topic for hint in receiver.hints} == {"ORDER_CONFIRMATION"}
        assert len(noting.calls(site.public_key_id)) == 1, "the key is fetched once"
        assert noting.refused == [("config", 195026)], "asked for before it is made"

    async def test_an_address_that_is_not_ours_is_not_registered(self, seller, receiver) -> None:
        receiver.scheme = None
        with pytest.raises(NeedsSeller, match="reachable"):
            await mend(seller, ADDRESS)

    async def test_a_topic_that_another_address_is_told_of_is_not_taken_for_ours(self, seller, site) -> None:
        await mend(seller, ADDRESS.replace("my-ebay", "another"))
        with pytest.raises(NeedsSeller, match="tells another address"):
            await mend(seller, ADDRESS)
        assert len(site.api.notifications.subscriptions) == 1, "what is another's is left alone"

    async def test_an_address_that_is_marked_down_is_put_right(self, seller, site, receiver, client) -> None:
        await mend(seller, ADDRESS)
        site.api.shop.sell_item("MUG-1", 50)
        receiver.down = True
        for _ in range(2):
            await site.api.deliveries.send(site.marketplace.place([Wanted("MUG-1", 1)]).order, client)
        (place,) = site.api.notifications.destinations.values()
        assert place.status == "MARKED_DOWN"
        receiver.down = False
        done = await mend(seller, ADDRESS)
        assert [one.topic for one in done.off] == ["ORDER_CONFIRMATION"]
        assert await site.api.deliveries.send(site.marketplace.place([Wanted("MUG-1", 1)]).order, client) == [204]

    async def test_one_that_was_switched_off_is_switched_on_and_can_be_ended(self, seller, site) -> None:
        await mend(seller, ADDRESS)
        (subscription,) = site.api.notifications.subscriptions.values()
        subscription.status = "DISABLED"
        assert len((await mend(seller, ADDRESS)).off) == 1
        assert subscription.status == "ENABLED"
        (told,) = await seller.subscriptions()
        await seller.unsubscribe(told)
        assert list(await seller.subscriptions()) == []

    async def test_a_delivery_of_another_key_is_refused_and_the_key_asked_for_once(
        self, seller, site, noting, receiver, clock
    ) -> None:
        site.api.shop.sell_item("MUG-1", 5)
        order = site.marketplace.place([Wanted("MUG-1", 1)]).order
        (signed,) = site.api.deliveries.of_order(order, site.marketplace.time())
        site.api.notifications.key.id = "replaced-by-another"
        for _ in range(3):
            assert await receiver.scheme.verify(signed.headers, signed.body, clock.now()) is None
        assert noting.refused == [(site.public_key_id, 195001)]


class TestTopics:
    @pytest.fixture
    def behaviour(self, request) -> EbayBehaviour:
        return EbayBehaviour(**request.param)

    @pytest.fixture
    def settings(self, site: EbaySite, sellers: Callable[..., EbaySettings]) -> EbaySettings:
        return sellers(site, refresh_token=None)

    @pytest.mark.parametrize("behaviour", [{"order_topic": False}], indirect=True)
    async def test_an_application_without_the_topic_is_told_so(self, settings, resources, site, receiver) -> None:
        receiver.scheme = CONNECTOR.webhooks(settings, resources)
        await connected(settings, resources, site)
        async with CONNECTOR.open(settings, resources) as seller:
            with pytest.raises(NeedsSeller, match="Take ORDER_CONFIRMATION out of topics"):
                await mend(seller, ADDRESS)

    @pytest.mark.parametrize("behaviour", [{"order_scope": "sell.fulfillment.readonly"}], indirect=True)
    async def test_what_the_consent_asks_for_may_be_enough(self, settings, resources, site, receiver) -> None:
        await self._registered(settings, resources, site, receiver)

    @pytest.mark.parametrize("behaviour", [{"order_scope": "sell.fulfillment"}], indirect=True)
    async def test_a_permission_that_the_topic_wants_beside_is_named_and_can_be_asked_for(
        self, settings, resources, site, receiver
    ) -> None:
        with pytest.raises(NeedsSeller, match=rf"Add {SCOPE}/sell.fulfillment to extra_scopes"):
            await self._registered(settings, resources, site, receiver)
        more = settings.model_copy(update={"extra_scopes": (f"{SCOPE}/sell.fulfillment",)})
        await self._registered(more, resources, site, receiver)

    async def _registered(self, settings, resources, site, receiver) -> None:
        receiver.scheme = CONNECTOR.webhooks(settings, resources)
        await connected(settings, resources, site)
        async with CONNECTOR.open(settings, resources) as seller:
            await mend(seller, ADDRESS)
            assert [one.active for one in await seller.subscriptions()] == [True]
            (point,) = [one for one in await seller.inspect() if one.what == "permissions"]
            assert point.fine


class TestRevisions:
    """eBay lets a listing be revised 250 times a day. Who counts them is told by what, and a refusal is handed on."""

    @pytest.fixture(params=[False, True], ids=["inventory", "trading"])
    def legacy(self, request) -> bool:
        return request.param

    @pytest.fixture
    def settings(self, site: EbaySite, sellers: Callable[..., EbaySettings], legacy: bool) -> EbaySettings:
        return sellers(site, legacy_listings=legacy)

    @pytest.fixture
    def names(self, site: EbaySite, legacy: bool) -> list[str]:
        """Of two listings; not migrated ones have two variations each."""
        shop = site.api.shop
        if not legacy:
            return [shop.sell_item(sku, 5).sku for sku in ("MUG-1", "MUG-2")]
        return [name for sku in ("MUG", "CUP") for name in shop.sell_legacy({f"{sku}-S": 5, f"{sku}-L": 5}).names]

    async def test_pages_are_what_ebay_counts_by(self, seller, settings, site, names) -> None:
        pages = {one.listing: one.page async for one in seller.listings()}
        assert pages == {one.listing: one.page for one in await seller.listings_by_id(names)}
        assert list(pages) == names
        for _ in range(CONNECTOR.capabilities(settings).writes_per_day.most):
            assert site.api.shop.revise(names[0]) is None
        states = {one: (await push(seller, 3, one))[0].state for one in names}
        assert set(states.values()) == {"accepted", "refused"}
        assert {pages[one] for one in names if states[one] == "refused"} == {pages[names[0]]}
        assert pages[names[0]] not in {pages[one] for one in names if states[one] == "accepted"}

    async def test_what_is_spent_is_refused_with_the_reason_until_the_next_day(
        self, seller, site, names, clock
    ) -> None:
        for _ in range(250):
            assert site.api.shop.revise(names[0]) is None
        (refused,) = await push(seller, 0, names[0])
        assert (refused.state, "250 times" in refused.reason) == ("refused", True)
        assert await read(seller, names[0]) == 5
        await clock.sleep(timedelta(days=1).total_seconds())
        assert [one.state for one in await push(seller, 0, names[0])] == ["accepted"]
        assert await read(seller, names[0]) == 0


class TestSeveralSites:
    """A SKU on several of eBay's sites: several offers, several listings, one number."""

    async def test_a_write_sets_all_offers_and_revises_each_listing_that_is_named_as_a_page(self, seller, site) -> None:
        shop = site.api.shop
        sales = [shop.sell_item("MUG-1", 5), *(shop.sell_elsewhere("MUG-1", one) for one in ("EBAY_GB", "EBAY_DE"))]
        (listing,) = [one async for one in seller.listings()]
        assert [listing.page, *listing.further_pages] == sorted(one.listing for one in sales)
        assert [one.state for one in await push(seller, 3, "MUG-1")] == ["accepted"]
        assert await read(seller, "MUG-1") == 3
        now = site.marketplace.time()
        assert {one.listing: shop.revisions.of(one.listing, now) for one in sales} == dict.fromkeys(
            (listing.page, *listing.further_pages), 1
        )

    async def test_a_site_that_takes_no_more_revisions_is_told_as_a_refusal(self, seller, site) -> None:
        shop = site.api.shop
        shop.sell_item("MUG-1", 5)
        other = shop.sell_elsewhere("MUG-1", "EBAY_GB")
        for _ in range(250):
            assert shop.revisions.count([other.listing], site.marketplace.time()) is None
        (refused,) = await push(seller, 3, "MUG-1")
        assert (refused.state, "250 times" in refused.reason) == ("refused", True)


class TestPartsOfAPush:
    """Of an item and its offer eBay may take one and refuse the other; and its sources differ on which one counts."""

    @pytest.fixture(params=[False, True], ids=["the offer's counts", "the lower counts"])
    def lower_counts(self, request) -> bool:
        return request.param

    @pytest.fixture(params=[False, True], ids=["a row an offer", "a row for the item too"])
    def item_rows(self, request) -> bool:
        return request.param

    @pytest.fixture
    def behaviour(self, lower_counts: bool, item_rows: bool) -> EbayBehaviour:
        return EbayBehaviour(lower_counts=lower_counts, item_rows=item_rows)

    async def test_a_number_of_which_the_offer_was_refused_is_not_taken_for_written(
        self, seller, site, item_rows
    ) -> None:
        sale = site.api.shop.sell_item("MUG-1", 10)
        site.api.shop.offer_refusals[sale.id] = no_revision("It is being looked at.")
        (result,) = await push(seller, 3, "MUG-1")
        assert result.state == ("unknown" if item_rows else "refused")
        assert await read(seller, "MUG-1") == 10, "so it is written again"
        site.api.shop.offer_refusals.clear()
        assert [one.state for one in await push(seller, 3, "MUG-1")] == ["accepted"]
        assert (await read(seller, "MUG-1"), site.marketplace.can_buy("MUG-1")) == (3, 3)

    async def test_a_raise_of_which_the_offer_was_refused_shows_the_old_number(self, seller, site) -> None:
        sale = site.api.shop.sell_item("MUG-1", 3)
        site.api.shop.offer_refusals[sale.id] = no_revision("It is being looked at.")
        await push(seller, 10, "MUG-1", lowering=False)
        assert (await read(seller, "MUG-1"), site.marketplace.can_buy("MUG-1")) == (3, 3)

    async def test_an_item_that_another_program_lowered_is_noticed_and_written_anew(self, seller, site) -> None:
        site.api.shop.sell_item("MUG-1", 10)
        await push(seller, 10, "MUG-1")
        site.api.shop.write(site.api.shop.items["MUG-1"], 4)
        assert await read(seller, "MUG-1") == 4
        await push(seller, 10, "MUG-1")
        assert (await read(seller, "MUG-1"), site.marketplace.can_buy("MUG-1")) == (10, 10)


class TestRows:
    async def test_a_sku_that_ebay_takes_for_none_holds_up_no_other(self, seller, site) -> None:
        site.api.shop.sell_item("MUG-1", 5)
        assert [one.value for one in await seller.read([QuantityKey("MUG x6"), QuantityKey("MUG-1")])] == [None, 5]
        assert [one.state for one in await push(seller, 2, "MUG x6", "MUG-1")] == ["refused", "accepted"]
        assert site.marketplace.can_buy("MUG-1") == 2

    @pytest.mark.parametrize("kind", [FaultKind.PARTIAL, FaultKind.ROWS_MISSING])
    async def test_a_row_is_accepted_only_where_ebay_says_so(self, seller, site, clock, kind: FaultKind) -> None:
        skus = [f"MUG-{place}" for place in range(4)]
        for sku in skus:
            site.api.shop.sell_item(sku, 9)
        now = clock.now()
        site.api.faults.faults = (Fault(kind=kind, starts=now, ends=now + timedelta(days=1)),)
        assert [one.state for one in await push(seller, 2, *skus)] == ["unknown", "accepted"] * 2
        assert [site.marketplace.can_buy(sku) for sku in skus[1::2]] == [2, 2]

    @pytest.mark.parametrize("kind", [FaultKind.ROWS_TWICE, FaultKind.SAME_CURSOR])
    async def test_a_page_that_lists_rows_twice_or_leads_nowhere_loses_no_order(
        self, seller, site, clock, kind: FaultKind
    ) -> None:
        site.api.shop.sell_item("MUG-1", 50)
        placed = [site.marketplace.place([Wanted("MUG-1", 1)]).order.id for _ in range(5)]
        await clock.sleep(60)
        now = clock.now()
        site.api.faults.faults = (Fault(kind=kind, starts=now, ends=now + timedelta(days=1)),)
        found = [order.order async for page in seller.orders(cursor=None) for order in page.orders]
        assert sorted(found) == sorted(placed)


class TestSearch:
    @pytest.fixture(params=[True, False], ids=["newest first", "oldest first"])
    def behaviour(self, request) -> EbayBehaviour:
        return EbayBehaviour(newest_first=request.param)

    async def test_orders_that_leave_a_past_window_while_it_is_read_take_no_others_with_them(
        self, seller, site, clock
    ) -> None:
        site.api.shop.sell_item("MUG-1", 50)
        placed = []
        for _ in range(9):
            placed.append(site.marketplace.place([Wanted("MUG-1", 1)]).order.id)
            await clock.sleep(60)
        await clock.sleep(timedelta(days=62).total_seconds())
        found: list[str] = []
        async for page in seller.orders(cursor=None):
            new = [order.order for order in page.orders]
            for order in [] if found else new:
                site.marketplace.cancel(order)
                await clock.sleep(60)
            found += new
        assert set(found) == set(placed)


class TestNotMigrated:
    @pytest.fixture
    def settings(self, site: EbaySite, sellers: Callable[..., EbaySettings]) -> EbaySettings:
        return sellers(site, legacy_listings=True)

    async def test_what_was_done_beside_a_refused_row_is_not_done_again(self, seller, site, noting) -> None:
        shop = site.api.shop
        names = [shop.sell_legacy(5, sku="MUG-1").names[0], shop.sell_legacy(5).names[0]]
        names += shop.sell_legacy({"MUG-S": 5, "MUG-L": 5}).names
        shop.refusals[names[3]] = no_revision("It is being looked at.")
        states = [one.state for one in await push(seller, 2, *names)]
        assert states == ["accepted"] * 3 + ["refused"]
        assert len(noting.calls("ReviseInventoryStatus")) == 2, "once together, once the refused one alone"
        assert [site.marketplace.can_buy(name) for name in names] == [2, 2, 2, 5]

    @pytest.mark.parametrize("kind", [FaultKind.PARTIAL, FaultKind.ROWS_MISSING])
    async def test_a_row_is_accepted_only_where_ebay_says_so(self, seller, site, clock, kind: FaultKind) -> None:
        names = [site.api.shop.sell_legacy(5, sku=f"MUG-{place}").names[0] for place in range(4)]
        now = clock.now()
        site.api.faults.faults = (Fault(kind=kind, starts=now, ends=now + timedelta(days=1)),)
        states = [one.state for one in await push(seller, 2, *names)]
        numbers = [site.marketplace.can_buy(name) for name in names]
        assert states[1::2] == ["accepted"] * 2
        assert all(number == 2 for state, number in zip(states, numbers, strict=True) if state == "accepted")

    async def test_a_listing_that_is_migrated_meanwhile_is_the_inventory_apis(self, seller, site) -> None:
        shop = site.api.shop
        (name,) = shop.sell_legacy(5, sku="MUG-1").names
        assert [one.listing async for one in seller.listings()] == [name]
        async with httpx.AsyncClient(transport=site.transport, base_url="https://api.ebay.com") as browser:
            token = await seller._access.seller.token()
            moved = {"requests": [{"listingId": shop.legacy[name.partition(":")[2]].item}]}
            answer = await browser.post(
                "/sell/inventory/v1/bulk_migrate_listing",
                json=moved,
                headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            )
        assert answer.status_code == 200
        assert [one.listing async for one in seller.listings()] == ["MUG-1"]
        assert [one.state for one in await push(seller, 2, name, "MUG-1")] == ["refused", "accepted"]

    async def test_0_without_out_of_stock_control_is_refused_with_advice(self, seller, site) -> None:
        site.api.shop.out_of_stock_control = False
        (name,) = site.api.shop.sell_legacy(5, sku="MUG-1").names
        (result,) = await push(seller, 0, name)
        assert (result.state, "switch on out-of-stock control" in result.reason) == ("refused", True)
