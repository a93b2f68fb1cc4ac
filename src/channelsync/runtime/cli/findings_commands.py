"""`channelsync findings list|show|close`: every problem, opened once and closed once."""

from __future__ import annotations

from typing import Annotated

import typer

from channelsync.domain.findings import FindingKind
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import Ran
from channelsync.runtime.config import Loaded
from channelsync.runtime.config_errors import suggestion
from channelsync.runtime.wiring import open_reading, open_run
from channelsync.store import findings
from channelsync.store.findings import StoredFinding
from channelsync.store.findings_view import FindingOnView, view_findings
from channelsync.sync.close_findings import close_by_hand
from channelsync.sync.stock import By

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        help="See what is wrong, and close what was settled.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_findings)
    group.command("show")(show)
    group.command("close")(close)
    app.add_typer(group, name="findings")


def list_findings(
    context: typer.Context,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only of this kind, such as oversold; may be given again.")
    ] = None,
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Only of this channel.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Every problem that is open, the newest first."""
    loaded = invocation(context).load()
    kinds = [_kind(one) for one in kind or ()]

    async def work() -> list[FindingOnView]:
        async with open_reading(loaded) as database:
            return await database.query(
                lambda c: view_findings(
                    c,
                    findings.list_findings(c, kinds=kinds, channel=channel, only_open=not everything, limit=limit),
                )
            )

    columns = ("id", "kind", "channel", "sku", "summary", "opened_at", *(("closed_at",) if everything else ()))
    Output(as_json=as_json).rows(awaited(work()), columns, title="Findings")


def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number in `findings list`.")],
    as_json: AsJson = False,
) -> None:
    """One finding with its evidence."""
    loaded = invocation(context).load()

    async def work() -> list[FindingOnView]:
        async with open_reading(loaded) as database:
            return await database.query(lambda c: view_findings(c, list(findings.get_findings(c, [number]).values())))

    found = awaited(work())
    if not found:
        raise CommandFailed(f"there is no finding {number}; `channelsync findings list --all` shows all")
    Output(as_json=as_json).document(found[0], title=f"Finding {number}")


def close(
    context: typer.Context,
    numbers: Annotated[list[int], typer.Argument(metavar="ID", help="Numbers in `findings list`.")],
    why: Annotated[str, typer.Option("--why", help="What was done about it, for the record.")] = "closed by hand",
    as_json: AsJson = False,
) -> None:
    """Close findings that are settled. What is still wrong is found anew when it is met again."""
    loaded = invocation(context).load()
    ran = awaited(_close(loaded, sorted(set(numbers)), why))
    closed = [one.id for one in ran.result]
    before = sorted(set(numbers).difference(closed))
    output = Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "closed": closed, "closed_before": before})
        return
    for one in ran.result:
        output.say(f"Closed finding {one.id}: {one.summary}")
    for number in before:
        output.say(f"Finding {number} was closed already.")


async def _close(loaded: Loaded, numbers: list[int], why: str) -> Ran[list[StoredFinding]]:
    async with open_run(loaded, "findings close", arguments={"findings": numbers, "why": why}) as run:
        by = By(actor="user", run=run.run, now=run.clock.now())
        return Ran(run.run, await run.database.transact(lambda c: close_by_hand(c, by, numbers, why)))


def _kind(text: str) -> str:
    known = [kind.value for kind in FindingKind]
    wanted = text.strip().casefold().replace("-", " ").replace("_", " ")
    if wanted not in known:
        raise CommandFailed(f"there is no kind of finding {text!r}: {suggestion(wanted, known)}")
    return wanted
