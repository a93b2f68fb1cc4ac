"""What WooCommerce keeps of an order beside what the lab's marketplace keeps: states, refunds, ids, the buyer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from channelsync.sdk.contract.world import CANARY, Nonsense

NAME, EMAIL, PHONE, STREET = CANARY

REDUCES = frozenset({"processing", "on-hold", "completed"})
"""Statuses on entering which the numbers are lowered (wc-stock-functions.php)."""

RESTORES = frozenset({"cancelled", "pending"})
"""Statuses on entering which they are raised again."""

STATUSES = (
    "auto-draft pending processing on-hold completed cancelled refunded failed checkout-draft".split()  # noqa: SIM905
)


@dataclass(slots=True)
class Item:
    """A line of an order. restocked: units that refunds put back on sale; metas: ids of its meta rows by key."""

    id: int
    restocked: int = 0
    metas: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefundLine:
    """units: of the lab's line that were refunded. item: the id of the refund's own line."""

    item: int
    line: str
    units: int
    total: Decimal
    meta: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund object. Its API never tells whether it restocked anything."""

    id: int
    created: datetime
    amount: Decimal
    reason: str = ""
    lines: tuple[RefundLine, ...] = ()


def _address(kind: str) -> dict[str, str]:
    fields = "first_name last_name company address_1 address_2 city state postcode country email phone".split()  # noqa: SIM905
    return {name: "" for name in fields if kind == "billing" or name != "email"}


def blank_address(kind: str) -> dict[str, str]:
    """As an order has it that names none. kind: billing or shipping."""
    return _address(kind)


def canary_address(kind: str) -> dict[str, str]:
    """A buyer whom no part of ours may remember."""
    told = {
        "first_name": NAME,
        "last_name": NAME.split()[-1],
        "company": NAME,
        "address_1": STREET,
        "city": "Birdwhistle",
        "postcode": "94601",
        "country": "GB",
        "email": EMAIL,
        "phone": PHONE,
    }
    blank = _address(kind)
    return blank | {name: value for name, value in told.items() if name in blank}


@dataclass(slots=True, kw_only=True)
class WooOrder:
    """One order. Its lines are those of the lab's order of the same id.

    status: as the API tells it; "trash" hides what it was. modified: aware UTC, by the site's clock. items: by the id
    of the lab's line. odd: what is wrong with how it is written.
    """

    id: int
    status: str
    created_via: str
    modified: datetime
    order_key: str
    paid: datetime | None = None
    completed: datetime | None = None
    currency: str = "USD"
    payment_method: str = "cod"
    payment_method_title: str = "Cash on delivery"
    transaction_id: str = ""
    billing: dict[str, str] = field(default_factory=lambda: canary_address("billing"))
    shipping: dict[str, str] = field(default_factory=lambda: canary_address("shipping"))
    customer_note: str = f"Please ring {NAME} on {PHONE}"
    customer_id: int = 0
    meta: list[dict[str, Any]] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)
    refunds: list[Refund] = field(default_factory=list)
    odd: Nonsense | None = None

    @property
    def refunded(self) -> Decimal:
        """Money given back so far."""
        return sum((refund.amount for refund in self.refunds), start=Decimal("0.00"))

    def refunded_units(self, line: str) -> int:
        """Units of the lab's line that refunds name."""
        return sum(each.units for refund in self.refunds for each in refund.lines if each.line == line)
