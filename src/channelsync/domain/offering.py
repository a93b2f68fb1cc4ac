"""What a channel may show now, and why: from what is available to the number of one quantity key.

The order of the steps, and why it is this one:

1.  **sum of locations**: what the feeding locations have, oversold ones included. Negative numbers go down all the
    steps as they are; only the last one cuts at 0, so that `explain` shows how far below we are.
2.  **others' ring fence** comes before everything that this channel's own rules do: those units are not there for it.
3.  **share** is taken of what is not ring-fenced for anybody, and the channel's own fence is added whole. A share of
    the own fence would leave units that nobody may sell. Rounded down, so that shares of 100 % in sum never promise
    a unit twice. A bundle shows no more than these rules leave to the channel of each of its **parts**.
4.  **buffer**, of what is left after the share: a percentage of all that is available could rise faster than the
    share of it and show less when more is there. It may go below 0: where selling beyond available is allowed, the
    buffer protects that limit.
5.  **back-order and pre-order** are added after share and buffer, because they are no units to be split or protected:
    they say how far beyond available this channel may go.
6.  **last units** comes after them: a channel that must leave the last units to another shows nothing, promises of
    later delivery included; else two channels would sell while one unit is left.
7.  **pack multiple**: from base units to the key's units, rounded down.
8.  **minimum shown**, in the key's units, because it is about what a buyer sees: fewer than that look abandoned.
9.  **maximum shown**, then the **channel's cap**: after the minimum, so that a maximum never hides all units.
10. **floor at 0**.

Every step is monotone: more available never shows less, a larger buffer never shows more. That is why nothing in
here looks at the amount to *choose* a rule or a channel, except the threshold of last units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from channelsync.domain.rules import Buffer, Fixed, LastUnits, Percent, Resolved

_DIVIDING = frozenset({"ring fence of others", "share", "rules on its parts", "last units"})
"""The steps by which rules divide an item's units among channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One quantity key that asks what it may show.

    available: base units of the listed item by feeding location (for a bundle its capacity there); not clamped.
    incoming: base units on their way to those locations; counted only where a rule says so.
    computed_buffer: what `risk.computed_buffer` gave; needed where the buffer rule is Computed.
    multiple: base units in one unit of the key. cap: the largest number the channel can show; None: no limit.
    reach: of a bundle, as many as rules on its parts leave to this channel (`left_to`); None: none restrict them.
    """

    key: str
    channel: str
    available: Mapping[str, int]
    rules: Resolved = field(default_factory=Resolved)
    incoming: int = 0
    computed_buffer: int | None = None
    multiple: int = 1
    cap: int | None = None
    reach: int | None = None

    def __post_init__(self) -> None:
        if self.multiple < 1:
            raise ValueError(f"{self.key} at {self.channel}: the pack multiple must be 1 or more, not {self.multiple}")
        if min(self.incoming, self.cap or 0, self.computed_buffer or 0) < 0:
            raise ValueError(f"{self.key} at {self.channel}: incoming, cap and computed buffer must be 0 or more")


@dataclass(frozen=True, slots=True)
class Fence:
    """Base units that one channel alone may sell. rule_id: the rule that says so."""

    channel: str
    units: int
    rule_id: str | None


@dataclass(frozen=True, slots=True)
class Coupling:
    """What the other keys of the same item mean for this one; see `couple`.

    own_fence: base units fenced for this channel, as far as they are there, over all its keys. others: fences of
    other channels where this key is fed.
    kept_by: last units bite, and this channel alone shows them. None: they do not bite.
    """

    own_fence: int = 0
    others: tuple[Fence, ...] = ()
    kept_by: str | None = None


ALONE = Coupling()
"""No other channel sells the item, or no rule couples them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step from available to shown. Only steps that a rule asked for or that changed the number are kept."""

    name: str
    before: int
    after: int
    why: str
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What one key may show. units: in key units, 0 or more. steps: how it came about; each begins where one ended."""

    units: int
    steps: tuple[Step, ...]

    @property
    def tied(self) -> bool:
        """Whether rules divide the item among channels here: what this key gives up, another one may show."""
        return any(step.name in _DIVIDING for step in self.steps)


def offer(ask: Ask, coupling: Coupling = ALONE) -> Offer:
    """What one key may show now, with every step; the module's text gives the order and its reasons.

    Guarantees: 0 or more; times the multiple never more than available + back-order + counted incoming, nor than
    the channel's cap; never lower when more is available; never higher when the buffer is larger.
    Raises ValueError when the buffer is Computed and no number was computed.
    """
    trail = _Trail(ask)
    _available(trail, coupling)
    _buffer(trail)
    _beyond_available(trail)
    if coupling.kept_by is not None:
        left = trail.units if coupling.kept_by == ask.channel else min(trail.units, 0)
        trail.to("last units", left, f"{coupling.kept_by} alone keeps the last ones", "last_units")
    if ask.multiple > 1:
        trail.to("pack multiple", trail.units // ask.multiple, f"packs of {ask.multiple}, rounded down")
    _limits(trail)
    return Offer(trail.units, tuple(trail.steps))


def couple(asks: Sequence[Ask]) -> dict[str, Coupling]:
    """How the keys of one item bear on one another, by key: ring fences and last units.

    asks: all keys of all channels that list the item; their order is the channels' order where rules are silent.
    Keys of another item or bundle are not seen here: fence the component itself for those.

    Ring fences are placed on locations, because channels may be fed by different ones: never more than is there, on
    locations that feed few others first. Where channels ask for more than there is, they get units in turns.
    Last units go to the channels with a ring fence first (units fenced for one cannot be left to another), then in
    the preferred order, then in the order of `asks`. The choice does not look at how much is there: otherwise one
    unit more could hand the item from one channel to another. available is that of all locations named here.

    Raises ValueError when keys contradict one another: one key twice, two numbers for one location, two rules of
    last units.
    """
    available_at = _agreed_available(asks)
    wanted = _wanted_fences(asks)
    keeper = _keeper(asks, sum(available_at.values()), wanted)
    if not wanted:
        return {ask.key: Coupling(kept_by=keeper) for ask in asks}
    placed = _place_fences(asks, available_at, wanted)
    couplings = {}
    for ask in asks:
        pools = _pools_of(ask, asks)
        others = []
        for channel, fence in wanted.items():
            units = sum(placed[channel].get(pool, 0) for pool in pools)
            if units and channel != ask.channel:
                others.append(Fence(channel, units, fence.rule_id))
        # Of the own fence the whole, wherever it lies: a key must not lose units because they moved elsewhere.
        couplings[ask.key] = Coupling(sum(placed.get(ask.channel, {}).values()), tuple(others), keeper)
    return couplings


def left_to(ask: Ask, coupling: Coupling) -> int:
    """Base units that a channel's bundles may take of a part: what fences, share and last units leave to the channel.

    ask: of the part itself, at that channel. Buffers are not taken off: they protect the bundle's own number, too.
    """
    trail = _Trail(ask)
    _available(trail, coupling)
    return min(trail.units, 0) if coupling.kept_by not in (None, ask.channel) else trail.units


def offers_for_channels(asks: Sequence[Ask]) -> dict[str, Offer]:
    """What every key of one item may show, by key, when share, ring fence and last units couple the channels.

    Guarantees, beyond those of `offer`: granted ring fences and the units that all see never exceed what is there;
    where shares of the channels are 100 % or less in sum, neither do the units shown on them; at or below the last
    units at most one channel shows more than 0. (Units beyond available, by back-order and pre-order, apart.)
    Raises ValueError as `couple` and `offer` do.
    """
    couplings = couple(asks)
    return {ask.key: offer(ask, couplings[ask.key]) for ask in asks}


class _Trail:
    """The number on its way, and the steps it took."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.values = ask.rules.values
        self.units = 0
        self.steps: list[Step] = []

    def to(self, name: str, after: int, why: str, said_by: str | None = None) -> None:
        rule_id = None if said_by is None else self.ask.rules.rule_id(said_by)
        self.steps.append(Step(name, self.units, after, why, rule_id))
        self.units = after


def _available(trail: _Trail, coupling: Coupling) -> None:
    """Steps 1 to 3: what is there, less what others have fenced off, then this channel's share."""
    available = trail.ask.available
    why = " + ".join(f"{name} {units}" for name, units in available.items()) or "no location feeds it"
    trail.to("sum of locations", sum(available.values()), why, "locations")
    for fence in coupling.others:
        after = trail.units - fence.units
        trail.steps.append(
            Step("ring fence of others", trail.units, after, f"{fence.units} only for {fence.channel}", fence.rule_id)
        )
        trail.units = after
    own = min(coupling.own_fence, max(0, trail.units))
    share = trail.values.share
    if share is not None:
        common = trail.units - own
        part = own + (common * share // 100 if common > 0 else common)
        fenced = f" and {own} fenced for it" if own else ""
        trail.to("share", part, f"{share} % of {common}{fenced}", "share")
    reach = trail.ask.reach
    if reach is not None and trail.units > reach:
        trail.to("rules on its parts", reach, "of its parts, no more is left to this channel")


def _buffer(trail: _Trail) -> None:
    buffer = trail.values.buffer
    if buffer is not None:
        units, why = _held_back(trail, buffer)
        trail.to("buffer", trail.units - units, why, "buffer")


def _held_back(trail: _Trail, buffer: Buffer) -> tuple[int, str]:
    if isinstance(buffer, Fixed):
        return buffer.units, f"{buffer.units} held back"
    if isinstance(buffer, Percent):
        units = -(-max(0, trail.units) * buffer.percent // 100)
        return units, f"{buffer.percent} % held back, rounded up: {units}"
    computed = trail.ask.computed_buffer
    if computed is None:
        raise ValueError(
            f"{trail.ask.key} at {trail.ask.channel}: the buffer is to be computed, but no number came with it"
        )
    units = computed if buffer.at_most is None else min(computed, buffer.at_most)
    return units, f"{units} held back, computed for a risk of {buffer.p:g}"


def _beyond_available(trail: _Trail) -> None:
    backorder, preorder = trail.values.backorder, trail.values.preorder_from_incoming
    if backorder is not None:
        trail.to("back-order", trail.units + backorder, f"{backorder} may be sold beyond available", "backorder")
    if preorder is not None:
        incoming = trail.ask.incoming
        counted = incoming if preorder.at_most is None else min(incoming, preorder.at_most)
        trail.to(
            "pre-order",
            trail.units + counted,
            f"{counted} of {incoming} incoming may be sold",
            "preorder_from_incoming",
        )


def _limits(trail: _Trail) -> None:
    values, cap = trail.values, trail.ask.cap
    if values.minimum_shown is not None:
        after = trail.units if trail.units >= values.minimum_shown else min(trail.units, 0)
        trail.to("minimum shown", after, f"fewer than {values.minimum_shown} are shown as 0", "minimum_shown")
    if values.maximum_shown is not None:
        after = min(trail.units, values.maximum_shown)
        trail.to("maximum shown", after, f"at most {values.maximum_shown}", "maximum_shown")
    if cap is not None and trail.units > cap:
        trail.to("channel cap", cap, f"the channel shows at most {cap}")
    if trail.units < 0:
        trail.to("floor at 0", 0, f"{-trail.units} short")


def _agreed_available(asks: Sequence[Ask]) -> dict[str, int]:
    available_at: dict[str, int] = {}
    keys: set[str] = set()
    for ask in asks:
        if ask.key in keys:
            raise ValueError(f"{ask.key} at {ask.channel}: the key is there twice")
        keys.add(ask.key)
        for location, units in ask.available.items():
            if available_at.setdefault(location, units) != units:
                raise ValueError(
                    f"{ask.key} at {ask.channel}: {units} available at {location}, but {available_at[location]} for "
                    "another key of the item; compute all from one reading"
                )
    return available_at


def _wanted_fences(asks: Sequence[Ask]) -> dict[str, Fence]:
    """By channel, the largest ring fence of its keys, in the order of the asks."""
    wanted: dict[str, Fence] = {}
    for ask in asks:
        units = ask.rules.values.ring_fenced or 0
        if units > (wanted[ask.channel].units if ask.channel in wanted else 0):
            wanted[ask.channel] = Fence(ask.channel, units, ask.rules.rule_id("ring_fenced"))
    return wanted


def _keeper(asks: Sequence[Ask], available: int, wanted: Mapping[str, Fence]) -> str | None:
    """The channel that keeps the last units; None when they do not bite."""
    said: set[LastUnits | None] = {ask.rules.values.last_units for ask in asks}
    if len(said) > 1:
        raise ValueError(f"keys of one item have different last units: {', '.join(sorted(map(str, said)))}")
    last = next(iter(said), None)
    if last is None or not last.at_or_below or available > last.at_or_below:
        return None
    channels = list(dict.fromkeys(ask.channel for ask in asks))
    order = [channel for channel in last.preferred if channel in channels] + channels
    return min(order, key=lambda channel: channel not in wanted)


_Pool = frozenset[str]
"""Locations that feed exactly these keys; their units are one heap, so that an oversold location counts in it."""


def _pool_of(location: str, asks: Sequence[Ask]) -> _Pool:
    return frozenset(ask.key for ask in asks if location in ask.available)


def _pools_of(ask: Ask, asks: Sequence[Ask]) -> set[_Pool]:
    return {_pool_of(location, asks) for location in ask.available}


def _place_fences(
    asks: Sequence[Ask], available_at: Mapping[str, int], wanted: Mapping[str, Fence]
) -> dict[str, dict[_Pool, int]]:
    """How many units of each channel's fence lie in which pool."""
    units_in: dict[_Pool, int] = {}
    for location, units in available_at.items():
        pool = _pool_of(location, asks)
        units_in[pool] = units_in.get(pool, 0) + units
    channel_of = {ask.key: ask.channel for ask in asks}
    fed = {pool: {channel_of[key] for key in pool} for pool in units_in}
    ways = {channel: sum(channel in channels for channels in fed.values()) for channel in wanted}
    left = {channel: fence.units for channel, fence in wanted.items()}
    placed: dict[str, dict[_Pool, int]] = {channel: {} for channel in wanted}
    for pool in sorted(units_in, key=lambda pool: (len(fed[pool]), sorted(pool))):
        units = max(0, units_in[pool])
        # Channels that can take from few pools come first: the others can find their units elsewhere.
        for count in sorted(set(ways.values())):
            claims = {channel: left[channel] for channel in wanted if ways[channel] == count and channel in fed[pool]}
            for channel, given in _in_turns(claims, units).items():
                placed[channel][pool] = given
                left[channel] -= given
                units -= given
    return placed


def _in_turns(claims: Mapping[str, int], units: int) -> dict[str, int]:
    """Hands out units one by one in turns until claims or units are used up. One unit more takes from nobody."""
    given = dict.fromkeys(claims, 0)
    waiting = [channel for channel in claims if claims[channel] > 0]
    while waiting and units > 0:
        smallest_claim = min(claims[channel] - given[channel] for channel in waiting)
        each = max(1, min(units // len(waiting), smallest_claim))
        for channel in waiting[:units]:
            given[channel] += each
            units -= each
        waiting = [channel for channel in waiting if given[channel] < claims[channel]]
    return given
