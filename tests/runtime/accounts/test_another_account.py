"""Commands on a channel whose credentials lead to another account than before: it is refused, nothing is changed."""

from __future__ import annotations

from typing import Any

import pytest

from channelsync.lab.marketplace_site import Site
from channelsync.lab.marketplace_values import Offer
from channelsync.runtime.cli.exit_codes import ExitCode

Account = Any

KEPT = (
    "SELECT identity FROM channel WHERE name = 'agora'",
    "SELECT listing, sku FROM listing",
    "SELECT id, identity FROM quantity_key",
    "SELECT id FROM ledger_entry",
    'SELECT "order" FROM sales_order',
)


@pytest.fixture
def elsewhere(account: Account, other_site: tuple[Site, str]) -> Account:
    """The seller, whose channel was connected and pulled; the same secret now leads to an account elsewhere."""
    account.site.marketplace.open_listing(Offer(listing="L-1", sku="MUG"), 9)
    assert account.connects().code == ExitCode.DONE
    assert account.runs("listings", "pull", "--channel", "agora").code == ExitCode.DONE
    assert account.runs("listings", "match", "--create-items", "--apply").code == ExitCode.DONE
    other, account.address = other_site
    other.api.tokens._accounts[account.token] = other.account
    for number, listing in enumerate(("L-1", "L-2"), start=3):
        other.marketplace.open_listing(Offer(listing=listing, sku="MUG"), number)
    account.writes_config()
    return account


@pytest.mark.parametrize(
    "command",
    [
        ("listings", "pull", "--channel", "agora"),
        ("reconcile", "--channel", "agora"),
        ("reconcile", "--channel", "agora", "--dry-run"),
        ("stock", "adopt", "--from", "agora", "--location", "main"),
        ("stock", "adopt", "--from", "agora", "--location", "main", "--dry-run"),
    ],
    ids=" ".join,
)
def test_a_command_refuses_another_account_than_before_and_changes_nothing(
    elsewhere: Account, command: tuple[str, ...]
) -> None:
    before = [elsewhere.rows(statement) for statement in KEPT]

    ran = elsewhere.runs(*command)

    assert ran.code == ExitCode.UNREACHABLE, ran.out + ran.err
    assert "the credentials are those of seller of bazaar, and this channel has been seller of agora" in ran.err
    assert [elsewhere.rows(statement) for statement in KEPT] == before
