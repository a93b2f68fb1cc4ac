"""What the HTTP transport keeps of one call on its way: its attempts, and how far each request got."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from channelsync.sdk.calls import Call
from channelsync.sdk.right_to_write import check_may_write


@dataclass(slots=True)
class Run:
    """One call on its way through its attempts. Its URL may hold secrets, its name does not."""

    call: Call
    name: str
    url: httpx.URL = field(repr=False)
    started: float
    deadline: float | None = None
    """On the monotonic clock; None until the budget allowed the first attempt."""
    attempts: int = 0
    waited: float = 0.0
    unreadable: int = 0
    maybe_applied: bool = False
    stale_before: bool = False

    @property
    def repeatable(self) -> bool:
        return self.call.kind == "read" or self.call.idempotent


@dataclass(slots=True)
class Progress:
    """How far one request got, as httpcore's trace tells. Transports that tell nothing leave all False."""

    run: Run
    connecting: bool = False
    sending: bool = False
    answering: bool = False

    async def note(self, event: str, _info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self.connecting = True
        elif event.endswith(".send_request_headers.started"):
            self.check()
            self.sending = True

    def check(self) -> None:
        """The last look before the first byte leaves. Raises NotSent."""
        if self.run.call.kind == "write":
            check_may_write(self.run.name)

    @property
    def may_have_left(self) -> bool:
        return self.sending or not self.connecting

    @property
    def stale(self) -> bool:
        """It went out on a connection kept from an earlier call, and nothing came back."""
        return self.sending and not self.connecting and not self.answering
