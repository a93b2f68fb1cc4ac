"""A shop of its own for each test, a way to ask it, and the answers of a real one."""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channelsync.lab.marketplace_http import Request
from channelsync.sdk.contract.world import ContractClock
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.recorded import Recorded, recordings
from vendor_woocommerce.shapes import Shapes
from vendor_woocommerce.site import WooSite, open_vendor

# Read at import: no test sees what the environment says to channelsync.
CONTRACTS = os.environ.get("CHANNELSYNC_CONTRACTS", "")  # noqa: TID251
RECORDINGS = Path(CONTRACTS).parent / "recordings" / "woocommerce"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, its body parsed."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Asking:
    """Asks a shop as its seller does, unless told otherwise."""

    def __init__(self, site: WooSite) -> None:
        self.site = site

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Told:
        token = base64.b64encode(f"{self.site.consumer_key}:{self.site.consumer_secret}".encode()).decode()
        sent = {"authorization": f"Basic {token}", "host": "shop.example"} if headers is None else headers
        content = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        where = path if path.startswith("/wp-json") else f"/wp-json/wc/v3{path}"
        reply = self.site.api.handle(Request(method, where, {}, sent, content, query.encode()))
        return Told(
            reply.status, reply.headers, json.loads(reply.body) if reply.body.startswith((b"{", b"[")) else reply.body
        )

    def simple(self, sku: str = "MUG", number: int | None = 10, **more: object) -> int:
        """A new simple product; number: None for one that manages nothing."""
        stock = {"manage_stock": False} if number is None else {"manage_stock": True, "stock_quantity": number}
        made = self("POST", "/products", {"name": sku, "sku": sku, "regular_price": "10.00", **stock, **more})
        assert made.status == 201, made.body
        return int(made.body["id"])

    def shirt(self, *sizes: tuple[str, object], **parent: object) -> tuple[int, list[int]]:
        """A variable product and its variations: (size, number), the number None where it manages none."""
        made = self("POST", "/products", {"name": "Shirt", "type": "variable", "sku": "SHIRT", **parent})
        rows = [
            {
                "sku": f"SHIRT-{size}",
                "regular_price": "25.00",
                "manage_stock": number is not None,
                **({} if number is None else {"stock_quantity": number}),
                "attributes": [{"name": "Size", "option": size}],
            }
            for size, number in sizes
        ]
        batch = self("POST", f"/products/{made.body['id']}/variations/batch", {"create": rows})
        return int(made.body["id"]), [int(each["id"]) for each in batch.body["create"]]

    def order(self, product: int, quantity: int = 1, **more: object) -> int:
        """A new order of one product over the API."""
        lines = [{"product_id": product, "quantity": quantity}]
        made = self("POST", "/orders", {"payment_method": "card", "line_items": lines, **more})
        assert made.status == 201, made.body
        return int(made.body["id"])

    def number(self, product: int) -> int | None:
        """What the product shows."""
        shown = self("GET", f"/products/{product}").body["stock_quantity"]
        return None if shown is None else int(shown)


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


@pytest.fixture(scope="session")
def shapes() -> Shapes | None:
    """The shapes of a real shop's answers; None where the recordings are not there."""
    return Shapes(recordings(RECORDINGS)) if CONTRACTS and RECORDINGS.is_dir() else None


@pytest.fixture
def open_shop(clock: ContractClock, shapes: Shapes | None) -> Iterator[Callable[..., Asking]]:
    """Opens a shop with other options: those of `SiteOptions`, and `permissions`, `keys`, `faults`.

    After the test, every answer that such a shop gave is held against the shapes of a real shop's.
    """
    opened: list[Asking] = []

    def opening(**options: Any) -> Asking:
        own = {name: options.pop(name) for name in ("permissions", "keys", "faults") if name in options}
        opened.append(Asking(open_vendor("shop", clock, options=SiteOptions(**options), **own)))
        return opened[-1]

    yield opening
    if shapes is not None:
        exchanges = [exchange for ask in opened for exchange in ask.site.api.exchanges]
        assert [problem for exchange in exchanges for problem in shapes.problems(exchange)] == []


@pytest.fixture(scope="session")
def asking() -> type[Asking]:
    """For shops that a test opens itself."""
    return Asking


@pytest.fixture
def ask(open_shop: Callable[..., Asking]) -> Asking:
    """A shop of WooCommerce 9.9.5 over https."""
    return open_shop()


@pytest.fixture(scope="session")
def recordings_folder() -> Path:
    """Where the recorded answers of a real shop are."""
    if not CONTRACTS or not RECORDINGS.is_dir():
        pytest.skip("CHANNELSYNC_CONTRACTS does not name the folder of the vendors' contracts and recordings")
    return RECORDINGS


@pytest.fixture(scope="session")
def recorded(recordings_folder: Path) -> list[Recorded]:
    """The recorded answers of a real shop, in the order in which they were made."""
    return recordings(recordings_folder)
