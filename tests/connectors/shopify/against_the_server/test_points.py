"""What a question costs, and that nothing is asked that the bucket cannot pay."""

from pathlib import Path

import pytest
from graphql import get_operation_ast, parse

from channelsync_shopify import documents
from channelsync_shopify.documents import Document
from vendor_shopify.cost import Costs
from vendor_shopify.schema import admin_schema

PRICED = [
    (document, rows)
    for document in documents.ALL
    if document is not documents.BULK_LISTINGS  # Shopify runs it in a bulk operation, for no points
    for rows in ((1, 2, 3, 10, 25, 100, 250) if document.row_points else (0,))
]


@pytest.mark.parametrize(("document", "rows"), PRICED, ids=lambda one: getattr(one, "name", one))
def test_a_document_costs_what_the_connector_pays_for_it(contracts: Path, document: Document, rows: int) -> None:
    """The server's price is fitted to the recorded answers, and was found without knowing these documents."""
    parsed = parse(document.text)
    operation = get_operation_ast(parsed)
    assert operation is not None
    price = Costs(admin_schema(contracts.parent), parsed, operation, {"first": rows}).requested()
    assert document.cost(rows) == price


async def test_a_nearly_empty_bucket_is_never_overdrawn(both) -> None:
    """The connector waits for the points that its next question needs; the server would note a call above them."""
    offers = [both.site.shop.catalogue.offer(f"MUG-{number}", 10) for number in range(40)]
    for offer in offers:
        both.site.marketplace.buy(offer.listing, 1)
    await both.clock.sleep(10)
    spent = both.site.api.bucket.spent
    begun = both.clock.monotonic()
    async with both.open() as channel:
        for _ in range(20):
            found = [one async for page in channel.orders(cursor=None) for one in page.orders]
            assert len(found) == len(offers)
            assert len([one async for one in channel.listings()]) == len(offers)
    assert both.site.api.bucket.spent - spent > 2000, "the bucket was never short"
    assert both.clock.monotonic() > begun
