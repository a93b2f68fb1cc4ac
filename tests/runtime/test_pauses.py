"""How long what failed waits before it is begun again."""

from __future__ import annotations

import pytest

from channelsync.runtime.pauses import first_of_all, pause_after
from channelsync.store.database_errors import DatabaseUnavailable


@pytest.mark.parametrize(("error", "longest"), [(RuntimeError(), 300.0), (DatabaseUnavailable(), 10.0)])
def test_a_part_that_fails_for_days_is_begun_again_all_the_same(error: Exception, longest: float) -> None:
    assert [pause_after(failures, error) for failures in (1, 2, 100, 100_000)] == [2.0, 4.0, longest, longest]


def test_an_error_of_several_parts_at_once_is_that_of_the_first() -> None:
    away = DatabaseUnavailable()
    assert first_of_all(ExceptionGroup("both", [ExceptionGroup("one", [away]), ValueError()])) is away
