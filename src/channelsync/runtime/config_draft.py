"""A configuration while it is put together: values, where each came from, and the faults found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from channelsync.runtime.config_errors import Problem
from channelsync.runtime.config_file import KeyPath, TomlFile


@dataclass(slots=True)
class Draft:
    """What has been read so far.

    values: the tree of the file, with what environment and command line put over it.
    outside: where the values came from that were put over it.
    references: what the `{ env }` and `{ file }` entries of the file were read from.
    secrets: texts that came from secret files or references.
    stored: the names in the vault that the `{ stored }` entries of the file name.
    """

    file: TomlFile
    values: dict[str, Any]
    outside: dict[KeyPath, str] = field(default_factory=dict)
    references: dict[KeyPath, str] = field(default_factory=dict)
    secrets: dict[KeyPath, str] = field(default_factory=dict)
    stored: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: KeyPath, what: str, todo: str) -> None:
        """Notes a fault of the value at this path, or of the table around a missing one."""
        origin = self.from_outside(path)
        line = None if origin else self.file.line_of(path)
        self.problems.append(
            Problem(what=what, where=origin or self.place(path), todo=todo, key=dotted(path, self.values), line=line)
        )

    def place(self, path: KeyPath) -> str:
        """ "config.toml line 14" """
        line = self.file.line_of(path)
        return f"{self.file.path.name} line {line}" if line is not None else self.file.path.name

    def origin(self, path: KeyPath) -> str:
        """Where the value of a setting came from."""
        outside = self.from_outside(path)
        if outside:
            return outside
        if path in self.references:
            return f"{self.references[path]}, named at {self.place(path)}"
        return self.place(path) if path in self.file.lines else "default"

    def from_outside(self, path: KeyPath) -> str | None:
        """What put the value at this path, or a table around it, over the file; None: nothing did."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.outside:
                return self.outside[path[:end]]
        return None

    def table(self, path: KeyPath) -> str:
        """The table at this path as the seller wrote it: "[[channel]] 'shop-uk'", "[database]", "the file"."""
        numbers = [at for at, part in enumerate(path) if isinstance(part, int)]
        if not numbers:
            return f"[{'.'.join(map(str, path))}]" if path else "the file"
        last = numbers[-1]
        entry, below = path[: last + 1], path[last + 1 :]
        if below:
            names = ".".join(str(part) for part in (*path[:last], *below) if isinstance(part, str))
            who = label(entry, self.values)
            return f"[{names}] of {self.table(entry) if who.startswith('number') else who}"
        if len(numbers) > 1:
            return f"{path[last - 1]} number {path[last] + 1} of {self.table(path[: last - 1])}"  # type: ignore[operator]
        return f"[[{'.'.join(map(str, path[:last]))}]] {label(entry, self.values)}"


def label(entry: KeyPath, values: Mapping[str, Any]) -> str:
    """An entry of an array as people tell it from its neighbours: its name or SKU in quotes, else its number.

    Rules have numbers only: several may speak of one SKU.
    """
    table = value_at(entry, values)
    if isinstance(table, Mapping) and entry[-2:-1] != ("rule",):
        for key in ("name", "sku"):
            if isinstance(table.get(key), str) and table[key]:
                return repr(table[key])
    number = entry[-1]
    return f"number {number + 1}" if isinstance(number, int) else str(number)


def dotted(path: KeyPath, values: Mapping[str, Any]) -> str:
    """The setting's full name: "database.url", "channel.shop-uk.mode", "rule.2.buffer" (the second)."""
    parts = []
    for at, part in enumerate(path):
        if isinstance(part, str):
            parts.append(part)
        else:
            parts.append(label(path[: at + 1], values).removeprefix("number ").strip("'\""))
    return ".".join(parts)


def value_at(path: KeyPath, values: Any) -> Any:
    """The value at a path; None when there is none."""
    for part in path:
        if not has(values, part):
            return None
        values = values[part]
    return values


def has(values: Any, part: str | int) -> bool:
    """True where a table has this key, or an array this entry."""
    if isinstance(values, Mapping):
        return part in values
    return isinstance(values, list) and isinstance(part, int) and 0 <= part < len(values)
