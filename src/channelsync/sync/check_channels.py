"""What is right and wrong with a channel's account, point by point, and how it is mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from channelsync.sdk.budgets import BucketState, Budget
from channelsync.sdk.channel import Identity
from channelsync.sdk.connecting import CheckPoint, Inspects
from channelsync.sdk.errors import ChannelError, NeedsSeller, TryLater
from channelsync.sdk.subscriptions import Repair, Subscribes, Subscription, mend, repair_of
from channelsync.store import channels, kept_keys, orders
from channelsync.store.account_check import orders_holding_units, remote_locations
from channelsync.sync import accounts
from channelsync.sync.agent import Agent, OpenChannel
from channelsync.sync.open_channels import account_connected

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far clocks may be apart where a channel declares no more."""

SHORT_OF = 0.1
"""Where less than this part of a day's quota is left, it is told as a thing to look at."""

BACK_FILL_AT_LEAST = timedelta(days=1)
BACK_FILL_AT_MOST = timedelta(days=30)


async def check_channel(
    agent: Agent,
    channel: OpenChannel,
    budgets: Sequence[Budget],
    address: str | None,
    *,
    register: bool = False,
    read_anew: bool = False,
) -> list[CheckPoint]:
    """Looks at everything that can be told of one open channel; what fails is a point, never raised.

    budgets: as the connector declares them. address: where the channel's webhook deliveries go; None: nowhere.
    register, read_anew: once the credentials are good and of the same account as before, webhooks are mended (see
    `mend_webhooks`) and orders marked (see `back_fill`). The breaker is asked nothing: the seller wants to know now.
    Where it waited for the seller and the credentials are good, the account counts as connected anew, so that a
    running daemon uses it again.
    """
    waited = channel.breaker.state.needs_seller is not None
    channel.breaker.reset()
    try:
        first = await _credentials(agent, channel, await channel.channel.check(), waited=waited)
    except ChannelError as error:
        first = _failed("credentials", error)
    points = [first]
    if first.fine:
        if register:
            points.append(await _mended(channel, address))
        if read_anew:
            points.append(await _back_filled(agent, channel))
        points += await _inspected(channel)
        points += await _locations(agent, channel)
        points += await _webhooks(channel, address)
    return [*points, _clock(channel), _budget(channel, budgets)]


async def mend_webhooks(channel: OpenChannel, address: str) -> Repair | None:
    """Registers what is missing, switches on what is off, ends what is doubled; None: it has no webhooks to register.

    Raises what the channel raises.
    """
    found = channel.channel
    return await mend(found, address) if isinstance(found, Subscribes) and found.topics else None


@dataclass(frozen=True, slots=True)
class BackFill:
    """Which orders are read anew. since: the first day; None: no order was ever read, so the next poll reads all.

    orders: how many are marked.
    """

    since: date | None
    orders: int


async def back_fill(agent: Agent, channel: OpenChannel) -> BackFill:
    """Marks all orders that may have been missed to be read anew by id, with the next polls.

    These are the orders placed since the day before everything was last read, thirty days back at most, and all older
    ones that hold units still. The poll's cursor stays where it is: what it would bring comes anyway, and reading an
    order twice changes nothing. Raises what the channel raises.
    """
    now = agent.clock.now()
    states = await agent.database.query(channels.channel_states)
    covered, _ = accounts.orders_read(agent.setup, states, channel.name)
    if covered is None:
        return BackFill(None, 0)
    first = max(min(covered, now) - BACK_FILL_AT_LEAST, now - BACK_FILL_AT_MOST).date()
    placed = set()
    for back in range((now.date() - first).days + 1):
        placed |= {one async for one in channel.channel.order_ids(first + timedelta(days=back))}
    marked = await agent.database.transact(lambda c: _mark(c, channel, placed, now))
    channel.wake_orders.set()
    return BackFill(first, marked)


def _mark(connection: Connection, channel: OpenChannel, placed: set[str], now: datetime) -> int:
    account = accounts.channels_of(connection, channel.setup)
    wanted = placed | orders_holding_units(connection, account)
    reason = "`channels check --repair` reads it anew"
    orders.hint_orders(connection, channel.name, dict.fromkeys(wanted, reason), now)
    return len(wanted)


# Mending, told as points


async def _mended(channel: OpenChannel, address: str | None) -> CheckPoint:
    if address is None:
        return CheckPoint("repair", "webhooks: none registered, for there is no public address ([web] public_url)")
    try:
        repair = await mend_webhooks(channel, address)
    except ChannelError as error:
        return _failed("repair", error, "webhooks could not be mended")
    if repair is None:
        return CheckPoint("repair", "webhooks: there are none to register")
    done = [
        f"{verb} {', '.join(topics)}"
        for verb, topics in (
            ("registered", list(repair.missing)),
            ("switched on", [one.topic for one in repair.off]),
            ("ended a second subscription to", [one.topic for one in repair.doubled]),
        )
        if topics
    ]
    return CheckPoint("repair", f"webhooks: {'; '.join(done) or 'nothing to mend'}")


async def _back_filled(agent: Agent, channel: OpenChannel) -> CheckPoint:
    try:
        filled = await back_fill(agent, channel)
    except ChannelError as error:
        return _failed("repair", error, "orders could not be marked to be read anew")
    if filled.since is None:
        return CheckPoint("repair", "orders: none were ever read; the first poll reads them all")
    return CheckPoint(
        "repair", f"orders: the next polls read {filled.orders} anew, of {filled.since} and later or open still"
    )


# Points


async def _inspected(channel: OpenChannel) -> list[CheckPoint]:
    found = channel.channel
    if not isinstance(found, Inspects):
        return []
    try:
        return list(await found.inspect())
    except ChannelError as error:
        return [_failed("account", error)]


async def _credentials(agent: Agent, channel: OpenChannel, identity: Identity, *, waited: bool) -> CheckPoint:
    """Whose account it is. One that is another than before is not taken over: its numbers are not ours to write."""
    known = channel.identity
    who = f"{identity.title} ({identity.name})" if identity.title else identity.name
    if known and known != identity.name:
        return CheckPoint(
            "credentials",
            f"good, but for another account: {who}; this channel was {known} until now",
            f"Run `channelsync channels connect {channel.name}` with the secrets of {known}; for the other account "
            "configure a channel of its own.",
        )
    now = agent.clock.now()
    if not known:
        channel.identity = identity.name
        await agent.database.transact(lambda c: channels.save_channel(c, channel.name, identity=identity.name))
    if waited:
        await agent.database.transact(lambda c: account_connected(c, channel.name, now))
    again = "; it is used again" if waited else ""
    return CheckPoint("credentials", f"good: {who}{again}")


def _failed(what: str, error: ChannelError, found: str = "") -> CheckPoint:
    if isinstance(error, NeedsSeller):
        return CheckPoint(what, found or "refused", error.what_to_do)
    said = f"{found or 'not known'}: {error}"
    if isinstance(error, TryLater):
        return CheckPoint(what, said, "Try again later: the channel cannot be asked now.")
    return CheckPoint(what, said, "The channel answers in a way that is not known: report it.")


def _clock(channel: OpenChannel) -> CheckPoint:
    told = channel.breaker.server_time
    if told is None:
        return CheckPoint("clock", "not known: the channel tells no time")
    seconds = told.ahead.total_seconds()
    if not seconds:
        return CheckPoint("clock", "the channel's agrees with ours")
    found = f"the channel's is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} ours"
    if abs(told.ahead) <= max(CLOCK_TOLERANCE, channel.setup.capabilities.timing.skew):
        return CheckPoint("clock", found)
    return CheckPoint("clock", found, "Let NTP set this machine's clock. If that is right, the channel's own is off.")


def _budget(channel: OpenChannel, budgets: Sequence[Budget]) -> CheckPoint:
    states = channel.limiter.state()
    told, advice = [], []
    for one in budgets:
        state = states[one.name]
        said, todo = _bucket(one, state)
        if said:
            told.append(said)
        if todo:
            advice.append(todo)
    full = len(budgets) - len(told)
    if full:
        told.append(f"{'all' if full == len(budgets) else 'others'} full ({full})")
    return CheckPoint("rate budget", "; ".join(told) or "none is kept", " ".join(advice))


def _bucket(budget: Budget, state: BucketState) -> tuple[str, str]:
    """What is left of one bucket, empty where all is; and what to do."""
    left = f"{budget.name}: {max(state.level, 0):.0f} of {budget.capacity:g} left"
    said, todo = [], ""
    if state.per_second != budget.per_second:
        said.append(f"{state.per_second:g} a second as the channel says, {budget.per_second:g} are declared")
    if budget.per_day is not None and state.used_today:
        today = budget.per_day - state.used_today
        said.append(f"{today:.0f} of {budget.per_day:g} left today")
        if today < SHORT_OF * budget.per_day:
            todo = f"The day's quota of {budget.name} is nearly spent: look what else uses this account."
    if state.penalised_until is not None:
        said.append(f"nothing before {state.penalised_until:%Y-%m-%d %H:%M:%SZ}")
        todo = f"The channel refused calls of {budget.name} as too many: look what else uses this account."
    if not said and state.level > 0.99 * budget.capacity:
        return "", ""
    return ", ".join([left, *said]), todo


async def _locations(agent: Agent, channel: OpenChannel) -> list[CheckPoint]:
    """The channel's own locations: those that its numbers name, and those of the configuration."""
    seen = await agent.database.query(lambda c: remote_locations(c, channel.name))
    keeps = await agent.database.query(lambda c: kept_keys.places(c, channel.identity))
    if not seen:
        return [CheckPoint("locations", "not known yet: `channelsync listings pull` brings them")]
    remotes = channel.setup.remotes
    named = {one for one in seen if one} - set(keeps)
    unfed = sorted(named - remotes.keys())
    unseen = sorted(remotes.keys() - named)
    if not unfed and not unseen:
        told = ", ".join(sorted(named)) if named else "one number for all locations"
        return [CheckPoint("locations", told), *_kept(channel, keeps)]
    found, advice = [], []
    if unfed:
        found.append(f"no location of yours feeds {', '.join(unfed)} alone")
        advice.append(f'Name each in `remotes` of the channel: "{unfed[0]}" = "{agent.setup.locations[0]}".')
    if unseen:
        found.append(f"no listing has a number at {', '.join(unseen)}")
        advice.append(f"Correct or remove {', '.join(unseen)} in `remotes` of the channel.")
    return [CheckPoint("locations", "; ".join(found), " ".join(advice)), *_kept(channel, keeps)]


def _kept(channel: OpenChannel, keeps: Sequence[str]) -> list[CheckPoint]:
    """The places where the channel keeps units itself: those of its listings, and those of the configuration."""
    points = [
        CheckPoint("locations", f"what it keeps at {remote} is counted at {location}")
        if remote in keeps
        else CheckPoint(
            "locations",
            f"no listing has units that it keeps at {remote}",
            f'Correct or remove "{remote}" in `remotes` of the channel, or run `channelsync listings pull`.',
        )
        for remote, location in sorted(channel.setup.kept.items())
    ]
    points += [
        CheckPoint(
            "locations",
            f"it keeps units at {remote} that are counted nowhere",
            f'Add a [[location]] with kept_by = "{channel.name}", and name it in `remotes` of the channel: '
            f'"{remote}" = "<its name>".',
        )
        for remote in keeps
        if remote not in channel.setup.kept
    ]
    return points


async def _webhooks(channel: OpenChannel, address: str | None) -> list[CheckPoint]:
    found = channel.channel
    if not isinstance(found, Subscribes):
        return [CheckPoint("webhooks", "not looked at: this connector registers none")]
    if not found.topics:
        return [CheckPoint("webhooks", "this account sends none")]
    if address is None:
        return [CheckPoint("webhooks", "not looked at: no public address ([web] public_url); orders are polled")]
    try:
        subscriptions = await found.subscriptions()
    except ChannelError as error:
        return [_failed("webhooks", error)]
    return webhook_points(channel.name, found.topics, subscriptions, address)


def webhook_points(
    channel: str, topics: Sequence[str], found: Sequence[Subscription], address: str
) -> list[CheckPoint]:
    """What is right and wrong with these subscriptions."""
    repair = repair_of(topics, found, address)
    todo = f"Run `channelsync channels check {channel} --repair`."
    points = []
    if repair.missing:
        points.append(CheckPoint("webhooks", f"missing: {', '.join(repair.missing)}", todo))
        if repair.misrouted:
            where = sorted({one.address for one in repair.misrouted})
            advice = (
                f"{todo} If no other installation of yours is there, end {_names(repair.misrouted)} at the channel."
            )
            points.append(CheckPoint("webhooks", f"misrouted: deliveries go to {', '.join(where)}", advice))
    if repair.off:
        off = ", ".join(f"{one.topic} ({one.trouble})" if one.trouble else one.topic for one in repair.off)
        points.append(CheckPoint("webhooks", f"not delivered as they must be: {off}", todo))
    if repair.doubled:
        points.append(CheckPoint("webhooks", f"doubled: {_topics(repair.doubled)}", todo))
    ours = [one for one in found if one.address == address]
    points += [
        CheckPoint(
            "webhooks",
            f"{one.topic}: {one.trouble}",
            one.advice or f"See that {address} can be reached from outside.",
        )
        for one in ours
        if one.active and one.trouble
    ]
    return points or [CheckPoint("webhooks", f"all {len(topics)} topics are told to {address}")]


def _topics(subscriptions: Sequence[Subscription]) -> str:
    return ", ".join(one.topic for one in subscriptions)


def _names(subscriptions: Sequence[Subscription]) -> str:
    return ", ".join(sorted({one.name for one in subscriptions}))
