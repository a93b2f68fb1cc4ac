"""eBay's test server, and a plain caller of its API."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_http import Reply, Request
from channelsync.lab.marketplace_values import Order
from channelsync.sdk.contract import ContractClock
from vendor_ebay import EbaySite, open_vendor

CONTRACTS = os.getenv("CHANNELSYNC_CONTRACTS", "")
WHY = "needs eBay's API descriptions: CHANNELSYNC_CONTRACTS names the folder of the vendors' contracts, with ebay in it"


class Caller:
    """Calls the API with a token of its own."""

    def __init__(self, site: EbaySite) -> None:
        self.site = site
        self.token = ""
        self.headers: dict[str, str] = {}

    def token_for(self, secret: str | None = None, **form: str) -> tuple[int, dict[str, Any]]:
        """POST /identity/v1/oauth2/token"""
        keys = f"{self.site.client_id}:{secret or self.site.client_secret}"
        headers = {
            "authorization": "Basic " + base64.b64encode(keys.encode()).decode(),
            "content-type": "application/x-www-form-urlencoded",
        }
        reply = self.site.api.handle(
            Request("POST", "/identity/v1/oauth2/token", {}, headers, urlencode(form).encode())
        )
        return reply.status, json.loads(reply.body)

    def login(self) -> str:
        """A token of the seller's, with all scopes."""
        _, told = self.token_for(grant_type="refresh_token", refresh_token=self.site.refresh_token)
        self.token = told["access_token"]
        return self.token

    def send(self, method: str, path: str, body: bytes = b"", raw: bytes = b"", **headers: str) -> Reply:
        """One request as it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        query = dict(parse_qsl(raw.decode("latin-1")))
        return self.site.api.handle(Request(method, path, query, named, body, raw))

    def __call__(self, method: str, path: str, body: object = None, **query: str | int) -> tuple[int, Any]:
        """One call with a token: status and JSON, None for no body."""
        headers = {"authorization": f"Bearer {self.token or self.login()}"}
        if body is not None:
            headers |= {"content_type": "application/json", "content_language": "en-US"}
        raw = urlencode({name: str(value) for name, value in query.items()}, quote_via=quote).encode()
        reply = self.send(method, path, b"" if body is None else json.dumps(body).encode(), raw, **headers)
        self.headers = reply.headers
        return reply.status, json.loads(reply.body) if reply.body else None

    def error(self, method: str, path: str, body: object = None, **query: str | int) -> tuple[int, int]:
        """One call that fails: its status and the number of its first error."""
        status, told = self(method, path, body, **query)
        return status, told["errors"][0]["errorId"]

    def write(self, *requests: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
        """POST bulk_update_price_quantity"""
        status, told = self("POST", "/sell/inventory/v1/bulk_update_price_quantity", {"requests": list(requests)})
        return status, told["responses"] if status in (200, 207) else told["errors"]

    def trading(self, call: str, inner: str, **headers: str) -> str:
        """A call of the Trading API; gives the answer's XML."""
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><{call}Request xmlns="urn:ebay:apis:eBLBaseComponents">{inner}'
            f"</{call}Request>"
        )
        sent = {
            "x_ebay_api_call_name": call,
            "x_ebay_api_siteid": "0",
            "x_ebay_api_compatibility_level": "1193",
            "x_ebay_api_iaf_token": self.token or self.login(),
        } | headers
        reply = self.send("POST", "/ws/api.dll", body.encode(), **sent)
        assert reply.status == 200
        return reply.body.decode()


@pytest.fixture(scope="session")
def contracts() -> Path:
    if not CONTRACTS or not (Path(CONTRACTS) / "ebay" / "sell_inventory_v1_oas3.json").exists():
        pytest.skip(WHY)
    return Path(CONTRACTS)


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


@pytest.fixture
def opened(clock: ContractClock, contracts: Path) -> Iterator[Callable[..., Caller]]:
    """Opens an eBay with other rules or behaviour. At the end no answer of any may have broken the description."""
    made: list[EbaySite] = []

    def open_one(**how: Any) -> Caller:
        made.append(open_vendor("ebay", clock, contracts=contracts, **how))
        return Caller(made[-1])

    yield open_one
    assert [problem for site in made for problem in site.api.answer_problems] == []


@pytest.fixture
def ebay(opened: Callable[..., Caller]) -> Caller:
    return opened()


@pytest.fixture
def buy(ebay: Caller) -> Callable[..., Order]:
    """A buyer orders units of listings."""

    def order(*lines: tuple[str, int], paid: bool = True) -> Order:
        placed = ebay.site.marketplace.place([Wanted(name, units) for name, units in lines], paid=paid).order
        assert placed is not None
        return placed

    return order
