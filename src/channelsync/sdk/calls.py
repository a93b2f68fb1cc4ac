"""What a connector asks of the HTTP transport, and how the transport is set up for one channel."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from channelsync.sdk.budgets import Lane
from channelsync.sdk.retries import Backoff

Sign = Callable[[httpx.Request], Iterable[SecretStr]]
"""Adds to a request, in place, what shows who we are, and says what of that must be hidden.

It is asked for every attempt, so that no nonce leaves twice and no signature is older than its request.
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to ask of a channel. What may hold a secret or buyer data stays out of its repr."""

    method: str
    path: str = field(repr=False)
    """Below the base URL; or an absolute URL of the same host, as channels give for a next page."""
    kind: Literal["read", "write"]
    """A write may change something at the channel, whatever the method; a read may always be repeated."""
    _: KW_ONLY
    idempotent: bool = False
    """Of a write: leaving twice does no harm *even when others acted in between*: an idempotency key, or
    compare-and-set. An absolute quantity without either is not: sent again, it puts sold units back on sale."""
    cost: float = 1
    bucket: str | None = None
    """None where the account has one bucket only."""
    lane: Lane | None = None
    """None for the lane of the `in_lane` block around the call, else normal."""
    headers: Mapping[str, str | SecretStr] = field(default_factory=dict, repr=False)
    params: Mapping[str, str | int | SecretStr] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    """None for no JSON body."""
    content: bytes | None = field(default=None, repr=False)
    expect: Literal["json", "bytes"] = "json"
    """What a 2xx must carry. JSON that cannot be parsed, HTML or nothing at all is then an error."""
    accept: Collection[int] = ()
    """Statuses beside 2xx that are returned as an answer, their bodies unchecked; 204 too, where JSON is expected."""
    attempts: int | None = None
    """At most so many; None for the transport's own number. 1 for a quantity that must be computed anew."""

    def __post_init__(self) -> None:
        below = self.path.startswith("/") and not self.path.startswith("//")
        if not below and not self.path.startswith(("https://", "http://")):
            raise ValueError("a call's path starts with one slash, or is a whole http address")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long we wait, in seconds. All but `total` and `budget` are httpx's, per connection or per read."""

    connect: float = 5.0
    pool: float = 5.0
    read: float = 20.0
    write: float = 20.0
    total: float = 30.0
    """For one call with all its attempts and waits, from the first moment that the budget allows it."""
    budget: float = 60.0
    """For the budget, before the first attempt."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What differs between the transports of two channels."""

    channel: str
    """The channel's name in messages and logs."""
    base_url: str
    user_agent: str
    headers: Mapping[str, str | SecretStr] = field(default_factory=dict, repr=False)
    """Sent with every call."""
    secrets: Sequence[SecretStr] = ()
    """Hidden wherever they turn up, beside every `SecretStr` in headers and parameters."""
    sign: Sign | None = field(default=None, repr=False)
    """None where headers and parameters are all that the channel asks for."""
    timeouts: Timeouts = field(default_factory=Timeouts)
    backoff: Backoff = field(default_factory=Backoff)
    body_bytes_max: int = 16 * 1024 * 1024
    """Of one answer, decompressed."""
    connections_max: int = 10
