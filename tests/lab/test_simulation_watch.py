"""The witness notes what left and what came back, also where a call came to nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from channelsync.lab.simulation_watch import Name, WatchedChannel, Witness
from channelsync.sdk.channel import Channel
from channelsync.sdk.errors import OutcomeUnknown, TryLater
from channelsync.sdk.values import KeyRead, PushResult, QuantityKey, QuantityUpdate

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MUG, CUP = QuantityKey("MUG"), QuantityKey("CUP")


class Clock:
    def now(self) -> datetime:
        return NOON


class Inner:
    """A channel that answers as told; an error is raised."""

    def __init__(self, answer: Sequence[Any] | Exception) -> None:
        self.answer = answer

    async def read(self, keys: Sequence[QuantityKey]) -> Sequence[Any]:
        return await self.push(())

    async def push(self, updates: Sequence[QuantityUpdate]) -> Sequence[Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def watched(answer: Sequence[Any] | Exception) -> tuple[WatchedChannel, Witness]:
    witness = Witness()
    return WatchedChannel("agora", cast(Channel, Inner(answer)), witness, cast(Any, Clock())), witness


def update(key: QuantityKey, generation: int) -> QuantityUpdate:
    return QuantityUpdate(
        key=key, value=3, listing=key.key, expected=None, idempotency=f"17-{generation}", lowering=False
    )


async def test_reads_are_noted_that_brought_a_number() -> None:
    reads = [
        KeyRead(key=MUG, value=3, asked=NOON, answered=NOON + timedelta(seconds=1)),
        KeyRead(key=CUP, value=None, asked=NOON, answered=NOON),
    ]
    channel, witness = watched(reads)
    await channel.read([MUG, CUP])
    assert witness.reads == {Name("agora", "MUG"): [(NOON, NOON + timedelta(seconds=1))]}
    assert (witness.keys_read, witness.read_calls) == (2, 1)


async def test_a_read_that_fails_is_noted_as_such() -> None:
    channel, witness = watched(TryLater("busy"))
    with pytest.raises(TryLater):
        await channel.read([MUG])
    assert (witness.failed, witness.reads) == ({"agora": [NOON]}, {})


async def test_a_write_is_noted_with_its_generation_before_it_leaves() -> None:
    channel, witness = watched(OutcomeUnknown("no answer"))
    with pytest.raises(OutcomeUnknown):
        await channel.push([update(MUG, 4)])
    assert [(one.key.key, one.generation, one.number) for one in witness.sent] == [("MUG", 4, 3)]
    assert witness.uncertain == {Name("agora", "MUG"): [NOON]}


async def test_refusals_are_kept_until_the_next_write_and_an_answer_with_a_number_is_a_read() -> None:
    channel, witness = watched([PushResult.refused(MUG, "revisions_spent")])
    await channel.push([update(MUG, 1)])
    assert witness.refused == {Name("agora", "MUG"): "revisions_spent"}
    cast(Inner, channel._inner).answer = [PushResult.accepted(MUG, shown=3)]
    await channel.push([update(MUG, 2)])
    assert witness.refused == {}
    assert witness.reads == {Name("agora", "MUG"): [(NOON, NOON)]}
