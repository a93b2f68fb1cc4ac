"""What the settings refuse, and what they declare."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from channelsync.sdk.values import Applies, Deducts, GivesBack
from channelsync_files.settings import FilesSettings, budgets, capabilities

ORDERS = {
    "path": "orders",
    "columns": {"order": "o", "sku": "s", "units": "u", "placed_at": "p", "changed_at": "c"},
}
TELLING = {**ORDERS, "columns": {**ORDERS["columns"], "deducted_at": "d"}}
NUMBERS = {"path": "numbers", "columns": {"key": "k", "number": "n"}}
LISTINGS = {"path": "items", "columns": {"sku": "s"}}
QUANTITIES = {"path": "out", "columns": {"sku": "s", "units": "u"}}
REPLIES = {"path": "replies", "columns": {"key": "k", "status": "s"}}
SFTP = {
    "place": "sftp://files.example/x",
    "username": "u",
    "password": "secret-1",
    "host_keys": ["ssh-ed25519 AAAA"],
}


def made(**more) -> FilesSettings:
    return FilesSettings.model_validate({"place": "/srv/till", "orders": ORDERS, **more})


def without(section: dict, *path: str) -> dict:
    return {key: value for key, value in section.items() if key not in path}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"orders": None}, "there is nothing to do"),
        ({"place": "relative/path"}, "absolute"),
        ({"place": "ftp://files.example/x"}, "absolute"),
        ({"place": "https://user:pass@shop.example"}, "no name, password"),
        ({"place": "https://shop.example/x?y=1"}, "question mark"),
        ({"quantities": QUANTITIES}, "needs `listings` or `numbers`"),
        ({"acknowledgements": REPLIES}, "which are not set"),
        ({"numbers": {**NUMBERS, "path": "orders"}}, "a path of its own"),
        ({"orders": {**ORDERS, "path": "../outside"}}, "stays below"),
        ({"orders": {**ORDERS, "path": "a\\b"}}, "stays below"),
        ({"orders": {**ORDERS, "path": "/"}}, "stays below"),
        ({"orders": {**ORDERS, "encoding": "klingon"}}, "no encoding"),
        ({"orders": {**ORDERS, "encoding": "hex"}}, "no encoding"),
        ({"orders": {**ORDERS, "delimiter": ";;"}}, "at most 1 character"),
        ({"orders": {**ORDERS, "time_zone": "Mars/Olympus"}}, "no time zone"),
        ({"orders": {**ORDERS, "complete": "trailer"}}, "go together"),
        ({"orders": {**ORDERS, "lines": "items"}}, "`lines` is for JSON"),
        ({"orders": {**ORDERS, "statuses": {"open": "reserve"}}}, "go together"),
        ({"orders": {**ORDERS, "columns": {**ORDERS["columns"], "status": "x"}}}, "go together"),
        ({"orders": {**ORDERS, "columns": without(ORDERS["columns"], "changed_at")}}, "map `changed_at`"),
        ({"orders": {**ORDERS, "columns": without(ORDERS["columns"], "sku")}}, "map `sku` or `listing`"),
        ({"orders": {**ORDERS, "columns": {**ORDERS["columns"], "buyer": "b"}}}, "Extra inputs"),
        ({"listings": LISTINGS, "quantities": {**QUANTITIES, "columns": {"units": "u"}}}, "map `sku` or `listing`"),
        ({"listings": LISTINGS, "quantities": {**QUANTITIES, "name": "../{number}.csv"}}, "pattern"),
        ({"listings": LISTINGS, "quantities": {**QUANTITIES, "name": "same.csv"}}, "pattern"),
        ({"listings": LISTINGS, "quantities": QUANTITIES, "meaning": "physical"}, "needs a file of numbers"),
        ({"numbers": NUMBERS, "quantities": QUANTITIES, "meaning": "physical", "cap": 9}, "does not go with `cap`"),
        ({"deducts": "as told"}, "column `deducted_at` of the orders go together"),
        ({"orders": TELLING}, "column `deducted_at` of the orders go together"),
        ({**SFTP, "host_keys": []}, "set `host_keys`"),
        (without(SFTP, "password"), "SFTP needs"),
        ({"place": "http://shop.example"}, "can be read on the way"),
        ({"place": "https://shop.example", "token": "secret-1", "username": "u", "password": "secret-2"}, "not both"),
        ({"place": "https://shop.example", "username": "u"}, "go together"),
        ({"place": "https://shop.example", "listings": LISTINGS, "quantities": QUANTITIES}, "must say what is shown"),
        (
            {"place": "https://shop.example", "numbers": NUMBERS, "quantities": {**QUANTITIES, "content": "all"}},
            'only content = "changes"',
        ),
        ({"place": "https://shop.example", "orders": {**ORDERS, "version": "name"}}, 'need version = "changed_at"'),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_reason(settings: dict, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        made(**settings)
    assert said in str(caught.value)
    assert "secret-" not in str(caught.value)


@pytest.mark.parametrize("place", ["http://127.0.0.1:8080/api", "http://localhost/api", "https://shop.example/"])
def test_what_stays_on_this_machine_may_go_over_plain_http(place: str) -> None:
    assert made(place=place).kind == "http"
    assert made(place="http://erp.lan/api", allow_plain_http=True).kind == "http"


def test_status_words_that_differ_in_capitals_only_are_refused() -> None:
    orders = {
        **ORDERS,
        "columns": {**ORDERS["columns"], "status": "x"},
        "statuses": {"Open": "reserve", "open": "cancel"},
    }
    with pytest.raises(ValidationError, match="capital letters"):
        made(orders=orders)


def test_what_is_not_said_is_declared_carefully() -> None:
    told = capabilities(made(numbers=NUMBERS, quantities=QUANTITIES))
    assert told.timing.applies is Applies.ANY_ORDER
    assert told.timing.staleness == timedelta(seconds=3_900)
    assert told.timing.grace == timedelta(hours=2)
    assert told.order_visibility == timedelta(hours=1)
    assert told.behaviour.deducts is Deducts.AT_ORDER
    assert told.behaviour.gives_back == frozenset({GivesBack.ON_CANCEL, GivesBack.ON_EDIT})
    assert not told.compare_and_set
    assert not told.answers_with_number
    assert (told.meaning, told.zero, told.moves, told.timing.cap) == ("available", "shows 0", "own", None)
    assert told.updates_per_push == 500


def test_what_is_said_is_declared() -> None:
    said = {
        "meaning": "physical",
        "deducts": "at shipment",
        "gives_back": ["on restock"],
        "moves": "both",
        "zero": "ends",
        "applies": "in order",
        "grace_s": 10,
        "staleness_s": 20,
        "skew_s": 3,
        "never_negative": False,
        "order_visibility_s": 40,
        "pending_limit_s": None,
        "unique_skus": True,
    }
    numbers = {**NUMBERS, "columns": {**NUMBERS["columns"], "committed": "c"}}
    replies = {**REPLIES, "wait_s": 5}
    told = capabilities(made(numbers=numbers, quantities=QUANTITIES, acknowledgements=replies, **said))
    assert (told.meaning, told.committed_readable, told.blind) == ("physical", True, False)
    assert (told.moves, told.zero, told.unique_skus, told.pending_limit) == ("both", "ends", True, None)
    assert told.behaviour.deducts is Deducts.AT_SHIPMENT
    assert told.behaviour.gives_back == frozenset({GivesBack.ON_RESTOCK})
    assert (told.timing.applies, told.timing.never_negative) == (Applies.IN_ORDER, False)
    assert capabilities(made(numbers=NUMBERS, quantities=QUANTITIES, cap=99)).timing.cap == 99
    assert told.timing.grace == timedelta(seconds=15), "the wait for an acknowledgement fits in"
    assert (told.timing.staleness, told.timing.skew) == (timedelta(seconds=20), timedelta(seconds=3))
    assert told.order_visibility == timedelta(seconds=40)
    assert told.order_overlap == timedelta(0), "a folder needs no overlap"


def test_orders_that_tell_when_their_units_were_taken_are_declared() -> None:
    told = capabilities(made(numbers=NUMBERS, quantities=QUANTITIES, orders=TELLING, deducts="as told"))
    assert told.behaviour.deducts is Deducts.AS_TOLD


def test_a_physical_number_without_committed_units_is_blind() -> None:
    assert capabilities(made(numbers=NUMBERS, quantities=QUANTITIES, meaning="physical")).blind


def test_over_http_an_overlap_a_request_and_a_budget_count() -> None:
    settings = made(place="https://shop.example", numbers=NUMBERS, quantities=QUANTITIES, calls_per_second=3)
    told = capabilities(settings)
    assert told.order_overlap == timedelta(hours=1)
    assert told.timing.grace > timedelta(hours=2)
    assert [one.per_second for one in budgets(settings)] == [3]


@pytest.mark.parametrize(
    ("sections", "source"),
    [
        ({"numbers": NUMBERS}, "snapshot"),
        ({"listings": {**LISTINGS, "columns": {"sku": "s", "number": "n"}}}, "snapshot"),
        ({"listings": LISTINGS, "acknowledgements": REPLIES}, "acknowledgement"),
        ({"listings": LISTINGS}, "written"),
    ],
)
def test_the_best_source_of_numbers_is_used(sections: dict, source: str) -> None:
    assert made(quantities=QUANTITIES, **sections).source == source
