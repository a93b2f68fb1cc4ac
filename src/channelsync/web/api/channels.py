"""/channels: mode, switches, how far orders were read, and what waits."""

from __future__ import annotations

from dataclasses import dataclass

from channelsync.sync.channels_shown import ChannelOnView, view_channels
from channelsync.web.api.endpoints import Answer, Call, Endpoint
from channelsync.web.api.named import known_channels

TOPIC = "Channels"


@dataclass(frozen=True, slots=True)
class Channels:
    """Every channel, in the order of the configuration."""

    items: list[ChannelOnView]


async def list_channels(call: Call, _said: object) -> Answer:
    """Every configured channel, as it is now."""
    return Answer(Channels(await call.look(lambda c: view_channels(c, call.agent.setup))))


async def show_channel(call: Call, _said: object) -> Answer:
    """One channel, as it is now."""
    (name,) = known_channels(call.agent.setup, [call.names["channel"]])
    found = await call.look(lambda c: view_channels(c, call.agent.setup))
    return Answer(next(one for one in found if one.name == name))


ENDPOINTS = (
    Endpoint(method="GET", path="/channels", scope="read", topic=TOPIC, run=list_channels, gives=Channels),
    Endpoint(
        method="GET",
        path="/channels/{channel}",
        scope="read",
        topic=TOPIC,
        run=show_channel,
        gives=ChannelOnView,
        misses=True,
    ),
)
