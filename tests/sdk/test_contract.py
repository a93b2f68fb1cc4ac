"""The contract catches what it says it catches: each sabotaged connector fails the test that is meant for it."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from channelsync.sdk.contract import ConnectorContract

HERE = Path(__file__).parent

CAUGHT_BY = {
    "orders": {
        "CursorSkips": "a_resumed_cursor_loses_nothing",
        "CursorStandsStill": "a_resumed_cursor_repeats_nothing_beyond_the_overlap",
        "PagesByRowNumber": "pages_that_shift_lose_nothing",
        "PagingEndsSilently": "a_failure_between_pages_is_raised_and_the_last_cursor_still_holds",
        "NoPageWithoutOrders": "without_orders_there_is_still_a_page_that_says_where_to_go_on",
        "NothingCovered": "every_page_has_a_cursor_and_the_last_says_what_is_covered",
        "TheFutureCovered": "every_page_has_a_cursor_and_the_last_says_what_is_covered",
        "OrdersLaterThanDeclared": "what_a_page_covers_holds_no_order_that_comes_later",
        "OneOrderTwoAnswers": "an_order_is_the_same_however_it_is_asked_for",
        "UnknownOrdersRaise": "orders_by_id_come_in_the_order_asked_and_unknown_ones_are_left_out",
        "UnreadableOrdersDropped": "an_order_that_cannot_be_understood_is_reported_and_its_neighbours_come",
        "BuyerInTheRawOrder": "nothing_about_the_buyer_is_in_any_value",
        "IdsOfCancelledOrdersMissing": "the_ids_of_a_day_are_those_of_the_orders_placed_on_it",
        "IdsOfALocalDay": "the_ids_of_a_day_are_those_of_the_orders_placed_on_it",
        "ShipmentsForgotten": "a_part_shipment_leaves_the_rest_to_ship",
        "VersionNeverRises": "a_cancelled_order_ships_nothing_more",
    },
    "numbers": {
        "PushAdds": "a_push_is_absolute_and_repeating_it_changes_nothing",
        "RefusalsSwallowed": "one_refused_update_does_not_hold_up_its_neighbours",
        "RefusalsRaised": "one_refused_update_does_not_hold_up_its_neighbours",
        "ARefusalHoldsUpItsNeighbours": "one_refused_update_does_not_hold_up_its_neighbours",
        "ResultsInAnotherOrder": "results_come_in_the_order_of_the_updates",
        "BatchesCutInSilence": "as_many_updates_as_declared_go_in_one_push_and_more_are_refused",
        "NegativeNumbersLeave": "no_negative_number_leaves",
        "ReadsInAnotherOrder": "reads_come_in_the_order_asked_and_an_unknown_key_has_no_value",
        "UnknownReadAsZero": "reads_come_in_the_order_asked_and_an_unknown_key_has_no_value",
        "TimeNotFromTheClock": "a_read_says_when_it_was_asked_and_answered_by_our_clock",
        "ReadsFromACache": "the_number_falls_when_declared",
        "ExpectedIgnored": "compare_and_set_refuses_when_another_number_is_shown",
        "AnswerEchoesTheValue": "an_answer_states_the_number_in_force_when_declared",
        "AnswersWithNumberNotDeclared": "an_answer_states_the_number_in_force_when_declared",
        "DeductsOtherwise": "the_number_falls_when_declared",
        "DeductionToldThoughNotDeclared": "the_number_falls_when_declared",
        "DeductionToldAhead": "the_number_falls_when_declared",
        "GivesBackNothingDeclared": "a_cancelled_order_gives_its_units_back_when_declared",
        "PhysicalDeclared": "a_physical_number_holds_the_units_of_open_orders",
        "ZeroDeactivatesDeclared": "writing_0_does_to_the_listing_what_is_declared",
        "CapDeclared": "a_number_above_the_cap_shows_the_cap",
        "WritesNotAtOnce": "writes_apply_in_the_declared_order",
        "OlderWriteComesLater": "writes_apply_in_the_declared_order",
    },
    "failures": {
        "RetryAfterForgotten": "a_throttled_call_is_tried_later",
        "SellerNotCalled": "a_call_that_is_not_allowed_needs_the_seller",
        "UnknownOutcomeTakenForNothingDone": "a_write_without_an_answer_has_an_unknown_outcome",
        "ReadsOfUnknownOutcome": "a_read_that_fails_is_tried_later",
        "ParserErrorsLetThrough": "an_answer_that_cannot_be_read_is_a_bug_of_somebody",
        "NeverRecovers": "after_a_failure_the_next_call_succeeds",
        "SecretInAnError": "no_secret_is_written_anywhere",
        "SecretInARepr": "no_secret_is_written_anywhere",
        "ForgeriesBelieved": "a_forged_delivery_is_refused_and_never_raises",
        "StaleDeliveriesBelieved": "a_stale_delivery_hints_at_nothing",
        "EventsNamedBySecond": "an_event_names_one_delivery_and_every_repeat_of_it",
        "DeliveriesHintAtNothing": "a_genuine_delivery_hints_at_what_changed",
        "HeadersSpelledOneWay": "header_names_are_matched_in_any_case",
        "ForgeriesRaise": "a_forged_delivery_is_refused_and_never_raises",
        "HeadingMissing": "the_readme_has_the_headings_that_every_connector_has",
        "SettingMissingInTheExample": "the_example_names_every_setting_with_its_default",
        "ExampleShowsAnotherDefault": "the_example_names_every_setting_with_its_default",
        "ExampleWithATypo": "the_example_names_every_setting_with_its_default",
        "RuleUnanswered": "the_quality_file_answers_every_rule",
        "ExemptWithoutAReason": "the_quality_file_answers_every_rule",
        "SleepsByItself": "the_code_takes_its_time_from_the_clock",
        "ImportsTheStore": "the_code_imports_the_sdk_and_nothing_else_of_channelsync",
        "SettingsTakeAnything": "settings_refuse_what_they_do_not_know",
    },
    "life": {
        "TimesTakenForLocal": "an_order_names_what_was_bought_how_many_and_when",
        "EditsForgotten": "an_edited_order_asks_for_the_new_number_of_units",
        "ReturnsForgotten": "a_return_that_may_be_sold_again_is_told",
        "DamagedUnitsCountAsReturned": "of_units_that_come_back_only_those_that_may_be_sold_again_count_as_returned",
        "AReturnOfDamagedUnitsCounts": "a_return_that_may_not_be_sold_again_returns_nothing",
        "DamagedUnitsAreGivenBack": "a_return_that_may_not_be_sold_again_gives_no_units_back",
        "NoEditGivesBackDeclared": "an_edit_gives_units_back_when_declared",
        "NoReturnGivesBackDeclared": "a_return_gives_units_back_when_declared",
    },
    "lists": {
        "ListingsByRowNumber": "a_listing_that_leaves_while_they_are_read_hides_no_other",
        "NewestListingsByRowNumber": "a_listing_that_is_new_while_they_are_read_doubles_no_other",
        "ShortPagesOfListingsLost": "listings_come_however_they_fill_their_pages",
        "ShortPagesOfOrdersLost": "orders_come_however_they_fill_their_pages",
        "OrdersBySecond": "orders_of_one_moment_that_no_page_holds_all_come",
        "SkusNotListed": "every_listing_is_listed_with_its_key_and_its_number",
        "ListingsInAnotherOrder": "listings_by_id_come_in_the_order_asked_and_unknown_ones_are_left_out",
        "AnyNumberOfReadsTaken": "as_many_reads_as_declared_go_in_one_call_and_more_are_refused",
        "ReadsOneTooMany": "a_number_typed_by_hand_is_read",
        "NonsenseReadAsANumber": "a_number_that_cannot_be_read_says_why_and_holds_up_no_other",
        "RaisesIgnored": "a_pushed_number_is_shown",
        "UnknownKeysRaise": "an_update_of_an_unknown_key_is_refused_and_not_raised",
        "IgnoredTakenForDone": "a_write_to_what_is_not_counted_is_refused_and_never_taken_for_done",
    },
    "kept": {
        "KeptUnitsAreRaised": "units_that_the_channel_keeps_are_never_written",
        "KeptUnitsSaidToBeWritten": "units_that_the_channel_keeps_are_never_written",
        "KeptKeysAmongOurs": "units_that_the_channel_keeps_are_read_at_their_place_and_shown_nowhere",
        "NothingKeptIsUnknown": "units_that_the_channel_keeps_are_read_at_their_place_and_shown_nowhere",
        "AnyPlaceIsOne": "units_that_the_channel_keeps_are_read_at_their_place_and_shown_nowhere",
        "OrdersLetGoOfKeptUnits": "units_that_the_channel_keeps_are_read_at_their_place_and_shown_nowhere",
        "OurUnitsCalledKept": "units_that_the_channel_keeps_are_read_at_their_place_and_shown_nowhere",
    },
    "wired": {
        "RaisesInTheMiddle": "a_push_that_breaks_off_tells_of_each_row_whether_it_left",
        "NeverLeftCalledUnknown": "a_push_that_breaks_off_tells_of_each_row_whether_it_left",
    },
}
"""By file (sabotaged_*.py): what is broken, and the test that must see it."""


def of_webhooks(test: str) -> bool:
    """Whether it needs a connector that takes webhooks."""
    return "delivery" in test or "header_names" in test


HEALTHY = {
    **{
        ("NothingBroken", part): {test for test in tests.values() if not of_webhooks(test)}
        for part, tests in CAUGHT_BY.items()
    },
    ("GoodWebhooks", "failures"): {test for test in CAUGHT_BY["failures"].values() if of_webhooks(test)},
}
"""Classes in which nothing is broken, by name and file, with the tests above: it is the fault that fails them."""


def test_every_case_of_the_contract_has_a_connector_that_breaks_it() -> None:
    cases = {name.removeprefix("test_") for name in dir(ConnectorContract) if name.startswith("test_")}
    assert cases == {test for tests in CAUGHT_BY.values() for test in tests.values()}


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """By file and class: the tests that ran, with the failure of each; empty where it passed. One run for all."""
    report = tmp_path_factory.mktemp("contract") / "report.xml"
    ids = [
        f"{HERE / f'sabotaged_{part}.py'}::Test{name}::test_{test}"
        for part, tests in CAUGHT_BY.items()
        for name, test in tests.items()
    ]
    ids += [
        f"{HERE / f'sabotaged_{part}.py'}::Test{name}::test_{test}"
        for (name, part), tests in HEALTHY.items()
        for test in tests
    ]
    options = ("-q", "--tb=line", "-p", "no:cacheprovider", f"--junitxml={report}")
    command = [sys.executable, "-m", "pytest", *options, *ids]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert report.is_file(), done.stdout + done.stderr
    outcomes: dict[str, dict[str, str]] = defaultdict(dict)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - we wrote it
        name = case.get("classname", "").rpartition("sabotaged_")[2]
        assert case.find("error") is None, f"{name}: the harness broke: {case.find('error').get('message')}"
        failure = case.find("failure")
        outcomes[name][case.get("name", "")] = "" if failure is None else failure.text or "failed"
    return outcomes


@pytest.mark.processes
@pytest.mark.parametrize(
    ("part", "sabotage", "test"),
    [(part, name, f"test_{test}") for part, tests in CAUGHT_BY.items() for name, test in tests.items()],
)
def test_a_sabotaged_connector_fails_the_test_that_is_meant_for_it(
    failed: dict[str, dict[str, str]], part: str, sabotage: str, test: str
) -> None:
    cases = failed[f"{part}.Test{sabotage}"]
    ran = {name: failure for name, failure in cases.items() if name.partition("[")[0] == test}
    assert ran, f"{test} did not run"
    assert any(ran.values()), f"{sabotage}: {test} did not see it"


@pytest.mark.processes
@pytest.mark.parametrize(("healthy", "part"), list(HEALTHY))
def test_the_same_connector_without_sabotage_passes(failed: dict[str, dict[str, str]], healthy: str, part: str) -> None:
    ran = failed[f"{part}.Test{healthy}"]
    assert {name.partition("[")[0] for name in ran} == {f"test_{test}" for test in HEALTHY[healthy, part]}
    assert not [name for name, failure in ran.items() if failure]
