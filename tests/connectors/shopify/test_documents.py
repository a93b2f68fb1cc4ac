"""Every document against the whole schema of the Admin API, and what none of them may ask for."""

import json
import re
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    validate,
    visit,
)

from channelsync_shopify import documents
from channelsync_shopify.documents import Document
from channelsync_shopify.setup import SCOPES
from channelsync_shopify.webhooks import TOPICS

BUYER = frozenset(
    {
        "Customer",
        "MailingAddress",
        "OrderDisplayAddress",
        "CustomerVisit",
        "CustomerJourneySummary",
        "FulfillmentOrderDestination",
        "DraftOrder",
        "StaffMember",
        "OrderCancellation",
        "PurchasingEntity",
    }
)
BUYER_FIELDS = frozenset(
    {"email", "phone", "note", "clientIp", "customAttributes", "customerNote", "returnReasonNote", "name_of_buyer"}
)

each = pytest.mark.parametrize("document", documents.ALL, ids=[one.name for one in documents.ALL])


class Asked(Visitor):
    """Notes each field that a document asks for: (type, field, deprecation)."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.fields: list[tuple[str, str, str, str | None]] = []

    def enter_field(self, node: Any, *_: Any) -> None:
        parent, definition = self.info.get_parent_type(), self.info.get_field_def()
        assert parent is not None
        if definition is not None and not node.name.value.startswith("__"):
            of = get_named_type(definition.type).name
            self.fields.append((parent.name, node.name.value, of, definition.deprecation_reason))


def asked(schema: GraphQLSchema, document: Document) -> list[tuple[str, str, str, str | None]]:
    info = TypeInfo(schema)
    noted = Asked(info)
    visit(parse(document.text), TypeInfoVisitor(info, noted))
    return noted.fields


@each
def test_a_document_is_valid_against_the_whole_schema(schema: GraphQLSchema, document: Document) -> None:
    assert validate(schema, parse(document.text)) == []


@each
def test_a_document_asks_for_nothing_that_is_deprecated(schema: GraphQLSchema, document: Document) -> None:
    assert [one for one in asked(schema, document) if one[3]] == []


@each
def test_a_document_asks_for_nothing_about_the_buyer(schema: GraphQLSchema, document: Document) -> None:
    fields = asked(schema, document)
    assert [one for one in fields if one[2] in BUYER or one[1] in BUYER_FIELDS] == []
    # The names that are asked for beside a shop's: of a number, and of a place of the shop.
    assert {of for of, field, *_ in fields if field == "name"} <= {"Shop", "InventoryQuantity", "Location"}


def test_the_names_of_operations_are_their_own() -> None:
    for document in documents.ALL:
        if document is not documents.BULK_LISTINGS:
            assert f"{document.name}(" in document.text or f"{document.name} {{" in document.text
    assert len({one.name for one in documents.ALL}) == len(documents.ALL)


def test_the_bulk_question_stays_within_shopifys_limits(schema: GraphQLSchema) -> None:
    connections = [of for _, _, of, _ in asked(schema, documents.BULK_LISTINGS) if of.endswith("Connection")]
    assert 1 <= len(connections) <= 5


def test_the_scopes_we_ask_for_cover_every_field(schema: GraphQLSchema, contracts: Any) -> None:
    entries = json.loads((contracts / "admin_2026-10.access-scopes.json").read_text())
    needed = {(one["typeName"], one.get("fieldName")): set(one["offlineScopes"]) for one in entries}
    granted = {*SCOPES} | {one.replace("write_", "read_") for one in SCOPES}
    for document in documents.ALL:
        for parent, field, of, _ in asked(schema, document):
            for name in ((parent, field), (of, None)):
                scopes = needed.get(name, set())
                assert not scopes or scopes & granted, f"{document.name}: {name} needs one of {sorted(scopes)}"


@pytest.mark.parametrize("topic", list(TOPICS))
def test_a_topic_is_one_of_the_schemas_and_needs_no_other_scope(schema: GraphQLSchema, topic: str) -> None:
    """Which scopes a topic needs stands only in its description."""
    kind = schema.type_map["WebhookSubscriptionTopic"]
    assert isinstance(kind, GraphQLEnumType)
    found = kind.values[topic.replace("/", "_").upper()]
    assert found.deprecation_reason is None
    told = " ".join((found.description or "").split())
    assert f"`{topic}`" in told
    needed = set(re.findall(r"\b(?:read|write)_[a-z_]+", told.partition("Requires")[2]))
    assert needed & {*SCOPES}, f"{topic} needs one of {sorted(needed)}"
