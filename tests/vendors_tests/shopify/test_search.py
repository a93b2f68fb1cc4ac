"""The search syntax: a table of queries and what they find."""

from datetime import UTC, datetime

import pytest

from vendor_shopify.search import least, matches, parsed, unknown_fields

AT = datetime(2026, 11, 21, 10, 0, 0, 500_000, tzinfo=UTC)
READS = {
    "updated_at": lambda thing: thing["at"],
    "id": lambda thing: thing["id"],
    "sku": lambda thing: thing["skus"],
    "test": lambda thing: thing["test"],
    "status": lambda thing: thing["status"],
}
THING = {"at": AT, "id": 7, "skus": ["MUG-1", "CUP"], "test": False, "status": "open"}

FOUND = {
    "": True,
    "updated_at:>='2026-11-21T10:00:00Z'": True,
    "updated_at:>'2026-11-21T10:00:01Z'": False,
    "updated_at:<=2026-11-21T11:00:00+01:00": False,
    "updated_at:>'2026-11-21T10:00:00Z' updated_at:<'2026-11-22'": True,
    "id:7": True,
    "id:>=8": False,
    "id:6 OR id:7": True,
    "id:6 OR id:8": False,
    "id:7 AND status:closed": False,
    "id:7 AND (status:closed OR status:open)": True,
    "NOT id:7": False,
    "-status:closed": True,
    "-(id:7 status:open)": False,
    "sku:MUG-1": True,
    "sku:mug*": True,
    'sku:"CUP"': True,
    "sku:MUG": False,
    "sku:*": True,
    "test:false": True,
    "test:true": False,
    "colour:red": True,
}


@pytest.mark.parametrize("query", FOUND, ids=str)
def test_a_query_finds_what_it_says(query):
    assert matches(parsed(query), THING, READS) is FOUND[query]


def test_fields_that_the_search_does_not_know_are_named():
    assert unknown_fields(parsed("colour:red AND (id:7 OR size:XL)"), READS) == ["colour", "size"]


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("updated_at:>='2026-11-21T10:00:00Z' status:open", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("status:open", None),
        ("updated_at:<'2026-11-21T10:00:00Z'", None),
        ("updated_at:>='2026-11-21T10:00:00Z' OR id:7", None),
    ],
)
def test_the_earliest_time_that_a_query_can_find_is_known_only_where_it_says_one(query, at):
    assert least(parsed(query), "updated_at") == at
