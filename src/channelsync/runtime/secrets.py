"""Secrets that stand outside the configuration file: `{ env = "NAME" }`, `{ file = "path" }`, `{ stored = "name" }`.

The first two may stand wherever a setting takes text. A path is relative to the folder of the configuration file.
One line end at the end of a secret file is dropped, for editors add it. The third names a secret of the vault; it may
stand wherever a setting of a connector, a hook or a feed takes a secret, and is read when that is opened.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

from channelsync.runtime.config_annotations import (
    annotation_of,
    held_by,
    may_hide,
    models_of,
    takes_secret,
    takes_text,
)
from channelsync.runtime.config_file import KeyPath
from channelsync.sdk.redaction import HIDDEN

LARGEST_SECRET = 65_536
"""Bytes of a secret file. A key file has some thousand; more is a wrong path."""


PLACEHOLDER = "c3RvcmVkIGluIHRoZSB2YXVsdDogb3BlbmVkIGxhdGVy"
"""Stands for a secret of the vault until its owner is opened. Base64, and long: most forms of secrets allow it."""

IN_THE_VAULT = "stored in the vault"
"""What is shown of such a secret."""

_KEPT_OF_EACH = 2
"""Texts of one secret of the vault that are known: the present one, and the one that it replaced."""

_STORED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class HiddenTexts(AbstractSet[str]):
    """The texts that no log line and no message may contain. Secrets of the vault join them as they come up.

    changes: grows whenever a text joins.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._fixed = frozenset(texts)
        self._of_vault: dict[tuple[str, str], deque[str]] = {}
        self.changes = 0

    def add(self, channel: str, name: str, text: str) -> None:
        """A secret of a channel as it is now; what it was two changes ago is forgotten."""
        known = self._of_vault.setdefault((channel, name), deque(maxlen=_KEPT_OF_EACH))
        if text and text not in known:
            known.append(text)
            self.changes += 1

    def join(self, texts: Iterable[str]) -> None:
        """These are hidden too from now on, for as long as the process lives."""
        fresh = frozenset(texts) - self._fixed
        if fresh:
            self._fixed |= fresh
            self.changes += 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._fixed.union(*self._of_vault.values()))

    def __len__(self) -> int:
        return len(frozenset(self))

    def __contains__(self, text: object) -> bool:
        return text in frozenset(self)

    def __repr__(self) -> str:
        return f"HiddenTexts({len(self)} texts)"


class SecretMissing(Exception):
    """A secret is named but not there; the message says which, and what to do."""

    def __init__(self, what: str, todo: str) -> None:
        self.what = what
        self.todo = todo
        super().__init__(f"{what}: {todo}")


@dataclass(slots=True)
class References:
    """The `{ env }`, `{ file }` and `{ stored }` entries found below one table.

    origins: what each was read from. secrets: what it said. stored: the name in the vault; its setting becomes
    PLACEHOLDER. missing: what could not be read. Its setting becomes empty text. vault: `{ stored }` may stand here.
    """

    environ: Mapping[str, str]
    folder: Path
    vault: bool = False
    origins: dict[KeyPath, str] = field(default_factory=dict)
    secrets: dict[KeyPath, str] = field(default_factory=dict)
    stored: dict[KeyPath, str] = field(default_factory=dict)
    missing: list[tuple[KeyPath, SecretMissing]] = field(default_factory=list)

    def resolve(self, value: Any, annotation: Any, path: KeyPath) -> Any:
        """The value with every reference replaced by its secret, wherever the annotation takes text."""
        stored = _stored(value) if self.vault and takes_secret(annotation) else None
        if stored is not None:
            self.stored[path] = stored
            return PLACEHOLDER
        reference = _reference(value)
        if reference is not None and takes_text(annotation):
            text = self._read(*reference, path)
            if text and may_hide(annotation):
                self.secrets[path] = text
            return text
        if isinstance(value, dict):
            return {key: self._entry(key, held, annotation, path) for key, held in value.items()}
        if isinstance(value, list):
            inner = held_by(annotation)
            return [self.resolve(held, inner, (*path, number)) for number, held in enumerate(value)]
        return value

    def _entry(self, key: str, value: Any, annotation: Any, path: KeyPath) -> Any:
        for model in models_of(annotation):
            inner = annotation_of(model, key)
            if inner is not None:
                return self.resolve(value, inner, (*path, key))
        return self.resolve(value, held_by(annotation), (*path, key))

    def _read(self, kind: str, name: str, path: KeyPath) -> str:
        try:
            if kind == "env":
                text, origin = _from_environment(name, self.environ), f"environment variable {name}"
            else:
                text, origin = read_secret_file(self.folder / name), f"secret file {name}"
        except SecretMissing as error:
            self.missing.append((path, error))
            return ""
        self.origins[path] = origin
        return text


def _reference(value: Any) -> tuple[str, str] | None:
    """("env" | "file", name) of a table that is a reference."""
    if isinstance(value, dict) and len(value) == 1:
        kind, name = next(iter(value.items()))
        if kind in {"env", "file"} and isinstance(name, str):
            return kind, name
    return None


def _stored(value: Any) -> str | None:
    """The name of a table that is a reference to the vault."""
    if isinstance(value, dict) and list(value) == ["stored"]:
        name = value["stored"]
        if isinstance(name, str) and _STORED_NAME.fullmatch(name):
            return name
    return None


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if not value:
        state = "empty" if name in environ else "not set"
        raise SecretMissing(f"the environment variable {name} is {state}", "set it before channelsync starts")
    return value


def read_secret_file(path: Path) -> str:
    """The text of a secret file. Raises SecretMissing when it is absent, empty, too large or no text."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_SECRET + 1)
    except OSError as error:
        raise SecretMissing(
            f"the secret file {path} cannot be read ({error.strerror})", "mount it, or correct the path"
        ) from error
    if len(raw) > LARGEST_SECRET:
        raise SecretMissing(f"the secret file {path} is over {LARGEST_SECRET} bytes", "correct the path")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SecretMissing(f"the secret file {path} is not UTF-8", "save it as plain text") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretMissing(f"the secret file {path} is empty", "write the secret into it")
    return text


def url_password(url: str) -> str | None:
    """The password inside a URL, as it is written there; None when it has none."""
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def without_password(url: str) -> str:
    """The URL with its password masked."""
    password = url_password(url)
    return url.replace(f":{password}@", f":{HIDDEN}@", 1) if password else url


def found_in(value: Any) -> Iterator[str]:
    """Every secret text inside a validated value: `SecretStr` fields and passwords of URLs."""
    if isinstance(value, SecretStr):
        if value.get_secret_value():  # an empty one is none, and would be found in every text
            yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from found_in(getattr(value, name))
    elif isinstance(value, Mapping):
        for held in value.values():
            yield from found_in(held)
    elif isinstance(value, list | tuple | set | frozenset):
        for held in value:
            yield from found_in(held)
    elif isinstance(value, str):
        password = url_password(value) if "://" in value else None
        if password:
            yield from {password, unquote(password)}
