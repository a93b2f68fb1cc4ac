"""Webhook subscriptions: what a channel tells us of, what it should, and how to mend the difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription at the channel. name: the channel's id of it. address: where deliveries go.

    active: whether the channel delivers all that we need. trouble: why it does not, or what it says about failed
    deliveries; "" where it says nothing. advice: what the seller does about that; "": sees that our address can be
    reached.
    """

    name: str
    topic: str
    address: str
    active: bool = True
    trouble: str = ""
    advice: str = ""


@runtime_checkable
class Subscribes(Protocol):
    """A channel whose webhooks can be registered by its API. Every call may raise what `Channel` calls may.

    topics: what we want to be told of, in the channel's words; empty where this account sends none.
    """

    @property
    def topics(self) -> Sequence[str]: ...

    async def subscriptions(self) -> Sequence[Subscription]:
        """All subscriptions that our credentials may see; those of other programs may be among them."""
        ...

    async def subscribe(self, topic: str, address: str) -> None:
        """Asks the channel to tell this address of a topic. address: https, with the channel's name in its path."""
        ...

    async def reactivate(self, subscription: Subscription) -> None:
        """Switches a subscription on again that the channel has switched off."""
        ...

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a subscription."""
        ...


@dataclass(frozen=True, slots=True)
class Repair:
    """What there is to mend. missing: topics that nobody tells our address of. off: ours, and not active.

    doubled: ours, of a topic that another one of ours tells of already. misrouted: told to the same path of another
    host, so they were probably ours before the address changed. They may be another installation's: nobody ends them
    but the seller.
    """

    missing: tuple[str, ...]
    off: tuple[Subscription, ...]
    doubled: tuple[Subscription, ...]
    misrouted: tuple[Subscription, ...] = ()

    @property
    def needed(self) -> bool:
        """Whether anything is to be done that `mend` does."""
        return bool(self.missing or self.off or self.doubled)


def repair_of(topics: Sequence[str], found: Iterable[Subscription], address: str) -> Repair:
    """What must be done so that every topic is told to this address once.

    Subscriptions to other addresses are not ours to touch: they may be another program's.
    """
    all_found = tuple(found)
    first: dict[str, Subscription] = {}
    doubled: list[Subscription] = []
    for one in sorted((one for one in all_found if one.address == address), key=lambda one: not one.active):
        if one.topic in first:
            doubled.append(one)
        elif one.topic in topics:
            first[one.topic] = one
    missing = tuple(topic for topic in topics if topic not in first)
    off = tuple(one for one in first.values() if not one.active)
    misrouted = tuple(one for one in all_found if one.address != address and _path(one.address) == _path(address))
    return Repair(missing, off, tuple(doubled), misrouted)


def _path(address: str) -> str:
    """The path of an address; an address that is none is its own."""
    try:
        return urlsplit(address).path or address
    except ValueError:
        return address


async def mend(channel: Subscribes, address: str) -> Repair:
    """Registers, switches on and clears up as `repair_of` says; returns what was done."""
    repair = repair_of(channel.topics, await channel.subscriptions(), address)
    for topic in repair.missing:
        await channel.subscribe(topic, address)
    for one in repair.off:
        await channel.reactivate(one)
    for one in repair.doubled:
        await channel.unsubscribe(one)
    return repair
