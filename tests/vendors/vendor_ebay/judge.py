"""Requests and answers against eBay's own API descriptions, with the flaws that the descriptions are known to have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import orjson

from channelsync.lab.marketplace_http import Request
from vendor_common.openapi import Contract, Operation, Tolerated
from vendor_common.openapi_descriptions import Description, Node

FILES = (
    "sell_inventory_v1_oas3.json",
    "sell_fulfillment_v1_oas3.json",
    "sell_account_v1_oas3.json",
    "commerce_notification_v1_oas3.json",
    "commerce_identity_v1_oas3.json",
    "developer_analytics_v1_beta_oas3.json",
)

TOLERATED = (
    Tolerated(
        r"^body: the description names none$",
        "eBay's edge answers 411 to a POST without a body, although the description names none: `{}` is sent",
        "publishOffer",
    ),
    Tolerated(r"^body: the description names none$", "as publishOffer", "withdrawOffer"),
    Tolerated(r"^body: the description names none$", "as publishOffer", "enableInventoryLocation"),
    Tolerated(r"^body: the description names none$", "as publishOffer", "disableInventoryLocation"),
    Tolerated(r"^body: the description names none$", "as publishOffer", "enableSubscription"),
    Tolerated(r"^body: the description names none$", "as publishOffer", "disableSubscription"),
    Tolerated(r"^body: the description names none$", "as publishOffer", "test"),
    Tolerated(
        r"deliveryConfig: .* is not of type 'string'",
        "the description calls a destination's deliveryConfig a string; requests and eBay's examples have the object",
    ),
)


class Judge:
    """eBay's descriptions as judge. folder: where they lie (contracts/ebay)."""

    def __init__(self, folder: Path) -> None:
        self.contract = _contract(folder)

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation of a path; with or without the slash at its end that some of eBay's have."""
        return self.contract.operation(method, path) or self.contract.operation(method, path.rstrip("/") + "/")

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that a path knows."""
        return self.contract.methods(path)

    def of_request(self, operation: Operation, request: Request) -> list[str]:
        """What is wrong with a request."""
        return self.contract.request_problems(operation, request)

    def of_answer(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
        """What is wrong with an answer. Errors have no schema of their own but rows of the type `Error`."""
        if status == 207:
            return self.contract.answer_problems(operation, 200, headers, body)
        if status < 400:
            return self.contract.answer_problems(operation, status, headers, body)
        try:
            rows = orjson.loads(body)["errors"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return [f"body: status {status} has no errors"]
        schema = _error_schema(operation.description)
        if schema is None:
            return []
        return [
            problem
            for number, row in enumerate(rows)
            for problem in self.contract.schema_problems(operation.description, schema, row, f"errors[{number}]")
        ]


def _error_schema(description: Description) -> Node | None:
    node = Node(description.content, "").at("components", "schemas", "Error")
    return node if node else None


@lru_cache(maxsize=4)
def _contract(folder: Path) -> Contract:
    """Read once: the descriptions are 1.6 MB."""
    return Contract.read(*(folder / name for name in FILES), tolerated=TOLERATED, closed=True)
