"""Hints that are fetched, not delivered: a channel that tells what has changed through a queue of the seller's.

As with webhooks, nothing in a message is believed beyond what to read. A message is acknowledged only when what it
hints at is durable, so a process that ends in between gets it again; twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from channelsync.sdk.webhooks import Harmless, WebhookHint


@dataclass(frozen=True, slots=True)
class PolledHint:
    """One message as it was received. receipt: what it is acknowledged by, for the source alone.

    hint: what it says; Harmless: it names nothing to read; None: it is malformed, or about somebody else. Those are
    acknowledged too: left in the queue they would come back again and again.
    """

    receipt: str
    hint: WebhookHint | Harmless | None


@runtime_checkable
class PollsHints(Protocol):
    """A channel whose hints wait in a queue. Every call may raise what `Channel` calls may.

    polls_hints: whether this account has such a queue; nothing is asked of one that has none.
    """

    @property
    def polls_hints(self) -> bool: ...

    async def hints(self) -> Sequence[PolledHint]:
        """What waits there, some at a time; empty: nothing. It may wait a while for the first, on the server's side.

        Nobody else gets these messages meanwhile; what is not acknowledged comes back after a while.
        """
        ...

    async def acknowledge(self, hints: Sequence[PolledHint]) -> None:
        """These are done with. One that cannot be acknowledged comes back, and that does no harm."""
        ...
