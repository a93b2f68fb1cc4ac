"""Loads the configuration: `load(path, environ)`. The only place that reads the process's environment.

Of several sources the first that says something wins: command line, environment, secret files, the TOML file,
the default. Everything that is wrong is reported at once, by file and line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from channelsync.runtime.config_annotations import annotation_of
from channelsync.runtime.config_checks import Parts, check
from channelsync.runtime.config_draft import Draft, dotted
from channelsync.runtime.config_errors import ConfigInvalid, Problem
from channelsync.runtime.config_file import FileUnreadable, KeyPath, TomlFile, read_toml
from channelsync.runtime.config_models import Config
from channelsync.runtime.config_plain import plain
from channelsync.runtime.config_rules import ComputedBuffer
from channelsync.runtime.config_sources import (
    SettingsModels,
    assign_all,
    from_command_line,
    from_environment,
    from_secrets_folder,
    unheard,
)
from channelsync.runtime.config_validate import Sections, drop_misshapen, settings_models, validate
from channelsync.runtime.secrets import (
    IN_THE_VAULT,
    PLACEHOLDER,
    HiddenTexts,
    References,
    found_in,
    url_password,
    without_password,
)
from channelsync.sdk.discovery import Catalogue, ConnectorProblem, installed
from channelsync.sdk.redaction import HIDDEN
from channelsync.sync.vault import Place, StoredSettings

DEFAULT_PATH = Path("config.toml")
PATH_VARIABLE = "CHANNELSYNC_CONFIG"
SECRETS_FOLDER = Path("/run/secrets")
"""Where container engines mount secrets."""

NOTHING: Mapping[str, str] = MappingProxyType({})

_IN_VAULT = ("hook", "feed")
"""Tables besides [channel.settings] whose secrets may be in the vault."""


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it holds: its full name, its value in plain words without secrets, where it came from."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration.

    values: every setting, in the order of the models, fit to be shown.
    origins: where each value came from, by full name ("channel.shop-uk.mode": "config.toml line 14"; "default").
        Tables of an array have one too: "channel.shop-uk", "rule.2"; and what a list took from elsewhere:
        "secrets.keys.1".
    secrets: the texts that no log line may contain; those of the vault join them when they come up.
    stored: by channel, its settings where some of them are in the vault.
    wanted: by hook and feed ("hook wms"), where its settings take a secret from the vault, and its name there.
    """

    config: Config
    path: Path
    values: tuple[Value, ...]
    origins: Mapping[str, str]
    secrets: HiddenTexts = field(repr=False)
    stored: Mapping[str, StoredSettings] = field(default_factory=dict, repr=False)
    wanted: Mapping[str, Mapping[Place, str]] = field(default_factory=dict)


def environment() -> Mapping[str, str]:
    """The process's environment. Everyone else is handed it."""
    return os.environ  # noqa: TID251 - the one place that reads it


def path_from(environ: Mapping[str, str]) -> Path:
    """The file that is read when the command line names none."""
    return Path(environ.get(PATH_VARIABLE) or DEFAULT_PATH)


def load(
    path: Path,
    environ: Mapping[str, str],
    *,
    overrides: Mapping[str, str] = NOTHING,
    secrets_folder: Path = SECRETS_FOLDER,
    catalogue: Catalogue | None = None,
) -> Loaded:
    """Reads, merges and checks. Raises ConfigInvalid with everything that is wrong.

    overrides: settings of the command line by full name. catalogue: None means the installed connectors.
    """
    file = _read(path)
    try:
        connectors = catalogue if catalogue is not None else installed()
    except ConnectorProblem as error:
        raise ConfigInvalid([Problem(what=str(error), where="", todo="then try again")]) from error
    draft = Draft(file, deepcopy(file.values))
    drop_misshapen(draft)
    draft.problems.extend(unheard(environ, Config))
    assignments = (
        *from_secrets_folder(secrets_folder),
        *from_environment(environ),
        *from_command_line(overrides),
    )
    assign_all(draft, assignments, Config, _known_settings(draft, connectors))
    models = settings_models(draft, connectors)
    _resolve(draft, environ, models)
    sections = validate(draft, models)
    check(draft, sections.parts)
    if draft.problems:
        raise ConfigInvalid(draft.problems)
    return _loaded(draft, _assembled(sections, path), models)


def _read(path: Path) -> TomlFile:
    try:
        return read_toml(path)
    except FileUnreadable as error:
        where = f"{path.name} line {error.line}" if error.line is not None else ""
        raise ConfigInvalid([Problem(what=error.what, where=where, todo=error.todo, line=error.line)]) from error


def _known_settings(draft: Draft, catalogue: Catalogue) -> SettingsModels:
    """The settings models as the file names connectors; faults are noted later, when all sources are merged."""
    return settings_models(Draft(draft.file, draft.values), catalogue)


def _resolve(draft: Draft, environ: Mapping[str, str], models: SettingsModels) -> None:
    """Reads what `{ env }` and `{ file }` name, everywhere, and notes what `{ stored }` names where it may stand."""
    references = References(environ, draft.file.path.parent)
    for key in draft.values:
        references.vault = key in _IN_VAULT
        draft.values[key] = references.resolve(draft.values[key], annotation_of(Config, key), (key,))
    references.vault = True
    for number, channel in enumerate(draft.values.get("channel", [])):
        if number in models and isinstance(channel.get("settings"), dict):
            path: KeyPath = ("channel", number, "settings")
            channel["settings"] = references.resolve(channel["settings"], models[number], path)
    for path, missing in references.missing:
        draft.add(path, f"{missing.what} ({path[-1]} in {draft.table(path[:-1])})", missing.todo)
    draft.references.update(references.origins)
    draft.secrets.update(references.secrets)
    draft.stored.update(references.stored)


def _assembled(sections: Sections, path: Path) -> Config:
    """The sound sections as one; nothing is validated anew."""
    parts: Parts = sections.parts
    config = Config(
        **sections.groups,
        locations=tuple(one for _, one in parts.location),
        channels=tuple(one for _, one in parts.channel),
        rules=tuple(one for _, one in parts.rule),
        bundles=tuple(one for _, one in parts.bundle),
        sku_classes=tuple(one for _, one in parts.sku_class),
        feeds=tuple(one for _, one in parts.feed),
        hooks=tuple(one for _, one in parts.hook),
    )
    url = _beside(config.database.url, path)
    return config.model_copy(update={"database": config.database.model_copy(update={"url": url})})


def _beside(url: str, path: Path) -> str:
    """A relative SQLite file lies beside the configuration file, wherever the command is started."""
    scheme, _, rest = url.partition(":///")
    name, mark, query = rest.partition("?")
    if scheme != "sqlite" or name == ":memory:":
        return url
    return f"sqlite:///{(path.parent / name).resolve()}{mark}{query}"


def _loaded(draft: Draft, config: Config, models: SettingsModels) -> Loaded:
    values = tuple(
        Value(dotted(path, draft.values), _shown(path, value, draft), draft.origin(path))
        for path, value in _leaves(config, ())
    )
    tables = {
        dotted(path, draft.values): draft.place(path)
        for path in draft.file.lines
        if isinstance(path[-1], int) or path[-1] == "rules"
    }
    listed = {dotted(path, draft.values): draft.origin(path) for path in draft.references if isinstance(path[-1], int)}
    return Loaded(
        config=config,
        path=draft.file.path,
        values=values,
        origins=MappingProxyType({**tables, **listed, **{one.key: one.origin for one in values}}),
        secrets=HiddenTexts({*found_in(config), *draft.secrets.values()} - {PLACEHOLDER}),
        stored=MappingProxyType(_stored_settings(draft, models)),
        wanted=MappingProxyType(_wanted(draft)),
    )


def _stored_settings(draft: Draft, models: SettingsModels) -> dict[str, StoredSettings]:
    """By channel, the settings of those that take some of them from the vault."""
    found = {}
    for number, channel in enumerate(draft.values.get("channel", [])):
        above: KeyPath = ("channel", number, "settings")
        wanted = {path[3:]: name for path, name in draft.stored.items() if path[:3] == above}
        if wanted:
            found[channel["name"]] = StoredSettings(
                model=models[number], values=channel["settings"], wanted=MappingProxyType(wanted)
            )
    return found


def _wanted(draft: Draft) -> dict[str, Mapping[Place, str]]:
    """By hook and feed, where its settings take a secret from the vault, and its name there."""
    found: dict[str, dict[Place, str]] = {}
    for (kind, *place), name in draft.stored.items():
        if kind in _IN_VAULT:
            number, *setting = place
            found.setdefault(f"{kind} {draft.values[str(kind)][number]['name']}", {})[tuple(setting)] = name
    return dict(found)


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Every setting below a table, under the names that the file uses."""
    if isinstance(value, BaseModel) and not isinstance(value, ComputedBuffer):
        for name, info in type(value).model_fields.items():
            yield from _leaves(getattr(value, name), (*path, info.alias or name))
    elif isinstance(value, tuple | list) and any(isinstance(one, BaseModel) for one in value):
        for number, one in enumerate(value):
            yield from _leaves(one, (*path, number))
    elif value != () or len(path) > 1:
        yield path, value


def _shown(path: KeyPath, value: Any, draft: Draft) -> Any:
    """The value in plain words. What came from a secret file or a reference is hidden, save for a URL's rest."""
    if isinstance(value, str) and url_password(value):
        return without_password(value)
    if path in draft.secrets and path != ("database", "url"):
        return HIDDEN
    if path in draft.stored:
        return IN_THE_VAULT
    shown = plain(value)
    if isinstance(shown, list):
        return [IN_THE_VAULT if (*path, at) in draft.stored else one for at, one in enumerate(shown)]
    if isinstance(shown, dict):
        return {key: IN_THE_VAULT if (*path, key) in draft.stored else one for key, one in shown.items()}
    return shown
