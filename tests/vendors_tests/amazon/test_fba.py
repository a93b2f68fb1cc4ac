"""Units that Amazon ships: counted by Amazon, told by its own API."""

PATH = "/fba/inventory/v1/summaries"
UK = "A1F83G8C2ARO7P"
QUERY = {"granularityType": "Marketplace", "granularityId": UK, "marketplaceIds": UK}


async def test_the_pool_tells_what_buyers_have_ordered_and_what_is_left(call, site):
    site.catalogue.list_item("MUG", 7)
    site.catalogue.list_item("FBA", 0, fba=True)
    site.pool.receive("FBA", 10, inbound=4, unfulfillable=1)
    order = site.marketplace.buy("FBA", 3).order.id

    def told():
        (summary,) = call.ok("GET", PATH, **QUERY, details="true")["payload"]["inventorySummaries"]
        details = summary["inventoryDetails"]
        return (
            summary["totalQuantity"],
            details["fulfillableQuantity"],
            details["reservedQuantity"]["pendingCustomerOrderQuantity"],
        )

    assert told() == (15, 7, 3)
    site.marketplace.ship(order)
    assert told() == (12, 7, 0)
    await call.wait(seconds=1)
    (plain,) = call.ok("GET", PATH, **QUERY)["payload"]["inventorySummaries"]
    assert (plain["sellerSku"], "inventoryDetails" in plain) == ("FBA", False)


async def test_pages_of_fifty_whose_token_dies_in_half_a_minute(call, site):
    for number in range(60):
        site.catalogue.list_item(f"FBA-{number}", 0, fba=True)
    first = call.ok("GET", PATH, **QUERY)
    assert len(first["payload"]["inventorySummaries"]) == 50
    token = first["pagination"]["nextToken"]
    await call.wait(seconds=30)
    second = call.ok("GET", PATH, **QUERY, nextToken=token)
    assert len(second["payload"]["inventorySummaries"]) == 10
    assert "pagination" not in second
    await call.wait(seconds=1)
    assert call.code("GET", PATH, **QUERY, nextToken=token) == (400, "InvalidInput")


async def test_only_some_skus_or_only_what_changed(call, site):
    for sku in ("ONE", "TWO", "THREE"):
        site.catalogue.list_item(sku, 0, fba=True)

    def found(**query):
        rows = call.ok("GET", PATH, **QUERY, **query)["payload"]["inventorySummaries"]
        return [row["sellerSku"] for row in rows]

    assert found(sellerSkus="ONE,THREE") == ["ONE", "THREE"]
    await call.wait(seconds=1)
    assert found(sellerSku="TWO") == ["TWO"]
    site.pool.receive("TWO", 1)
    await call.wait(seconds=1)
    assert found(startDateTime="2017-06-01T09:00:01Z") == ["TWO"]
    await call.wait(seconds=1)
    assert call.code("GET", PATH, **QUERY, startDateTime="2015-01-01T00:00:00Z") == (400, "InvalidInput")
    assert call.code("GET", PATH, **(QUERY | {"granularityId": "A1PA6795UKMFR9"})) == (400, "InvalidInput")
