"""What a channel sends is read into models; what is wrong is told by its place and never by its value."""

import time
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from channelsync.sdk.answers import Answer
from channelsync.sdk.budgets import Grant, Lane
from channelsync.sdk.errors import AnswerUnreadable
from channelsync.sdk.wire import At, CamelWire, Name, Units, Wire, in_utc, read_answer, read_part, readable_listing, why

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "Canary Birdwhistle"


class Row(CamelWire):
    """A row."""

    seller_sku: Name
    units: Units = 0
    changed: At | None = None


class Four(Wire):
    """Four numbers."""

    a: Units
    b: Units
    c: Units
    d: Units


def answer(body: bytes) -> Answer:
    return Answer(
        call="shop: GET /rows",
        status=200,
        headers=httpx.Headers(),
        body=body,
        asked_at=NOW,
        answered_at=NOW,
        grant=Grant("calls", Lane.NORMAL, 1, 0.0, 1.0),
    )


def test_names_are_matched_as_the_channel_writes_them_and_unknown_ones_ignored() -> None:
    body = b'{"sellerSku": "MUG", "units": 3, "buyer": "x", "changed": "2026-03-01T14:00:00+02:00"}'
    row = read_answer(Row, answer(body))
    assert (row.seller_sku, row.units, row.changed) == ("MUG", 3, NOW)


@pytest.mark.parametrize("value", ["1.0", '"1"', "true", "1.5", "null"])
def test_only_a_whole_number_is_one(value: str) -> None:
    with pytest.raises(AnswerUnreadable, match="units"):
        read_answer(Row, answer(f'{{"sellerSku": "MUG", "units": {value}}}'.encode()))


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+00:14", "9999-12-31T23:59:59-14:00", "2026-03-01T12:00:00"])
def test_a_time_that_utc_does_not_know_or_that_names_no_zone_is_none(at: str) -> None:
    with pytest.raises(ValidationError):
        Row.model_validate({"sellerSku": "MUG", "changed": at})


def test_times_come_in_utc() -> None:
    at = NOW.astimezone(timezone(timedelta(hours=5)))
    assert Row.model_validate({"sellerSku": "MUG", "changed": at}).changed.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_one_in_utc_wherever_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert in_utc(NOW.replace(tzinfo=None)) == NOW
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_models_own_error_shows_no_value_either() -> None:
    with pytest.raises(ValidationError) as caught:
        Row.model_validate({"sellerSku": "MUG", "units": SECRET})
    assert SECRET not in str(caught.value)


def test_an_error_names_places_and_holds_no_value_nor_its_cause() -> None:
    with pytest.raises(AnswerUnreadable) as caught:
        read_part(Row, {"sellerSku": "", "units": SECRET}, answer(b""), "row 3")
    text = str(caught.value)
    assert text.startswith("shop: GET /rows (row 3): HTTP 200 with sellerSku: ")
    assert "units" in text
    assert SECRET not in text + repr(caught.value.__cause__)
    assert caught.value.__cause__ is None


def test_of_many_wrong_places_three_are_named_and_the_others_counted() -> None:
    with pytest.raises(ValidationError) as caught:
        Four.model_validate({})
    assert why(caught.value).endswith("c: Field required and 1 more")
    with pytest.raises(ValidationError) as caught:
        Four.model_validate({"a": 1})
    assert why(caught.value).endswith("d: Field required")


def test_of_a_whole_answer_the_call_is_named_alone() -> None:
    with pytest.raises(AnswerUnreadable, match=r"^shop: GET /rows: HTTP 200 with sellerSku: "):
        read_answer(Row, answer(b"{}"))


def test_a_listing_that_cannot_be_read_is_named_in_the_log() -> None:
    with capture_logs() as logs:
        assert isinstance(readable_listing(Row, {"sellerSku": "MUG"}, "shop", "sellerSku"), Row)
        assert logs == []
        told = [readable_listing(Row, row, "shop", "sellerSku") for row in ({"sellerSku": "CUP", "units": "x"}, None)]
    assert all(isinstance(one, str) for one in told)
    assert [(one["channel"], one["listing"], one["why"]) for one in logs] == [
        ("shop", "CUP", told[0]),
        ("shop", None, told[1]),
    ]
