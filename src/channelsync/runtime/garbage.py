"""How often Python looks for garbage in a process of ours that serves for days."""

import gc

_THRESHOLDS = (10_000, 20, 50)


def collect_rarely() -> None:
    """Looks for reference cycles at every ten thousandth new object instead of every seven hundredth.

    A request or a tick makes many objects that live for some milliseconds; looking at them again and again takes a
    tenth of the receiver's time, and finds nothing. What is there already (the libraries) is not looked at any more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
