"""Amazon's static sandbox, which answers by its own cases: which of them can be asked for, and what its models allow.

What the server that behaves as Amazon does makes of the same requests is in `test_sandbox_on_the_server`.
"""

import json

import pytest

from channelsync.lab.marketplace_http import Request
from vendor_amazon.sandbox import SandboxApi, static_cases

WRONG = {("getAccount", 200)}
"""Cases whose answer Amazon's own model forbids: two required properties are missing."""

UNREACHABLE = {("cancelReport", 400), ("cancelReportSchedule", 400), ("getAccount", 400)}
"""Cases that name no parameters beside another of their operation: nobody can ask for them."""


@pytest.fixture
def cases(site):
    return static_cases(site.api.contract)


@pytest.fixture
def headers(call):
    return {"x-amz-access-token": call.login()[1]["access_token"]}


def test_every_case_that_can_be_asked_for_is_answered_as_it_says(site, cases, headers):
    sandbox = SandboxApi(site)
    assert len(cases) == 64
    for case in cases:
        name = (case.operation.id, case.status)
        reply = sandbox.handle(case.request(headers))
        if name in UNREACHABLE:
            continue
        told = json.loads(reply.body) if reply.body else None
        assert (reply.status, told) == (case.status, case.response), name


def test_the_cases_keep_to_the_models(site, cases):
    contract = site.api.contract
    wrong = set()
    for case in cases:
        body = b"" if case.response is None else json.dumps(case.response).encode()
        if contract.answer_problems(case.operation, case.status, {"content-type": "application/json"}, body):
            wrong.add((case.operation.id, case.status))
    assert wrong == WRONG


def test_what_matches_no_case_is_refused_and_so_is_a_missing_token(site, headers):
    sandbox = SandboxApi(site)
    request = Request("GET", "/orders/2026-01-01/orders", {"createdAfter": "x"}, headers, raw_query=b"createdAfter=x")
    reply = sandbox.handle(request)
    assert (reply.status, json.loads(reply.body)["errors"][0]["message"]) == (400, "Could not match input arguments")
    assert sandbox.handle(Request("GET", "/orders/2026-01-01/orders", {}, {})).status == 403
