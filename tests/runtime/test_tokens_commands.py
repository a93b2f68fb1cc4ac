"""`channelsync tokens`: a token is shown once, listed without itself, and revoked."""

from __future__ import annotations

import re
from typing import Any

from channelsync.runtime.cli.exit_codes import ExitCode


def test_a_token_is_printed_once_and_never_again(shopkeeper: Any) -> None:
    made = shopkeeper.runs("tokens", "create", "till", "--scope", "operate", "--expires", "90d")
    assert made.code == 0
    token = made.out.strip()
    assert re.fullmatch(r"cs_[A-Za-z0-9_-]{43}", token)
    assert "may operate, for 90d" in made.err
    assert token not in made.err
    listed = shopkeeper.runs("tokens", "list", "--json")
    (row,) = listed.rows
    assert (row["name"], row["scope"], row["state"], row["last_used_at"]) == ("till", "operate", "valid", None)
    assert token not in listed.out


def test_a_revoked_token_stays_in_the_list(shopkeeper: Any) -> None:
    shopkeeper.runs("tokens", "create", "till", "--scope", "read")
    assert "is revoked" in shopkeeper.runs("tokens", "revoke", "till").err
    assert "was revoked already" in shopkeeper.runs("tokens", "revoke", "till").err
    assert [row["state"] for row in shopkeeper.runs("tokens", "list", "--json").rows] == ["revoked"]


def test_what_cannot_be_a_token_is_refused_in_a_sentence(shopkeeper: Any) -> None:
    assert shopkeeper.runs("tokens", "create", "till").code == ExitCode.USAGE
    assert shopkeeper.runs("tokens", "create", "till", "--scope", "owner").code == ExitCode.USAGE
    assert shopkeeper.runs("tokens", "create", "till", "--scope", "read", "--expires", "90").code == ExitCode.USAGE
    assert shopkeeper.runs("tokens", "create", "a b", "--scope", "read").code == ExitCode.REFUSED
    assert shopkeeper.runs("tokens", "revoke", "nobody").code == ExitCode.REFUSED
    assert shopkeeper.runs("tokens", "list", "--json").rows == []
