"""What a reload would do: which settings take effect, which need a restart, which channels open anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from channelsync.runtime.config import Loaded
from channelsync.runtime.reload_plan import reload_of

ReadConfig = Callable[..., Loaded]
BASE = """\
[database]
url = "sqlite:///one.db"
[limits]
hot_probability = 0.001
[[location]]
name = "main"
[[channel]]
name = "shop"
connector = "shop"
settings = { shop = "x", token = "first-secret" }
"""


def test_the_same_file_changes_nothing(read_config: ReadConfig) -> None:
    plan = reload_of(read_config(BASE), read_config(BASE))
    assert plan.nothing
    assert plan.waiting == ()


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("one.db", "two.db", "database.url"),
        ("[limits]", '[web]\nlisten = "127.0.0.1:9"\n[limits]', "web.listen"),
        ("hot_prob", 'lease = "9s"\nhot_prob', "limits.lease"),
        ("[limits]", '[log]\nformat = "json"\n[limits]', "log.format"),
    ],
)
def test_what_needs_a_restart_is_named_and_keeps_its_value(
    read_config: ReadConfig, old: str, new: str, key: str
) -> None:
    before = read_config(BASE)
    plan = reload_of(before, read_config(BASE.replace(old, new)))
    assert plan.waiting == (key,)
    assert plan.nothing
    group, _, name = key.partition(".")
    assert getattr(getattr(plan.loaded.config, group), name) == getattr(getattr(before.config, group), name)
    shown = {one.key: one.value for one in plan.loaded.values}
    assert shown[key] == {one.key: one.value for one in before.values}[key]


def test_rules_and_limits_take_effect_and_open_no_channel_anew(read_config: ReadConfig) -> None:
    plan = reload_of(read_config(BASE), read_config(BASE.replace("0.001", "0.01") + "[channel.rules]\nbuffer = 2\n"))
    assert set(plan.changed) == {"limits.hot_probability", "channel.shop.rules.buffer"}
    assert (plan.added, plan.removed, plan.reopened) == ((), (), ())
    assert plan.loaded.config.limits.hot_probability == 0.01


def test_channels_that_come_go_or_get_other_settings_are_told_apart(read_config: ReadConfig) -> None:
    other = '[[channel]]\nname = "bare"\nconnector = "bare"\n'
    assert reload_of(read_config(BASE), read_config(BASE + other)).added == ("bare",)
    assert reload_of(read_config(BASE + other), read_config(BASE)).removed == ("bare",)
    assert reload_of(read_config(BASE), read_config(BASE.replace('"x"', '"y"'))).reopened == ("shop",)


def test_a_secret_that_was_replaced_opens_the_channel_anew_and_both_stay_hidden(read_config: ReadConfig) -> None:
    before = read_config(BASE)
    plan = reload_of(before, read_config(BASE.replace("first-secret", "second-secret")))
    assert plan.reopened == ("shop",)
    assert not plan.nothing
    assert {"first-secret", "second-secret"} <= set(plan.loaded.secrets)
    assert {"first-secret", "second-secret"} <= set(before.secrets)
    assert "secret" not in str(plan.changed)


def test_another_ping_address_is_a_change_though_its_value_is_never_shown(read_config: ReadConfig) -> None:
    texts = [BASE + f'[alert]\nping_url = "https://ping.test/{name}"\n' for name in ("aaaa", "bbbb")]
    plan = reload_of(*(read_config(text) for text in texts))
    assert plan.changed == ("alert",)
    assert plan.loaded.config.alert.ping_url == SecretStr("https://ping.test/bbbb")
