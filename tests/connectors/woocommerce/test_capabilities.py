"""What is declared of a shop follows its settings."""

from datetime import timedelta

from channelsync_woocommerce import CONNECTOR
from channelsync_woocommerce.settings import WooSettings


def test_an_unpaid_order_holds_units_as_long_as_the_shop_holds_them_and_an_hour_more(settings: WooSettings) -> None:
    assert CONNECTOR.capabilities(settings).pending_limit == timedelta(hours=2)
    longer = settings.model_copy(update={"hold_stock_minutes": 1440})
    assert CONNECTOR.capabilities(longer).pending_limit == timedelta(hours=25)


def test_a_host_that_answers_from_a_replica_is_told_of_by_the_settings(settings: WooSettings) -> None:
    stale = settings.model_copy(update={"staleness_s": 30, "skew_s": 90})
    timing, plain = CONNECTOR.capabilities(stale).timing, CONNECTOR.capabilities(settings).timing
    assert (timing.staleness, timing.skew) == (timedelta(seconds=30), timedelta(seconds=90))
    assert plain.staleness == timedelta(0)
    visible = [CONNECTOR.capabilities(one).order_visibility for one in (stale, settings)]
    assert visible[0] - visible[1] == timedelta(seconds=30)


def test_the_budget_is_what_the_host_is_said_to_bear(settings: WooSettings) -> None:
    (budget,) = CONNECTOR.budgets(settings.model_copy(update={"calls_at_once": 3, "calls_per_second": 0.5}))
    assert (budget.capacity, budget.per_second, budget.per_day) == (3, 0.5, None)
