"""Who counts the calls that the HTTP client makes. Nobody does unless somebody says so; connectors need not know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class EndedCall:
    """One call with all its attempts, as it ended.

    outcome: "HTTP 200" for an answer that the caller took, else the class of the error that it raised ("TryLater");
    "unfinished": it was cancelled, or could not even be begun. waited: seconds for the budget. took: seconds in all.
    """

    channel: str
    kind: Literal["read", "write"]
    outcome: str
    attempts: int
    waited: float
    took: float


class CallObserver(Protocol):
    """Is told of every call. It must be quick, and must not raise."""

    def call_ended(self, call: EndedCall) -> None:
        """One call has ended."""
        ...


_OBSERVER: ContextVar[CallObserver | None] = ContextVar("channelsync_call_observer", default=None)


@contextmanager
def observing_calls(observer: CallObserver) -> Iterator[None]:
    """Calls made inside, and by tasks that are begun inside, are told to the observer."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


def tell_observer(call: EndedCall) -> None:
    """Tells whoever observes; nobody does outside of `observing_calls`."""
    observer = _OBSERVER.get()
    if observer is not None:
        observer.call_ended(call)
