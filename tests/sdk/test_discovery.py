"""Connectors are found by entry point only, and a broken one says what to install."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint, PathDistribution
from pathlib import Path

import pytest

from channelsync.runtime.config import load
from channelsync.runtime.config_errors import ConfigInvalid
from channelsync.sdk.discovery import GROUP, Catalogue, ConnectorProblem, catalogue_of, installed

MODULE = """\
from channelsync.sdk.channel import Capabilities, Connector
from pydantic import BaseModel

def none(settings, resources=None):
    return ()

CONNECTOR = Connector(
    name={name!r}, title="", settings=BaseModel, capabilities=lambda settings: Capabilities(), budgets=none, open=none
)
TEXT = "no connector"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EntryPoint]:
    """Writes a module and its distribution: package(distribution, "name = module:ATTRIBUTE", source)."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(distribution: str, line: str, source: str | None = None) -> EntryPoint:
        module = line.partition("=")[2].partition(":")[0].strip()
        if source is not None:
            (tmp_path / module).mkdir()
            (tmp_path / module / "__init__.py").write_text(source)
            monkeypatch.delitem(sys.modules, module, raising=False)
        folder = tmp_path / f"{distribution}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{line}\n")
        made: Distribution = PathDistribution(folder)
        return next(iter(made.entry_points))

    return write


def test_the_built_in_connectors_are_found_by_their_entry_points() -> None:
    found = installed()

    assert {"memory", "sandbox"} <= set(found.names)
    assert {"memory", "sandbox"} <= found.ours


def test_a_connector_of_another_package_is_loaded_like_ours(package: Callable[..., EntryPoint]) -> None:
    entry = package("other", "third = third_party_one:CONNECTOR", MODULE.format(name="third"))

    found = catalogue_of([entry])

    assert found.connector("third").name == "third"
    assert found.ours == frozenset()
    assert found.example("third") is None


def test_an_example_is_read_from_the_connectors_folder(package: Callable[..., EntryPoint], tmp_path: Path) -> None:
    entry = package("other", "third = third_party_two:CONNECTOR", MODULE.format(name="third"))
    (tmp_path / "third_party_two" / "example.toml").write_text("[[channel]]\n")

    assert catalogue_of([entry]).example("third") == "[[channel]]\n"


BROKEN = [
    (
        "amazon = broken_a:CONNECTOR",
        "import a_library_that_is_not_there",
        r"the connector 'amazon' cannot be imported \(No module named 'a_library_that_is_not_there'\); "
        r"install channelsync\[amazon\]",
    ),
    ("x = broken_b:CONNECTOR [big]", "import not_there", r"install channelsync\[big\]"),
    ("x = not_there_at_all:CONNECTOR", None, r"install channelsync\[x\]"),
    ("x = broken_g:CONNECTOR", "1 / 0", r"fails when it is imported \(ZeroDivisionError: .*\); update or remove"),
    ("x = broken_c:CONNECTOR", "", r"has no broken_c:CONNECTOR; update channelsync"),
    ("x = broken_d:TEXT", MODULE.format(name="x"), r"is a str, not a channelsync.sdk Connector"),
    ("x = broken_e:CONNECTOR", MODULE.format(name="y"), r"the connector 'x' calls itself 'y'"),
]


@pytest.mark.parametrize(("line", "source", "expected"), BROKEN)
def test_a_connector_that_cannot_be_used_says_what_to_do(
    package: Callable[..., EntryPoint], line: str, source: str | None, expected: str
) -> None:
    entry = package("channelsync", line, source)

    with pytest.raises(ConnectorProblem, match=expected):
        catalogue_of([entry]).connector(entry.name)


def test_two_connectors_of_one_name_are_refused_naming_both_packages(package: Callable[..., EntryPoint]) -> None:
    first = package("channelsync", "shop = one:CONNECTOR")
    second = package("other", "shop = two:CONNECTOR")

    with pytest.raises(ConnectorProblem, match=r"two.* 'shop': one:CONNECTOR from channelsync and two:.* from other"):
        catalogue_of([first, second])


def test_one_connector_that_is_found_twice_is_one(package: Callable[..., EntryPoint]) -> None:
    entry = package("channelsync", "shop = one:CONNECTOR")

    assert catalogue_of([entry, entry]).names == ("shop",)


def test_a_broken_connector_harms_only_the_channels_that_name_it(
    package: Callable[..., EntryPoint], tmp_path: Path
) -> None:
    entry = package("channelsync", "amazon = broken_f:CONNECTOR", "import not_there")
    catalogue = catalogue_of([entry])
    path = tmp_path / "config.toml"
    path.write_text('[[location]]\nname = "main"\n')

    assert load(path, {}, catalogue=catalogue, secrets_folder=tmp_path).config.channels == ()

    path.write_text('[[location]]\nname = "main"\n[[channel]]\nname = "us"\nconnector = "amazon"\n')
    with pytest.raises(ConfigInvalid) as refused:
        load(path, {}, catalogue=catalogue, secrets_folder=tmp_path)
    assert str(refused.value) == (
        "the connector 'amazon' cannot be imported (No module named 'not_there'), config.toml line 5: "
        "install channelsync[amazon]"
    )


def test_a_catalogue_knows_no_other_names() -> None:
    with pytest.raises(KeyError):
        Catalogue({}, {}).connector("shop")
