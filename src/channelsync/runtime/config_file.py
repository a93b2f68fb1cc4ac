"""Which line of a TOML file says what, so that an error can name it.

`tomllib` gives values without positions, so the text is walked a second time by the small index below. It
runs after `tomllib` accepted the text and therefore only has to be right on valid TOML.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]
"""Where a value stands: ("channel", 0, "settings", "token"). Entries of arrays are numbered from 0."""

_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?!")'
    r"|'''.*?'''(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}\n#]+")
_ERROR_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


class FileUnreadable(Exception):
    """The configuration file is absent, no text or no TOML."""

    def __init__(self, what: str, line: int | None, todo: str) -> None:
        self.what = what
        self.line = line
        self.todo = todo
        super().__init__(f"{what}: {todo}")


@dataclass(frozen=True, slots=True)
class TomlFile:
    """One TOML file as it was read.

    values: what `tomllib` made of it.
    lines: the line, from 1, of every key, table and array entry.
    """

    path: Path
    values: dict[str, Any]
    lines: Mapping[KeyPath, int]

    def line_of(self, path: KeyPath) -> int | None:
        """The line of the key, or of the nearest table around it; None when neither is in the file."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def read_toml(path: Path) -> TomlFile:
    """Reads one file. Raises FileUnreadable, with the line where there is one."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise FileUnreadable(
            f"there is no configuration file {path}",
            None,
            "write one with `channelsync init`, or name yours with --config",
        ) from error
    except OSError as error:
        raise FileUnreadable(
            f"the configuration file {path} cannot be read ({error.strerror})", None, "check its permissions"
        ) from error
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise FileUnreadable("the text is not UTF-8", line, "save the file as UTF-8") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(str(error), text) from error
    except RecursionError as error:
        raise FileUnreadable(f"{path.name} is nested too deeply", None, "take brackets out") from error
    return TomlFile(path, values, index_lines(text))


def _not_toml(message: str, text: str) -> FileUnreadable:
    """`tomllib` says the place inside its message only; it is taken out and kept as a number."""
    place = _ERROR_PLACE.search(message)
    if place is None:
        return FileUnreadable(f"this is no TOML ({message})", None, "mend the line")
    line = int(place[1]) if place[1] else text.count("\n") + 1
    said = message[: place.start()]
    return FileUnreadable(f"this is no TOML ({said[:1].lower()}{said[1:]})", line, "mend the line")


def index_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every key, table and array entry of a valid TOML text with `\\n` line ends."""
    return _Index(text).run()


class _Index:
    """One walk over the text; `at` is where it stands, `table` the table whose keys follow."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._entries: dict[KeyPath, int] = {}  # arrays of tables: how many entries so far
        self._lines: dict[KeyPath, int] = {}

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_blank() < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> KeyPath:
        """`[table]` or `[[array]]`; a name of an array of tables means its last entry."""
        start = self._at
        is_entry = self._text.startswith("[[", start)
        self._at += 2 if is_entry else 1
        path: KeyPath = ()
        names = self._key()
        for number, name in enumerate(names, 1):
            path = (*path, name)
            if is_entry and number == len(names):
                self._entries[path] = self._entries.get(path, 0) + 1
                self._mark(path, start)
            if path in self._entries:
                path = (*path, self._entries[path] - 1)
            self._mark(path, start)
        self._skip_blank()
        self._at += 2 if is_entry else 1
        return path

    def _pair(self, table: KeyPath) -> None:
        """`key = value`; a dotted key makes the tables on its way."""
        start = self._at
        path = table
        for name in self._key():
            path = (*path, name)
            self._mark(path, start)
        self._skip_blank()
        self._at += 1  # the sign =
        self._skip_blank()
        self._value(path)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip_blank()
            bare = _BARE_KEY.match(self._text, self._at)
            found = bare or _STRING.match(self._text, self._at)
            assert found is not None, "tomllib accepted this key"  # noqa: S101 - states what tomllib ensured
            self._at = found.end()
            names.append(found[0] if bare else tomllib.loads(f"k = {found[0]}")["k"])
            self._skip_blank()
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at]
        if opening in "[{":
            self._nested(path, "]" if opening == "[" else "}")
            return
        found = _STRING.match(self._text, self._at) or _BARE_VALUE.match(self._text, self._at)
        assert found is not None, "tomllib accepted this value"  # noqa: S101 - states what tomllib ensured
        self._at = found.end()

    def _nested(self, path: KeyPath, closing: str) -> None:
        """An array or an inline table, entries separated by commas."""
        self._at += 1
        entry = 0
        while True:
            self._skip_blank()
            if self._text[self._at] == closing:
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
            elif closing == "}":
                self._pair(path)
            else:
                self._mark((*path, entry), self._at)
                self._value((*path, entry))
                entry += 1

    def _mark(self, path: KeyPath, at: int) -> None:
        """The first mention counts: a table opened by `[channel.settings]` and not by its later keys."""
        self._lines.setdefault(path, bisect_right(self._starts, at))

    def _skip_blank(self) -> int:
        found = _BLANK.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return self._at
