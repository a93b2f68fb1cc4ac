"""Garbage is looked for again once a process has started, also one that failed."""

from __future__ import annotations

import gc

import pytest

from channelsync.runtime.garbage import keeping_all


def test_nothing_is_looked_for_inside_and_everything_that_comes_later_is() -> None:
    with keeping_all():
        assert not gc.isenabled()
        kept = gc.get_freeze_count()
        made = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= kept + len(made)


def test_a_start_that_fails_leaves_it_on() -> None:
    with pytest.raises(ImportError), keeping_all():
        raise ImportError
    assert gc.isenabled()
