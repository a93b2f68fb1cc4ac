"""The Notifications API: destinations, subscriptions, and what is sent to queues when something happens.

Of the event filters it knows marketplaces and types of order changes. A filter expression is refused: this server
cannot carry it out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from channelsync.lab.marketplace_values import News, Order
from vendor_amazon.ask import Answer, Ask, Call
from vendor_amazon.catalogue import Catalogue, Change, Item
from vendor_amazon.errors import ApiError, bad_input
from vendor_amazon.jobs import Job, Jobs
from vendor_amazon.notification_payloads import (
    FEED,
    ISSUES,
    KINDS,
    ORDER,
    QUANTITY,
    REPORT,
    STATUS,
    Payload,
    envelope,
    issues_payload,
    job_payload,
    order_payload,
    quantity_payload,
    status_payload,
)
from vendor_amazon.order_book import FulfillmentStatus, OrderBook
from vendor_amazon.queues import Queue

STATUS_CHANGE = "OrderStatusChange"
BUYERS_WISH = "BuyerRequestedChange"


@dataclass(frozen=True, slots=True)
class _Subscription:
    id: str
    kind: str
    destination: str
    told: Payload

    def wants(self, place: str, change: str) -> bool:
        """Whether its filter lets an event through; empty: the event has no such thing."""
        event = self.told.get("processingDirective", {}).get("eventFilter", {})
        places, changes = event.get("marketplaceIds"), event.get("orderChangeTypes")
        return (not places or not place or place in places) and (not changes or not change or change in changes)


class Notifications:
    """Destinations and subscriptions of one application and seller. sent: every notification, once."""

    def __init__(self, catalogue: Catalogue, book: OrderBook, feeds: Jobs, reports: Jobs, rng: random.Random) -> None:
        self.sent: list[Payload] = []
        self._catalogue = catalogue
        self._book = book
        self._rng = rng
        self._queues: dict[str, Queue] = {}
        self._destinations: dict[str, Payload] = {}
        self._subscriptions: dict[str, _Subscription] = {}
        self._statuses: dict[tuple[str, str], list[str]] = {}
        self._order_statuses: dict[str, FulfillmentStatus] = {}
        catalogue.marketplace.on_news.append(self._news)
        book.on_request.append(lambda order: catalogue.marketplace.soon(lambda: self._order(order, BUYERS_WISH)))
        catalogue.on_change.append(self._listing)
        feeds.on_end.append(lambda job: catalogue.marketplace.soon(lambda: self._job(job, FEED)))
        reports.on_end.append(lambda job: catalogue.marketplace.soon(lambda: self._job(job, REPORT)))

    def open_queue(self, arn: str, *, duplicates: float = 0.0, disorder: bool = False) -> Queue:
        """A queue of the seller's, which Amazon may send to."""
        rng = random.Random(f"{arn} {self._rng.random()}")
        queue = Queue(arn, self._catalogue.marketplace.now, rng, duplicates=duplicates, disorder=disorder)
        self._queues[arn] = queue
        return queue

    def calls(self) -> dict[str, Call]:
        """Its operations by id."""
        return {
            "createDestination": self.create_destination,
            "getDestinations": self.destinations,
            "getDestination": self.destination,
            "deleteDestination": self.delete_destination,
            "createSubscription": self.subscribe,
            "getSubscription": self.subscription,
            "getSubscriptionById": self.subscription_by_id,
            "deleteSubscriptionById": self.unsubscribe,
        }

    # Destinations

    def create_destination(self, ask: Ask) -> Answer:
        """A queue to send to, which must let Amazon in."""
        wanted = ask.body["resourceSpecification"]
        if set(wanted) != {"sqs"}:
            raise bad_input("Only an sqs resource is known here.")
        arn = str(wanted["sqs"]["arn"])
        if arn not in self._queues:
            raise bad_input(f"Amazon may not send to {arn}: allow the principal 437568002678 to.")
        if any(each["resource"]["sqs"]["arn"] == arn for each in self._destinations.values()):
            raise ApiError(409, "Conflict", f"There is a destination of {arn} already.")
        name = self._name()
        told = {"name": ask.body["name"], "destinationId": name, "resource": {"sqs": {"arn": arn}}}
        self._destinations[name] = told
        return Answer({"payload": told})

    def destinations(self, ask: Ask) -> Answer:
        """All of them."""
        del ask
        return Answer({"payload": list(self._destinations.values())})

    def destination(self, ask: Ask) -> Answer:
        """One of them."""
        return Answer({"payload": self._destination(ask)})

    def delete_destination(self, ask: Ask) -> Answer:
        """Takes one away."""
        del self._destinations[str(self._destination(ask)["destinationId"])]
        return Answer({})

    def _destination(self, ask: Ask) -> Payload:
        found = self._destinations.get(ask.text("destinationId"))
        if found is None:
            raise ApiError(404, "NotFound", f"There is no destination {ask.text('destinationId')}.")
        return found

    # Subscriptions

    def subscribe(self, ask: Ask) -> Answer:
        """Sends notifications of one type to a destination from now on."""
        kind = ask.text("notificationType")
        if kind not in KINDS:
            raise bad_input(f"Invalid notificationType: {kind}")
        if ask.body["destinationId"] not in self._destinations:
            raise bad_input(f"There is no destination {ask.body['destinationId']}.")
        if "filterExpression" in ask.body.get("processingDirective", {}):
            raise bad_input("A filterExpression is not supported.")
        if any(each.kind == kind for each in self._subscriptions.values()):
            raise ApiError(409, "Conflict", f"There is a subscription to {kind} already.")
        name = self._name()
        told = {"subscriptionId": name, **ask.body}
        self._subscriptions[name] = _Subscription(name, kind, str(ask.body["destinationId"]), told)
        for item in self._catalogue.items() if kind == STATUS else ():
            for place in item.marketplace_ids:
                self._statuses[item.sku, place] = self._catalogue.statuses(item, place)
        return Answer({"payload": told})

    def subscription(self, ask: Ask) -> Answer:
        """The subscription to a type."""
        for each in self._subscriptions.values():
            if each.kind == ask.text("notificationType"):
                return Answer({"payload": each.told})
        raise ApiError(404, "NotFound", f"There is no subscription to {ask.text('notificationType')}.")

    def subscription_by_id(self, ask: Ask) -> Answer:
        """One subscription."""
        return Answer({"payload": self._subscription(ask).told})

    def unsubscribe(self, ask: Ask) -> Answer:
        """Ends one."""
        del self._subscriptions[self._subscription(ask).id]
        return Answer({})

    def _subscription(self, ask: Ask) -> _Subscription:
        found = self._subscriptions.get(ask.text("subscriptionId"))
        if found is None or found.kind != ask.text("notificationType"):
            raise ApiError(404, "NotFound", f"There is no subscription {ask.text('subscriptionId')}.")
        return found

    def _name(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128)))

    # What happens

    def _news(self, news: News) -> None:
        order, key, number = news.order, news.key, news.number
        if order is not None:
            self._catalogue.marketplace.soon(lambda: self._changed(order))
        elif key is not None and number is not None:
            self._catalogue.marketplace.soon(lambda: self._number(key.key, number))

    def _changed(self, order: Order) -> None:
        status = self._book.status(order)
        if self._order_statuses.get(order.id) != status:
            self._order_statuses[order.id] = status
            self._order(order, STATUS_CHANGE)

    def _order(self, order: Order, why: str) -> None:
        payload = order_payload(self._book, order, self._catalogue.account.seller_id, why)
        self._send(ORDER, payload, self._book.place_of(order), why)

    def _number(self, sku: str, number: int) -> None:
        item = self._catalogue.item(sku)
        if item is None:
            return
        if self._catalogue.offer(item).own:
            self._send(QUANTITY, quantity_payload(item, number, self._catalogue.account.seller_id))
        for place in item.marketplace_ids:
            self._status(item, place)

    def _listing(self, item: Item, what: Change) -> None:
        def tell() -> None:
            for place in item.marketplace_ids:
                if what == "issues":
                    self._send(ISSUES, issues_payload(self._catalogue, item, place), place)
                self._status(item, place)

        self._catalogue.marketplace.soon(tell)

    def _status(self, item: Item, place: str) -> None:
        now = self._catalogue.statuses(item, place)
        before = self._statuses.get((item.sku, place))
        self._statuses[item.sku, place] = now
        if now != before:
            self._send(STATUS, status_payload(self._catalogue, item, place), place)

    def _job(self, job: Job, kind: str) -> None:
        self._send(kind, job_payload(job, kind, self._catalogue.account.seller_id))

    def _send(self, kind: str, payload: Payload, place: str = "", change: str = "") -> None:
        for subscription in self._subscriptions.values():
            if subscription.kind == kind and subscription.wants(place, change):
                account, time = self._catalogue.account, self._catalogue.marketplace.time()
                told = envelope(kind, payload, subscription.id, account.client_id, self._name(), time)
                self.sent.append(told)
                self._deliver(subscription, orjson.dumps(told).decode())

    def _deliver(self, subscription: _Subscription, body: str) -> None:
        """Into the queue; into the void where its destination was deleted."""
        destination: dict[str, Any] | None = self._destinations.get(subscription.destination)
        if destination is not None:
            self._queues[str(destination["resource"]["sqs"]["arn"])].send(body)
