"""The Trading API, for listings that are not migrated: XML over HTTP, one call name a request.

A listing's Quantity holds the units sold too, so what is left is Quantity less QuantitySold (eBay knowledge base 1525);
what ReviseInventoryStatus is given is what is left. It takes four rows, and tells of each that it changed
(InventoryStatus, with the listing's SKU even where the row had none: ReviseInventoryStatusResponseType); rows it does
not tell of are asked for again one by one, because an error does not name its row.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from pydantic import SecretStr

from channelsync.sdk.errors import AnswerUnreadable, ChannelMisbehaved, NeedsSeller, OutcomeUnknown, TryLater
from channelsync.sdk.http import Answer, Call
from channelsync.sdk.paging import PageNumbers
from channelsync_ebay.access import Access
from channelsync_ebay.hosts import Hosts
from channelsync_ebay.settings import TRADING, EbaySettings
from channelsync_ebay.translate_listings import Legacy

VERSION = "1423"
_SPACE = "urn:ebay:apis:eBLBaseComponents"
_IN = {"e": _SPACE}
_REASON_CHARACTERS = 300

_TOKEN_REFUSED = frozenset({"931", "932", "16110", "21916984", "21917053"})
_TOO_MANY = frozenset({"518", "21919144"})
_SYSTEM = frozenset({"10007", "2", "21359"})
_NO_SUCH_ITEM = frozenset({"17", "21917182"})


@dataclass(frozen=True, slots=True)
class LegacyRow:
    """A listing, or a variation of one, as the Trading API shows it. left: units that buyers may still buy."""

    name: Legacy
    sku: str | None
    title: str
    left: int
    status: str = "Active"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer without fatal errors. errors: (code, text), warnings left out."""

    root: ET.Element
    ack: str
    errors: tuple[tuple[str, str], ...]
    answer: Answer

    @property
    def reason(self) -> str:
        """What eBay says is wrong."""
        return "; ".join(f"{code}: {text}" for code, text in self.errors)[:_REASON_CHARACTERS] or "eBay gives no reason"


class Trading:
    """The Trading API, call by call, for one seller."""

    def __init__(self, hosts: Hosts, access: Access, settings: EbaySettings) -> None:
        self._hosts = hosts
        self._access = access
        self._settings = settings

    async def active(self) -> AsyncIterator[LegacyRow]:
        """Every active listing at a fixed price, its variations one by one; migrated ones are among them.

        Pages are counted by rows, so some are read again, and rows come twice, where listings ended meanwhile.
        """
        page = PageNumbers(first=1)
        while True:
            body = (
                "<ActiveList><Include>true</Include><Pagination>"
                f"<EntriesPerPage>{self._settings.listings_per_page}</EntriesPerPage>"
                f"<PageNumber>{page.now}</PageNumber></Pagination></ActiveList>"
                "<DetailLevel>ReturnAll</DetailLevel>"
            )
            reply = await self._ask("GetMyeBaySelling", body)
            if reply.errors:
                raise ChannelMisbehaved(f"{reply.answer.call}: GetMyeBaySelling: {reply.reason}")
            listed = reply.root.find("e:ActiveList", _IN)
            if listed is None:
                return
            for item in listed.iterfind("e:ItemArray/e:Item", _IN):
                for row in rows_of(item):
                    yield row
            page.go_on(_number(_text(listed, "e:PaginationResult/e:TotalNumberOfEntries"), 0))
            if page.now > _number(_text(listed, "e:PaginationResult/e:TotalNumberOfPages"), 0):
                return

    async def item(self, item: str) -> tuple[list[LegacyRow], Answer]:
        """One listing with its variations; none where there is no such listing."""
        reply = await self._ask("GetItem", f"<ItemID>{item}</ItemID>")
        if reply.errors:
            if {code for code, _ in reply.errors} & _NO_SUCH_ITEM:
                return [], reply.answer
            raise ChannelMisbehaved(f"{reply.answer.call}: GetItem: {reply.reason}")
        found = reply.root.find("e:Item", _IN)
        if found is None:
            raise AnswerUnreadable(f"{reply.answer.call}: GetItem: an answer without an item")
        return rows_of(found), reply.answer

    async def revise(self, rows: Sequence[tuple[Legacy, int]]) -> tuple[set[Legacy], str]:
        """Writes the numbers of at most four rows: (those that it says it has changed, what it says of the others, ""
        where it says nothing of them)."""
        body = "".join(
            f"<InventoryStatus><ItemID>{name.item}</ItemID>"
            + (f"<SKU>{escape(name.sku)}</SKU>" if name.sku is not None else "")
            + f"<Quantity>{value}</Quantity></InventoryStatus>"
            for name, value in rows
        )
        reply = await self._ask("ReviseInventoryStatus", body, write=True)
        told = [(_text(one, "e:ItemID"), _text(one, "e:SKU")) for one in reply.root.iterfind("e:InventoryStatus", _IN)]
        if not reply.errors and not told:
            return {name for name, _ in rows}, ""
        done = {name for name, _ in rows if any(name.item == item and name.sku in (None, sku) for item, sku in told)}
        if reply.ack == "Failure":
            done = set()
        if not done and {code for code, _ in reply.errors} & _SYSTEM:
            raise OutcomeUnknown(f"{reply.answer.call}: ReviseInventoryStatus: {reply.reason}")
        return done, reply.reason if reply.errors else ""

    async def out_of_stock_control(self) -> bool:
        """Whether listings stay alive at 0."""
        reply = await self._ask(
            "GetUserPreferences", "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
        )
        if reply.errors:
            raise ChannelMisbehaved(f"{reply.answer.call}: GetUserPreferences: {reply.reason}")
        return _text(reply.root, "e:OutOfStockControlPreference").lower() == "true"

    async def _ask(self, name: str, body: str, *, write: bool = False) -> Reply:
        refused: SecretStr | None = None
        for _ in range(2):
            token = await self._access.seller.token(refused=refused)
            reply = await self._send(name, body, token, write=write)
            codes = {code for code, _ in reply.errors}
            if codes & _TOO_MANY:
                raise TryLater(f"{reply.answer.call}: {name}: {reply.reason}")
            if codes & _SYSTEM and not write:
                raise TryLater(f"{reply.answer.call}: {name}: {reply.reason}")
            if not codes & _TOKEN_REFUSED:
                return reply
            refused = token
        raise NeedsSeller(f"Connect the eBay account anew: the Trading API does not take our access ({reply.reason}).")

    async def _send(self, name: str, body: str, token: SecretStr, *, write: bool) -> Reply:
        url = self._settings.trading
        document = (
            f'<?xml version="1.0" encoding="utf-8"?><{name}Request xmlns="{_SPACE}">'
            f"<ErrorLanguage>en_US</ErrorLanguage>{body}</{name}Request>"
        )
        call = Call(
            "POST",
            url,
            "write" if write else "read",
            bucket=TRADING,
            headers={
                "Content-Type": "text/xml;charset=utf-8",
                "X-EBAY-API-CALL-NAME": name,
                "X-EBAY-API-COMPATIBILITY-LEVEL": VERSION,
                "X-EBAY-API-SITEID": str(self._settings.site),
                "X-EBAY-API-IAF-TOKEN": token,
            },
            content=document.encode(),
            expect="bytes",
            attempts=1 if write else None,
        )
        return reply_of(await self._hosts.at(url).request(call), f"{name}Response")


def reply_of(answer: Answer, expected: str) -> Reply:
    """An answer, parsed. Raises AnswerUnreadable for what is not the answer to this call; no text of it is shown."""
    # eBay's answers declare no types: one that does could make a few bytes unpack to gigabytes.
    declares = b"<!DOCTYPE" in answer.body[:2000] or b"<!ENTITY" in answer.body
    try:
        root = None if declares else ET.fromstring(answer.body)  # noqa: S314 - no entities, see above; bounded in size
    except ET.ParseError:
        root = None
    if root is None or root.tag != f"{{{_SPACE}}}{expected}":
        raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with something else than a {expected}")
    errors = tuple(
        (_text(one, "e:ErrorCode"), _text(one, "e:LongMessage") or _text(one, "e:ShortMessage"))
        for one in root.iterfind("e:Errors", _IN)
        if _text(one, "e:SeverityCode") != "Warning"
    )
    ack = _text(root, "e:Ack")
    if ack not in ("Success", "Warning") and not errors:
        errors = (("", ack or "no Ack"),)
    return Reply(root, ack, errors, answer)


def rows_of(item: ET.Element) -> list[LegacyRow]:
    """A listing as rows: its variations that have a SKU, or itself. Auctions are none."""
    number, kind = _text(item, "e:ItemID"), _text(item, "e:ListingType")
    if not number or kind not in ("", "FixedPriceItem", "StoresFixedPrice"):
        return []
    title, sku = _text(item, "e:Title"), _text(item, "e:SKU") or None
    status = _text(item, "e:SellingStatus/e:ListingStatus") or "Active"
    variations = item.findall("e:Variations/e:Variation", _IN)
    if not variations:
        return [LegacyRow(Legacy(number), sku, title, _left(item), status)]
    return [
        LegacyRow(Legacy(number, own), own, title, _left(one), status)
        for one in variations
        if (own := _text(one, "e:SKU"))
    ]


def _left(part: ET.Element) -> int:
    """Units left: told as such by lists, else what there was less what was sold."""
    told = _text(part, "e:QuantityAvailable")
    if told:
        return max(0, _number(told, 0))
    sold = _number(_text(part, "e:SellingStatus/e:QuantitySold"), 0)
    return max(0, _number(_text(part, "e:Quantity"), 0) - sold)


def _text(part: ET.Element, path: str) -> str:
    return (part.findtext(path, "", _IN) or "").strip()


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.lstrip("-").isdigit() else otherwise
