"""Booking: from snapshots of orders to ledger entries, reservations, effects and due keys, in one transaction.

`book_orders` is the one function behind polls, webhooks, replays, imports and commands. It takes a batch, because
one durable commit for many orders costs little more than one for one (group commit, see `intake`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from channelsync.domain.booked import BookedOrder
from channelsync.domain.booking import Booking, Terms, Verdict, book, expire
from channelsync.domain.effects import Effect, KeyMove
from channelsync.domain.findings import Finding, FindingKind, fingerprint
from channelsync.domain.ledger import LedgerEntry, Movement, available_moved
from channelsync.domain.orders import Moved, OrderLine, OrderSnapshot, OrderStatus
from channelsync.domain.quantities import Position, PositionKey
from channelsync.domain.sourcing import AvailableAt, SoldAs, reachable
from channelsync.store import channels, findings, keys, ledger, orders
from channelsync.store.orders import KeyOfListing, MappedListing, OrderToSave
from channelsync.store.together import Change, Rows, write_together
from channelsync.sync import accounts
from channelsync.sync.oversold import available_as_said, report_oversold
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.take_over import take_over_contained


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An order that arrived. settle: it was read by id, so it wins over another content of the same version.

    absent_at: where a read of the channel's orders brought it, when the last complete one before it was asked.
    """

    channel: str
    order: OrderSnapshot
    settle: bool = False
    absent_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Booked:
    """What became of a batch. verdicts: in the order of the arrivals. entries: ledger entries written.

    ask_again: (channel, order) of orders to read by id, because two snapshots of one version differ.
    items: those whose available changed. marked: keys were put on the publishers' agenda.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    entries: int = 0
    unmapped: int = 0
    ask_again: list[tuple[str, str]] = field(default_factory=list)
    items: set[str] = field(default_factory=set)
    marked: bool = False


def book_orders(
    connection: Connection, setup: Setup, arrivals: Sequence[Arrival], *, now: datetime, run: str
) -> Booked:
    """Books a batch in the caller's transaction. Never refuses an order; raises only what the database raises."""
    work = _Batch(connection=connection, setup=setup, now=now, run=run)
    for channel in sorted({arrival.channel for arrival in arrivals}):
        work.load(setup.channels[channel], [a.order for a in arrivals if a.channel == channel])
    work.lock()
    for arrival in arrivals:
        work.book(arrival)
    work.save()
    return work.done


def expire_orders(connection: Connection, setup: Setup, *, now: datetime, run: str) -> Booked:
    """Ends what pending orders hold whose time limit has passed. A later version of such an order reserves again.

    Like every release by coverage, not by the clock: an order that was paid while the channel's orders could not be
    read is still pending to us, and what it holds is sold.
    """
    work = _Batch(connection=connection, setup=setup, now=now, run=run)
    overdue = orders.expired_orders(connection, now, _known_to(connection, setup))
    if not overdue:
        return work.done
    work.known |= {(row.booked.channel, row.booked.order) for row in overdue}
    for row in overdue:
        work.items |= {item for line in row.booked.lines for leg in line.legs for item, _ in leg.takes}
    work.lock()
    for row in overdue:
        booking = expire(row.booked, at=now, run=run, reason="pending for longer than the channel's time limit")
        work.keep(Arrival(channel=row.booked.channel, order=row.said), booking, unmapped=row.unmapped, expires_at=None)
    work.save()
    return work.done


def _known_to(connection: Connection, setup: Setup) -> dict[str, datetime | None]:
    """By channel: whatever happened to its orders up to then was read; None: they were never read."""
    states = channels.channel_states(connection)
    covered = {name: accounts.orders_read(setup, states, name)[0] for name in setup.channels}
    return {
        name: None if until is None else until - setup.channels[name].capabilities.order_visibility
        for name, until in covered.items()
    }


@dataclass(slots=True, kw_only=True)
class _Batch:
    """One batch on its way: loaded, locked, booked order by order, saved with few statements."""

    connection: Connection
    setup: Setup
    now: datetime
    run: str
    done: Booked = field(default_factory=Booked)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    ways: dict[str, ChannelSetup] = field(default_factory=dict)
    booked: dict[tuple[str, str], BookedOrder] = field(default_factory=dict)
    known: set[tuple[str, str]] = field(default_factory=set)
    by_listing: dict[tuple[str, str], MappedListing] = field(default_factory=dict)
    by_sku: dict[tuple[str, str], MappedListing] = field(default_factory=dict)
    foreign: set[tuple[str, str | None]] = field(default_factory=set)
    items: set[str] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    available: AvailableAt = field(default_factory=dict)
    withheld: dict[PositionKey, int] = field(default_factory=dict)
    counted: dict[PositionKey, datetime] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    effects: dict[str, list[Effect]] = field(default_factory=dict)
    saves: dict[tuple[str, str], OrderToSave] = field(default_factory=dict)
    unmapped: list[Finding] = field(default_factory=list)
    mapped: list[str] = field(default_factory=list)

    def load(self, channel: ChannelSetup, snapshots: Sequence[OrderSnapshot]) -> None:
        """Reads what is booked of a channel's orders and what their listings mean."""
        account, found = accounts.booked_before(self.connection, channel, sorted({o.order for o in snapshots}))
        self.booked |= {(order.channel, name): order for name, order in found.items()}
        self.known |= {(order.channel, name) for name, order in found.items()}
        new = accounts.books_as(self.setup, account, channel.name)
        for one in snapshots:
            name = found[one.order].channel if one.order in found else new
            self.names[channel.name, one.order] = name
            self.ways[name] = self.setup.channels.get(name, channel)
        lines = [line for order in snapshots for line in order.lines]
        by_listing, by_sku = accounts.meanings(self.connection, channel, account, lines)
        unknown = {line.listing for line in lines if line.listing is not None} - by_listing.keys()
        fulfilled = orders.fulfilled_by_channel(self.connection, account, unknown)
        self.foreign |= {(channel.name, name) for name in fulfilled}
        self.by_listing |= {(channel.name, name): listing for name, listing in by_listing.items()}
        self.by_sku |= {(channel.name, sku): listing for sku, listing in by_sku.items()}
        for listing in (*by_listing.values(), *by_sku.values()):
            self.items |= reachable(listing.sold.item, self.setup.recipes)
            self.held |= {key.key for key in listing.keys if key.held}
        for order in found.values():
            self.items |= {item for line in order.lines for leg in line.legs for item, _ in leg.takes}

    def lock(self) -> None:
        """Locks every position that the batch may touch; those that are missing are made first."""
        self.positions = ledger.lock_positions(self.connection, self.items)
        wanted = {PositionKey(item, location) for item in self.items for location in self.setup.locations}
        missing = wanted - self.positions.keys()
        if missing:
            ledger.open_positions(self.connection, missing)
            self.positions = ledger.lock_positions(self.connection, self.items)
        for key, position in self.positions.items():
            self.available.setdefault(key.location, {})[key.item] = position.available
            self.withheld[key] = position.withheld
            if position.counted_up_to is not None:
                self.counted[key] = position.counted_up_to

    def book(self, arrival: Arrival) -> None:
        """Books one order on top of those before it in the batch."""
        name = (self.names[arrival.channel, arrival.order.order], arrival.order.order)
        channel = self.ways[name[0]]
        sold, moves = self._meanings(arrival.channel, channel, arrival.order)
        terms = Terms(
            channel=name[0],
            sold=sold,
            locations=channel.locations,
            available=self.available,
            recipes=self.setup.recipes,
            counted_up_to=self.counted,
            run=self.run,
            behaviour=channel.capabilities.read_behaviour,
            moves=moves,
            settle=arrival.settle,
            withheld=self.withheld,
        )
        before = self.booked.get(name)
        booking = book(before, arrival.order, terms)
        self.done.verdicts.append(booking.verdict)
        if booking.verdict == "differs":
            self.done.ask_again.append(name)
        if booking.verdict != "booked":
            return
        unmapped = [line for line in booking.unmapped if (arrival.channel, line.listing) not in self.foreign]
        limit = channel.capabilities.pending_limit
        pending = arrival.order.status is OrderStatus.PENDING and limit is not None
        expires_at = arrival.order.version + limit if pending and limit is not None else None
        self.keep(arrival, booking, unmapped=len(unmapped), expires_at=expires_at)
        waited = {line.line for line in before.lines if line.sold is None} if before else set()
        self._report_unmapped(name, arrival, unmapped, waited)

    def keep(self, arrival: Arrival, booking: Booking, *, unmapped: int, expires_at: datetime | None) -> None:
        """Takes a booking into the batch."""
        if booking.order is None:
            return
        name = (booking.order.channel, booking.order.order)
        self.booked[name] = booking.order
        said, absent_at = arrival.order, arrival.absent_at
        self.saves[name] = OrderToSave(
            said=said, booked=booking.order, unmapped=unmapped, expires_at=expires_at, absent_at=absent_at
        )
        self.movements += booking.movements
        if booking.effects:
            self.effects.setdefault(booking.order.channel, []).extend(booking.effects)
        self.done.unmapped += unmapped

    def save(self) -> None:
        """Writes the batch: orders, ledger and positions, take-overs, effects, due keys, findings.

        Orders come first: one that another transaction has booked meanwhile ends the batch there, before its entries
        meet their like in the ledger.
        """
        before = available_as_said(self.positions)
        along = [*orders.order_rows(list(self.saves.values()), self.known, self.now), *self._plain_effects()]
        moved = available_moved(self.movements) | self._open_at_blind_channels()
        with orders.booked_by_one():
            entries = ledger.write(
                self.connection,
                self.movements,
                self.positions,
                self.now,
                new=True,
                along=(along, self._due(moved)),
            )
        entries += self._take_over()
        self.done.entries = len(entries)
        self.done.items = available_moved(entry.movement for entry in entries)
        keys.mark_due(self.connection, self._shown(self.done.items - moved), self.now)
        self.done.marked = bool(moved or self.effects or self.done.items)
        report_oversold(self.connection, before, self.positions, self.now)
        findings.open_findings(self.connection, self.unmapped, self.now)
        findings.close_findings(self.connection, self.mapped, "it waits for no item any more", self.now)

    def _plain_effects(self) -> list[Rows]:
        """The effects on keys that hold nothing provisionally; when the next read of the key comes it settles them."""
        return [
            keys.effect_rows(channel, [(effect, "") for effect in effects if effect.key not in self.held], self.now)
            for channel, effects in sorted(self.effects.items())
        ]

    def _take_over(self) -> list[LedgerEntry]:
        """Effects on keys that hold units provisionally may end these."""
        entries: list[LedgerEntry] = []
        for channel, effects in sorted(self.effects.items()):
            held = [effect for effect in effects if effect.key in self.held]
            if held:
                timing = self.ways[channel].capabilities.timing
                settled, taken = take_over_contained(
                    self.connection, channel, held, timing, self.positions, now=self.now, run=self.run
                )
                entries += taken
                write_together(self.connection, [keys.effect_rows(channel, settled, self.now)])
        return entries

    def _open_at_blind_channels(self) -> set[str]:
        """Items of which open orders take more or fewer at a channel whose numbers contain them untold."""
        blind = {name for name, channel in self.setup.channels.items() if channel.capabilities.blind}
        return {movement.position.item for movement in self.movements if movement.cause.channel in blind}

    def _due(self, items: Iterable[str]) -> list[Change]:
        """Keys that show these items, and keys whose own number an effect moves: a payment changes nothing else."""
        moved = {effect.key for effects in self.effects.values() for effect in effects}
        shown = self._shown(items)
        return [keys.due_change(self.connection, shown, moved, self.now)] if shown or moved else []

    def _shown(self, items: Iterable[str]) -> set[str]:
        return {name for item in items for name in self.setup.shown_by(item)}

    def _meanings(
        self, heard: str, channel: ChannelSetup, order: OrderSnapshot
    ) -> tuple[dict[str, SoldAs], dict[str, list[KeyMove]]]:
        sold: dict[str, SoldAs] = {}
        moves: dict[str, list[KeyMove]] = {}
        for line in order.lines:
            listing = self._listing(heard, line)
            if listing is not None:
                sold[line.line] = listing.sold
                moves[line.line] = self._moves(heard, channel, listing, line)
        return sold, moves

    def _listing(self, channel: str, line: OrderLine) -> MappedListing | None:
        if line.listing is not None:
            return self.by_listing.get((channel, line.listing))
        return self.by_sku.get((channel, line.sku)) if line.sku else None

    def _moves(self, heard: str, channel: ChannelSetup, listing: MappedListing, line: OrderLine) -> list[KeyMove]:
        """The numbers that a line of this listing moves at the channel: its own, its parts', or both."""
        how = channel.capabilities.moves if listing.channel_parts else "own"
        moves = []
        if how in ("own", "both"):
            moves += _key_moves(channel, listing.keys, line, 1)
        if how in ("components", "both"):
            for part, units in listing.channel_parts:
                of_part = self.by_listing.get((heard, part))
                moves += _key_moves(channel, of_part.keys if of_part else (), line, units)
        return moves

    def _report_unmapped(
        self, order: tuple[str, str], arrival: Arrival, lines: Iterable[OrderLine], waited: set[str]
    ) -> None:
        """A finding for every line that waits; those of lines that no longer do (or are gone) are closed."""
        by_sku = self.setup.channels[arrival.channel].by_sku
        for line in lines:
            waited.discard(line.line)
            self.unmapped.append(
                Finding(
                    kind=FindingKind.UNMAPPED_LINE,
                    subject=(*order, line.line),
                    channel=arrival.channel,
                    summary=_unknown_sku(arrival, line) if by_sku else _unmapped_listing(arrival, line),
                    evidence={
                        "order": arrival.order.order,
                        "line": line.line,
                        "listing": line.listing,
                        "sku": line.sku,
                        "ordered": line.ordered,
                    },
                )
            )
        self.mapped += [fingerprint(FindingKind.UNMAPPED_LINE, *order, line) for line in sorted(waited)]


def _unmapped_listing(arrival: Arrival, line: OrderLine) -> str:
    name = line.listing or line.sku or "a listing without id and SKU"
    return (
        f"Order {arrival.order.order} on {arrival.channel} sells {name} (SKU {line.sku}), which is not mapped to an "
        "item; the order is kept and books itself once `channelsync listings map` has mapped it."
    )


def _unknown_sku(arrival: Arrival, line: OrderLine) -> str:
    return (
        f"Order {arrival.order.order} ({arrival.channel}) sells {line.sku}, which is the SKU of no item; the order is "
        "kept and books itself once there is one. Receive units of it, or add it to an item with "
        "`channelsync items alias`."
    )


def _key_moves(channel: ChannelSetup, known: Sequence[KeyOfListing], line: OrderLine, units: int) -> list[KeyMove]:
    """Of several keys (one per remote location) the line moves the one where it is served; else the first."""
    there = [key for key in known if line.location and channel.remotes.get(key.remote) == line.location]
    chosen = there or list(known[:1])
    return [KeyMove(key.key, units) for key in chosen]


def localised(order: OrderSnapshot, channel: ChannelSetup, locations: Iterable[str] = ()) -> OrderSnapshot:
    """The order with the channel's remote locations replaced by ours; those we do not know are left to our choice.

    locations: our own; where the channel uses these very names, they mean themselves.
    """
    known = {name: name for name in (*locations, *channel.locations)} | dict(channel.remotes)
    return replace(order, lines=tuple(_localised(line, known) for line in order.lines))


def _localised(line: OrderLine, remotes: Mapping[str, str]) -> OrderLine:
    everything = (*line.cancelled, *line.lost, *line.shipped, *line.returned, *line.withheld)
    if not line.location and not any(one.location for one in everything):
        return line

    def ours(moved: Iterable[Moved]) -> tuple[Moved, ...]:
        return tuple(replace(one, location=remotes.get(one.location or "")) for one in moved)

    return replace(
        line,
        location=remotes.get(line.location or ""),
        cancelled=ours(line.cancelled),
        lost=ours(line.lost),
        shipped=ours(line.shipped),
        returned=ours(line.returned),
        withheld=ours(line.withheld),
    )
