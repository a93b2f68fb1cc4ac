"""How much one run may change before it waits for approval: [guard] for all channels, [channel.guard] for one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from channelsync.domain.guard import GuardLimits
from channelsync.runtime.config_rules import Group
from channelsync.runtime.config_values import Flag, Share

Multiple = Annotated[float, Field(strict=True, ge=0, le=1000)]
Least = Annotated[int, Field(strict=True, ge=1, le=10**6)]


class GuardConfig(Group):
    """A command, an import, a change of rules, mappings or this file that would change more of a channel than this is
    held there as a plan: see `channelsync approvals`. What orders take is never held and does not count."""

    on: Flag = True
    """false: nothing is ever held. Default true."""

    listings: Share = 0.2
    """Share, 0 to 1, of a channel's listings whose number one run may change. Default 0.2; 1 sets no limit."""

    zeroed: Share = 0.1
    """Share, 0 to 1, of a channel's listings that one run may bring to 0. Default 0.1: a file of the wrong location
    zeroes far more. 1 sets no limit."""

    units: Multiple = 0.5
    """Units that one run may add and take on a channel, as a share of what it shows. Default 0.5: half as many; 2.0
    would be twice as many."""

    value: Multiple = 0.5
    """The same in money, as far as unit costs are known. Default 0.5."""

    least: Least = 10
    """A run that changes fewer listings of a channel than this is never held. Default 10: what is done by hand goes
    out at once."""


class ChannelGuardConfig(Group):
    """Where one channel's limits differ from those of [guard]."""

    on: Annotated[Flag | None, Field(examples=[False])] = None
    """As at [guard]."""

    listings: Annotated[Share | None, Field(examples=[0.5])] = None
    """As at [guard]."""

    zeroed: Annotated[Share | None, Field(examples=[0.05])] = None
    """As at [guard]."""

    units: Annotated[Multiple | None, Field(examples=[1.0])] = None
    """As at [guard]."""

    value: Annotated[Multiple | None, Field(examples=[0.25])] = None
    """As at [guard]."""

    least: Annotated[Least | None, Field(examples=[1])] = None
    """As at [guard]."""


def limits_of(everywhere: GuardConfig, here: ChannelGuardConfig) -> GuardLimits | None:
    """The limits of a channel; None: nothing is held there."""
    said = everywhere.model_dump() | here.model_dump(exclude_none=True)
    return GuardLimits(**said) if said.pop("on") else None
