"""What the API refuses, and how it says so: the table of errors, and bodies that are meant to break a reader."""

from __future__ import annotations

import gzip
import json
from time import process_time
from typing import Any

import pytest
import structlog

from channelsync.domain.orders import UNITS_MAX
from channelsync.store.database import Database
from channelsync.store.database_errors import DatabaseUnavailable
from channelsync.web.api.reading import BODY_MAX

ORDER = {"order": "1", "lines": [{"sku": "MUG", "units": 1}]}


def with_units(units: str) -> bytes:
    return b'{"order": "1", "lines": [{"sku": "MUG", "units": ' + units.encode() + b"}]}"


@pytest.mark.fault(16, "JSON that two readers could read differently, or that is meant to break one, is answered 400")
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 415),
        (b"{", 400),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"order": "\xff"}', 400),
        (b'{"order": "\\ud800", "lines": []}', 400),
        (b'{"order": "1", "order": "2"}', 400),
        (b'{"order": "1", "lines": [{"sku": "A", "sku": "B", "units": 1}]}', 400),
        (b"[" * 100_000, 400),
        (b"[" * 500 + b"]" * 500, 400),
        (b'{"a":' * 500 + b"1" + b"}" * 500, 400),
        (with_units("NaN"), 400),
        (with_units("Infinity"), 400),
        (with_units("-Infinity"), 400),
        (with_units("1" + "0" * 400), 400),
        (with_units("1" + "0" * 5000), 400),
        (with_units("1e400"), 400),
        (with_units("1.0"), 422),
        (with_units("1e0"), 422),
        (with_units("true"), 422),
        (with_units('"1"'), 422),
        (with_units("null"), 422),
        (with_units("0"), 422),
        (with_units("-1"), 422),
        (with_units(str(UNITS_MAX + 1)), 422),
        (with_units("99999999999999999999"), 422),
        (b'{"order": "", "lines": [{"sku": "MUG", "units": 1}]}', 422),
        (b'{"order": "a\\u0000b", "lines": [{"sku": "MUG", "units": 1}]}', 422),
        (b'{"order": "1", "lines": []}', 422),
        (b'{"order": "1", "lines": [{"sku": "MUG", "units": 1}], "more": 1}', 422),
        (b'{"order": "1", "lines": [{"sku": "MUG", "units": 1}], "placed_at": 1700000000}', 422),
        (b'{"order": "1", "lines": [{"sku": "MUG", "units": 1}], "placed_at": "1700000000"}', 422),
        (b'{"order": "1", "lines": [{"sku": "MUG", "units": 1}], "placed_at": "2026-03-01T09:00:00"}', 422),
        (b'{"order": "1", "lines": [{"sku": "MUG", "units": 1}], "placed_at": "0001-01-01T00:00:00+14:00"}', 422),
        (b'{"order": "1", "lines": [{"sku": "MUG", "units": 1}], "change": "yes"}', 422),
    ],
)
async def test_a_body_that_is_not_exactly_what_is_described_is_refused(
    sqlite_api: Any, refusal: Any, raw: bytes, status: int
) -> None:
    headers = {**sqlite_api.headers("operate"), **({"content-type": "application/json"} if raw else {})}
    answer = await sqlite_api.client.post("/api/v1/orders", content=raw, headers=headers)
    assert refusal(answer)[0] == status, answer.text
    assert (await sqlite_api.get("/orders")).json()["items"] == []


async def test_everything_that_is_wrong_with_a_body_is_named_with_its_place(sqlite_api: Any) -> None:
    body = {"order": "1", "lines": [{"sku": "MUG", "units": 0}, {"units": 1, "weight": 3}]}
    errors = (await sqlite_api.post("/orders", body)).json()["errors"]
    assert [one["at"] for one in errors] == ["lines.0.units", "lines.1.sku", "lines.1.weight"]
    assert errors[2]["why"] == "there is no such member here"


NAMES = [f"n{number}" for number in range(18_000)]
HANG_GUARD_SECONDS = 10
"""Of processor time; each of the bodies below takes a hundredth of it."""


@pytest.mark.parametrize(
    ("raw", "status", "named"),
    [
        (json.dumps(dict.fromkeys(NAMES, 1)), 422, 20),
        (json.dumps(dict.fromkeys(NAMES, 1))[:-1] + ', "n17999": 2}', 400, 0),
        (json.dumps({"order": "1", "lines": [1] * 40_000}), 422, 20),
        (json.dumps({"order": "1", "lines": [{"sku": "MUG", "units": 0}] * 400}), 422, 20),
        (json.dumps({"x" * 200_000: 1}), 422, 3),
        ('{"%s": 1, "%s": 2}' % (("x" * 100_000,) * 2), 400, 0),
    ],
    ids=["unknown names", "a name twice", "no lines", "wrong lines", "a long name", "a long name twice"],
)
async def test_a_body_with_very_much_wrong_costs_no_more_than_another_and_is_answered_shortly(
    sqlite_api: Any, refusal: Any, raw: str, status: int, named: int
) -> None:
    headers = {**sqlite_api.headers("operate"), "content-type": "application/json"}
    began = process_time()
    answer = await sqlite_api.client.post("/api/v1/orders", content=raw, headers=headers)
    assert process_time() - began < HANG_GUARD_SECONDS, "while it was read, nobody else was answered"
    assert refusal(answer)[0] == status
    assert len(answer.json().get("errors", ())) <= named
    assert len(answer.content) < 5_000


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json; charset=UTF-8"}, 201),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
    ],
)
async def test_a_body_is_plain_json_and_says_so(sqlite_api: Any, headers: dict[str, str], status: int) -> None:
    raw = json.dumps(ORDER).encode()
    sent = {**sqlite_api.headers("operate"), **headers}
    content = gzip.compress(raw) if "content-encoding" in headers else raw
    answer = await sqlite_api.client.post("/api/v1/orders", content=content, headers=sent)
    assert answer.status_code == status, answer.text


async def test_a_body_is_read_up_to_its_cap(sqlite_api: Any, refusal: Any) -> None:
    async def endless() -> Any:
        while True:
            yield b" " * 65_536

    sent = {**sqlite_api.headers("operate"), "content-type": "application/json"}
    announced = await sqlite_api.client.post("/api/v1/orders", content=b" " * (BODY_MAX + 1), headers=sent)
    assert refusal(announced) == (413, "too-large")
    dripping = await sqlite_api.client.post("/api/v1/orders", content=endless(), headers=sent)
    assert refusal(dripping) == (413, "too-large")
    assert dripping.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("colour=red", 400),
        ("limit=1&limit=2", 400),
        ("cursor=nonsense", 400),
        ("cursor=WyJhIl0=", 400),
        ("cursor=" + "A" * 2000, 422),
        ("limit=0", 422),
        ("limit=1001", 422),
        ("limit=1.5", 422),
        ("limit=%201", 422),
        ("limit=1_0", 422),
        ("limit=٣", 422),
        ("limit=" + "9" * 5000, 422),
        ("below=1e3", 422),
        ("below=99999999999", 422),
        ("oversold=1", 422),
        ("oversold=TRUE", 422),
        ("sku=%00", 422),
        ("sku=", 422),
        ("location=" + "x" * 201, 422),
        ("search=%5C%25_", 200),
        ("below=-5", 200),
    ],
)
async def test_parameters_are_known_single_and_valid(sqlite_api: Any, query: str, status: int) -> None:
    answer = await sqlite_api.client.get(f"/api/v1/positions?{query}", headers=sqlite_api.headers("read"))
    assert answer.status_code == status, answer.text


async def test_a_change_takes_no_parameters(sqlite_api: Any, refusal: Any) -> None:
    assert refusal(await sqlite_api.post("/orders?dry=true", ORDER)) == (400, "bad-request")


async def test_a_cursor_is_of_one_list_and_its_filters(sqlite_api: Any, refusal: Any) -> None:
    await sqlite_api.shelve({"A": 1, "B": 2, "C": 3})
    cursor = (await sqlite_api.get("/positions", limit=1)).json()["next"]
    assert (await sqlite_api.get("/positions", limit=2, cursor=cursor)).status_code == 200
    assert refusal(await sqlite_api.get("/positions", cursor=cursor, below=5)) == (400, "bad-request")
    assert refusal(await sqlite_api.get("/listings", cursor=cursor)) == (400, "bad-request")


async def test_a_method_that_is_not_there_is_named_with_those_that_are(sqlite_api: Any, refusal: Any) -> None:
    for method, path, allowed in (
        ("DELETE", "/orders", {"GET", "HEAD", "POST"}),
        ("PUT", "/positions", {"GET", "HEAD"}),
        ("GET", "/receipts", {"POST"}),
    ):
        answer = await sqlite_api.client.request(method, f"/api/v1{path}", headers=sqlite_api.headers("admin"))
        assert refusal(answer) == (405, "wrong-method")
        assert set(answer.headers["allow"].split(", ")) == allowed
    assert (await sqlite_api.client.head("/api/v1/runs", headers=sqlite_api.headers("read"))).status_code == 200


async def test_an_address_that_is_not_there_is_a_problem_too(sqlite_api: Any, refusal: Any) -> None:
    for path in ("/nothing", "/orders/", "/orders/1/ship/now", "//orders"):
        assert refusal(await sqlite_api.get(path)) == (404, "not-found"), path


async def test_without_a_database_the_answer_is_later_and_nobody_is_let_in(
    sqlite_api: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable("secret-host: no answer")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "query", unreachable)
        answer = await sqlite_api.get("/positions")
    assert refusal(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"
    assert "secret-host" not in answer.text


async def test_a_daemon_that_stops_begins_nothing(sqlite_api: Any, refusal: Any) -> None:
    sqlite_api.agent.stopping = True
    assert refusal(await sqlite_api.post("/orders", ORDER)) == (503, "unavailable")


async def test_what_nobody_foresaw_is_told_to_the_log_and_not_to_the_caller(
    sqlite_api: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("inner detail")

    monkeypatch.setattr("channelsync.web.api.endpoints.run_for_caller", broken)
    answer = await sqlite_api.post("/orders", ORDER)
    assert refusal(answer) == (500, "unexpected")
    assert "inner detail" not in answer.text


async def test_what_is_refused_leaves_a_line_with_who_asked_and_what_was_wrong(sqlite_api: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        await sqlite_api.post("/orders", {"order": "1", "lines": []})
        await sqlite_api.get("/positions", limit=0)
        await sqlite_api.post("/orders", "no order")
        await sqlite_api.post("/orders/none/ship")
    told = [(one["event"], one["status"], one["problem"], one["caller"]) for one in logs]
    assert told == [
        ("api.refused", 422, "invalid", "the-operate"),
        ("api.refused", 422, "invalid", "the-read"),
        ("api.refused", 422, "invalid", "the-operate"),
        ("api.refused", 404, "not-found", "the-operate"),
    ]
    assert all(one["route"] and one["address"] for one in logs)
