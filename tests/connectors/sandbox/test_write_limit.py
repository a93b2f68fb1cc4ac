"""A marketplace that lets a listing be revised so often a day, as publishing is told of it."""

from datetime import timedelta

import pytest

from channelsync.sdk.http import Timeouts
from channelsync.sdk.values import WriteLimit
from channelsync_sandbox import CONNECTOR


@pytest.mark.parametrize(("revisions", "kept"), [(1, 0), (2, 1), (3, 1), (10, 2), (250, 50)])
def test_a_fifth_of_the_revisions_of_any_24_hours_is_kept_for_lowerings(revisions: int, kept: int) -> None:
    settings = CONNECTOR.settings.model_validate(
        {"base_url": "http://x", "refresh_token": "t", "revisions_per_day": revisions}
    )
    span = timedelta(hours=24, seconds=Timeouts().total)

    assert CONNECTOR.capabilities(settings).writes_per_day == WriteLimit(most=revisions, kept=kept, span=span)


def test_without_such_a_limit_writes_are_not_counted() -> None:
    settings = CONNECTOR.settings.model_validate({"base_url": "http://x", "refresh_token": "t"})

    assert CONNECTOR.capabilities(settings).writes_per_day is None
