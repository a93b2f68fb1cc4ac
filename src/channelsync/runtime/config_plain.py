"""Settings in plain words, as the file would write them: for `config check` and for the example file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import singledispatch
from typing import Any

from pydantic import BaseModel, SecretStr

from channelsync.domain.rules import CountIncoming, Fixed, Percent
from channelsync.runtime.config_rules import ComputedBuffer
from channelsync.runtime.config_values import format_duration
from channelsync.sdk.redaction import HIDDEN

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@singledispatch
def plain(value: Any) -> Any:
    """The value as text, number, truth value, list or table, with secrets hidden."""
    return value if value is None or isinstance(value, bool | int | float) else str(value)


@plain.register
def _(value: SecretStr) -> str:
    return HIDDEN


@plain.register
def _(value: timedelta) -> str:
    return format_duration(value)


@plain.register
def _(value: Fixed) -> int:
    return value.units


@plain.register
def _(value: Percent) -> str:
    return f"{value.percent}%"


@plain.register
def _(value: CountIncoming) -> bool | int:
    return True if value.at_most is None else value.at_most


@plain.register
def _(value: BaseModel) -> Any:
    fields = {name: plain(getattr(value, name)) for name in type(value).model_fields}
    return {name: held for name, held in fields.items() if held is not None}


@plain.register
def _(value: ComputedBuffer) -> Any:
    if value == ComputedBuffer():
        return "computed"
    return {name: held for name, held in (("p", value.p), ("at_most", value.at_most)) if held is not None}


@plain.register(tuple)
@plain.register(list)
@plain.register(frozenset)
@plain.register(set)
def _(value: Any) -> list[Any]:
    return [plain(one) for one in value]


@plain.register(Mapping)
def _(value: Any) -> dict[str, Any]:
    return {str(key): plain(held) for key, held in value.items()}


def to_toml(value: Any) -> str:
    """A plain value as TOML writes it, on one line. None has no form in TOML. Raises TypeError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:_}" if isinstance(value, int) and value >= 10_000 else repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, dict):
        pairs = (f"{_key(key)} = {to_toml(held)}" for key, held in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    raise TypeError(f"TOML cannot say {value!r}")


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False)
