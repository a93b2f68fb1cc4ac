"""What the tests of the HTTP transport share: a transport with all it hangs on, and servers on loopback."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from channelsync.sdk.breaker import Breaker
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.http import Answer, Call, HttpSettings, HttpTransport
from channelsync.sdk.limiter import Budget, Limiter

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class StepClock:
    """Time moves only when somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.passed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)


class FullJitter(random.Random):
    """Always draws the longest wait."""

    def uniform(self, _a: float, b: float) -> float:
        return b


@dataclass
class Rig:
    """A transport with all that it hangs on."""

    http: HttpTransport
    clock: Any
    limiter: Limiter
    breaker: Breaker

    async def __aenter__(self) -> "Rig":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def error(self, call: Call) -> ChannelError:
        with pytest.raises(ChannelError) as caught:
            await self.http.request(call)
        return caught.value


def build_rig(
    *,
    clock: Clock | None = None,
    budgets: tuple[Budget, ...] = (Budget("calls", 1000, 100),),
    failures_max: int = 100,
    transport: httpx.AsyncBaseTransport | None = None,
    observe_answer: Callable[[Answer], None] | None = None,
    **settings: Any,
) -> Rig:
    clock = clock or StepClock()
    limiter = Limiter(budgets, clock)
    breaker = Breaker("shop", clock, failures_max=failures_max, cooldown=10)
    defaults = {"channel": "shop", "base_url": "http://shop.test/api", "user_agent": "channelsync/test"}
    http = HttpTransport(
        HttpSettings(**(defaults | settings)),
        clock=clock,
        limiter=limiter,
        breaker=breaker,
        rng=FullJitter(),
        transport=transport,
        observe_answer=observe_answer,
    )
    return Rig(http, clock, limiter, breaker)


@pytest.fixture
def rig() -> Callable[..., Rig]:
    """Builds a transport; by default its time moves only when somebody sleeps."""
    return build_rig


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server on loopback; each connection is handed over as it is."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, which is what some of these tests are about
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@pytest.fixture
def serve() -> Callable[[Handler], AbstractAsyncContextManager[str]]:
    """Serves connections on loopback by a handler for each; gives the base URL."""
    return serving
