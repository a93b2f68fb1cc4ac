"""How PHP and WordPress read and write what goes over the wire."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import quote, unquote_plus

QueryValue = str | dict[str, str]
"""A parameter as `$_GET` holds it: text, or (`name[]=`, `name[key]=`) an array by key."""


def parse_query(raw: bytes) -> dict[str, QueryValue]:
    """`parse_str`: the last one of a repeated name wins, `name[]` counts up from 0."""
    found: dict[str, QueryValue] = {}
    for pair in raw.decode("latin-1").split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        name, text = _decoded(name), _decoded(value)
        match = re.fullmatch(r"([^\[]+)\[([^\]]*)\].*", name)
        if match is None:
            found[name] = text
            continue
        base, key = match.groups()
        before = found.get(base)
        array: dict[str, str] = before if isinstance(before, dict) else {}
        array[key or str(len(array))] = text
        found[base] = array
    return found


def _decoded(text: str) -> str:
    return unquote_plus(text.encode("latin-1").decode("utf-8", "replace"))


def raw_url_encode(text: str) -> str:
    """`wc_rest_urlencode_rfc3986`."""
    return quote(text, safe="-_.~")


def intval(value: Any) -> int:
    """PHP's `(int)`: leading digits of a text count, everything else is 0; fractions are cut off."""
    if isinstance(value, bool | int | float):
        return int(value) if math.isfinite(value) else 0
    match = re.match(r"\s*[+-]?\d+", value) if isinstance(value, str) else None
    return int(match.group()) if match else 0


def is_integer(value: Any) -> bool:
    """WordPress's `rest_is_integer`: also `"7"` and `7.0`, but no boolean."""
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


_TRUE = ("true", "1", 1, True)
_FALSE = ("false", "0", "", 0, False)


def boolean(value: Any) -> bool | None:
    """WordPress's reading of a boolean; None when it is none."""
    folded = value.lower() if isinstance(value, str) else value
    if isinstance(folded, float | dict | list) or folded is None:
        return None
    if folded in _TRUE:
        return True
    return False if folded in _FALSE else None


def number(value: float) -> int | float:
    """A float as `json_encode` writes it: without a fraction where there is none."""
    return int(value) if float(value).is_integer() else value


def format_decimal(value: Any) -> str:
    """`wc_format_decimal`: a number as text; what is none becomes blank."""
    text = str(value).strip()
    return text if re.fullmatch(r"-?\d{1,12}(\.\d{1,6})?", text) else ""


def json_encode(value: Any) -> bytes:
    """`wp_json_encode`: ASCII only, slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()
