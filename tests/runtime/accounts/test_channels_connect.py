"""`channelsync channels connect`: secrets are tried out, kept sealed, and used; wrong ones replace nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from channelsync.lab.faults import Fault, FaultKind
from channelsync.lab.marketplace_site import Site
from channelsync.runtime.cli.exit_codes import ExitCode

Account = Any


def points(out: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in out.splitlines():
        row = json.loads(line)
        found.setdefault(row["what"], []).append(row)
    return found


def test_the_guide_is_told_the_secret_asked_for_and_the_account_used(account: Account) -> None:
    ran = account.connects()

    assert ran.code == ExitCode.DONE, ran.err
    assert account.prompts == ["refresh_token"]
    assert "  1. Start a marketplace" in ran.err
    assert "https://agent.example.com/webhooks/agora" in ran.err
    assert points(ran.out)["credentials"][0]["found"] == "good: The Corner Shop (seller of agora)"
    shown = json.loads(account.runs("channels", "show", "agora", "--json").out)
    assert shown["identity"] == "seller of agora"
    assert account.runs("listings", "pull", "--channel", "agora").code == ExitCode.DONE


def test_connecting_registers_the_webhooks_and_keeps_their_secrets(account: Account) -> None:
    ran = account.connects()

    found = account.site.api.subscriptions.of("agora")
    assert {(one.url, one.topics) for one in found} == {
        ("https://agent.example.com/webhooks/agora", (topic,))
        for topic in ("order.created", "order.updated", "order.cancelled", "number.changed")
    }
    assert "registered order.created" in points(ran.out)["repair"][0]["found"]
    assert [name for _, name in account.rows("SELECT channel, name FROM channel_secret ORDER BY name")] == [
        "refresh_token",
        "webhook_secrets",
    ]


def test_without_a_public_address_no_webhook_is_registered_and_the_guide_says_how(account: Account) -> None:
    account.writes_config(public_url="")
    ran = account.connects()

    assert ran.code == ExitCode.DONE
    assert "set public_url below [web]" in ran.err
    assert account.site.api.subscriptions.of("agora") == []
    assert "no public address" in points(ran.out)["webhooks"][0]["found"]


def test_connecting_again_keeps_what_is_there_when_nothing_is_typed(account: Account) -> None:
    account.connects()
    before = account.rows("SELECT saved_at FROM channel_secret WHERE name = 'refresh_token'")
    account.answers = [""]
    ran = account.runs("channels", "connect", "agora")

    assert ran.code == ExitCode.DONE
    assert account.prompts[-1] == "refresh_token (Enter keeps the present one)"
    assert account.rows("SELECT saved_at FROM channel_secret WHERE name = 'refresh_token'") == before
    assert len(account.site.api.subscriptions.of("agora")) == 4


def test_a_secret_is_read_from_a_file_or_standard_input_and_never_from_the_command_line(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account.folder / "token").write_text(f"{account.token}\n")
    from_file = account.runs("channels", "connect", "agora", "--secret", f"refresh_token=@{account.folder / 'token'}")
    assert from_file.code == ExitCode.DONE
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{account.token}\n"))
    assert account.runs("channels", "connect", "agora", "--secret", "refresh_token=-").code == ExitCode.DONE
    refused = account.runs("channels", "connect", "agora", "--secret", f"refresh_token={account.token}")

    assert refused.code == ExitCode.USAGE
    assert account.token not in refused.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--secret", "tokn=-"], "the channel keeps no such secret; it keeps: refresh_token"),
        (["--secret", "refresh_token=@/nowhere/at/all"], "cannot be read"),
        (["--secret", "refresh_token"], "write NAME=@FILE"),
        ([], "There is no terminal to ask at for refresh_token"),
    ],
)
def test_what_cannot_be_read_is_a_wrong_command_line_and_nothing_is_kept(
    account: Account, options: list[str], said: str
) -> None:
    ran = account.runs("channels", "connect", "agora", *options)

    assert ran.code == ExitCode.USAGE
    assert said in ran.err
    assert account.rows("SELECT name FROM channel_secret") == []


def test_without_a_key_nothing_is_asked_for_and_the_way_to_make_one_is_told(account: Account) -> None:
    account.writes_config(keys=())
    account.answers = []
    ran = account.runs("channels", "connect", "agora")

    assert ran.code == ExitCode.CONFIGURATION
    assert "Run `channelsync secrets key > channelsync.key`" in ran.err


def test_a_secret_that_the_channel_refuses_does_not_replace_the_one_that_is_there(account: Account) -> None:
    account.connects()
    ran = account.connects("rt-mistyped")

    assert ran.code == ExitCode.UNREACHABLE
    assert "what was there before is there still" in ran.err
    assert account.runs("listings", "pull", "--channel", "agora").code == ExitCode.DONE


def test_a_first_secret_that_is_refused_is_kept_and_the_check_says_what_to_do(account: Account) -> None:
    ran = account.connects("rt-mistyped")

    assert ran.code == ExitCode.FOUND_WRONG
    credentials = points(ran.out)["credentials"][0]
    assert (credentials["found"], credentials["fine"]) == ("refused", False)
    assert "Connect the account anew" in credentials["advice"]
    assert account.site.api.subscriptions.of("agora") == []


def test_the_secrets_of_another_account_are_refused_and_nothing_is_kept(
    account: Account, other_site: tuple[Site, str]
) -> None:
    account.connects()
    before = account.rows("SELECT sealed FROM channel_secret WHERE name = 'refresh_token'")
    other, account.address = other_site
    account.writes_config()
    ran = account.connects(other.account.refresh_token)

    assert ran.code == ExitCode.REFUSED
    assert "These secrets are of seller of bazaar, and agora was seller of agora until now" in ran.err
    assert account.rows("SELECT sealed FROM channel_secret WHERE name = 'refresh_token'") == before
    assert other.api.subscriptions.of("bazaar") == []


def test_a_channel_that_is_down_keeps_nobody_from_keeping_its_secrets(account: Account) -> None:
    account.site.api.faults.faults = (down(account),)
    ran = account.connects()

    assert ran.code == ExitCode.FOUND_WRONG
    assert "could not be asked for now" in ran.err
    assert account.rows("SELECT name FROM channel_secret") == [("refresh_token",)]


def down(account: Account) -> Fault:
    now = account.site.marketplace.now()
    return Fault(kind=FaultKind.TOO_MANY, starts=now, ends=now + timedelta(days=1), retry_after=3600)


def test_a_channel_without_its_secret_says_what_to_run(account: Account) -> None:
    ran = account.runs("listings", "pull", "--channel", "agora")

    assert ran.code == ExitCode.UNREACHABLE
    assert "run `channelsync channels connect agora`" in ran.err


def test_an_unknown_channel_is_refused_with_the_nearest_name(account: Account) -> None:
    ran = account.runs("channels", "connect", "agoar")

    assert ran.code == ExitCode.REFUSED
    assert "did you mean 'agora'?" in ran.err


def test_a_channel_that_takes_nothing_from_the_vault_is_checked_at_once(account: Account) -> None:
    ran = account.runs("channels", "connect", "shop", "--json")

    assert ran.code == ExitCode.DONE, ran.err
    assert "none is asked for" in ran.err
    assert points(ran.out)["credentials"][0]["fine"] is True


@pytest.mark.postgresql
def test_connecting_works_on_postgresql(account_at: Callable[[str], Account], postgresql_url: str) -> None:
    account = account_at(postgresql_url)

    assert account.connects().code == ExitCode.DONE
    assert account.runs("channels", "check", "agora").code == ExitCode.DONE
