"""Addresses as the configuration writes them. Apart from the server, which is slow to import."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_PORT_MAX = 65_535
_LISTEN = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>\d{1,5})")


class CannotListen(Exception):
    """An address cannot be listened on: it is taken, or not one of this machine's."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens. port 0: any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """ "127.0.0.1:8080", "[::1]:8080" or "localhost:8080". Raises ValueError."""
        found = _LISTEN.fullmatch(text)
        if found is None or int(found["port"]) > _PORT_MAX:
            raise ValueError('should be an address and a port: "127.0.0.1:8080", or "0.0.0.0:8080" for every address')
        return cls(found["host"].strip("[]"), int(found["port"]))

    def __str__(self) -> str:
        """As it is written in the configuration."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def checked_proxy(text: str) -> str:
    """An address or network of a proxy, e.g. "10.0.0.0/8". Raises ValueError."""
    try:
        return str(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))
    except ValueError:
        raise ValueError('should be an IP address or network: "10.0.0.5" or "10.0.0.0/8"') from None
