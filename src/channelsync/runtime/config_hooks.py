"""[[hook]]: addresses that are told what changed here."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from channelsync.runtime.config_rules import Group
from channelsync.runtime.config_values import Flag, Name
from channelsync.sdk.outbound import parsed
from channelsync.sdk.webhooks import StandardWebhooks, key_of
from channelsync.sync.outgoing_events import EVENTS, EventType, HookSetup

_BYTES = (24, 64)
LOOPBACK = ("localhost", "127.0.0.1", "::1")

Events = Annotated[tuple[EventType, ...], Field(min_length=1, examples=[["position.changed", "finding.opened"]])]


class HookConfig(Group):
    """An address that is told what changes here, by webhooks signed as Standard Webhooks 1.0 says. docs/hooks.md has
    each event."""

    name: Annotated[Name, Field(examples=["wms"])]
    """Letters, digits, - and _. How far it has heard is kept under this name: never change it."""

    url: Annotated[str, Field(max_length=2_000, examples=["https://wms.example.com/channelsync"])]
    """Where messages are sent: https://. Of a secret part of it make the whole { env = "NAME" }. An address inside your
    own network is refused unless `allow_private` is set."""

    secrets: Annotated[tuple[SecretStr, ...], Field(min_length=1, max_length=4, examples=[[{"env": "WMS_SECRET"}]])]
    """What messages are signed with: base64 of 24 to 64 bytes behind `whsec_`; `channelsync hooks secret` makes one.
    { stored = "NAME" } takes one from the vault, where `channelsync secrets put` keeps it. With several each message
    has a signature by each: add the new one, let the receiver change, take the old one away."""

    events: Events = EVENTS
    """What it is told of: position.changed, order.changed, finding.opened, finding.closed. Default all."""

    allow_private: Flag = False
    """true: the address may be inside your own network, and http:// to this machine is allowed. Default false: whoever
    can write this file, or change a name's address, must not reach what only this machine can."""

    @field_validator("secrets")
    @classmethod
    def _can_sign(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        StandardWebhooks(secrets)
        if not all(_BYTES[0] <= len(key_of(one)) <= _BYTES[1] for one in secrets):
            raise ValueError(
                f"should be base64 of {_BYTES[0]} to {_BYTES[1]} bytes; `channelsync hooks secret` makes one"
            )
        return secrets

    @field_validator("events")
    @classmethod
    def _once_each(cls, events: tuple[EventType, ...]) -> tuple[EventType, ...]:
        if len(set(events)) != len(events):
            raise ValueError("should name each event once")
        return events

    @model_validator(mode="after")
    def _can_be_sent_to(self) -> Self:
        try:
            parts = parsed(self.url)
        except ValueError:  # what it says of the address may be a secret
            raise ValueError("`url` should have a host name and a port as there can be") from None
        local = parts.scheme == "http" and parts.host in LOOPBACK and self.allow_private
        if not local and parts.scheme != "https":
            raise ValueError("`url` should begin with https:// (http:// only to this machine, with allow_private)")
        if not parts.host or parts.userinfo or parts.fragment:
            raise ValueError("`url` should have a host, and no name, password or #")
        return self

    @property
    def setup(self) -> HookSetup:
        """The hook as the use cases know it."""
        return HookSetup(
            name=self.name,
            url=self.url,
            secrets=self.secrets,
            events=self.events,
            allow_private=self.allow_private,
        )
