"""One publisher per SQLite file: a lock of the operating system beside the database.

The lock belongs to the process, so it ends with it, even by kill -9; the file stays and means nothing by itself.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from channelsync.store.database_errors import PublisherRunning


@contextmanager
def single_publisher_lock(path: Path) -> Iterator[None]:
    """Holds the right to publish from the database file at `path` while the block runs.

    Raises PublisherRunning, naming the process that holds it. A process that starts others while it holds the
    lock must not fork without exec, because the copy would hold it too.
    """
    database = path.resolve()
    descriptor = os.open(database.with_name(f"{database.name}.publisher"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode().strip()
            raise PublisherRunning(f"{database}, process {holder or 'unknown'}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
