"""Recorded answers of a real shop: every request in them that this server can be asked, with what Shopify said.

A recording is one JSON file with requests and answers anywhere in it, in the order in which they were made. The
documents stand in it, or in files beside it that the recording or `parity-specs.json` names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channelsync.lab.marketplace import Wanted
from channelsync.lab.marketplace_values import NumberKey
from vendor_shopify.catalogue import ShopLocation
from vendor_shopify.ids import gid, kind_of, plain
from vendor_shopify.shop import Shop

_TEXTS = ("query", "document", "graphql")
_ANSWERS = ("response", "payload", "body", "result")
_BORROWED = frozenset({"fromPrimaryProxyPath", "fromCapturePath", "fromPreviousProxyPath", "fromProxyResponse"})
_REQUESTS = "config/parity-requests/"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request. answer: the JSON that Shopify gave. where: the place in the recording."""

    recording: str
    where: str
    query: str
    variables: Mapping[str, Any]
    answer: Mapping[str, Any]


def exchanges(folder: Path) -> list[Exchange]:
    """All in a folder of recordings, by file and in the order of each file; each request once."""
    specs = json.loads((folder / "parity-specs.json").read_text("utf-8"))
    by_file: dict[str, list[Any]] = {}
    for spec in specs.values():
        for path in spec.get("liveCaptureFiles", ()):
            version, domain, name = path.split("/")[-3:]
            by_file.setdefault(f"{version}__{domain}__{name}", []).append(spec)
    found: list[Exchange] = []
    for file in sorted(folder.glob("20*.json")):
        content = json.loads(file.read_text("utf-8"))
        seen: set[int] = set()
        rows = [
            *_inline(folder, file.stem, content, ()),
            *_specified(folder, file.stem, content, by_file.get(file.name, [])),
        ]
        for row in rows:
            if id(row.answer) not in seen:
                seen.add(id(row.answer))
                found.append(row)
    return found


def _inline(folder: Path, name: str, value: Any, way: tuple[str, ...]) -> Iterator[Exchange]:
    """Requests whose document stands beside the answer, or is named there."""
    if isinstance(value, list):
        for at, each in enumerate(value):
            yield from _inline(folder, name, each, (*way, str(at)))
    if not isinstance(value, dict):
        return
    text = next((value[each] for each in _TEXTS if isinstance(value.get(each), str) and "{" in value[each]), None)
    if text is None and isinstance(value.get("documentPath"), str):
        text = _document(folder, value["documentPath"])
    if text is not None and (answer := _answer(value)) is not None:
        yield Exchange(name, ".".join(way), text, value.get("variables") or {}, answer)
    for key, each in value.items():
        yield from _inline(folder, name, each, (*way, key))


def _answer(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for _ in range(3):
        value = next((value[each] for each in _ANSWERS if isinstance(value.get(each), dict)), {})
        if "data" in value or "errors" in value:
            return value
    return None


def _specified(folder: Path, name: str, content: Any, specs: list[Any]) -> Iterator[Exchange]:
    """Requests that parity-specs.json puts together: a document's file, and paths into the recording."""
    for spec in specs:
        for target in spec.get("comparison", {}).get("targets", ()):
            asked = target.get("proxyRequest") or spec.get("proxyRequest") or {}
            text = _document(folder, asked.get("documentPath") or "")
            path = str(target.get("capturePath") or "").partition(".data")[0]
            answer = _at(content, path)
            given = _at(content, asked.get("variablesCapturePath") or "") or asked.get("variables") or {}
            whole = isinstance(given, dict) and not any(
                isinstance(each, dict) and _BORROWED & set(each) for each in _inside(given)
            )
            if text and whole and isinstance(answer, dict) and {"data", "errors"} & set(answer):
                yield Exchange(name, path, text, given, answer)


def _inside(value: Any) -> Iterator[Any]:
    """A value and everything in it."""
    yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _inside(each)


def _document(folder: Path, path: str) -> str | None:
    file = folder / "requests" / path.removeprefix(_REQUESTS).replace("/", "__")
    return file.read_text("utf-8") if path and file.is_file() else None


def _at(content: Any, path: str) -> Any:
    """The value at a path like $.cases.first[0].response."""
    if not path.startswith("$"):
        return None
    for step in re.findall(r"\w[\w-]*|\[\d+\]", path[1:]):
        try:
            content = content[int(step[1:-1])] if step.startswith("[") else content[step]
        except (KeyError, IndexError, TypeError):
            return None
    return content


# A shop that holds what the recorded one held


def stock(shop: Shop, folder: Path, recording: str, names: Names) -> None:
    """Makes every location, inventory item, level and order that an answer in a recording tells of, with 0 units.

    Locations and orders that were asked for and found are made, too, although no answer tells of them. The recorded
    app may read customers, whom some of its webhooks are about.
    """
    shop.access.scopes |= {"read_customers"}
    content = json.loads((folder / f"{recording}.json").read_text("utf-8"))
    found = [each for data in _data(content) for each in _inside(data)]
    ids = sorted({each for each in found if isinstance(each, str) and kind_of(each)})
    for place in (plain(each, "Location") for each in ids if kind_of(each) == "Location"):
        shop.catalogue.add_location("Shop location", place or "")
    levels = {plain(each["id"], "InventoryLevel"): each for each in found if isinstance(each, dict) and _is_level(each)}
    pairs = {
        (str(each["id"]).rpartition("=")[2], plain(each["location"]["id"], "Location")) for each in levels.values()
    }
    for item in (plain(each, "InventoryItem") or "" for each in ids if kind_of(each) == "InventoryItem"):
        places = sorted(place or "" for one, place in pairs if one == item) or [list(shop.catalogue.locations)[-1]]
        shop.catalogue.offer(None, dict.fromkeys(places, 0), item=item)
    for each in levels.values():
        item, place = str(each["id"]).rpartition("=")[2], plain(each["location"]["id"], "Location") or ""
        number = shop.numbers.of("InventoryLevel", item, place)
        names.learn(each["id"], f"{gid('InventoryLevel', number)}?inventory_item_id={item}")
    sold = shop.catalogue.offer("SOLD", 10_000)
    for order in (plain(each, "Order") or "" for each in ids if kind_of(each) == "Order"):
        shop.marketplace.place([Wanted(sold.listing, 2)], order=order)
    for each in found:
        if isinstance(each, dict) and kind_of(str(each.get("id"))) == "Order" and "fulfillmentOrders" in each:
            _learn_parcels(shop, each, names)


def _learn_parcels(shop: Shop, recorded: Mapping[str, Any], names: Names) -> None:
    """Which of our fulfilment orders stand for the recorded ones of an order."""
    order = shop.marketplace.orders[plain(recorded["id"], "Order") or ""]
    number = shop.numbers.of("FulfillmentOrder", order.id, order.lines[0].location)
    (item,) = shop.book.items(order)
    line = shop.numbers.of("FulfillmentOrderLineItem", number, item.number)
    ours = {
        "id": gid("FulfillmentOrder", number),
        "lineItems": {"nodes": [{"id": gid("FulfillmentOrderLineItem", line)}]},
    }
    names.learn(recorded["fulfillmentOrders"], {"nodes": [ours]})


def prepare(shop: Shop, row: Exchange, variables: Any) -> None:
    """Makes what a request that succeeded found: numbers that it changed from, levels, things that it named."""
    if row.answer.get("errors") or "mutation" not in row.query:
        return
    for each in _inside(variables):
        if isinstance(each, dict) and not said(row.answer):
            _prepare_level(shop, row, each)
        elif isinstance(each, str) and _was_there(row):
            _prepare_thing(shop, kind_of(each), plain(each, kind_of(each)) or "")


def _prepare_level(shop: Shop, row: Exchange, asked: Mapping[str, Any]) -> None:
    level = shop.numbers.name("InventoryLevel", plain(str(asked.get("inventoryLevelId")), "InventoryLevel") or "")
    if level is not None and (offer := shop.catalogue.by_item(level[0])) is not None:
        shop.catalogue.ensure(offer, shop.catalogue.primary)
    key = NumberKey(
        plain(str(asked.get("inventoryItemId")), "InventoryItem") or "",
        plain(str(asked.get("locationId")), "Location") or "",
    )
    if key not in shop.marketplace.quantity_keys():
        return
    if "changeFromQuantity" in asked:
        shop.marketplace.edit_number(key, asked["changeFromQuantity"] or 0)
    if "inventoryActivate" in (row.answer.get("data") or {}) and asked.get("available") is not None:
        shop.catalogue.inactive.add(key)


def _prepare_thing(shop: Shop, kind: str, number: str) -> None:
    if kind == "WebhookSubscription":
        shop.subscriptions.make_sure(number, shop.marketplace.time())
    if kind == "Location":
        shop.catalogue.locations.setdefault(number, ShopLocation(number, "Elsewhere"))


def _was_there(row: Exchange) -> bool:
    """Whether no answer says that what was named could not be found."""
    fields = [field for name, rows in said(row.answer).items() if name != "errors" for field, _ in rows]
    return not any(field and field[-1] in ("id", "locationId") for field in fields)


def _is_level(value: Mapping[str, Any]) -> bool:
    place = value.get("location")
    return kind_of(str(value.get("id"))) == "InventoryLevel" and isinstance(place, dict) and "id" in place


def _data(value: Any) -> Iterator[Any]:
    """Everything under `data` in a recording."""
    if isinstance(value, list):
        for each in value:
            yield from _data(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from [each] if key == "data" else _data(each)


class Names:
    """Which id of ours stands for which recorded one: learnt from answers that make the same thing."""

    def __init__(self) -> None:
        self._ours: dict[str, str] = {}

    def learn(self, recorded: Any, ours: Any) -> None:
        """Pairs the ids at the same places of two answers."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for key in recorded.keys() & ours.keys():
                self.learn(recorded[key], ours[key])
        elif isinstance(recorded, list) and isinstance(ours, list):
            for one, other in zip(recorded, ours, strict=False):
                self.learn(one, other)
        elif isinstance(recorded, str) and isinstance(ours, str) and kind_of(recorded) and recorded != ours:
            self._ours.setdefault(recorded, ours)

    def translated(self, value: Any) -> Any:
        """A value with our ids in it."""
        if isinstance(value, dict):
            return {key: self.translated(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.translated(each) for each in value]
        return self._ours.get(value, value) if isinstance(value, str) else value

    def known(self, value: str) -> bool:
        """Whether an id was made in an exchange before."""
        return value in self._ours


# What is compared


def said(answer: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The errors of an answer: codes of the top-level ones, and by root field the userErrors' fields and codes."""
    told: dict[str, list[Any]] = {}
    top = [(each.get("extensions") or {}).get("code") for each in answer.get("errors") or ()]
    if top:
        told["errors"] = sorted(str(each) for each in top)
    for root, value in (answer.get("data") or {}).items():
        for name, errors in value.items() if isinstance(value, dict) else ():
            if name.lower().endswith("usererrors") and errors:
                told[f"{root}.{name}"] = [(each.get("field"), each.get("code")) for each in errors]
    return told
