"""Measuring on a machine that is never quite the same twice: contenders take turns, ratios are taken within a turn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

FOLDER = Path("build/bench")
"""Where databases are made: on the disk of the checkout, for /tmp may be memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured. quick: a look at whether all runs; its figures mean little.

    seconds: of one turn. rounds: turns of each contender. skus: of the intake. plan_skus: of the reconcile plan,
    small and large. scale: share of the day's baskets. latency_seconds: for how long orders arrive in a turn.
    burst: events that arrive in so many seconds. startup_skus: of the daemon that is started. worker_skus: of every
    channel that workers share, so many of them together. lease: of their accounts, in seconds. neighbour_hours: for
    how long one channel is bad.
    """

    seconds: float = 0.6
    rounds: int = 5
    skus: int = 1_000
    plan_skus: tuple[int, int] = (25_000, 100_000)
    scale: float = 0.5
    latency_seconds: float = 5.0
    burst: int = 5_000
    burst_seconds: int = 10
    startup_skus: int = 100_000
    worker_skus: int = 2_000
    workers: tuple[int, ...] = (1, 2, 4)
    lease: int = 30
    neighbour_hours: float = 1.0


QUICK = Effort(
    seconds=0.05,
    rounds=1,
    skus=50,
    plan_skus=(500, 2_000),
    scale=0.02,
    latency_seconds=1.0,
    burst=100,
    burst_seconds=2,
    startup_skus=500,
    worker_skus=40,
    workers=(1, 2),
    lease=4,
    neighbour_hours=0.05,
)


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder for databases, which a server that runs as another user may enter; gone afterwards."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as made:
        Path(made).chmod(0o711)
        yield Path(made).resolve()


async def in_turns(contenders: Mapping[str, Callable[[], Awaitable[float]]], rounds: int) -> dict[str, list[float]]:
    """What each contender measured in each round; every round begins with another of them."""
    names = list(contenders)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        start = number % len(names)
        for name in (*names[start:], *names[:start]):
            measured[name].append(await contenders[name]())
    return measured


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds of ours over theirs: what the machine did meanwhile, it did to both."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def cpu_seconds(process: int) -> float:
    """What a process has computed so far: what is beyond it, it waited, for answers or for others' turns."""
    told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
