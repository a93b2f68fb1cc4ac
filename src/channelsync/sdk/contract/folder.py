"""The connector's folder: what a seller reads, what the configuration takes, what is done and what is not."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import pytest

from channelsync.sdk.contract.base import ContractBase
from channelsync.sdk.contract.quality import HEADINGS, QUALITY_RULES

_COMMENTED_SETTING = re.compile(r"^(\s*)# ?((?:[A-Za-z0-9_-]+ *=|\[).*)$")
_DOCUMENTATION = re.compile(r"^\s*##")

OWN_TIME = frozenset(
    {
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "time.monotonic",
        "time.perf_counter",
        "time.sleep",
        "asyncio.sleep",
    }
)
"""What tells the time, or waits, without the Clock."""


class FolderContract(ContractBase):
    """The files beside the code. They are read as resources of the package, so they are there once installed."""

    @pytest.fixture
    def folder(self) -> Traversable:
        """The connector's package: the one that its settings model is in."""
        return files(self.connector.settings.__module__.partition(".")[0])

    def test_the_readme_has_the_headings_that_every_connector_has(self, folder: Traversable) -> None:
        lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
        assert lines[0] == f"# {self.connector.title}"
        assert [line[3:] for line in lines if line.startswith("## ")] == list(HEADINGS)
        bodies = "\n".join(lines).split("\n## ")[1:]
        empty = [body.partition("\n")[0] for body in bodies if not body.partition("\n")[2].strip()]
        assert not empty, f"nothing stands under {empty}"

    def test_the_example_names_every_setting_with_its_default(self, folder: Traversable) -> None:
        text = (folder / "example.toml").read_text(encoding="utf-8")
        (channel,) = tomllib.loads(text)["channel"]
        assert channel["connector"] == self.connector.name
        given = channel.get("settings", {})
        model = self.connector.settings
        settings = model.model_validate(_with_secrets(given))
        (uncommented,) = tomllib.loads(_uncommented(text))["channel"]
        named = uncommented.get("settings", {})
        assert set(named) <= {info.alias or name for name, info in model.model_fields.items()}
        for name, info in model.model_fields.items():
            key = info.alias or name
            shown = named.get(key, _mentioned(text, key))
            assert shown is not None, (
                f"{key} is missing: `# {key} = (its default)`, or `## ... For example: {key} = ...`"
            )
            read = getattr(model.model_validate({**_with_secrets(given), key: _with_secrets(shown)}), name)
            if key in named and key not in given:
                assert read == getattr(settings, name), f"# {key} = ... is not the default"

    def test_settings_refuse_what_they_do_not_know(self) -> None:
        assert self.connector.settings.model_config.get("extra") == "forbid", "a typo in the file must be an error"

    def test_the_quality_file_answers_every_rule(self, folder: Traversable) -> None:
        told: dict[str, Any] = tomllib.loads((folder / "quality.toml").read_text(encoding="utf-8"))
        assert set(told) == set(QUALITY_RULES), "quality.toml answers each rule of `QUALITY_RULES`, and no other"
        for rule, answer in told.items():
            status = answer if isinstance(answer, str) else answer.get("status")
            assert status in ("done", "todo", "exempt"), f"{rule}: {status}"
            reason = "" if isinstance(answer, str) else answer.get("reason", "")
            assert status == "done" or reason, f"{rule} is {status}: say why"
        takes_webhooks = self.connector.webhooks is not None
        assert (told["webhooks"] == "done") == takes_webhooks, "quality.toml and the connector differ on webhooks"

    def test_the_code_takes_its_time_from_the_clock(self, folder: Traversable) -> None:
        found = [
            f"{name}:{node.lineno} {ast.unparse(node)}"
            for name, tree in _modules(folder)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ".".join(ast.unparse(node).split(".")[-2:]) in OWN_TIME
        ]
        assert not found, "the time comes from the Clock of Resources, and so does waiting"

    def test_the_code_imports_the_sdk_and_nothing_else_of_channelsync(self, folder: Traversable) -> None:
        imported = {
            name
            for _, tree in _modules(folder)
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        ours = {name for name in imported if name.split(".")[0] == "channelsync"}
        assert not {name for name in ours if not (name + ".").startswith("channelsync.sdk.")}


def _modules(folder: Traversable) -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package, parsed."""
    for entry in folder.iterdir():
        if entry.name.endswith(".py"):
            yield entry.name, ast.parse(entry.read_text(encoding="utf-8"))


def _uncommented(text: str) -> str:
    """The example with every commented-out setting switched on."""
    lines = []
    for line in text.splitlines():
        found = None if _DOCUMENTATION.match(line) else _COMMENTED_SETTING.match(line)
        lines.append(line if found is None else found[1] + found[2])
    return "\n".join(lines)


def _mentioned(text: str, key: str) -> Any:
    """The value that a line of documentation gives as an example for a setting that is not set by default."""
    found = re.search(rf"^\s*##.*For example: ({re.escape(key)} = .*)$", text, re.MULTILINE)
    return None if found is None else tomllib.loads(found[1])[key]


def _with_secrets(value: Any) -> Any:
    """The value with a text in place of each `{ env = "..." }` and `{ file = "..." }`."""
    if isinstance(value, dict):
        if len(value) == 1 and set(value) <= {"env", "file"}:
            return "d2hhdGV2ZXIgaXMgbmFtZWQgdGhlcmU="
        return {key: _with_secrets(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_with_secrets(held) for held in value]
    return value
