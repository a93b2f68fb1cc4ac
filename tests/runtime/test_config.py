"""What a good configuration means: sources and their order, origins, secrets, rules, bundles."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.rules import Computed, CountIncoming, Fixed, LastUnits, Percent, Rule, RuleScope
from channelsync.runtime import config
from channelsync.runtime.config import Loaded, Value
from channelsync.runtime.config_annotations import entry_models_of, keys_of, models_of
from channelsync.runtime.config_domain import classes_of, recipes_of, rules_of
from channelsync.runtime.config_example import example_file, first_file
from channelsync.runtime.config_file import index_lines
from channelsync.runtime.config_models import Config
from channelsync.runtime.connectors import Catalogue, installed

ReadConfig = Callable[..., Loaded]
ROOT = Path(__file__).parents[2]

SHOP = """\
[[location]]
name = "main"

[[channel]]
name = "shop-uk"
connector = "shop"

[channel.settings]
shop = "uk.example.com"
token = { env = "SHOP_TOKEN" }
"""
TOKEN = {"SHOP_TOKEN": "shhh-very-secret"}


def origin_of(loaded: Loaded, key: str) -> tuple[Any, str]:
    value = next(one for one in loaded.values if one.key == key)
    assert loaded.origins[key] == value.origin
    return value.value, value.origin


def test_an_empty_file_is_a_configuration_of_defaults(read_config: ReadConfig, tmp_path: Path) -> None:
    loaded = read_config("")

    assert loaded.config.channels == ()
    assert loaded.config.schedule.order_poll == timedelta(minutes=1)
    assert loaded.config.database.url == f"sqlite:///{tmp_path / 'channelsync.db'}"
    assert {one.origin for one in loaded.values} == {"default"}


def test_a_setting_of_the_file_names_its_line(read_config: ReadConfig) -> None:
    loaded = read_config('[seller]\n\nname = "Tea and Mugs"\n')

    assert origin_of(loaded, "seller.name") == ("Tea and Mugs", "config.toml line 3")
    assert origin_of(loaded, "seller.time_zone") == ("UTC", "default")


def test_the_command_line_beats_the_environment_beats_secret_files_beat_the_file(
    read_config: ReadConfig, tmp_path: Path
) -> None:
    text = '[seller]\nname = "file"\n'
    held = tmp_path / "held"
    held.write_text("secret variable\n")
    secrets = {"channelsync_seller__name": "secrets folder"}
    variable = {"CHANNELSYNC_SELLER__NAME_FILE": str(held)}
    plain = {"CHANNELSYNC_SELLER__NAME": "environment"}

    def name(**sources: Any) -> str:
        found: str = read_config(text, **sources).config.seller.name
        return found

    assert name() == "file"
    assert name(secrets=secrets) == "secrets folder"
    assert name(secrets=secrets, environ=variable) == "secret variable"
    assert name(secrets=secrets, environ={**variable, **plain}) == "environment"
    assert name(secrets=secrets, environ={**variable, **plain}, overrides={"seller.name": "cli"}) == "cli"


def test_each_source_is_named_as_the_origin(read_config: ReadConfig, tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.write_text("debug")
    loaded = read_config(
        SHOP,
        {
            **TOKEN,
            "CHANNELSYNC_SCHEDULE__ORDER_POLL": "5m",
            "CHANNELSYNC_LOG__LEVEL_FILE": str(held),
            "CHANNELSYNC_CHANNEL__SHOP_UK__MODE": "observe",
        },
        overrides={"channel.shop-uk.paused": "true"},
        secrets={"CHANNELSYNC_LOG__FORMAT": "json"},
    )

    assert origin_of(loaded, "schedule.order_poll") == ("5m", "environment variable CHANNELSYNC_SCHEDULE__ORDER_POLL")
    assert origin_of(loaded, "log.level") == ("debug", f"secret file {held}, named by CHANNELSYNC_LOG__LEVEL_FILE")
    assert origin_of(loaded, "log.format")[1] == f"secret file {tmp_path / 'secrets' / 'CHANNELSYNC_LOG__FORMAT'}"
    assert origin_of(loaded, "channel.shop-uk.mode")[0] == "observe"
    assert origin_of(loaded, "channel.shop-uk.paused") == (True, "command line --set channel.shop-uk.paused")
    assert origin_of(loaded, "channel.shop-uk.settings.token")[1] == (
        "environment variable SHOP_TOKEN, named at config.toml line 10"
    )
    assert loaded.origins["channel.shop-uk"] == "config.toml line 4"


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("channel.shop-uk.locations", '["main"]', ["main"]),
        ("channel.shop-uk.oversell_target", "0.05", 0.05),
        ("channel.shop_uk.settings.pages", "7", 7),
        ("channel.shop-uk.settings.shop", "30", "30"),
        ("channel.shop-uk.rules.buffer", "10%", "10%"),
        ("channel.shop-uk.rules.buffer", "4", 4),
        ("channel.shop-uk.rules.may_raise", "false", False),
    ],
)
def test_text_from_outside_becomes_what_the_setting_takes(
    read_config: ReadConfig, key: str, text: str, expected: object
) -> None:
    loaded = read_config(SHOP, TOKEN, overrides={key: text})

    assert origin_of(loaded, key.replace("_uk", "-uk"))[0] == expected


def test_a_setting_whose_own_name_ends_in_file_is_not_taken_for_a_secret_file(read_config: ReadConfig) -> None:
    loaded = read_config(SHOP, {**TOKEN, "CHANNELSYNC_CHANNEL__SHOP_UK__SETTINGS__KEY_FILE": "other.pem"})

    assert origin_of(loaded, "channel.shop-uk.settings.key_file")[0] == "other.pem"


def test_variables_that_container_platforms_set_for_a_service_called_channelsync_are_left_alone(
    read_config: ReadConfig,
) -> None:
    environ = {"CHANNELSYNC_PORT": "tcp://10.0.0.1:80", "CHANNELSYNC_SERVICE_HOST": "10.0.0.1"}

    assert read_config("", environ).config == read_config("").config


def test_secrets_are_read_from_variables_and_files_and_never_shown(read_config: ReadConfig, tmp_path: Path) -> None:
    (tmp_path / "old-token").write_text("older-secret\r\n")
    text = SHOP + 'old_tokens = [{ file = "old-token" }, "plain-in-the-file"]\n[database]\n'
    text += 'url = "postgresql://me:pass%20word@db/channelsync"\n'
    loaded = read_config(text, TOKEN)

    settings: Any = loaded.config.channels[0].settings
    assert settings.token.get_secret_value() == "shhh-very-secret"
    assert [one.get_secret_value() for one in settings.old_tokens] == ["older-secret", "plain-in-the-file"]
    assert loaded.secrets == {"shhh-very-secret", "older-secret", "plain-in-the-file", "pass%20word", "pass word"}
    for shown in (repr(loaded.values), repr(loaded.config.channels), repr(loaded.origins)):
        assert not any(secret in shown for secret in loaded.secrets - {"pass word"})
    assert origin_of(loaded, "database.url")[0] == "postgresql://me:[redacted]@db/channelsync"


def test_plain_text_that_came_by_reference_is_hidden_too(read_config: ReadConfig) -> None:
    loaded = read_config(SHOP.replace('"uk.example.com"', '{ env = "SHOP" }'), {**TOKEN, "SHOP": "hush.example.com"})

    assert origin_of(loaded, "channel.shop-uk.settings.shop")[0] == "[redacted]"
    assert "hush.example.com" in loaded.secrets


def test_a_secret_that_the_command_line_overrides_is_no_longer_one(read_config: ReadConfig) -> None:
    loaded = read_config("", secrets={"channelsync_seller__name": "hush-hush"}, overrides={"seller.name": "Tea"})

    assert origin_of(loaded, "seller.name") == ("Tea", "command line --set seller.name")
    assert loaded.secrets == frozenset()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///data/own.db", "sqlite:///{folder}/data/own.db"),
        ("sqlite:////var/own.db", "sqlite:////var/own.db"),
        ("postgresql://db/channelsync", "postgresql://db/channelsync"),
    ],
)
def test_a_relative_sqlite_file_lies_beside_the_configuration(
    read_config: ReadConfig, tmp_path: Path, url: str, expected: str
) -> None:
    loaded = read_config(f'[database]\nurl = "{url}"\n')

    assert loaded.config.database.url == expected.format(folder=tmp_path)


RULES = """\
[[location]]
name = "outlet"
priority = 200
[[location]]
name = "main"
[[channel]]
name = "shop-uk"
connector = "bare"
oversell_target = 0.02
locations = ["outlet"]
[channel.rules]
buffer = "computed"
preorder_from_incoming = true
[[channel]]
name = "quiet"
connector = "bare"
[[rule]]
class = "fragile"
channel = "shop-uk"
buffer = { at_most = 4 }
[[rule]]
sku = "MUG"
last_units = { at_or_below = 2, preferred = ["shop-uk"] }
preorder_from_incoming = 5
[[rule]]
listing = "B1"
do_not_touch = true
locations = ["main"]
[[rule]]
buffer = "10%"
minimum_shown = 1
[[rule]]
location = "outlet"
buffer = 3
[[sku_class]]
name = "fragile"
skus = ["GLASS"]
"""


def test_rules_say_whom_they_are_for_and_which_line_says_so(read_config: ReadConfig) -> None:
    loaded = read_config(RULES)
    rules = {rule.id: rule for rule in rules_of(loaded.config, loaded.origins)}

    assert [rule.source for rule in rules.values()] == [
        "the priorities of [[location]]",
        *(f"config.toml line {line}" for line in (11, 17, 21, 25, 29, 32)),
    ]
    assert rules["all locations"].values.locations == ("main", "outlet")
    assert rules["shop-uk"].values.buffer == Computed(0.02)
    assert rules["shop-uk"].values.locations == ("outlet",)
    assert rules["shop-uk"].values.preorder_from_incoming == CountIncoming(None)
    assert rules["#1"].values.buffer == Computed(0.02, 4)
    assert rules["#1"].scope == RuleScope(channel="shop-uk", sku_class="fragile")
    assert rules["#2"].values.last_units == LastUnits(2, ("shop-uk",))
    assert rules["#2"].values.preorder_from_incoming == CountIncoming(5)
    assert rules["#3"].scope == RuleScope(listing="B1")
    assert (rules["#3"].values.do_not_touch, rules["#3"].values.locations) == (True, ("main",))
    assert rules["#4"].values.buffer == Percent(10)
    assert rules["#5"].values.buffer == Fixed(3)
    assert "quiet" not in rules


def test_rules_and_bundles_speak_of_items_where_somebody_knows_them(read_config: ReadConfig) -> None:
    text = RULES + '[[bundle]]\nsku = "SET"\nkind = "both"\nparts = [{ sku = "MUG", units = 2 }]\n'
    loaded = read_config(text)
    items = {"MUG": "item-1", "SET": "item-2"}.__getitem__

    rules: tuple[Rule, ...] = rules_of(loaded.config, item_of=items)

    assert [rule.scope.item for rule in rules if rule.scope.item] == ["item-1"]
    assert recipes_of(loaded.config, items) == {"item-2": Recipe("item-2", "both", (Part("item-1", 2),))}
    assert classes_of(loaded.config) == {"GLASS": "fragile"}


def test_a_buffer_above_all_units_is_no_error(read_config: ReadConfig) -> None:
    loaded = read_config("[[rule]]\nbuffer = 1_000_000\n")

    assert rules_of(loaded.config)[0].values.buffer == Fixed(1_000_000)


def test_a_file_saved_by_a_windows_editor_is_read_and_counted_like_any_other(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[seller]\r\n\r\nname = 'Tea'\r\n")

    loaded = config.load(path, {}, catalogue=catalogue, secrets_folder=tmp_path)

    assert origin_of(loaded, "seller.name") == ("Tea", "config.toml line 3")


# The example file


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

    def get(self, _name: str, _default: object = None) -> str:
        return "set"


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


def test_each_optional_setting_of_the_example_can_be_used_as_it_is_shown(read_config: ReadConfig) -> None:
    rules = {
        "share": "share = 40",
        "last_units": 'last_units = { at_or_below = 2, preferred = ["shop-uk"] }',
        "preorder": "preorder_from_incoming = true",
    }
    text = example_file(Catalogue({}, {}))
    assert all(line in text for line in rules.values())
    loaded = read_config(RULES + "".join(f"[[rule]]\nsku = 'S'\n{line}\n" for line in rules.values()))
    assert len(loaded.config.rules) == 8


def test_the_file_that_init_writes_is_valid_and_has_one_location(read_config: ReadConfig) -> None:
    loaded = read_config(first_file(installed()))

    assert [one.name for one in loaded.config.locations] == ["main"]
    assert loaded.config.channels == ()
    assert loaded.config.rules == ()


# Lines


TRICKY = """\
a = 1 # comment ] }
"b.c" . d = \"\"\"x
[not a table]
y = 1\"\"\"
[[channel]]
name = 'a'
  [channel.settings]
  token = { env = "X", list = [1,
    2, { q = "}" }] }
  list = [
    "a", # ]
    [1, 2],
  ]
[[channel]]
day = 1979-05-27 07:32:00
empty = \"\"\"\"\"\"
quotes = \"\"\"a\"\"\"\"\"
literal = '\\'
[channel.settings.deep]
x.y = true
[table."quoted \\" key"]
"""


def test_every_key_table_and_entry_has_its_line() -> None:
    lines = index_lines(TRICKY)

    assert lines["a",] == 1
    assert lines["b.c", "d"] == 2
    assert lines["channel", 0] == 5
    assert lines["channel", 0, "settings"] == 7
    assert lines["channel", 0, "settings", "token", "env"] == 8
    assert lines["channel", 0, "settings", "token", "list", 1] == 9
    assert lines["channel", 0, "settings", "token", "list", 2, "q"] == 9
    assert lines["channel", 0, "settings", "list", 1] == 12
    assert lines["channel", 1] == 14
    assert lines["channel", 1, "quotes"] == 17
    assert lines["channel", 1, "settings", "deep", "x", "y"] == 20
    assert lines["table", 'quoted " key'] == 21


def paths_of(values: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    pairs: Any = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for part, held in pairs:
        yield from paths_of(held, (*path, part))


# Each value with the number of its lines.
VALUES = st.sampled_from(
    [
        ("1", 1),
        ("-0.5e3", 1),
        ("true", 1),
        ("1979-05-27T07:32:00Z", 1),
        ('"a # b = ] } \\" \\\\"', 1),
        ("'c:\\'", 1),
        ('"""one\n[two]\n = """', 3),
        ("'''\n# '' '''", 2),
        ('""""quoted""""', 1),
        ("[]", 1),
        ("{}", 1),
        ('{ a = 1, "b c".d = [2] }', 1),
        ("[ # comment\n1,\n\n[2, '3'], ]", 4),
        ('[{ a = "]" }, { a = """\n""" }]', 2),
    ]
)
KEYS = st.sampled_from(["a", "b-c", "1", '"d e"', "'f'", "g.h", 'i . "j.k"', '"\\u0041"'])


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[tuple[str, int]]]:
    """A TOML text, and for some of its keys (as they are written) the line on which they stand."""
    lines: list[str] = []
    keys: list[tuple[str, int]] = []
    headers = draw(st.lists(st.sampled_from(["", "[t{}]", "[[u]]", "[[u.v]]", "[u.w{}]", '["x y".z{}]']), max_size=8))
    for number, header in enumerate(headers):
        lines.extend(draw(st.sampled_from([[], [""], ["# [no] = 1"], ["\t"]])))
        lines.append(header.format(number) if number else "# first")
        for place, key in enumerate(draw(st.lists(KEYS, max_size=3))):
            value, height = draw(VALUES)
            keys.append((f"n{number}_{place}", len(lines) + 1))
            before = "  " * draw(st.integers(0, 1))
            lines.extend(f"{before}n{number}_{place}.{key} = {value}".split("\n"))
            assert value.count("\n") + 1 == height
            lines[-1] += draw(st.sampled_from(["", " # done", "\t"]))
    return "\n".join(lines), keys


@given(documents())
def test_the_line_index_agrees_with_the_parser_on_any_document(document: tuple[str, list[tuple[str, int]]]) -> None:
    text, keys = document
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # for example [u.w1] before [[u]]
    lines = index_lines(text)

    assert set(paths_of(values)) <= set(lines)
    found = {path[-1]: line for path, line in lines.items()}
    assert all(found[name] == line for name, line in keys)
