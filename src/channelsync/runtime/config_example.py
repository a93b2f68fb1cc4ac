"""The documented configuration file, written from the models: config.example.toml and what `init` writes.

Lines that begin with `##` explain. A commented-out value is the default. Both come from the code, so neither can
say something else than the code does.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from channelsync.runtime.config_annotations import entry_models_of, models_of
from channelsync.runtime.config_models import Config
from channelsync.runtime.config_plain import plain, to_toml
from channelsync.runtime.config_rules import RuleValuesConfig
from channelsync.sdk.discovery import Catalogue

WIDTH = 110
_HEAD = """\
## Configuration of channelsync.
##
## Lines that begin with ## explain. A commented-out value is the default: remove the # to change it.
## `channelsync config check` names every mistake with its line, and shows what holds and where it came from.
##
## Every setting can also come from outside this file; the first of these that says something wins:
##   command line    --set database.url=...  or  --set channel.shop-uk.mode=observe
##   environment     CHANNELSYNC_DATABASE__URL=...  or  CHANNELSYNC_CHANNEL__SHOP_UK__MODE=observe
##   secret files    CHANNELSYNC_DATABASE__URL_FILE=/path  or  /run/secrets/channelsync_database__url
##   this file
## Wherever a text is asked for, { env = "NAME" } reads it from an environment variable and { file = "path" }
## from a file beside this one; what came that way is never shown. In [channel.settings] a secret may also be
## { stored = "NAME" }: `channelsync channels connect` asks for it, and keeps it sealed in the database.
"""

_SHOWN: Mapping[str, Mapping[str, Any]] = {
    "rule": {"class": "fragile", "buffer": "10%"},
    "feed": {"place": "/srv/erp/out", "basis": "physical"},
}
"""Values that an example entry of an array has beside those it must have."""


def example_file(catalogue: Catalogue) -> str:
    """config.example.toml: every setting, every array with one entry, every built-in connector."""
    blocks = [_HEAD, *(block for _, block in _sections())]
    for name in catalogue.names:
        example = catalogue.example(name)
        if name in catalogue.ours and example is not None:
            blocks.append(spliced(name, example))
    return "\n".join(blocks)


def first_file(catalogue: Catalogue, key_file: str | None = None) -> str:
    """What `channelsync init` writes: valid as it stands, with one location, everything else to be uncommented.

    key_file: the file with the vault's key; None: there is none yet.
    """
    blocks = [_HEAD]
    for key, block in _sections({} if key_file is None else {"secrets": {"keys": [{"file": key_file}]}}):
        is_array = bool(entry_models_of(Config.model_fields[_field_of(key)].annotation))
        blocks.append(commented(block) if is_array and key != "location" else block)
    for name in catalogue.names:
        example = catalogue.example(name)
        if example is not None:
            blocks.append(commented(spliced(name, example)))
    return "\n".join(blocks)


def spliced(name: str, example: str) -> str:
    """A connector's example.toml between marks that say where it is kept."""
    source = f"connectors/channelsync_{name}/example.toml"
    return f"## >>> {source}\n{example.strip()}\n## <<< {source}\n"


def commented(block: str) -> str:
    """The block with every line that says something commented out."""
    lines = block.splitlines()
    return "".join(f"{line}\n" if not line or line.startswith("##") else f"# {line}\n" for line in lines)


def _field_of(key: str) -> str:
    return next(name for name, info in Config.model_fields.items() if (info.alias or name) == key)


def _sections(said: Mapping[str, Mapping[str, Any]] = _SHOWN) -> Iterator[tuple[str, str]]:
    """The tables and arrays of the file in the order of the models, each as a block of lines. said: values by table."""
    for name, info in Config.model_fields.items():
        key = info.alias or name
        entries = entry_models_of(info.annotation)
        model = (entries or models_of(info.annotation))[0]
        header = f"[[{key}]]" if entries else f"[{key}]"
        lines = [*_explained(model.__doc__), header, *_table(model, key, {**_SHOWN, **said}.get(key, {}))]
        yield key, "\n".join(lines).strip() + "\n"


def _table(model: type[BaseModel], key: str, shown: Mapping[str, Any]) -> Iterator[str]:
    """The settings of a table, its own before inherited ones; then the tables inside it, which TOML wants last."""
    inherited = model.__base__.model_fields if model.__base__ is RuleValuesConfig else {}
    for name, info in sorted(model.model_fields.items(), key=lambda pair: pair[0] in inherited):
        if not models_of(info.annotation) or _is_inline(info):
            if name not in inherited:
                yield from _documented(info)
            yield from _setting(info.alias or name, info, shown)
    for name, info in model.model_fields.items():
        inner = models_of(info.annotation)
        if inner and not _is_inline(info):
            yield from _explained(info.description)
            yield f"[{key}.{name}]"
            yield from _table(inner[0], f"{key}.{name}", {})
            yield ""


def _is_inline(info: FieldInfo) -> bool:
    """A table that stands on one line, { like = "this" }: one that is written only when it is needed."""
    return info.default is None


def _documented(info: FieldInfo) -> Iterator[str]:
    """What a setting means, and what the keys of the table that it may be mean."""
    yield from _explained(info.description)
    for model in (*models_of(info.annotation), *entry_models_of(info.annotation)):
        for name, part in model.model_fields.items():
            yield from _explained(f"{part.alias or name}: {part.description}", "##   ")


def _setting(key: str, info: FieldInfo, shown: Mapping[str, Any]) -> Iterator[str]:
    """The setting's own line."""
    default = info.get_default(call_default_factory=True) if not info.is_required() else None
    examples: Sequence[Any] = info.examples or ()
    if key in shown:
        yield f"{key} = {to_toml(shown[key])}"
    elif info.is_required():
        yield f"{key} = {to_toml(plain(examples[0]))}"
    elif default is None:
        yield f"## Not set by default. For example: {' or '.join(f'{key} = {to_toml(plain(one))}' for one in examples)}"
    else:
        if examples:
            yield f"## For example: {key} = {to_toml(plain(examples[0]))}"
        yield f"# {key} = {to_toml(plain(default))}"
    yield ""


def _explained(text: str | None, mark: str = "## ") -> list[str]:
    """Text as documentation lines."""
    one_line = " ".join((text or "").split())
    return textwrap.wrap(
        one_line, WIDTH, initial_indent=mark, subsequent_indent=mark, break_long_words=False, break_on_hyphens=False
    )
