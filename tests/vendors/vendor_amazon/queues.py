"""Queues as Amazon SQS has them, in memory: at least once, in no order, back again when nobody deletes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

HIDDEN_FOR = timedelta(seconds=30)
"""How long a message that was received is not given again."""

RECEIVED_MAX = 10


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is received. handle: to delete it with; each receipt has its own."""

    id: str
    body: str
    handle: str


@dataclass(slots=True)
class _Kept:
    id: str
    body: str
    hidden_until: datetime | None
    copies: int


class Queue:
    """A standard queue. duplicates: the share of messages that come once more after they were deleted.

    disorder: whether messages come in any order; else in that of sending. now: the time, after all that was to be
    sent by then is sent.
    """

    def __init__(
        self,
        arn: str,
        now: Callable[[], datetime],
        rng: random.Random,
        *,
        duplicates: float = 0.0,
        disorder: bool = False,
    ) -> None:
        self.arn = arn
        self.duplicates = duplicates
        self.disorder = disorder
        self._now = now
        self._rng = rng
        self._kept: list[_Kept] = []
        self._handles: dict[str, _Kept] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def send(self, body: str) -> None:
        """Puts a message in."""
        copies = 2 if self._rng.random() < self.duplicates else 1
        self._kept.append(_Kept(self._name(), body, None, copies))

    def receive(self, most: int = RECEIVED_MAX, hidden_for: timedelta | None = None) -> list[Message]:
        """At most ten messages, which nobody else gets for a while.

        hidden_for: how long; None: the queue's own.
        """
        now = self._now()
        ready = [kept for kept in self._kept if kept.hidden_until is None or kept.hidden_until <= now]
        if self.disorder:
            self._rng.shuffle(ready)
        given = ready[: min(most, RECEIVED_MAX)]
        messages = []
        for kept in given:
            kept.hidden_until = now + (HIDDEN_FOR if hidden_for is None else hidden_for)
            handle = self._name()
            self._handles[handle] = kept
            messages.append(Message(kept.id, kept.body, handle))
        return messages

    def knows(self, handle: str) -> bool:
        """Whether a message was received by this handle."""
        return handle in self._handles

    def delete(self, handle: str) -> None:
        """Takes a received message out; once more in vain where SQS had a copy left."""
        kept = self._handles.get(handle)
        if kept is None or kept not in self._kept:
            return
        kept.copies -= 1
        if kept.copies:
            kept.hidden_until = None
        else:
            self._kept.remove(kept)

    def _name(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"
