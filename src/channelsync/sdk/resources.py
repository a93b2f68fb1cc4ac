"""What a connector is given to work with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from channelsync.sdk.breaker import Breaker
from channelsync.sdk.clock import Clock
from channelsync.sdk.limiter import Budget, Limiter
from channelsync.sdk.memory import Memory, ProcessMemory
from channelsync.sdk.vault import MemoryVault, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a connector is given to work with.

    limiter, breaker: of this account, shared with the publisher: it pays for a push before it decides what to push
    (`Limiter.prepaid`). vault: keeps secrets that the channel renews. memory: keeps what is under way over restarts.
    transport: None for real sockets; the lab hands in its own.
    """

    channel: str
    clock: Clock
    limiter: Limiter
    breaker: Breaker
    random: random.Random
    vault: Vault
    memory: Memory = field(default_factory=ProcessMemory)
    transport: httpx.AsyncBaseTransport | None = None


def unused(
    channel: str,
    budgets: Sequence[Budget],
    clock: Clock,
    *,
    seed: str = "",
    vault: Vault | None = None,
    memory: Memory | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Resources:
    """What a connector is given the first time: nothing is spent, nothing has failed, and neither vault nor
    memory: nothing is kept.

    seed: what the jitter of retries is drawn from.
    """
    return Resources(
        channel=channel,
        clock=clock,
        limiter=Limiter(budgets, clock),
        breaker=Breaker(channel, clock),
        random=random.Random(f"{seed} {channel}"),  # noqa: S311 - jitter
        vault=vault or MemoryVault(),
        memory=memory or ProcessMemory(),
        transport=transport,
    )
