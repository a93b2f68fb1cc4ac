"""/receipts, /adjustments, /counts, /transfers: what happens to units by hand or by another system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator
from sqlalchemy import Connection

from channelsync.domain.orders import UNITS_MAX
from channelsync.store import items
from channelsync.sync.api_runs import Answered
from channelsync.sync.guard import Guarded, HeldPlan, guard_run
from channelsync.sync.items_new import add_new_items
from channelsync.sync.listings_apply import book_waiting
from channelsync.sync.stock import By, StockChanged, Worth, place
from channelsync.sync.stock_count import count as count_units
from channelsync.sync.stock_moves import Receipt, Transfer
from channelsync.sync.stock_moves import adjust as adjust_units
from channelsync.sync.stock_moves import receive as receive_units
from channelsync.sync.stock_moves import transfer as transfer_units
from channelsync.sync.stock_shown import Told, told
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.values import Moment, NewSku, Said, Sentence, Text, Units, UnitsOrNone

TOPIC = "Units"

Money = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", examples=["2.50"])]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["EUR"])]
Change = Annotated[int, Field(ge=-UNITS_MAX, le=UNITS_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What was done. run: takes it back by `undo`. positions: as they are now. repeated: always null here.

    held: what of it would move too much on a channel and waits there for approval; the rest is done.
    """

    run: str
    repeated: str | None
    positions: list[Told]
    held: list[HeldPlan]


class CostSaid(Said):
    """What a base unit cost."""

    amount: Money
    currency: Currency


class ReceiptSaid(Said):
    """Units that arrived. withheld: not for sale (yet). reference: under which they were expected; complete: nothing
    more comes under it. create_item: make an item of an unknown SKU. at: when they arrived; left out: now."""

    sku: NewSku
    units: Units
    location: Text
    lot: Text | None = None
    unit_cost: CostSaid | None = None
    withheld: bool = False
    reference: Text | None = None
    complete: bool = False
    create_item: bool = False
    at: Moment | None = None
    reason: Sentence = ""


class AdjustmentSaid(Said):
    """A correction of on hand. units: by how many, up or down, not 0. reason: why; stands in the ledger."""

    sku: Text
    units: Annotated[Change, Field(json_schema_extra={"not": {"const": 0}})]
    location: Text
    reason: Annotated[Sentence, Field(min_length=1)]
    at: Moment | None = None

    @model_validator(mode="after")
    def _not_nothing(self) -> AdjustmentSaid:
        if self.units == 0:
            raise ValueError("units is 0: nothing is adjusted by that")
        return self


class CountSaid(Said):
    """Units that were physically there. at: when they were counted; left out: now. orders_counted_up_to: what left by
    then is not among them; left out: when counted."""

    sku: Text
    units: UnitsOrNone
    location: Text
    at: Moment | None = None
    orders_counted_up_to: Moment | None = None
    reason: Sentence = ""


class TransferSaid(Said):
    """Units that go from one location to another. force: also units that are promised to orders."""

    sku: Text
    units: Units
    source: Text
    target: Text
    lot: Text | None = None
    force: bool = False
    at: Moment | None = None
    reason: Sentence = ""


async def receive(call: Call, said: ReceiptSaid) -> Answered:
    """Units arrived.

    They are on hand, and for sale unless they are withheld.
    """

    def work(connection: Connection, by: By) -> StockChanged:
        if said.create_item and said.sku not in items.items_by_sku(connection, [said.sku]):
            add_new_items(connection, by, [said.sku])
        receipt = Receipt(
            place=place(connection, call.agent.setup, said.sku, said.location),
            units=said.units,
            at=said.at,
            withheld=said.withheld,
            worth=Worth(
                lot=said.lot or "",
                unit_cost=Decimal(said.unit_cost.amount) if said.unit_cost else None,
                currency=said.unit_cost.currency if said.unit_cost else "",
            ),
            reference=said.reference or "",
            complete=said.complete,
        )
        return receive_units(connection, call.agent.setup, by, receipt)

    answered = await call.change("stock receive", _telling(call, work), reason=said.reason)
    if said.create_item and not answered.repeated:
        await book_waiting(call.agent, (), new_items=True)
    return answered


async def adjust(call: Call, said: AdjustmentSaid) -> Answered:
    """Correct on hand by so many units, up or down.

    To say how many there are, use a count.
    """

    def work(connection: Connection, by: By) -> StockChanged:
        where = place(connection, call.agent.setup, said.sku, said.location)
        return adjust_units(connection, call.agent.setup, by, where, said.units, at=said.at)

    return await call.change("stock adjust", _telling(call, work), reason=said.reason)


async def count(call: Call, said: CountSaid) -> Answered:
    """So many units were physically there.

    What was shipped or received after that moment is added on top. Shipments and returns up to the moment that are
    told only later change nothing any more: they are in the count.
    """

    def work(connection: Connection, by: By) -> StockChanged:
        where = place(connection, call.agent.setup, said.sku, said.location)
        return count_units(
            connection,
            call.agent.setup,
            by,
            where,
            said.units,
            as_of=said.at,
            orders_up_to=said.orders_counted_up_to,
        )

    return await call.change("stock count", _telling(call, work, relative=False), reason=said.reason)


async def transfer(call: Call, said: TransferSaid) -> Answered:
    """Move units from one location to another."""

    def work(connection: Connection, by: By) -> StockChanged:
        wanted = Transfer(
            source=place(connection, call.agent.setup, said.sku, said.source),
            target=place(connection, call.agent.setup, said.sku, said.target),
            units=said.units,
            at=said.at,
            lot=said.lot or "",
            force=said.force,
        )
        return transfer_units(connection, call.agent.setup, by, wanted)

    return await call.change("stock transfer", _telling(call, work), reason=said.reason)


def _telling(
    call: Call, work: Callable[[Connection, By], StockChanged], *, relative: bool = True
) -> Callable[[Connection, By], Answer]:
    """The use case, with the positions as they are told afterwards, and the guard at the end of its transaction.

    relative: it adds and takes units, and says nothing of how many there are.
    """
    agent = call.agent

    def both(connection: Connection, by: By) -> Answer:
        changed = work(connection, by)
        positions = told(connection, changed.positions)
        done = Guarded(run=by.run, now=by.now, relative=relative)
        held = guard_run(connection, agent.setup, agent.measures, done)
        return Answer(Changed(run=by.run, repeated=None, positions=positions, held=held), 201)

    return both


def _endpoint(path: str, run: Callable[..., object], said: type[Said], example: dict[str, object]) -> Endpoint:
    return Endpoint(
        method="POST",
        path=path,
        scope="operate",
        topic=TOPIC,
        run=run,  # type: ignore[arg-type]  # each takes the model that it names
        said=said,
        gives=Changed,
        creates=True,
        keyed=True,
        refuses=True,
        example={"sku": "MUG-BLUE", **example},
    )


ENDPOINTS = (
    _endpoint("/receipts", receive, ReceiptSaid, {"units": 24, "location": "main", "create_item": True}),
    _endpoint("/adjustments", adjust, AdjustmentSaid, {"units": -1, "location": "main", "reason": "one is broken"}),
    _endpoint("/counts", count, CountSaid, {"units": 23, "location": "main"}),
    _endpoint("/transfers", transfer, TransferSaid, {"units": 5, "source": "main", "target": "shop"}),
)
