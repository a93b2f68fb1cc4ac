"""What the tests of the WooCommerce connector share: settings, a clock that stands still, recorded answers."""

import json
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from channelsync.domain.booking import Terms, book
from channelsync.domain.effects import KeyMove
from channelsync.domain.sourcing import SoldAs
from channelsync.sdk.breaker import Breaker
from channelsync.sdk.contract import ContractClock
from channelsync.sdk.http import HttpTransport
from channelsync.sdk.resources import Resources, unused
from channelsync.sdk.values import OrderSnapshot
from channelsync_woocommerce import CONNECTOR, USER_AGENT
from channelsync_woocommerce.channel import WooChannel
from channelsync_woocommerce.settings import WooSettings
from vendor_woocommerce.routes import Routes

CONTRACTS = os.getenv("CHANNELSYNC_CONTRACTS", "")
"""Read here, because no test sees what the environment says to channelsync."""
NO_RECORDINGS = (
    "needs recorded answers of a shop: CHANNELSYNC_CONTRACTS names the folder of the vendors' contracts, and"
    " ../recordings/woocommerce beside it holds one request with its answer a file, as JSON, taken down from a"
    " WooCommerce 9.9; woocommerce/fixtures holds those of github.com/woocommerce/woocommerce-rest-api-docs"
)
HOME = "https://shop.example"
API = HOME + "/wp-json/wc/v3"


@pytest.fixture
def recordings() -> Path:
    """The folder of the recorded answers."""
    folder = Path(CONTRACTS).parent / "recordings" / "woocommerce"
    if not CONTRACTS or not folder.is_dir():
        pytest.skip(NO_RECORDINGS)
    return folder


@pytest.fixture(scope="session")
def routes() -> Routes | None:
    """What a real shop's routes take; None where no recorded answers are at hand: then requests are not checked."""
    folder = Path(CONTRACTS).parent / "recordings" / "woocommerce"
    return Routes.read(folder) if CONTRACTS and folder.is_dir() else None


@pytest.fixture(autouse=True)
def judged(routes: Routes | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every request of ours is held against the list of a real shop's routes, whoever answers it. Gives what was sent,
    by method and route."""
    sent: list[str] = []
    problems: list[str] = []
    build = HttpTransport._build

    def judging(*given: Any) -> httpx.Request:
        request = build(*given)
        if routes is not None and request.headers["user-agent"] == USER_AGENT:
            path, _, query = request.url.raw_path.partition(b"?")
            problems.extend(routes.problems(request.method, unquote(path.decode()), query, request.content))
            if (found := routes.route(request.method, unquote(path.decode()))) is not None:
                sent.append(f"{request.method} {found[0].name}")
        return request

    monkeypatch.setattr(HttpTransport, "_build", judging)
    yield sent
    assert problems == []


@pytest.fixture
def recorded(recordings: Path) -> Callable[[str], Any]:
    """The body of a recorded answer, by the number of the recording."""

    def body(number: str) -> Any:
        (path,) = recordings.glob(f"{number}_*.json")
        return json.loads(path.read_text(encoding="utf-8"))["response"]["body"]

    return body


@pytest.fixture
def settings() -> WooSettings:
    """A shop over https. Override it for another one."""
    return WooSettings(
        base_url=HOME,
        consumer_key="ck_0123456789",
        consumer_secret="cs_9876543210",
        webhook_secrets=("lab-webhook-secret",),
        orders_per_page=3,
        listings_per_page=3,
    )


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


@pytest.fixture
def resources(settings: WooSettings, clock: ContractClock) -> Resources:
    fresh = unused("my-shop", CONNECTOR.budgets(settings), clock)
    return replace(fresh, breaker=Breaker("my-shop", clock, failures_max=1000))


@pytest.fixture
async def shop(settings: WooSettings, resources: Resources) -> AsyncIterator[WooChannel]:
    """The channel; its requests are answered by respx."""
    async with CONNECTOR.open(settings, resources) as channel:
        yield channel


@pytest.fixture
def moved(settings):
    """By how much the shop's numbers have moved after these snapshots, by listing."""
    behaviour = CONNECTOR.capabilities(settings).behaviour

    def moved(*snapshots: OrderSnapshot) -> dict[str, int]:
        names = sorted({line.listing or "" for one in snapshots for line in one.lines})
        numbers: dict[str, int] = defaultdict(int)
        booked: dict[str, Any] = {}
        for one in snapshots:
            terms = Terms(
                channel="my-shop",
                sold={line.line: SoldAs(line.listing or "") for line in one.lines},
                locations=["here"],
                available={"here": dict.fromkeys(names, 100)},
                recipes={},
                counted_up_to={},
                run="run-1",
                behaviour=behaviour,
                moves={line.line: [KeyMove(names.index(line.listing or ""))] for line in one.lines},
            )
            booking = book(booked.get(one.order), one, terms)
            assert booking.verdict in ("booked", "same")
            booked[one.order] = booking.order
            for effect in booking.effects:
                numbers[names[effect.key]] += effect.delta
        return dict(numbers)

    return moved
