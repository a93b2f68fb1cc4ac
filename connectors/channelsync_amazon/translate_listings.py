"""Between Amazon's listings and ours: pure, like `translate`.

Sources: the model listingsItems_2021-08-01, and the columns of the reports GET_MERCHANT_LISTINGS_ALL_DATA,
GET_MERCHANTS_LISTINGS_FYP_REPORT and GET_STRANDED_INVENTORY_UI_DATA.

A listing is named by its SKU, and so is its one quantity key: Amazon keeps one number of a SKU for all marketplaces.
What Amazon keeps and ships itself has a key of its own for each of its pools.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace

from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.values import Listing, ListingState, QuantityKey
from channelsync_amazon import wire

MERCHANT = "DEFAULT"
"""The fulfilment channel of the seller's own units."""

AMAZON = "AMAZON_"
"""How the fulfilment channels of Amazon's own warehouses begin: AMAZON_NA, AMAZON_EU, ..."""

PER_SOURCE = "its units are kept per supply source, which channelsync does not write"

NO_REASON = "not buyable, and Amazon gives no reason"

Row = Mapping[str, str]

Told = Mapping[str, tuple[str, ...]]
"""Reasons by SKU, out of a report."""


def key_of(sku: str) -> QuantityKey:
    """The key that the number of a SKU is kept under."""
    return QuantityKey(sku)


def by_amazon(item: wire.Item) -> bool:
    """Whether Amazon ships it; also when the seller's own units are told beside: nobody writes those then."""
    return any(one.fulfillment_channel_code.startswith(AMAZON) for one in item.fulfillment_availability)


def own(item: wire.Item) -> tuple[wire.Availability, ...]:
    """What the listing tells of the seller's own units; empty where they are not kept under one number."""
    if by_amazon(item):
        return ()
    return tuple(one for one in item.fulfillment_availability if one.fulfillment_channel_code == MERCHANT)


def number_of(item: wire.Item) -> int | None:
    """The number of the seller's own units; None: there is none."""
    return max((one.quantity for one in own(item) if one.quantity is not None), default=None)


def listing_of(item: wire.Item, marketplaces: Sequence[str], pools: Sequence[str] = ()) -> Listing | None:
    """A listing in our words; None for the parent of variations, which nobody can buy.

    pools: marketplaces, one of each pool of units that Amazon keeps.
    """
    if any(one.child_skus and one.type == "VARIATION" for each in item.relationships for one in each.relationships):
        return None
    key, number, amazon = key_of(item.sku), number_of(item), by_amazon(item)
    buyable = any("BUYABLE" in one.status for one in item.summaries)
    active = buyable and (amazon or number != 0)
    counted = bool(own(item))
    return Listing(
        listing=item.sku,
        sku=item.sku,
        title=next((one.item_name for one in item.summaries if one.item_name), ""),
        state=ListingState.ACTIVE if active else ListingState.INACTIVE,
        reasons=_reasons(item, marketplaces, sold_out=number == 0 and not amazon),
        keys=(key,) if counted or amazon else (),
        kept=tuple(QuantityKey(item.sku, pool) for pool in pools) if amazon else (),
        shown={} if number is None else {key: number},
        tracked=amazon or number is not None or not counted,
        fulfilled_by_channel=amazon,
    )


def _reasons(item: wire.Item, marketplaces: Sequence[str], *, sold_out: bool) -> tuple[str, ...]:
    """Why it cannot be bought, in Amazon's words; with several marketplaces, in which."""
    reasons: list[str] = []
    told = {one.marketplace_id: one for one in item.summaries}
    for marketplace in marketplaces:
        summary = told.get(marketplace)
        if summary is None:
            continue
        buyable = "BUYABLE" in summary.status
        found = [_reason(one) for one in item.issues if _counts(one, marketplace, buyable=buyable)]
        if not found and not buyable and not sold_out:
            found = [_without_reason(item, summary)]
        where = f"{marketplace}: " if len(marketplaces) > 1 else ""
        reasons += [f"{where}{one}" for one in found]
    if not told and not sold_out:
        reasons.append("it is listed in none of the marketplaces")
    return tuple(dict.fromkeys(reasons))


def _counts(issue: wire.Issue, marketplace: str, *, buyable: bool) -> bool:
    """Whether an issue is a reason there: an enforcement in force always, another error where nobody can buy it."""
    if issue.marketplace_ids and marketplace not in issue.marketplace_ids:
        return False
    if issue.enforcements is not None and issue.enforcements.actions:
        return issue.enforcements.exemption.status == "NOT_EXEMPT"
    return issue.severity == "ERROR" and not buyable


def _reason(issue: wire.Issue) -> str:
    actions = () if issue.enforcements is None else tuple(one.action for one in issue.enforcements.actions)
    did = f"{', '.join(actions)}: " if actions else ""
    return f"{did}{said(issue)}"


def said(issue: wire.Issue) -> str:
    """An issue's code and message."""
    return ": ".join(text for text in (issue.code, issue.message) if text) or "Amazon gives no reason"


def _without_reason(item: wire.Item, summary: wire.Summary) -> str:
    if item.fulfillment_availability and not own(item) and not by_amazon(item):
        return PER_SOURCE
    if not item.fulfillment_availability:
        return "it has no offer"
    return f"{NO_REASON} (status: {', '.join(summary.status) or 'none'})"


def unexplained(listing: Listing) -> bool:
    """Whether it cannot be bought somewhere, and does not tell why."""
    return any(NO_REASON in reason for reason in listing.reasons)


def may_be_stranded(listing: Listing) -> bool:
    """Whether units of it may lie at Amazon that nobody can buy."""
    return listing.fulfilled_by_channel and listing.state is not ListingState.ACTIVE


# Reports


def rows_of(text: str) -> list[Row]:
    """The rows of a report, by the names of its columns in lower case. Reports are tab-separated, without quoting."""
    lines = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [name.strip().lower() for name in next(lines, [])]
    return [dict(zip(header, (cell.strip() for cell in line), strict=False)) for line in lines if any(line)]


def skus_of(rows: Sequence[Row]) -> list[str]:
    """The SKUs of GET_MERCHANT_LISTINGS_ALL_DATA. Raises AnswerUnreadable where it has no column of them."""
    if rows and not any("seller-sku" in row for row in rows):
        raise AnswerUnreadable("the listings report has no column seller-sku: its columns are not named in English")
    return [sku for row in rows if (sku := row.get("seller-sku"))]


def row_by_amazon(row: Row) -> bool:
    """Whether a row of that report is of a listing that Amazon ships."""
    return row.get("fulfillment-channel", "").startswith(AMAZON)


def suppressed(rows: Sequence[Row]) -> Told:
    """Reasons by SKU out of GET_MERCHANTS_LISTINGS_FYP_REPORT: listings that the search of buyers does not show."""
    return _told(rows, "suppressed", ("status", "reason", "issue", "issue description"))


def stranded(rows: Sequence[Row]) -> Told:
    """Reasons by SKU out of GET_STRANDED_INVENTORY_UI_DATA: units at Amazon that no offer sells."""
    return _told(rows, "stranded", ("status-primary", "stranded-reason", "error-message"))


def with_reasons(listing: Listing, *told: Told) -> Listing:
    """The listing with what reports say of it besides."""
    more = [reason for each in told for reason in each.get(listing.listing, ())]
    return replace(listing, reasons=tuple(dict.fromkeys((*listing.reasons, *more)))) if more else listing


def _told(rows: Sequence[Row], what: str, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        sku = row.get("sku") or row.get("seller-sku")
        texts = [row[column] for column in columns if row.get(column)]
        if sku and texts:
            found.setdefault(sku, []).append(f"{what}: {': '.join(texts)}")
    return {sku: tuple(dict.fromkeys(reasons)) for sku, reasons in found.items()}
