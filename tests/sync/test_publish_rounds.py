"""How many rounds one publishing tick has."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from channelsync.sdk.channel import Capabilities
from channelsync.sync import publish
from channelsync.sync.publish import ROUNDS_MAX, SURVEYED_AT_ONCE
from channelsync.sync.read_numbers import Published
from channelsync.sync.setup import ChannelSetup

FULL = SURVEYED_AT_ONCE


class Tick:
    """One tick whose rounds are what a test says: the keys that were due, and whether there is more."""

    def __init__(self, rounds: Iterator[tuple[Sequence[int], bool]], seconds_each: float = 0.0) -> None:
        self.done = Published()
        self.made = 0
        self._rounds = rounds
        self._seconds_each = seconds_each
        self._now = 0.0
        setup = ChannelSetup(name="shop", capabilities=Capabilities(), locations=("main",), tick=timedelta(minutes=1))
        self.channel: Any = SimpleNamespace(setup=setup, closing=False, woken=False)
        self.channel.wake_publisher = SimpleNamespace(set=lambda: setattr(self.channel, "woken", True))
        self.agent: Any = SimpleNamespace(stopping=False, clock=SimpleNamespace(monotonic=lambda: self._now))

    async def round(self, *_: Any, **__: Any) -> tuple[Sequence[int], bool]:
        self.made += 1
        self._now += self._seconds_each
        return next(self._rounds)

    async def happens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(publish, "_round", self.round)
        await publish._rounds(self.agent, self.channel, None, self.done)


def pages(many: int) -> Iterator[tuple[Sequence[int], bool]]:
    """A catalogue of which all is due, and nothing is left of a page once it was surveyed."""
    for page in range(many):
        yield range(page * FULL, (page + 1) * FULL), True
    yield (), False


async def test_a_catalogue_that_is_all_due_is_surveyed_in_one_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    tick = Tick(pages(50))
    await tick.happens(monkeypatch)
    assert tick.made == 51


async def test_keys_that_stay_due_are_looked_at_a_few_times_and_then_at_the_next_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tick = Tick(iter([(range(FULL), True)] * 50))
    await tick.happens(monkeypatch)
    assert tick.made == ROUNDS_MAX + 1, "the first survey was of keys that nobody had seen"


async def test_a_few_keys_that_were_read_are_looked_at_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    tick = Tick(iter([((1, 2), True)] * 50))
    await tick.happens(monkeypatch)
    assert tick.made == ROUNDS_MAX


async def test_after_the_time_of_a_tick_the_next_one_goes_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tick = Tick(pages(50), seconds_each=25.0)
    await tick.happens(monkeypatch)
    assert tick.made == 3
    assert tick.channel.woken
