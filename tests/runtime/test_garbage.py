"""How often garbage is looked for."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from channelsync.runtime.garbage import collect_rarely, keeping_all

pytestmark = pytest.mark.usefixtures("as_before")


@pytest.fixture
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_garbage_is_looked_for_rarely_and_not_among_what_is_there_already() -> None:
    collect_rarely()
    assert gc.get_threshold()[0] >= 10 * 700
    assert gc.get_freeze_count() > 0
    assert gc.isenabled()


def test_none_is_looked_for_while_a_process_starts_nor_later_among_what_it_made() -> None:
    before = gc.get_freeze_count()
    with keeping_all():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(made)


def test_a_start_that_fails_leaves_it_on() -> None:
    with pytest.raises(ImportError), keeping_all():
        raise ImportError
    assert gc.isenabled()
