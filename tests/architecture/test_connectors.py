"""The connectors are listed where they must be listed: folder, entry point, import contracts, README table, example."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def folders() -> set[str]:
    return {path.name for path in (ROOT / "connectors").glob("channelsync_*") if path.is_dir()}


def test_every_folder_is_an_entry_point_and_the_other_way_round() -> None:
    named = PROJECT["project"]["entry-points"]["channelsync.connectors"]
    assert {value.split(":")[0] for value in named.values()} == folders()
    assert {f"channelsync_{name}" for name in named} == folders()


def test_every_folder_is_under_the_import_contracts() -> None:
    contracts = PROJECT["tool"]["importlinter"]
    assert set(contracts["root_packages"]) - {"channelsync"} == folders()
    by_name = {contract["name"]: contract for contract in contracts["contracts"]}
    assert set(by_name["Connectors know the sdk only"]["source_modules"]) == folders()
    assert set(by_name["Connectors do not know one another"]["modules"]) == folders()
    assert set(by_name["Nobody imports a connector"]["forbidden_modules"]) == folders()


def test_the_readme_names_every_connector() -> None:
    readme = (ROOT / "README.md").read_text()
    assert {name for name in folders() if name.removeprefix("channelsync_") not in readme} == set()


def test_the_example_configuration_has_every_connectors_example() -> None:
    example = (ROOT / "config.example.toml").read_text()
    for name in folders():
        assert re.search(rf'connector = "{name.removeprefix("channelsync_")}"', example), name
