"""Who may call: access tokens of one app at one shop, and the scopes that it was granted."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import orjson

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)
REFRESH_LIFE = timedelta(days=90)

_EVER = datetime(2000, 1, 1, tzinfo=UTC)

ALL_SCOPES = (
    "read_products",
    "write_products",
    "read_inventory",
    "write_inventory",
    "read_locations",
    "read_orders",
    "write_orders",
    "read_all_orders",
    "read_returns",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
    "read_publications",
    "write_publications",
)
"""Everything that a seller can grant to a connector of quantities, and more than it needs."""


@dataclass(slots=True)
class _Token:
    since: datetime
    lifetime: timedelta
    replaces: str = ""


class Access:
    """The tokens of one app. Client-credentials tokens live 24 hours, offline tokens one hour with a refresh token.

    scopes: granted now; a test may change them. installed: False: the shop refuses the app altogether (403).
    """

    def __init__(self, client_id: str, client_secret: str, scopes: Iterable[str], rng: random.Random) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.scopes = frozenset(scopes)
        self.installed = True
        self.issued: list[str] = []
        self._rng = rng
        self._tokens: dict[str, _Token] = {}
        self._refresh: dict[str, datetime] = {}

    @property
    def effective(self) -> frozenset[str]:
        """With what writing implies: who may write may read."""
        return self.scopes | {
            f"read_{each.removeprefix('write_')}" for each in self.scopes if each.startswith("write_")
        }

    def lasting_token(self) -> str:
        """A token of a custom app, which does not expire."""
        return self._give(_EVER, timedelta.max, "shpat_")

    def refresh_token(self, now: datetime) -> str:
        """A first refresh token for expiring offline tokens, as an authorisation would have given it."""
        return self._refresh_token(now)

    def valid(self, token: str, now: datetime) -> bool:
        """Whether calls with this token are let in. Using a new offline token ends the refresh token it came from."""
        found = self._tokens.get(token)
        if found is None or (found.lifetime != timedelta.max and now - found.since >= found.lifetime):
            return False
        self._refresh.pop(found.replaces, None)
        return True

    def drop(self) -> None:
        """All access tokens end now."""
        self._tokens.clear()

    def answer(self, body: bytes, kind: str, now: datetime) -> tuple[int, dict[str, Any]]:
        """POST /admin/oauth/access_token: (status, content)."""
        asked = _fields(body, kind)
        error = self._refusal(asked, now)
        if asked is None or error:
            return 400, error
        scope = {"scope": ",".join(sorted(each for each in self.scopes if not self._implied(each)))}
        if asked["grant_type"] == "client_credentials":
            token = self._give(now, DAY - timedelta(seconds=1), "shpat_")
            return 200, {"access_token": token, "expires_in": 86399} | scope
        token = self._give(now, HOUR, "shpat_", replaces=asked["refresh_token"])
        more = {"refresh_token": self._refresh_token(now), "refresh_token_expires_in": 7_776_000}
        return 200, {"access_token": token, "expires_in": 3600} | scope | more

    def _refusal(self, asked: Mapping[str, str] | None, now: datetime) -> dict[str, Any]:
        """Why no token is given; empty where one is."""
        if asked is None:
            return _wrong("invalid_request", "Could not parse the request body.")
        refresh = asked.get("grant_type") == "refresh_token"
        checks = (
            (asked.get("client_id") != self.client_id, "application_cannot_be_found", "The client_id names no app."),
            (asked.get("client_secret") != self.client_secret, "invalid_client", "Client authentication failed."),
            (not self.installed, "shop_not_permitted", "Client credentials cannot be performed on this shop."),
            (
                asked.get("grant_type") not in ("client_credentials", "refresh_token"),
                "unsupported_grant_type",
                "This grant type is not supported.",
            ),
            (
                refresh and self._refresh.get(asked.get("refresh_token", ""), now) <= now,
                "invalid_grant",
                "The refresh token is invalid or has expired.",
            ),
        )
        return next((_wrong(code, said) for wrong, code, said in checks if wrong), {})

    def _implied(self, scope: str) -> bool:
        """A read scope that the write scope beside it implies is not told apart."""
        return scope.startswith("read_") and f"write_{scope.removeprefix('read_')}" in self.scopes

    def _give(self, now: datetime, lifetime: timedelta, prefix: str, replaces: str = "") -> str:
        token = f"{prefix}{self._rng.getrandbits(128):032x}"
        self._tokens[token] = _Token(now, lifetime, replaces)
        self.issued.append(token)
        return token

    def _refresh_token(self, now: datetime) -> str:
        token = f"shprt_{self._rng.getrandbits(128):032x}"
        self._refresh[token] = now + REFRESH_LIFE
        self.issued.append(token)
        return token


def _wrong(error: str, description: str) -> dict[str, Any]:
    return {"error": error, "error_description": description}


def _fields(body: bytes, kind: str) -> Mapping[str, str] | None:
    """The fields of a form or a JSON body; None for neither."""
    if "json" not in kind:
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return {key: str(value) for key, value in content.items()} if isinstance(content, dict) else None
