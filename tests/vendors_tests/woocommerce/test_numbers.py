"""Whatever happens to orders in whatever order, the number is what was written less what open lines took off."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from channelsync.sdk.contract.world import ContractClock
from vendor_woocommerce.site import open_vendor

STATUSES = ("pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed")

OPENING = 100

orders = st.integers(0, 3)
steps = st.one_of(
    st.tuples(st.just("buy"), st.integers(1, 5), st.booleans()),
    st.tuples(st.just("make"), st.integers(1, 5), st.booleans()),
    st.tuples(st.just("status"), orders, st.sampled_from(STATUSES)),
    st.tuples(st.just("refund"), orders, st.booleans()),
    st.tuples(st.just("lab"), orders, st.sampled_from(("pay", "ship", "cancel"))),
    st.tuples(st.just("write"), st.integers(-5, 200), st.booleans()),
)


class Story:
    """One shop with one product; what was written last, and all orders."""

    def __init__(self, asking: Any) -> None:
        self.ask = asking(open_vendor("shop", ContractClock()))
        self.mug = self.ask.simple(number=OPENING)
        self.base = OPENING
        self.made: list[int] = []

    def step(self, what: str, first: int, second: Any) -> None:
        market = self.ask.site.marketplace
        if what == "buy":
            sale = market.buy(str(self.mug), first, paid=second)
            self.made += [int(sale.order.id)] if sale.order else []
        elif what == "make":
            self.made.append(self.ask.order(self.mug, first, set_paid=second))
        elif what == "write":
            self.ask("PUT", f"/products/{self.mug}", {"stock_quantity": first})
            self.base = first + self.taken_off()
        elif first < len(self.made):
            self._change(what, self.made[first], second)

    def _change(self, what: str, order: int, how: Any) -> None:
        if what == "status":
            assert self.ask("PUT", f"/orders/{order}", {"status": how}).body["status"] == how
        elif what == "lab":
            getattr(self.ask.site.marketplace, how)(str(order))
        else:
            shown = self.ask("GET", f"/orders/{order}").body["line_items"][0]
            line = {"id": shown["id"], "quantity": 1, "refund_total": 0.01}
            body = {"amount": "0.01", "api_refund": False, "api_restock": how, "line_items": [line]}
            self.ask("POST", f"/orders/{order}/refunds", body)

    def taken_off(self) -> int:
        """What the lines of all orders say that they took off and did not give back."""
        found = 0
        for order in self.made:
            for line in self.ask("GET", f"/orders/{order}").body["line_items"]:
                found += sum(int(meta["value"]) for meta in line["meta_data"] if meta["key"] == "_reduced_stock")
        return found


@given(st.lists(steps, max_size=12))
@settings(max_examples=150, deadline=None)
def test_the_number_is_what_was_written_less_what_lines_took_off(asking: Any, story: list[tuple[Any, ...]]) -> None:
    told = Story(asking)
    for step in story:
        told.step(*step)
        assert told.ask.number(told.mug) == told.base - told.taken_off(), story
