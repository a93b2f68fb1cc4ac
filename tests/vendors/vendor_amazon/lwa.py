"""Login with Amazon: access tokens for a refresh token, or for the application itself.

The texts of errors are those that users report (amzn/selling-partner-api-models issues 921 and 1099).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import orjson

from channelsync.lab.marketplace_http import Reply, Request
from vendor_amazon.errors import denied
from vendor_amazon.places import SellerAccount

TOKEN_PATH = "/auth/o2/token"

SCOPES = frozenset(
    {
        "sellingpartnerapi::notifications",
        "sellingpartnerapi::client_credential:rotation",
        "sellingpartnerapi::migration",
    }
)

_MISSING = "Access token is missing in the request header."
_EXPIRED = "The access token you provided has expired."
_UNKNOWN = "The access token you provided is revoked, malformed or invalid."


@dataclass(frozen=True, slots=True)
class Granted:
    """An access token. scope: of one that stands for the application; empty for one that stands for the seller."""

    token: str
    ends: datetime
    scope: str = ""


class _Refused(Exception):
    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status = status
        self.content = {"error": error, "error_description": description}


class Lwa:
    """The tokens of one seller and one application. A refresh token stays the same when it is used."""

    def __init__(self, account: SellerAccount, lifetime: float | None, rng: random.Random) -> None:
        self.revoked = False
        self._account = account
        self._lifetime = timedelta(seconds=lifetime or 3_600.0)
        self._rng = rng
        self._granted: dict[str, Granted] = {}

    @property
    def issued(self) -> tuple[str, ...]:
        """All access tokens that were ever given."""
        return tuple(self._granted)

    def drop(self) -> None:
        """All access tokens end at once."""
        self._granted = {
            token: Granted(token, datetime.min.replace(tzinfo=g.ends.tzinfo), g.scope)
            for token, g in self._granted.items()
        }

    def answer(self, request: Request, now: datetime) -> Reply:
        """Answers a request for a token."""
        try:
            content, status = self._grant(_form(request), now), 200
        except _Refused as error:
            content, status = dict(error.content), error.status
        headers = {"content-type": "application/json;charset=UTF-8", "cache-control": "no-store"}
        return Reply(status, headers, orjson.dumps(content))

    def whose(self, headers: Mapping[str, str], now: datetime) -> Granted:
        """The token that a request carries. Raises ApiError."""
        token = headers.get("x-amz-access-token", "")
        if not token:
            raise denied(_MISSING)
        granted = self._granted.get(token)
        if granted is None:
            raise denied(_UNKNOWN)
        if granted.ends <= now:
            raise denied(_EXPIRED)
        return granted

    def _grant(self, form: Mapping[str, str], now: datetime) -> dict[str, object]:
        self._check_client(form)
        match _need(form, "grant_type"):
            case "refresh_token":
                if _need(form, "refresh_token") != self._account.refresh_token or self.revoked:
                    raise _Refused(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
                granted = self._new(now, "")
                told: dict[str, object] = {"refresh_token": self._account.refresh_token}
            case "client_credentials":
                scope = _need(form, "scope")
                if scope not in SCOPES:
                    raise _Refused(400, "invalid_scope", "The request has an invalid scope parameter")
                granted = self._new(now, scope)
                told = {"scope": scope}
            case _:
                raise _Refused(400, "unsupported_grant_type", "The authorization grant type is not supported")
        lasts = int(self._lifetime.total_seconds())
        return {"access_token": granted.token, "token_type": "bearer", "expires_in": lasts, **told}

    def _check_client(self, form: Mapping[str, str]) -> None:
        known = (self._account.client_id, self._account.client_secret)
        if (_need(form, "client_id"), _need(form, "client_secret")) != known:
            raise _Refused(401, "invalid_client", "Client authentication failed")

    def _new(self, now: datetime, scope: str) -> Granted:
        granted = Granted(f"Atza|{self._rng.getrandbits(256):064x}", now + self._lifetime, scope)
        self._granted[granted.token] = granted
        return granted


def _form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            content = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            content = None
        return {str(k): str(v) for k, v in content.items()} if isinstance(content, dict) else {}
    return dict(parse_qsl(request.body.decode("latin-1")))


def _need(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise _Refused(400, "invalid_request", f"The request is missing a required parameter : {name}")
    return form[name]
