"""The right to write: whether an account is still ours, asked at the moment when a request would leave.

A process can be stopped anywhere, also between the decision to write and the request, and wake up when another has
long been writing to the same account. Who holds a right for a limited time therefore says so around its writes, and
what sends a request looks once more before its first byte leaves.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from channelsync.sdk.errors import NotSent

_HELD: ContextVar[Callable[[], bool] | None] = ContextVar("channelsync_right_to_write", default=None)


@contextmanager
def writing_while(held: Callable[[], bool]) -> Iterator[None]:
    """Writes made inside leave only as long as `held` says yes. Outside of any such block nothing is asked."""
    token = _HELD.set(held)
    try:
        yield
    finally:
        _HELD.reset(token)


def may_write() -> bool:
    """Whether a write may leave now."""
    held = _HELD.get()
    return held is None or held()


def check_may_write(what: str) -> None:
    """Raises NotSent when the right to write has run out. what: the call, for the message."""
    if not may_write():
        raise NotSent(f"{what}: the right to write to this account ran out before the request left")
