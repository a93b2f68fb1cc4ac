"""A judge of requests and answers: what a vendor's own API descriptions say that they must look like.

    contract = Contract.read(folder / "orders.json", folder / "listings.json")
    operation = contract.operation("GET", "/orders/2026-01-01/orders")
    problems = contract.request_problems(operation, request)

A problem is a sentence that begins with the place: `query marketplaceIds: ...`, `body orders[0].orderId: ...`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry, Specification

from channelsync.lab.marketplace_http import Request
from vendor_common.openapi_closed import UNKNOWN, undeclared
from vendor_common.openapi_descriptions import Description, Json, Node, Operation, templates_of
from vendor_common.openapi_parameters import (
    Unreadable,
    deep_names,
    header,
    query_pairs,
    schema_of,
    texts_of,
    value_of,
)

__all__ = ["UNKNOWN", "Contract", "Operation", "Tolerated"]

_OWN_HEADERS = frozenset({"accept", "content-type", "authorization"})
_DETAIL = 200


@dataclass(frozen=True, slots=True)
class Tolerated:
    """A problem that is none, because the description is wrong there. reason: why we know.

    operation: its id; empty for every one. problem: a regular expression that the problem's text holds.
    """

    problem: str
    reason: str
    operation: str = ""

    def excuses(self, operation: str, problem: str) -> bool:
        """Whether it is this problem, of this operation."""
        return self.operation in ("", operation) and re.search(self.problem, problem) is not None


class Contract:
    """The descriptions of one vendor.

    tolerated: flaws of the descriptions. `used` tells which of them were met. closed: properties that no description
    names are problems too, in requests and in answers.
    """

    def __init__(
        self, descriptions: Sequence[Description], *, tolerated: Iterable[Tolerated] = (), closed: bool = False
    ) -> None:
        self.descriptions = tuple(descriptions)
        self.tolerated = tuple(tolerated)
        self.used: set[Tolerated] = set()
        self._closed = closed
        self._templates = templates_of(self.descriptions)
        resources = [(each.uri, Specification.OPAQUE.create_resource(each.content)) for each in self.descriptions]
        self._registry: Registry[Any] = Registry().with_resources(resources)
        self._validators: dict[str, Any] = {}

    @classmethod
    def read(
        cls, *paths: Path, base: str | None = None, tolerated: Iterable[Tolerated] = (), closed: bool = False
    ) -> Contract:
        """From JSON files. base: the path before all templates, where the files say it wrongly."""
        return cls([Description.read(path, base) for path in paths], tolerated=tolerated, closed=closed)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All operations of all descriptions."""
        return tuple(template.operation for template in self._templates)

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation of a method and a decoded path, with the path's arguments taken out; None: there is none."""
        for loosely in (False, True):
            for template in self._templates:
                if template.operation.method == method.upper():
                    arguments = template.match(path, loosely=loosely)
                    if arguments is not None:
                        return replace(template.operation, arguments=arguments)
        return None

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that a path knows; empty where there is no such path."""
        return tuple(
            sorted({one.operation.method for one in self._templates if one.match(path, loosely=False) is not None})
        )

    def request_problems(self, operation: Operation, request: Request) -> list[str]:
        """What is wrong with a request; empty when nothing is."""
        pairs = query_pairs(request)
        found = [*self._parameters(operation, request, pairs), *self._unknown(operation, pairs)]
        found += self._old_body(operation, request) if operation.description.old else self._body(operation, request)
        return self._without_tolerated(operation, found)

    def answer_problems(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> list[str]:
        """What is wrong with an answer; empty when nothing is."""
        return self._without_tolerated(operation, self._answer(operation, status, headers, body))

    def arguments(self, operation: Operation, request: Request) -> dict[str, Any]:
        """The path, query and header parameters that came, as JSON values; defaults stand in for the query's.

        Only for a request without problems: what cannot be read is left out.
        """
        pairs = query_pairs(request)
        found: dict[str, Any] = {}
        for parameter in operation.parameters:
            name = str(parameter.content["name"])
            texts = texts_of(request, pairs, operation.arguments, parameter.content)
            words = schema_of(operation.description, parameter)[1]
            if texts:
                with suppress(Unreadable):
                    found[name] = value_of(operation.description, parameter, words, texts)
            elif parameter.content["in"] == "query":
                default = parameter.content.get("default", words.get("default"))
                if default is not None:
                    found[name] = default
        return found

    def schema_problems(self, description: Description, node: Node, value: Any, where: str = "body") -> list[str]:
        """What is wrong with a value, by the schema at a node."""
        found = list(self._against(description.schema(node), value, where))
        if self._closed:
            found += undeclared(description, node, value, where)
        return found

    def unused(self) -> list[Tolerated]:
        """Tolerated problems that were never met: perhaps not needed any more."""
        return [each for each in self.tolerated if each not in self.used]

    def _without_tolerated(self, operation: Operation, problems: Iterable[str]) -> list[str]:
        left: list[str] = []
        for problem in problems:
            excuses = [each for each in self.tolerated if each.excuses(operation.id, problem)]
            self.used.update(excuses)
            if not excuses:
                left.append(problem)
        return left

    # Parameters

    def _parameters(self, operation: Operation, request: Request, pairs: list[tuple[str, str]]) -> Iterator[str]:
        for parameter in operation.parameters:
            place = parameter.content["in"]
            own = place == "header" and parameter.content["name"].lower() in _OWN_HEADERS
            if place in ("query", "path", "header", "cookie") and not (own and not operation.description.old):
                yield from self._parameter(operation, request, pairs, parameter)

    def _parameter(
        self, operation: Operation, request: Request, pairs: list[tuple[str, str]], parameter: Node
    ) -> Iterator[str]:
        content = parameter.content
        where = f"{content['in']} {content['name']}"
        if content.get("style") == "deepObject":
            given: dict[str, str] = deep_names(pairs, content)
            if given or content.get("required"):
                yield from self._against(schema_of(operation.description, parameter)[0], given, where)
            return
        texts = texts_of(request, pairs, operation.arguments, content)
        if not texts:
            if content.get("required"):
                yield f"{where}: the required parameter is missing"
            return
        if texts == [""] and content.get("allowEmptyValue"):
            return
        schema, words = schema_of(operation.description, parameter)
        try:
            value = value_of(operation.description, parameter, words, texts)
        except Unreadable as error:
            yield f"{where}: it {error}"
            return
        yield from self._against(schema, value, where)

    def _unknown(self, operation: Operation, pairs: list[tuple[str, str]]) -> Iterator[str]:
        queries = [each.content for each in operation.parameters if each.content["in"] == "query"]
        known = {str(each["name"]) for each in queries}
        deep = tuple(f"{each['name']}[" for each in queries if each.get("style") == "deepObject")
        for name in dict.fromkeys(name for name, _ in pairs):
            if name not in known and not (deep and name.startswith(deep)):
                yield f"query {name}: {UNKNOWN} parameter"

    # Bodies

    def _old_body(self, operation: Operation, request: Request) -> Iterator[str]:
        described = next((each for each in operation.parameters if each.content["in"] == "body"), None)
        if described is None:
            form = [each for each in operation.parameters if each.content["in"] == "formData"]
            if form:
                yield from self._form(operation, request, form)
            elif request.body:
                yield "body: the description names none"
            return
        if not request.body:
            if described.content.get("required"):
                yield "body: it is required and missing"
            return
        consumes = operation.node.content.get("consumes") or operation.description.content.get("consumes") or []
        yield from self._media_type(request.headers, consumes)
        yield from self._json_body(operation.description, described.at("schema"), request.body)

    def _form(self, operation: Operation, request: Request, form: list[Node]) -> Iterator[str]:
        pairs = parse_qsl(request.body.decode("latin-1"), keep_blank_values=True)
        for parameter in form:
            texts = [value for name, value in pairs if name == parameter.content["name"]]
            where = f"form {parameter.content['name']}"
            schema, words = schema_of(operation.description, parameter)
            if not texts and parameter.content.get("required"):
                yield f"{where}: the required parameter is missing"
            elif texts and words.get("type") != "file":
                try:
                    value = value_of(operation.description, parameter, words, texts)
                except Unreadable as error:
                    yield f"{where}: it {error}"
                else:
                    yield from self._against(schema, value, where)

    def _body(self, operation: Operation, request: Request) -> Iterator[str]:
        description = operation.description
        described = description.follow(operation.node.at("requestBody"))
        if not described:
            if request.body:
                yield "body: the description names none"
            return
        if not request.body:
            if described.content.get("required"):
                yield "body: it is required and missing"
            return
        kinds = described.content.get("content") or {}
        yield from self._media_type(request.headers, list(kinds))
        kind = _best(kinds, header(request.headers, "content-type") or "")
        if kind and _is_json(kind):
            yield from self._json_body(description, described.at("content", kind, "schema"), request.body)
        elif kind == "application/x-www-form-urlencoded":
            value = dict(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True))
            yield from self.schema_problems(description, described.at("content", kind, "schema"), value)

    def _media_type(self, headers: Mapping[str, str], known: Sequence[str]) -> Iterator[str]:
        sent = header(headers, "content-type")
        if known and sent is None:
            yield f"header content-type: it is missing; the body may be {', '.join(known)}"
        elif known and _best(dict.fromkeys(known), sent or "") is None:
            yield f"header content-type: {sent!r} is none of {', '.join(known)}"

    def _json_body(self, description: Description, schema: Node, body: bytes) -> Iterator[str]:
        try:
            value = json.loads(body)
        except ValueError:
            yield f"body: it is not JSON: {body[:60]!r}"
            return
        if schema:
            yield from self.schema_problems(description, schema, value)

    def _answer(self, operation: Operation, status: int, headers: Mapping[str, str], body: bytes) -> Iterator[str]:
        description = operation.description
        answers = operation.node.at("responses")
        names = [name for name in (str(status), f"{str(status)[0]}XX", "default") if answers.at(name)]
        if not names:
            yield f"status: {status} is none of {', '.join(answers.content)}"
            return
        answer = description.follow(answers.at(names[0]))
        yield from self._answer_headers(description, answer, headers)
        if description.old:
            schema = answer.at("schema")
            kinds = operation.node.content.get("produces") or description.content.get("produces") or []
        else:
            kinds = list(answer.content.get("content") or {})
            kind = _best(dict.fromkeys(kinds), header(headers, "content-type") or "")
            schema = answer.at("content", kind or "", "schema")
        if not body:
            if schema or (kinds and not description.old):
                yield f"body: status {status} has one, and it is missing"
            return
        if not schema and not kinds:
            yield f"body: status {status} has none"
            return
        yield from self._media_type(headers, kinds)
        if _is_json(header(headers, "content-type") or "") and schema:
            yield from self._json_body(description, schema, body)

    def _answer_headers(self, description: Description, answer: Node, headers: Mapping[str, str]) -> Iterator[str]:
        for name in answer.content.get("headers") or ():
            described = description.follow(answer.at("headers", str(name)))
            text = header(headers, str(name))
            where = f"header {name}"
            if text is None:
                if described.content.get("required"):
                    yield f"{where}: the required header is missing"
                continue
            parameter = Node({"in": "header", "name": name, **described.content}, described.pointer)
            schema, words = schema_of(description, parameter)
            try:
                value = value_of(description, parameter, words, [text])
            except Unreadable as error:
                yield f"{where}: it {error}"
            else:
                yield from self._against(schema, value, where)

    # Schemas

    def _against(self, schema: Json, value: Any, where: str) -> Iterator[str]:
        name = json.dumps(schema, sort_keys=True)
        validator = self._validators.get(name)
        if validator is None:
            validator = OAS30Validator(dict(schema), registry=self._registry, format_checker=oas30_format_checker)
            self._validators[name] = validator
        for error in sorted(validator.iter_errors(value), key=lambda each: [str(step) for step in each.absolute_path]):
            place = where + _steps(error.absolute_path)
            yield f"{place}: {str(error.message)[:_DETAIL]}"


def _steps(path: Iterable[Any]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _best(known: Mapping[str, Any], sent: str) -> str | None:
    """Which of the media types a content type is; None for none."""
    kind = sent.partition(";")[0].strip().lower()
    for each in known:
        plain = each.partition(";")[0].strip().lower()
        if plain in (kind, "*/*") or (plain.endswith("/*") and kind.startswith(plain[:-1])):
            return each
    return None


def _is_json(kind: str) -> bool:
    plain = kind.partition(";")[0].strip().lower()
    return plain in ("*/*", "application/json") or plain.endswith("+json")
