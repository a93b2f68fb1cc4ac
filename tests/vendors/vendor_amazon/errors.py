"""How Amazon refuses: statuses, codes and texts, as its models and its users tell them."""

from __future__ import annotations

from collections.abc import Mapping

BAD_INPUT = "The input you have submitted is not valid. Please check your input and try again."
"""What searchOrders says whatever is wrong (amzn/selling-partner-api-docs issue 326)."""

DENIED = "Access to requested resource is denied."


class ApiError(Exception):
    """A call that is refused. details: more to the message, or nothing. headers: beside those of every answer."""

    def __init__(
        self, status: int, code: str, message: str, details: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message} {details}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def content(self) -> dict[str, object]:
        """The body that says it."""
        return {"errors": [{"code": self.code, "message": self.message, "details": self.details}]}


def bad_input(details: str = "") -> ApiError:
    """Parameters that are wrong by themselves or together."""
    return ApiError(400, "InvalidInput", BAD_INPUT, details)


def denied(details: str = "") -> ApiError:
    """No token, a bad one, or a role that is missing."""
    return ApiError(403, "Unauthorized", DENIED, details)


def over_quota() -> ApiError:
    """More calls than the operation's bucket holds. Amazon promises no Retry-After."""
    return ApiError(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")


def broken(status: int) -> ApiError:
    """Amazon's own fault."""
    if status == 503:
        return ApiError(503, "ServiceUnavailable", "Service is temporarily unavailable. Please try again.")
    return ApiError(status, "InternalFailure", "We encountered an internal error. Please try again.")
