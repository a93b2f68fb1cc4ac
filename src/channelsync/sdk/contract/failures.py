"""Failures: each becomes the error that says what the daemon does next, and none of them tells a secret."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr

from channelsync.sdk.channel import Capabilities, Channel
from channelsync.sdk.clock import Clock
from channelsync.sdk.contract.base import (
    ContractBase,
    OpenChannel,
    everything,
    lag_of_writes,
    pages_from,
    push_one,
    update,
)
from channelsync.sdk.contract.faults import HttpFaults
from channelsync.sdk.contract.world import CANARY, Fault, Offered, World
from channelsync.sdk.errors import ChannelError, ChannelMisbehaved, NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.values import PushResult

RETRY_AFTER = 37.0
"""Seconds that a throttled answer tells."""

UNREADABLE = (Fault.HTML, Fault.EMPTY, Fault.CUT, Fault.WRONG_SHAPE)

Ask = Callable[[Channel, Offered, str, Clock], Awaitable[object]]

READS: dict[str, Ask] = {
    "check": lambda channel, _offered, _order, _clock: channel.check(),
    "orders": lambda channel, _offered, _order, _clock: pages_from(channel),
    "orders_by_id": lambda channel, _offered, order, _clock: channel.orders_by_id([order]),
    "order_ids": lambda channel, _offered, _order, clock: everything(channel.order_ids(clock.now().date())),
    "listings": lambda channel, _offered, _order, _clock: everything(channel.listings()),
    "listings_by_id": lambda channel, offered, _order, _clock: channel.listings_by_id([offered.listing]),
    "read": lambda channel, offered, _order, _clock: channel.read([offered.key]),
}
"""Every way of asking that changes nothing."""

CALLS: dict[str, Ask] = {**READS, "push": lambda channel, offered, _order, _clock: push_one(channel, offered, 5)}
"""Every call there is."""


class FailureContract(ContractBase):
    """Which failure raises what. Each call is made on a channel that was opened anew and worked before."""

    @pytest.mark.parametrize("retry_after", [RETRY_AFTER, None])
    @pytest.mark.parametrize("call", list(CALLS))
    async def test_a_throttled_call_is_tried_later(
        self, world: World, clock: Clock, open_channel: OpenChannel, call: str, retry_after: float | None
    ) -> None:
        error = await self._failing(world, clock, open_channel, call, Fault.THROTTLED, retry_after)
        assert isinstance(error, TryLater)
        if retry_after is not None:
            assert error.retry_after is not None, "the channel said how long to wait"
            assert error.retry_after >= retry_after - 1

    @pytest.mark.parametrize("fault", [Fault.UNAUTHORISED, Fault.FORBIDDEN])
    @pytest.mark.parametrize("call", list(CALLS))
    async def test_a_call_that_is_not_allowed_needs_the_seller(
        self, world: World, clock: Clock, open_channel: OpenChannel, call: str, fault: Fault
    ) -> None:
        error = await self._failing(world, clock, open_channel, call, fault)
        assert isinstance(error, NeedsSeller)
        assert error.what_to_do

    @pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.NO_ANSWER, Fault.NO_ANSWER_AFTER])
    @pytest.mark.parametrize("call", list(READS))
    async def test_a_read_that_fails_is_tried_later(
        self, world: World, clock: Clock, open_channel: OpenChannel, call: str, fault: Fault
    ) -> None:
        error = await self._failing(world, clock, open_channel, call, fault)
        assert isinstance(error, TryLater)
        assert not isinstance(error, OutcomeUnknown), "a read changes nothing, so its outcome matters to nobody"

    @pytest.mark.parametrize("fault", UNREADABLE)
    @pytest.mark.parametrize("call", list(CALLS))
    async def test_an_answer_that_cannot_be_read_is_a_bug_of_somebody(
        self, world: World, clock: Clock, open_channel: OpenChannel, call: str, fault: Fault
    ) -> None:
        error = await self._failing(world, clock, open_channel, call, fault)
        assert isinstance(error, ChannelMisbehaved)
        assert not [text for text in (*CANARY, *world.canaries) if text in _written(error)], (
            "the buyer's data is in the error"
        )

    @pytest.mark.parametrize("fault", [Fault.NO_ANSWER, Fault.NO_ANSWER_AFTER, Fault.SERVER_ERROR])
    async def test_a_write_without_an_answer_has_an_unknown_outcome(
        self, world: World, open_channel: OpenChannel, capabilities: Capabilities, fault: Fault
    ) -> None:
        offered = await world.offer("MUG-BLUE", 10)
        async with open_channel() as channel:
            await push_one(channel, offered, 9)
            await world.advance(lag_of_writes(capabilities))
            await world.fail(fault)
            try:
                outcome = (await push_one(channel, offered, 5)).state
            except OutcomeUnknown:
                outcome = "unknown"
            await world.heal()
            assert outcome == "unknown", "a write may only be called accepted or refused when the channel said so"
        await world.advance(lag_of_writes(capabilities))
        if fault is Fault.NO_ANSWER_AFTER:
            assert await world.number(offered.key) == 5, "this world's fault did not let the write through"

    @pytest.mark.parametrize("after", range(5))
    @pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.THROTTLED, Fault.NO_ANSWER_AFTER])
    async def test_a_push_that_breaks_off_tells_of_each_row_whether_it_left(
        self,
        world: World,
        open_channel: OpenChannel,
        capabilities: Capabilities,
        transport: httpx.AsyncBaseTransport | None,
        fault: Fault,
        after: int,
    ) -> None:
        """Where a call of several fails: not sent is what provably never left, and nothing that did not is unknown."""
        if not isinstance(transport, HttpFaults):
            pytest.skip("there is no HTTP, so no call of several can fail")
        many = [await world.offer(f"SKU-{place}", 10) for place in range(min(capabilities.updates_per_push, 5))]
        results: list[PushResult] = []
        error: ChannelError | None = None
        async with open_channel() as channel:
            await channel.read([many[0].key])
            transport.fail(fault, after=after)
            try:
                results = list(await channel.push([update(one, 4) for one in many]))
            except ChannelError as raised:
                error = raised
            transport.heal()
        await world.advance(lag_of_writes(capabilities))
        numbers = {one.key: await world.number(one.key) for one in many}
        if error is not None:
            assert isinstance(error, OutcomeUnknown) or set(numbers.values()) == {10}, "what was written must be told"
        for one in results:
            assert one.state in ("accepted", "not sent", "unknown"), one
            assert one.reason or one.state == "accepted", "it says why"
            if one.state != "unknown":
                assert numbers[one.key] == (4 if one.state == "accepted" else 10), one
            assert one.state != "unknown" or fault is Fault.NO_ANSWER_AFTER, "the channel did nothing, and said so"

    async def test_after_a_failure_the_next_call_succeeds(self, world: World, open_channel: OpenChannel) -> None:
        async with open_channel() as channel:
            name = (await channel.check()).name
            await world.fail(Fault.THROTTLED, retry_after=RETRY_AFTER)
            with pytest.raises(TryLater):
                await channel.check()
            await world.heal()
        async with open_channel() as channel:
            assert (await channel.check()).name == name, "the identity is the account's, the same after a restart"

    async def _failing(
        self,
        world: World,
        clock: Clock,
        open_channel: OpenChannel,
        call: str,
        fault: Fault,
        retry_after: float | None = None,
    ) -> ChannelError:
        """The error that one call ends in while every call fails so."""
        offered = await world.offer("MUG-BLUE", 10)
        order = await world.buy((offered, 1))
        async with open_channel() as channel:
            await CALLS[call](channel, offered, order, clock)
            await world.fail(fault, retry_after=retry_after)
            with pytest.raises(ChannelError) as caught:
                await CALLS[call](channel, offered, order, clock)
        return caught.value


class SecretContract(ContractBase):
    """Secrets appear in no log line, exception or repr."""

    @pytest.mark.parametrize("fault", [None, *Fault])
    async def test_no_secret_is_written_anywhere(
        self,
        world: World,
        clock: Clock,
        open_channel: OpenChannel,
        channel_settings: BaseModel,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
        fault: Fault | None,
    ) -> None:
        secrets = [*secrets_in(channel_settings)]
        if not secrets:
            pytest.skip("the settings hold no secret")
        caplog.set_level(logging.DEBUG)
        offered = await world.offer("MUG-BLUE", 10)
        order = await world.buy((offered, 1))
        written = [repr(channel_settings), str(channel_settings), repr(self.connector)]
        if fault is not None:
            await world.fail(fault)
        for ask in CALLS.values():
            async with open_channel() as channel:
                try:
                    written.append(repr(await ask(channel, offered, order, clock)))
                except ChannelError as error:
                    written.append(_written(error))
                written += [repr(channel), repr(vars(channel) if hasattr(channel, "__dict__") else "")]
        await world.heal()
        captured = capsys.readouterr()
        text = "\n".join([*written, captured.out, captured.err, caplog.text])
        found = [place for place, secret in enumerate([*secrets, *world.secrets]) if secret in text]
        assert not found, f"secrets were written: those at {found} of the settings' and the world's"


def secrets_in(value: Any) -> Iterator[str]:
    """Every secret text in a connector's settings, however deep."""
    if isinstance(value, SecretStr):
        if value.get_secret_value():
            yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name))
    elif isinstance(value, dict):
        yield from _all_in(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from _all_in(value)


def _all_in(values: Iterable[Any]) -> Iterator[str]:
    for one in values:
        yield from secrets_in(one)


def _written(error: BaseException) -> str:
    """All that a log may say of an error, its causes included."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__) + repr(error.__context__)
