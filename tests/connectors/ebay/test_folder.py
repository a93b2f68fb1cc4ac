"""The folder's files, what the settings say, what is declared."""

import json
from datetime import timedelta

import pytest

from channelsync.sdk.access_tokens import TokenRefusal
from channelsync.sdk.contract.folder import FolderContract
from channelsync.sdk.values import Deducts, GivesBack, WriteLimit
from channelsync_ebay import CONNECTOR, wire
from channelsync_ebay.client import reason_of
from channelsync_ebay.settings import EbaySettings


class TestFolder(FolderContract):
    connector = CONNECTOR
    settings = EbaySettings(client_id="x", client_secret="y")


def declared(**changes):
    return CONNECTOR.capabilities(EbaySettings(client_id="x", client_secret="y", **changes))


def test_every_declared_call_fits_into_its_bucket() -> None:
    found = declared(calls_at_once=50)
    budgets = {one.name: one for one in CONNECTOR.budgets(TestFolder.settings)}
    for cost in (found.push_cost, found.read_cost):
        assert cost.cost <= budgets[cost.bucket].capacity * 0.8


@pytest.mark.parametrize(("relists", "expected"), [(True, {GivesBack.ON_CANCEL}), (False, set())])
def test_cancelled_units_come_back_where_the_seller_lets_ebay_relist_them(relists, expected) -> None:
    found = declared(relists_cancelled=relists).behaviour
    assert (found.deducts, found.gives_back) == (Deducts.AT_ORDER, expected)


def test_listings_that_are_not_migrated_may_share_a_sku() -> None:
    assert declared().unique_skus
    assert not declared(legacy_listings=True).unique_skus


def test_a_listing_is_revised_250_times_in_a_day_of_25_hours_and_the_last_50_are_kept_for_lowerings() -> None:
    assert declared().writes_per_day == WriteLimit(most=250, kept=50, span=timedelta(hours=25))
    other = declared(revisions_per_day=10, revisions_kept=0).writes_per_day
    assert other == WriteLimit(most=10, kept=0, span=timedelta(hours=25))


def test_some_revisions_must_be_left_for_raises() -> None:
    with pytest.raises(ValueError, match="revisions_kept"):
        declared(revisions_per_day=10, revisions_kept=10)


def test_a_search_goes_back_as_far_as_orders_come_late() -> None:
    found = declared(order_delay_s=77)
    assert found.order_overlap == found.order_visibility


@pytest.mark.parametrize(
    "wrong",
    [
        {"orders_per_page": 201},
        {"orders_per_page": 1},
        {"updates_per_push": 26},
        {"history_days": 731},
        {"verification_token": "too-short"},
        {"base_url": "ftp://x"},
        {"environment": "staging"},
        {"typo": 1},
    ],
)
def test_settings_that_ebay_would_refuse_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EbaySettings(client_id="x", client_secret="y", **wrong)


def test_real_errors_are_read(contracts) -> None:
    told = json.loads((contracts / "fixtures" / "errors.json").read_text(encoding="utf-8"))
    found = wire.Refusal.model_validate(told["restful"]).errors
    assert (wire.ids_of(found), reason_of(found)) == ({1}, "1: description")
    assert TokenRefusal.model_validate(told["oauth"]).error == "Error Message"
    assert [wire.Refusal.model_validate(told[name]).errors for name in ("postOrder", "oauth")] == [(), ()]


def test_the_contract_names_the_errors_that_we_know(contracts) -> None:
    """Numbers that the code makes decisions by stand in eBay's own documents."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(contracts.glob("*_oas3.json")))
    numbers = (25025, 25702, 25708, 25709, 25710, 25713, 30850, 195003, 195011, 195012, 195020, 195027)
    assert [number for number in numbers if f'"{number}"' not in text] == []
