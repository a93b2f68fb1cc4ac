"""How workers share the accounts."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from channelsync.sync.sharing import may_take, to_hand_over

WORKERS = ("a", "b", "c", "d")
ACCOUNTS = tuple(f"account-{number}" for number in range(6))


def of(worker: str, owners: dict[str, str]) -> list[str]:
    return [account for account, owner in owners.items() if owner == worker]


def test_a_worker_that_comes_gets_half_of_what_the_only_one_has() -> None:
    owners = dict.fromkeys(ACCOUNTS, "a")
    assert to_hand_over("a", ["a", "b"], owners, ACCOUNTS) == ["account-0", "account-1", "account-2"]


def test_nothing_is_handed_over_when_no_other_worker_is_alive() -> None:
    owners = dict.fromkeys(ACCOUNTS, "a") | {"account-5": "dead"}
    assert to_hand_over("a", ["a"], owners, of("a", owners)) == []


def test_nothing_is_handed_over_for_a_difference_of_one() -> None:
    owners = {"account-0": "a", "account-1": "a", "account-2": "b"}
    assert to_hand_over("a", ["a", "b"], owners, of("a", owners)) == []


@given(
    st.lists(st.sampled_from(WORKERS), min_size=len(ACCOUNTS), max_size=len(ACCOUNTS)),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_workers_come_to_even_shares_whoever_looks_first(held: list[str], count: int, dice: Random) -> None:
    alive = WORKERS[:count]
    owners = {account: owner if owner in alive else "" for account, owner in zip(ACCOUNTS, held, strict=True)}
    for me in [one for _ in range(20) for one in dice.sample(alive, count)]:
        free = [account for account, owner in owners.items() if not owner]
        for account in free:
            if may_take(me, alive, owners):
                owners[account] = me
        for account in [] if free else to_hand_over(me, alive, owners, of(me, owners)):
            owners[account] = ""
    for me in alive * 6:
        for account in [one for one, owner in owners.items() if not owner]:
            if may_take(me, alive, owners):
                owners[account] = me
    counts = [len(of(worker, owners)) for worker in alive]
    assert sum(counts) == len(ACCOUNTS)
    assert max(counts) - min(counts) <= 1
