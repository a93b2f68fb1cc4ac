"""Bytes to rows and back: encodings, dialects, halves and oddities. What is not mapped is not kept."""

import contextlib
import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.sdk.contract import CANARY
from channelsync_files.sections_numbers import NumbersIn, QuantitiesOut
from channelsync_files.sections_orders import OrdersIn
from channelsync_files.wire import BadFile, parse, write

COLUMNS = {"key": "SKU", "number": "Menge"}


def numbers_in(**more) -> NumbersIn:
    return NumbersIn.model_validate({"path": "numbers", "columns": {"key": "SKU", "number": "Menge"}, **more})


def rows(content: bytes, **more):
    return parse(content, numbers_in(**more), COLUMNS, ("key",))


def cells(content: bytes, **more) -> list[dict[str, str]]:
    return [dict(row.cells) for row in rows(content, **more)]


ONE = [{"key": "TÄSSE", "number": "2"}]


@pytest.mark.parametrize(
    ("content", "how"),
    [
        ("SKU,Menge\nTÄSSE,2\n".encode(), {}),
        ("SKU,Menge\r\nTÄSSE,2\r\n".encode("utf-8-sig"), {}),
        ("Name;Menge;SKU\nx;2;TÄSSE".encode("cp1252"), {"encoding": "cp1252", "delimiter": ";"}),
        ("SKU,Menge\nTÄSSE,2\n".encode("utf-16"), {"encoding": "utf-16"}),
        (" SKU ,Menge\n TÄSSE , 2 \n\n".encode(), {}),
        ("SKU\tMenge\n'TÄSSE'\t2\n".encode(), {"delimiter": "\t", "quote": "'"}),
        ('SKU,Menge,N\nTÄSSE,2,"a\nb"\n'.encode(), {}),
        ("SKU,Menge\nTÄSSE,2\nEND;1\n".encode(), {"complete": "trailer", "trailer": "END"}),
        (json.dumps([{"SKU": "TÄSSE", "Menge": 2}]).encode(), {"format": "json"}),
        (json.dumps({"a": {"b": [{"SKU": "TÄSSE", "Menge": "2"}]}}).encode(), {"format": "json", "rows": "a.b"}),
        (b'\n{"SKU": "T\xc3\x84SSE", "Menge": 2, "more": [1]}\n', {"format": "jsonl"}),
    ],
)
def test_one_row_is_read_however_it_is_written(content: bytes, how: dict[str, object]) -> None:
    assert cells(content, **how) == ONE


@pytest.mark.parametrize(
    ("content", "how", "said"),
    [
        (b"", {}, "it is empty"),
        (b"  \n", {}, "it is empty"),
        (b"\xef\xbb\xbf", {}, "it is empty"),
        (b"SKU;Menge\nA;2\n", {}, "lacks 'Menge', 'SKU': put the mapping or the delimiter right"),
        (b"SKU,Menge,SKU\nA,2,B\n", {}, "'SKU' twice"),
        (b"SKU,Menge\n\xe4,2\n", {}, "byte 11 is not utf-8: set `encoding`"),
        (b'SKU,Menge\nA,"2\n', {}, "line 2 is not CSV"),
        (b"SKU,Menge\nA,2\n", {"complete": "trailer", "trailer": "END"}, "not the trailer"),
        (b"[", {"format": "json"}, "not JSON"),
        (b"{}", {"format": "json"}, "there is no list in it"),
        (b'{"a": {"b": 1}}', {"format": "json", "rows": "a.b"}, "no list at 'a.b'"),
        (b'[{"SKU": NaN}]', {"format": "json"}, "NaN"),
        (b"[" * 100_000, {"format": "json"}, "not JSON"),
        (b'{"SKU": "A", "Men\n', {"format": "jsonl"}, "no line of it can be read"),
        (b"<html>Sorry</html>", {}, "lacks"),
        (b"<html>Sorry</html>", {"format": "json"}, "not JSON"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(content: bytes, how: dict[str, object], said: str) -> None:
    with pytest.raises(BadFile) as caught:
        rows(content, **how)
    assert said in str(caught.value)


def test_a_header_alone_is_a_file_without_rows() -> None:
    assert cells(b"SKU,Menge\n") == []
    assert cells(b"[]", format="json") == []


def test_a_row_of_the_wrong_width_keeps_the_orders_id_only() -> None:
    how = OrdersIn.model_validate(
        {
            "path": "orders",
            "version": "arrival",
            "columns": {"order": "Order", "sku": "SKU", "units": "Units", "placed_at": "At"},
        }
    )
    columns = {"order": "Order", "sku": "SKU", "units": "Units", "placed_at": "At"}
    content = f"Name,Order,SKU,Units,At\n{CANARY[0]},7,MUG,2\nx,8,MUG,2,now\n".encode()
    slipped, whole = parse(content, how, columns, ("order",))
    assert dict(slipped.cells) == {"order": "7"}
    assert slipped.problem == "line 2 has 4 cells where the header has 5"
    assert whole.problem == ""


def test_json_numbers_stay_as_they_are_written() -> None:
    content = b'[{"SKU": 12345678901234567890, "Menge": 2.50}, {"SKU": true, "Menge": null}]'
    assert cells(content, format="json") == [{"key": "12345678901234567890", "number": "2.50"}, {"key": "true"}]


def test_a_json_row_that_is_none_is_named_and_its_neighbours_are_read() -> None:
    found = rows(b'[7, {"Menge": 1}, {"SKU": ["A"]}, {"SKU": "A", "Menge": 2}]', format="json")
    assert [row.problem for row in found] == [
        "row 1 is no object",
        "row 2 lacks 'SKU'",
        "row 3: 'SKU' is no single value",
        "",
    ]


def test_what_is_not_mapped_is_dropped_as_it_is_read() -> None:
    buyer = dict(zip(("name", "mail", "phone", "street"), CANARY, strict=True))
    content = json.dumps([{"SKU": "A", "Menge": 2, **buyer}]).encode()
    assert not [text for text in CANARY if text in repr(rows(content, format="json"))]


@given(
    st.lists(st.tuples(st.text(max_size=20), st.integers(0, 10**6)), max_size=8),
    st.sampled_from(["csv", "json", "jsonl"]),
)
def test_what_is_written_is_read_again(told: list[tuple[str, int]], form: str) -> None:
    how = QuantitiesOut.model_validate(
        {"path": "out", "format": form, "name": "q-{number}", "columns": {"sku": "SKU", "units": "Menge"}}
    )
    made = [{"SKU": sku, "Menge": units} for sku, units in told]
    content = write(made, ["SKU", "Menge"], how)
    text = content.decode()
    if form == "csv":
        read = list(csv.DictReader(io.StringIO(text, newline="")))
    else:
        read = json.loads(text) if form == "json" else [json.loads(line) for line in text.split("\n") if line]
    assert [(row["SKU"], int(row["Menge"])) for row in read] == told


@given(st.binary(max_size=200), st.sampled_from(["csv", "json", "jsonl"]))
def test_no_bytes_do_anything_but_give_rows_or_say_why_not(content: bytes, form: str) -> None:
    with contextlib.suppress(BadFile):
        assert all(set(row.cells) <= {"key", "number"} for row in rows(content, format=form))
