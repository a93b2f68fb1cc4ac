"""Mutations of webhook subscriptions and bulk operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLError, get_operation_ast, parse

from vendor_shopify.asking import Ask, Call
from vendor_shopify.bulk import lines_of, refusals
from vendor_shopify.cost import Costs
from vendor_shopify.errors import Node, failed, user_error
from vendor_shopify.execution import Executor, Operation
from vendor_shopify.nodes_account import AccountNodes
from vendor_shopify.schema import AdminSchema
from vendor_shopify.shop import Shop
from vendor_shopify.subscriptions import address_of
from vendor_shopify.validation import document_errors

_GONE = "Webhook subscription does not exist"


class AccountMutations:
    """Changes subscriptions, runs bulk operations. `executor` is set once it is there: bulk queries need it."""

    executor: Executor

    def __init__(self, shop: Shop, nodes: AccountNodes, schema: AdminSchema) -> None:
        self._shop = shop
        self._nodes = nodes
        self._schema = schema

    def roots(self) -> Mapping[str, Callable[[Ask], Node]]:
        """By name."""
        return {
            "webhookSubscriptionCreate": self.subscribe,
            "webhookSubscriptionUpdate": self.change,
            "webhookSubscriptionDelete": self.unsubscribe,
            "bulkOperationRunQuery": self.run,
            "bulkOperationCancel": self.cancel,
        }

    # Webhooks

    def subscribe(self, ask: Ask) -> Node:
        """webhookSubscriptionCreate."""
        topic, asked = ask.args["topic"], ask.args["webhookSubscription"]
        scopes = self._schema.topics.get(topic)
        if scopes and not scopes & ask.call.scopes:
            said = topic.lower().replace("_", "/", 1)
            message = f"You do not have permission to create or update webhooks with {said} topic."
            return failed([user_error(["webhookSubscription"], message)], "webhookSubscription")
        errors = self._shop.subscriptions.wrong(topic, asked)
        if errors:
            return failed(errors, "webhookSubscription")
        now = self._shop.marketplace.time()
        made = self._shop.subscriptions.add(topic, address_of(asked) or "", now, asked)
        return {"webhookSubscription": self._nodes.subscription(made), "userErrors": []}

    def change(self, ask: Ask) -> Node:
        """webhookSubscriptionUpdate."""
        found = self._shop.subscriptions.find(ask.args["id"])
        if found is None:
            return failed([user_error(["id"], _GONE)], "webhookSubscription")
        asked = ask.args["webhookSubscription"]
        errors = self._shop.subscriptions.wrong(found.topic, asked, found)
        if errors:
            return failed(errors, "webhookSubscription")
        changed = self._shop.subscriptions.change(found, asked, self._shop.marketplace.time())
        return {"webhookSubscription": self._nodes.subscription(changed), "userErrors": []}

    def unsubscribe(self, ask: Ask) -> Node:
        """webhookSubscriptionDelete."""
        found = self._shop.subscriptions.find(ask.args["id"])
        if found is None:
            return failed([user_error(["id"], _GONE)], "deletedWebhookSubscriptionId")
        del self._shop.subscriptions.all[found.number]
        return {"deletedWebhookSubscriptionId": ask.args["id"], "userErrors": []}

    # Bulk operations

    def run(self, ask: Ask) -> Node:
        """bulkOperationRunQuery: the result is as of now, and can be fetched when the operation is done."""
        query: str = ask.args["query"]
        now = self._shop.marketplace.now()
        if said := refusals(self._schema, query) or self._misfit(query):
            return failed([user_error(["query"], each, "INVALID") for each in said], "bulkOperation")
        running = self._shop.bulk.running(now)
        if len(running) >= self._shop.bulk.at_once:
            names = ", ".join(f"gid://shopify/BulkOperation/{each.number}" for each in running)
            message = f"A bulk query operation for this app and shop is already in progress: {names}."
            return failed([user_error(None, message, "OPERATION_IN_PROGRESS")], "bulkOperation")
        data = self._data(query, ask.call)
        lines, roots = lines_of(data)
        made = self._shop.bulk.start(query, lines, roots, now, ask.call.host)
        return {"bulkOperation": self._nodes.bulk(made), "userErrors": []}

    def _misfit(self, query: str) -> list[str]:
        errors = document_errors(self._schema.graphql, parse(query))
        return [f"Invalid bulk query: {each['message']}" for each in errors]

    def _data(self, query: str, call: Call) -> dict[str, Any] | None:
        try:
            document = parse(query)
        except GraphQLError:
            return None
        node = get_operation_ast(document, None)
        if node is None:
            return None
        operation = Operation(document, node, {}, None, Costs(self._schema, document, node, {}))
        found: dict[str, Any] | None = self.executor.execute(
            operation, Call(call.scopes, call.host, whole=True)
        ).content["data"]
        return found

    def cancel(self, ask: Ask) -> Node:
        """bulkOperationCancel."""
        found = self._shop.bulk.find(ask.args["id"])
        now = self._shop.marketplace.now()
        if found is None:
            return failed([user_error(["id"], "Bulk operation does not exist")], "bulkOperation")
        if found not in self._shop.bulk.running(now):
            status = found.status(now).lower()
            message = f"A bulk operation cannot be canceled when it is {status}"
            return {"bulkOperation": self._nodes.bulk(found), "userErrors": [user_error(None, message)]}
        found.cancelled = found.ends = now
        return {"bulkOperation": self._nodes.bulk(found), "userErrors": []}
