"""What the domain refuses.

DomainError
├── ShortOfUnits      a reservation of ours asks for more than is available
├── BadEntry          a ledger entry whose kind and quantities contradict each other
├── BadOrder          an order that says something no order can say
├── BadListing        a listing that cannot stand for what it is mapped to
└── BrokenChain       the ledger was altered, or entries are missing
"""

from __future__ import annotations


class DomainError(Exception):
    """Something that the rules of stock do not allow."""


class ShortOfUnits(DomainError):
    """A reservation asks for more units than are available."""

    def __init__(self, item: str, wanted: int, available: int) -> None:
        self.item = item
        self.wanted = wanted
        self.available = available
        super().__init__(
            f"{item}: {wanted} units wanted, {available} available; nothing was reserved. "
            "Ask for less, or receive units first."
        )


class BadEntry(DomainError):
    """A ledger entry whose kind and quantities contradict each other."""


class BadOrder(DomainError):
    """An order that says something no order can say."""


class BadListing(DomainError):
    """A listing cannot stand for what it is mapped to."""


class BrokenChain(DomainError):
    """The ledger does not add up: it was altered, or entries are missing."""
