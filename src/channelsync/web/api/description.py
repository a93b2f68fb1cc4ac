"""The OpenAPI 3.1 document, made from the endpoints: what is not in it does not exist, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from channelsync.sync.tokens import SCOPES
from channelsync.web.api import problems
from channelsync.web.api.endpoints import PREFIX, Endpoint
from channelsync.web.api.problems import Kind
from channelsync.web.api.reading import BODY_MAX, KEY_HEADER
from channelsync.web.api.values import ID_MAX, Said

_REF = "#/components/schemas/{model}"
_SCHEME = "token"

_ABOUT = """Positions, reservations, orders and the rest of channelsync, for programs.

Every request needs a token (`channelsync tokens create`). Changes are runs that name the token. An answer that
refuses is a problem document (RFC 9457). Lists come in pages: `next` is the cursor of the page behind."""

_ALWAYS = (
    problems.BAD_REQUEST,
    problems.NOT_AUTHENTICATED,
    problems.NOT_ALLOWED,
    problems.INVALID,
    problems.TOO_MANY,
    problems.UNAVAILABLE,
)
_WITH_BODY = (problems.TOO_SLOW, problems.TOO_LARGE, problems.WRONG_TYPE)


def describe(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document."""
    answers, schemas = _bodies(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, answers[endpoint])
    topics = list(dict.fromkeys(endpoint.topic for endpoint in endpoints))
    return {
        "openapi": "3.1.0",
        "info": {"title": "channelsync", "version": "1", "description": _ABOUT},
        "servers": [{"url": PREFIX}],
        "security": [{_SCHEME: []}],
        "tags": [{"name": topic} for topic in topics],
        "paths": paths,
        "components": {
            "securitySchemes": {_SCHEME: {"type": "http", "scheme": "bearer", "description": _scopes()}},
            "schemas": {**schemas, "Problem": _PROBLEM},
            "responses": {_name(kind): _problem(kind) for kind in problems.KINDS},
        },
    }


def written(document: Mapping[str, Any]) -> bytes:
    """The document as it is kept in a file: indented, in one order, so that a difference can be read."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def _scopes() -> str:
    known = ", ".join(SCOPES)
    return f"A token of `channelsync tokens create`. Its scope is one of {known}; each may do what those before it may."


def _bodies(endpoints: Sequence[Endpoint]) -> tuple[dict[Endpoint, Any], dict[str, Any]]:
    """The schema of every answer, and the definitions that they and the bodies of requests refer to."""
    answers, given = TypeAdapter.json_schemas(
        [(endpoint.name, "serialization", endpoint.adapter) for endpoint in endpoints], ref_template=_REF
    )
    _, taken = models_json_schema(
        [(endpoint.said, "validation") for endpoint in endpoints if endpoint.method == "POST"], ref_template=_REF
    )
    schemas = {endpoint: answers[endpoint.name, "serialization"] for endpoint in endpoints}
    return schemas, {**given.get("$defs", {}), **taken.get("$defs", {})}


def _operation(endpoint: Endpoint, answer: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.topic],
        "summary": endpoint.summary,
        "description": f"{endpoint.description}\n\nScope: {endpoint.scope}.".strip(),
        "parameters": [*_names(endpoint), *_key(endpoint)],
        "responses": _responses(endpoint, answer),
    }
    if endpoint.method == "GET":
        operation["parameters"] += _parameters(endpoint.said)
    else:
        media: dict[str, Any] = {"schema": {"$ref": _REF.format(model=endpoint.said.__name__)}}
        if endpoint.example:
            media["example"] = dict(endpoint.example)
        operation["requestBody"] = {
            "required": any(field.is_required() for field in endpoint.said.model_fields.values()),
            "description": f"At most {BODY_MAX // 1024} KiB.",
            "content": {"application/json": media},
        }
    return operation


def _names(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What the path names. A slash in a name is sent as %2F."""
    names = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
    number = {"type": "integer", "minimum": 1, "maximum": ID_MAX}
    text = {"type": "string", "minLength": 1, "maxLength": 200}
    return [
        {"name": name, "in": "path", "required": True, "schema": number if name == "id" else text} for name in names
    ]


def _key(endpoint: Endpoint) -> list[dict[str, Any]]:
    if not endpoint.keyed:
        return []
    schema = {"type": "string", "pattern": "^[!-~]{1,255}$"}
    about = (
        "Your own key of this request, such as a UUID. The same request again under it is answered alike for 24 hours."
    )
    return [{"name": KEY_HEADER, "in": "header", "required": True, "schema": schema, "description": about}]


def _parameters(model: type[Said]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template=_REF)
    return [
        {"name": name, "in": "query", "required": False, "schema": _bare(one)}
        for name, one in schema.get("properties", {}).items()
    ]


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out or has a value: there is no null in it."""
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    bare = {**schema, **kinds[0]} if len(kinds) == 1 else schema
    return {name: value for name, value in bare.items() if name not in ("anyOf", "title", "default") or bare is schema}


def _responses(endpoint: Endpoint, answer: Any) -> dict[str, Any]:
    done = {"description": "Done", "content": {"application/json": {"schema": answer}}}
    answers: dict[str, Any] = {"200": done}
    if endpoint.creates:
        answers["201"] = {**done, "description": "Done, and it was not so before"}
    if endpoint.keyed:
        del answers["200"]
    kinds: list[Kind] = [*_ALWAYS, *(_WITH_BODY if endpoint.method == "POST" else ())]
    kinds += [problems.NOT_FOUND] if endpoint.misses or "{" in endpoint.path else []
    kinds += [problems.REFUSED] if endpoint.refuses else []
    for kind in kinds:
        answers[str(kind.status)] = {"$ref": f"#/components/responses/{_name(kind)}"}
    return dict(sorted(answers.items()))


def _name(kind: Kind) -> str:
    return "".join(word.capitalize() for word in kind.name.split("-"))


def _problem(kind: Kind) -> dict[str, Any]:
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}
    return {"description": kind.title, "content": content}


_WRONG = {
    "type": "object",
    "properties": {"at": {"type": "string"}, "why": {"type": "string"}},
    "required": ["at", "why"],
}
_SHORT = {
    "type": "object",
    "properties": {
        "what": {"type": "string"},
        "wanted": {"type": "integer"},
        "available": {"type": "integer"},
    },
    "required": ["what", "wanted", "available"],
}
_PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457). detail: what happened, to which SKU or order, and what to do.",
    "properties": {
        "type": {"type": "string", "enum": sorted({f"{problems.TYPE_PREFIX}{kind.name}" for kind in problems.KINDS})},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": _WRONG, "description": "Everything that is wrong with what was said."},
        "short": {**_SHORT, "description": "How many were wanted and how many there are, of a short reservation."},
    },
    "required": ["type", "title", "status", "detail"],
}
