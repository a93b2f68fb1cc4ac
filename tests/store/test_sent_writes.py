"""Writes are counted by the name that the channel counts them under, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text

from channelsync.store import key_writes, keys, listings, predictions, sent_writes
from channelsync.store.database import Database
from channelsync.store.keys import KeyRecord
from channelsync.store.listings import SeenListing
from channelsync.store.sent_writes import Counted, counted_as

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MORNING = NOON - timedelta(hours=6)


def seen(name: str, page: str = "", *further: str) -> SeenListing:
    return SeenListing(
        listing=f"L-{name}",
        sku=None,
        title="",
        barcode=None,
        state="active",
        reasons=(),
        keys=((name, ""),),
        parts=(),
        tracked=True,
        sells_below_zero=False,
        fulfilled_by_channel=False,
        page=page,
        further_pages=further,
    )


@pytest.fixture
async def records(database: Database) -> dict[str, KeyRecord]:
    """Keys by name: red and blue on one page, cup by itself, and a page of that name at another seller's."""

    def fill(connection: Connection) -> dict[str, KeyRecord]:
        mine = [seen("red", "mugs"), seen("blue", "mugs"), seen("cup")]
        listings.save_listings(connection, "shop", "seller", mine, NOON)
        listings.save_listings(connection, "other", "stranger", [seen("green", "mugs")], NOON)
        ids = keys.ids_of(connection, "seller", [(name, "") for name in ("red", "blue", "cup")])
        ids |= keys.ids_of(connection, "stranger", [("green", "")])
        return {one.key: one for one in keys.load_keys(connection, ids.values()).values()}

    return await database.transact(fill)


def write(connection: Connection, record: KeyRecord, *minutes: int, outcome: str = "accepted") -> None:
    """Writes of a key that left so many minutes after noon."""
    generation = keys.load_keys(connection, [record.id])[record.id].generation
    for number, minute in enumerate(minutes, generation + 1):
        row = {"key": record.id, "generation": number, "value": 5, "expected": None, "run": "r", "reason": ""}
        sent = {"sent_at": NOON + timedelta(minutes=minute), "outcome": outcome, "why": b""}
        key_writes.begin_writes(connection, [row | sent])


def minutes_of(times: Sequence[datetime]) -> list[int]:
    return [int((at - NOON).total_seconds() // 60) for at in times]


async def sent(
    database: Database, *records: KeyRecord, since: datetime = MORNING, most: int = 9
) -> dict[str, list[int]]:
    """Minutes after noon, by page or key."""
    counted = await database.query(lambda c: sent_writes.counted_as(c, records))
    names = {name: name.page or one.key for one in records for name in counted[one.id]}
    found = await database.query(lambda c: sent_writes.sent_since(c, records, since, most))
    return {names[counted]: minutes_of(times) for counted, times in found.items() if counted in names}


async def test_the_writes_of_all_keys_of_a_page_count_together(
    database: Database, records: dict[str, KeyRecord]
) -> None:
    for name, minutes in (("red", (1, 4)), ("blue", (2,)), ("cup", (3,)), ("green", (5,))):
        await database.transact(lambda c, name=name, minutes=minutes: write(c, records[name], *minutes))
    assert await sent(database, records["red"]) == {"mugs": [1, 2, 4]}
    assert await sent(database, records["blue"], records["cup"]) == {"mugs": [1, 2, 4], "cup": [3]}
    assert await sent(database, records["green"]) == {"mugs": [5]}
    cup = records["cup"]
    assert await database.query(lambda c: counted_as(c, [cup])) == {cup.id: (Counted("seller", "", cup.id),)}


async def test_what_never_left_does_not_count_and_what_was_refused_or_not_answered_does(
    database: Database, records: dict[str, KeyRecord]
) -> None:
    cup = records["cup"]
    outcomes = ["accepted", "refused", "conflict", "unknown", "", sent_writes.NEVER_LEFT]
    for minute, outcome in enumerate(outcomes):
        await database.transact(lambda c, minute=minute, outcome=outcome: write(c, cup, minute, outcome=outcome))
    assert await sent(database, cup) == {"cup": [0, 1, 2, 3, 4]}


async def test_writes_that_never_left_hide_none_that_did(database: Database, records: dict[str, KeyRecord]) -> None:
    cup = records["cup"]
    await database.transact(lambda c: write(c, cup, 1, 2))
    await database.transact(lambda c: write(c, cup, 3, 4, 5, outcome=sent_writes.NEVER_LEFT))
    await database.transact(lambda c: write(c, cup, 6))
    assert await sent(database, cup, most=3) == {"cup": [1, 2, 6]}
    assert await sent(database, cup, most=2) == {"cup": [2, 6]}


async def test_what_left_before_the_span_does_not_count_nor_more_of_a_key_than_there_may_be(
    database: Database, records: dict[str, KeyRecord]
) -> None:
    cup = records["cup"]
    await database.transact(lambda c: write(c, cup, 1, 2, 3, 4, 5))
    assert await sent(database, cup, since=NOON + timedelta(minutes=2)) == {"cup": [3, 4, 5]}
    assert await sent(database, cup, most=2) == {"cup": [4, 5]}


async def test_a_listing_that_moves_to_another_page_takes_its_writes_along_and_keeps_its_number(
    database: Database, records: dict[str, KeyRecord]
) -> None:
    red, cup = records["red"], records["cup"]
    await database.transact(lambda c: write(c, red, 1))
    await database.transact(lambda c: write(c, cup, 2))
    await database.transact(lambda c: keys.save_key(c, cup.id, value=7, asked_at=NOON, answered_at=NOON))
    later = [seen("cup", "mugs"), seen("red", "mugs"), seen("blue")]
    await database.transact(lambda c: listings.save_listings(c, "shop", "seller", later, NOON))
    now = await database.query(lambda c: keys.load_keys(c, [one.id for one in records.values()]))
    moved = {one.key: one.page for one in now.values()}
    assert moved == {"cup": "mugs", "red": "mugs", "blue": "", "green": "mugs"}
    assert now[cup.id].state.watermark is not None
    assert await sent(database, now[red.id]) == {"mugs": [1, 2]}
    assert await database.query(lambda c: counted_as(c, [now[records["blue"].id]])) == {
        records["blue"].id: (Counted("seller", "", records["blue"].id),)
    }


async def test_what_is_shown_on_several_pages_counts_on_each_and_on_no_other_any_more(
    database: Database, records: dict[str, KeyRecord]
) -> None:
    several = [seen("red", "mugs", "mugs-uk"), seen("blue", "mugs-uk"), seen("cup", "cups", "mugs-uk", "cups-de")]
    await database.transact(lambda c: listings.save_listings(c, "shop", "seller", several, NOON))
    now = {one.key: one for one in (await database.query(lambda c: keys.load_keys(c, _ids(records)))).values()}
    for name, minute in (("red", 1), ("blue", 2), ("cup", 3), ("green", 4)):
        await database.transact(lambda c, name=name, minute=minute: write(c, now[name], minute))
    assert await sent(database, now["red"]) == {"mugs": [1], "mugs-uk": [1, 2, 3]}
    assert await sent(database, now["blue"]) == {"mugs-uk": [1, 2, 3]}
    assert await sent(database, now["cup"]) == {"cups": [3], "mugs-uk": [1, 2, 3], "cups-de": [3]}
    await database.transact(lambda c: listings.save_listings(c, "shop", "seller", [seen("red", "mugs")], NOON))
    assert await sent(database, now["red"]) == {"mugs": [1]}
    assert await sent(database, now["blue"]) == {"mugs-uk": [2, 3]}


def _ids(records: dict[str, KeyRecord]) -> list[int]:
    return [one.id for one in records.values()]


async def test_what_was_predicted_counts_where_the_channel_showed_another_number(
    database: Database, records: dict[str, KeyRecord]
) -> None:
    told = [("red", 1, 4, 5), ("blue", 2, 5, 5), ("blue", 3, None, 5), ("cup", 4, 4, 6), ("green", 5, 1, 2)]
    rows: list[dict[str, object]] = [
        {
            "id": f"p-{minute}",
            "key": records[name].id,
            "channel": records[name].channel,
            "shown": shown,
            "target": target,
            "at": NOON + timedelta(minutes=minute),
            "why": b"",
        }
        for name, minute, shown, target in told
    ]
    await database.transact(lambda c: predictions.record_predictions(c, rows))
    wanted = [records["blue"], records["cup"]]
    found = await database.query(lambda c: sent_writes.predicted_since(c, wanted, MORNING))
    times = {counted.page: minutes_of(times) for counted, times in found.items() if counted.identity == "seller"}
    assert times == {"mugs": [1, 3], "": [4]}


async def test_the_rows_are_found_by_indexes(sqlite_database: Database) -> None:
    """However many keys there are, and however many writes of long ago."""
    plans = []
    for statement in (sent_writes._select_sent("sqlite"), sent_writes._select_predicted("sqlite")):
        compiled = statement.compile(compile_kwargs={"render_postcompile": True})
        sql = str(compiled)
        given = {"ids": "[1]", "pages": '["x"]', "further": '["x"]', "since": "2026-03-02", "most": 9}
        wanted = compiled.params | {name: value for name, value in given.items() if f":{name}" in sql}
        found = await sqlite_database.query(
            lambda c, sql=sql, wanted=wanted: c.execute(text(f"EXPLAIN QUERY PLAN {sql}"), wanted).all()
        )
        plans.append([row.detail for row in found])
    for plan in plans:
        assert not [step for step in plan if step.startswith("SCAN") and "VIRTUAL" not in step], plan
        assert any("ix_quantity_key_page" in step for step in plan), plan
    assert any("generation>?" in step for step in plans[0]), plans[0]
    assert any("ix_prediction_key_at" in step for step in plans[1]), plans[1]
