"""Documents and variables are held against the whole schema; what they cost is paid."""

import pytest

from vendor_shopify.cost import QUERY_MAX

CASES = {
    "a field that is not there": ("{ shop { nothing } }", "undefinedField"),
    "an argument that is not there": ("{ shop(first: 1) { name } }", "argumentNotAccepted"),
    "a directive that is not there": ("{ shop { name @once } }", "undefinedDirective"),
    "a variable that is not used": ("query Q($a: Int) { shop { name } }", "variableNotUsed"),
    "a value that is none of the enum": (
        "{ orders(first: 1, sortKey: TOPIC) { nodes { id } } }",
        "argumentLiteralsIncompatible",
    ),
    "an argument that is missing": ("{ node { id } }", "missingRequiredArguments"),
    "an input field that is not there": (
        'mutation { refundCreate(input: {orderId: "gid://shopify/Order/1", userId: 2}) { userErrors { message } } }',
        "argumentNotAccepted",
    ),
    "no selection": ("{ shop }", "selectionMismatch"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_document_that_does_not_fit_the_schema_is_refused_with_shopifys_code(ask, case):
    query, code = CASES[case]
    answer = ask(query)
    assert [each["extensions"]["code"] for each in answer["errors"]] == [code]
    assert "data" not in answer


def test_a_variable_that_does_not_fit_is_refused_with_its_place(ask):
    query = """mutation M($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i) @idempotent(key: "1")
               { userErrors { code } } }"""
    row = {"inventoryItemId": "gid://shopify/InventoryItem/1", "locationId": "gid://shopify/Location/1"}
    answer = ask(
        query, i={"name": "available", "reason": "correction", "ignoreCompareQuantity": True, "quantities": [row]}
    )
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_VARIABLE"
    assert {tuple(each["path"]) for each in error["extensions"]["problems"]} == {
        ("ignoreCompareQuantity",),
        ("quantities", 0, "quantity"),
    }


def test_an_id_must_be_a_global_id(ask):
    answer = ask("query Q($id: ID!) { order(id: $id) { id } }", id="1")
    assert answer["errors"][0]["extensions"]["problems"][0]["explanation"] == "Invalid global id '1'"


def test_an_array_of_more_than_250_is_refused(ask):
    ids = [f"gid://shopify/Order/{each}" for each in range(1, 252)]
    answer = ask("query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert answer["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert ask.data("query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids[:250])["nodes"] == [None] * 250


def test_a_syntax_error_is_told(ask):
    assert "syntax error" in ask("{ shop {")["errors"][0]["message"]


def test_every_answer_tells_its_cost_and_what_is_left(ask):
    cost = ask("{ orders(first: 50) { nodes { id lineItems(first: 10) { nodes { id } } } } }")["extensions"]["cost"]
    # A connection costs 2 and floor(2 ln n) times its rows' cost: 2 + 7 * (1 + 2 + 4 * 1).
    assert cost["requestedQueryCost"] == 51
    assert cost["actualQueryCost"] < 51
    status = cost["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (2000, 100)
    assert status["currentlyAvailable"] == 2000 - cost["actualQueryCost"]


def test_a_larger_plan_has_a_larger_bucket(opened):
    ask = opened(plan="plus")
    status = ask("{ shop { name } }")["extensions"]["cost"]["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (20_000, 1000)


DEAR = "{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { id variant { id product { id } } } } } } }"


def test_a_single_query_over_the_limit_is_refused_and_costs_nothing(ask):
    query = """{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { variant { product { id
               variants(first: 50) { nodes { id } } } } } } } } }"""
    answer = ask(query)
    assert answer["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert answer["errors"][0]["extensions"]["cost"] > QUERY_MAX
    assert ask.site.api.bucket.spent == 0


def test_a_bucket_that_is_too_low_throttles_without_data_and_fills_again(ask):
    ask.site.api.bucket.status(ask.clock.now())
    ask.site.api.bucket.pay(1950)
    answer = ask(DEAR)
    assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert "data" not in answer
    cost = answer["extensions"]["cost"]
    assert cost["actualQueryCost"] is None
    assert [each.endpoint for each in ask.site.api.bucket.violations] == ["orders"]
    missing = cost["requestedQueryCost"] - cost["throttleStatus"]["currentlyAvailable"]
    ask.advance(missing / cost["throttleStatus"]["restoreRate"])
    assert "errors" not in ask(DEAR)


def test_what_is_not_simulated_is_told_and_noted(ask):
    answer = ask("{ shop { analyticsToken } }")
    assert answer["errors"][0]["extensions"]["code"] == "NOT_SIMULATED"
    assert ask.site.api.problems
