"""The values that pass between a connector and the rest, where they are more than their fields."""

import json
from datetime import UTC, datetime

import pytest

from channelsync.sdk.channel import Capabilities
from channelsync.sdk.values import NO_ID, OrderLine, OrderPage, OrderSnapshot, OrderStatus, Timing, UnreadableOrder

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
READABLE = OrderSnapshot(
    order="1", version=NOW, placed_at=NOW, status=OrderStatus.OPEN, lines=(OrderLine(line="1", ordered=1, sku="MUG"),)
)


def test_a_page_keeps_readable_orders_apart_from_others_each_in_their_order() -> None:
    odd = [UnreadableOrder.of(name, "no lines", {}) for name in ("2", "3")]
    page = OrderPage.of([odd[0], READABLE, odd[1]], cursor="c", covered_to=NOW)
    assert page == OrderPage(orders=(READABLE,), unreadable=tuple(odd), cursor="c", covered_to=NOW)


def test_what_is_kept_of_an_unreadable_order_is_json_and_not_without_end() -> None:
    kept = UnreadableOrder.of("7", "half a unit", {"units": 0.5, "at": NOW})
    assert json.loads(kept.raw) == {"units": 0.5, "at": str(NOW)}
    assert len(UnreadableOrder.of("7", "long", ["x" * 50_000]).raw) == 10_000


def test_an_order_that_tells_no_id_is_called_so() -> None:
    assert UnreadableOrder.of("", "no id", None).order == NO_ID


@pytest.mark.parametrize("timing", [Timing(cap=99), Timing(step=5)])
def test_a_physical_number_that_is_cut_off_is_no_capability(timing: Timing) -> None:
    with pytest.raises(ValueError, match="would look like sales"):
        Capabilities(meaning="physical", timing=timing)
    assert Capabilities(timing=timing).meaning == "available"
