"""The budget that a connector declares for itself, counted as calls arrive."""

from datetime import UTC, datetime, timedelta

from channelsync.sdk.limiter import Budget
from vendor_day.own_budget import OwnBudget

START = datetime(2017, 12, 23, tzinfo=UTC)


def test_calls_at_once_and_calls_a_second_are_within_it_and_one_more_is_not() -> None:
    budget = OwnBudget("shop", Budget("calls", 2, 0.5))
    for seconds in (0, 0, 2, 4, 4.5, 60, 60):
        budget.take(START + timedelta(seconds=seconds))
    assert [(one.at, one.endpoint) for one in budget.violations] == [(START + timedelta(seconds=4.5), "calls")]
    budget.take(START + timedelta(seconds=60))
    assert len(budget.violations) == 2, "an hour without calls saves up no more than the burst"
