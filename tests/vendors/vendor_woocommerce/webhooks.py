"""Webhook objects: the routes that make, change and delete them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vendor_woocommerce.batches import run_batch
from vendor_woocommerce.calls import Answer, Call, Route
from vendor_woocommerce.dates import both
from vendor_woocommerce.errors import WooError
from vendor_woocommerce.options import SiteOptions
from vendor_woocommerce.pages import only_fields, page_of, seconds
from vendor_woocommerce.params import DELETE, LIST_WEBHOOKS, WEBHOOK_BODY, read_body
from vendor_woocommerce.product_json import self_link

HOOKS: Mapping[str, tuple[str, ...]] = {
    "order.created": ("woocommerce_new_order",),
    "order.updated": ("woocommerce_update_order", "woocommerce_order_refunded"),
    "order.deleted": ("wp_trash_post", "woocommerce_trash_order"),
    "order.restored": ("untrashed_post", "woocommerce_untrash_order"),
    "product.created": (
        "woocommerce_process_product_meta",
        "woocommerce_new_product",
        "woocommerce_new_product_variation",
    ),
    "product.updated": (
        "woocommerce_process_product_meta",
        "woocommerce_update_product",
        "woocommerce_update_product_variation",
    ),
    "product.deleted": ("wp_trash_post",),
    "product.restored": ("untrashed_post",),
}
"""Topics that this shop tells of, and the hooks that each listens to."""


@dataclass(slots=True, kw_only=True)
class Webhook:
    """One webhook. failures: deliveries that failed in a row. The secret is never shown."""

    id: int
    name: str
    topic: str
    delivery_url: str
    secret: str
    created: datetime
    status: str = "active"
    modified: datetime | None = None
    failures: int = 0


def _invalid(status: int, what: str, message: str) -> WooError:
    return WooError(status, f"woocommerce_rest_shop_webhook_invalid_{what}", message)


class WebhooksApi:
    """The webhooks of one shop. made: told of each new one, which is pinged. secret: of one that is made without."""

    def __init__(
        self, options: SiteOptions, now: Callable[[], datetime], rng: random.Random, made: Callable[[Webhook], None]
    ) -> None:
        self.all: dict[int, Webhook] = {}
        self._options = options
        self._now = now
        self._rng = rng
        self._made = made
        self._numbered = 0

    def routes(self) -> list[Route]:
        """All of them."""
        one = r"/webhooks/(\d+)"
        return [
            Route("GET", "/webhooks", "webhooks", "list", self.list_webhooks),
            Route("POST", "/webhooks", "webhooks", "create", self.create),
            Route("POST", "/webhooks/batch", "webhooks", "batch", self.batch),
            Route("GET", one, "webhooks", "view", self.view),
            Route("PUT", one, "webhooks", "edit", self.update),
            Route("DELETE", one, "webhooks", "delete", self.delete),
        ]

    def json(self, hook: Webhook, base: str) -> dict[str, Any]:
        """As the API shows it."""
        resource, _, event = hook.topic.partition(".")
        root = f"{base}/wp-json/wc/v3/webhooks"
        return {
            "id": hook.id,
            "name": hook.name,
            "status": hook.status,
            "topic": hook.topic,
            "resource": resource,
            "event": event,
            "hooks": list(HOOKS[hook.topic]),
            "delivery_url": hook.delivery_url,
            **both("date_created", hook.created, self._options.zone),
            **both("date_modified", hook.modified, self._options.zone),
            "_links": {"self": self_link(f"{root}/{hook.id}"), "collection": [{"href": root}]},
        }

    def list_webhooks(self, call: Call) -> Answer:
        """GET /webhooks"""
        params = call.params(LIST_WEBHOOKS)
        rows = [each for each in self.all.values() if params["status"] in ("all", each.status)]
        rows = [each for each in rows if not params["include"] or each.id in params["include"]]
        rows = [each for each in rows if params["search"] is None or params["search"].lower() in each.name.lower()]
        down = params["order"] == "desc"
        if params["orderby"] == "date":
            rows.sort(key=lambda each: seconds(each.created), reverse=down)
        else:
            rows.sort(key=lambda each: each.id if params["orderby"] == "id" else each.name, reverse=down)
        found, answer = page_of(rows, params, call, self._options)
        return Answer(200, only_fields([self.json(each, call.base) for each in found], call.query), answer.headers)

    def create(self, call: Call) -> Answer:
        """POST /webhooks; the delivery address gets an unsigned ping."""
        shown = self._create(call.changes(WEBHOOK_BODY), call.base)
        return Answer(201, shown, {"location": f"{call.base}/wp-json/wc/v3/webhooks/{shown['id']}"})

    def _create(self, changes: Mapping[str, Any], base: str) -> dict[str, Any]:
        topic, url = str(changes.get("topic", "")), str(changes.get("delivery_url", ""))
        if topic not in HOOKS:
            raise _invalid(400, "topic", "Webhook topic is required and must be valid.")
        self._check_url(url)
        self._numbered += 1
        hook = Webhook(
            id=self._numbered,
            name=changes.get("name") or f"Webhook created on {self._now():%b %d, %Y @ %I:%M %p}",
            topic=topic,
            delivery_url=url,
            secret=changes.get("secret") or f"{self._rng.getrandbits(200):050x}",
            created=self._now(),
        )
        self.all[hook.id] = hook
        shown = self.json(hook, base)
        hook.modified = hook.created
        self._made(hook)
        return shown

    def _check_url(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise _invalid(
                400, "delivery_url", "Webhook delivery URL must be a valid URL starting with http:// or https://."
            )

    def _hook(self, number: Any, status: int, message: str) -> Webhook:
        hook = self.all.get(number) if isinstance(number, int) else None
        if hook is None:
            raise _invalid(status, "id", message)
        return hook

    def view(self, call: Call) -> Answer:
        """GET /webhooks/{id}"""
        hook = self._hook(call.ids[0], 404, "Invalid ID.")
        return Answer(200, only_fields(self.json(hook, call.base), call.query))

    def update(self, call: Call) -> Answer:
        """PUT /webhooks/{id}: `{"status": "active"}` switches on again one that failed too often."""
        hook = self._hook(call.ids[0], 400, "ID is invalid.")
        return Answer(200, self._update(hook, call.changes(WEBHOOK_BODY), call.base))

    def _update(self, hook: Webhook, changes: Mapping[str, Any], base: str) -> dict[str, Any]:
        if changes.get("topic") and changes["topic"] not in HOOKS:
            raise _invalid(400, "topic", "Webhook topic must be valid.")
        if changes.get("delivery_url"):
            self._check_url(changes["delivery_url"])
        if changes.get("status") == "active" and hook.status != "active":
            hook.failures = 0
        for name in ("name", "status", "topic", "secret", "delivery_url"):
            if changes.get(name):
                setattr(hook, name, changes[name])
        hook.modified = self._now()
        return self.json(hook, base)

    def delete(self, call: Call) -> Answer:
        """DELETE /webhooks/{id}: only for good."""
        if not call.params(DELETE)["force"]:
            raise WooError(501, "woocommerce_rest_trash_not_supported", "Webhooks do not support trashing.")
        return Answer(200, self._delete(self._hook(call.ids[0], 404, "Invalid ID."), call.base))

    def _delete(self, hook: Webhook, base: str) -> dict[str, Any]:
        del self.all[hook.id]
        return self.json(hook, base)

    def batch(self, call: Call) -> Answer:
        """POST /webhooks/batch"""
        return run_batch(
            call,
            self._options.batch_limit,
            create=lambda changes: self._create(read_body(WEBHOOK_BODY, changes), call.base),
            update=lambda changes: self._update(
                self._hook(changes.get("id"), 400, "ID is invalid."), read_body(WEBHOOK_BODY, changes), call.base
            ),
            delete=lambda number: self._delete(self._hook(number, 404, "Invalid ID."), call.base),
        )
