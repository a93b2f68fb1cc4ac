"""From a request to what it says: parameters, body and key, checked before anything else looks at them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_origin
from urllib.parse import unquote

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from channelsync.web.api.problems import (
    BAD_REQUEST,
    INVALID,
    TOO_LARGE,
    TOO_SLOW,
    WRONG_TYPE,
    Kind,
    Problem,
    Wrong,
    bad_request,
    not_found,
)
from channelsync.web.api.values import ID_MAX, Said, no_text
from channelsync.web.body import BodyRefused, read_body

M = TypeVar("M", bound=Said)

BODY_MAX = 256 * 1024
DEPTH_MAX = 16
"""How deep a body may be nested; ours need four levels."""

CLOSE = {"connection": "close"}
"""Said where a body was not read to its end: the rest of it is still on its way."""

_SHOWN = 100
"""Characters of a name of the caller's own that an error repeats."""

_TOLD_MAX = 20
"""Things that are wrong with one request that its answer names."""

KEY_HEADER = "idempotency-key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_ID = re.compile(r"[1-9][0-9]{0,9}")

_BODY_KINDS: Mapping[int, Kind] = {413: TOO_LARGE, 408: TOO_SLOW, 415: WRONG_TYPE}


def read_parameters(request: Request, model: type[M]) -> M:
    """The parameters behind the question mark. Raises Problem: 400 for unknown or repeated ones, 422 for values."""
    fields = model.model_fields
    said: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name not in fields:
            known = ", ".join(sorted(fields)) or "none"
            raise bad_request(f"There is no parameter {name!r} here; there is {known}.")
        if get_origin(fields[name].annotation) is tuple:
            said[name] = (*said.get(name, ()), value)
        elif name in said:
            raise bad_request(f"The parameter {name!r} can be given once only.")
        else:
            said[name] = value
    try:
        return model.model_validate(said, strict=False)  # texts become what `values` says, and nothing else
    except ValidationError as error:
        raise invalid(error) from error


async def read_said(request: Request, model: type[M]) -> M:
    """The body. Raises Problem: 413 too large, 408 too slow, 415 no JSON, 400 not well formed, 422 its content."""
    try:
        raw = await read_body(request, BODY_MAX)
    except BodyRefused as refused:
        kind = _BODY_KINDS.get(refused.status, BAD_REQUEST)
        raise Problem(kind, f"{refused.message[:1].upper()}{refused.message[1:]}.", headers=CLOSE) from refused
    if not raw and not any(field.is_required() for field in model.model_fields.values()):
        return model()
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    if media.strip().lower() != "application/json" or parameters.strip().lower() not in ("", "charset=utf-8"):
        raise Problem(WRONG_TYPE, "Send the body as JSON in UTF-8, and say Content-Type: application/json.")
    check_json(raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise invalid(error) from error


def check_json(raw: bytes) -> None:
    """Raises Problem where a body is JSON that two readers could read differently, or none at all.

    Not taken: invalid UTF-8, a byte order mark, NaN and Infinity, numbers that no reader holds, a name twice in one
    object, halves of surrogate pairs, deep nesting.
    """
    try:
        orjson.loads(raw)
        value = json.loads(raw, object_pairs_hook=_each_name_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise bad_request(f"The body is not JSON as we read it: {error}.") from error
    if _depth(value) > DEPTH_MAX:
        raise bad_request(f"The body is nested deeper than {DEPTH_MAX} levels.")


def _each_name_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:_SHOWN]!r} stands twice in one object")
        found[name] = value
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _depth(value: Any) -> int:
    """How deep lists and objects are nested. Level by level, for a body may be nested deeper than we may call."""
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return depth


def read_key(request: Request) -> str:
    """The caller's key. Raises Problem: there is none, or one that is not."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        raise bad_request(
            "Send an Idempotency-Key, a new one for each request: with it, a request whose answer was lost may be "
            "repeated and is done once."
        )
    if not _KEY.fullmatch(key):
        raise bad_request("The Idempotency-Key needs 1 to 255 visible ASCII characters, such as a UUID.")
    return key


def read_names(request: Request) -> dict[str, str]:
    """What the address names, decoded. Raises Problem: 404, for nothing has such a name."""
    names = {name: unquote(str(value)) for name, value in request.path_params.items()}
    for name, value in names.items():
        if no_text(value) or (name == "id" and not (_ID.fullmatch(value) and int(value) <= ID_MAX)):
            raise not_found(f"{value!r} can be the {name} of nothing.")
    return names


def invalid(error: ValidationError) -> Problem:
    """Everything that is wrong with what was said; of a list with a wrong entry, the entry."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    around = {one["loc"][:end] for one in found for end in range(len(one["loc"]))}
    wrong = [_wrong(one) for one in found if one["loc"] not in around][:_TOLD_MAX]
    return Problem(INVALID, f"{wrong[0].at or 'the body'}: {wrong[0].why}.", errors=wrong)


def _wrong(one: ErrorDetails) -> Wrong:
    at = ".".join(str(part)[:_SHOWN] for part in one["loc"])
    if one["type"] == "extra_forbidden":
        return Wrong(at, "there is no such member here")
    return Wrong(at, one["msg"].removeprefix("Value error, "))
