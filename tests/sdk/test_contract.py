"""The contract catches what it says it catches: each sabotaged connector fails the test that is meant for it."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

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
        "SecretInAnError": "no_secret_is_written_anywhere",
        "SecretInARepr": "no_secret_is_written_anywhere",
        "ForgeriesBelieved": "a_forged_delivery_is_refused_and_never_raises",
        "StaleDeliveriesBelieved": "a_stale_delivery_is_refused",
        "EventsNamedBySecond": "an_event_names_one_delivery_and_every_repeat_of_it",
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
}
"""By file (sabotaged_*.py): what is broken, and the test that must see it."""

HEALTHY = {
    **{
        ("NothingBroken", part): {test for test in tests.values() if "delivery" not in test}
        for part, tests in CAUGHT_BY.items()
    },
    ("GoodWebhooks", "failures"): {test for test in CAUGHT_BY["failures"].values() if "delivery" in test},
}
"""Classes in which nothing is broken, by name and file, with the tests above: it is the fault that fails them."""


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
