"""API descriptions (Swagger 2.0 and OpenAPI 3.0) as they lie in files: references, base paths, path templates."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

Json = Mapping[str, Any]


def escaped(*names: str) -> str:
    """A JSON pointer's steps."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)


@dataclass(frozen=True, slots=True)
class Node:
    """A place in a description: its content, and the pointer that leads to it."""

    content: Any
    pointer: str

    def __bool__(self) -> bool:
        return self.content is not None

    def at(self, *names: str) -> Node:
        """What lies under these names; a node without content where there is nothing."""
        content = self.content
        for name in names:
            content = content.get(name) if isinstance(content, Mapping) else None
        return Node(content, self.pointer + escaped(*names))


@functools.cache
def _content(path: Path) -> Json:
    content: Json = json.loads(path.read_text(encoding="utf-8"))
    return content


class Description:
    """One description file. uri: what its schemas are referred to by.

    base: the path before its templates; None: as the file says (basePath, or the paths of its servers).
    """

    def __init__(self, content: Json, uri: str, base: str | None = None) -> None:
        self.content = content
        self.uri = uri
        self.old = str(content.get("swagger", "")).startswith("2")
        if not self.old and not str(content.get("openapi", "")).startswith("3.0"):
            raise ValueError(f"{uri} is neither Swagger 2.0 nor OpenAPI 3.0: {sorted(content)[:5]}")
        self.bases = (base,) if base is not None else tuple(self._bases())

    @classmethod
    def read(cls, path: Path, base: str | None = None) -> Description:
        """The description in a JSON file, which is read once a process."""
        return cls(_content(path), f"description:{path.name}", base)

    def _bases(self) -> Iterator[str]:
        if self.old:
            yield str(self.content.get("basePath", "")).rstrip("/")
            return
        for server in self.content.get("servers") or [{"url": ""}]:
            url = str(server["url"])
            for name, variable in server.get("variables", {}).items():
                url = url.replace("{" + name + "}", str(variable["default"]))
            yield urlsplit(url).path.rstrip("/")

    def follow(self, node: Node) -> Node:
        """What a node refers to, in the end; itself where it refers to nothing. Only within the file."""
        for _ in range(50):
            reference = node.content.get("$ref") if isinstance(node.content, Mapping) else None
            if not isinstance(reference, str):
                return node
            if not reference.startswith("#/"):
                raise ValueError(f"{self.uri} refers to another file: {reference}")
            names = [name.replace("~1", "/").replace("~0", "~") for name in reference[2:].split("/")]
            node = Node(self.content, "").at(*names)
        raise ValueError(f"{self.uri}: {node.pointer} refers in circles")

    def schema(self, node: Node) -> dict[str, str]:
        """A schema that stands for the one at this node, wherever it is used."""
        return {"$ref": f"{self.uri}#{node.pointer}"}

    def operations(self) -> Iterator[Operation]:
        """All operations, in the order of the file, once for each base."""
        root = Node(self.content, "")
        for base in dict.fromkeys(self.bases):
            for template in self.content["paths"]:
                path = root.at("paths", template)
                for method in METHODS:
                    if node := path.at(method):
                        name = str(node.content.get("operationId") or f"{method} {template}")
                        yield Operation(
                            name, method.upper(), base + template, node, self, tuple(self._both(path, node))
                        )

    def _both(self, path: Node, operation: Node) -> Iterator[Node]:
        """The parameters of an operation, its own before its path's."""
        seen: set[tuple[str, str]] = set()
        for owner in (operation, path):
            for number, each in enumerate(owner.content.get("parameters") or ()):
                node = self.follow(Node(each, owner.pointer + escaped("parameters", str(number))))
                name = (str(node.content["in"]), str(node.content["name"]))
                if name not in seen:
                    seen.add(name)
                    yield node


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation that a description knows.

    id: its operationId, or method and template. template: the path with its base. node: the operation object, for
    what a vendor adds to it. parameters: as described, references followed. arguments: of one call, by name.
    """

    id: str
    method: str
    template: str
    node: Node
    description: Description
    parameters: tuple[Node, ...]
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def literal(self) -> tuple[int, int]:
        """How literal the template is: the more, the sooner it is tried."""
        steps = self.template.split("/")
        return sum("{" not in step for step in steps), len(self.template)


@dataclass(frozen=True, slots=True)
class Template:
    """An operation's path as a pattern. The last argument may hold slashes where nothing else matches."""

    operation: Operation
    exact: re.Pattern[str]
    loose: re.Pattern[str]

    @classmethod
    def of(cls, operation: Operation) -> Template:
        """The patterns of an operation's path."""
        parts = re.split(r"(\{[^}]+\})", operation.template)
        names = [part for part in parts if part.startswith("{")]
        last = names[-1] if names else ""

        def pattern(of_last: str) -> re.Pattern[str]:
            text = ""
            for part in parts:
                kind = of_last if part == last else "[^/]+"
                text += f"({kind})" if part.startswith("{") else re.escape(part)
            return re.compile(text)

        return cls(operation, pattern("[^/]+"), pattern(".+"))

    def match(self, path: str, *, loosely: bool) -> dict[str, str] | None:
        """The arguments that a path gives; None where it is another one's."""
        found = (self.loose if loosely else self.exact).fullmatch(path)
        if found is None:
            return None
        names = re.findall(r"\{([^}]+)\}", self.operation.template)
        return dict(zip(names, found.groups(), strict=True))


def templates_of(descriptions: Sequence[Description]) -> tuple[Template, ...]:
    """The templates of all descriptions, the most literal first."""
    found = [operation for description in descriptions for operation in description.operations()]
    return tuple(Template.of(each) for each in sorted(found, key=lambda each: each.literal, reverse=True))
