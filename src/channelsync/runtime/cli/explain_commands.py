"""`channelsync explain`: why a number is what it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from channelsync.runtime.cli.arguments import moment
from channelsync.runtime.cli.channels_commands import Only, known_channels
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.output import Output, as_iso
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import open_reading, setup_in_use, setup_of
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import installed
from channelsync.store import items
from channelsync.store.explain_view import ReservedUnits, StoredRead, StoredWrite
from channelsync.sync.explain import Explanation, NumberWhy, explain_now, explain_then
from channelsync.sync.explain_bundles import BundleWhy
from channelsync.sync.measures import measure

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("explain")(explain)


def explain(
    context: typer.Context,
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The SKU, or an alias of it.")],
    channel: Only = None,
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="As it was then; 2026-03-31T14:00 is in the seller's zone.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Why this number: what is there, which rule bit, what the channel showed, what was written and answered.

    Now: the positions with who has reserved them; of a bundle what its parts make of it at each location, and which
    part decides; for every number of the item what is shown, what should be with every step that led there, what it
    must be showing after all booked orders, writes on their way, and the next step with its reason. With --at: the
    positions replayed from the ledger as it was known then, the write in force with when and why it was sent and the
    steps of that moment, and the reads around that time. Nothing is read from a channel and nothing is written.
    """
    loaded = invocation(context).load()
    now = SystemClock().now()
    then = moment(at, loaded.config.seller.time_zone)
    if then is not None and then > now:
        raise CommandFailed(f"{as_iso(then)} has not come yet.", ExitCode.USAGE)
    only = known_channels(loaded, channel) if channel else None
    found = awaited(_explained(loaded, sku, only, then, now))
    output = Output(as_json=as_json)
    if as_json:
        output.document(found)
    else:
        _print(found, output)


async def _explained(
    loaded: Loaded, sku: str, only: Sequence[str] | None, at: datetime | None, now: datetime
) -> Explanation:
    async with open_reading(loaded) as database:
        found = await database.query(lambda c: items.items_by_sku(c, [sku]))
        if sku not in found:
            raise CommandFailed(f"There is no item with the SKU {sku}; `channelsync items list` shows them all.")
        item = found[sku]
        if at is not None:
            setup = await database.query(lambda c: setup_of(c, loaded, installed()))
            return await database.query(lambda c: explain_then(c, setup, item, only, at), snapshot=True)
        setup = await database.query(lambda c: setup_in_use(c, loaded, installed(), now))
        measures = await database.query(lambda c: measure(c, setup, now))
        return await database.query(lambda c: explain_now(c, setup, measures, item, only, now), snapshot=True)


# For people


def _print(found: Explanation, output: Output) -> None:
    title = f"{found.sku}{f' ({found.title})' if found.title and found.title != found.sku else ''}"
    when = f"as known at {as_iso(found.at)}" if found.past else "now"
    columns = ("sku", "location", "on_hand", "reserved", "withheld", "available", "counted_up_to")
    output.rows(found.positions, columns, title=f"{title}, {when}")
    for bundle in found.bundle:
        _print_bundle(found.sku, bundle, output)
    reserved = [one for position in found.positions for one in position.reserved_by]
    if reserved:
        output.rows(map(_reserved, reserved), title="Reserved by")
    for own in found.channels_own:
        output.say(
            f"{own.channel} ships listing {own.listing} from units that it keeps itself: it has no number of ours."
        )
    if not found.numbers and not found.channels_own:
        output.say(f"{found.sku} stands behind no listing; `channelsync listings map` says which are meant.")
    for number in found.numbers:
        _print_number(number, output, past=found.past)
    if found.findings:
        output.rows(found.findings, ("opened_at", "kind", "channel", "summary"), title="Findings")
    if found.in_bundles:
        output.say(f"{found.sku} is also a part of {', '.join(found.in_bundles)}; explain them for their numbers.")


def _print_bundle(sku: str, bundle: BundleWhy, output: Output) -> None:
    packed = bundle.makes - bundle.from_parts
    said = f"{bundle.makes} of {sku}" + (f", {packed} of them packed already" if packed else "")
    parts = [
        {
            "part": one.sku,
            "available": one.available,
            "in one bundle": one.units,
            "makes": one.makes,
            "decides": "decides" if one.decides else "",
            "said": "" if one.stated else "nobody said how many",
        }
        for one in bundle.parts
    ]
    columns = [name for name in parts[0] if name != "said" or not all(one.stated for one in bundle.parts)]
    output.rows(parts, columns, title=f"{bundle.location} makes {said}")


def _reserved(one: ReservedUnits) -> dict[str, Any]:
    what = f"order {one.order}, line {one.line}" if one.order else "a drop that no order explains yet"
    return {"location": one.location, "units": one.units, "by": what, "channel": one.channel, "since": one.since}


def _print_number(number: NumberWhy, output: Output, *, past: bool) -> None:
    where = f" at {number.remote}" if number.remote else ""
    output.document(_facts(number, past=past), title=f"{number.channel}, listing {number.listing}{where}")
    if number.steps:
        title = "How the number comes about"
        if past and number.said_at is not None:
            title = f"How that number came about, from what was known at {as_iso(number.said_at)}"
        output.rows(number.steps, ("step", "before", "after", "why", "rule"), title=title)
    if number.effects:
        output.rows(
            number.effects,
            ("order", "delta", "earliest", "latest"),
            title="Orders that may not be in the number read last",
        )
    if number.provisional:
        columns = ("location", "units", "open", "found_at", "closed_by")
        output.rows(number.provisional, columns, title="Drops that no order explained at first")
    if number.writes:
        output.rows(map(_write, number.writes), title="Last writes")
    if number.reads:
        output.rows(
            map(_read, number.reads), title="Reads around that time" if past else "Last reads that told something"
        )


def _facts(number: NumberWhy, *, past: bool) -> dict[str, Any]:
    seen = "never read" if number.shown is None else f"{number.shown}, read {as_iso(number.shown_at or _NEVER)}"
    facts: dict[str, Any] = {"last read": seen}
    if past:
        return facts | _in_force(number)
    facts["should show"] = number.should
    facts["must be showing"] = ", ".join(_expected(number)) or "not known"
    facts["next"] = f"{number.action}: {number.why}"
    facts["mode"] = number.mode
    facts["base units each"] = number.multiple if number.multiple > 1 else None
    facts["open question"] = number.question
    facts["rose unexplained by"] = number.unexplained_rise or None
    facts["looked at next"] = number.due_at
    facts["refused, not before"] = number.not_before
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _in_force(number: NumberWhy) -> dict[str, str]:
    """What the number was meant to be at a past time: by the last word before it, which knew nothing of later units."""
    since = as_iso(number.said_at or _NEVER)
    told: dict[str, str] = {}
    if number.action == "predicted":
        told["predicted last"] = f"{number.should}, at {since}, while the channel was only observed"
    if (written := number.in_force) is not None:
        sent = f"write {written.generation} of {written.value}, sent {as_iso(written.sent_at)}"
        told["write in force"] = f"{sent}, was written because: {written.why}"
    return told or {"write in force": "none: nothing had been written to it"}


_NEVER = datetime.min.replace(tzinfo=UTC)


def _expected(number: NumberWhy) -> list[str]:
    return [
        (f"{one.low}" if one.low == one.high else f"{one.low} to {one.high}")
        + (f" once write {one.generation} is applied" if one.generation is not None else "")
        for one in number.expected
    ]


def _write(one: StoredWrite) -> dict[str, Any]:
    seen = f", seen {as_iso(one.visible_at)}" if one.visible_at else ""
    answer = (one.outcome or "no answer yet") + (f": {one.reason}" if one.reason and one.outcome else "") + seen
    return {"write": one.generation, "sent": one.sent_at, "value": one.value, "why": one.why, "answer": answer}


def _read(one: StoredRead) -> dict[str, Any]:
    means = one.meaning + (f" of {one.units}" if one.units else "")
    expected = f"{one.low}" if one.low == one.high else f"{one.low} to {one.high}"
    first = one.meaning == "first"
    return {"read": one.answered_at, "value": one.value, "means": means, "expected": "" if first else expected}
