"""What WordPress answers when it does not do what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class WooError(Exception):
    """A `WP_Error`. data: beside the status; None where WooCommerce gives the bare status as data (a 500 of refunds).

    headers: sent with the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        data: Mapping[str, Any] | None = None,
        *,
        bare: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.data: Any = status if bare else {"status": status, **(data or {})}
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return {"code": self.code, "message": self.message, "data": self.data}


def invalid_params(found: Mapping[str, Mapping[str, Any]]) -> WooError:
    """The 400 for parameters that fail their schema. found: by parameter name: code, message and data of each."""
    names = ", ".join(found)
    return WooError(
        400,
        "rest_invalid_param",
        f"Invalid parameter(s): {names}",
        {"params": {name: error["message"] for name, error in found.items()}, "details": dict(found)},
    )


def no_route() -> WooError:
    """The 404 for a path or a method that no route has."""
    return WooError(404, "rest_no_route", "No route was found matching the URL and request method.")
