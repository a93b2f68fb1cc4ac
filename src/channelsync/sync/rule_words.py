"""What rules say, in the words in which it is typed."""

from __future__ import annotations

import orjson

from channelsync.domain.rules import RuleValues
from channelsync.store.rules import plain_values


def typed_values(values: RuleValues) -> list[str]:
    """What a rule says, each key as `channelsync rules set` takes it: buffer=2, do_not_touch=true."""
    return [f"{name}={_typed(value)}" for name, value in plain_values(values).items()]


def _typed(value: object) -> str:
    match value:
        case {"fixed": units}:
            return str(units)
        case {"percent": percent}:
            return f"{percent}%"
        case {"p": p, "at_most": None}:
            return f"{{ p = {p} }}"
        case {"at_most": at_most, **others} if not others:
            return _toml(at_most or at_most is None)
        case dict():
            return f"{{ {', '.join(f'{name} = {_toml(one)}' for name, one in value.items() if one is not None)} }}"
        case _:
            return _toml(value)


def _toml(value: object) -> str:
    return orjson.dumps(value).decode()
