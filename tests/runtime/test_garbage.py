"""How often garbage is looked for."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from channelsync.runtime.garbage import collect_rarely


@pytest.fixture
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("as_before")
def test_garbage_is_looked_for_rarely_and_not_among_what_is_there_already() -> None:
    collect_rarely()
    assert gc.get_threshold()[0] >= 10 * 700
    assert gc.get_freeze_count() > 0
    assert gc.isenabled()
