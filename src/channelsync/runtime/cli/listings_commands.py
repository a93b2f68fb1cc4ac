"""`channelsync listings pull|list|match|map|unmap|lint`: what the channels list, and what it means to us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.channels_commands import known_channels
from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.held import end_held
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import Ran, say_run
from channelsync.runtime.config import Loaded
from channelsync.runtime.wiring import open_agent, open_reading, setup_of
from channelsync.sdk.clock import SystemClock
from channelsync.sdk.discovery import installed
from channelsync.sdk.errors import ChannelError
from channelsync.store import items
from channelsync.store.listings_view import ListingOnView, ListingRow, listing_row, view_listings
from channelsync.sync.agent import Agent
from channelsync.sync.guard import Guarded, guard_run
from channelsync.sync.items_new import add_new_items
from channelsync.sync.listings_apply import Applied, apply_proposals, book_waiting, load_catalog
from channelsync.sync.listings_lint import Problem, lint
from channelsync.sync.listings_map import Mapped, Wanted, map_listings
from channelsync.sync.listings_match import NO_ITEM, Proposal, propose
from channelsync.sync.pull_listings import identify, pull_listings
from channelsync.sync.stock import By
from channelsync.sync.unstated import LeftAlone, left_among

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Only = Annotated[
    list[str] | None, typer.Option("--channel", metavar="NAME", help="Only this channel; may be given again.")
]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel, by its name in the configuration.")]
ListingId = Annotated[str, typer.Argument(metavar="LISTING", help="The channel's id of the listing.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="See listings and say what they mean.", no_args_is_help=True, rich_markup_mode=None)
    group.command("pull")(pull)
    group.command("list")(list_listings)
    group.command("match")(match)
    group.command("map")(map_one)
    group.command("unmap")(unmap)
    group.command("lint")(lint_all)
    app.add_typer(group, name="listings")


# Pulling and looking


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledChannel:
    """What was pulled of one channel. failed: why nothing was, or not all; empty: it was.

    missing: not brought, and not taken as gone, for they are far too many. plan: which waits for approval of that.
    went_on, kept: as in `Pulled`.
    """

    channel: str
    listings: int = 0
    gone: int = 0
    missing: int = 0
    plan: str = ""
    went_on: int = 0
    kept: int = 0
    states: dict[str, int] = field(default_factory=dict)
    failed: str = ""


def pull(
    context: typer.Context,
    channel: Only = None,
    accept_fewer: Annotated[
        bool,
        typer.Option("--accept-fewer", help="What is not brought is gone, even if that is nearly every listing."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every listing with its state. Nothing is mapped, and nothing is written to a channel."""
    loaded = invocation(context).load()
    off = {one.name for one in loaded.config.channels if one.mode == "off"}
    chosen = known_channels(loaded, channel or [name for name in known_channels(loaded, None) if name not in off])
    pulled = awaited(_pull(loaded, chosen, accept_fewer=accept_fewer))
    output = Output(as_json=as_json)
    output.rows(pulled, title="Pulled")
    for one in pulled:
        if one.failed:
            output.fail(f"{one.channel}: {one.failed}")
    for one in pulled:
        if one.went_on:
            output.say(
                f"{one.channel}: numbers that stood under a channel of this account which is not configured any more, "
                f"and are {one.channel}'s from now on: {one.went_on}."
            )
    for one in pulled:
        if one.plan:
            output.say(
                f"{one.channel}: {one.missing} known listings were not brought, far too many to be gone: "
                f"`channelsync approvals approve {one.plan}` says that they are."
            )
    if any(one.failed for one in pulled):
        raise typer.Exit(ExitCode.UNREACHABLE)
    if any(one.plan for one in pulled):
        raise typer.Exit(ExitCode.HELD)


async def _pull(loaded: Loaded, chosen: Sequence[str], *, accept_fewer: bool) -> list[PulledChannel]:
    async with open_agent(loaded, "listings pull", channels=chosen) as agent:
        return [await _pull_one(agent, name, accept_fewer=accept_fewer) for name in chosen]


async def _pull_one(agent: Agent, name: str, *, accept_fewer: bool) -> PulledChannel:
    """One channel; what goes wrong with it keeps no other from being pulled."""
    channel = agent.channels[name]
    try:
        await identify(agent, channel)
        pulled = await pull_listings(agent, channel, accept_fewer=accept_fewer)
    except ChannelError as error:
        return PulledChannel(channel=name, failed=str(error))
    return PulledChannel(
        channel=name,
        listings=pulled.listings,
        gone=pulled.gone,
        missing=pulled.missing,
        plan=pulled.plan,
        went_on=pulled.went_on,
        kept=pulled.kept,
        states=pulled.states,
        failed=f"what it keeps itself could not be counted: {pulled.not_counted}" if pulled.not_counted else "",
    )


def list_listings(
    context: typer.Context,
    channel: Only = None,
    sku: Annotated[str, typer.Option("--sku", help="Only those that are mapped to this SKU.")] = "",
    unmapped: Annotated[bool, typer.Option("--unmapped", help="Only those that are not mapped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Listings as last pulled, what they are mapped to, and the numbers behind them."""
    loaded = invocation(context).load()
    chosen = known_channels(loaded, channel)

    async def work() -> list[ListingOnView]:
        async with open_reading(loaded) as database:
            return await database.query(lambda c: _views(c, chosen if channel else [], sku, unmapped=unmapped))

    rows = [listing_row(one) for one in awaited(work())]
    Output(as_json=as_json).rows(rows if as_json else map(_listed, rows), title="Listings")


def _listed(one: ListingRow) -> dict[str, object]:
    """A row of the table."""
    columns = ("channel", "listing", "sku", "title", "state", "mapped_to", "multiple")
    told: dict[str, object] = {name: getattr(one, name) for name in columns}
    return told | {"last_read": one.shows, "should_show": one.should_show, "gone_at": one.gone_at}


def _views(connection: Connection, channels: Sequence[str], sku: str, *, unmapped: bool) -> list[ListingOnView]:
    item = ""
    if sku:
        known = items.items_by_sku(connection, [sku])
        if sku not in known:
            raise _unknown_sku(sku)
        item = known[sku].id
    found = view_listings(connection, item=item, only_unmapped=unmapped)
    return [one for one in found if not channels or one.stored.channel in channels]


# Mapping


def match(
    context: typer.Context,
    channel: Only = None,
    apply: Annotated[bool, typer.Option("--apply", help="Map what is certain.")] = False,
    guesses: Annotated[bool, typer.Option("--guesses", help="With --apply: map guesses too. Read them first.")] = False,
    create_items: Annotated[
        bool, typer.Option("--create-items", help="A SKU that no item has becomes an item, where that is certain.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Propose what listings that are not mapped stand for: by SKU, then by alias, then by barcode.

    Without --apply nothing is changed. Blank SKUs, duplicates and guesses (other capitals, blanks or Unicode form,
    "MUG x6" for six of MUG) are never mapped by --apply alone; duplicates not even with --guesses.
    """
    if guesses and not apply:
        raise CommandFailed("--guesses maps nothing by itself: say --apply --guesses", ExitCode.USAGE)
    loaded = invocation(context).load()
    chosen = known_channels(loaded, channel)
    wanted = ("certain", "guess") if guesses else ("certain",)

    async def look() -> list[Proposal]:
        async with open_reading(loaded) as database:
            return await database.query(lambda c: propose(load_catalog(c, create=create_items), chosen))

    async def do() -> tuple[list[Proposal], Ran[Applied]]:
        async with open_agent(loaded, "listings match", channels=()) as agent:
            catalog = await agent.database.query(lambda c: load_catalog(c, create=create_items))
            found = propose(catalog, chosen)
            done = await apply_proposals(agent, [one for one in found if one.confidence in wanted])
            return found, Ran(agent.run, done, tuple(done.held))

    found, ran = awaited(do()) if apply else (awaited(look()), None)
    output = Output(as_json=as_json)
    columns = ("channel", "listing", "listing_sku", "sku", "multiple", "confidence", "why")
    output.rows([_proposal_row(one) for one in found], columns, title="Proposals")
    _tell_match(output, found, ran)
    end_held(output, ran.held if ran is not None else ())


def _proposal_row(one: Proposal) -> dict[str, object]:
    return {
        "channel": one.channel,
        "listing": one.listing,
        "listing_sku": one.listing_sku,
        "title": one.title,
        "barcode": one.barcode,
        "sku": one.sku or None,
        "multiple": one.multiple if one.item else None,
        "new_item": one.new,
        "confidence": one.confidence,
        "why": one.why,
    }


def _tell_match(output: Output, found: Sequence[Proposal], ran: Ran[Applied] | None) -> None:
    if ran is not None:
        done = ran.result
        output.say(
            f"Mapped {len(done.mapped)} listings, made {len(done.items)} items, booked {done.booked} orders "
            "that had waited."
        )
        if done.mapped:
            say_run(output, ran.run)
        for one in done.left_alone:
            output.say(f"{one.channel}: {one}")
        return
    certain = sum(one.confidence == "certain" for one in found)
    guessed = sum(one.confidence == "guess" for one in found)
    output.say(
        f"{certain} are certain (--apply maps them), {guessed} are guesses (--apply --guesses maps them too), "
        f"{len(found) - certain - guessed} need `channelsync listings map`. Nothing was changed."
    )
    new = sum(one.why == NO_ITEM for one in found)
    if new:
        output.say(
            f"Of {new} no item has the SKU: `channelsync listings match --create-items` says which of them can become "
            "items, and with --apply makes and maps them all at once."
        )


def map_one(
    context: typer.Context,
    channel: Channel,
    listing: ListingId,
    sku: Annotated[str, typer.Argument(metavar="SKU", help="The SKU, or an alias, of the item that it sells.")],
    multiple: Annotated[
        int, typer.Option("--multiple", min=1, help="Base units of the item in one unit of the listing.")
    ] = 1,
    create_item: Annotated[bool, typer.Option("--create-item", help="Make the item when no item has the SKU.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a listing sells; orders that waited for it are booked.

    Its numbers start anew: the next read of each is taken as it is. Listings that share one number at the channel
    are mapped alike.
    """
    loaded = invocation(context).load()
    known_channels(loaded, [channel])

    async def work() -> tuple[Ran[tuple[Mapped, int]], list[LeftAlone]]:
        async with open_agent(loaded, "listings map", channels=()) as agent:
            done = await _map(agent, Wanted(channel, listing, sku, multiple), create_item=create_item)
            keys = done.result[0].restarted
            return done, await agent.database.query(lambda c: left_among(c, agent.setup, agent.measures, keys))

    ran, left = awaited(work())
    (mapped, booked), output = ran.result, Output(as_json=as_json)
    what = sku if multiple == 1 else f"{multiple} of {sku}"
    if as_json:
        output.document(_mapped_document(ran) | {"sku": sku, "multiple": multiple})
    elif not mapped.changed:
        output.say(f"{channel} listing {listing} was mapped to {what} already.")
    else:
        output.say(f"{channel} listing {listing} is {what} from now on. {_consequences(mapped, booked)}")
        for other, alone in mapped.alone:
            output.say(f"{other} listing {alone} shares its number and is not mapped: its orders wait. Map it alike.")
        for one in left:
            output.say(f"{one.channel}: {one}")
        say_run(output, ran.run)
    end_held(output, ran.held)


def unmap(context: typer.Context, channel: Channel, listing: ListingId, as_json: AsJson = False) -> None:
    """Take a mapping back: nothing is written to the listing any more, and its new orders wait."""
    loaded = invocation(context).load()
    known_channels(loaded, [channel])

    async def work() -> Ran[tuple[Mapped, int]]:
        async with open_agent(loaded, "listings unmap", channels=()) as agent:
            return await _map(agent, Wanted(channel, listing, None), create_item=False)

    ran = awaited(work())
    (mapped, booked), output = ran.result, Output(as_json=as_json)
    if as_json:
        output.document(_mapped_document(ran))
    elif mapped.changed:
        output.say(f"{channel} listing {listing} is not mapped any more. {_consequences(mapped, booked)}")
        say_run(output, ran.run)
    else:
        output.say(f"{channel} listing {listing} was not mapped.")
    end_held(output, ran.held)


async def _map(agent: Agent, said: Wanted, *, create_item: bool) -> Ran[tuple[Mapped, int]]:
    """said.item: a SKU, or None. Returns what became of it, and how many orders that waited were booked."""
    now = agent.clock.now()

    def unit(connection: Connection) -> Mapped:
        item = _item(connection, agent, said.item, create=create_item) if said.item is not None else None
        wanted = Wanted(said.channel, said.listing, item, said.multiple)
        done = map_listings(connection, agent.setup, [wanted], by="map", run=agent.run, now=now)
        guarded = Guarded(run=agent.run, now=now, shown=done.shown)
        done.held = guard_run(connection, agent.setup, agent.measures, guarded)
        return done

    mapped = await agent.database.transact(unit)
    agent.wake_publishers()
    booked = await book_waiting(agent, [said.channel], new_items=create_item)
    return Ran(agent.run, (mapped, booked), tuple(mapped.held))


def _item(connection: Connection, agent: Agent, sku: str, *, create: bool) -> str:
    known = items.items_by_sku(connection, [sku])
    if sku in known:
        return known[sku].id
    if not create:
        raise _unknown_sku(sku)
    by = By(actor="user:map", run=agent.run, now=agent.clock.now())
    return add_new_items(connection, by, [sku])[sku].id


def _unknown_sku(sku: str) -> CommandFailed:
    return CommandFailed(
        f"no item has the SKU {sku!r}, and it is no alias; nothing was changed. Correct it, or make the "
        "item with --create-item or by receiving units of it"
    )


def _mapped_document(ran: Ran[tuple[Mapped, int]]) -> dict[str, object]:
    mapped, booked = ran.result
    return {
        "run": ran.run,
        "changed": bool(mapped.changed),
        "keys_started_anew": len(mapped.restarted),
        "units_released": mapped.released,
        "orders_booked": booked,
        "share_its_number_unmapped": [list(one) for one in mapped.alone],
        "held": ran.held,
    }


def _consequences(mapped: Mapped, booked: int) -> str:
    told = [f"{len(mapped.restarted)} numbers behind it start anew."]
    if mapped.released:
        told.append(f"{mapped.released} units that were held provisionally are free again.")
    if booked:
        told.append(f"{booked} orders that had waited were booked.")
    return " ".join(told)


# Lint


def lint_all(context: typer.Context, channel: Only = None, as_json: AsJson = False) -> None:
    """Look for listings, mappings, bundles and rules that are wrong; changes nothing. Ends with 1 when one is found."""
    loaded = invocation(context).load()
    chosen = set(known_channels(loaded, channel)) if channel else set()

    async def work() -> list[Problem]:
        async with open_reading(loaded) as database:
            return await database.query(lambda c: lint(c, setup_of(c, loaded, installed()), SystemClock().now()))

    found = [one for one in awaited(work()) if not chosen or one.channel in {"", *chosen}]
    output = Output(as_json=as_json)
    output.rows(found, ("kind", "channel", "listing", "text"), title="Lint")
    if found:
        output.say("1 thing is wrong." if len(found) == 1 else f"{len(found)} things are wrong.")
        raise typer.Exit(ExitCode.FOUND_WRONG)
