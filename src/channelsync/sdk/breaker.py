"""Leaves a channel alone while it is down, and stops for good when the seller must act.

Closed: calls pass. After `failures_max` failures in a row (anything of the `TryLater` kind) it opens: calls
are refused with `NotSent` for a cooldown that doubles with every failed probe. After it, half open: one cheap
read at a time may try; its success closes the breaker. `NeedsSeller` is another matter: waiting mends nothing,
so every call is refused with the same request to the seller until `reset()`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import NeedsSeller, NotPermitted, NotSent, TryLater

_DOUBLINGS_MAX = 30


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What the caller stores, so that a restart does not hammer a channel that is down."""

    failures: int = 0
    """Failures in a row."""
    retry_at: datetime | None = None
    """Open until then, half open after it; None while closed."""
    pause: float = 0.0
    """Seconds that the present opening lasts in all."""
    needs_seller: str | None = None
    """What the seller must do; None while nothing."""


@dataclass(frozen=True, slots=True)
class ServerTime:
    """The channel's clock beside ours, as an answer told it. theirs: to the whole second, cut."""

    theirs: datetime
    asked: datetime
    answered: datetime

    @property
    def ahead(self) -> timedelta:
        """How far the channel's clock is ahead of ours at least; negative: behind at least; 0 when they may agree.

        The answer was written at some moment between asking and answering, within the second that it names.
        """
        least = self.theirs - self.answered
        most = self.theirs + timedelta(seconds=1) - self.asked
        return least if least > timedelta() else min(most, timedelta())


class Breaker:
    """The breaker of one channel. `cooldown` and `cooldown_max` are seconds: the first pause, the longest."""

    def __init__(
        self,
        channel: str,
        clock: Clock,
        *,
        state: BreakerState | None = None,
        failures_max: int = 5,
        cooldown: float = 5.0,
        cooldown_max: float = 300.0,
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._state = state or BreakerState()
        self._failures_max = failures_max
        self._cooldown = cooldown
        self._cooldown_max = cooldown_max
        self._probing = False
        self.server_time: ServerTime | None = None
        """What the last answer with a Date told of the channel's clock; None: none came yet. Not stored."""

    @property
    def state(self) -> BreakerState:
        """As it is now, to be stored and given to the next `Breaker`."""
        return self._state

    @property
    def half_open(self) -> bool:
        """Whether it waits for a cheap read that tries whether the channel is back."""
        state = self._state
        waits = state.needs_seller is not None or state.retry_at is None or self._probing
        return not waits and state.retry_at is not None and state.retry_at <= self._clock.now()

    def reset(self) -> None:
        """The seller has acted, or somebody knows that the channel is back: closed, nothing remembered."""
        self._state = BreakerState()

    def check(self, *, cheap_read: bool) -> None:
        """Raises `NeedsSeller`, or `NotSent` with the seconds left, when such a call would be refused now."""
        state = self._state
        if state.needs_seller is not None:
            raise NeedsSeller(state.needs_seller)
        if state.retry_at is None:
            return
        # Never longer than the pause itself: a wall clock that went back must not keep the channel closed.
        left = min((state.retry_at - self._clock.now()).total_seconds(), state.pause)
        if left > 0:
            raise NotSent(f"{self._channel}: paused after {state.failures} failures in a row", retry_after=left)
        if self._probing or not cheap_read:
            raise NotSent(f"{self._channel}: paused until a read has succeeded", retry_after=self._cooldown)

    @contextmanager
    def guard(self, *, cheap_read: bool) -> Iterator[None]:
        """Around one call: refuses it like `check`, else learns from how it ends.

        Errors other than `TryLater` kinds and `NeedsSeller`, and a cancelled call, decide nothing; nor does
        `NotPermitted`, for other calls may be permitted.
        """
        self.check(cheap_read=cheap_read)
        probe = self._state.retry_at is not None
        self._probing = self._probing or probe
        try:
            yield
        except NotPermitted:
            raise
        except NeedsSeller as error:
            self._state = replace(self._state, needs_seller=error.what_to_do)
            raise
        except TryLater as error:
            self._failed(error, probe=probe)
            raise
        else:
            self._succeeded(probe=probe)
        finally:
            if probe:
                self._probing = False

    def _failed(self, error: TryLater, *, probe: bool) -> None:
        # While open only the probe's word counts: calls that were on their way would stretch the pause.
        if self._state.retry_at is not None and not probe:
            return
        failures = self._state.failures + 1
        beyond = failures - self._failures_max
        if beyond < 0:
            self._state = replace(self._state, failures=failures)
            return
        pause = min(self._cooldown_max, self._cooldown * 2 ** min(beyond, _DOUBLINGS_MAX))
        pause = max(pause, error.retry_after or 0.0)
        retry_at = self._clock.now() + timedelta(seconds=pause)
        self._state = replace(self._state, failures=failures, retry_at=retry_at, pause=pause)

    def _succeeded(self, *, probe: bool) -> None:
        if probe or self._state.retry_at is None:
            self._state = replace(self._state, failures=0, retry_at=None, pause=0.0)
