"""The numbers of one marketplace: what is in force, what a lagging read shows, and writes on their way."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from channelsync.lab.marketplace_rules import MarketplaceRules, Span
from channelsync.lab.marketplace_values import NumberChange, NumberKey, Why
from channelsync.sdk.values import Applies

_IDEMPOTENT_FOR = timedelta(hours=24)
_HISTORY_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One row of a push: an absolute number, or a change. expected: None to write whatever is there."""

    key: NumberKey
    number: int | None = None
    change: int | None = None
    expected: int | None = None
    idempotency: str = ""


ResultStatus = Literal["accepted", "conflict", "refused"]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row. number: in force now, where the marketplace tells. code, message: of a refusal."""

    key: NumberKey
    status: ResultStatus
    number: int | None = None
    code: str | None = None
    message: str | None = None

    @classmethod
    def refused(cls, key: NumberKey, code: str, message: str) -> Result:
        """Nothing was changed, for this reason."""
        return cls(key, "refused", None, code, message)


class Reading(NamedTuple):
    """What is kept for one key at one moment: its number, units in open orders, units held without an order."""

    number: int
    committed: int
    held: int


@dataclass(slots=True)
class _Number:
    """The number of one key. `times` and `readings` are its history, for reads that lag."""

    value: int
    times: list[datetime]
    readings: list[Reading]
    committed: int = 0
    held: int = 0
    below_zero: bool = False
    last_due: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class _Pending:
    due: datetime
    turn: int
    update: Update = field(compare=False)
    accepted: datetime = field(compare=False)
    lost: bool = field(compare=False)


def drawn(rng: random.Random, span: Span) -> timedelta:
    """A time drawn evenly from a span of seconds."""
    least, most = span
    return timedelta(seconds=least if least == most else rng.uniform(least, most))


class Numbers:
    """The book of numbers. Times are the lab's true ones; `changed` is told of every change, in order of time."""

    def __init__(self, rules: MarketplaceRules, rng: random.Random, changed: Callable[[NumberChange], None]) -> None:
        self._rules = rules
        self._rng = rng
        self._changed = changed
        self._numbers: dict[NumberKey, _Number] = {}
        self._pending: list[_Pending] = []
        self._turns = 0
        self._answers: dict[str, tuple[datetime, Result]] = {}
        self._revisions: Counter[tuple[NumberKey | str, date]] = Counter()

    def __contains__(self, key: object) -> bool:
        return key in self._numbers

    def open(self, key: NumberKey, number: int, now: datetime, *, below_zero: bool = False) -> None:
        """Begins a key, or lets a second listing share it: then the number stays as it is."""
        if key not in self._numbers:
            self._numbers[key] = _Number(number, [now], [Reading(number, 0, 0)], below_zero=below_zero)
            self._changed(NumberChange(now, key, number, number, "opened"))

    def keys(self) -> tuple[NumberKey, ...]:
        """All keys there are."""
        return tuple(self._numbers)

    def value(self, key: NumberKey) -> int:
        """The truth: the number in force."""
        return self._numbers[key].value

    def sellable(self, key: NumberKey) -> int | None:
        """Units that a buyer may buy now; None for no limit."""
        number = self._numbers[key]
        if number.below_zero:
            return None
        return max(0, number.value - (number.committed if self._rules.meaning == "physical" else 0))

    def shown(self, key: NumberKey) -> int:
        """The number in force, as it is shown."""
        value = self._numbers[key].value
        return self._cut(value) if self._rules.clamps == "on read" else value

    def read(self, key: NumberKey, as_of: datetime) -> Reading:
        """What a read shows that is as old as this, as far as the history goes back."""
        number = self._numbers[key]
        if not self._rules.read_lag[1]:
            return Reading(self.shown(key), number.committed, number.held)
        then = number.readings[max(0, bisect_right(number.times, as_of) - 1)]
        return then._replace(number=self._cut(then.number)) if self._rules.clamps == "on read" else then

    def allow_below_zero(self, key: NumberKey, *, allowed: bool) -> None:
        """Whether the number may go negative."""
        self._numbers[key].below_zero = allowed

    def commit(self, key: NumberKey, units: int, now: datetime) -> None:
        """Adds to the units in open orders; negative takes off."""
        number = self._numbers[key]
        number.committed += units
        self._remember(number, now)

    def hold(self, key: NumberKey, units: int, now: datetime) -> None:
        """Takes units off without an order; negative gives them back."""
        self._numbers[key].held += units
        self.move(key, -units, "hold" if units > 0 else "hold released", now)

    def move(self, key: NumberKey, by: int, why: Why, now: datetime) -> None:
        """Raises or lowers the number by itself."""
        if by:
            self.put(key, self._numbers[key].value + by, why, now)

    def put(self, key: NumberKey, value: int, why: Why, now: datetime, accepted: datetime | None = None) -> None:
        """Makes this the number in force; floored at 0 and cut at the cap where the rules say so."""
        number = self._numbers[key]
        if self._rules.cap is not None and self._rules.clamps != "on read":
            value = min(self._rules.cap, value)
        if not number.below_zero:
            value = max(0, value)
        before, number.value = number.value, value
        self._remember(number, now)
        self._changed(NumberChange(now, key, before, value, why, accepted))

    def _remember(self, number: _Number, now: datetime) -> None:
        if not self._rules.read_lag[1]:
            return
        number.times.append(now)
        number.readings.append(Reading(number.value, number.committed, number.held))
        if len(number.times) > _HISTORY_MAX:
            oldest = now - timedelta(seconds=self._rules.read_lag[1])
            keep = max(0, bisect_right(number.times, oldest) - 1)
            del number.times[:keep], number.readings[:keep]

    def _cut(self, value: int) -> int:
        """As cap and rounding leave it."""
        if self._rules.cap is not None:
            value = min(self._rules.cap, value)
        return value - value % self._rules.rounds_to if value > 0 else value

    # Writes

    def accept(self, update: Update, now: datetime, today: date, page: str = "") -> Result:
        """Takes one row of a push: checks it, applies it or puts it on its way.

        today, page: what its revision counts against; without a page it is the key's own.
        """
        if update.idempotency and self._rules.idempotency_keys:
            seen = self._answers.get(update.idempotency)
            if seen is not None and now - seen[0] < _IDEMPOTENT_FOR:
                return seen[1]
        counted = (page or update.key, today)
        result = self._refusal(update, counted) or self._take(update, now, counted)
        if result.status == "accepted" and update.idempotency and self._rules.idempotency_keys:
            self._answers[update.idempotency] = (now, result)
        return result

    def _refusal(self, update: Update, counted: tuple[NumberKey | str, date]) -> Result | None:
        rules, key = self._rules, update.key
        if update.change is not None and not rules.relative_writes:
            return Result.refused(key, "no_relative_writes", "State the number itself, not a change of it.")
        if update.number is not None and update.number < 0:
            return Result.refused(key, "bad_number", f"{update.number} is below 0.")
        above = rules.clamps == "refuses" and rules.cap is not None and (update.number or 0) > rules.cap
        if above:
            return Result.refused(key, "bad_number", f"{update.number} is above {rules.cap}, the most there may be.")
        if rules.revisions_per_day is not None and self._revisions[counted] >= rules.revisions_per_day:
            return Result.refused(key, "revisions_spent", f"Revised {rules.revisions_per_day} times today already.")
        if self._fails(update):
            return Result(key, "conflict", self.shown(key) if rules.answers_with_number else None)
        return None

    def _fails(self, update: Update) -> bool:
        """The number is not the one that the update expects."""
        return self._rules.compare_and_set and update.expected is not None and self.shown(update.key) != update.expected

    def _take(self, update: Update, now: datetime, counted: tuple[NumberKey | str, date]) -> Result:
        rules, key = self._rules, update.key
        self._revisions[counted] += 1
        if rules.applies is Applies.AT_ONCE:
            self._apply(update, now, now)
        else:
            number = self._numbers[key]
            due = now + drawn(self._rng, rules.apply_delay)
            if rules.applies is Applies.IN_ORDER and number.last_due is not None:
                due = max(due, number.last_due)
            number.last_due = due
            self._turns += 1
            lost = self._rng.random() < rules.never_applied
            heapq.heappush(self._pending, _Pending(due, self._turns, update, now, lost))
        return Result(key, "accepted", self.shown(key) if rules.answers_with_number else None)

    def next_due(self) -> datetime | None:
        """When the next write on its way is applied; None when there is none."""
        return self._pending[0].due if self._pending else None

    def apply_next(self) -> None:
        """Applies the write that is due first, or drops it: lost, or its expected number no longer holds."""
        pending = heapq.heappop(self._pending)
        update = pending.update
        if pending.lost or self._fails(update):
            value = self._numbers[update.key].value
            self._changed(NumberChange(pending.due, update.key, value, value, "dropped write", pending.accepted))
        else:
            self._apply(update, pending.due, pending.accepted)

    def _apply(self, update: Update, now: datetime, accepted: datetime) -> None:
        if update.number is not None:
            value = update.number if self._rules.clamps == "on read" else self._cut(update.number)
        else:
            value = self._numbers[update.key].value + (update.change or 0)
        self.put(update.key, value, "write", now, accepted)
