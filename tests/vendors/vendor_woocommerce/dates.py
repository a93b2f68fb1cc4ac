"""Dates as the API writes them and as its filters read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})?")


def gmt(at: datetime | None) -> str | None:
    """The `_gmt` field of a date: whole seconds, no zone."""
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def local(at: datetime | None, zone: ZoneInfo) -> str | None:
    """The field without `_gmt`: the site's own time."""
    return None if at is None else at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S")


def both(name: str, at: datetime | None, zone: ZoneInfo) -> dict[str, str | None]:
    """A date's two fields, side by side."""
    return {name: local(at, zone), f"{name}_gmt": gmt(at)}


def is_date(text: str) -> bool:
    """`rest_parse_date`."""
    if _RFC3339.fullmatch(text) is None:
        return False
    try:
        return 1 < datetime.fromisoformat(text.upper()).year < 9999
    except ValueError:
        return False


def moment(text: str, zone: ZoneInfo, *, are_gmt: bool) -> datetime:
    """The moment that a filter such as `modified_after` means.

    Without `dates_are_gmt` a bare time is the site's. With it a bare time is UTC, while one that names its own zone
    is first turned into the site's time and then compared with the UTC column all the same
    (`WP_Date_Query::build_mysql_datetime`): on a site that is not on UTC, "Z" there shifts the filter.
    """
    at = datetime.fromisoformat(text.upper())
    if at.tzinfo is None:
        return at.replace(tzinfo=UTC if are_gmt else zone).astimezone(UTC)
    if are_gmt:
        return at.astimezone(zone).replace(tzinfo=UTC)
    return at.astimezone(UTC)
