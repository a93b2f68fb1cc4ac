"""What goes wrong on the way: the lab's faults, and what broken plugins add."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channelsync.lab.faults import Fault, FaultKind, FaultPlan
from channelsync.lab.marketplace_http import Reply, Request
from channelsync.sdk.contract.world import START, ContractClock
from vendor_woocommerce.site import open_vendor


def _plan(kind: FaultKind, *endpoints: str, **more: object) -> FaultPlan:
    """The fault from a minute after the start on."""
    begins = START + timedelta(minutes=1)
    fault = Fault(kind=kind, starts=begins, ends=begins + timedelta(days=1), endpoints=frozenset(endpoints), **more)
    return FaultPlan([fault])


async def _shop(open_shop, clock, kind: FaultKind, *endpoints: str, **more: object):
    ask = open_shop(faults=_plan(kind, *endpoints, **more))
    mug = ask.simple(number=10)
    await clock.sleep(60)
    return ask, mug


def _write(ask, mug: int) -> Reply:
    ask("PUT", f"/products/{mug}", {"stock_quantity": 3})
    return ask.site.api.exchanges[-1].reply


@pytest.mark.parametrize(
    ("kind", "done", "status", "fate"),
    [
        (FaultKind.TOO_MANY, False, 429, "arrives"),
        (FaultKind.SERVER_ERROR, False, 503, "arrives"),
        (FaultKind.SERVER_ERROR_AFTER, True, 503, "arrives"),
        (FaultKind.NO_ANSWER, False, 0, "is never sent"),
        (FaultKind.NO_ANSWER_AFTER, True, 200, "is never sent"),
        (FaultKind.RESET_AFTER, True, 200, "is reset"),
        (FaultKind.HTML, False, 200, "arrives"),
        (FaultKind.HTML_AFTER, True, 200, "arrives"),
        (FaultKind.EMPTY_AFTER, True, 200, "arrives"),
        (FaultKind.TRUNCATED_AFTER, True, 200, "is cut short"),
        (FaultKind.DRIP, True, 200, "drips"),
        (FaultKind.OUTAGE, False, 0, "is refused"),
    ],
)
async def test_each_fault_spoils_the_answer_or_the_call(
    open_shop: Callable[..., object], clock, kind: FaultKind, done: bool, status: int, fate: str
) -> None:
    ask, mug = await _shop(open_shop, clock, kind)
    reply = _write(ask, mug)
    assert (reply.status, reply.fate) == (status, fate)
    await clock.sleep(2 * 86_400)
    assert ask.number(mug) == (3 if done else 10)


@pytest.mark.parametrize(("how", "told"), [("seconds", "7"), ("date", "Thu, 01 Jun 2017 09:01:07 GMT")])
async def test_a_throttled_answer_tells_how_long_to_wait(open_shop, clock, how: str, told: str) -> None:
    ask, mug = await _shop(open_shop, clock, FaultKind.TOO_MANY, retry_after=7.0, retry_as=how)
    assert _write(ask, mug).headers["retry-after"] == told


async def test_rows_of_a_batch_fail_or_their_results_are_missing(open_shop, clock) -> None:
    ask, mug = await _shop(open_shop, clock, FaultKind.PARTIAL, "push")
    cup = ask.simple("CUP", 10)
    rows = {"update": [{"id": mug, "stock_quantity": 1}, {"id": cup, "stock_quantity": 1}]}
    first, second = ask("POST", "/products/batch", rows).body["update"]
    assert (first["id"], first["error"]["data"]["status"], second["stock_quantity"]) == (mug, 500, 1)
    assert (ask.number(mug), ask.number(cup)) == (10, 1)
    ask, mug = await _shop(open_shop, clock, FaultKind.ROWS_MISSING, "push")
    rows = {"update": [{"id": mug, "stock_quantity": 1}] * 3}
    assert len(ask("POST", "/products/batch", rows).body["update"]) in (1, 3)


async def test_pages_come_twice_or_are_the_first_for_ever(open_shop, clock) -> None:
    begins = START + timedelta(minutes=1)
    for kind, found in ((FaultKind.ROWS_TWICE, [1, 0, 1, 0]), (FaultKind.SAME_CURSOR, [1, 0])):
        fault = Fault(kind=kind, starts=START, ends=begins + timedelta(days=9), endpoints=frozenset({"listings"}))
        ask = open_shop(faults=FaultPlan([fault]))
        made = [ask.simple(f"SKU-{turn}", 1) for turn in range(4)]
        page = 1 if kind is FaultKind.ROWS_TWICE else 2
        rows = ask("GET", "/products", query=f"per_page=2&page={page}&order=asc&orderby=id").body
        expected = [made[0], made[1], made[0], made[1]] if kind is FaultKind.ROWS_TWICE else made[:2]
        assert [each["id"] for each in rows] == expected, (kind, found)


async def test_only_the_orders_may_be_down(open_shop, clock) -> None:
    ask, mug = await _shop(open_shop, clock, FaultKind.SERVER_ERROR, "orders", "orders by id")
    assert ask.number(mug) == 10
    assert (ask("GET", "/orders").status, ask("GET", "/orders/11").status) == (503, 503)


@pytest.mark.parametrize("notice", ["\ufeff", "<br />\n<b>Deprecated</b>: something in <b>/wp-content</b><br />\n"])
def test_a_broken_plugin_writes_before_the_json(open_shop, notice: str) -> None:
    ask = open_shop(notice=notice)
    ask("GET", "/products")
    assert ask.site.api.exchanges[-1].reply.body == notice.encode() + b"[]"


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/wp-json/wc/v3/orders/99999999999999999999", {}, {}),
        Request("GET", "", {}, {}),
        Request("POST", "/wp-json/wc/v3/products/batch", {}, {}, b"\xff\xfe"),
        Request("GET", "/wp-json/wc/v3/orders", {}, {"authorization": "Basic \u00e9\u00e9"}),
        Request("GET", "/wp-json/wc/v3/orders", {}, {"authorization": 'OAuth oauth_nonce="'}),
        Request("GET", "/wp-json/wc/v3/orders", {}, {}, b"", b"a[b[c]=%zz&&=1&%E9[]=x"),
    ],
)
def test_nothing_that_a_request_holds_makes_it_raise(open_shop, request_: Request) -> None:
    for https in (True, False):
        assert 400 <= open_shop(https=https).site.api.handle(request_).status < 500


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"update": "all"},
        {"update": [3, None, {"id": "x"}]},
        {"delete": ["x", None, {}]},
        {"create": [{"name": 3}]},
        {"update": [{"id": [1]}]},
        {"line_items": [3]},
        {"line_items": [{"quantity": {}}]},
        {"billing": 3, "attributes": "x", "amount": [], "topic": {}},
    ],
)
def test_odd_bodies_are_answered(ask, body: object) -> None:
    mug = ask.simple(number=10)
    order = ask.order(mug)
    for method, path in (
        ("POST", "/products/batch"),
        ("POST", "/orders"),
        ("PUT", f"/orders/{order}"),
        ("PUT", f"/products/{mug}"),
        ("POST", f"/orders/{order}/refunds"),
        ("POST", "/webhooks"),
        ("POST", "/orders/batch"),
        ("POST", f"/products/{mug}/variations/batch"),
    ):
        assert ask(method, path, body).status in (200, 201, 400, 404, 500), (method, path)
    assert ask.number(mug) == 10


_NAMES = [
    "id",
    "sku",
    "name",
    "type",
    "status",
    "regular_price",
    "manage_stock",
    "stock_quantity",
    "backorders",
    "attributes",
    "line_items",
    "quantity",
    "product_id",
    "set_paid",
    "billing",
    "meta_data",
    "key",
    "amount",
    "api_refund",
    "refund_total",
    "topic",
    "delivery_url",
    "create",
    "update",
    "delete",
]
_TEXTS = st.sampled_from(["", "x", "7", "-3", "publish", "variable", "completed", "order.updated", "http://x"])
_PLAIN = st.none() | st.booleans() | st.integers(-1, 20) | st.floats() | _TEXTS
_JSON = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=8,
)
_PATHS = [
    "/products",
    "/products/10",
    "/products/11",
    "/products/12",
    "/products/batch",
    "/products/11/variations",
    "/products/11/variations/12",
    "/products/11/variations/batch",
    "/orders",
    "/orders/13",
    "/orders/batch",
    "/orders/13/refunds",
    "/webhooks",
    "/webhooks/1",
    "/webhooks/batch",
]
_CALLS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.sampled_from(_PATHS),
    st.dictionaries(st.sampled_from(_NAMES), _JSON, max_size=5),
)


@given(st.lists(_CALLS, max_size=8))
@settings(max_examples=150, deadline=None)
def test_no_sequence_of_odd_requests_makes_it_raise(asking: Any, calls: list[tuple[str, str, object]]) -> None:
    ask = asking(open_vendor("shop", ContractClock()))
    ask.simple("MUG", 10)
    ask.shirt(("S", 5))
    ask.order(10, 2, set_paid=True)
    for method, path, body in calls:
        told = ask(method, path, body if method != "GET" else None)
        assert told.status in (200, 201, 400, 404, 410, 500, 501), (method, path, body)


def test_every_request_and_answer_is_kept(ask) -> None:
    mug = ask.simple(number=10)
    ask("GET", f"/products/{mug}")
    kept = list(ask.site.api.exchanges)
    assert [(each.name, each.request.method, each.reply.status) for each in kept] == [
        ("listings", "POST", 201),
        ("listings by id", "GET", 200),
    ]
    assert ask.site.api.calls == {"listings": 1, "listings by id": 1}
