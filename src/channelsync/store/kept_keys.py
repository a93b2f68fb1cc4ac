"""Keys of units that a channel keeps at a place of its own: which to read, what they told, and where it is counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, or_, select

from channelsync.domain.quantities import PositionKey
from channelsync.store.among import among, values
from channelsync.store.row_updates import update_rows
from channelsync.store.tables import metadata

_KEY = metadata.tables["quantity_key"]
_POSITION = metadata.tables["position"]
_COLUMNS = ("id", "key", "remote", "listing", "item", "multiple", "value", "committed", "channel_held", "asked_at")


@dataclass(frozen=True, slots=True)
class ToldUnits:
    """Units of a key, in the key's own: what a buyer may buy, what orders hold, and what lies there besides."""

    for_sale: int
    committed: int
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptKey:
    """A key of units that the channel keeps at `remote`. listing: of the channel; item: what it means to us.

    multiple: base units of the item in one. told: None: nothing was told since it means that item, or the channel says
    that there is no such key any more. told_at: when it was asked for.
    """

    id: int
    key: str
    remote: str
    listing: str
    item: str
    multiple: int
    told: ToldUnits | None
    told_at: datetime | None


def keys_to_count(
    connection: Connection, identity: str, remotes: Collection[str], since: datetime, limit: int
) -> list[KeptKey]:
    """Mapped keys at these places of an account that were not asked for since then, the longest unread first."""
    unread = or_(_KEY.c.read_at.is_(None), _KEY.c.read_at < since)
    found = _kept(identity, remotes).where(unread).order_by(_KEY.c.read_at.is_not(None), _KEY.c.read_at, _KEY.c.id)
    return _loaded(connection, found.limit(limit))


def keys_of_items(
    connection: Connection, identity: str, remotes: Collection[str], items: Collection[str]
) -> list[KeptKey]:
    """All keys at these places of an account that mean one of these items."""
    found = _kept(identity, remotes).where(among(_KEY.c.item, "items", connection.dialect.name))
    return _loaded(connection, found, {"items": values(connection, sorted(items))})


def _kept(identity: str, remotes: Collection[str]) -> Select[tuple[object, ...]]:
    return select(*(_KEY.c[name] for name in _COLUMNS)).where(
        _KEY.c.identity == identity,
        _KEY.c.kept.is_(True),
        _KEY.c.item.is_not(None),
        _KEY.c.remote.in_(sorted(remotes)),
    )


def _loaded(
    connection: Connection, found: Select[tuple[object, ...]], given: Mapping[str, object] | None = None
) -> list[KeptKey]:
    return [
        KeptKey(
            id=row.id,
            key=row.key,
            remote=row.remote,
            listing=row.listing,
            item=row.item,
            multiple=row.multiple,
            told=None if row.value is None else ToldUnits(row.value, row.committed or 0, row.channel_held),
            told_at=row.asked_at,
        )
        for row in connection.execute(found, given)
    ]


def save_told(connection: Connection, told: Mapping[int, ToldUnits | None], asked: datetime) -> None:
    """Keeps what these keys told, by id. None: nothing that can be counted."""
    changes = {
        key: {"value": None, "committed": None, "channel_held": 0}
        if one is None
        else {"value": one.for_sale, "committed": one.committed, "channel_held": one.held}
        for key, one in told.items()
    }
    update_rows(
        connection,
        _KEY,
        ("id",),
        [((key,), {**fields, "asked_at": asked, "read_at": asked}) for key, fields in changes.items()],
    )


def note_asked(connection: Connection, ids: Sequence[int], asked: datetime) -> None:
    """These were asked for and told nothing that can be understood: what they told before stays."""
    update_rows(connection, _KEY, ("id",), [((key,), {"read_at": asked}) for key in ids])


def counted_elsewhere(
    connection: Connection, identity: str, remotes: Collection[str], locations: Collection[str]
) -> list[PositionKey]:
    """Positions at these locations that hold units although no key of such a place means their item.

    Items that only bundles give units to are among them: the caller knows which.
    """
    here = _kept(identity, remotes).with_only_columns(_KEY.c.item)
    found = (
        select(_POSITION.c.item, _POSITION.c.location)
        .where(
            _POSITION.c.location.in_(sorted(locations)),
            or_(_POSITION.c.on_hand != 0, _POSITION.c.withheld != 0),
            _POSITION.c.item.not_in(here),
        )
        .order_by(_POSITION.c.item, _POSITION.c.location)
    )
    return [PositionKey(row.item, row.location) for row in connection.execute(found)]


def all_kept(connection: Connection) -> frozenset[int]:
    """The ids of all keys of units that a channel keeps itself."""
    return frozenset(connection.execute(select(_KEY.c.id).where(_KEY.c.kept.is_(True))).scalars())


def places(connection: Connection, identity: str) -> list[str]:
    """The places at which an account keeps units itself, as far as its listings told."""
    found = select(_KEY.c.remote).where(_KEY.c.identity == identity, _KEY.c.kept.is_(True)).distinct()
    return sorted(connection.execute(found).scalars())
