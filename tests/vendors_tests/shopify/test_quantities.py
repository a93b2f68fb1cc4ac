"""Setting quantities: compare-and-set, keys, one wrong row fails the whole call."""

from dataclasses import replace
from datetime import timedelta

import pytest

from channelsync.sdk.values import Applies
from vendor_shopify.shop import BASE

LEVELS = """
query Levels($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on InventoryItem {
      id sku tracked
      inventoryLevels(first: 5, includeInactive: true) {
        nodes { id isActive location { id } quantities(names: ["available", "on_hand", "committed"]) { name quantity } }
      }
    }
  }
}
"""


def codes(payload):
    """The codes of a payload's userErrors."""
    return [each["code"] for each in payload["userErrors"]]


@pytest.fixture
def mug(ask):
    return ask.site.shop.catalogue.offer("MUG", 5)


@pytest.fixture
def cup(ask):
    return ask.site.shop.catalogue.offer("CUP", 7)


def numbers(ask, offer):
    """What a read shows of an offer's first level."""
    (item,) = ask.data(LEVELS, ids=[ask.row(offer)["inventoryItemId"]])["nodes"]
    return {each["name"]: each["quantity"] for each in item["inventoryLevels"]["nodes"][0]["quantities"]}


def test_setting_available_moves_on_hand_by_the_same(ask, mug):
    done = ask.set((mug, 9, 5))
    changes = done["inventoryAdjustmentGroup"]["changes"]
    assert [(each["name"], each["delta"], each["quantityAfterChange"]) for each in changes] == [
        ("available", 4, None),
        ("on_hand", 4, None),
    ]
    assert ask.site.marketplace.number(mug.keys[0]) == 9
    assert numbers(ask, mug) == {"available": 9, "on_hand": 9, "committed": 0}


def test_setting_on_hand_leaves_the_committed_units(ask, mug):
    ask.site.marketplace.buy(mug.listing, 2)
    assert numbers(ask, mug) == {"available": 3, "on_hand": 5, "committed": 2}
    assert ask.set((mug, 10, 5), name="on_hand")["userErrors"] == []
    assert numbers(ask, mug) == {"available": 8, "on_hand": 10, "committed": 2}


def test_a_stale_row_fails_the_whole_call(ask, mug, cup):
    done = ask.set((mug, 1, 5), (cup, 1, 6))
    assert done["inventoryAdjustmentGroup"] is None
    (error,) = done["userErrors"]
    assert (error["code"], error["field"]) == (
        "CHANGE_FROM_QUANTITY_STALE",
        ["input", "quantities", "1", "changeFromQuantity"],
    )
    assert ask.site.marketplace.number(mug.keys[0]) == 5


def test_null_writes_whatever_is_there_and_leaving_it_out_is_an_error(ask, mug):
    assert ask.set((mug, 1, None))["userErrors"] == []
    row = ask.row(mug) | {"quantity": 2}
    answer = ask(
        'mutation($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i) @idempotent(key: "x") '
        "{ userErrors { code } } }",
        i={"name": "available", "reason": "correction", "quantities": [row]},
    )
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_FIELD_ARGUMENTS"
    assert answer["data"] == {"inventorySetQuantities": None}
    assert ask.site.marketplace.number(mug.keys[0]) == 1


def test_without_a_key_nothing_is_done(ask, mug):
    row = ask.row(mug) | {"quantity": 2, "changeFromQuantity": None}
    answer = ask(
        "mutation($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i) { userErrors { code } } }",
        i={"name": "available", "reason": "correction", "quantities": [row]},
    )
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert answer["extensions"]["cost"]["actualQueryCost"] == 10
    assert ask.site.marketplace.number(mug.keys[0]) == 5


def test_a_repeated_key_answers_the_same_and_changes_nothing(ask, mug):
    first = ask.set((mug, 9, 5), key="once")
    ask.site.marketplace.edit_number(mug.keys[0], 20)
    assert ask.set((mug, 9, 5), key="once") == first
    assert ask.site.marketplace.number(mug.keys[0]) == 20


def test_a_key_with_other_input_is_an_error(ask, mug):
    ask.set((mug, 9, 5), key="once")
    assert codes(ask.set((mug, 8, 9), key="once")) == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]
    assert ask.site.marketplace.number(mug.keys[0]) == 9


def test_a_key_whose_call_failed_is_spent(ask, mug):
    assert codes(ask.set((mug, 9, 4), key="once")) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert codes(ask.set((mug, 9, 4), key="once")) == ["IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"]


def test_a_key_is_forgotten_after_a_day(ask, mug):
    ask.set((mug, 9, 5), key="once")
    ask.advance(timedelta(hours=24).total_seconds())
    assert ask.set((mug, 3, 9), key="once")["userErrors"] == []


def test_nothing_to_change_is_success_without_a_group(ask, mug):
    assert ask.set((mug, 5, 5)) == {"inventoryAdjustmentGroup": None, "userErrors": []}


WRONG = {
    "another name": ({"name": "committed"}, "INVALID_NAME"),
    "an unknown reason": ({"reason": "because"}, "INVALID_REASON"),
    "a reference that is no URI": ({"referenceDocumentUri": "run 42"}, "INVALID_REFERENCE_DOCUMENT"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_with_its_code(ask, mug, case):
    more, code = WRONG[case]
    assert codes(ask.set((mug, 1, 5), **more)) == [code]


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (1_000_000_001, "available", "INVALID_QUANTITY_TOO_HIGH"),
        (-1_000_000_001, "available", "INVALID_QUANTITY_TOO_LOW"),
        (-1, "on_hand", "INVALID_QUANTITY_NEGATIVE"),
    ],
)
def test_numbers_have_bounds(ask, mug, number, name, code):
    assert codes(ask.set((mug, number, None), name=name)) == [code]


def test_a_level_twice_in_one_call_is_refused(ask, mug):
    code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
    assert codes(ask.set((mug, 1, None), (mug, 2, None))) == [code, code]


def test_an_unknown_item_or_location_is_refused(ask, mug):
    for field, kind, code in (
        ("inventoryItemId", "InventoryItem", "INVALID_INVENTORY_ITEM"),
        ("locationId", "Location", "INVALID_LOCATION"),
    ):
        row = ask.row(mug) | {"quantity": 1, "changeFromQuantity": None, field: f"gid://shopify/{kind}/42"}
        done = ask.set(quantities=[row])
        assert codes(done) == [code]


def test_parents_of_bundles_cannot_be_set_and_the_call_fails(ask, mug, cup):
    bundle = ask.site.shop.catalogue.offer("SET", parts=[(mug.listing, 1), (cup.listing, 2)])
    assert codes(ask.set((mug, 1, None), (bundle, 1, None))) == ["NON_MUTABLE_INVENTORY_ITEM"]
    assert ask.site.marketplace.number(mug.keys[0]) == 5


def test_an_item_that_is_not_tracked_keeps_its_number_and_sells_without_limit(ask, mug):
    ask.site.marketplace.set_policy(mug.listing, tracked=False)
    assert ask.set((mug, 2, 5))["userErrors"] == []
    assert numbers(ask, mug)["available"] == 2
    assert ask.site.marketplace.buy(mug.listing, 50).missed == 0


def test_a_quantity_can_be_set_where_the_item_was_not_stocked(ask, mug):
    place = ask.site.shop.catalogue.add_location("Second")
    row = ask.row(mug) | {"locationId": f"gid://shopify/Location/{place}", "quantity": 3, "changeFromQuantity": 0}
    assert ask.set(quantities=[row])["userErrors"] == []
    (item,) = ask.data(LEVELS, ids=[row["inventoryItemId"]])["nodes"]
    assert [each["location"]["id"] for each in item["inventoryLevels"]["nodes"]][1] == row["locationId"]
    assert ask.site.marketplace.buy(mug.listing, 8).units == 8


def test_a_level_that_was_deactivated_comes_back_with_its_number(ask, mug):
    place = ask.site.shop.catalogue.add_location("Second")
    row = ask.row(mug) | {"locationId": f"gid://shopify/Location/{place}", "quantity": 7, "changeFromQuantity": 0}
    ask.set(quantities=[row])
    (item,) = ask.data(LEVELS, ids=[row["inventoryItemId"]])["nodes"]
    level = item["inventoryLevels"]["nodes"][1]["id"]
    off = "mutation($id: ID!) { inventoryDeactivate(inventoryLevelId: $id) { userErrors { message } } }"
    assert ask.data(off, id=level)["inventoryDeactivate"]["userErrors"] == []
    on = """mutation($i: ID!, $l: ID!) { inventoryActivate(inventoryItemId: $i, locationId: $l) @idempotent(key: "on")
            { inventoryLevel { isActive quantities(names: ["available"]) { quantity } } userErrors { message } } }"""
    found = ask.data(on, i=row["inventoryItemId"], l=row["locationId"])["inventoryActivate"]["inventoryLevel"]
    assert found == {"isActive": True, "quantities": [{"quantity": 7}]}


def test_adjusting_is_relative(ask, mug):
    adjust = """mutation($i: InventoryAdjustQuantitiesInput!) { inventoryAdjustQuantities(input: $i)
                @idempotent(key: "a") { inventoryAdjustmentGroup { changes { name delta } } userErrors { code } } }"""
    change = ask.row(mug) | {"delta": -2, "changeFromQuantity": 5}
    done = ask.data(adjust, i={"name": "available", "reason": "shrinkage", "changes": [change]})
    assert done["inventoryAdjustQuantities"]["userErrors"] == []
    assert ask.site.marketplace.number(mug.keys[0]) == 3


def test_writes_can_be_applied_late_and_reads_can_lag(opened):
    ask = opened(rules=replace(BASE, applies=Applies.IN_ORDER, apply_delay=(5.0, 5.0)))
    mug = ask.site.shop.catalogue.offer("MUG", 5)
    assert ask.set((mug, 9, 5))["userErrors"] == []
    assert numbers(ask, mug)["available"] == 5
    ask.advance(5)
    assert numbers(ask, mug)["available"] == 9
