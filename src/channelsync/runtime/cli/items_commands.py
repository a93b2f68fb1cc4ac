"""`channelsync items ...`: what is counted, its names, and two made one or one made two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from sqlalchemy import Connection

from channelsync.runtime.cli.context import awaited, invocation
from channelsync.runtime.cli.exit_codes import CommandFailed, ExitCode
from channelsync.runtime.cli.held import end_held
from channelsync.runtime.cli.output import Output
from channelsync.runtime.cli.stock_shared import AsJson, Force, Reason, Sku, run_command, say_run
from channelsync.runtime.wiring import open_reading
from channelsync.store.items_view import ItemOnView, ListingOfItem, find_items, listings_of_item
from channelsync.sync.items import Split, SplitOff, item_itself, item_named
from channelsync.sync.items import add_alias as give_alias
from channelsync.sync.items import remove_alias as take_alias
from channelsync.sync.items import rename as rename_item
from channelsync.sync.items import split as split_item
from channelsync.sync.items_merge import Merged
from channelsync.sync.items_merge import merge as merge_items
from channelsync.sync.setup import Setup
from channelsync.sync.stock import By

_COLUMNS = ("sku", "title", "barcode", "aliases", "on_hand", "available", "listings", "merged_into")


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="See items and change their names.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_items)
    group.command("show")(show)
    group.command("rename")(rename)
    group.command("merge")(merge)
    group.command("split")(split)
    alias = typer.Typer(help="Further SKUs that lead to an item.", no_args_is_help=True, rich_markup_mode=None)
    alias.command("add")(alias_add)
    alias.command("remove")(alias_remove)
    group.add_typer(alias, name="alias")
    app.add_typer(group, name="items")


def list_items(
    context: typer.Context,
    search: Annotated[str, typer.Option("--search", help="A part of the SKU, of the title or of a further SKU.")] = "",
    merged: Annotated[bool, typer.Option("--merged", help="Also items that became others.")] = False,
    as_json: AsJson = False,
) -> None:
    """Items with their further SKUs, their sums over all locations, and how many listings sell them."""
    loaded = invocation(context).load()

    async def read() -> list[ItemOnView]:
        async with open_reading(loaded) as database:
            return await database.query(
                lambda c: list(find_items(c, search=search, include_merged=merged)), snapshot=True
            )

    Output(as_json=as_json).rows(awaited(read()), _COLUMNS, title="Items")


def show(context: typer.Context, sku: Sku, as_json: AsJson = False) -> None:
    """One item: its names, what became of it, and what it is listed as."""
    loaded = invocation(context).load()

    def work(connection: Connection) -> tuple[ItemOnView, list[ListingOfItem]]:
        item = item_itself(connection, sku)
        (found,) = find_items(connection, item=item.id, include_merged=True)
        return found, listings_of_item(connection, item.id)

    async def read() -> tuple[ItemOnView, list[ListingOfItem]]:
        async with open_reading(loaded) as database:
            return await database.query(work, snapshot=True)

    found, listings = awaited(read())
    output = Output(as_json=as_json)
    if as_json:
        output.document({"item": found, "listings": listings})
        return
    output.document(found)
    output.rows(listings, title="Listings")


def rename(
    context: typer.Context,
    sku: Sku,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The SKU that it gets.")],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Give an item another SKU. The old one still leads to it, and its history stays."""

    def work(connection: Connection, setup: Setup, by: By) -> tuple[str, bool]:
        item = item_named(connection, sku)
        return item.sku, rename_item(connection, setup, by, item, new)

    ran = run_command(context, "items rename", work, reason=reason, new_skus=True)
    was, changed = ran.result
    output = Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "was": was, "sku": new, "changed": changed})
    elif changed:
        output.say(f"{was} is {new} now; {was} still leads to it.")
        say_run(output, ran.run)
    else:
        output.say(f"{new} is the item's SKU already; nothing was changed.")
    end_held(output, ran.held)


def merge(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SKU", help="The item that becomes the other one.")],
    target: Annotated[str, typer.Argument(metavar="INTO", help="The item that goes on.")],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make two items one: units, open orders, listings, further SKUs and units on their way go to the second.

    Orders that were open go on: what is shipped, cancelled or returned of them later moves the second item. Where both
    were counted, the earlier moment holds. Bundles of the configuration, and parts of them, are not merged: change the
    configuration first. Given again it moves what came late.
    """

    def work(connection: Connection, setup: Setup, by: By) -> Merged:
        return merge_items(connection, setup, by, item_itself(connection, source), item_named(connection, target))

    ran = run_command(context, "items merge", work, reason=reason)
    done, output = ran.result, Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "sku": source, "into": target, "done": done})
    else:
        output.say(
            f"{source} is {target} now: {done.units} units on hand, {done.listings} listings, {done.orders} orders "
            "moved."
        )
        say_run(output, ran.run)
    if done.rules:
        output.say(f"warning: rules that spoke of {source} alone speak of nothing now: {', '.join(done.rules)}.")
    end_held(output, ran.held)


def split(
    context: typer.Context,
    sku: Sku,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The SKU of the new item.")],
    listing: Annotated[
        list[str] | None,
        typer.Option("--listing", metavar="CHANNEL/LISTING", help="Goes to the new item; may be repeated."),
    ] = None,
    units: Annotated[
        list[str] | None, typer.Option("--units", metavar="LOCATION=UNITS", help="Go to the new item; may be repeated.")
    ] = None,
    force: Force = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make a new item of some listings and units of one. Orders that are booked stay with the old one."""
    wanted = SplitOff(sku=new, listings=_listings(listing or ()), units=_units(units or ()), force=force)

    def work(connection: Connection, setup: Setup, by: By) -> Split:
        return split_item(connection, setup, by, item_named(connection, sku), wanted)

    ran = run_command(context, "items split", work, reason=reason, new_skus=True)
    done, output = ran.result, Output(as_json=as_json)
    if as_json:
        output.document(
            {"run": ran.run, "sku": sku, "new": done.item.sku, "item": done.item.id, "listings": done.listings}
        )
    else:
        output.say(
            f"{new} was split off {sku}, with {done.listings} listings and the units of {len(wanted.units)} locations."
        )
        say_run(output, ran.run)
    end_held(output, ran.held)


def alias_add(
    context: typer.Context,
    sku: Sku,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The further SKU.")],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let a further SKU lead to an item. Orders of our own that waited for it are booked."""

    def work(connection: Connection, setup: Setup, by: By) -> bool:
        return give_alias(connection, by, item_named(connection, sku), alias)

    ran = run_command(context, "items alias add", work, reason=reason, new_skus=True)
    output = Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "sku": sku, "alias": alias, "changed": ran.result})
    elif ran.result:
        output.say(f"{alias} leads to {sku} now.")
        say_run(output, ran.run)
    else:
        output.say(f"{alias} led to {sku} already; nothing was changed.")


def alias_remove(
    context: typer.Context,
    sku: Sku,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="The further SKU.")],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let a further SKU lead to no item any more."""

    def work(connection: Connection, setup: Setup, by: By) -> None:
        take_alias(connection, by, item_named(connection, sku), alias)

    ran = run_command(context, "items alias remove", work, reason=reason)
    output = Output(as_json=as_json)
    if as_json:
        output.document({"run": ran.run, "sku": sku, "alias": alias, "changed": True})
        return
    output.say(f"{alias} leads to no item any more.")
    say_run(output, ran.run)


def _listings(given: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for one in given:
        channel, sign, listing = one.partition("/")
        if not sign or not channel or not listing:
            raise CommandFailed(f"--listing {one!r} is not CHANNEL/LISTING, such as shop-uk/4711", ExitCode.USAGE)
        found.append((channel, listing))
    return found


def _units(given: Sequence[str]) -> dict[str, int]:
    units: dict[str, int] = {}
    for one in given:
        location, sign, number = one.partition("=")
        if not sign or not location or not (number.isascii() and number.isdigit()):
            raise CommandFailed(f"--units {one!r} is not LOCATION=UNITS, such as main=5", ExitCode.USAGE)
        if location in units:
            raise CommandFailed(f"--units names {location} twice; add the units up", ExitCode.USAGE)
        units[location] = int(number)
    return units
