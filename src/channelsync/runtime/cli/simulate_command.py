"""`channelsync simulate`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from channelsync.lab.figures import number, write_figures
from channelsync.runtime import logging
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.lab_commands import AsJson, progress
from channelsync.runtime.cli.output import Output

if TYPE_CHECKING:
    from channelsync.lab.simulation import Outcome
    from channelsync.lab.simulation_many import Tally

_BREACHES_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("simulate")(simulate)


def simulate(
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many days.")] = 200,
    first: Annotated[int, typer.Option("--from", min=0, help="The first seed.")] = 0,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Replay this day, and tell more.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; default: one per core.")] = None,
    figures: Annotated[str, typer.Option("--figures", help="The file in build/figures.")] = "simulation",
    as_json: AsJson = False,
) -> None:
    """Play whole days of trading with everything going wrong, each drawn from a seed, and check what must hold.

    A day has 4 virtual hours, 50 SKUs and 4 simulated marketplaces with faults of every kind, human edits, webhooks
    that are lost and late, and restarts of the agent, whose loops are those of `channelsync run`. While that lasts the
    invariants 1, 2 and 4 are checked and every call against its channel's budget; when it is quiet, invariant 3. See
    docs/simulation.md. The figures go to build/figures/simulation.json.

    Ends with 0 when every invariant held; else with 1, and says which seed to replay.
    """
    from channelsync.lab.simulation_many import Tally, play_seeds

    logging.configure("error", "console", frozenset())
    output = Output(as_json=as_json)
    if seed is not None:
        _replay(seed, output)
        return
    tally = Tally()
    with progress() as told:
        for day in play_seeds(range(first, first + seeds), workers if workers is not None else os.cpu_count() or 1):
            tally.add(day)
            told(tally.days / seeds, f"{tally.days} of {seeds} days, {len(tally.broken)} with a broken invariant")
            if not day.holds:
                _tell(day, output)
    write_figures(figures, tally.figures())
    if as_json:
        output.document(
            {figure.name: figure.value for figure in tally.figures()} | {"broken": [_plain(d) for d in tally.broken]}
        )
    else:
        output.rows(_summary(tally), ("what", "figure"), title=f"{tally.days:,} simulated days")
    output.say(f"{tally.seconds / max(1, tally.days):.1f} s of processor time a day.")
    if tally.broken:
        broken = sorted(day.seed for day in tally.broken)
        raise CommandFailed(
            f"{len(broken)} of {tally.days} broke an invariant; replay one: channelsync simulate --seed {broken[0]}",
            ExitCode.FOUND_WRONG,
        )


def _replay(seed: int, output: Output) -> None:
    """One day, with what it was made of."""
    from channelsync.lab.simulation_many import Tally, play_safely
    from channelsync.lab.simulation_plan import plan_simulation

    plan = plan_simulation(seed)
    if not output.as_json:
        output.rows(
            (
                {
                    "marketplace": name,
                    "is": preset,
                    "orders every": _minutes(plan.polls[name]),
                    "numbers every": _minutes(plan.ticks[name]),
                    "webhooks": "yes" if name in plan.webhooks and plan.marketplaces[name].webhooks else "no",
                    "planned orders": sum(order.marketplace == name for order in plan.orders),
                    "faults": ", ".join(sorted({f.kind.value for f in plan.faults[name].faults if f.chance >= 0.5})),
                    "human edits": sum(deed.what != "tokens dropped" for deed in plan.faults[name].deeds),
                }
                for name, preset in plan.presets.items()
            ),
            title=f"seed {seed}: {len(plan.rules)} rules; stopped at {_moments(plan.stops)}",
        )
    day = play_safely(seed)
    tally = Tally()
    tally.add(day)
    if output.as_json:
        output.document(_plain(day))
    else:
        output.rows(_summary(tally), ("what", "figure"), title=f"history {day.digest}")
    if not day.holds:
        _tell(day, output, shown=len(day.breaches))
        raise CommandFailed(f"{len(day.breaches)} breaches. The same seed repeats them.", ExitCode.FOUND_WRONG)
    output.say(f"Every invariant held; {day.seconds:.1f} s of processor time.")


def _moments(moments: Iterable[datetime]) -> str:
    return ", ".join(f"{moment:%H:%M:%S}" for moment in moments) or "no time"


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:g} min"


def _plain(day: Outcome) -> dict[str, object]:
    return asdict(day) | {"breaches": [str(breach) for breach in day.breaches], "presets": dict(day.presets)}


def _tell(day: Outcome, output: Output, shown: int = _BREACHES_SHOWN) -> None:
    """What a day broke, at once: nobody should have to wait for the other days."""
    lines: Iterable[str] = (f"  {breach}" for breach in day.breaches[:shown])
    more = [f"  and {len(day.breaches) - shown} more"] if len(day.breaches) > shown else []
    output.say("\n".join([str(day), *lines, *more, f"  channelsync simulate --seed {day.seed}"]))


def _summary(tally: Tally) -> list[dict[str, str]]:
    return [
        {"what": figure.name.removeprefix("simulated_").replace("_", " "), "figure": number(figure.value)}
        for figure in tally.figures()
    ]
