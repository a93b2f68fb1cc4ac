"""The dead man's ping: an address outside is called while all is well, so that its silence is the alarm.

A call that fails harms nothing and is no finding: whoever waits for it hears of it by not hearing from us.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from channelsync.runtime.config import Loaded
from channelsync.sdk.breaker import Breaker
from channelsync.sdk.budgets import Budget
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import ChannelError
from channelsync.sdk.http import Call, HttpSettings, HttpTransport, Timeouts
from channelsync.sdk.limiter import Limiter
from channelsync.store import channels
from channelsync.store.channels import ChannelState
from channelsync.sync.agent import Agent
from channelsync.sync.schedule import Task
from channelsync.sync.setup import ChannelSetup
from channelsync.sync.switches import mode_now
from channelsync.sync.when import Every

TASK = "ping"

ANSWERS_WITHIN = 10.0
"""Seconds that the other side has."""


def ping_tasks(agent: Agent, loaded: Loaded, transport: httpx.AsyncBaseTransport | None = None) -> Sequence[Task]:
    """The ping, where one is configured. transport: None means the network."""
    alert = loaded.config.alert
    address = alert.ping_url
    if address is None:
        return ()

    async def ping() -> str:
        states = await agent.database.query(channels.channel_states)
        wrong = [f"{part} is late" for part in agent.beats.late()]
        wrong += down_for_long(agent.setup.channels, states, agent.clock.now(), alert.ping_down_for)
        if wrong:
            return f"not called: {'; '.join(wrong)}"
        return await call(address, agent.clock, transport)

    return [Task(name=TASK, when=Every(alert.ping_every), run=ping)]


def down_for_long(
    setups: Mapping[str, ChannelSetup], states: Mapping[str, ChannelState], now: datetime, longest: timedelta
) -> list[str]:
    """What is down for longer than it may be: channels whose numbers or orders cannot be read. Empty: nothing is.

    A channel that is polled seldom is as far behind as that by itself.
    """
    told = []
    for name, setup in setups.items():
        state = states.get(name)
        if setup.by_sku or state is None or mode_now(setup, state) == "off":
            continue
        if state.unreadable_since is not None and now - state.unreadable_since > longest:
            told.append(f"the numbers of {name} cannot be read")
        elif state.orders_asked_at is not None and now - state.orders_asked_at > longest + setup.poll * 2:
            told.append(f"the orders of {name} are not read")
    return told


async def call(url: SecretStr, clock: Clock, transport: httpx.AsyncBaseTransport | None = None) -> str:
    """Calls the address once and says what came of it. Raises nothing that the other side can cause."""
    text = url.get_secret_value()
    parts = urlsplit(text)
    settings = HttpSettings(
        channel=TASK,
        base_url=f"{parts.scheme}://{parts.netloc}",
        user_agent=f"channelsync/{version('channelsync')}",
        secrets=[url, SecretStr(text.removeprefix(f"{parts.scheme}://{parts.netloc}").strip("/") or text)],
        timeouts=Timeouts(total=ANSWERS_WITHIN),
    )
    limiter = Limiter([Budget("calls", 2, 1)], clock)
    rng = random.Random(secrets.randbits(64))  # noqa: S311 - spreads retries, guards nothing
    async with HttpTransport(
        settings, clock=clock, limiter=limiter, breaker=Breaker(TASK, clock), rng=rng, transport=transport
    ) as http:
        try:
            await http.request(Call("GET", text, "read", expect="bytes", attempts=2))
        except ChannelError as error:
            return f"called, and failed: {error}"
    return "called"
