"""What a connector raises, sorted by what the daemon does next.

    ChannelError
    ├── TryLater(retry_after)         ask again later; the channel changed nothing
    │   ├── NotSent                   the request did not leave: send it again when you like
    │   │   └── BudgetShort           it waited for our budget in vain; the channel is well
    │   └── OutcomeUnknown            it may have been applied: read before anything else
    ├── NeedsSeller(what_to_do)       stop this channel and tell the seller
    │   └── NotPermitted              only what was asked for is not allowed: the rest of the channel goes on
    └── ChannelMisbehaved             a bug, ours or theirs: an alert, no retry
        └── AnswerUnreadable          the answer to this call cannot be read

What a write may conclude: after `NotSent`, after a plain `TryLater` and after a plain `ChannelMisbehaved`
nothing was applied; after `OutcomeUnknown` and `AnswerUnreadable` it may have been. A read never raises
`OutcomeUnknown`.

One refused item is not an error but a result: `PushResult.refused(reason)`.

Every message defaults to the class's docstring, so each error is documented by construction.
"""


class ChannelError(Exception):
    """The channel could not do what it was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__ or type(self).__name__)


class TryLater(ChannelError):
    """The channel did nothing now and can be asked again later."""

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds to wait before the next attempt; None when nobody said how long."""


class NotSent(TryLater):
    """The request did not leave us, so sending it again is safe."""


class BudgetShort(NotSent):
    """The request waited for the channel's budget in vain: the channel is well. retry_after: until there is enough."""


class OutcomeUnknown(TryLater):
    """The request left but no answer came: it may have been applied, so read before anything else."""


class NeedsSeller(ChannelError):
    """The channel stops until the seller puts something right."""

    def __init__(self, what_to_do: str | None = None) -> None:
        super().__init__(what_to_do)
        self.what_to_do = str(self)
        """The one thing that the seller must do, as a sentence that can be shown as it is."""


class NotPermitted(NeedsSeller):
    """A permission is missing: the seller gives it, and what needs none of it goes on meanwhile."""


class ChannelMisbehaved(ChannelError):
    """The channel answered in a way this connector does not know: a bug here or a change there."""


class AnswerUnreadable(ChannelMisbehaved):
    """The channel's answer cannot be read; a write that it answered may have been applied."""
