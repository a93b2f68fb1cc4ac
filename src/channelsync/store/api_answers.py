"""What was answered to requests with a key of their caller's, so that a repeat is answered alike and does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from channelsync.store.tables import metadata
from channelsync.store.upsert import insert_ignoring

_ANSWER = metadata.tables["api_answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer. digest: of the request that it answers. run: in which that was done."""

    digest: str
    run: str
    status: int
    body: bytes


def claim_key(
    connection: Connection, token: str, key: str, *, digest: str, run: str, now: datetime
) -> KeptAnswer | None:
    """Takes a key for a request of a token, unless it is taken: then what was answered is returned.

    Of two that claim at once the second one waits until the first has committed, and gets its answer; or the key,
    where the first was rolled back.
    """
    row = {"token": token, "key": key, "digest": digest, "run": run, "status": 0, "body": b"", "at": now}
    if connection.execute(insert_ignoring(_ANSWER, connection.dialect.name), row).rowcount == 1:
        return None
    found = connection.execute(select(_ANSWER).where(_ANSWER.c.token == token, _ANSWER.c.key == key)).one()
    return KeptAnswer(digest=found.digest, run=found.run, status=found.status, body=found.body)


def keep_answer(connection: Connection, token: str, key: str, status: int, body: bytes) -> None:
    """Keeps what is answered under a key that was claimed in this transaction."""
    where = (_ANSWER.c.token == token, _ANSWER.c.key == key)
    connection.execute(update(_ANSWER).where(*where).values(status=status, body=body))


def prune_answers(connection: Connection, before: datetime) -> int:
    """Forgets answers that were given before a time; returns how many."""
    return connection.execute(delete(_ANSWER).where(_ANSWER.c.at < before)).rowcount
