"""Amazon's test server, and a plain caller of its API."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from channelsync.lab.marketplace_http import Request
from channelsync.sdk.contract import ContractClock
from vendor_amazon import AmazonHabits, AmazonSite, open_vendor

CONTRACTS = os.getenv("CHANNELSYNC_CONTRACTS", "")
WHY = (
    "needs Amazon's models: CHANNELSYNC_CONTRACTS names the folder of the vendors' contracts, with amazon/models in it"
)


class Caller:
    """Calls the API with a token of its own, which it renews."""

    def __init__(self, site: AmazonSite, clock: ContractClock) -> None:
        self.site = site
        self.clock = clock
        self.token = ""
        self.headers: dict[str, str] = {}

    def login(self, **form: str) -> tuple[int, dict[str, Any]]:
        """Asks for a token; what is named replaces what a seller's application sends."""
        account = self.site.account
        sent = {
            "grant_type": "refresh_token",
            "refresh_token": account.refresh_token,
            "client_id": account.client_id,
            "client_secret": account.client_secret,
        } | form
        kind = {"content-type": "application/x-www-form-urlencoded;charset=UTF-8"}
        body = urlencode({name: value for name, value in sent.items() if value}).encode()
        reply = self.site.api.handle(Request("POST", "/auth/o2/token", {}, kind, body))
        return reply.status, json.loads(reply.body)

    def send(self, method: str, path: str, body: bytes = b"", raw: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request as it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        query = dict(parse_qsl(raw.decode(), keep_blank_values=True))
        reply = self.site.api.handle(Request(method, path, query, named, body, raw))
        self.headers = dict(reply.headers)
        return reply.status, reply.body

    def __call__(self, method: str, path: str, body: object = None, **query: str | int) -> tuple[int, Any]:
        """One call with a token. Lists in the query are written with commas."""
        if not self.token:
            self.token = self.login()[1]["access_token"]
        sent = b"" if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"content_type": "application/json"}
        raw = urlencode({name: str(value) for name, value in query.items()}).encode()
        status, content = self.send(method, path, sent, raw, x_amz_access_token=self.token, host="amazon", **kind)
        return status, json.loads(content) if content else None

    def ok(self, method: str, path: str, body: object = None, **query: str | int) -> Any:
        """The content of an answer that must be a success."""
        status, content = self(method, path, body, **query)
        assert status < 300, (status, content)
        return content

    def code(self, method: str, path: str, body: object = None, **query: str | int) -> tuple[int, str]:
        """The status and the code of a refusal."""
        status, content = self(method, path, body, **query)
        return status, content["errors"][0]["code"]

    def document(self, url: str, method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Puts or gets a document by its address."""
        parts = urlsplit(url)
        return self.send(method, parts.path, body, parts.query.encode(), **headers)

    async def wait(self, **by: float) -> None:
        """Time passes. A token lives for an hour, so it is renewed."""
        await self.clock.sleep(timedelta(**by).total_seconds())
        self.token = ""


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


@pytest.fixture
def contracts() -> Path:
    if not CONTRACTS:
        pytest.skip(WHY)
    return Path(CONTRACTS)


@pytest.fixture
def habits() -> AmazonHabits:
    """How this Amazon behaves; override it for another one."""
    return AmazonHabits(rate_header_share=1.0)


@pytest.fixture
def open_site(contracts: Path, clock: ContractClock) -> Iterator[Callable[..., AmazonSite]]:
    """Opens sites, and looks at the end whether they kept to Amazon's own models."""
    opened: list[AmazonSite] = []

    def open_one(name: str = "amazon", **options: Any) -> AmazonSite:
        opened.append(open_vendor(name, clock, contracts=contracts, **options))
        return opened[-1]

    yield open_one
    assert [problem for site in opened for problem in site.api.problems] == []


@pytest.fixture
def site(open_site: Callable[..., AmazonSite], habits: AmazonHabits) -> AmazonSite:
    return open_site(habits=habits)


@pytest.fixture
def call(site: AmazonSite, clock: ContractClock) -> Caller:
    return Caller(site, clock)


@pytest.fixture
def caller_of(clock: ContractClock) -> Callable[[AmazonSite], Caller]:
    """A caller of another site."""
    return lambda site: Caller(site, clock)
