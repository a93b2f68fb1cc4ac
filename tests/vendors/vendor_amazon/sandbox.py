"""Amazon's own static sandbox: the cases that stand in its models, each a request and its answer.

    for case in static_cases(site.api.contract):
        reply = sandbox.handle(case.request(headers))       # answers case.response

A case matches a request when every parameter that it names has the value that it names; a case that names none matches
all. Of several the one that names the most counts, and of those the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_http import Reply, Request
from vendor_amazon.errors import ApiError, denied
from vendor_amazon.lwa import TOKEN_PATH
from vendor_amazon.site import AmazonSite
from vendor_common.openapi import Contract, Operation

_KEYS = ("x-amzn-api-sandbox", "x-amz-api-sandbox")


@dataclass(frozen=True, slots=True)
class SandboxCase:
    """One case. parameters: by name, as JSON values; `body` is the body. response None: there is no body."""

    operation: Operation
    status: int
    parameters: Mapping[str, Any]
    response: Any

    def request(self, headers: Mapping[str, str] | None = None) -> Request:
        """The request that this case is for. Path parameters that it does not name are called by their name."""
        path = self.operation.template
        query: dict[str, str] = {}
        for parameter in self.operation.parameters:
            name, value = str(parameter.content["name"]), self.parameters.get(str(parameter.content["name"]))
            if parameter.content["in"] == "path":
                path = path.replace("{" + name + "}", name if value is None else str(value))
            elif parameter.content["in"] == "query" and value is not None:
                query[name] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        body = b"" if self.parameters.get("body") is None else orjson.dumps(self.parameters["body"])
        kind = {"content-type": "application/json"} if body else {}
        raw = urlencode(query, quote_via=quote).encode()
        return Request(self.operation.method, path, query, {**kind, **(headers or {})}, body, raw)

    def matches(self, given: Mapping[str, Any]) -> bool:
        """Whether a request gives what this case names."""
        return all(_same(given.get(name), value) for name, value in self.parameters.items())


def _same(given: Any, wanted: Any) -> bool:
    if isinstance(wanted, list) and isinstance(given, list):
        return [str(each) for each in given] == [str(each) for each in wanted]
    return bool(given == wanted or (given is not None and str(given) == str(wanted)))


def static_cases(contract: Contract) -> tuple[SandboxCase, ...]:
    """All cases of all models of a contract."""
    return tuple(case for operation in contract.operations for case in cases_of(operation))


def cases_of(operation: Operation) -> Iterator[SandboxCase]:
    """The cases of one operation."""
    for status, answer in operation.node.content["responses"].items():
        for key in _KEYS:
            for case in answer.get(key, {}).get("static", ()):
                named = case.get("request", {}).get("parameters", {})
                values = {name: value["value"] for name, value in named.items() if "value" in value}
                yield SandboxCase(operation, int(status), values, case.get("response"))


class SandboxApi:
    """The static sandbox of a site: an `HttpApi`, for the lab's fronts. Tokens are those of the site's LWA."""

    def __init__(self, site: AmazonSite) -> None:
        self._site = site

    @property
    def marketplace(self) -> Marketplace:
        """The site's; the sandbox neither reads nor changes it."""
        return self._site.marketplace

    def handle(self, request: Request) -> Reply:
        """Answers by the case that fits best; 400 where none does (amzn/selling-partner-api-models issue 5056)."""
        api, now = self._site.api, self.marketplace.now()
        if request.path == TOKEN_PATH:
            return api.tokens.answer(request, now)
        try:
            api.tokens.whose(request.headers, now)
            case = self._best(api.contract, request)
        except ApiError as error:
            return _reply(error.status, error.content())
        return _reply(case.status, case.response)

    def _best(self, contract: Contract, request: Request) -> SandboxCase:
        operation = contract.operation(request.method, request.path)
        if operation is None:
            raise denied()
        given = contract.arguments(operation, request)
        if request.body:
            given["body"] = orjson.loads(request.body)
        fitting = [case for case in cases_of(operation) if case.matches(given)]
        if not fitting:
            raise ApiError(400, "InvalidInput", "Could not match input arguments")
        return max(fitting, key=lambda case: len(case.parameters))


def _reply(status: int, content: Any) -> Reply:
    if content is None:
        return Reply(status)
    return Reply(status, {"content-type": "application/json"}, orjson.dumps(content))
