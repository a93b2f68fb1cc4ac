"""What the account must be set to: whatever the marketplace declares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from channelsync.sdk.connecting import CheckPoint
from channelsync.sdk.errors import ChannelMisbehaved
from channelsync.sdk.wire import why
from channelsync_sandbox.client import SandboxClient
from channelsync_sandbox.settings import Declared


async def inspected(settings: Declared, client: SandboxClient, channel: str) -> Sequence[CheckPoint]:
    """What the marketplace declares beside what the settings say; only `on_difference = "warn"` lets it differ."""
    account = await client.account()
    different = differences(settings, account.declares)
    site = CheckPoint("site", f"account {account.account}")
    if not different:
        return [site, CheckPoint("declares", "as the settings say")]
    found = f"the marketplace declares otherwise: {different}"
    return [site, CheckPoint("declares", found, f"Set these in [channel.settings] of {channel}.")]


def differences(settings: Declared, declares: dict[str, Any]) -> str:
    """What the marketplace declares otherwise than the settings say, as `name = value`; empty when all agrees."""
    known = {name: value for name, value in declares.items() if name in Declared.model_fields}
    try:
        declared = Declared.model_validate(known)
    except ValidationError as error:
        raise ChannelMisbehaved(f"the marketplace declares what no setting can say: {why(error)}") from None
    shown = declared.model_dump(mode="json")
    other = [name for name in known if getattr(declared, name) != getattr(settings, name)]
    said = [f"no {name}" if shown[name] is None else f"{name} = {json.dumps(shown[name])}" for name in sorted(other)]
    return ", ".join(said)
