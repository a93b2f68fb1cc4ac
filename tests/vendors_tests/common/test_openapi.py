"""The judge of requests and answers finds what is wrong, in Swagger 2.0 and in OpenAPI 3.0, and nothing else."""

import json
from urllib.parse import urlencode

import pytest

from channelsync.lab.marketplace_http import Request
from vendor_common.openapi import Contract, Tolerated
from vendor_common.openapi_descriptions import Description

ORDER = {
    "type": "object",
    "required": ["orderId"],
    "properties": {
        "orderId": {"type": "string", "pattern": "^[0-9]+$"},
        "lines": {"type": "array", "items": {"$ref": "#/definitions/Line"}},
    },
}
LINE = {"type": "object", "required": ["units"], "properties": {"units": {"type": "integer", "minimum": 1}}}
OLD = {
    "swagger": "2.0",
    "basePath": "/v1",
    "consumes": ["application/json"],
    "produces": ["application/json"],
    "paths": {
        "/orders": {
            "get": {
                "operationId": "searchOrders",
                "parameters": [
                    {"name": "ids", "in": "query", "type": "array", "maxItems": 2, "items": {"type": "integer"}},
                    {"name": "status", "in": "query", "required": True, "type": "string", "enum": ["OPEN", "DONE"]},
                    {"name": "size", "in": "query", "type": "integer", "minimum": 1, "maximum": 100},
                    {"name": "after", "in": "query", "type": "string", "format": "date-time"},
                    {"name": "all", "in": "query", "type": "boolean"},
                    {"name": "x-shop", "in": "header", "required": True, "type": "string", "pattern": "^S"},
                ],
                "responses": {
                    "200": {
                        "description": "",
                        "schema": {"type": "array", "items": {"$ref": "#/definitions/Order"}},
                        "headers": {"x-left": {"type": "integer"}},
                    }
                },
            },
            "post": {
                "operationId": "createOrder",
                "parameters": [
                    {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Order"}}
                ],
                "responses": {"201": {"description": ""}, "default": {"description": "", "schema": {"type": "object"}}},
            },
        },
        "/orders/special": {"get": {"operationId": "special", "responses": {"200": {"description": ""}}}},
        "/items/{seller}/{sku}": {
            "parameters": [
                {"name": "seller", "in": "path", "required": True, "type": "string", "minLength": 2},
                {"name": "sku", "in": "path", "required": True, "type": "string"},
            ],
            "get": {"operationId": "getItem", "responses": {"200": {"description": ""}}},
        },
        "/orders/{id}": {
            "get": {
                "operationId": "getOrder",
                "parameters": [{"name": "id", "in": "path", "required": True, "type": "integer"}],
                "responses": {"200": {"description": "", "schema": {"$ref": "#/definitions/Order"}}},
            }
        },
        "/token": {
            "post": {
                "operationId": "token",
                "consumes": ["application/x-www-form-urlencoded"],
                "parameters": [
                    {"name": "grant", "in": "formData", "required": True, "type": "string", "enum": ["refresh"]}
                ],
                "responses": {"200": {"description": ""}},
            }
        },
    },
    "definitions": {"Order": ORDER, "Line": LINE},
}
NEW = {
    "openapi": "3.0.0",
    "servers": [{"url": "https://api.example{base}", "variables": {"base": {"default": "/sell/v1"}}}],
    "paths": {
        "/offers/{id}": {
            "put": {
                "operationId": "putOffer",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "sites", "in": "query", "schema": {"type": "array", "items": {"$ref": "#/x/Site"}}},
                    {"name": "skus", "in": "query", "explode": False, "schema": {"type": "array", "items": {}}},
                    {"name": "f", "in": "query", "style": "deepObject", "schema": {"$ref": "#/x/Filter"}},
                    {"name": "Content-Language", "in": "header", "required": True, "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Offer"}}},
                },
                "responses": {
                    "200": {
                        "description": "",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Offer"}}},
                    },
                    "204": {"description": ""},
                },
            }
        }
    },
    "x": {
        "Site": {"type": "string", "enum": ["UK", "DE"]},
        "Filter": {"type": "object", "properties": {"sku": {"type": "string", "maxLength": 3}}},
    },
    "components": {
        "schemas": {
            "Offer": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {"type": "object", "properties": {"price": {"type": "number", "nullable": True}}},
                ]
            },
            "Base": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}},
        }
    },
}


def contract(*descriptions: dict, **options) -> Contract:
    made = [Description(each, f"description:{number}") for number, each in enumerate(descriptions or (OLD, NEW))]
    return Contract(made, **options)


def asked(method: str, path: str, query: dict | list = (), body: object = None, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        named.setdefault("content-type", "application/json")
    sent = b"" if body is None else json.dumps(body).encode()
    return Request(method, path, dict(query), named, sent, urlencode(query).encode())


def problems(request: Request, judge: Contract | None = None) -> list[str]:
    judge = judge or contract()
    operation = judge.operation(request.method, request.path)
    assert operation is not None
    return judge.request_problems(operation, request)


def answered(path: str, status: int, body: object, judge: Contract | None = None, **headers: str) -> list[str]:
    judge = judge or contract()
    operation = judge.operation("GET", path)
    assert operation is not None
    named = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return judge.answer_problems(operation, status, named, b"" if body is None else json.dumps(body).encode())


def test_an_operation_is_found_by_method_and_path_with_its_arguments():
    judge = contract()
    found = judge.operation("get", "/v1/items/S1/MUG")
    assert found is not None
    assert (found.id, dict(found.arguments)) == ("getItem", {"seller": "S1", "sku": "MUG"})
    assert judge.operation("PUT", "/sell/v1/offers/7").id == "putOffer"
    assert judge.operation("DELETE", "/v1/items/S1/MUG") is None
    assert judge.operation("GET", "/items/S1/MUG") is None
    assert judge.methods("/v1/orders") == ("GET", "POST")
    assert judge.methods("/v1/nowhere") == ()


def test_a_literal_path_goes_before_a_template_and_only_the_last_argument_may_hold_a_slash():
    judge = contract()
    assert judge.operation("GET", "/v1/orders/special").id == "special"
    assert judge.operation("GET", "/v1/orders/5").id == "getOrder"
    assert dict(judge.operation("GET", "/v1/items/S1/A/B").arguments) == {"seller": "S1", "sku": "A/B"}


def test_a_right_request_has_no_problems():
    query = {"ids": "1,2", "status": "OPEN", "size": "100", "after": "2026-01-01T00:00:00Z", "all": "true"}
    assert problems(asked("GET", "/v1/orders", query, x_shop="S1")) == []
    assert problems(asked("POST", "/v1/orders", body={"orderId": "1", "lines": [{"units": 1}]})) == []
    sites = [("sites", "UK"), ("sites", "DE"), ("skus", "A,B"), ("f[sku]", "abc")]
    assert problems(asked("PUT", "/sell/v1/offers/7", sites, {"sku": "A", "price": None}, Content_Language="en")) == []


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ({}, "query status: the required"),
        ({"status": "LOST"}, "query status: 'LOST' is not one of"),
        ({"status": "OPEN", "ids": "1,x"}, "query ids: it is not of type integer"),
        ({"status": "OPEN", "ids": "1,2,3"}, "query ids: [1, 2, 3] is too long"),
        ({"status": "OPEN", "size": "0"}, "query size: 0 is less than"),
        ({"status": "OPEN", "size": "101"}, "query size: 101 is greater than"),
        ({"status": "OPEN", "after": "yesterday"}, "query after: 'yesterday' is not a 'date-time'"),
        ({"status": "OPEN", "all": "yes"}, "query all: it is not of type boolean"),
        ({"status": "OPEN", "Size": "1"}, "query Size: the description names no such"),
        ([("status", "OPEN"), ("status", "DONE")], "query status: it was given 2 times"),
    ],
)
def test_a_wrong_query_is_named(query, where):
    (problem,) = problems(asked("GET", "/v1/orders", query, x_shop="S1"))
    assert problem.startswith(where)


def test_wrong_headers_and_path_arguments_are_named():
    assert problems(asked("GET", "/v1/orders", {"status": "OPEN"}))[0].startswith("header x-shop: the required")
    assert problems(asked("GET", "/v1/orders", {"status": "OPEN"}, X_Shop="T"))[0].startswith("header x-shop: 'T'")
    assert problems(asked("GET", "/v1/orders/x"))[0].startswith("path id: it is not of type integer")
    assert problems(asked("GET", "/v1/items/S/MUG"))[0].startswith("path seller: 'S' is too short")


def test_wrong_bodies_are_named():
    wrong = asked("POST", "/v1/orders", body={"orderId": "A", "lines": [{"units": 0}]})
    assert [each.partition(":")[0] for each in problems(wrong)] == ["body.lines[0].units", "body.orderId"]
    assert problems(asked("POST", "/v1/orders")) == ["body: it is required and missing"]
    assert problems(Request("POST", "/v1/orders", {}, {"content-type": "application/json"}, b"{")) == [
        "body: it is not JSON: b'{'"
    ]
    plain = asked("POST", "/v1/orders", body={"orderId": "1"}, content_type="text/plain")
    assert problems(plain)[0].startswith("header content-type: 'text/plain'")
    assert problems(asked("GET", "/v1/orders/5", body={})) == ["body: the description names none"]


def test_a_form_is_judged_field_by_field():
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert problems(Request("POST", "/v1/token", {}, kind, b"grant=refresh")) == []
    assert problems(Request("POST", "/v1/token", {}, kind, b"grant=x"))[0].startswith("form grant: 'x'")
    assert problems(Request("POST", "/v1/token", {}, kind, b""))[0].startswith("form grant: the required")


def test_openapi_3_parameters_and_bodies_are_judged():
    def put(query, body, **headers):
        return problems(asked("PUT", "/sell/v1/offers/7", query, body, **headers))

    assert put({}, {"sku": "A"})[0].startswith("header Content-Language: the required")
    assert put({"sites": "FR"}, {"sku": "A"}, Content_Language="en")[0].startswith("query sites[0]: 'FR'")
    assert put({"f[sku]": "abcd"}, {"sku": "A"}, Content_Language="en")[0].startswith("query f.sku: 'abcd' is too")
    assert put({}, {"price": "1"}, Content_Language="en") == [
        "body: 'sku' is a required property",
        "body.price: '1' is not of type 'number'",
    ]


def test_answers_are_judged_by_their_status_and_schema():
    assert answered("/v1/orders", 200, [{"orderId": "1"}], x_left="3") == []
    assert answered("/v1/orders", 200, [{"orderId": "x"}])[0].startswith("body[0].orderId: 'x' does not match")
    assert answered("/v1/orders", 200, [], x_left="many")[0].startswith("header x-left: it is not of type integer")
    assert answered("/v1/orders", 418, [])[0].startswith("status: 418 is none of 200")
    assert answered("/v1/orders", 200, None)[0].startswith("body: status 200 has one")
    assert answered("/v1/orders", 200, [], content_type="text/html")[0].startswith("header content-type: 'text/html'")


def test_a_property_that_nobody_names_is_a_problem_only_where_descriptions_are_closed():
    misspelt = [{"orderId": "1", "lines": [{"units": 1, "unit": 2}], "orderID": "1"}]
    assert answered("/v1/orders", 200, misspelt) == []
    assert answered("/v1/orders", 200, misspelt, contract(closed=True)) == [
        "body[0].lines[0].unit: the description names no such property",
        "body[0].orderID: the description names no such property",
    ]
    offer = asked("PUT", "/sell/v1/offers/7", {}, {"sku": "A", "price": 1, "cost": 1}, Content_Language="en")
    assert problems(offer, contract(closed=True)) == ["body.cost: the description names no such property"]


def test_a_tolerated_problem_is_passed_over_where_it_was_named_and_its_use_is_noted():
    flaw = Tolerated("orderId: .* does not match", "Ids of test orders are words.", operation="getOrder")
    other = Tolerated("never", "Not needed.")
    judge = contract(tolerated=[flaw, other])
    assert answered("/v1/orders/5", 200, {"orderId": "x"}, judge) == []
    assert judge.unused() == [other]
    assert answered("/v1/orders", 200, [{"orderId": "x"}], judge) != []


def test_only_descriptions_of_a_known_kind_are_taken():
    with pytest.raises(ValueError, match="neither Swagger"):
        Description({"openapi": "3.1.0", "paths": {}}, "description:x")


def test_the_arguments_of_a_request_come_as_values_with_their_defaults():
    described = json.loads(json.dumps(OLD))
    described["paths"]["/orders"]["get"]["parameters"].append(
        {"name": "order", "in": "query", "type": "string", "default": "ASC"}
    )
    judge = contract(described)
    query = {"ids": "1,2", "status": "OPEN", "size": "9" * 5_000, "all": "True"}
    request = asked("GET", "/v1/orders", query, X_Shop="S1")
    given = judge.arguments(judge.operation("GET", "/v1/orders"), request)
    assert given == {"ids": [1, 2], "status": "OPEN", "all": True, "x-shop": "S1", "order": "ASC"}
    path = asked("GET", "/v1/orders/5")
    assert judge.arguments(judge.operation("GET", path.path), path) == {"id": 5}
    assert any(problem.startswith("query size: it is not of type integer") for problem in problems(request))
