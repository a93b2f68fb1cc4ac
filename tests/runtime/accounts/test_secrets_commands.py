"""`channelsync secrets`: keys are made and replaced, secrets named, forgotten and sealed anew, never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channelsync.runtime.cli.exit_codes import ExitCode

Account = Any


@pytest.fixture
def connected(account: Account) -> Account:
    """The seller, with the account connected."""
    assert account.connects().code == ExitCode.DONE
    return account


def listed(account: Account) -> dict[str, str]:
    rows = [json.loads(line) for line in account.runs("secrets", "list", "--json").out.splitlines()]
    assert {row["channel"] for row in rows} <= {"agora"}
    return {row["name"]: row["sealed_with"] for row in rows}


def test_a_key_is_printed_alone_and_is_another_each_time(account: Account) -> None:
    first, second = account.runs("secrets", "key"), account.runs("secrets", "key")

    assert first.out != second.out
    (account.folder / "channelsync.key").write_text(first.out)
    assert account.connects().code == ExitCode.DONE


def test_secrets_are_named_and_never_shown(connected: Account) -> None:
    assert listed(connected) == {"refresh_token": "the newest key", "webhook_secrets": "the newest key"}
    shown = connected.runs("secrets", "list")
    assert "refresh_token" in shown.out
    assert connected.token not in shown.out + shown.err


def test_a_key_is_replaced_step_by_step_without_connecting_anew(connected: Account) -> None:
    connected.writes_config(keys=("new.key", "channelsync.key"))
    assert set(listed(connected).values()) == {"an older key"}
    assert connected.runs("channels", "check", "agora").code == ExitCode.DONE
    assert connected.runs("secrets", "reseal").err == "Sealed anew: 2.\n"
    assert set(listed(connected).values()) == {"the newest key"}
    connected.writes_config(keys=("new.key",))
    assert connected.runs("channels", "check", "agora").code == ExitCode.DONE
    assert json.loads(connected.runs("secrets", "reseal", "--json").out) == {"resealed": 0, "left": []}


def test_a_key_that_was_lost_is_told_everywhere(connected: Account) -> None:
    connected.writes_config(keys=("other.key",))

    assert set(listed(connected).values()) == {"no key that is configured"}
    resealed = connected.runs("secrets", "reseal")
    assert resealed.code == ExitCode.FOUND_WRONG
    assert "no key unseals refresh_token" in resealed.err
    pulled = connected.runs("listings", "pull", "--channel", "agora")
    assert pulled.code == ExitCode.UNREACHABLE
    assert "none of the keys of [secrets] unseals its 'refresh_token'" in pulled.err
    assert connected.connects().code == ExitCode.DONE


def test_resealing_needs_a_key(account: Account) -> None:
    account.writes_config(keys=())
    ran = account.runs("secrets", "reseal")

    assert ran.code == ExitCode.CONFIGURATION
    assert "channelsync secrets key" in ran.err


def test_a_forgotten_secret_is_gone(connected: Account) -> None:
    assert connected.runs("secrets", "forget", "agora", "refresh_token").code == ExitCode.DONE
    assert list(listed(connected)) == ["webhook_secrets"]
    assert connected.runs("listings", "pull", "--channel", "agora").code == ExitCode.UNREACHABLE
    again = connected.runs("secrets", "forget", "agora", "refresh_token")
    assert again.code == ExitCode.REFUSED


def test_init_makes_a_key_that_only_its_owner_reads_and_names_it(account: Account) -> None:
    folder = account.folder / "new"
    folder.mkdir()
    ran = account.runs("init", "--path", str(folder))
    key = folder / "channelsync.key"

    assert ran.code == ExitCode.DONE
    assert key.stat().st_mode & 0o777 == 0o600
    assert '\nkeys = [{ file = "channelsync.key" }]\n' in (folder / "config.toml").read_text()
    assert key.read_text().strip() not in ran.out + ran.err


def test_init_uses_a_key_that_is_there_already(account: Account) -> None:
    folder = account.folder / "new"
    folder.mkdir()
    key = account.runs("secrets", "key").out
    (folder / "channelsync.key").write_text(key)

    assert account.runs("init", "--path", str(folder)).code == ExitCode.DONE
    assert (folder / "channelsync.key").read_text() == key


def test_init_that_fails_leaves_no_key_behind(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = account.folder / "new"
    folder.mkdir()
    ran = account.runs("--set", "database.url=sqlite:////nowhere/at/all.db", "init", "--path", str(folder))

    assert ran.code != ExitCode.DONE
    assert list(folder.iterdir()) == []
