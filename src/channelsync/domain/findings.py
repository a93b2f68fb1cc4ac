"""Findings: one problem each, opened once and closed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FindingKind(StrEnum):
    """What kind of problem it is."""

    OVERSOLD = "oversold"
    UNMAPPED_LINE = "unmapped line"
    UNREADABLE_ORDER = "unreadable order"
    ORDER_MISSING = "order missing"
    IMPLAUSIBLE_DROP = "implausible drop"
    UNEXPLAINED_DROP = "unexplained drop"
    DRIFT = "drift"
    PUSH_LOST = "push lost"
    PUSH_REFUSED = "push refused"
    WRITES_SPENT = "writes spent"
    UNREADABLE_NUMBER = "unreadable number"
    ANOTHER_WRITER = "another writer"
    BLIND_KEY = "blind key"
    LISTING_GONE = "listing gone"
    CATALOGUE_SHRANK = "catalogue shrank"
    HELD_FOR_APPROVAL = "held for approval"
    CATCHING_UP = "catching up"
    CHANNEL_DOWN = "channel down"
    NEEDS_SELLER = "needs the seller"
    TASK_FAILED = "task failed"
    FEED_REFUSED = "feed refused"
    FEED_LATE = "feed late"
    HOOK_FAILING = "hook failing"
    WEBHOOKS = "webhooks"
    NUMBERS_WRONG = "numbers wrong"
    STRANDED_UNITS = "stranded units"
    CLOCK_WRONG = "clock wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem as noticed.

    subject: what it is about, enough to recognise the same problem again. summary: one sentence with what to do.
    evidence: plain values for `--json` and `explain`.
    """

    kind: FindingKind
    subject: tuple[str, ...]
    summary: str
    channel: str = ""
    item: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The same for the same problem; an open finding of one fingerprint is not opened again."""
        return fingerprint(self.kind, *self.subject)


def fingerprint(kind: FindingKind, *subject: str) -> str:
    """The fingerprint of a problem that is known by its kind and subject."""
    return "|".join((kind.value, *subject))
