"""Connecting an account: what the seller must do at the channel, and what a check of the account finds.

`channels connect NAME` shows a connector's guide, asks for the secrets that the configuration takes from the vault,
and checks the account; `channels check` asks `Inspects`, where a channel has it, beside what it can tell of any one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, SecretStr

from channelsync.sdk.resources import Resources


@dataclass(frozen=True, slots=True)
class CheckPoint:
    """One thing that was looked at. what: e.g. `permissions`. found: a sentence. advice: what to do; "" when fine."""

    what: str
    found: str
    advice: str = ""

    @property
    def fine(self) -> bool:
        """Whether nothing need be done."""
        return not self.advice


@runtime_checkable
class Inspects(Protocol):
    """A channel that can tell more about its account than whether it lets us in."""

    async def inspect(self) -> Sequence[CheckPoint]:
        """Permissions (missing ones by name), locations, and whatever else can be set wrongly at this channel.

        Not credentials, clock, budget and webhooks: these are looked at for every channel alike. May raise what
        `Channel.check` may.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """How a channel hands out a token after the seller has agreed in a browser.

    address: the page where the seller agrees; state: a text that must come back unchanged. redeem: turns the address
    that the browser was sent to afterwards, as the seller pasted it, into secrets by their names in the settings.
    Raises NeedsSeller where it does not hold what it should, or another state. gives: the settings that `redeem`
    fills, by name: the seller is not asked for them. While the two are called, settings that are not filled yet hold
    a text that is no secret of anybody.
    """

    address: Callable[[BaseModel, str], str]
    redeem: Callable[[BaseModel, Resources, str, str], Awaitable[Mapping[str, SecretStr]]]
    gives: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """What the seller does at the channel. steps: sentences in their order; `{receiver}` stands for the address of
    webhook deliveries. consent: None where the seller copies all secrets by hand."""

    steps: Sequence[str] = ()
    consent: Consent | None = None
