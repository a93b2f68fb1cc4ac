"""Which item each listing may stand for: proposals with their reasons, and what is certain enough to be applied.

A wrong mapping sells the wrong thing, so only what somebody has said is certain: the very same SKU, an alias, the
same barcode, the mapping of the same SKU elsewhere, a pack that the channel itself describes. What looks alike
(capitals, blanks, Unicode form, "MUG x6") is a guess. Blanks and duplicates are never matched.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from channelsync.store.items import Item, item_id
from channelsync.store.listings import StoredListing

Confidence = Literal["certain", "guess", "none"]
Meaning = tuple[str, int]
"""(item, base units of it)."""

_UNITS = r"(?P<units>[1-9][0-9]{0,3})"
_PACK_SKUS = (
    re.compile(rf"(?P<base>.*[^\s_x\u00d7-])[\s_-]*[x\u00d7]\s*{_UNITS}", re.IGNORECASE),
    re.compile(rf"(?P<base>.*[^\s_-])[\s_-]+{_UNITS}[\s_-]?(?:er|pk|packs?|pcs?|stk|st)", re.IGNORECASE),
    re.compile(rf"{_UNITS}\s*[x\u00d7][\s_-]*(?P<base>[^\s_-].*)", re.IGNORECASE),
)
_MANY = r"(?:[2-9]|[1-9][0-9]{1,3})"
_PACK_TITLE = re.compile(
    rf"\b{_MANY}\s*[x\u00d7]\s|\b[x\u00d7]\s*{_MANY}\b|\b{_MANY}[\s-]*(?:pack|pk|pcs|pieces|er[\s-]?pack|stück)\b|"
    rf"\b(?:pack|set|box|case)\s+of\s+{_MANY}\b",
    re.IGNORECASE,
)
_GTIN_LENGTHS = (8, 12, 13, 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a listing may stand for. item None: nothing, and `why` says why not. new: the item is still to be made.

    confidence: what is certain may be applied unasked, a guess when guesses were asked for, none never.
    """

    channel: str
    listing: str
    listing_sku: str | None
    title: str
    barcode: str | None = None
    item: str | None = None
    sku: str = ""
    multiple: int = 1
    why: str = ""
    confidence: Confidence = "none"
    new: bool = False

    @property
    def meaning(self) -> Meaning | None:
        """What it would be mapped to; None: to nothing."""
        return None if self.item is None else (self.item, self.multiple)


NO_ITEM = "no item has its SKU"
"""Why nothing is proposed where a new item might be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What is known of the seller's items and listings. items: merged ones too. aliases: SKU text -> item.

    listings: all, of every channel. create: a SKU that is no item's may become one.
    kept: keys of units that a channel keeps itself and tells of.
    """

    items: Sequence[Item]
    aliases: Mapping[str, str]
    listings: Sequence[StoredListing]
    create: bool = False
    kept: frozenset[int] = frozenset()


def propose(catalog: Catalog, channels: Iterable[str] = ()) -> list[Proposal]:
    """A proposal for every listing that is listed and not mapped, by channel and listing. channels: empty means all."""
    wanted = set(channels)
    matcher = _Matcher(catalog)
    listed = [one for one in catalog.listings if one.gone_at is None and one.item is None]
    found = {
        (one.channel, one.listing): matcher.proposal(one)
        for one in sorted(listed, key=lambda each: (each.channel, each.listing))
        if not wanted or one.channel in wanted
    }
    return _without_quarrels(found, listed)


def sku_form(text: str) -> str:
    """What is left of a SKU without capitals, blanks and Unicode form."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def barcode_form(text: str | None) -> str:
    """A barcode as two are compared: GTINs of every length as 14 digits; empty where it identifies nothing."""
    digits = re.sub(r"[\s-]", "", text or "")
    if not re.fullmatch("[0-9]+", digits) or len(digits) not in _GTIN_LENGTHS or not digits.strip("0"):
        return ""
    full = digits.zfill(14)
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(full[:13]))
    return full if (total + int(full[13])) % 10 == 0 else ""


def in_store(barcode: str) -> bool:
    """Whether a barcode (in the form above) is of those that every company may give out for itself."""
    if barcode.startswith("000000"):
        return barcode[6] in "02"
    return barcode[0] == "0" and (barcode[1] == "2" or barcode[1:3] in ("02", "04"))


def packs_of(sku: str) -> list[tuple[str, int]]:
    """What a SKU may say of a pack: (the text that is left, units), for "MUG x6", "MUG-6er" and the like."""
    found = [pattern.fullmatch(sku.strip()) for pattern in _PACK_SKUS]
    return [(one["base"], int(one["units"])) for one in found if one is not None and int(one["units"]) > 1]


class _Matcher:
    """The seller's items and listings, ready for many look-ups."""

    def __init__(self, catalog: Catalog) -> None:
        self._create = catalog.create
        self._kept = catalog.kept
        self._items = {item.id: item for item in catalog.items}
        self._by_sku: dict[str, dict[str, str]] = {}
        self._by_form: dict[str, set[str]] = {}
        self._by_barcode: dict[str, set[str]] = {}
        for item in catalog.items:
            self._know(item.sku, item.id, "its SKU is the item's")
            if barcode := barcode_form(item.barcode):
                self._by_barcode.setdefault(barcode, set()).add(self._lasting(item.id))
        for sku, name in catalog.aliases.items():
            self._know(sku, name, "its SKU is an alias of the item")
        listed = [one for one in catalog.listings if one.gone_at is None]
        self._listed = {(one.channel, one.listing): one for one in listed}
        self._of_sku = _grouped(listed, lambda one: one.sku or "")
        self._of_form = _grouped(listed, lambda one: sku_form(one.sku or ""))
        self._of_barcode = _grouped(listed, lambda one: barcode_form(one.barcode))
        mapped = [one for one in listed if one.item is not None]
        self._mapped_skus: dict[str, list[StoredListing]] = {}
        self._mapped_keys: dict[int, list[StoredListing]] = {}
        for one in mapped:
            if one.sku:
                self._mapped_skus.setdefault(one.sku, []).append(one)
            for key in one.keys:
                self._mapped_keys.setdefault(key, []).append(one)
        self._texts: dict[str, set[str]] = {}
        for one in listed:
            if one.sku:
                self._texts.setdefault(sku_form(one.sku), set()).add(one.sku)

    def _know(self, sku: str, item: str, why: str) -> None:
        lasting = self._lasting(item)
        self._by_sku.setdefault(sku, {}).setdefault(lasting, why)
        self._by_form.setdefault(sku_form(sku), set()).add(lasting)

    def _lasting(self, item: str) -> str:
        """The item itself, or the one that it was merged into."""
        known = self._items.get(item)
        return known.merged_into or item if known else item

    def proposal(self, listing: StoredListing) -> Proposal:
        """What one listing may stand for."""
        if listing.fulfilled_by_channel and self._kept.isdisjoint(listing.keys):
            return _nothing(listing, "the channel ships it from units of its own")
        shared = self._shared(listing)
        if not (listing.sku or "").strip():
            return self._certain(listing, shared) if shared else self._of_blank_sku(listing)
        others = _duplicates(listing, self._of_sku[listing.channel, listing.sku or ""])
        if others:
            return _nothing(listing, f"{_named(others)} of the same channel has the same SKU: map each by hand")
        said = shared | self._said(listing)
        barcode = self._of_barcode_of(listing)
        if said:
            return self._certain(listing, said, barcode)
        by_barcode = self._by_barcode_alone(listing)
        if by_barcode is not None and not _like_a_pack(listing):
            return by_barcode
        return self._guess(listing, barcode) or by_barcode or self._new(listing)

    def _shared(self, listing: StoredListing) -> dict[Meaning, str]:
        """What mapped listings say that stand on the same number."""
        others = (other for key in listing.keys for other in self._mapped_keys.get(key, ()))
        return {_meaning(one): f"it shares its number with listing {one.listing}, which is mapped" for one in others}

    def _said(self, listing: StoredListing) -> dict[Meaning, str]:
        """What somebody has said, and why it means that."""
        sku = listing.sku or ""
        said: dict[Meaning, str] = {(item, 1): why for item, why in self._by_sku.get(sku, {}).items()}
        for other in self._mapped_skus.get(sku, ()):
            why = f"{other.channel} listing {other.listing} has the same SKU and is mapped to it"
            said.setdefault(_meaning(other), why)
        if len(listing.parts) == 1:
            part, units = listing.parts[0]
            known = self._listed.get((listing.channel, part))
            if known is not None and known.item is not None:
                said.setdefault((known.item, known.multiple * units), f"the channel says: {units} of listing {part}")
        return said

    def _certain(self, listing: StoredListing, said: Mapping[Meaning, str], barcode: str | None = None) -> Proposal:
        """The one thing that is said; nothing where two things are, or the barcode is another item's."""
        if len(said) > 1:
            ways = "; but ".join(f"{why} ({self._words(meaning)})" for meaning, why in sorted(said.items()))
            return _nothing(listing, f"{ways}: map it by hand")
        (meaning, why), *_ = said.items()
        if barcode is not None and barcode != meaning[0]:
            return _nothing(listing, f"{why}, but its barcode is that of {self._sku(barcode)}: map it by hand")
        return self._proposed(listing, meaning, why, "certain")

    def _of_barcode_of(self, listing: StoredListing) -> str | None:
        """The one item of the listing's barcode; None: none, or several."""
        found = self._by_barcode.get(barcode_form(listing.barcode), set())
        return next(iter(found)) if len(found) == 1 else None

    def _of_blank_sku(self, listing: StoredListing) -> Proposal:
        found = self._by_barcode_alone(listing)
        why = "its SKU is blank" if found is None else f"its SKU is blank; {found.why}"
        blank = found or _nothing(listing, why)
        return replace(blank, why=why, confidence="none" if blank.item is None else "guess")

    def _by_barcode_alone(self, listing: StoredListing) -> Proposal | None:
        """By its barcode, unless the listing reads like a pack of the item; None: it says nothing."""
        form = barcode_form(listing.barcode)
        found = self._by_barcode.get(form, set())
        if not form or not found:
            return None
        if len(found) > 1:
            return _nothing(listing, f"its barcode is that of {', '.join(sorted(map(self._sku, found)))}")
        others = _duplicates(listing, self._of_barcode[listing.channel, form])
        if others:
            return _nothing(listing, f"{_named(others)} of the same channel has the same barcode: map each by hand")
        meaning = (next(iter(found)), 1)
        if _like_a_pack(listing):
            return _nothing(listing, f"its barcode is that of {self._sku(meaning[0])}, but it reads like a pack of it")
        if in_store(form):
            return self._proposed(listing, meaning, "its barcode, one of those that anybody may give out", "guess")
        return self._proposed(listing, meaning, "its barcode is the item's", "certain")

    def _guess(self, listing: StoredListing, barcode: str | None) -> Proposal | None:
        """What its SKU looks like; None: like nothing that we know."""
        sku = listing.sku or ""
        alike = self._by_form.get(sku_form(sku), set())
        if len(alike) > 1:
            return _nothing(listing, f"its SKU looks like {', '.join(sorted(map(self._sku, alike)))}")
        others = _duplicates(listing, self._of_form[listing.channel, sku_form(sku)])
        if alike and others:
            return _nothing(listing, f"{_named(others)} of the same channel has nearly the same SKU: map each by hand")
        former = item_id(sku)
        meanings: dict[Meaning, str] = {}
        if alike:
            meanings[next(iter(alike)), 1] = "its SKU differs only in capitals, blanks or Unicode form"
        elif former in self._items:
            meanings[self._lasting(former), 1] = "its SKU is what the item was called first"
        else:
            for base, units in packs_of(sku):
                for item in self._by_sku.get(base, {}) or self._by_form.get(sku_form(base), set()):
                    meanings.setdefault((item, units), f"its SKU reads like {units} of the item")
        if not meanings:
            return None
        found = self._certain(listing, meanings, barcode)
        return found if found.item is None else replace(found, confidence="guess")

    def _new(self, listing: StoredListing) -> Proposal:
        """A new item for its SKU, where one is asked for and nothing speaks against it."""
        sku = listing.sku or ""
        if not self._create:
            return _nothing(listing, NO_ITEM)
        if sku != sku.strip() or not sku.isprintable():
            return _nothing(listing, "its SKU has blanks at its ends or characters that cannot be seen")
        if packs_of(sku) or listing.parts:
            return _nothing(listing, "it looks like a pack or a bundle: make the item, or map it, by hand")
        alike = self._texts[sku_form(sku)] - {sku}
        if alike:
            return _nothing(listing, f"other listings have nearly the same SKU: {', '.join(sorted(alike))}")
        if barcode_form(listing.barcode) in self._by_barcode:
            return _nothing(listing, "its barcode is that of an item with another SKU")
        made = self._proposed(listing, (item_id(sku), 1), "no item has its SKU: a new one", "certain")
        return replace(made, sku=sku, new=True)

    def _proposed(self, listing: StoredListing, meaning: Meaning, why: str, confidence: Confidence) -> Proposal:
        item, multiple = meaning
        return replace(_nothing(listing, why), item=item, sku=self._sku(item), multiple=multiple, confidence=confidence)

    def _sku(self, item: str) -> str:
        known = self._items.get(item)
        return known.sku if known else item

    def _words(self, meaning: Meaning) -> str:
        item, multiple = meaning
        return self._sku(item) if multiple == 1 else f"{multiple} of {self._sku(item)}"


def _nothing(listing: StoredListing, why: str) -> Proposal:
    return Proposal(
        channel=listing.channel,
        listing=listing.listing,
        listing_sku=listing.sku,
        title=listing.title,
        barcode=listing.barcode,
        why=why,
    )


def _like_a_pack(listing: StoredListing) -> bool:
    return bool(packs_of(listing.sku or "") or _PACK_TITLE.search(listing.title))


def _meaning(listing: StoredListing) -> Meaning:
    return listing.item or "", listing.multiple


def _grouped(
    listings: Iterable[StoredListing], form: Callable[[StoredListing], str]
) -> dict[tuple[str, str], list[StoredListing]]:
    groups: dict[tuple[str, str], list[StoredListing]] = {}
    for one in listings:
        groups.setdefault((one.channel, form(one)), []).append(one)
    return groups


def _duplicates(listing: StoredListing, alike: Iterable[StoredListing]) -> list[StoredListing]:
    """Other listings that look the same and are not: those that stand on the very same numbers are one."""
    return [one for one in alike if one.listing != listing.listing and (not one.keys or one.keys != listing.keys)]


def _named(others: Sequence[StoredListing]) -> str:
    shown = ", ".join(one.listing for one in others[:3])
    return f"listing {shown}" + (" and others" if len(others) > 3 else "")


def _without_quarrels(found: Mapping[tuple[str, str], Proposal], listed: Iterable[StoredListing]) -> list[Proposal]:
    """Takes back proposals for listings that share a number and would mean different things."""
    on_key: dict[int, set[Meaning]] = {}
    keys = {(one.channel, one.listing): one.keys for one in listed}
    for name, proposal in found.items():
        for key in keys[name] if proposal.meaning else ():
            on_key.setdefault(key, set()).add(proposal.meaning or ("", 1))
    quarrel = "a listing that shares its number looks like something else: map both by hand"
    return [
        replace(one, item=None, sku="", multiple=1, why=quarrel, confidence="none", new=False)
        if any(len(on_key.get(key, ())) > 1 for key in keys[name])
        else one
        for name, one in found.items()
    ]
