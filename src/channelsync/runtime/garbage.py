"""How often Python looks for garbage in a process of ours: not at all while it starts, rarely while it serves."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = (10_000, 20, 50)


@contextmanager
def keeping_all() -> Iterator[None]:
    """Looks for no garbage inside, and never in what was made there.

    What a process makes while it starts (modules, classes, commands) stays to its end; looking at all of it again and
    again takes a good part of the time that a command needs to start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_rarely() -> None:
    """Looks for reference cycles at every ten thousandth new object instead of every seven hundredth.

    A request or a tick makes many objects that live for some milliseconds; looking at them again and again takes a
    tenth of the receiver's time, and finds nothing. What is there already (the libraries) is not looked at any more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
