"""Lists: a page of rows, its headers, and the fields that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from channelsync.lab.faults import FaultKind
from vendor_woocommerce.calls import Answer, Call
from vendor_woocommerce.dates import moment
from vendor_woocommerce.options import SiteOptions

T = TypeVar("T")


def seconds(at: datetime) -> datetime:
    """As the database keeps it."""
    return at.replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Window:
    """The filters by date of one request: each end is the first moment that passes, or the first that does not."""

    created: tuple[datetime | None, datetime | None]
    modified: tuple[datetime | None, datetime | None]

    @classmethod
    def of(cls, params: Mapping[str, Any], zone: ZoneInfo) -> Window:
        """As the parameters say. Rows are compared by whole seconds, and both ends are left out."""
        are_gmt = params.get("dates_are_gmt", False)

        def ends(name: str) -> tuple[datetime | None, datetime | None]:
            after, before = params.get(f"{name}after"), params.get(f"{name}before")
            first = seconds(moment(after, zone, are_gmt=are_gmt)) + timedelta(seconds=1) if after else None
            end = moment(before, zone, are_gmt=are_gmt) if before else None
            if end is not None and end.microsecond:
                end = seconds(end) + timedelta(seconds=1)
            return first, end

        return cls(ends(""), ends("modified_"))

    def holds(self, created: datetime, modified: datetime) -> bool:
        """Whether a row passes."""
        for (first, end), at in ((self.created, created), (self.modified, modified)):
            if (first is not None and at < first) or (end is not None and at >= end):
                return False
        return True


def page_of(rows: Sequence[T], params: Mapping[str, Any], call: Call, options: SiteOptions) -> tuple[list[T], Answer]:
    """The rows of the page that is asked for, and an answer that has the headers but no content yet.

    Pages are counted over what is there at this moment. Beyond the end comes an empty list. Faults: a cache that
    ignores `page`, and rows that come twice.
    """
    size = params["per_page"]
    if options.per_page_cap is not None:
        size = min(size, options.per_page_cap)
    page = 1 if call.met(FaultKind.SAME_CURSOR) else params["page"]
    start = params["offset"] if params.get("offset") else (page - 1) * size
    found = list(rows[start : start + size])
    if call.met(FaultKind.ROWS_TWICE):
        found = [*found, *found[:2]]
    pages = -(-len(rows) // size)
    headers = {"x-wp-total": str(len(rows)), "x-wp-totalpages": str(pages)}
    links = []
    if page > 1:
        links.append(_link(call, min(page - 1, pages), "prev"))
    if pages > page:
        links.append(_link(call, page + 1, "next"))
    if links:
        headers["link"] = ", ".join(links)
    return found, Answer(200, None, headers)


def _link(call: Call, page: int, rel: str) -> str:
    # WooCommerce repeats every parameter of the request here, keys and secrets in the query too.
    given = {**call.query, "page": str(page)}
    pairs = []
    for name, value in given.items():
        if isinstance(value, dict):
            pairs += [f"{name}%5B{key}%5D={quote(each, safe=':')}" for key, each in value.items()]
        else:
            pairs.append(f"{name}={quote(value, safe=':')}")
    return f'<{call.base}{call.path}?{"&".join(pairs)}>; rel="{rel}"'


def only_fields(content: Any, query: Mapping[str, Any]) -> Any:
    """What `_fields` leaves (`rest_filter_response_fields`): nested names reach into objects, not into lists."""
    asked = query.get("_fields")
    names = list(asked.values()) if isinstance(asked, dict) else [part.strip() for part in (asked or "").split(",")]
    names = [name for name in names if name]
    if not names:
        return content
    wanted: dict[str, Any] = {}
    for name in names:
        place = wanted
        *path, last = name.split(".")
        for part in path:
            below = place.get(part)
            if not isinstance(below, dict):
                below = place[part] = {}
            place = below
        place.setdefault(last, True)
    if isinstance(content, list):
        return [_kept(each, wanted) for each in content]
    return _kept(content, wanted) if isinstance(content, dict) else content


def _kept(shown: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in shown.items():
        if name not in wanted:
            continue
        below = wanted[name]
        if isinstance(below, dict) and isinstance(value, list):
            found[name] = []
        else:
            found[name] = _kept(value, below) if isinstance(below, dict) and isinstance(value, dict) else value
    return found
