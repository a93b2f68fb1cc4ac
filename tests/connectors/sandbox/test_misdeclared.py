"""What is declared wrongly is found by the contract: marketplaces of the lab that the connector takes for others."""

from dataclasses import replace

import pytest

from channelsync.lab.marketplace_rules import PRESETS, MarketplaceRules
from channelsync.lab.marketplace_site import Site
from channelsync.sdk.contract import ConnectorContract
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.values import Applies
from channelsync_sandbox import CONNECTOR
from channelsync_sandbox.settings import SandboxSettings

PLAIN = PRESETS["plain"]
LATE_READS = (180.0, 180.0)

CAUGHT_BY = [
    (PRESETS["one at a time"], {}, "as_many_updates_as_declared_go_in_one_push_and_more_are_refused"),
    (PRESETS["one at a time"], {}, "as_many_reads_as_declared_go_in_one_call_and_more_are_refused"),
    (PLAIN, {"compare_and_set": True}, "compare_and_set_refuses_when_another_number_is_shown"),
    (PRESETS["answers with the number"], {}, "an_answer_states_the_number_in_force_when_declared"),
    (PLAIN, {"answers_with_number": True}, "an_answer_states_the_number_in_force_when_declared"),
    (
        replace(PLAIN, applies=Applies.IN_ORDER, apply_delay=(60.0, 60.0)),
        {"grace_s": 60},
        "writes_apply_in_the_declared_order",
    ),
    (
        replace(PLAIN, applies=Applies.IN_ORDER, apply_delay=(60.0, 60.0)),
        {"grace_s": 10, "applies": "in order"},
        "a_pushed_number_is_shown",
    ),
    (
        replace(PLAIN, applies=Applies.IN_ORDER, apply_delay=(1.0, 1.0), never_applied=1.0),
        {"grace_s": 30, "applies": "in order"},
        "a_pushed_number_is_shown",
    ),
    (replace(PLAIN, read_lag=LATE_READS), {}, "the_number_falls_when_declared"),
    (replace(PLAIN, read_lag=LATE_READS), {"staleness_s": 10}, "the_number_falls_when_declared"),
    (PRESETS["deducts at payment"], {}, "the_number_falls_when_declared"),
    (PRESETS["deducts at shipment"], {}, "the_number_falls_when_declared"),
    (PRESETS["never deducts"], {}, "the_number_falls_when_declared"),
    (PLAIN, {"deducts": "as told"}, "the_number_falls_when_declared"),
    (PRESETS["gives nothing back"], {}, "a_cancelled_order_gives_its_units_back_when_declared"),
    (PRESETS["gives nothing back"], {}, "an_edit_gives_units_back_when_declared"),
    (PRESETS["gives back on restock"], {}, "a_return_gives_units_back_when_declared"),
    (PLAIN, {"meaning": "physical"}, "a_physical_number_holds_the_units_of_open_orders"),
    (PRESETS["cap on writing"], {}, "a_number_above_the_cap_shows_the_cap"),
    (PRESETS["cap on reading"], {}, "a_number_above_the_cap_shows_the_cap"),
    (PRESETS["zero deactivates"], {}, "writing_0_does_to_the_listing_what_is_declared"),
    (PRESETS["zero ends"], {}, "writing_0_does_to_the_listing_what_is_declared"),
    (PLAIN, {"zero": "deactivates"}, "writing_0_does_to_the_listing_what_is_declared"),
    (replace(PLAIN, visibility=(300.0, 300.0)), {}, "what_a_page_covers_holds_no_order_that_comes_later"),
    (
        replace(PLAIN, visibility=(60.0, 60.0), late_share=1.0, late_by=900.0),
        {"order_visibility_s": 60, "order_overlap_s": 60},
        "what_a_page_covers_holds_no_order_that_comes_later",
    ),
    (
        replace(PLAIN, visibility=(60.0, 60.0)),
        {"order_visibility_s": 60, "order_overlap_s": 0},
        "what_a_page_covers_holds_no_order_that_comes_later",
    ),
    (PRESETS["clock 90 s ahead"], {}, "an_order_names_what_was_bought_how_many_and_when"),
    (PRESETS["clock 90 s behind"], {}, "the_ids_of_a_day_are_those_of_the_orders_placed_on_it"),
]
"""The marketplace as it is, what is declared of it otherwise than of a plain one, and the test that must see it."""


@pytest.fixture
def channel_settings(site: Site, declared: dict[str, object]) -> SandboxSettings:
    base = {"base_url": "http://agora.example", "refresh_token": site.account.refresh_token, "orders_per_page": 3}
    return SandboxSettings(**base, on_difference="warn", **declared)


@pytest.fixture
def contract_test(test: str, world, clock, channel_settings, resources):
    """One test of the contract with what it asks for, to be awaited."""

    class Contract(ConnectorContract):
        connector = CONNECTOR

    given = {
        "world": world,
        "clock": clock,
        "capabilities": CONNECTOR.capabilities(channel_settings),
        "open_channel": lambda: CONNECTOR.open(channel_settings, resources),
    }
    method = getattr(Contract(), f"test_{test}")
    names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    return lambda: method(**{name: given[name] for name in names})


@pytest.mark.parametrize(("rules", "declared", "test"), CAUGHT_BY)
async def test_a_wrong_declaration_fails_the_test_that_is_meant_for_it(contract_test, rules: MarketplaceRules) -> None:
    with pytest.raises((AssertionError, ChannelError)):
        await contract_test()


@pytest.mark.parametrize("rules", [PLAIN], ids=["plain"])
@pytest.mark.parametrize("declared", [{}], ids=["as it is"])
@pytest.mark.parametrize("test", sorted({test for _, _, test in CAUGHT_BY} - {CAUGHT_BY[2][2], CAUGHT_BY[17][2]}))
async def test_a_plain_marketplace_declared_as_it_is_passes_them(contract_test, rules: MarketplaceRules) -> None:
    await contract_test()
