"""What the sandbox is opened with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMES = ("agora", "bazaar")
"""What the marketplaces are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """What is opened. names: of the marketplaces. port: of the first; the others follow. items: how many there are.

    units: of each item, shown by every marketplace at first. orders: a minute, over all marketplaces; 0: no buyers.
    seed: of the buyers. Raises ValueError for what makes no sense.
    """

    names: Sequence[str] = NAMES
    port: int = 8701
    items: int = 20
    units: int = 30
    orders: float = 6.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) != len(self.names):
            raise ValueError("name at least one marketplace, and each once")
        if not 1 <= self.items <= 10_000 or not 0 <= self.units <= 10**6:
            raise ValueError("there are 1 to 10,000 items, of up to 1,000,000 units")
        if not 0 <= self.orders <= 6_000:
            raise ValueError("buyers order 0 to 6,000 times a minute")
        if not 1 <= self.port <= 65_536 - len(self.names):
            raise ValueError("the ports must be between 1 and 65535")

    @property
    def addresses(self) -> dict[str, str]:
        """Where each marketplace is."""
        return {name: f"http://127.0.0.1:{self.port + turn}" for turn, name in enumerate(self.names)}

    @property
    def skus(self) -> list[str]:
        """What is sold."""
        return [f"MUG-{number:02}" for number in range(1, self.items + 1)]
