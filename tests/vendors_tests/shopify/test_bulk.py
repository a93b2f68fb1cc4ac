"""Bulk operations: they run for a while, one file comes of them, and it does not stay."""

from datetime import timedelta

import orjson
import pytest

RUN = """
mutation Run($query: String!) {
  bulkOperationRunQuery(query: $query) { bulkOperation { id status } userErrors { field message code } }
}
"""
READ = """
query Read($id: ID!) {
  node(id: $id) { ... on BulkOperation { id status errorCode objectCount rootObjectCount fileSize url partialDataUrl } }
}
"""
EVERYTHING = """
{ productVariants { edges { node {
  id sku product { id status }
  inventoryItem {
    id inventoryLevels { edges { node { id location { id } quantities(names: ["available"]) { quantity } } } }
  }
} } } }
"""


@pytest.fixture
def stocked(ask):
    catalogue = ask.site.shop.catalogue
    place = catalogue.add_location("Second")
    for number in range(300):
        catalogue.offer(f"MUG-{number}", {catalogue.primary: number, place: 1})
    return ask


def started(ask, query=EVERYTHING):
    """The id of an operation that was started."""
    done = ask.data(RUN, query=query)["bulkOperationRunQuery"]
    assert done["userErrors"] == []
    return done["bulkOperation"]["id"]


def fetched(ask, url):
    """The file at a URL, which is asked for without a token."""
    return ask.raw(b"", "/" + url.split("/", 3)[3], "GET", x_shopify_access_token="")


def test_an_operation_runs_and_then_gives_a_file_of_parents_and_their_children(stocked):
    ask = stocked
    operation = started(ask)
    assert ask.data(READ, id=operation)["node"]["status"] in ("CREATED", "RUNNING")
    assert ask.data(READ, id=operation)["node"]["url"] is None
    ask.advance(10)
    told = ask.data(READ, id=operation)["node"]
    assert (told["status"], told["objectCount"], told["rootObjectCount"]) == ("COMPLETED", "900", "300")
    reply = fetched(ask, told["url"])
    assert (reply.status, str(len(reply.body))) == (200, told["fileSize"])
    rows = [orjson.loads(line) for line in reply.body.splitlines()]
    assert rows[0]["sku"] == "MUG-0"
    assert "inventoryLevels" not in rows[0]["inventoryItem"]
    assert [row["__parentId"] for row in rows[1:3]] == [rows[0]["id"]] * 2
    assert [row["quantities"] for row in rows[1:3]] == [[{"quantity": 0}], [{"quantity": 1}]]


def test_an_operation_costs_ten_points(stocked):
    before = stocked.site.api.bucket.spent
    started(stocked)
    assert stocked.site.api.bucket.spent - before == 10


def test_more_than_may_run_at_once_are_refused(opened):
    ask = opened(bulk_at_once=1)
    ask.site.shop.catalogue.offer("MUG", 1)
    operation = started(ask)
    (error,) = ask.data(RUN, query=EVERYTHING)["bulkOperationRunQuery"]["userErrors"]
    assert (error["code"], error["field"]) == ("OPERATION_IN_PROGRESS", None)
    assert operation in error["message"]
    ask.advance(10)
    started(ask)


def test_the_file_is_gone_after_a_week(stocked):
    ask = stocked
    operation = started(ask)
    ask.advance(10)
    url = ask.data(READ, id=operation)["node"]["url"]
    ask.advance(timedelta(days=7).total_seconds())
    assert ask.data(READ, id=operation)["node"]["status"] == "EXPIRED"
    assert fetched(ask, url).status == 404
    assert fetched(ask, "https://shop/bulk/guess.jsonl").status == 404


def test_an_operation_can_fail(stocked):
    ask = stocked
    ask.site.shop.bulk.fail_next = "TIMEOUT"
    operation = started(ask)
    ask.advance(10)
    told = ask.data(READ, id=operation)["node"]
    assert (told["status"], told["errorCode"], told["url"]) == ("FAILED", "TIMEOUT", None)
    assert told["partialDataUrl"]


def test_an_operation_can_be_cancelled(stocked):
    ask = stocked
    operation = started(ask)
    cancel = "mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status } userErrors { message } } }"
    assert ask.data(cancel, id=operation)["bulkOperationCancel"]["bulkOperation"]["status"] == "CANCELING"
    ask.advance(5)
    assert ask.data(READ, id=operation)["node"]["status"] == "CANCELED"
    assert ask.data(cancel, id=operation)["bulkOperationCancel"]["userErrors"]


def test_an_empty_result_has_no_file(ask):
    operation = started(ask)
    ask.advance(10)
    told = ask.data(READ, id=operation)["node"]
    assert (told["status"], told["objectCount"], told["url"]) == ("COMPLETED", "0", None)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{ shop { name } }",
        "{ productVariants { nodes { id } } }",
        'mutation { bulkOperationCancel(id: "gid://shopify/BulkOperation/1") { userErrors { message } } }',
        "{ productVariants { edges { node { nothing } } } }",
        "{ products { edges { node { id variants { edges { node { inventoryItem { inventoryLevels { edges { node "
        "{ id } } } } } } } } } } }",
    ],
)
def test_a_query_that_cannot_be_run_in_bulk_is_refused(ask, query):
    errors = ask.data(RUN, query=query)["bulkOperationRunQuery"]["userErrors"]
    assert {each["code"] for each in errors} == {"INVALID"}
