"""A push of several calls: once one was answered nothing is raised, and every row hears what became of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from channelsync.sdk.contract import ContractClock
from channelsync.sdk.errors import (
    AnswerUnreadable,
    ChannelMisbehaved,
    NeedsSeller,
    NotSent,
    OutcomeUnknown,
    TryLater,
)
from channelsync.sdk.pushes import Written, push_in_groups, refuse_more_than, refuse_negative, row_after
from channelsync.sdk.values import PushResult, QuantityKey, QuantityUpdate

UPDATES = [QuantityUpdate(key=QuantityKey(f"K{place}"), value=5, listing="L") for place in range(5)]
GROUPS = [[0, 1], [2, 3], [4]]


class Calls:
    """Answers calls as told; takes all rows where nothing was told."""

    def __init__(self, clock: ContractClock, *told: object, takes: float = 0) -> None:
        self.clock, self.told, self.takes = clock, list(told), takes
        self.made: list[list[int]] = []

    async def __call__(self, places: Sequence[int]) -> Written:
        self.made.append([*places])
        await self.clock.sleep(self.takes)
        told = self.told.pop(0) if self.told else None
        if isinstance(told, Exception):
            raise told
        if isinstance(told, Written):
            return told
        return Written({place: PushResult.accepted(UPDATES[place].key) for place in places})


async def pushed(calls: Calls, begun: float | None = None) -> list[str]:
    results = await push_in_groups(UPDATES, GROUPS, calls, clock=calls.clock, seconds=60, begun=begun)
    assert {place: one.key.key for place, one in results.items()} == {place: f"K{place}" for place in range(5)}
    return [results[place].state for place in range(5)]


@pytest.fixture
def clock() -> ContractClock:
    return ContractClock()


async def test_every_group_is_one_call(clock: ContractClock) -> None:
    calls = Calls(clock)
    assert await pushed(calls) == ["accepted"] * 5
    assert calls.made == GROUPS


async def test_what_goes_again_goes_before_what_did_not_go_yet(clock: ContractClock) -> None:
    again = Written({0: PushResult.refused(UPDATES[0].key, "no")}, [[1]])
    calls = Calls(clock, again)
    assert await pushed(calls) == ["refused", *["accepted"] * 4]
    assert calls.made == [[0, 1], [1], [2, 3], [4]]


@pytest.mark.parametrize("error", [TryLater("x"), NeedsSeller("x"), OutcomeUnknown("x"), ChannelMisbehaved("x")])
async def test_what_the_first_call_raises_is_raised_and_nothing_follows_it(
    clock: ContractClock, error: Exception
) -> None:
    calls = Calls(clock, error)
    with pytest.raises(type(error)):
        await pushed(calls)
    assert calls.made == [[0, 1]]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (TryLater("x"), "not sent"),
        (NeedsSeller("x"), "not sent"),
        (ChannelMisbehaved("x"), "not sent"),
        (OutcomeUnknown("x"), "unknown"),
        (AnswerUnreadable("x"), "unknown"),
    ],
)
async def test_after_an_answer_a_failure_is_told_row_by_row(clock: ContractClock, error: Exception, state: str) -> None:
    calls = Calls(clock, None, error)
    assert await pushed(calls) == ["accepted", "accepted", state, state, "not sent"]
    assert calls.made == [[0, 1], [2, 3]], "a channel in trouble is left alone"


async def test_no_call_is_begun_when_those_before_it_took_too_long(clock: ContractClock) -> None:
    calls = Calls(clock, takes=31)
    assert await pushed(calls) == ["accepted"] * 4 + ["not sent"]


async def test_a_push_that_took_too_long_before_its_first_call_was_not_sent(clock: ContractClock) -> None:
    begun = clock.monotonic()
    await clock.sleep(61)
    calls = Calls(clock)
    with pytest.raises(NotSent, match="60 s"):
        await pushed(calls, begun)
    assert calls.made == []


def test_a_call_takes_so_many_rows_and_no_more() -> None:
    refuse_more_than(3, 3)
    with pytest.raises(ValueError, match="4 rows in one call; at most 3 go"):
        refuse_more_than(3, 4)


def test_no_number_below_0_is_ever_written() -> None:
    refuse_negative([replace(UPDATES[0], value=0), UPDATES[1]])
    with pytest.raises(ValueError, match="'K1'"):
        refuse_negative([UPDATES[0], replace(UPDATES[1], value=-1)])


def test_the_row_of_a_failed_call_is_unknown_only_where_it_may_have_been_done() -> None:
    key = UPDATES[0].key
    assert row_after(OutcomeUnknown("no answer"), key) == PushResult.unknown(key, "no answer")
    assert row_after(AnswerUnreadable("no JSON"), key) == PushResult.unknown(key, "no JSON")
    assert row_after(TryLater("busy"), key) == PushResult.not_sent(key, "busy")
