"""Connectors with one fault each, and their contract tests: test_contract.py runs this and sees who is caught.

Each class breaks the memory connector, its declared capabilities or its folder in one way.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import SecretStr

from channelsync.sdk.channel import Connector
from channelsync.sdk.contract import CANARY, ConnectorContract, Delivery, Fault
from channelsync.sdk.errors import NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.values import (
    Applies,
    Deducts,
    GivesBack,
    NumberBehaviour,
    OrderPage,
    OrderSnapshot,
    PushResult,
    Timing,
    UnreadableOrder,
)
from channelsync.sdk.webhooks import StandardWebhooks, WebhookHint
from channelsync_memory import CAPABILITIES, CONNECTOR, MemoryChannel, MemorySettings
from channelsync_memory.shop import SHOPS
from channelsync_memory.world import MemoryWorld


def connector_of(channel: type[MemoryChannel] = MemoryChannel, **declared: object) -> Connector:
    """The memory connector with another channel, or with other capabilities than its shop has."""

    @asynccontextmanager
    async def open_channel(settings, resources):
        yield channel(settings, SHOPS[settings.shop], resources.clock)

    capabilities = replace(CAPABILITIES, **declared)
    return replace(CONNECTOR, open=open_channel, capabilities=lambda _settings: capabilities)


class Sabotaged(ConnectorContract):
    connector = connector_of()
    settings = MemorySettings(shop="sabotaged", orders_per_page=MemoryWorld.orders_per_page)

    @pytest.fixture
    def world(self, clock):
        return MemoryWorld("sabotaged", clock)


class TestNothingBroken(Sabotaged):
    pass


# Pages of orders


class SkippingCursor(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, cursor=str(int(page.cursor) + 1))


class TestCursorSkips(Sabotaged):
    connector = connector_of(SkippingCursor)


class ForgetfulCursor(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=None):
            yield replace(page, cursor="0")


class TestCursorStandsStill(Sabotaged):
    connector = connector_of(ForgetfulCursor)


class CountingRows(MemoryChannel):
    """Pages by row number: an order that changes moves to the end, and the rows behind it move up."""

    async def orders(self, *, cursor):
        change, row = int(cursor or "0"), 0
        asked = self._clock.now()
        while True:
            sales = self._shop.changed_after(change)
            page = OrderPage(orders=(), cursor="")
            rows = sales[row : row + self._settings.orders_per_page]
            row += len(rows)
            orders = tuple(await self.orders_by_id([sale.id for sale in rows]))
            more = row < len(sales)
            newest = rows[-1].change if rows else change
            yield replace(page, orders=orders, cursor=str(newest), covered_to=None if more else asked)
            if not more:
                return


class TestPagesByRowNumber(Sabotaged):
    connector = connector_of(CountingRows)


class SwallowsFailures(MemoryChannel):
    async def orders(self, *, cursor):
        try:
            async for page in super().orders(cursor=cursor):
                yield page
        except TryLater:
            return


class TestPagingEndsSilently(Sabotaged):
    connector = connector_of(SwallowsFailures)


class NoPageWithoutOrders(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            if page.orders or page.unreadable:
                yield page


class TestNoPageWithoutOrders(Sabotaged):
    connector = connector_of(NoPageWithoutOrders)


class NeverCovers(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, covered_to=None)


class TestNothingCovered(Sabotaged):
    connector = connector_of(NeverCovers)


class CoversTheFuture(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, covered_to=self._clock.now() + timedelta(hours=1))


class TestTheFutureCovered(Sabotaged):
    connector = connector_of(CoversTheFuture)


class LaggingSearch(MemoryChannel):
    """Lists orders ten minutes late, and moves its cursor past them; five minutes are declared."""

    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            visible = self._clock.now() - timedelta(minutes=10)
            yield replace(page, orders=tuple(one for one in page.orders if one.placed_at < visible))


class TestOrdersLaterThanDeclared(Sabotaged):
    connector = connector_of(LaggingSearch)


# What an order says


class ForgetsTheSku(MemoryChannel):
    async def orders_by_id(self, orders):
        found = await super().orders_by_id(orders)
        return [
            replace(one, lines=tuple(replace(line, sku=None) for line in one.lines))
            if isinstance(one, OrderSnapshot)
            else one
            for one in found
        ]


class TestOneOrderTwoAnswers(Sabotaged):
    connector = connector_of(ForgetsTheSku)


class RaisesForUnknownOrders(MemoryChannel):
    async def orders_by_id(self, orders):
        return [(await super(RaisesForUnknownOrders, self).orders_by_id([one]))[0] for one in orders]


class TestUnknownOrdersRaise(Sabotaged):
    connector = connector_of(RaisesForUnknownOrders)


class DropsUnreadable(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, unreadable=())

    async def orders_by_id(self, orders):
        return [one for one in await super().orders_by_id(orders) if isinstance(one, OrderSnapshot)]


class TestUnreadableOrdersDropped(Sabotaged):
    connector = connector_of(DropsUnreadable)


class KeepsTheBuyer(MemoryChannel):
    async def orders_by_id(self, orders):
        found = await super().orders_by_id(orders)
        return [
            replace(one, raw=self._shop.sales[one.order].buyer) if isinstance(one, UnreadableOrder) else one
            for one in found
        ]


class TestBuyerInTheRawOrder(Sabotaged):
    connector = connector_of(KeepsTheBuyer)


class DropsCancelledIds(MemoryChannel):
    async def order_ids(self, day):
        async for one in super().order_ids(day):
            if self._shop.sales[one].cancelled_at is None:
                yield one


class TestIdsOfCancelledOrdersMissing(Sabotaged):
    connector = connector_of(DropsCancelledIds)


class LocalDays(MemoryChannel):
    async def order_ids(self, day: date):
        for sale in self._shop.sales.values():
            if (sale.placed_at + timedelta(hours=2)).date() == day:
                yield sale.id


class TestIdsOfALocalDay(Sabotaged):
    connector = connector_of(LocalDays)


class ForgetsShipments(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            lines = [tuple(replace(line, shipped=()) for line in one.lines) for one in page.orders]
            orders = tuple(replace(one, lines=kept) for one, kept in zip(page.orders, lines, strict=True))
            yield replace(page, orders=orders)

    async def orders_by_id(self, orders):
        found = await super().orders_by_id(orders)
        return [replace(one, lines=tuple(replace(line, shipped=()) for line in one.lines)) for one in found]


class TestShipmentsForgotten(Sabotaged):
    connector = connector_of(ForgetsShipments)


class VersionOfThePlacing(MemoryChannel):
    async def orders(self, *, cursor):
        async for page in super().orders(cursor=cursor):
            yield replace(page, orders=tuple(replace(one, version=one.placed_at) for one in page.orders))

    async def orders_by_id(self, orders):
        return [replace(one, version=one.placed_at) for one in await super().orders_by_id(orders)]


class TestVersionNeverRises(Sabotaged):
    connector = connector_of(VersionOfThePlacing)


# Numbers


class Adds(MemoryChannel):
    def _set(self, update):
        item = self._shop.items.get(update.key.key)
        return super()._set(replace(update, value=update.value + (item.number if item else 0)))


class TestPushAdds(Sabotaged):
    connector = connector_of(Adds)


class SwallowsRefusals(MemoryChannel):
    async def push(self, updates):
        results = await super().push(updates)
        return [PushResult.accepted(one.key) if one.state == "refused" else one for one in results]


class TestRefusalsSwallowed(Sabotaged):
    connector = connector_of(SwallowsRefusals)


class RaisesRefusals(MemoryChannel):
    def _set(self, update):
        result = super()._set(update)
        if result.state == "refused":
            raise NeedsSeller(result.reason)
        return result


class TestRefusalsRaised(Sabotaged):
    connector = connector_of(RaisesRefusals)


class RefusalEndsTheBatch(MemoryChannel):
    async def push(self, updates):
        results: list[PushResult] = []
        for update in updates:
            stopped = any(one.state == "refused" for one in results)
            results.append(PushResult.refused(update.key, "stopped") if stopped else self._set(update))
        return results


class TestARefusalHoldsUpItsNeighbours(Sabotaged):
    connector = connector_of(RefusalEndsTheBatch)


class ReversesResults(MemoryChannel):
    async def push(self, updates):
        return list(reversed(await super().push(updates)))


class TestResultsInAnotherOrder(Sabotaged):
    connector = connector_of(ReversesResults)


class CutsBatches(MemoryChannel):
    async def push(self, updates):
        return await super().push(updates[:100])

    async def read(self, keys):
        return await super().read(keys[:100])


class TestBatchesCutInSilence(Sabotaged):
    connector = connector_of(CutsBatches)


class LetsNegativesOut(MemoryChannel):
    def _set(self, update):
        self._shop.items[update.key.key].number = update.value
        return PushResult.accepted(update.key, update.value)


class TestNegativeNumbersLeave(Sabotaged):
    connector = connector_of(LetsNegativesOut)


class SortsReads(MemoryChannel):
    async def read(self, keys):
        return sorted(await super().read(keys), key=lambda read: read.key)


class TestReadsInAnotherOrder(Sabotaged):
    connector = connector_of(SortsReads)


class UnknownIsZero(MemoryChannel):
    async def read(self, keys):
        return [replace(one, value=one.value or 0) for one in await super().read(keys)]


class TestUnknownReadAsZero(Sabotaged):
    connector = connector_of(UnknownIsZero)


class OwnTime(MemoryChannel):
    async def read(self, keys):
        now = datetime.now(UTC)  # noqa: TID251 - the sabotage
        return [replace(one, asked=now, answered=now) for one in await super().read(keys)]


class TestTimeNotFromTheClock(Sabotaged):
    connector = connector_of(OwnTime)


class RemembersReads(MemoryChannel):
    """Reads are served from a cache that lives as long as the process."""

    kept: dict[object, object] = {}  # noqa: RUF012 - the sabotage

    async def read(self, keys):
        fresh = {(id(self._shop), one.key): one for one in await super().read(keys)}
        for key, read in fresh.items():
            self.kept.setdefault(key, read)
        return [self.kept[id(self._shop), key] for key in keys]


class TestReadsFromACache(Sabotaged):
    connector = connector_of(RemembersReads)


# What is declared


class IgnoresExpected(MemoryChannel):
    def _set(self, update):
        return super()._set(replace(update, expected=None))


class TestExpectedIgnored(Sabotaged):
    connector = connector_of(IgnoresExpected)


class EchoesTheValue(MemoryChannel):
    """States the value that was sent as the number in force, while nothing was applied."""

    def _set(self, update):
        return PushResult.accepted(update.key, update.value)


class TestAnswerEchoesTheValue(Sabotaged):
    connector = connector_of(EchoesTheValue)


class TestAnswersWithNumberNotDeclared(Sabotaged):
    connector = connector_of(answers_with_number=False)


class TestDeductsOtherwise(Sabotaged):
    connector = connector_of(behaviour=NumberBehaviour(Deducts.AT_PAYMENT, frozenset(GivesBack)))


class TestGivesBackNothingDeclared(Sabotaged):
    connector = connector_of(behaviour=NumberBehaviour(Deducts.AT_ORDER, frozenset()))


class TestPhysicalDeclared(Sabotaged):
    connector = connector_of(meaning="physical")


class TestZeroDeactivatesDeclared(Sabotaged):
    connector = connector_of(zero="deactivates")


class TestCapDeclared(Sabotaged):
    connector = connector_of(timing=Timing(cap=100))


class HoldsWritesBack(MemoryChannel):
    """Accepted writes come into force with the next read."""

    waiting: Sequence[object] = ()

    async def push(self, updates):
        self.waiting = [*self.waiting, *updates]
        return [PushResult.accepted(one.key) for one in updates]

    async def read(self, keys):
        for update in self.waiting:
            self._set(update)
        self.waiting = ()
        return await super().read(keys)


class TestWritesNotAtOnce(Sabotaged):
    connector = connector_of(HoldsWritesBack, answers_with_number=False)


class OvertakingWorld(MemoryWorld):
    """A minute after a newer write an older one comes into force."""

    async def advance(self, by):
        await super().advance(by)
        for item in self.shop.items.values():
            item.number = 7 if item.number == 3 else item.number


class TestOlderWriteComesLater(Sabotaged):
    connector = connector_of(timing=Timing(applies=Applies.IN_ORDER))

    @pytest.fixture
    def world(self, clock):
        return OvertakingWorld("sabotaged", clock)


# Failures


class ForgetsTheWait(MemoryChannel):
    @contextmanager
    def _asking(self, *, write=False):
        try:
            with super()._asking(write=write):
                yield
        except TryLater as error:
            error.retry_after = None
            raise


class TestRetryAfterForgotten(Sabotaged):
    connector = connector_of(ForgetsTheWait)


class TriesForbiddenAgain(MemoryChannel):
    @contextmanager
    def _asking(self, *, write=False):
        try:
            with super()._asking(write=write):
                yield
        except NeedsSeller as error:
            raise TryLater(str(error)) from error


class TestSellerNotCalled(Sabotaged):
    connector = connector_of(TriesForbiddenAgain)


class SureOfWrites(MemoryChannel):
    @contextmanager
    def _asking(self, *, write=False):
        try:
            with super()._asking(write=write):
                yield
        except OutcomeUnknown as error:
            raise TryLater(str(error)) from error


class TestUnknownOutcomeTakenForNothingDone(Sabotaged):
    connector = connector_of(SureOfWrites)


class UnsureOfReads(MemoryChannel):
    @contextmanager
    def _asking(self, *, write=False):
        with super()._asking(write=True):
            yield


class TestReadsOfUnknownOutcome(Sabotaged):
    connector = connector_of(UnsureOfReads)


class GarbledWorld(MemoryWorld):
    """Its unreadable answers come as the parser's own error, which shows the whole answer."""

    async def fail(self, fault, *, retry_after=None):
        if fault in (Fault.HTML, Fault.EMPTY, Fault.CUT, Fault.WRONG_SHAPE):
            self.shop.trouble = json.JSONDecodeError("not JSON", f"<p>{CANARY[0]}", 0)
        else:
            await super().fail(fault, retry_after=retry_after)


class TestParserErrorsLetThrough(Sabotaged):
    @pytest.fixture
    def world(self, clock):
        return GarbledWorld("sabotaged", clock)


class SecretSettings(MemorySettings):
    password: SecretStr = SecretStr("hunter2-hunter2")


class TellsItsSecret(MemoryChannel):
    async def check(self):
        try:
            return await super().check()
        except TryLater as error:
            raise TryLater(f"{error}: {self._settings.password.get_secret_value()}") from error


class KeepsItsSecretOpen(MemoryChannel):
    def __init__(self, settings, shop, clock) -> None:
        super().__init__(settings, shop, clock)
        self._password = settings.password.get_secret_value()


class TestSecretInAnError(Sabotaged):
    connector = connector_of(TellsItsSecret)
    settings = SecretSettings(shop="sabotaged")


class TestSecretInARepr(Sabotaged):
    connector = connector_of(KeepsItsSecretOpen)
    settings = SecretSettings(shop="sabotaged")


# Webhooks

SECRET = base64.b64encode(b"a secret of the shop, long enough").decode()


class TellingWorld(MemoryWorld):
    async def delivery(self, order):
        stamp = str(int(self.clock.now().timestamp()))
        body = json.dumps({"order": order}).encode()
        signed = hmac.digest(base64.b64decode(SECRET), f"msg-1.{stamp}.".encode() + body, hashlib.sha256)
        signature = f"v1,{base64.b64encode(signed).decode()}"
        headers = {"webhook-id": "msg-1", "webhook-timestamp": stamp, "webhook-signature": signature}
        return Delivery(headers, body, "msg-1")


class Scheme:
    def __init__(self) -> None:
        self.signatures = StandardWebhooks([SecretStr(SECRET)])

    def verify(self, headers, body, now):
        signed = self.signatures.verified(headers, body, now)
        return None if signed is None else self.hint(signed.event, signed.sent_at, body)

    def hint(self, event, sent_at, body):
        return WebhookHint(topic="order", event=event, sent_at=sent_at, orders=(json.loads(body)["order"],))


class BelievesEverybody(Scheme):
    def verify(self, headers, body, now):
        return self.hint(headers.get("webhook-id", "msg-1"), now, body or b'{"order": ""}')


class BelievesForEver(Scheme):
    def verify(self, headers, body, now):
        found = {name.lower(): value for name, value in headers.items()}
        try:
            sent_at = datetime.fromtimestamp(int(found.get("webhook-timestamp", "")), UTC)
        except (ValueError, OverflowError):
            return None
        return super().verify(headers, body, sent_at)


class RaisesOnForgery(Scheme):
    def verify(self, headers, body, now):
        base64.b64decode(headers["webhook-signature"].removeprefix("v1,"), validate=True)
        return super().verify(headers, body, now)


class Telling(Sabotaged):
    @pytest.fixture
    def world(self, clock):
        return TellingWorld("sabotaged", clock)


class TestGoodWebhooks(Telling):
    connector = replace(connector_of(), webhooks=lambda _settings: Scheme())


class TestForgeriesBelieved(Telling):
    connector = replace(connector_of(), webhooks=lambda _settings: BelievesEverybody())


class TestStaleDeliveriesBelieved(Telling):
    connector = replace(connector_of(), webhooks=lambda _settings: BelievesForEver())


class TestForgeriesRaise(Telling):
    connector = replace(connector_of(), webhooks=lambda _settings: RaisesOnForgery())


# The folder


class Folder(Sabotaged):
    """A copy of the memory connector's folder with one text in one file replaced."""

    file = ""
    text = ("", "")

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for entry in files("channelsync_memory").iterdir():
            if entry.is_file():
                content = entry.read_text(encoding="utf-8")
                if entry.name == self.file:
                    assert self.text[0] in content
                    content = content.replace(*self.text)
                (tmp_path / entry.name).write_text(content, encoding="utf-8")
        return tmp_path


class TestHeadingMissing(Folder):
    file, text = "README.md", ("## Limits", "")


class TestSettingMissingInTheExample(Folder):
    file, text = "example.toml", ("# orders_per_page = 50", "")


class TestExampleShowsAnotherDefault(Folder):
    file, text = "example.toml", ("# orders_per_page = 50", "# orders_per_page = 20")


class TestExampleWithATypo(Folder):
    file, text = "example.toml", ("# shop =", "shoppe =")


class TestRuleUnanswered(Folder):
    file, text = "quality.toml", ('typed = "done"\n', "")


class TestExemptWithoutAReason(Folder):
    file, text = "quality.toml", ('typed = "done"', 'typed = { status = "exempt" }')


class TestSleepsByItself(Folder):
    file, text = "__init__.py", ("asked = self._clock.now()", "asked = datetime.datetime.now(UTC)")


class TestImportsTheStore(Folder):
    file, text = "__init__.py", ("import NeedsSeller", "import NeedsSeller\nfrom channelsync.store import ledger #")


class LooseSettings(MemorySettings, extra="ignore"):
    pass


class TestSettingsTakeAnything(Sabotaged):
    connector = replace(connector_of(), settings=LooseSettings)
    settings = LooseSettings(shop="sabotaged")
