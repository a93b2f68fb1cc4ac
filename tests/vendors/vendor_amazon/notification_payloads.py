"""What notifications say, as their schemas want it. Those of the listings begin with capitals, those of jobs do not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from channelsync.lab.marketplace_values import Line, Order, units
from vendor_amazon.catalogue import DEFAULT, Catalogue, Item
from vendor_amazon.jobs import Job
from vendor_amazon.order_book import FulfillmentStatus, OrderBook, gone

Payload = dict[str, Any]

ORDER = "ORDER_CHANGE"
QUANTITY = "LISTINGS_ITEM_MFN_QUANTITY_CHANGE"
STATUS = "LISTINGS_ITEM_STATUS_CHANGE"
ISSUES = "LISTINGS_ITEM_ISSUES_CHANGE"
FEED = "FEED_PROCESSING_FINISHED"
REPORT = "REPORT_PROCESSING_FINISHED"
KINDS = (ORDER, QUANTITY, STATUS, ISSUES, FEED, REPORT)

_SMALL = frozenset({FEED, REPORT})
_STATUSES: dict[FulfillmentStatus, str] = {
    "PENDING_AVAILABILITY": "PendingAvailability",
    "PENDING": "Pending",
    "UNSHIPPED": "Unshipped",
    "PARTIALLY_SHIPPED": "PartiallyShipped",
    "SHIPPED": "Shipped",
    "CANCELLED": "Canceled",
    "UNFULFILLABLE": "Unfulfillable",
}


def moment(at: datetime) -> str:
    """A time as notifications write it: to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def envelope(kind: str, payload: Payload, subscription: str, application: str, name: str, at: datetime) -> Payload:
    """A notification around its payload. name: its id, the same for every duplicate."""
    small = kind in _SMALL
    metadata = {
        "ApplicationId": application,
        "SubscriptionId": subscription,
        "PublishTime": moment(at),
        "NotificationId": name,
    }
    version = "2020-09-04" if small else "1.0"
    of_payload = "2023-12-13" if kind == ISSUES else version
    found = {
        "NotificationVersion": version,
        "NotificationType": kind,
        "PayloadVersion": of_payload,
        "EventTime": moment(at),
        "Payload": payload,
        "NotificationMetadata": metadata,
    }
    if not small:
        return found
    found["NotificationMetadata"] = {_small(key): value for key, value in metadata.items()}
    return {_small(key): value for key, value in found.items()}


def _small(name: str) -> str:
    return name[0].lower() + name[1:]


def order_payload(book: OrderBook, order: Order, seller: str, why: str) -> Payload:
    """A change of an order. why: the type of change. It names nobody, but the postcode that it goes to."""
    status = book.status(order)
    shipped, still = sum(units(line.shipped) for line in order.lines), sum(line.open for line in order.lines)
    return {
        "OrderChangeNotification": {
            "NotificationLevel": "OrderLevel",
            "SellerId": seller,
            "AmazonOrderId": order.id,
            "OrderChangeType": why,
            "OrderChangeTrigger": {"TimeOfOrderChange": moment(order.updated_at), "ChangeReason": why},
            "Summary": {
                "MarketplaceId": book.place_of(order),
                "OrderStatus": _STATUSES[status],
                "PurchaseDate": moment(order.placed_at),
                "DestinationPostalCode": "LA22 9AB",
                "FulfillmentType": "AFN" if book.by_amazon(order) else "MFN",
                "OrderType": "StandardOrder",
                "NumberOfItemsShipped": shipped,
                "NumberOfItemsUnshipped": still,
                "OrderItems": [_order_item(book, order, line) for line in order.lines],
            },
        }
    }


def _order_item(book: OrderBook, order: Order, line: Line) -> Payload:
    """Of a line: its schema knows two statuses only, and wants a supply source."""
    known = book.cancellation(order, line.id)
    told: Payload = {
        "OrderItemId": line.id,
        "SellerSKU": line.sku,
        "SupplySourceId": "",
        "Quantity": line.ordered - gone(line),
        "QuantityShipped": units(line.shipped),
        "IsBuyerRequestedCancel": bool(known and known.requested),
    }
    if line.open or line.shipped:
        told["OrderItemStatus"] = "Unshipped" if line.open else "Shipped"
    return told


def quantity_payload(item: Item, number: int, seller: str) -> Payload:
    """The number of a listing that the seller ships changed, whoever changed it."""
    return {"SellerId": seller, "FulfillmentChannelCode": DEFAULT, "Sku": item.sku, "Quantity": number}


def status_payload(catalogue: Catalogue, item: Item, place: str) -> Payload:
    """Whether a listing can be found and bought."""
    return {
        "SellerId": catalogue.account.seller_id,
        "MarketplaceId": place,
        "Asin": item.asin,
        "Sku": item.sku,
        "CreatedDate": moment(item.created),
        "Status": catalogue.statuses(item, place),
    }


def issues_payload(catalogue: Catalogue, item: Item, place: str) -> Payload:
    """What is wrong with a listing in a marketplace, and what Amazon does about it."""
    here = [issue for issue in item.issues if place in issue.get("marketplaceIds", [place])]
    return {
        "SellerId": catalogue.account.seller_id,
        "MarketplaceId": place,
        "Asin": item.asin,
        "Sku": item.sku,
        "Severities": sorted({str(issue["severity"]) for issue in here}) or ["NONE"],
        "EnforcementActions": sorted(item.actions(place)),
    }


def job_payload(job: Job, kind: str, seller: str) -> Payload:
    """A feed or a report is over."""
    what = "feed" if kind == FEED else "report"
    told = {
        "sellerId": seller,
        "accountId": f"amzn1.merchant.o.{seller}",
        f"{what}Id": job.id,
        f"{what}Type": job.kind,
        "processingStatus": job.status,
    }
    if job.document:
        told["resultFeedDocumentId" if kind == FEED else "reportDocumentId"] = job.document
    return {f"{what}ProcessingFinishedNotification": told}
