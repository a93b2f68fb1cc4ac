"""How much a channel may sell in a span of time: rates from past sales, and what is rarely exceeded.

Units sold in a span are taken as negative binomial with a mean and a *dispersion* = variance / mean, 1 or more.
Dispersion 1 is the Poisson distribution: single buyers, one unit each. Larger baskets and rushes raise it. It does
not depend on how long the span is, and independent channels add up: means add, variances add.

Numbers are exact up to a mean of 100,000 (from the ratio of neighbouring probabilities, summed from the rare end, so
that neither a large mean nor a rare event loses precision); beyond, the normal approximation is used, with the
skewness in quantiles: off by less than a thousandth of the number there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist

EXACT_UP_TO = 100_000
"""Means above this are approximated."""

MOST_DISPERSION = 1_000.0
"""Estimates are cut here: beyond, a single order decides all, and no rate describes that."""

_NEGLIGIBLE = 1e-18
_HOUR = timedelta(hours=1)
_PRIOR_HOURS = 24.0
_USUAL = 0.99
_ENOUGH_HOURS = 24
_FORGOTTEN = 40


@dataclass(frozen=True, slots=True)
class Demand:
    """What may be asked for in one span: mean units and dispersion. Raises ValueError for what no demand can be."""

    mean: float
    dispersion: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.mean >= 0):
            raise ValueError(f"mean demand must be 0 or more, not {self.mean}")
        if not 1 <= self.dispersion <= MOST_DISPERSION:
            raise ValueError(f"dispersion must be from 1 to {MOST_DISPERSION:g}, not {self.dispersion}")

    @property
    def variance(self) -> float:
        """The variance of the units."""
        return self.mean * self.dispersion

    def upper(self, p: float) -> int:
        """The smallest number of units that is not exceeded with probability p; exact up to p = 1 - 1e-12.

        Raises ValueError unless 0 < p < 1.
        """
        if not 0 < p < 1:
            raise ValueError(f"a quantile needs a probability between 0 and 1, not {p}")
        if self.mean > EXACT_UP_TO:
            return self._upper_approximately(p)
        first, weights = self.distribution()
        beyond = 0.0
        for units in range(first + len(weights) - 1, first, -1):
            beyond += weights[units - first]
            if beyond > 1 - p:
                return units
        return first

    def distribution(self) -> tuple[int, list[float]]:
        """The probabilities of first, first + 1, ... units; what is left out is negligible.

        For means up to `EXACT_UP_TO`; raises ValueError beyond.
        """
        if self.mean > EXACT_UP_TO:
            raise ValueError(f"a mean of {self.mean:g} is too large for single probabilities")
        mode = max(0, math.ceil(self.mean - self.dispersion)) if self.mean else 0
        below: list[float] = []
        weight = 1.0
        for units in range(mode, 0, -1):
            weight /= self._ratio(units - 1)
            if weight < _NEGLIGIBLE:
                break
            below.append(weight)
        above: list[float] = []
        weight, units = 1.0, mode
        while weight > _NEGLIGIBLE:
            above.append(weight)
            weight *= self._ratio(units)
            units += 1
        weights = [*reversed(below), *above]
        total = math.fsum(weights)
        return mode - len(below), [weight / total for weight in weights]

    def _ratio(self, units: int) -> float:
        """The probability of one unit more, divided by that of `units`."""
        return (self.mean + units * (self.dispersion - 1)) / (self.dispersion * (units + 1))

    def _deviation(self) -> float:
        return math.sqrt(self.variance)

    def _upper_approximately(self, p: float) -> int:
        z = NormalDist().inv_cdf(p)
        skewness = (2 * self.dispersion - 1) / self._deviation()
        return math.ceil(self.mean + self._deviation() * (z + (z * z - 1) * skewness / 6) - 0.5)


@dataclass(frozen=True, slots=True)
class DemandRate:
    """How fast one channel sells one item, in base units.

    dispersion: variance / mean of units sold in a span, 1 or more. largest_usual_line: units of an order line that
    99 of 100 do not exceed, 1 or more.
    """

    per_hour: float
    dispersion: float = 1.0
    largest_usual_line: int = 1

    def __post_init__(self) -> None:
        Demand(self.per_hour, self.dispersion)
        if self.largest_usual_line < 1:
            raise ValueError(f"the largest usual line must be 1 unit or more, not {self.largest_usual_line}")

    def within(self, span: timedelta) -> Demand:
        """What may be asked for in a span. Raises ValueError when the span is negative."""
        if span < timedelta(0):
            raise ValueError(f"a span of demand cannot be negative: {span}")
        return Demand(self.per_hour * (span / _HOUR), self.dispersion)


def together(demands: Iterable[Demand]) -> Demand:
    """The demand of independent sources together; nobody asks for nothing."""
    given = list(demands)
    mean = math.fsum(each.mean for each in given)
    variance = math.fsum(each.variance for each in given)
    return Demand(mean, min(MOST_DISPERSION, max(1.0, variance / mean))) if mean else Demand(0.0)


@dataclass(frozen=True, slots=True)
class Sale:
    """One order line: when it was placed, and its base units (1 or more)."""

    at: datetime
    units: int = 1

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"a sale has 1 unit or more, not {self.units}")
        if self.at.tzinfo is None:
            raise ValueError(f"a sale needs a time with its zone, not {self.at}")


def estimate(
    sales: Iterable[Sale],
    *,
    since: datetime,
    now: datetime,
    half_life: timedelta,
    prior: DemandRate | None = None,
) -> DemandRate:
    """The rate at which an item sells now, from its sales; older ones count less, by half each half-life.

    half_life: one hour or more. What is older than 40 of them is forgotten.
    since: when watching began; earlier sales are left out, later ones than now (another clock) count as just now.
    Time in which the item could not be bought must not lie in between, or the rate comes out too low.
    prior: what similar items sell; it counts as one day of watching, so that a new item has a rate from the start.
    Without it an item with no sales has the rate 0, and one watched for a minute has a wild one.

    Dispersion: the larger of what the sizes of the lines make it (sum of squares / sum) and, once there are 24 full
    hours of weight, what the sums of single hours show. Without any sale it and the largest usual line are the
    prior's. Raises ValueError when now is before since or the half-life is below an hour.
    """
    if now < since or half_life < _HOUR:
        raise ValueError(f"cannot estimate from {since} to {now} with a half-life of {half_life}")
    half = half_life / _HOUR
    ages = ((max(0.0, (now - sale.at) / _HOUR), sale.units) for sale in sales if sale.at >= since)
    aged = [(age, units) for age, units in ages if age <= _FORGOTTEN * half]
    hours = (now - since) / _HOUR
    exposure = half / math.log(2) * -math.expm1(-hours / half * math.log(2))
    weighted = [(math.pow(2, -age / half), units) for age, units in aged]
    sold = math.fsum(weight * units for weight, units in weighted)
    if prior is not None:
        sold, exposure = sold + prior.per_hour * _PRIOR_HOURS, exposure + _PRIOR_HOURS
    per_hour = sold / exposure if exposure else 0.0
    if not aged:
        known = prior or DemandRate(0.0)
        return DemandRate(per_hour, known.dispersion, known.largest_usual_line)
    dispersion = max(_of_lines(weighted), _of_hours(aged, int(hours), half))
    return DemandRate(per_hour, min(MOST_DISPERSION, dispersion), _largest_usual(weighted))


def _of_lines(weighted: Sequence[tuple[float, int]]) -> float:
    """Dispersion when lines come singly: the mean units of a line, each line counted as often as it has units."""
    total = math.fsum(weight * units for weight, units in weighted)
    return max(1.0, math.fsum(weight * units * units for weight, units in weighted) / total)


def _of_hours(aged: Sequence[tuple[float, int]], full_hours: int, half: float) -> float:
    """Dispersion of the units of single hours, counted back from now; 1 while there are too few hours."""
    fade = math.pow(2, -1 / half)
    weight_sum = -math.expm1(full_hours * math.log(fade)) / (1 - fade)
    square_sum = -math.expm1(2 * full_hours * math.log(fade)) / (1 - fade * fade)
    if not full_hours or weight_sum * weight_sum / square_sum < _ENOUGH_HOURS:
        return 1.0
    units_in: dict[int, int] = {}
    for age, units in aged:
        if int(age) < full_hours:
            units_in[int(age)] = units_in.get(int(age), 0) + units
    mean = math.fsum(fade**hour * units for hour, units in units_in.items()) / weight_sum
    squares = math.fsum(fade**hour * units * units for hour, units in units_in.items())
    variance = (squares - weight_sum * mean * mean) / (weight_sum - square_sum / weight_sum)
    return max(1.0, variance / mean) if mean else 1.0


def _largest_usual(weighted: Sequence[tuple[float, int]]) -> int:
    total = math.fsum(weight for weight, _ in weighted)
    reached = 0.0
    ordered = sorted(weighted, key=lambda entry: entry[1])
    for weight, units in ordered:
        reached += weight
        if reached >= _USUAL * total:
            return units
    return ordered[-1][1]
