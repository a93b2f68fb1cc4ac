import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channelsync.store.database_errors import PublisherRunning
from channelsync.store.publisher_lock import single_publisher_lock

PUBLISHER = """
import sys
from pathlib import Path
from channelsync.store.publisher_lock import single_publisher_lock
with single_publisher_lock(Path(sys.argv[1])):
    print("publishing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_publisher(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, str(tmp_path / "shop.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "publishing\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.processes
def test_a_second_publisher_is_refused_and_told_which_process_publishes(
    tmp_path: Path, other_publisher: subprocess.Popen[str]
) -> None:
    with pytest.raises(PublisherRunning, match=rf"shop\.db, process {other_publisher.pid}\)"):
        single_publisher_lock(tmp_path / "shop.db").__enter__()


@pytest.mark.processes
def test_another_name_of_the_same_file_is_refused_too(tmp_path: Path, other_publisher: subprocess.Popen[str]) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "shop.db")
    with pytest.raises(PublisherRunning):
        single_publisher_lock(tmp_path / "link.db").__enter__()


@pytest.mark.processes
def test_the_lock_of_a_killed_publisher_is_free(tmp_path: Path, other_publisher: subprocess.Popen[str]) -> None:
    os.kill(other_publisher.pid, signal.SIGKILL)
    other_publisher.wait()
    with single_publisher_lock(tmp_path / "shop.db"):
        assert (tmp_path / "shop.db.publisher").read_text() == f"{os.getpid()}\n"


def test_the_lock_is_given_back_at_the_end_of_its_block(tmp_path: Path) -> None:
    for _ in range(2):
        with single_publisher_lock(tmp_path / "shop.db"), pytest.raises(PublisherRunning):
            single_publisher_lock(tmp_path / "shop.db").__enter__()


def test_two_files_have_two_publishers(tmp_path: Path) -> None:
    with single_publisher_lock(tmp_path / "north.db"), single_publisher_lock(tmp_path / "south.db"):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["north.db.publisher", "south.db.publisher"]
