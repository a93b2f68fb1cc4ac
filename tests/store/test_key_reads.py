"""Which keys are to be read next: found by indexes, however many keys there are."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Select, text

from channelsync.store import key_reads
from channelsync.store.database import Database

WANTED, HOT, SWEPT = "ix_quantity_key_wanted", "ix_quantity_key_hot", "ix_quantity_key_identity_read_at"


@pytest.mark.parametrize(
    ("statement", "indexes"),
    [
        (key_reads._select_to_read(False), {WANTED}),
        (key_reads._select_to_read(True), {WANTED, HOT}),
        (key_reads._select_never_read(), {SWEPT}),
        (key_reads._select_unread(), {SWEPT}),
    ],
    ids=["wanted", "wanted and hot", "sweep, never read", "sweep"],
)
async def test_a_tick_reads_no_key_that_need_not_be_read(
    sqlite_database: Database, statement: Select[Any], indexes: set[str]
) -> None:
    compiled = statement.compile()
    given = dict.fromkeys(compiled.params, "2026-03-02")
    found = await sqlite_database.query(lambda c: c.execute(text(f"EXPLAIN QUERY PLAN {compiled}"), given).all())
    steps = [row.detail for row in found if "quantity_key" in row.detail]
    assert {index for index in indexes for step in steps if f"INDEX {index} " in step} == indexes, steps
    assert not [step for step in steps if not any(f"INDEX {index} " in step for index in indexes)], steps
