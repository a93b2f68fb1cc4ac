"""Variants, products and levels: what stands in the way of a buyer is told."""

import pytest

VARIANTS = """
query V($first: Int!, $after: String, $query: String) {
  productVariants(first: $first, after: $after, query: $query) {
    nodes {
      id sku barcode displayName availableForSale inventoryPolicy requiresComponents inventoryQuantity
      product { id title status resourcePublicationsV2(first: 5) { nodes { isPublished publication { name } } } }
      productVariantComponents(first: 5) { nodes { quantity productVariant { id } } }
      inventoryItem {
        id tracked duplicateSkuCount
        inventoryLevels(first: 5) {
          nodes { id isActive location { id name } quantities(names: ["available"]) { quantity } }
        }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


@pytest.fixture
def catalogue(ask):
    return ask.site.shop.catalogue


def variants(ask, text=None, first=10):
    """All variants that the search finds, by SKU."""
    found, after = [], None
    while True:
        page = ask.data(VARIANTS, first=first, after=after, query=text)["productVariants"]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return {each["sku"]: each for each in found}


def test_every_variant_is_listed_once_over_pages(ask, catalogue):
    for number in range(5):
        catalogue.offer(f"MUG-{number}", number)
    assert list(variants(ask, first=2)) == [f"MUG-{number}" for number in range(5)]
    assert list(variants(ask, "sku:MUG-3")) == ["MUG-3"]


def test_a_variant_tells_policy_tracking_and_doubled_skus(ask, catalogue):
    one = catalogue.offer("MUG", 1)
    catalogue.offer("MUG", 2, sells_below_zero=True)
    catalogue.offer("GIFT", 0, tracked=False)
    found = ask.data(VARIANTS, first=10)["productVariants"]["nodes"]
    assert [each["inventoryPolicy"] for each in found] == ["DENY", "CONTINUE", "DENY"]
    assert [each["inventoryItem"]["tracked"] for each in found] == [True, True, False]
    assert [each["inventoryItem"]["duplicateSkuCount"] for each in found] == [1, 1, 0]
    assert [each["availableForSale"] for each in found] == [True, True, True]
    ask.site.marketplace.buy(one.listing, 1)
    assert not ask.data(VARIANTS, first=1)["productVariants"]["nodes"][0]["availableForSale"]


def test_variants_of_one_product_share_it(ask, catalogue):
    first = catalogue.offer("MUG-S", 1)
    product = catalogue.product_of(first.listing)
    catalogue.offer("MUG-L", 1, product=product.number)
    found = variants(ask)
    assert found["MUG-S"]["product"]["id"] == found["MUG-L"]["product"]["id"]
    query = "query($id: ID!) { product(id: $id) { totalInventory variants(first: 5) { nodes { sku } } } }"
    told = ask.data(query, id=found["MUG-S"]["product"]["id"])["product"]
    assert (told["totalInventory"], [each["sku"] for each in told["variants"]["nodes"]]) == (2, ["MUG-S", "MUG-L"])


@pytest.mark.parametrize("status", ["DRAFT", "ARCHIVED"])
def test_a_product_that_is_not_active_cannot_be_bought(ask, catalogue, status):
    mug = catalogue.offer("MUG", 5)
    catalogue.set_status(catalogue.product_of(mug.listing), status)
    assert variants(ask)["MUG"]["product"]["status"] == status
    assert ask.site.marketplace.buy(mug.listing, 1).missed == 1


def test_a_product_that_is_published_nowhere_cannot_be_bought(ask, catalogue):
    mug = catalogue.offer("MUG", 5)
    product = catalogue.product_of(mug.listing)
    for publication in catalogue.publications:
        catalogue.publish(product, publication.number, on=False)
    found = variants(ask)["MUG"]["product"]
    assert (found["status"], found["resourcePublicationsV2"]["nodes"]) == ("ACTIVE", [])
    assert ask.site.marketplace.buy(mug.listing, 1).missed == 1


def test_a_listing_that_the_lab_switches_off_is_a_draft_and_an_ended_one_is_gone(ask, catalogue):
    mug, cup = catalogue.offer("MUG", 5), catalogue.offer("CUP", 5)
    ask.site.marketplace.switch(mug.listing, on=False)
    ask.site.marketplace.recreate(cup.listing, "40400000009999", new_key=False)
    found = variants(ask)
    assert found["MUG"]["product"]["status"] == "DRAFT"
    assert found["CUP"]["id"].endswith("/40400000009999")
    assert found["CUP"]["inventoryItem"]["id"].endswith(f"/{cup.keys[0].key}")


def test_a_bundle_names_its_components(ask, catalogue):
    mug, cup = catalogue.offer("MUG", 5), catalogue.offer("CUP", 5)
    catalogue.offer("SET", parts=[(mug.listing, 1), (cup.listing, 2)])
    found = variants(ask)["SET"]
    assert found["requiresComponents"]
    assert found["inventoryQuantity"] == 2
    assert [each["quantity"] for each in found["productVariantComponents"]["nodes"]] == [1, 2]


def test_levels_are_told_for_each_location(ask, catalogue):
    place = catalogue.add_location("Second")
    catalogue.offer("MUG", {catalogue.primary: 1, place: 2})
    levels = variants(ask)["MUG"]["inventoryItem"]["inventoryLevels"]["nodes"]
    assert [(each["location"]["name"], each["quantities"][0]["quantity"]) for each in levels] == [
        ("Shop location", 1),
        ("Second", 2),
    ]
    assert all("?inventory_item_id=" in each["id"] for each in levels)
    assert ask.data("{ locations(first: 5) { nodes { name isActive } } }")["locations"]["nodes"] == [
        {"name": "Shop location", "isActive": True},
        {"name": "Second", "isActive": True},
    ]


def test_unknown_ids_are_null_in_their_place(ask, catalogue):
    mug = catalogue.offer("MUG", 5)
    known = f"gid://shopify/ProductVariant/{mug.listing}"
    ids = ["gid://shopify/ProductVariant/1", known, "gid://shopify/InventoryItem/1"]
    assert ask.data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)["nodes"] == [None, {"id": known}, None]
