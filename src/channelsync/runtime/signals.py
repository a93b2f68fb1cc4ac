"""Signals of the operating system, where they can be had: in a main thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress


@contextmanager
def on_signals(work: Mapping[int, Callable[[], object]]) -> Iterator[None]:
    """Calls what belongs to a signal when it comes, while the block runs. work: by the signal's number."""
    loop = asyncio.get_running_loop()
    taken = []
    for number, todo in work.items():
        with suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, todo)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
