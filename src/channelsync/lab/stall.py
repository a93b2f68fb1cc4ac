"""What a stage needs of a marketplace, whatever it resembles and whichever connector talks to it."""

from __future__ import annotations

from typing import Protocol

import httpx
from pydantic import BaseModel

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_values import Offer, Takes
from channelsync.sdk.channel import Connector


class Stall(Protocol):
    """A marketplace at which a seller can be put on stage. `Site` is one."""

    @property
    def marketplace(self) -> Marketplace:
        """Its state, its numbers and its log."""
        ...

    @property
    def transport(self) -> httpx.AsyncBaseTransport:
        """The way to it in process."""
        ...

    @property
    def connector(self) -> Connector:
        """Who talks to it."""
        ...

    def settings(self, base_url: str = "") -> dict[str, object]:
        """What the connector's [channel.settings] hold. base_url: of its server; "": it is reached in process."""
        ...

    def offer(self, listing: str, sku: str, title: str, takes: Takes) -> Offer:
        """A listing with the keys that its number has there. Not yet open."""
        ...


def settings_of(stall: Stall, address: str = "") -> BaseModel:
    """The connector's settings for a marketplace; address: its base URL, where it is a server."""
    return stall.connector.settings.model_validate(stall.settings(address))
