"""Whatever a rule forbids is done once on purpose: the simulation must say which invariant that breaks."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from channelsync.domain.watermark import Meaning, Understood
from channelsync.lab.faults import Deed, FaultPlan
from channelsync.lab.marketplace_values import NumberKey
from channelsync.lab.simulation import Outcome, play
from channelsync.lab.simulation_plan import STARTS, SimulationPlan, Size, plan_simulation
from channelsync.sdk.limiter import Grant, Limiter
from channelsync.sync import book_read, decide_writes, explained, publish, understand_reads
from channelsync.sync.book_orders import book_orders

SMALL = Size(
    skus=14,
    marketplaces=2,
    lasts=timedelta(hours=2, minutes=40),
    buying=timedelta(minutes=50),
    troubled=timedelta(minutes=92),
)
"""A day of the usual shape, a tenth as large."""


def day(*presets: str, seed: int = 5) -> SimulationPlan:
    """A small day on these marketplaces on which nothing goes wrong by itself, with no webhooks and no rules."""
    drawn = plan_simulation(seed, SMALL, presets=presets or ("plain", "plain"), faults=False)
    names = list(drawn.presets)
    return replace(
        drawn,
        rules=(),
        webhooks=frozenset(),
        polls={name: timedelta(minutes=15 if number else 4) for number, name in enumerate(names)},
        ticks=dict.fromkeys(names, timedelta(minutes=2)),
    )


def broken(outcome: Outcome) -> set[str]:
    """The invariants that were broken."""
    return {breach.invariant for breach in outcome.breaches}


@pytest.mark.parametrize("typed", [False, True])
def test_without_sabotage_nothing_is_broken(typed: bool) -> None:
    outcome = play(typed_down(day()) if typed else day())
    assert outcome.breaches == ()
    assert outcome.raises > 0


@pytest.mark.parametrize("numbered", ["all alike", "backwards"])
def test_generations_that_do_not_count_up_break_2(monkeypatch: pytest.MonkeyPatch, numbered: str) -> None:
    update = decide_writes._update
    back = itertools.count(1_000, -1)

    def wrong(channel: Any, target: Any, decision: Any, generation: int, run: str) -> Any:
        return update(channel, target, decision, 1 if numbered == "all alike" else next(back), run)

    monkeypatch.setattr(decide_writes, "_update", wrong)
    assert broken(play(day())) == {"2"}


@pytest.mark.parametrize("waits", [True, False])
def test_calls_that_do_not_wait_for_the_budget_break_it(monkeypatch: pytest.MonkeyPatch, waits: bool) -> None:
    async def at_once(self: Limiter, cost: float = 1, *, lane: Any = None, bucket: str | None = None) -> Grant:
        return Grant(bucket or "calls", lane, 0.0, 0.0, 0)

    if not waits:
        monkeypatch.setattr(Limiter, "acquire", at_once)
    plan = day()
    tight = {
        name: replace(rules, updates_per_push=1, reads_per_call=1, budget_capacity=5.0, budget_per_second=0.1)
        for name, rules in plan.marketplaces.items()
    }
    assert ("budget" in broken(play(replace(plan, marketplaces=tight)))) is not waits


def test_units_that_stay_reserved_when_their_row_ends_break_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explained, "end_movements", lambda *_: [])
    assert "1" in broken(play(typed_down(day())))


def test_rows_that_are_never_released_break_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explained, "to_release", lambda *_, **__: ())
    outcome = play(typed_down(day()))
    assert broken(outcome) == {"3"}
    assert any("a provisional row" in breach.what for breach in outcome.breaches)


def test_raises_that_never_leave_break_3(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lowerings_only(agent: Any, channel: Any, wanted: Any, found: Any) -> list[int]:
        return [key for key in wanted if key in found.lowerings]

    monkeypatch.setattr(publish, "ready", lowerings_only)
    outcome = play(day())
    assert broken(outcome) == {"3"}
    assert any("in the end, and should show" in breach.what for breach in outcome.breaches)


def test_orders_that_are_passed_over_break_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def some(connection: Any, setup: Any, arrivals: Sequence[Any], **how: Any) -> Any:
        return book_orders(connection, setup, [a for a in arrivals if int(a.order.order.rpartition("-")[2]) % 3], **how)

    monkeypatch.setattr(book_read, "book_orders", some)
    outcome = play(day())
    assert "3" in broken(outcome)
    assert any("are available, and" in breach.what for breach in outcome.breaches)


def test_drops_that_are_not_held_break_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(understand_reads._Reading, "_hold", lambda *_: None)
    assert "4" in broken(play(day()))


def test_reads_that_are_taken_at_their_word_break_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """An absolute set: whatever the channel shows is right, and our number is written over it."""
    understand = understand_reads.understand

    def credulous(state: Any, read: Any, timing: Any) -> Understood:
        meant = understand(state, read, timing)
        wrong = meant.meaning in (Meaning.DROP, Meaning.RISE)
        return replace(meant, meaning=Meaning.AS_EXPECTED, units=0) if wrong else meant

    monkeypatch.setattr(understand_reads, "understand", credulous)
    assert "4" in {one for seed in (1, 2) for one in broken(play(day(seed=seed)))}


def typed_down(plan: SimulationPlan) -> SimulationPlan:
    """The same day, on which a human sets numbers to 0 that no order will ever explain."""
    keys = [NumberKey(one.listing) for one in plan.wares.listings if one.marketplace == "m1"]
    deeds = [Deed(what="human edit", at=STARTS + timedelta(minutes=20), key=key, number=0) for key in keys]
    return replace(plan, faults={"m1": FaultPlan(deeds=deeds)})
