"""What goes wrong between us and a marketplace: a plan over time, seeded, and a log of what it did.

A `Fault` spoils calls of some endpoints while its window is open. A `Deed` happens at a moment: a human types into
the marketplace's own pages, access tokens are dropped. Both are made by hand (a script) or drawn (`FaultPlan.random`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, Protocol

from channelsync.lab.marketplace import Marketplace
from channelsync.lab.marketplace_values import NumberKey
from channelsync.sdk.clock import Clock


class FaultKind(StrEnum):
    """What a call meets. Where the call is carried out although its answer is spoilt, the name says so."""

    TOO_MANY = "429"
    SERVER_ERROR = "5xx"
    SERVER_ERROR_AFTER = "5xx after success"
    NO_ANSWER = "no answer"
    NO_ANSWER_AFTER = "no answer after success"
    RESET_AFTER = "reset after success"
    HTML = "HTML with 200"
    HTML_AFTER = "HTML with 200 after success"
    EMPTY_AFTER = "empty 200 after success"
    TRUNCATED_AFTER = "truncated body after success"
    DRIP = "slow drip"
    OUTAGE = "outage"
    PARTIAL = "partial batch failure"
    ROWS_MISSING = "results missing after success"
    ROWS_TWICE = "rows twice"
    SAME_CURSOR = "same cursor for ever"


ORDER_ENDPOINTS = frozenset({"orders", "orders by id", "order ids"})
PAGED_ENDPOINTS = frozenset({"orders", "order ids", "listings"})
EVERYWHERE: frozenset[str] = frozenset()

# These can only be seen at the endpoints that have rows or pages.
_ONLY_AT: dict[FaultKind, frozenset[str]] = {
    FaultKind.PARTIAL: frozenset({"push"}),
    FaultKind.ROWS_MISSING: frozenset({"push"}),
    FaultKind.ROWS_TWICE: PAGED_ENDPOINTS,
    FaultKind.SAME_CURSOR: PAGED_ENDPOINTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Calls go wrong in this way from `starts` to `ends`, each with this chance.

    endpoints: empty for all. status: of a 5xx. retry_after: of a 429 or 503, in seconds; None: it does not say.
    retry_as: how it says so. seconds: how long an answer drips.
    """

    kind: FaultKind
    starts: datetime
    ends: datetime
    chance: float = 1.0
    endpoints: frozenset[str] = EVERYWHERE
    status: int = 503
    retry_after: float | None = None
    retry_as: Literal["seconds", "date"] = "seconds"
    seconds: float = 10.0

    def may_hit(self, now: datetime, endpoint: str) -> bool:
        """Whether it is on, and concerns this endpoint."""
        if not self.starts <= now < self.ends or (self.endpoints and endpoint not in self.endpoints):
            return False
        return endpoint in _ONLY_AT.get(self.kind, (endpoint,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that is done at the marketplace at a moment.

    human edit: a number is set by hand; without `number` to a few more or fewer than there are. typo: the same with
    a slip of the finger, put right after `corrected_after`. tokens dropped: all access tokens end.
    key: None for any, by lot.
    """

    what: Literal["human edit", "typo", "tokens dropped"]
    at: datetime
    key: NumberKey | None = None
    number: int | None = None
    corrected_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Injected:
    """What the plan did. where: the endpoint of a fault, or the key of a deed."""

    at: datetime
    what: str
    where: str


class HoldsTokens(Protocol):
    """Whoever gives out access tokens."""

    def drop(self) -> None:
        """All access tokens end now."""
        ...


class FaultPlan:
    """Faults and deeds of one marketplace. Of several faults that hit a call, the first in the plan counts."""

    def __init__(self, faults: Iterable[Fault] = (), deeds: Iterable[Deed] = (), *, seed: int = 0) -> None:
        self.faults = tuple(faults)
        self.deeds = tuple(sorted(deeds, key=lambda deed: deed.at))
        self.log: list[Injected] = []
        self._rng = random.Random(f"{seed} faults")

    @property
    def ends(self) -> datetime | None:
        """When the last fault or deed is over; None for an empty plan."""
        moments = [fault.ends for fault in self.faults]
        moments += [deed.at + (deed.corrected_after or timedelta(0)) for deed in self.deeds]
        return max(moments, default=None)

    def draw(self, now: datetime, endpoint: str) -> Fault | None:
        """The fault that this call meets, noted in the log; None when all goes well."""
        for fault in self.faults:
            if fault.may_hit(now, endpoint) and (fault.chance >= 1 or self._rng.random() < fault.chance):
                self.log.append(Injected(now, fault.kind.value, endpoint))
                return fault
        return None

    async def do_deeds(self, marketplace: Marketplace, tokens: HoldsTokens, clock: Clock) -> None:
        """Does every deed at its time; returns after the last."""
        steps = [(deed.at, turn, False, deed) for turn, deed in enumerate(self.deeds)]
        steps += [
            (deed.at + deed.corrected_after, turn, True, deed)
            for turn, deed in enumerate(self.deeds)
            if deed.corrected_after is not None
        ]
        rose: dict[int, tuple[NumberKey, int]] = {}
        for at, turn, correction, deed in sorted(steps, key=lambda step: step[:3]):
            await clock.sleep(max(0.0, (at - clock.now()).total_seconds()))
            if deed.what == "tokens dropped":
                tokens.drop()
                self.log.append(Injected(clock.now(), deed.what, ""))
            elif correction and turn in rose:
                self._correct(marketplace, *rose[turn], clock.now())
            elif not correction and (done := self._edit(marketplace, deed, clock.now())) is not None:
                rose[turn] = done

    def _edit(self, marketplace: Marketplace, deed: Deed, now: datetime) -> tuple[NumberKey, int] | None:
        """A human types a number. Returns the key and by how much the number rose."""
        keys = marketplace.quantity_keys()
        if deed.key is None and not keys:
            return None
        key = deed.key or self._rng.choice(keys)
        before = marketplace.number(key)
        number = deed.number
        if number is None:
            number = self._slip(before) if deed.what == "typo" else max(0, before + self._rng.randint(-3, 3))
        marketplace.edit_number(key, number)
        self.log.append(Injected(now, deed.what, key.key))
        return key, number - before

    def _correct(self, marketplace: Marketplace, key: NumberKey, rose: int, now: datetime) -> None:
        """The human notices the slip, and takes back the difference: what sold meanwhile stays sold."""
        marketplace.edit_number(key, max(0, marketplace.number(key) - rose))
        self.log.append(Injected(now, "typo corrected", key.key))

    def _slip(self, number: int) -> int:
        """What comes of a number when the finger slips: a digit too few or too many, or nothing."""
        slips: Sequence[int] = (number // 10, number * 10 + self._rng.randint(0, 9), 0)
        return self._rng.choice(slips)

    @classmethod
    def random(
        cls,
        seed: int,
        *,
        starts: datetime,
        lasts: timedelta,
        rate: float = 0.02,
        humans: bool = True,
        outage: timedelta = timedelta(hours=1),
    ) -> FaultPlan:
        """A plan drawn by lot, over before `starts + lasts`.

        rate: the share of calls that meet one of the passing faults at any time. Beside those come spells of 429
        and of 5xx, in half of the plans an outage, in half a time in which only the orders interface is down,
        dropped tokens, and (`humans`) edits and typos, most of them put right.
        """
        return cls(
            _drawn_faults(seed, starts, lasts, rate, outage), _drawn_deeds(seed, starts, lasts, humans), seed=seed
        )


def orders_down(starts: datetime, ends: datetime) -> Fault:
    """The orders interface is down while numbers can be read and written."""
    return Fault(kind=FaultKind.SERVER_ERROR, starts=starts, ends=ends, endpoints=ORDER_ENDPOINTS)


def outage(starts: datetime, ends: datetime) -> Fault:
    """Nothing can be reached."""
    return Fault(kind=FaultKind.OUTAGE, starts=starts, ends=ends)


_PASSING = tuple(kind for kind in FaultKind if kind is not FaultKind.OUTAGE)


def _drawn_faults(seed: int, starts: datetime, lasts: timedelta, rate: float, longest: timedelta) -> list[Fault]:
    rng = random.Random(f"{seed} windows")

    def window(length: timedelta) -> tuple[datetime, datetime]:
        length = min(length, lasts / 4)
        begins = starts + rng.random() * (lasts - length)
        return begins, begins + length

    faults = []
    if rng.random() < 0.5:
        faults.append(outage(*window(longest)))
    if rng.random() < 0.5:
        faults.append(orders_down(*window(timedelta(minutes=rng.uniform(20, 60)))))
    for kind in (FaultKind.TOO_MANY, FaultKind.SERVER_ERROR):
        begins, ends = window(timedelta(minutes=rng.uniform(2, 15)))
        faults.append(_fault(kind, begins, ends, 0.5, rng))
    faults += [_fault(kind, starts, starts + lasts, rate / len(_PASSING), rng) for kind in _PASSING]
    return faults


def _fault(kind: FaultKind, starts: datetime, ends: datetime, chance: float, rng: random.Random) -> Fault:
    says = kind is FaultKind.TOO_MANY and rng.random() < 2 / 3
    return Fault(
        kind=kind,
        starts=starts,
        ends=ends,
        chance=chance,
        status=rng.choice((500, 502, 503, 504)),
        retry_after=round(rng.uniform(1, 30)) if says else None,
        retry_as="date" if rng.random() < 0.5 else "seconds",
        seconds=rng.uniform(1, 40),
    )


def _drawn_deeds(seed: int, starts: datetime, lasts: timedelta, humans: bool) -> list[Deed]:  # noqa: FBT001
    rng = random.Random(f"{seed} deeds")
    spare = min(timedelta(minutes=20), lasts / 8)

    def moment() -> datetime:
        return starts + rng.random() * (lasts - spare)

    deeds = [Deed(what="tokens dropped", at=moment()) for _ in range(rng.randint(0, 3))]
    if humans:
        deeds += [Deed(what="human edit", at=moment()) for _ in range(rng.randint(0, 2))]
        deeds += [
            Deed(what="typo", at=moment(), corrected_after=spare * rng.uniform(0.05, 0.99))
            for _ in range(rng.randint(0, 2))
        ]
    return deeds
