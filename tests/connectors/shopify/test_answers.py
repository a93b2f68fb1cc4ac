"""Whatever answer the schema allows to our documents can be read: nulls, empty lists, every value of every enum."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    parse,
)
from graphql.language import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, InlineFragmentNode

from channelsync.sdk.values import Listing, OrderSnapshot
from channelsync.sdk.wire import CamelWire
from channelsync_shopify import documents, translate, translate_listings, wire, wire_account, wire_listings, wire_orders
from channelsync_shopify.documents import Document

ANSWERS = 300


class Answering:
    """Makes answers to a document, each by chance. node: the type that stands where the document says only Node."""

    def __init__(self, schema: GraphQLSchema, document: Document, seed: int, node: str = "") -> None:
        self.schema = schema
        self.rng = random.Random(seed)
        self.node = node
        parsed = parse(document.text)
        self.fragments = {one.name.value: one for one in parsed.definitions if isinstance(one, FragmentDefinitionNode)}
        self.operation = next(one for one in parsed.definitions if not isinstance(one, FragmentDefinitionNode))

    def data(self) -> dict[str, Any]:
        kind = self.operation.operation.value  # type: ignore[union-attr]
        root = self.schema.mutation_type if kind == "mutation" else self.schema.query_type
        assert root is not None
        return self._object(root, self.operation.selection_set)  # type: ignore[union-attr]

    def _object(self, of: GraphQLObjectType, selected: Any) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for node in selected.selections:
            if isinstance(node, FragmentSpreadNode):
                made |= self._object(of, self.fragments[node.name.value].selection_set)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or node.type_condition.name.value == of.name:
                    made |= self._object(of, node.selection_set)
            elif isinstance(node, FieldNode):
                name = node.name.value
                made[name] = of.name if name == "__typename" else self._value(of.fields[name].type, node, of.name)
        return made

    def _value(self, of: Any, node: FieldNode, parent: str) -> Any:
        if not isinstance(of, GraphQLNonNull):
            if self.rng.random() < 0.15:
                return None
        else:
            of = of.of_type
        if isinstance(of, GraphQLList):
            return [self._value(of.of_type, node, parent) for _ in range(self.rng.randint(0, 3))]
        if isinstance(of, GraphQLEnumType):
            return self.rng.choice(list(of.values))
        if isinstance(of, GraphQLInterfaceType):
            return self._object(self.schema.type_map[self.node], node.selection_set)  # type: ignore[arg-type]
        if isinstance(of, GraphQLObjectType):
            made = self._object(of, node.selection_set)
            return {"hasNextPage": False, "endCursor": None} if of.name == "PageInfo" else made
        return self._plain(of.name, node.name.value, parent)

    def _plain(self, scalar: str, field: str, parent: str) -> Any:
        number = self.rng.randint(0, 4)
        made: dict[str, Callable[[], Any]] = {
            "ID": lambda: f"gid://shopify/{parent}/{number}",
            "Int": lambda: number,
            "UnsignedInt64": lambda: str(number),
            "Boolean": lambda: number > 1,
            "DateTime": lambda: f"2026-11-21T10:00:0{number}Z",
            "String": lambda: "available" if field == "name" else f"text {number}",
            "URL": lambda: "https://storage.example/file",
        }
        return made[scalar]()


def test_every_order_that_the_schema_allows_can_be_read(schema: GraphQLSchema) -> None:
    read = 0
    for seed in range(ANSWERS):
        for row in Answering(schema, documents.ORDERS, seed).data()["orders"]["nodes"]:
            wire_orders.Order.model_validate(row)
            found = translate.order_of(row)
            if isinstance(found, OrderSnapshot):
                read += 1
            else:
                assert "has no lines" in found.reason or "two lines of one id" in found.reason, found.reason
    assert read > ANSWERS / 3


def test_every_listing_that_the_schema_allows_can_be_read(schema: GraphQLSchema) -> None:
    read = 0
    for seed in range(ANSWERS):
        for row in Answering(schema, documents.LISTINGS, seed).data()["productVariants"]["nodes"]:
            assert isinstance(translate_listings.listing_of(wire_listings.Variant.model_validate(row)), Listing)
            read += 1
    assert read > ANSWERS / 3


def test_every_number_that_the_schema_allows_can_be_read(schema: GraphQLSchema) -> None:
    read = 0
    for seed in range(ANSWERS):
        for row in Answering(schema, documents.NUMBERS, seed, node="InventoryItem").data()["nodes"]:
            if row is not None:
                wire_listings.NumberRow.model_validate(row)
                read += 1
    assert read > ANSWERS / 3


@pytest.mark.parametrize(
    ("document", "root", "model"),
    [
        (documents.SET_QUANTITIES, "inventorySetQuantities", wire.SetQuantities),
        (documents.BULK_START, "bulkOperationRunQuery", wire.BulkStarted),
        (documents.BULK_STATE, "bulkOperation", wire.BulkOperation),
        (documents.LISTINGS_COUNT, "productVariantsCount", wire_listings.Count),
        (documents.CHECK, None, wire_account.Checked),
        (documents.WEBHOOK_ADD, "webhookSubscriptionCreate", wire_account.Changed),
        (documents.WEBHOOK_CHANGE, "webhookSubscriptionUpdate", wire_account.Changed),
        (documents.WEBHOOK_END, "webhookSubscriptionDelete", wire_account.Changed),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_every_other_answer_that_the_schema_allows_can_be_read(
    schema: GraphQLSchema, document: Document, root: str | None, model: type[CamelWire]
) -> None:
    for seed in range(ANSWERS):
        data = Answering(schema, document, seed).data()
        told = data if root is None else data[root]
        assert told is None or model.model_validate(told)


@pytest.mark.parametrize(
    ("document", "root", "model"),
    [
        (documents.WEBHOOKS, "webhookSubscriptions", wire_account.Webhook),
        (documents.LOCATIONS, "locations", wire_account.Location),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_every_row_of_the_account_that_the_schema_allows_can_be_read(
    schema: GraphQLSchema, document: Document, root: str, model: type[CamelWire]
) -> None:
    for seed in range(ANSWERS):
        for row in Answering(schema, document, seed).data()[root]["nodes"]:
            model.model_validate(row)
