"""What a simulated day is made of: drawn from its seed, and possible at the marketplaces it is drawn for."""

from channelsync.lab.marketplace_rules import PRESETS
from channelsync.lab.simulation_plan import behaves, pays_later, plan_simulation


def test_a_seed_draws_the_same_day_again_and_another_another() -> None:
    assert plan_simulation(3).orders == plan_simulation(3).orders
    assert plan_simulation(3).presets == plan_simulation(3).presets
    assert plan_simulation(3).orders != plan_simulation(4).orders


def test_our_process_is_stopped_in_order_of_time() -> None:
    for seed in range(30):
        stops = plan_simulation(seed).stops
        assert list(stops) == sorted(stops)


def test_no_marketplace_begins_above_the_most_that_it_can_hold() -> None:
    plan = plan_simulation(1, presets=["cap on writing", "refuses above the cap", "cap on reading", "plain"])
    first = {one.listing: plan.wares.shown(one, plan.wares.opening) for one in plan.wares.listings}
    most = {name: max(n for listing, n in first.items() if listing.startswith(name)) for name in plan.marketplaces}
    assert max(plan.wares.opening.values()) == 25
    assert most == {"m1": 20, "m2": 20, "m3": 25, "m4": 25}


def test_marketplaces_that_do_not_do_what_they_declare_are_known() -> None:
    assert {name for name, rules in PRESETS.items() if not behaves(rules)} == {
        "staler than declared",
        "orders later than declared",
    }
    assert not plan_simulation(1, presets=["plain", "staler than declared"]).truthful
    assert plan_simulation(1, presets=["plain", "tight budget"]).truthful


def test_buyers_pay_later_where_unpaid_orders_lapse_or_payment_deducts() -> None:
    assert {name for name, rules in PRESETS.items() if pays_later(rules)} == {
        "deducts at payment",
        "unpaid orders lapse",
    }
