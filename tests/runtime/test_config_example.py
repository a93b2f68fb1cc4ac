"""config.example.toml says what the code does, and `init` writes a file that is valid."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from channelsync.runtime import config
from channelsync.runtime.config import Loaded, Value
from channelsync.runtime.config_annotations import entry_models_of, keys_of, models_of
from channelsync.runtime.config_example import example_file, first_file
from channelsync.runtime.config_feeds import FeedConfig
from channelsync.runtime.config_guard import ChannelGuardConfig
from channelsync.runtime.config_models import Config
from channelsync.sdk.discovery import Catalogue, installed

ReadConfig = Callable[..., Loaded]
ROOT = Path(__file__).parents[2]
CHANNEL = '[[location]]\nname = "main"\n[[channel]]\nname = "shop-uk"\nconnector = "bare"\n'


def all_settings(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for key, info in zip(keys_of(model), model.model_fields.values(), strict=True):
        inner = (*models_of(info.annotation), *entry_models_of(info.annotation))
        if not inner:
            yield f"{path}{key}"
        for below in inner:
            yield from all_settings(below, f"{path}{key}.")


def test_the_example_in_the_repository_is_the_one_that_the_code_writes() -> None:
    written = (ROOT / "config.example.toml").read_text(encoding="utf-8")

    assert written == example_file(installed()), "run: channelsync config example > config.example.toml"


def test_the_example_names_every_setting(catalogue: Catalogue) -> None:
    text = example_file(catalogue)
    for setting in all_settings(Config):
        key = setting.rpartition(".")[2]
        assert any(
            f"{mark}{key}{sign}" in text for mark in ("\n", "\n# ", "\n##   ", "example: ") for sign in (" =", ":")
        )


def uncommented(text: str) -> str:
    return re.sub(r"^(\s*)# ", r"\1", text, flags=re.MULTILINE)


class EveryVariable(dict[str, str]):
    """An environment in which every variable that a connector's example names is set."""

    def get(self, name: str, _default: object = None) -> str:
        return "https://example.com/set" if name.endswith("_URL") else "c2V0LCBhbmQgbG9uZyBlbm91Z2ggdG8gc2lnbg=="


def load_text(text: str, folder: Path) -> Loaded:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, EveryVariable(), secrets_folder=folder / "none")


def kind(value: Value) -> str:
    """The setting without the entry's name: what is said for one channel is said for all."""
    return re.sub(r"^(channel|location)\.[^.]+", r"\1", value.key)


def test_commented_out_values_of_the_example_are_the_defaults(tmp_path: Path) -> None:
    example = example_file(installed())
    silent = load_text(example, tmp_path)
    explicit = load_text(uncommented(example), tmp_path)

    assert explicit.config == silent.config
    defaulted = {kind(one) for one in silent.values if one.origin == "default" and one.value is not None}
    said = {kind(one) for one in explicit.values if one.origin.startswith("config.toml line")}
    assert defaulted
    assert defaulted <= said


def shown_statements() -> list[str]:
    """Each example of a setting that has no default: 'share = 40'."""
    text = example_file(Catalogue({}, {}))
    told = re.findall(r"^## Not set by default\. For example: (.*)$", text, re.MULTILINE)
    return sorted({statement for line in told for statement in re.split(r" or (?=\w+ = )", line)})


@pytest.mark.parametrize("statement", shown_statements())
def test_each_optional_setting_of_the_example_can_be_used_as_it_is_shown(
    read_config: ReadConfig, statement: str
) -> None:
    key = statement.partition(" ")[0]
    if key == "ping_url":  # its variable is not here
        assert read_config(f'[alert]\n{key} = "https://example.com/ping"\n').config.alert.ping_url is not None
        return
    if key == "kept_by":
        place = '[[location]]\nname = "fba"\n'
        channel = '[[channel]]\nname = "amazon-eu"\nconnector = "bare"\nremotes = { N = "fba" }\n'
        assert read_config(f"{CHANNEL}{channel}{place}{statement}").config.locations[1].kept_by == "amazon-eu"
        return
    if key in ChannelGuardConfig.model_fields:
        loaded = read_config(f"{CHANNEL}[channel.guard]\n{statement}\n")
        assert any(one.key.endswith(f".guard.{key}") and one.origin != "default" for one in loaded.values)
        return
    if key in FeedConfig.model_fields and key != "location":
        feed = {"kind": '"sftp"', "place": '"sftp://host/out"', "basis": '"physical"', "as_of": '"modified"'}
        feed |= {"name": '"erp"', "username": '"u"', "password": '"p"', "host_keys": '["k"]'}
        lines = [f"{name} = {value}" for name, value in feed.items() if name != key]
        if key in {"private_key", "password", "passphrase"}:  # whose files and variables are not here
            statement = f'{key} = "something"'
        loaded = read_config("\n".join([f"{CHANNEL}[[feed]]", *lines, statement]))
        assert any(one.key == f"feed.erp.{key}" and one.origin != "default" for one in loaded.values)
        return
    needed = {"ring_fenced": 'channel = "shop-uk"', "buffer": 'channel = "shop-uk"'}.get(key, "")
    if key in {"channel", "location", "sku", "class", "listing"}:
        needed = ('sku = "MUG"\n' if key == "location" else "") + "buffer = 1"
    classes = '[[sku_class]]\nname = "fragile"\nskus = ["MUG"]\n'

    loaded = read_config(f"{CHANNEL}{classes}[[rule]]\n{statement}\n{needed}\n")

    assert any(one.key.startswith(f"rule.1.{key}") and one.value is not None for one in loaded.values)


def test_the_file_that_init_writes_is_valid_and_has_one_location(read_config: ReadConfig) -> None:
    loaded = read_config(first_file(installed()))

    assert [one.name for one in loaded.config.locations] == ["main"]
    assert loaded.config.channels == ()
    assert loaded.config.rules == ()
