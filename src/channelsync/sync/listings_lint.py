"""What is wrong with listings, mappings, bundles and rules, before it sells the wrong thing. Looks only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from channelsync.domain.rule_conflicts import conflicts
from channelsync.domain.rules import RuleScope, Subject
from channelsync.store import items, listings_view
from channelsync.store.items import Item
from channelsync.store.listings import StoredListing
from channelsync.store.listings_view import ListingOnView, Sharer
from channelsync.sync.item_names import named
from channelsync.sync.listings_match import barcode_form
from channelsync.sync.measures import measure
from channelsync.sync.rule_reach import IdleRule, idle_rules
from channelsync.sync.setup import ChannelSetup, Setup
from channelsync.sync.unstated import LeftAlone, left_alone


class LintKind(StrEnum):
    """What kind of thing is wrong."""

    BLANK_SKU = "blank SKU"
    DUPLICATE_SKU = "duplicate SKU"
    DUPLICATE_BARCODE = "duplicate barcode"
    LOCATIONS = "locations behind one number"
    NOT_STATED = "nobody said how many"
    MISSING_PART = "bundle with a missing part"
    NOT_MAPPED = "not mapped"
    NOT_REACHED = "nothing reaches it"
    ONE_NUMBER = "differ on one number"
    UNTRACKED = "untracked"
    GONE = "gone, still mapped"
    RULES = "rules contradict"
    IDLE_RULE = "rule reaches nothing"
    SKU_CHANGED = "SKU changed"
    ZERO_ENDS = "0 ends it"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. channel, listing: empty where it is about no single one."""

    kind: LintKind
    channel: str
    listing: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """All that is looked at. listed: what the channels list now, of configured channels; gone: what they do not."""

    setup: Setup
    items: dict[str, Item]
    by_sku: dict[str, str]
    listed: Sequence[ListingOnView]
    gone: Sequence[ListingOnView]
    sharers: Sequence[Sharer]
    stated: set[str]
    left_alone: Sequence[LeftAlone]
    skus_then: dict[tuple[str, str], str | None]
    idle_rules: Sequence[IdleRule]

    def sku(self, item: str) -> str:
        """The SKU of an item; of one that is no item yet, as the configuration has it."""
        known = self.items.get(item)
        return known.sku if known else self.setup.named.get(item, item)

    @property
    def stored(self) -> Iterator[StoredListing]:
        """The rows of what is listed now."""
        return (one.stored for one in self.listed)


def lint(connection: Connection, setup: Setup, now: datetime) -> list[Problem]:
    """Everything that is wrong, by kind, channel and listing."""
    everything = listings_view.view_listings(connection)
    known = items.all_items(connection, include_merged=True)
    looked = _Looked(
        setup=setup,
        items={one.id: one for one in known},
        by_sku=listings_view.all_aliases(connection) | {one.sku: one.merged_into or one.id for one in known},
        listed=[one for one in everything if one.stored.gone_at is None],
        gone=[one for one in everything if one.stored.gone_at is not None],
        sharers=listings_view.listings_on_keys(connection, {key.key for one in everything for key in one.keys}),
        stated=listings_view.stated_items(connection),
        left_alone=left_alone(connection, setup, measure(connection, setup, now)),
        skus_then=listings_view.skus_when_mapped(connection),
        idle_rules=idle_rules(connection, setup, setup.rule_book.rules),
    )
    found = [problem for check in _CHECKS for problem in check(looked)]
    order = {kind: place for place, kind in enumerate(LintKind)}
    return sorted(found, key=lambda one: (order[one.kind], one.channel, one.listing, one.text))


def _blank_skus(looked: _Looked) -> Iterator[Problem]:
    for one in looked.stored:
        if not (one.sku or "").strip():
            text = "its SKU is blank, so it is never matched by itself; give it one at the channel, or map it by hand"
            yield Problem(LintKind.BLANK_SKU, one.channel, one.listing, text)


def _duplicate_skus(looked: _Looked) -> Iterator[Problem]:
    """Where the channel refuses a SKU that is listed already, a listing that ended is no duplicate of its successor."""
    unique = {name for name, channel in looked.setup.channels.items() if channel.capabilities.unique_skus}
    stored = (one for one in looked.stored if one.channel not in unique or one.state != "ended")
    for (channel, sku), alike in _groups(stored, lambda one: (one.sku or "").strip()):
        if len({one.keys or one.listing for one in alike}) > 1:
            names = ", ".join(one.listing for one in alike)
            text = (
                f"the SKU {sku} is that of {len(alike)} listings ({names}); orders that name only a SKU cannot be told "
            )
            yield Problem(
                LintKind.DUPLICATE_SKU, channel, alike[0].listing, text + "apart, and none is matched by itself"
            )


def _duplicate_barcodes(looked: _Looked) -> Iterator[Problem]:
    of_items: dict[str, list[Item]] = {}
    for item in looked.items.values():
        if item.merged_into is None and (form := barcode_form(item.barcode)):
            of_items.setdefault(form, []).append(item)
    for same in of_items.values():
        if len(same) > 1:
            names = ", ".join(sorted(item.sku for item in same))
            text = f"the items {names} have one barcode ({same[0].barcode}); correct it, or merge them"
            yield Problem(LintKind.DUPLICATE_BARCODE, "", "", text)
    for (channel, _), alike in _groups(looked.stored, lambda one: barcode_form(one.barcode)):
        if len({one.item or one.listing for one in alike}) > 1:
            names = ", ".join(one.listing for one in alike)
            text = f"the listings {names} have one barcode ({alike[0].barcode}) and are not one item"
            yield Problem(LintKind.DUPLICATE_BARCODE, channel, alike[0].listing, text)


def _groups(
    stored: Iterable[StoredListing], form: Callable[[StoredListing], str]
) -> list[tuple[tuple[str, str], list[StoredListing]]]:
    """Listings of one channel that have something in common and not blank, more than one each."""
    groups: dict[tuple[str, str], list[StoredListing]] = {}
    for one in stored:
        if form(one):
            groups.setdefault((one.channel, form(one)), []).append(one)
    return [(name, alike) for name, alike in groups.items() if len(alike) > 1]


def _locations(looked: _Looked) -> Iterator[Problem]:
    unchosen: dict[str, list[tuple[str, ...]]] = {}
    for one in looked.listed:
        channel = looked.setup.channels.get(one.stored.channel)
        if channel is None or one.stored.item is None:
            continue
        for key in one.keys:
            feeding, chosen = _feeding(looked.setup, channel, one, key.remote)
            if key.ours and not key.remote and len(feeding) > 1 and not chosen:
                unchosen.setdefault(channel.name, []).append(feeding)
    for name, many in sorted(unchosen.items()):
        text = f"one number of it stands for the units at {' and '.join(many[0])} ({len(many)} listings), and nothing "
        text += "says that it should; an order may need two parcels. Name the locations of the channel, or in a rule"
        yield Problem(LintKind.LOCATIONS, name, "", text)
    for name, channel in sorted(looked.setup.channels.items()):
        for location in sorted(set(channel.remotes.values())):
            remotes = sorted(remote for remote, ours in channel.remotes.items() if ours == location)
            if len(remotes) > 1:
                text = (
                    f"its locations {' and '.join(remotes)} are all fed by {location}: the same units are shown twice"
                )
                yield Problem(LintKind.LOCATIONS, name, "", text)


def _feeding(setup: Setup, channel: ChannelSetup, one: ListingOnView, remote: str) -> tuple[tuple[str, ...], bool]:
    """Which locations feed a key, and whether somebody chose them; as publishing decides it."""
    item = one.stored.item or ""
    feeding = channel.feeding(remote)
    subject = Subject(
        channel=channel.name,
        item=item,
        location=feeding[0] if len(feeding) == 1 else None,
        sku_class=setup.classes.get(item),
        listing=one.stored.listing,
    )
    rules = setup.rule_book.resolve(subject)
    by = rules.given_by.get("locations")
    return rules.values.locations or feeding, by is not None and by.scope != RuleScope()


def _not_stated(looked: _Looked) -> Iterator[Problem]:
    for one in looked.left_alone:
        yield Problem(LintKind.NOT_STATED, one.channel, "", str(one))


def _bundles(looked: _Looked) -> Iterator[Problem]:
    recipes = looked.setup.recipes
    for bundle, recipe in recipes.items():
        for part in recipe.parts:
            stated = part.item in looked.stated or (part.item in recipes and recipes[part.item].kind != "prebuilt")
            if recipe.kind != "prebuilt" and not stated:
                text = f"no unit of {looked.sku(part.item)}, a part of the bundle {looked.sku(bundle)}, was ever "
                text += "counted, so nobody knows how many can be put together; receive or count units of it"
                yield Problem(LintKind.MISSING_PART, "", "", text)
    listed = {(one.channel, one.listing): one for one in looked.stored}
    for one in looked.stored:
        for name, _ in one.parts:
            known = listed.get((one.channel, name))
            why = "does not list" if known is None else "lists, but which is not mapped" if known.item is None else ""
            if why:
                text = f"the channel makes it of listing {name}, which it {why}; its sales cannot be followed there"
                yield Problem(LintKind.MISSING_PART, one.channel, one.listing, text)


def _reach(looked: _Looked) -> Iterator[Problem]:
    unknown: dict[str, int] = {}
    for one in looked.listed:
        stored = one.stored
        channel = looked.setup.channels.get(stored.channel)
        if channel is None:
            unknown[stored.channel] = unknown.get(stored.channel, 0) + 1
        elif stored.fulfilled_by_channel:
            yield from _not_counted(channel, one)
        elif stored.item is None:
            text = f"it is not mapped (SKU {stored.sku}): nothing is written to it, and its orders wait"
            yield Problem(LintKind.NOT_MAPPED, stored.channel, stored.listing, text)
        else:
            for text in _unreached(looked.setup, channel, one):
                yield Problem(LintKind.NOT_REACHED, stored.channel, stored.listing, text)
    for name, number in sorted(unknown.items()):
        text = f"{number} listings belong to it, and no such channel is configured; nothing is written to them"
        yield Problem(LintKind.NOT_REACHED, name, "", text)


def _unreached(setup: Setup, channel: ChannelSetup, one: ListingOnView) -> Iterator[str]:
    if one.stored.tracked and not one.keys:
        yield "the channel names no number behind it"
    for key in one.keys:
        if key.kept:
            continue
        feeding, _ = _feeding(setup, channel, one, key.remote)
        nowhere = sorted(set(feeding) - set(setup.locations))
        if not feeding:
            yield "no location feeds it; name the locations of the channel, or in a rule"
        elif nowhere:
            yield f"it is fed by {', '.join(nowhere)}, which is no location of yours"
        elif key.remote and key.remote not in channel.remotes:
            yield f"no location of yours feeds its location {key.remote} alone; name it in `remotes` of the channel"


def _not_counted(channel: ChannelSetup, one: ListingOnView) -> Iterator[Problem]:
    """Units that the channel keeps itself, of which nobody knows what they are, or where to count them."""
    stored = one.stored
    where = sorted(key.remote for key in one.keys if key.kept)
    unknown = [remote for remote in where if remote not in channel.kept]
    if unknown:
        text = f"the channel keeps its units at {', '.join(unknown)}, and no location of yours counts them; add a "
        text += f'[[location]] with kept_by = "{channel.name}", and name it in `remotes` of the channel'
        yield Problem(LintKind.NOT_REACHED, stored.channel, stored.listing, text)
    elif where and stored.item is None:
        text = f"it is not mapped (SKU {stored.sku}): what the channel keeps of it at {', '.join(where)} is not counted"
        yield Problem(LintKind.NOT_MAPPED, stored.channel, stored.listing, text)


def _one_number(looked: _Looked) -> Iterator[Problem]:
    on_key: dict[int, list[Sharer]] = {}
    for sharer in looked.sharers:
        on_key.setdefault(sharer.key, []).append(sharer)
    told = set()
    for sharers in on_key.values():
        meant = {(one.item, one.multiple if one.item else 1): one for one in sharers}
        names = tuple(f"{one.channel} listing {one.listing}" for one in sharers)
        if len(meant) > 1 and names not in told:
            told.add(names)
            said = "; ".join(
                f"{one.channel} listing {one.listing}: "
                + (f"{one.multiple} of {looked.sku(one.item)}" if one.item else "not mapped")
                for one in sharers
            )
            text = f"listings that share one number at the channel mean different things ({said}); map them alike"
            yield Problem(LintKind.ONE_NUMBER, sharers[0].channel, sharers[0].listing, text)


def _untracked(looked: _Looked) -> Iterator[Problem]:
    for one in looked.stored:
        if not one.tracked and not one.fulfilled_by_channel:
            text = "the channel counts nothing for it and sells without limit; switch on its tracking there"
            yield Problem(LintKind.UNTRACKED, one.channel, one.listing, text)


def _gone(looked: _Looked) -> Iterator[Problem]:
    for one in looked.gone:
        if one.stored.item is not None:
            text = f"the channel no longer lists it, and it is mapped to {one.item_sku} still; unmap it, or look why"
            yield Problem(LintKind.GONE, one.stored.channel, one.stored.listing, text)


def _rules(looked: _Looked) -> Iterator[Problem]:
    rules = looked.setup.rules
    skus = {rule.scope.item: looked.sku(rule.scope.item) for rule in rules if rule.scope.item}
    for conflict in conflicts(rules):
        yield Problem(LintKind.RULES, "", "", named(conflict.text, skus))


def _idle_rules(looked: _Looked) -> Iterator[Problem]:
    for one in looked.idle_rules:
        named = one.rule.scope.channel or ""
        text = f"rule {one.rule.id}: {one.what}; {one.remedy}"
        yield Problem(LintKind.IDLE_RULE, named if named in looked.setup.channels else "", "", text)


def _changed_skus(looked: _Looked) -> Iterator[Problem]:
    for one in looked.listed:
        stored, name = one.stored, (one.stored.channel, one.stored.listing)
        if stored.item is None:
            continue
        then, sku = looked.skus_then.get(name, stored.sku), stored.sku
        other = looked.by_sku.get(sku or "")
        if then != sku:
            text = f"its SKU was {then} when it was mapped to {one.item_sku}, and is {sku} now; if it is the same, "
            text += "map it again"
            yield Problem(LintKind.SKU_CHANGED, *name, text)
        elif other is not None and other != stored.item:
            text = f"it is mapped to {one.item_sku}, but its SKU {sku} is that of {looked.sku(other)}"
            yield Problem(LintKind.SKU_CHANGED, *name, text)


def _zero_ends(looked: _Looked) -> Iterator[Problem]:
    for name, channel in sorted(looked.setup.channels.items()):
        written = [one for one in looked.stored if one.channel == name and one.item and one.state != "ended"]
        if channel.capabilities.zero == "ends" and written:
            text = (
                f"0 ends its listings ({len(written)} are mapped), and one that ended does not come back by itself; "
                "turn on at the channel that listings stay when nothing is left, then say so in its settings. 0 is "
                "written all the same, for a unit that is not there must not be sold"
            )
            yield Problem(LintKind.ZERO_ENDS, name, "", text)


_CHECKS: Sequence[Callable[[_Looked], Iterator[Problem]]] = (
    _blank_skus,
    _duplicate_skus,
    _duplicate_barcodes,
    _locations,
    _not_stated,
    _bundles,
    _reach,
    _one_number,
    _untracked,
    _gone,
    _rules,
    _idle_rules,
    _changed_skus,
    _zero_ends,
)
