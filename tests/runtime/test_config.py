"""What a good configuration means: sources and their order, origins, secrets, rules, bundles."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from channelsync.domain.bundles import Part, Recipe
from channelsync.domain.rules import Computed, CountIncoming, Fixed, LastUnits, Percent, Rule, RuleScope
from channelsync.runtime import config
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_domain import classes_of, recipes_of, rules_of
from channelsync.sdk.discovery import Catalogue

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


@pytest.mark.fault(63, "a buffer above all units shows 0 and is no error")
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
