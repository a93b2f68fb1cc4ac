"""Connectors that misjudge failures, tell secrets, believe forgeries or ship an unfinished folder, and the contract.

Run by test_contract.py, which looks whether the right test of each class fails.
"""

import base64
import hashlib
import hmac
import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import SecretStr

from channelsync.sdk.contract import CANARY, ConnectorContract, Delivery, Fault
from channelsync.sdk.errors import NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.webhooks import StandardWebhooks, WebhookHint
from channelsync_memory import MemoryChannel, MemorySettings
from channelsync_memory.world import MemoryWorld, memory_connector


class Sabotaged(ConnectorContract):
    connector = memory_connector()
    settings = MemorySettings(shop="sabotaged", orders_per_page=MemoryWorld.orders_per_page)

    @pytest.fixture
    def world(self, clock):
        return MemoryWorld("sabotaged", clock)


class TestNothingBroken(Sabotaged):
    pass


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
    connector = memory_connector(ForgetsTheWait)


class TriesForbiddenAgain(MemoryChannel):
    @contextmanager
    def _asking(self, *, write=False):
        try:
            with super()._asking(write=write):
                yield
        except NeedsSeller as error:
            raise TryLater(str(error)) from error


class TestSellerNotCalled(Sabotaged):
    connector = memory_connector(TriesForbiddenAgain)


class SureOfWrites(MemoryChannel):
    @contextmanager
    def _asking(self, *, write=False):
        try:
            with super()._asking(write=write):
                yield
        except OutcomeUnknown as error:
            raise TryLater(str(error)) from error


class TestUnknownOutcomeTakenForNothingDone(Sabotaged):
    connector = memory_connector(SureOfWrites)


class UnsureOfReads(MemoryChannel):
    @contextmanager
    def _asking(self, *, write=False):
        with super()._asking(write=True):
            yield


class TestReadsOfUnknownOutcome(Sabotaged):
    connector = memory_connector(UnsureOfReads)


class NeverRecovers(MemoryChannel):
    """A failure is remembered as long as the process lives."""

    failed: set[int] = set()  # noqa: RUF012 - the sabotage

    @contextmanager
    def _asking(self, *, write=False):
        if id(self._shop) in self.failed:
            raise TryLater("it failed before")
        try:
            with super()._asking(write=write):
                yield
        except TryLater:
            self.failed.add(id(self._shop))
            raise


class TestNeverRecovers(Sabotaged):
    connector = memory_connector(NeverRecovers)


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
    connector = memory_connector(TellsItsSecret)
    settings = SecretSettings(shop="sabotaged")


class TestSecretInARepr(Sabotaged):
    connector = memory_connector(KeepsItsSecretOpen)
    settings = SecretSettings(shop="sabotaged")


# Webhooks

SECRET = base64.b64encode(b"a secret of the shop, long enough").decode()


class TellingWorld(MemoryWorld):
    async def delivery(self, order):
        stamp = str(int(self.clock.now().timestamp()))
        body = json.dumps({"order": order}).encode()
        event = f"msg-{order}"
        signed = hmac.digest(base64.b64decode(SECRET), f"{event}.{stamp}.".encode() + body, hashlib.sha256)
        signature = f"v1,{base64.b64encode(signed).decode()}"
        headers = {"webhook-id": event, "webhook-timestamp": stamp, "webhook-signature": signature}
        return Delivery(headers, body, event)


class Scheme:
    def __init__(self) -> None:
        self.signatures = StandardWebhooks([SecretStr(SECRET)])

    async def verify(self, headers, body, now):
        signed = self.signatures.verified(headers, body, now)
        return None if signed is None else self.hint(signed.event, signed.sent_at, body)

    def hint(self, event, sent_at, body):
        return WebhookHint(topic="order", event=event, sent_at=sent_at, orders=(json.loads(body)["order"],))


class BelievesEverybody(Scheme):
    async def verify(self, headers, body, now):
        return self.hint(headers.get("webhook-id", "msg-1"), now, body or b'{"order": ""}')


class BelievesForEver(Scheme):
    async def verify(self, headers, body, now):
        found = {name.lower(): value for name, value in headers.items()}
        try:
            sent_at = datetime.fromtimestamp(int(found.get("webhook-timestamp", "")), UTC)
        except (ValueError, OverflowError):
            return None
        return await super().verify(headers, body, sent_at)


class RaisesOnForgery(Scheme):
    async def verify(self, headers, body, now):
        base64.b64decode(headers["webhook-signature"].removeprefix("v1,"), validate=True)
        return await super().verify(headers, body, now)


class NamesEventsBySecond(Scheme):
    async def verify(self, headers, body, now):
        hint = await super().verify(headers, body, now)
        return None if hint is None else replace(hint, event=str(int(hint.sent_at.timestamp())))


class HintsAtNothing(Scheme):
    async def verify(self, headers, body, now):
        hint = await super().verify(headers, body, now)
        return None if hint is None else replace(hint, orders=())


class MindsSpelling(Scheme):
    async def verify(self, headers, body, now):
        return await super().verify(headers, body, now) if "webhook-id" in headers else None


class NamelessWorld(TellingWorld):
    async def delivery(self, order):
        return replace(await super().delivery(order), event=None)


class Telling(Sabotaged):
    @pytest.fixture
    def world(self, clock):
        return TellingWorld("sabotaged", clock)


class TestGoodWebhooks(Telling):
    connector = replace(memory_connector(), webhooks=lambda _settings, _resources: Scheme())


class TestForgeriesBelieved(Telling):
    connector = replace(memory_connector(), webhooks=lambda _settings, _resources: BelievesEverybody())


class TestStaleDeliveriesBelieved(Telling):
    connector = replace(memory_connector(), webhooks=lambda _settings, _resources: BelievesForEver())


class TestDeliveriesHintAtNothing(Telling):
    connector = replace(memory_connector(), webhooks=lambda _settings, _resources: HintsAtNothing())


class TestHeadersSpelledOneWay(Telling):
    connector = replace(memory_connector(), webhooks=lambda _settings, _resources: MindsSpelling())


class TestForgeriesRaise(Telling):
    connector = replace(memory_connector(), webhooks=lambda _settings, _resources: RaisesOnForgery())


class TestEventsNamedBySecond(Telling):
    connector = replace(memory_connector(), webhooks=lambda _settings, _resources: NamesEventsBySecond())

    @pytest.fixture
    def world(self, clock):
        return NamelessWorld("sabotaged", clock)


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
    connector = replace(memory_connector(), settings=LooseSettings)
    settings = LooseSettings(shop="sabotaged")
