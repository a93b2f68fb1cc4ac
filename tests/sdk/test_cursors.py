"""Cursors are JSON of their connector's own fields; anything else is a ValueError that shows little of it."""

import pytest

from channelsync.sdk.cursors import Cursor, read_cursor


class Place(Cursor):
    """Where to go on."""

    row: int = 0


def test_a_cursor_that_was_kept_is_read_again() -> None:
    assert read_cursor(Place, Place(row=7).model_dump_json(), "shop") == Place(row=7)


@pytest.mark.parametrize("text", ["", "7", "{", '{"row": "many"}', '{"row": 1, "page": 2}', "x" * 500])
def test_what_is_no_cursor_of_the_connector_is_told_with_its_channel(text: str) -> None:
    with pytest.raises(ValueError, match=r"^shop: .* is no cursor of this connector$") as caught:
        read_cursor(Place, text, "shop")
    assert len(str(caught.value)) < 150
