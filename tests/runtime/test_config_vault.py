"""`{ stored = "name" }` in [channel.settings], the vault's keys and the public address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from channelsync.runtime.config import Loaded
from channelsync.runtime.logging import Redactor
from channelsync.runtime.secrets import PLACEHOLDER, HiddenTexts
from channelsync.runtime.wiring import receiver_of
from channelsync.sync.vault import new_key

ReadConfig = Callable[..., Loaded]
Complaints = Callable[..., list[str]]
SHOP = """\
[[location]]
name = "main"
[[channel]]
name = "shop-uk"
connector = "shop"
[channel.settings]
shop = "uk"
"""
KEY = new_key()


def test_a_secret_of_the_vault_is_named_and_shown_as_such(read_config: ReadConfig) -> None:
    loaded = read_config(f'{SHOP}token = {{ stored = "token" }}\nold_tokens = ["plain-one", {{ stored = "old" }}]\n')
    shown = {one.key: (one.value, one.origin) for one in loaded.values}

    assert shown["channel.shop-uk.settings.token"] == ("stored in the vault", "config.toml line 8")
    assert shown["channel.shop-uk.settings.old_tokens"][0] == ["[redacted]", "stored in the vault"]
    stored = loaded.stored["shop-uk"]
    assert dict(stored.wanted) == {("token",): "token", ("old_tokens", 1): "old"}
    assert stored.names == ("token", "old")
    assert set(loaded.secrets) == {"plain-one"}
    assert PLACEHOLDER not in repr(stored)


def test_a_channel_without_such_a_secret_takes_nothing_from_the_vault(read_config: ReadConfig) -> None:
    assert dict(read_config(f'{SHOP}token = "plain-one"\n').stored) == {}


@pytest.mark.parametrize(
    "text",
    [
        SHOP.replace('shop = "uk"', 'shop = { stored = "shop" }') + 'token = "abcd"\n',
        SHOP + 'token = { stored = "" }\n',
        SHOP + 'token = { stored = "a b" }\n',
        SHOP + "token = { stored = 7 }\n",
        SHOP + 'token = "abcd"\n[secrets]\nkeys = [{ stored = "key" }]\n',
        SHOP + 'token = "abcd"\n[database]\nurl = { stored = "url" }\n',
    ],
)
def test_the_vault_can_be_named_only_where_a_connectors_secret_stands(complaints: Complaints, text: str) -> None:
    (told,) = complaints(text)
    assert told.endswith('should be text, { env = "NAME" } or { file = "PATH" }')


@pytest.mark.parametrize(
    "environ",
    [
        {"CHANNELSYNC_SECRETS__KEYS": KEY},
        {"CHANNELSYNC_SECRETS__KEYS": f'["{KEY}"]'},
        {"CHANNELSYNC_SECRETS__KEYS": f"{KEY}\n{KEY}\n"},
    ],
)
def test_keys_can_come_from_the_environment(read_config: ReadConfig, environ: dict[str, str]) -> None:
    loaded = read_config("", environ)

    assert {one.get_secret_value() for one in loaded.config.secrets.keys} == {KEY}
    assert KEY in loaded.secrets
    assert KEY not in str(loaded.values)


def test_keys_can_come_from_a_mounted_secret(read_config: ReadConfig) -> None:
    loaded = read_config("", secrets={"channelsync_secrets__keys": f"{KEY}\n"})

    assert [one.get_secret_value() for one in loaded.config.secrets.keys] == [KEY]
    assert KEY not in str(loaded.values)


def test_a_key_that_is_none_is_told_without_showing_it(complaints: Complaints) -> None:
    (told,) = complaints('[secrets]\nkeys = ["canary-that-is-no-key"]\n')

    assert "should be a key as `channelsync secrets key` makes it" in told
    assert "canary" not in told


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("", None),
        ("https://agent.example.com", "https://agent.example.com/webhooks/shop-uk"),
        ("https://agent.example.com/", "https://agent.example.com/webhooks/shop-uk"),
        ("https://example.com:8443/agent", "https://example.com:8443/agent/webhooks/shop-uk"),
    ],
)
def test_deliveries_go_below_the_public_address(read_config: ReadConfig, given: str, address: str | None) -> None:
    loaded = read_config(f'[web]\npublic_url = "{given}"\n')

    assert receiver_of(loaded.config, "shop-uk") == address


@pytest.mark.parametrize("given", ["http://agent.example.com", "agent.example.com", "https://", "https://a.b/?x=1"])
def test_an_address_that_channels_cannot_deliver_to_is_refused(complaints: Complaints, given: str) -> None:
    (told,) = complaints(f'[web]\npublic_url = "{given}"\n')
    assert "should be https://HOST" in told


def test_texts_join_what_is_hidden_and_the_newest_two_of_each_stay() -> None:
    hidden = HiddenTexts(["fixed"])
    for text in ("one", "two", "two", "", "three"):
        hidden.add("shop", "token", text)
    hidden.add("market", "token", "four")

    assert hidden == {"fixed", "two", "three", "four"}
    assert hidden.changes == 4
    assert "three" in hidden
    assert "three" not in repr(hidden)


def test_a_log_hides_a_secret_that_came_up_after_logging_began() -> None:
    hidden = HiddenTexts()
    redactor = Redactor(hidden)
    line: dict[str, Any] = {"message": "token shh-canary refused"}
    assert redactor(None, "info", dict(line)) == line
    hidden.add("shop", "token", "shh-canary")
    assert redactor(None, "info", dict(line)) == {"message": "token [redacted] refused"}
