"""Parameters of requests: what each route takes, and the 400 for what does not fit (`rest_validate_request_arg`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vendor_woocommerce.dates import is_date
from vendor_woocommerce.errors import WooError, invalid_params
from vendor_woocommerce.orders import STATUSES
from vendor_woocommerce.php import boolean, is_integer

Kind = Literal["integer", "boolean", "string", "date", "list", "object"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg:
    """One parameter. of: what a list holds. A list comes as text with commas, too."""

    kind: Kind = "string"
    enum: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    default: Any = None
    of: Kind = "string"


def _spoken(names: Sequence[str]) -> str:
    """ "a, b, and c", as WordPress lists."""
    if len(names) < 3:
        return " and ".join(names)
    return ", ".join(names[:-1]) + ", and " + names[-1]


def _wrong(code: str, message: str, data: Any = None) -> dict[str, Any]:
    return {"code": code, "message": message, "data": data}


def _not_of_type(name: str, kind: str) -> dict[str, Any]:
    return _wrong("rest_invalid_type", f"{name} is not of type {kind}.", {"param": name})


def _problem(name: str, value: Any, arg: Arg) -> dict[str, Any] | None:
    """What is wrong with a value; None when it fits."""
    if arg.kind == "integer" and is_integer(value):
        return _bounds(name, int(float(value)), arg)
    if arg.kind == "list":
        inner = Arg(kind=arg.of, enum=arg.enum)
        each = (_problem(f"{name}[{turn}]", one, inner) for turn, one in enumerate(_as_list(value)))
        return next((found for found in each if found), None)
    if arg.kind == "date":
        fits = isinstance(value, str) and is_date(value)
        return None if fits else _wrong("rest_invalid_date", "Invalid date.")
    if not _is_a(arg.kind, value):
        return _not_of_type(name, arg.kind)
    if arg.enum and value not in arg.enum:
        return _wrong("rest_not_in_enum", f"{name} is not one of {_spoken(arg.enum)}.")
    return None


def _is_a(kind: Kind, value: Any) -> bool:
    if kind == "boolean":
        return boolean(value) is not None
    return kind in ("string", "object") and isinstance(value, dict if kind == "object" else str)


def _bounds(name: str, value: int, arg: Arg) -> dict[str, Any] | None:
    if arg.least is not None and arg.most is not None and not arg.least <= value <= arg.most:
        return _wrong(
            "rest_out_of_bounds", f"{name} must be between {arg.least} (inclusive) and {arg.most} (inclusive)"
        )
    if arg.least is not None and value < arg.least:
        return _wrong("rest_out_of_bounds", f"{name} must be greater than or equal to {arg.least}")
    return None


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    return str(value).replace(",", " ").split()


def _read(value: Any, arg: Arg) -> Any:
    """A value that fits, as the route uses it."""
    match arg.kind:
        case "integer":
            return int(float(value))
        case "boolean":
            return bool(boolean(value))
        case "list":
            return [int(float(one)) if arg.of == "integer" else one for one in _as_list(value)]
    return value


def read_params(args: Mapping[str, Arg], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of the route, with its default where it was not given; others are ignored.

    A JSON null passes unchecked and becomes the type's empty value: 0, False or "" (so a PUT of
    `{"stock_quantity": null}` writes 0). Raises WooError for all that do not fit at once.
    """
    problems = {
        name: problem
        for name, arg in args.items()
        if given.get(name) is not None and (problem := _problem(name, given[name], arg))
    }
    if problems:
        raise invalid_params(problems)
    empty: Mapping[Kind, Any] = {"integer": 0, "boolean": False, "string": "", "date": None, "list": [], "object": {}}
    read: dict[str, Any] = {}
    for name, arg in args.items():
        if name not in given:
            read[name] = arg.default
        elif given[name] is None:
            read[name] = empty[arg.kind]
        else:
            read[name] = _read(given[name], arg)
    return read


def read_body(args: Mapping[str, Arg], body: Mapping[str, Any]) -> dict[str, Any]:
    """What the body names, checked like `read_params`; what it does not name is left out."""
    return {name: value for name, value in read_params(args, body).items() if name in body}


def bad_json() -> WooError:
    """The 400 for a body that is no JSON."""
    extra = {"json_error_code": 4, "json_error_message": "Syntax error"}
    return WooError(400, "rest_invalid_json", "Invalid JSON body passed.", extra)


_LISTS = {
    "page": Arg(kind="integer", least=1, default=1),
    "per_page": Arg(kind="integer", least=1, most=100, default=10),
    "search": Arg(),
    "after": Arg(kind="date"),
    "before": Arg(kind="date"),
    "exclude": Arg(kind="list", of="integer", default=[]),
    "include": Arg(kind="list", of="integer", default=[]),
    "offset": Arg(kind="integer"),
    "order": Arg(enum=("asc", "desc"), default="desc"),
}
_CHANGES = {
    "modified_after": Arg(kind="date"),
    "modified_before": Arg(kind="date"),
    "dates_are_gmt": Arg(kind="boolean", default=False),
    "parent": Arg(kind="list", of="integer", default=[]),
    "parent_exclude": Arg(kind="list", of="integer", default=[]),
}
_SORTS = ("date", "id", "include", "title", "slug", "modified")
_SHELF = ("any", "future", "trash", "draft", "pending", "private", "publish")
_TYPES = ("simple", "grouped", "external", "variable")
_STOCK = ("instock", "outofstock", "onbackorder")

LIST_ORDERS: Mapping[str, Arg] = {
    **_LISTS,
    **_CHANGES,
    "orderby": Arg(enum=_SORTS, default="date"),
    "status": Arg(kind="list", enum=("any", "trash", *STATUSES), default=["any"]),
    "customer": Arg(kind="integer"),
    "product": Arg(kind="integer"),
    "created_via": Arg(kind="list", default=[]),
}
_SHELVES = {
    **_LISTS,
    **_CHANGES,
    "status": Arg(enum=_SHELF, default="any"),
    "include_status": Arg(kind="list", enum=_SHELF, default=[]),
    "exclude_status": Arg(kind="list", enum=_SHELF[1:], default=[]),
    "sku": Arg(),
    "stock_status": Arg(enum=_STOCK),
}
LIST_PRODUCTS: Mapping[str, Arg] = {
    **_SHELVES,
    "orderby": Arg(enum=(*_SORTS, "popularity", "rating", "post__in", "price", "menu_order"), default="date"),
    "type": Arg(enum=_TYPES),
    "include_types": Arg(kind="list", enum=_TYPES, default=[]),
    "exclude_types": Arg(kind="list", enum=_TYPES, default=[]),
    "search_sku": Arg(),
}
LIST_VARIATIONS: Mapping[str, Arg] = {**_SHELVES, "orderby": Arg(enum=(*_SORTS, "menu_order"), default="date")}
LIST_REFUNDS: Mapping[str, Arg] = {**_LISTS, "orderby": Arg(enum=_SORTS, default="date")}
LIST_WEBHOOKS: Mapping[str, Arg] = {
    **_LISTS,
    "orderby": Arg(enum=("date", "id", "title"), default="date"),
    "status": Arg(enum=("all", "active", "paused", "disabled"), default="all"),
}
DELETE: Mapping[str, Arg] = {"force": Arg(kind="boolean", default=False)}

_STOCK_BODY = {
    "sku": Arg(),
    "regular_price": Arg(),
    "manage_stock": Arg(kind="boolean"),
    "stock_quantity": Arg(kind="integer"),
    "stock_status": Arg(enum=_STOCK),
    "backorders": Arg(enum=("no", "notify", "yes")),
    "attributes": Arg(kind="list", of="object"),
}
PRODUCT_BODY: Mapping[str, Arg] = {
    **_STOCK_BODY,
    "name": Arg(),
    "type": Arg(enum=_TYPES),
    "status": Arg(enum=("draft", "pending", "private", "publish", "future", "auto-draft", "trash")),
    "catalog_visibility": Arg(enum=("visible", "catalog", "search", "hidden")),
}
VARIATION_BODY: Mapping[str, Arg] = {**_STOCK_BODY, "status": Arg(enum=("draft", "pending", "private", "publish"))}
ORDER_BODY: Mapping[str, Arg] = {
    "status": Arg(enum=tuple(STATUSES)),
    "set_paid": Arg(kind="boolean"),
    "line_items": Arg(kind="list", of="object"),
    "billing": Arg(kind="object"),
    "shipping": Arg(kind="object"),
    "customer_note": Arg(),
    "customer_id": Arg(kind="integer"),
    "currency": Arg(),
    "payment_method": Arg(),
    "payment_method_title": Arg(),
    "transaction_id": Arg(),
}
REFUND_BODY: Mapping[str, Arg] = {
    "amount": Arg(),
    "reason": Arg(),
    "api_refund": Arg(kind="boolean", default=True),
    "api_restock": Arg(kind="boolean", default=True),
}
WEBHOOK_BODY: Mapping[str, Arg] = {
    "name": Arg(),
    "status": Arg(enum=("active", "paused", "disabled")),
    "topic": Arg(),
    "secret": Arg(),
    "delivery_url": Arg(),
}
