"""What publishing expects an order to do to a number is what the marketplaces of the lab really do to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from channelsync.domain.booked import BookedLine
from channelsync.domain.effects import KeyMove, NumberBehaviour, effects_of
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.sourcing import SoldAs
from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.marketplace_site import open_site
from channelsync.lab.marketplace_values import Happened, NumberKey, Offer, Order, Status
from channelsync.sdk.values import Deducts, GivesBack

MUG = NumberKey("K-mug")
WORDS = {
    Status.AWAITING_PAYMENT: OrderStatus.PENDING,
    Status.OPEN: OrderStatus.OPEN,
    Status.DONE: OrderStatus.CLOSED,
    Status.CANCELLED: OrderStatus.CANCELLED,
}
DEEDS = ["pay", "cancel", "cancel some", "edit", "ship", "unship", "write off", "return", "aside"]


class Ticking:
    """A clock on which a second passes between any two looks."""

    def __init__(self) -> None:
        self.at = datetime(2017, 12, 23, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody waits {seconds} s here")


def snapshot(order: Order) -> OrderSnapshot:
    def moved(pile: tuple[Happened, ...]) -> tuple[Moved, ...]:
        return tuple(Moved(units=each.units, at=each.at) for each in pile)

    line = order.lines[0]
    return OrderSnapshot(
        order=order.id,
        version=order.updated_at,
        placed_at=order.placed_at,
        status=WORDS[order.status],
        deducted_at=order.paid_at,
        cancelled_at=order.cancelled_at,
        lines=(
            OrderLine(
                line=line.id,
                ordered=line.ordered,
                listing=line.listing,
                cancelled=moved(line.cancelled),
                lost=moved(line.written_off),
                shipped=moved(line.shipped),
                returned=moved(line.returned),
                withheld=moved(line.quarantined),
            ),
        ),
    )


def do(market: Any, order: Order, deed: str, many: int) -> None:
    line = order.lines[0].id
    match deed:
        case "pay":
            market.pay(order.id)
        case "cancel":
            market.cancel(order.id)
        case "cancel some":
            market.cancel(order.id, {line: many})
        case "edit":
            market.edit(order.id, line, many)
        case "ship":
            market.ship(order.id, {line: many})
        case "unship":
            market.take_back_shipment(order.id, line, many)
        case "write off":
            market.write_off(order.id, line, many)
        case _:
            market.bring_back(order.id, line, many, quarantined=deed == "aside")


@given(
    deducts=st.sampled_from(list(Deducts)),
    gives_back=st.frozensets(st.sampled_from(list(GivesBack))),
    paid=st.booleans(),
    story=st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(1, 6), st.booleans()), max_size=10),
)
@settings(max_examples=600, deadline=None)
def test_the_effects_of_the_versions_that_we_saw_add_up_to_what_the_number_did(
    deducts: Deducts, gives_back: frozenset[GivesBack], paid: bool, story: list[tuple[str, int, bool]]
) -> None:
    rules = replace(PRESETS["backorders"], deducts=deducts, gives_back=gives_back)
    market = open_site("agora", rules, Ticking()).marketplace
    market.open_listing(Offer(listing="mug", sku="MUG", sells_below_zero=True), 50)
    order = market.buy("mug", 4, paid=paid).order
    assert order is not None
    booked = BookedLine(line=order.lines[0].id, sold=SoldAs("MUG", 1))
    behaviour = NumberBehaviour(deducts, gives_back)
    expected, since = 50, None
    for turn, (deed, many, seen) in enumerate([("nothing", 0, True), *story, ("nothing", 0, True)]):
        if deed != "nothing":
            do(market, market.orders[order.id], deed, many)
        if not seen and GivesBack.ON_EDIT in gives_back:
            continue  # a version that no poll of ours caught (without giving back, up and down unseen is lost)
        said = snapshot(market.orders[order.id])
        booked, effects = effects_of(booked, booked, said.lines[0], said, behaviour, [KeyMove(1)], since, str(turn))
        expected += sum(effect.delta for effect in effects)
        since = said.version
        assert expected == market.number(MUG)
