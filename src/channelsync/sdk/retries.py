"""When a failed call is tried again, and how long we wait before: pure, for the transport alone."""

import random
from dataclasses import dataclass
from datetime import datetime

from channelsync.sdk.answers import parse_http_date
from channelsync.sdk.errors import AnswerUnreadable, OutcomeUnknown, TryLater

_DOUBLINGS_MAX = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """How patient the transport is within one call."""

    attempts: int = 4
    """At most, the first one included."""
    first: float = 0.5
    """Seconds: the longest wait after the first attempt; it doubles with each."""
    longest: float = 20.0
    """Seconds: no wait of our own choosing is longer."""
    retry_after_max: float = 3600.0
    """Seconds: a channel that tells us to wait longer is asked again after this."""

    def ceiling(self, attempt: int) -> float:
        """The longest wait, in seconds, after the attempt of this number (from 1)."""
        return float(min(self.longest, self.first * 2 ** min(attempt - 1, _DOUBLINGS_MAX)))

    def wait(self, attempt: int, retry_after: float | None, rng: random.Random) -> float:
        """Seconds to wait: what the channel asked for, or full jitter where that is longer.

        Full jitter (anything between 0 and the ceiling) keeps clients that failed together from coming back
        together.
        """
        return max(retry_after or 0.0, rng.uniform(0, self.ceiling(attempt)))

    def retry_after(self, header: str | None, *, server_date: datetime | None, now: datetime) -> float | None:
        """Seconds that a Retry-After header asks for, between 0 and `retry_after_max`; None for none or nonsense.

        A date in it is of the channel's clock, so it is held against the channel's own Date where there is one.
        """
        if header is None:
            return None
        text = header.strip()
        if text.isascii() and text.replace(".", "", 1).isdigit():
            seconds = float(text)
        else:
            until = parse_http_date(text)
            if until is None:
                return None
            seconds = (until - (server_date or now)).total_seconds()
        return min(max(0.0, seconds), self.retry_after_max)


def may_retry(error: BaseException, *, repeatable: bool, unreadable_before: bool) -> bool:
    """Whether the same request may leave once more.

    `repeatable`: reads, and writes that the caller declared so. A call that changed nothing may always be
    repeated; one of unknown outcome only when that does no harm; an answer that could not be read is asked for
    once more.
    """
    if isinstance(error, AnswerUnreadable):
        return repeatable and not unreadable_before
    if isinstance(error, OutcomeUnknown):
        return repeatable
    return isinstance(error, TryLater)
