"""Applying what matching proposes: items are made where they are missing, listings mapped, waiting orders booked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from channelsync.sdk.paging import in_batches
from channelsync.store import items, kept_keys, listings, listings_view
from channelsync.sync.accounts import channels_of
from channelsync.sync.agent import Agent
from channelsync.sync.approvals import conclude
from channelsync.sync.guard import Guarded, HeldPlan, guard_run
from channelsync.sync.items_new import add_new_items
from channelsync.sync.listings_map import Wanted, map_listings
from channelsync.sync.listings_match import Catalog, Proposal
from channelsync.sync.setup import BY_HAND
from channelsync.sync.stock import By
from channelsync.sync.take_orders import book_unmapped
from channelsync.sync.unstated import LeftAlone, left_alone

# Listings mapped in one transaction: locks are short.
MAPPED_AT_ONCE = 100


@dataclass(slots=True)
class Applied:
    """What was done. booked: orders that had waited for these mappings. held: what waits for approval of it.

    left_alone: what of these channels stays as it is, because nobody has said how many units there are.
    """

    mapped: list[Proposal] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    booked: int = 0
    held: list[HeldPlan] = field(default_factory=list)
    left_alone: list[LeftAlone] = field(default_factory=list)


def load_catalog(connection: Connection, *, create: bool) -> Catalog:
    """All that matching looks at. create: a SKU that no item has may become an item."""
    return Catalog(
        items=items.all_items(connection, include_merged=True),
        aliases=listings_view.all_aliases(connection),
        listings=listings.get_listings(connection),
        create=create,
        kept=kept_keys.all_kept(connection),
    )


async def apply_proposals(agent: Agent, chosen: Sequence[Proposal]) -> Applied:
    """Maps these listings, some in a transaction, and books what waited for them. Raises BadListing.

    What all of them would change is judged at the end; until then it is held, so that nothing of a change that is too
    large goes out with its first part.
    """
    done = Applied()
    for batch in in_batches(chosen, MAPPED_AT_ONCE):
        some = [one for one in batch if one.item is not None]
        done.items += await agent.database.transact(lambda c, some=some: _apply(c, agent, some))  # type: ignore[misc]
        done.mapped += some
    now = agent.clock.now()
    done.held = await agent.database.transact(lambda c: conclude(c, agent.setup, agent.measures, agent.run, now))
    agent.wake_publishers()
    mapped = {one.channel for one in done.mapped}
    done.booked = await book_waiting(agent, mapped, new_items=bool(done.items))
    done.left_alone = await agent.database.query(lambda c: left_alone(c, agent.setup, agent.measures, mapped))
    return done


async def book_waiting(agent: Agent, channels: Iterable[str], *, new_items: bool = False) -> int:
    """Books orders that waited for mappings of these channels, or, with new items, for an item of their SKU."""
    mapped = [agent.setup.channels[name] for name in sorted(set(channels)) if name in agent.setup.channels]
    accounts = await agent.database.query(lambda c: {name for one in mapped for name in channels_of(c, one)})
    names = sorted({*accounts, *((BY_HAND,) if new_items else ())})
    return sum([await book_unmapped(agent, name) for name in names])


def _apply(connection: Connection, agent: Agent, chosen: Sequence[Proposal]) -> list[str]:
    """One transaction; returns the SKUs of items that were made."""
    now = agent.clock.now()
    by = By(actor="user:match", run=agent.run, now=now)
    new = {one.sku: one for one in reversed(chosen) if one.new}
    known = items.items_by_sku(connection, new)
    made = add_new_items(connection, by, sorted(new.keys() - known.keys()))
    for sku, item in made.items():
        items.change_item(connection, item.id, title=new[sku].title, barcode=new[sku].barcode)
    ids = {sku: item.id for sku, item in (known | made).items()}
    shown: dict[int, int] = {}
    for why in sorted({one.why for one in chosen}):
        wanted = [
            Wanted(one.channel, one.listing, ids[one.sku] if one.new else one.item, one.multiple)
            for one in chosen
            if one.why == why
        ]
        shown |= map_listings(connection, agent.setup, wanted, by=f"match: {why}", run=agent.run, now=now).shown
    guard_run(connection, agent.setup, agent.measures, Guarded(run=agent.run, now=now, shown=shown, gather=True))
    return sorted(made)
