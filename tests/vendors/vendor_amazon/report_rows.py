"""What stands in the reports: the listings, the orders and the units at Amazon as they are now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from channelsync.lab.marketplace_values import Happened, Line, Order, State, Status, units
from vendor_amazon.catalogue import DEFAULT, Catalogue, Item
from vendor_amazon.fba import FbaPool
from vendor_amazon.places import PLACES
from vendor_amazon.report_columns import ALL_LISTINGS, INACTIVE, RETURNS, STRANDED, SUPPRESSED

Row = dict[str, str]


class ReportRows:
    """Makes the rows of every report that this server knows."""

    def __init__(self, catalogue: Catalogue, pool: FbaPool) -> None:
        self._catalogue = catalogue
        self._pool = pool
        self._makers: Mapping[str, Callable[[str, datetime, datetime], list[Row]]] = {
            ALL_LISTINGS: lambda place, _, __: self._listings(place, inactive=False),
            INACTIVE: lambda place, _, __: self._listings(place, inactive=True),
            SUPPRESSED: lambda place, _, __: self._suppressed(place),
            STRANDED: lambda place, _, __: self._stranded(place),
            RETURNS: self._returns,
        }

    def make(self, kind: str, ids: Sequence[str], since: datetime, until: datetime) -> list[Row]:
        """The rows of a report over these marketplaces; since, until: by Amazon's clock."""
        return [row for each in ids for row in self._makers[kind](each, since, until)]

    def _listings(self, place: str, *, inactive: bool) -> list[Row]:
        rows = [self._listing(item, place) for item in self._catalogue.items(place)]
        return [row for row in rows if row["status"] == "Inactive"] if inactive else rows

    def _listing(self, item: Item, place: str) -> Row:
        offer, number = self._catalogue.offer(item), self._catalogue.quantity(item)
        channel = DEFAULT if offer.own else PLACES[place].fba
        active = "BUYABLE" in self._catalogue.statuses(item, place)
        return {
            "item-name": offer.title,
            "listing-id": f"{item.asin[2:]}L",
            "seller-sku": item.sku,
            "price": str(offer.price),
            "quantity": "" if number is None or not offer.own else str(number),
            "open-date": f"{item.created:%d/%m/%Y %H:%M:%S} GMT",
            "item-is-marketplace": "y",
            "product-id-type": "1",
            "item-condition": "11",
            "asin1": item.asin,
            "product-id": item.asin,
            "pending-quantity": str(self._pending(item.sku)),
            "fulfillment-channel": channel,
            "merchant-shipping-group": "Migrated Template",
            "status": "Active" if active else "Inactive",
        }

    def _pending(self, sku: str) -> int:
        orders = self._catalogue.marketplace.orders.values()
        waiting = [order for order in orders if order.status is Status.AWAITING_PAYMENT]
        return sum(line.open for order in waiting for line in order.lines if line.listing == sku)

    def _suppressed(self, place: str) -> list[Row]:
        return [
            {
                "Status": "Search Suppressed",
                "Reason": str(issue["categories"][0] if issue["categories"] else ""),
                "SKU": item.sku,
                "ASIN": item.asin,
                "Product name": self._catalogue.offer(item).title,
                "Condition": "New",
                "Status Change Date": f"{item.updated:%b %d, %Y}",
                "Issue": str(issue["message"]),
            }
            for item in self._catalogue.items(place)
            if item.actions(place) & {"LISTING_SUPPRESSED", "SEARCH_SUPPRESSED"}
            for issue in item.issues
            if "enforcements" in issue
        ]

    def _stranded(self, place: str) -> list[Row]:
        """Units at Amazon whose listing nobody can buy."""
        return [
            self._left_there(item)
            for item in self._catalogue.items(place)
            if not self._catalogue.offer(item).own
            and self._pool.units(item.sku).fulfillable
            and "BUYABLE" not in self._catalogue.statuses(item, place)
        ]

    def _left_there(self, item: Item) -> Row:
        offer, there = self._catalogue.offer(item), self._pool.units(item.sku)
        return {
            "primary-action": "Relist",
            "date-stranded": f"{item.updated:%Y-%m-%dT%H:%M:%S+00:00}",
            "status-primary": "Stranded",
            "status-secondary": "Action required",
            "stranded-reason": "Closed listing" if offer.state is not State.ACTIVE else "Suppressed listing",
            "asin": item.asin,
            "sku": item.sku,
            "fnsku": f"X00{item.asin[3:]}",
            "product-name": offer.title,
            "condition": "New",
            "fulfilled-by": "Amazon",
            "fulfillable-qty": str(there.fulfillable),
            "your-price": str(offer.price),
            "unfulfillable-qty": str(there.unfulfillable),
            "reserved-quantity": str(there.reserved),
            "inbound-shipped-qty": str(there.inbound),
        }

    def _returns(self, place: str, since: datetime, until: datetime) -> list[Row]:
        marketplace = self._catalogue.marketplace
        return [
            self._returned(order, line, back, place)
            for order in marketplace.orders.values()
            if (marketplace.placed_in.get(order.id) or order.site) == place
            for line in order.lines
            for back in (*line.returned, *line.quarantined)
            if since <= back.at <= until
        ]

    def _returned(self, order: Order, line: Line, back: Happened, place: str) -> Row:
        item = self._catalogue.item(line.listing)
        return {
            "Order ID": order.id,
            "Order date": f"{order.placed_at:%d-%b-%Y}",
            "Return request date": f"{back.at:%d-%b-%Y}",
            "Return request status": "Completed",
            "Amazon RMA ID": f"D{line.id[-8:]}RRMA",
            "Currency code": PLACES[place].currency,
            "A-to-Z Claim": "N",
            "Is prime": "N",
            "ASIN": item.asin if item else "",
            "Merchant SKU": line.sku or "",
            "Item Name": line.title,
            "Return quantity": str(back.units),
            "Return Reason": "CR-DEFECTIVE" if back in line.quarantined else "CR-UNWANTED_ITEM",
            "In policy": "Y",
            "Return type": "C-Returns",
            "Resolution": "StandardRefund",
            "Return delivery date": f"{back.at:%d-%b-%Y}",
            "Order Amount": str(line.price * line.ordered),
            "Order quantity": str(units(line.shipped)),
            "Refunded Amount": str(line.price * back.units),
            "Order Item ID": line.id,
        }
