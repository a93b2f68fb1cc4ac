"""Lists that are read page by page: where to go on, while rows come and go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from channelsync.sdk.errors import ChannelMisbehaved

T = TypeVar("T")


AGAIN_MAX = 100
"""Pages of one list that are read again at most: totals that fall and rise without end would lead on without end."""


class PageNumbers:
    """Which page to read next, where pages are counted by rows. What is read twice is for the caller to leave out."""

    def __init__(self, *, first: int) -> None:
        self.now = first
        self._first = first
        self._total: int | None = None
        self._again = AGAIN_MAX

    def go_on(self, total: int | None) -> None:
        """To the page after this one. total: rows of the whole list, as this page told; None: it does not tell.

        Where rows were removed since the page before, those that follow have moved up, and as many may have slipped
        over the edge of pages that were read already: so it goes back a page for each.
        """
        gone = 0 if total is None or self._total is None else self._total - total
        back = min(gone, self.now - self._first, self._again)
        if back > 0:
            self.now -= back
            self._again -= back
        else:
            self.now += 1
        self._total = total


def leads_on(token: str | None, before: str | None, what: str) -> str | None:
    """A channel's own token of the next page; None after the last. before: the token of this page; None: the first.

    what: the call, for the message. Raises ChannelMisbehaved where the page leads back to itself.
    """
    if token is not None and token == before:
        raise leads_back(what)
    return token or None


def leads_back(what: str) -> ChannelMisbehaved:
    """The error for a page after which nothing new comes. what: the call."""
    return ChannelMisbehaved(f"{what}: the page leads back to itself, so the rest cannot be read")


def in_batches(given: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """So many at a time, in their order."""
    return (given[at : at + most] for at in range(0, len(given), most))
