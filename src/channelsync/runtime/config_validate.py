"""Each table of a draft against its model, so that a fault in one hides no fault in another."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from channelsync.runtime.config_annotations import (
    annotation_of,
    entry_models_of,
    is_secret,
    keys_of,
    models_of,
    takes_text,
    walk,
)
from channelsync.runtime.config_checks import Parts
from channelsync.runtime.config_draft import Draft, dotted, has
from channelsync.runtime.config_errors import nearest, suggestion
from channelsync.runtime.config_file import KeyPath
from channelsync.runtime.config_models import Config, Settings
from channelsync.runtime.config_sources import SettingsModels
from channelsync.sdk.discovery import Catalogue, ConnectorProblem

_IN_OUR_WORDS = {
    "bool_type": "should be true or false",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "string_type": "should be text, in quotes",
    "tuple_type": "should be an array: [ ... ]",
    "list_type": "should be an array: [ ... ]",
    "dict_type": 'should be a table: { "key" = "value" }',
    "model_type": "should be a table: { key = value }",
}
"""What a value should be, by pydantic's name for the fault; others say it well enough themselves."""

_LONGEST_SHOWN = 60
"""Characters of a wrong value that a message repeats."""


@dataclass(slots=True)
class Sections:
    """What is sound: groups by key, entries of arrays with their numbers."""

    groups: dict[str, BaseModel] = field(default_factory=dict)
    parts: Parts = field(default_factory=Parts)


def drop_misshapen(draft: Draft) -> None:
    """Notes and takes out top-level keys that are unknown, or that are a table where an array belongs."""
    for key in list(draft.values):
        value = draft.values[key]
        annotation = annotation_of(Config, key)
        if annotation is None:
            draft.add((key,), f"unknown table or key {key!r}", suggestion(key, keys_of(Config)))
        elif entry_models_of(annotation):
            if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
                continue
            draft.add((key,), f"{key!r} is not an array of tables", f"write [[{key}]] above each entry")
        elif isinstance(value, dict):
            continue
        else:
            draft.add((key,), f"{key!r} is not a table", f"write [{key}] once, and its keys below it")
        del draft.values[key]


def settings_models(draft: Draft, catalogue: Catalogue) -> SettingsModels:
    """The model of each channel's settings. Notes connectors that are unknown or cannot be used."""
    models: dict[int, type[BaseModel]] = {}
    for number, channel in enumerate(draft.values.get("channel", [])):
        name = channel.get("connector")
        path = ("channel", number, "connector")
        if not isinstance(name, str):
            continue
        if name not in catalogue.names:
            known = suggestion(name, catalogue.names)
            draft.add(path, f"unknown connector {name!r} in {draft.table(path[:-1])}", known)
            continue
        try:
            models[number] = catalogue.connector(name).settings
        except ConnectorProblem as error:
            what, _, todo = str(error).rpartition("; ")
            draft.add(path, what, todo)
    return models


def validate(draft: Draft, models: SettingsModels) -> Sections:
    """Validates every table. Faults are noted in the draft; what is left out of the answer has one."""
    sections = Sections()
    for key in keys_of(Config):
        annotation = annotation_of(Config, key)
        entries = entry_models_of(annotation)
        if not entries:
            group = _validated(draft, (key,), models_of(annotation)[0], draft.values.get(key, {}))
            if group is not None:
                sections.groups[key] = group
            continue
        sound = getattr(sections.parts, key)
        for number, entry in enumerate(draft.values.get(key, [])):
            values = _with_settings(draft, number, entry, models) if key == "channel" else entry
            one = _validated(draft, (key, number), entries[0], values)
            if one is not None:
                sound.append((number, one))
    return sections


def _with_settings(draft: Draft, number: int, entry: Mapping[str, Any], models: SettingsModels) -> dict[str, Any]:
    """The channel with its settings validated by the connector; empty ones stand in for unsound ones."""
    path: KeyPath = ("channel", number, "settings")
    settings = entry.get("settings", {})
    validated: BaseModel | None = None
    if not isinstance(settings, dict):
        draft.add(path, f"'settings' of {draft.table(path[:-1])} is not a table", "write [channel.settings]")
    elif number in models:
        validated = _validated(draft, path, models[number], settings)
    return {**entry, "settings": validated or Settings()}


def _validated(draft: Draft, path: KeyPath, model: type[BaseModel], values: Mapping[str, Any]) -> BaseModel | None:
    """None when there is a fault. A missing secret was noted already; what follows from it is not told."""
    told = {problem.key for problem in draft.problems}
    try:
        return model.model_validate(values, extra="forbid")
    except ValidationError as error:
        errors = error.errors(include_url=False)
        for one in errors:
            if not _follows(one, errors):
                _note(draft, path, model, values, one, told)
        return None


def _follows(error: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]) -> bool:
    """True for an array that is too short only because its entries are wrong, which is told for each of them."""
    place = error["loc"]
    return error["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in errors
    )


def _note(
    draft: Draft, base: KeyPath, model: type[BaseModel], values: Any, error: Mapping[str, Any], told: set[str]
) -> None:
    """Turns one error of pydantic into a sentence with a place."""
    below = _place_in(values, error["loc"], is_missing=error["type"] == "missing")
    path = (*base, *below)
    if dotted(path, draft.values) in told:
        return
    is_entry = isinstance(path[-1], int)
    table = draft.table(path[: -2 if is_entry else -1] if below else path)
    key = str(path[-1])
    parent, annotation = walk(model, below)
    if error["type"] == "extra_forbidden":
        draft.add(path, f"unknown key {key!r} in {table}", _meant(key, parent, draft, path[:-1]))
    elif error["type"] == "missing":
        draft.add(path, f"{table} has no key {key!r}", "add it")
    elif not below:
        draft.add(path, f"{table} is not right", _todo(error, None))
    else:
        shown = _shown(draft, path, error.get("input"), annotation)
        subject = f"entry {path[-1] + 1} of {path[-2]!r}" if isinstance(path[-1], int) else repr(key)
        draft.add(path, f"{subject} in {table} is {shown or 'not right'}", _todo(error, annotation))


def _meant(key: str, parent: type[BaseModel] | None, draft: Draft, table: KeyPath) -> str:
    """The nearest key of the table, else of a table inside it, else all keys of the table."""
    known = keys_of(parent) if parent is not None else ()
    for inner in known if nearest(key, known) is None else ():
        for model in models_of(annotation_of(parent or BaseModel, inner)):
            near = nearest(key, keys_of(model))
            if near is not None:
                return f"did you mean {near!r} in {draft.table((*table, inner)).partition(' of ')[0]}?"
    return suggestion(key, known)


def _place_in(values: Any, location: Sequence[str | int], *, is_missing: bool) -> KeyPath:
    """The part of pydantic's location that stands in the file; the rest names alternatives of a type."""
    path: KeyPath = ()
    for at, part in enumerate(location):
        if has(values, part):
            values = values[part]
        elif not (is_missing and at == len(location) - 1):
            break
        path = (*path, part)
    return path


def _shown(draft: Draft, path: KeyPath, value: Any, annotation: Any) -> str | None:
    """The wrong value as TOML writes it; None when it may be a secret, came from outside, or is long."""
    if draft.from_outside(path) or path not in draft.file.lines or path in draft.references:
        return None
    if is_secret(annotation):
        return None
    if not isinstance(value, str | int | float | bool):
        return None
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else None


def _todo(error: Mapping[str, Any], annotation: Any) -> str:
    message = str(error["msg"])
    given = error.get("input")
    if isinstance(given, dict) and takes_text(annotation):
        return 'should be text, { env = "NAME" } or { file = "PATH" }'
    if error["type"] == "literal_error":
        expected = str(error["ctx"]["expected"])
        near = nearest(str(given), re.findall(r"'([^']*)'", expected))
        return f"should be {expected}" + (f"; did you mean {near!r}?" if near else "")
    if error["type"] == "too_short":
        return f"should have {error['ctx']['min_length']} or more"
    if error["type"] in _IN_OUR_WORDS:
        return _IN_OUR_WORDS[error["type"]]
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]
