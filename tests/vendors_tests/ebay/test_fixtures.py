"""Error bodies of the real eBay against those of the test server: the same fields, the same kinds of values."""

import json
import re

import pytest


@pytest.fixture(scope="module")
def real(contracts):
    return json.loads((contracts / "ebay" / "fixtures" / "errors.json").read_text())


def test_rest_errors_have_the_fields_of_real_ones(ebay, real):
    (shown,) = real["restful"]["errors"]
    for path in ("/sell/inventory/v1/inventory_item/NONE", "/sell/fulfillment/v1/order/x", "/nowhere"):
        (ours,) = ebay("GET", path)[1]["errors"]
        for name in ("errorId", "domain", "category", "message"):
            assert type(ours[name]) is type(shown[name]), name
        assert ours["category"] in ("REQUEST", "APPLICATION", "BUSINESS")


def test_oauth_errors_have_the_fields_of_real_ones(ebay, real):
    assert sorted(ebay.token_for("wrong", grant_type="x")[1]) == sorted(real["oauth"])


def test_trading_errors_have_the_fields_of_real_ones(ebay, real):
    shown = real["traditional"]
    told = ebay.trading("GetItem", "", x_ebay_api_iaf_token="")
    names = set(re.findall(r"<([A-Za-z]+)[ >]", told))
    assert names - {"GetItemResponse", "xml"} == {name for name in shown if name != "Errors"} | {"Errors"} | set(
        shown["Errors"]
    )
    assert f"<ErrorCode>{shown['Errors']['ErrorCode']}</ErrorCode>" in told
    assert re.search(r"<Ack>Failure</Ack>", told)
