"""Where to go on in a list whose pages are counted by rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channelsync.sdk.errors import ChannelMisbehaved
from channelsync.sdk.paging import AGAIN_MAX, PageNumbers, in_batches, leads_on


@pytest.mark.parametrize(
    ("page", "before", "total", "following"),
    [
        (1, None, 9, 2),  # the first page
        (2, 9, 9, 3),
        (2, 9, 12, 3),  # rows that were added move others down: some come twice, none is lost
        (3, 9, 8, 2),
        (3, 9, 7, 1),
        (3, 9, 0, 1),  # as many rows as pages, and more
        (1, 9, 8, 2),  # there is none before the first
        (3, 9, None, 4),
        (3, None, 9, 4),
    ],
)
def test_where_rows_went_it_goes_back_a_page_for_each(page, before, total, following) -> None:
    pages = PageNumbers(first=1)
    for _ in range(page - 1):
        pages.go_on(before)
    assert pages.now == page
    pages.go_on(total)
    assert pages.now == following


@given(st.data())
def test_whatever_is_removed_while_pages_are_read_no_row_that_stays_is_lost(data) -> None:
    """A list of pages of some rows, of which any may go between two reads."""
    size = data.draw(st.integers(1, 4))
    rows = list(range(data.draw(st.integers(0, 20))))
    seen: set[int] = set()
    pages = PageNumbers(first=1)
    while True:
        total = len(rows)
        seen |= set(rows[(pages.now - 1) * size : pages.now * size])
        pages.go_on(total)
        if (pages.now - 1) * size >= total:
            break
        for _ in range(data.draw(st.integers(0, 2)) if rows else 0):
            rows.pop(data.draw(st.integers(0, len(rows) - 1))) if rows else None
    assert set(rows) <= seen


@pytest.mark.parametrize("fall", [1, 7, 1000])
def test_totals_that_fall_and_rise_without_end_are_not_followed_without_end(fall) -> None:
    pages, read = PageNumbers(first=0), 0
    while pages.now < 50:
        pages.go_on(2000 - fall * (read % 2))
        read += 1
    assert 50 < read <= 50 + 2 * AGAIN_MAX


def test_a_page_that_leads_back_to_itself_is_an_error() -> None:
    assert leads_on("b", "a", "shop: GET /orders") == "b"
    assert leads_on(None, "a", "shop: GET /orders") is None
    assert leads_on("", "a", "shop: GET /orders") is None
    with pytest.raises(ChannelMisbehaved, match="GET /orders: the page leads back to itself"):
        leads_on("a", "a", "shop: GET /orders")


def test_batches_hold_all_in_their_order() -> None:
    assert [list(some) for some in in_batches([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert list(in_batches([], 2)) == []
