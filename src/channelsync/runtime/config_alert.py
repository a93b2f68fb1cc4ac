"""Who is told that all is well, so that silence tells the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from channelsync.runtime.config_rules import Group
from channelsync.runtime.config_values import Duration


def _checked_ping(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not url.get_secret_value().startswith(("https://", "http://")):
        raise ValueError("should be an address that begins with https:// or http://")
    return url


class AlertConfig(Group):
    """A dead man's switch: a service that alarms you when it has not heard of us for a while."""

    ping_url: Annotated[SecretStr | None, AfterValidator(_checked_ping), Field(examples=[{"env": "PING_URL"}])] = None
    """Called by GET while all is well: every part of the daemon is alive, and no channel is down for longer than
    ping_down_for. Default none: nobody is told. The address is a secret: whoever knows it can say that all is well."""

    ping_every: Duration = timedelta(minutes=5)
    """Between two calls. Default 5m. Let the service wait for twice as long before it alarms."""

    ping_down_for: Duration = timedelta(minutes=30)
    """How long a channel may be unreadable, or its orders unread, before the calls stop. Default 30m: marketplaces have
    short failures, and the daemon catches up by itself."""
