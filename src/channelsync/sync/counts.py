"""What a process has counted since it began; who shows the numbers is not known here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Numbers that only grow while the process lives.

    pushes: by (channel, what became of it: "accepted", "refused", "conflict", "unknown", "never left"). reads: quantity
    keys read, by channel. orders: by (channel, "seen" or "booked"). polls, ticks: by (channel, "done" or "failed").
    """

    pushes: Counter[tuple[str, str]] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    orders: Counter[tuple[str, str]] = field(default_factory=Counter)
    polls: Counter[tuple[str, str]] = field(default_factory=Counter)
    ticks: Counter[tuple[str, str]] = field(default_factory=Counter)
