"""Settings from outside the file: environment, secret files and the command line, in rising order of precedence.

    secret files     /run/secrets/channelsync_database__url
                     CHANNELSYNC_DATABASE__URL_FILE=/path/to/file
    environment      CHANNELSYNC_DATABASE__URL=...
    command line     --set database.url=...

An entry of an array is named by its name: CHANNELSYNC_CHANNEL__SHOP_UK__MODE=observe. Capitals and the signs
- and _ do not matter. A value for a setting that is no text is read as TOML would: 30, true, ["a", "b"].
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from channelsync.runtime.config_annotations import (
    annotation_of,
    entry_models_of,
    is_table,
    keys_of,
    may_hide,
    models_of,
    takes_only_text,
)
from channelsync.runtime.config_draft import Draft, value_at
from channelsync.runtime.config_errors import Problem, nearest
from channelsync.runtime.config_file import KeyPath
from channelsync.runtime.secrets import SecretMissing, read_secret_file

PREFIX = "CHANNELSYNC_"
OTHER_VARIABLES = frozenset({"CHANNELSYNC_CONFIG"})
"""Variables with our prefix that are no settings."""

SettingsModels = Mapping[int, type[BaseModel]]
"""The model of each channel's [channel.settings], by the channel's number from 0, as far as it is known."""


class Rank(IntEnum):
    """Which source wins where two name one setting: the higher one."""

    SECRETS_FOLDER = 0
    SECRET_VARIABLE = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


@dataclass(frozen=True, slots=True)
class Assignment:
    """A setting from outside the file, not yet looked up.

    named: the whole name as the seller wrote it. steps: its parts, split at `joint`. head: what stands before.
    text: the value; None when it stands in the file `secret_file`.
    """

    rank: Rank
    origin: str
    named: str
    head: str
    joint: str
    steps: tuple[str, ...]
    text: str | None = None
    secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that was found: its place in the tree, and what it takes."""

    path: KeyPath
    annotation: Any


class UnknownSetting(Exception):
    """No setting has that name; the message says what was probably meant."""


def from_secrets_folder(folder: Path) -> Iterator[Assignment]:
    """The files of a folder of mounted secrets whose names begin with our prefix, in any case."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            name = path.name
            if name.upper().startswith(PREFIX) and "__" in name and path.is_file():
                steps = tuple(name[len(PREFIX) :].split("__"))
                origin = f"secret file {path}"
                yield Assignment(Rank.SECRETS_FOLDER, origin, name, name[: len(PREFIX)], "__", steps, secret_file=path)


def from_environment(environ: Mapping[str, str]) -> Iterator[Assignment]:
    """The variables with our prefix that name a table and a key, sorted.

    One without a double underscore is none of ours: container platforms set such names for every service.
    """
    for name in sorted(environ):
        if name.startswith(PREFIX) and "__" in name and name not in OTHER_VARIABLES:
            steps = tuple(name[len(PREFIX) :].split("__"))
            origin = f"environment variable {name}"
            yield Assignment(Rank.ENVIRONMENT, origin, name, PREFIX, "__", steps, text=environ[name])


def from_command_line(overrides: Mapping[str, str]) -> Iterator[Assignment]:
    """The --set options: {"database.url": "..."}."""
    for name, text in overrides.items():
        steps = tuple(name.split("."))
        yield Assignment(Rank.COMMAND_LINE, f"command line --set {name}", name, "", ".", steps, text=text)


def assign_all(draft: Draft, assignments: Iterable[Assignment], root: type[BaseModel], known: SettingsModels) -> None:
    """Puts every assignment into the draft, by rank, and notes those that name no setting."""
    found: list[tuple[Assignment, Setting]] = []
    for one in assignments:
        try:
            found.append(_looked_up(one, draft, root, known))
        except UnknownSetting as error:
            draft.problems.append(Problem(what=f"{one.named} names no setting", where=one.origin, todo=str(error)))
    for one, setting in sorted(found, key=lambda pair: pair[0].rank):
        draft.outside[setting.path] = one.origin
        try:
            text = one.text if one.secret_file is None else read_secret_file(one.secret_file)
        except SecretMissing as error:
            draft.add(setting.path, error.what, error.todo)
            continue
        draft.secrets.pop(setting.path, None)
        if one.secret_file is not None and text and may_hide(setting.annotation):
            draft.secrets[setting.path] = text
        _put(draft.values, setting.path, _parsed(text or "", setting.annotation))


def _looked_up(
    one: Assignment, draft: Draft, root: type[BaseModel], known: SettingsModels
) -> tuple[Assignment, Setting]:
    """NAME_FILE names a file that holds NAME, unless there is a setting called NAME_FILE. Raises UnknownSetting."""
    try:
        return one, _located(one, draft, root, known)
    except UnknownSetting:
        last = one.steps[-1]
        if one.rank is not Rank.ENVIRONMENT or not last.endswith("_FILE"):
            raise
        path = one.text or ""
        in_file = Assignment(
            Rank.SECRET_VARIABLE,
            f"secret file {path}, named by {one.named}",
            one.named,
            one.head,
            one.joint,
            (*one.steps[:-1], last.removesuffix("_FILE")),
            secret_file=Path(path),
        )
        return in_file, _located(in_file, draft, root, known)


def _located(one: Assignment, draft: Draft, root: type[BaseModel], known: SettingsModels) -> Setting:
    """Walks down the tables by name. Raises UnknownSetting."""
    path: KeyPath = ()
    model: type[BaseModel] = root
    annotation: Any = root
    steps = list(enumerate(one.steps))
    while steps:
        at, step = steps.pop(0)
        key = _chosen(one, at, step, keys_of(model))
        path, annotation = (*path, key), annotation_of(model, key)
        entries = entry_models_of(annotation)
        if entries:
            if not steps:
                raise UnknownSetting(f"it names a table; add the name of an entry, then a key, after {one.joint!r}")
            at, step = steps.pop(0)
            names = _names(value_at(path, draft.values))
            path = (*path, names[_chosen(one, at, step, names)])
            annotation = entries[0]
        elif key == "settings" and isinstance(path[-2], int):
            annotation = known.get(path[-2], BaseModel)
        if not is_table(annotation):
            break
        model = models_of(annotation)[0]
    if steps or is_table(annotation):
        raise UnknownSetting(f"it names {'more than a key' if steps else 'a table'}; end it with a key")
    return Setting(path, annotation)


def _names(entries: Any) -> dict[str, int]:
    """The entries of an array by name, numbered from 0."""
    if not isinstance(entries, list):
        return {}
    return {
        entry["name"]: number
        for number, entry in enumerate(entries)
        if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    }


def _chosen(one: Assignment, at: int, step: str, names: Iterable[str]) -> str:
    """The name that a step means. Raises UnknownSetting, naming the nearest."""
    by_form: dict[str, list[str]] = {}
    for name in names:
        by_form.setdefault(_form(name), []).append(name)
    meant = by_form.get(_form(step), [])
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise UnknownSetting(f"it may mean {' or '.join(map(repr, meant))}; set it in the file")
    near = nearest(_form(step), by_form)
    if near is None:
        known = ", ".join(name for group in by_form.values() for name in group)
        raise UnknownSetting(f"{step!r} is unknown; known are {known}" if known else "there is no such entry")
    spelled = by_form[near][0] if one.joint == "." else near
    raise UnknownSetting(f"did you mean {one.head}{one.joint.join((*one.steps[:at], spelled, *one.steps[at + 1 :]))}?")


def _form(name: str) -> str:
    """Names that environment variables cannot tell apart have one form."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _parsed(text: str, annotation: Any) -> Any:
    """The text where the setting takes text; else what TOML makes of it, and the text when that is no value."""
    if takes_only_text(annotation):
        return text
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if list(parsed) == ["value"] else text


def _put(values: Any, path: KeyPath, value: Any) -> None:
    """Sets one value of the tree; tables on the way are made."""
    for part in path[:-1]:
        if isinstance(values, list):
            values = values[part]  # type: ignore[index]
        else:
            if not isinstance(values.get(part), dict | list):
                values[part] = {}
            values = values[part]
    values[path[-1]] = value


def unheard(environ: Mapping[str, str], root: type[BaseModel]) -> Iterator[Problem]:
    """Variables that would be settings with a second underscore: CHANNELSYNC_DATABASE_URL."""
    meant = {}
    for table in keys_of(root):
        for model in models_of(annotation_of(root, table)):
            for key in keys_of(model):
                name = f"{PREFIX}{_form(table)}__{_form(key)}"
                meant[name.replace("__", "_")] = name
    for name in sorted(environ):
        right = meant.get(name.removesuffix("_FILE"))
        if right is not None:
            yield Problem(
                what=f"{name} names no setting",
                where=f"environment variable {name}",
                todo=f"did you mean {right}{name[len(right) - 1 :]}? Table and key are joined by two underscores",
            )
