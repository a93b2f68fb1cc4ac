"""The folder's files, and what the settings say."""

import pytest

from channelsync.sdk.contract.folder import FolderContract
from channelsync_shopify import CONNECTOR
from channelsync_shopify.settings import ShopifySettings


class TestFolder(FolderContract):
    connector = CONNECTOR
    settings = ShopifySettings(shop="example.myshopify.com", client_id="x", client_secret="y")


@pytest.mark.parametrize(
    ("plan", "capacity", "rate"),
    [("standard", 2000, 100), ("advanced", 4000, 200), ("plus", 20_000, 1000), ("enterprise", 40_000, 2000)],
)
def test_the_plan_decides_the_budget(plan: str, capacity: int, rate: int) -> None:
    settings = ShopifySettings(shop="example.myshopify.com", client_id="x", client_secret="y", plan=plan)
    (budget,) = CONNECTOR.budgets(settings)
    assert (budget.capacity, budget.per_second) == (capacity, rate)


def test_every_declared_call_fits_into_the_smallest_bucket() -> None:
    capabilities = CONNECTOR.capabilities(TestFolder.settings)
    (budget,) = CONNECTOR.budgets(TestFolder.settings)
    assert capabilities.push_cost.cost <= budget.capacity * 0.8
    assert capabilities.read_cost.cost <= budget.capacity * 0.8
