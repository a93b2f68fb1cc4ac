"""eBay's OAuth: consent, codes, refresh tokens of 18 months, access tokens of two hours, scopes, daily limits.

POST /identity/v1/oauth2/token, form-encoded, with Basic credentials of the application.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from channelsync.lab.marketplace_accounts import Tokens
from channelsync.lab.marketplace_http import Request
from vendor_ebay.errors import TOO_MANY, Answer, Refused

BASE = "https://api.ebay.com/oauth/api_scope"
SCOPES: Mapping[str, str] = {
    name: f"{BASE}/{name}" if name else BASE
    for name in (
        "",
        "sell.inventory",
        "sell.inventory.readonly",
        "sell.fulfillment",
        "sell.fulfillment.readonly",
        "sell.account",
        "sell.account.readonly",
        "sell.finances",
        "commerce.identity.readonly",
        "commerce.notification.subscription",
        "commerce.notification.subscription.readonly",
    )
}
"""Scopes that a seller can consent to, by the end of their address."""

REFRESH_LIVES = 47_304_000
"""Seconds that a refresh token lives: 18 months."""

_CODE_LIVES = timedelta(seconds=299)
Kind = Literal["user", "application"]


@dataclass(frozen=True, slots=True)
class Application:
    """The developer's keys. ru_name: eBay's name for the address to which consent leads back."""

    client_id: str
    client_secret: str
    ru_name: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A consent. until: when what it stands for (code, refresh or access token) ends, by eBay's clock."""

    kind: Kind
    scopes: frozenset[str]
    until: datetime


class TokenError(Exception):
    """OAuth's own shape of a refusal."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status, self.error, self.description = status, error, description


class OAuth(Tokens):
    """All tokens of one application at one seller. `issued`: every token and code that was ever given out.

    Times are by eBay's clock. As `Tokens` of the lab it can be told to `drop` all access tokens.
    """

    def __init__(
        self, application: Application, rng: random.Random, *, lifetime: float, quotas: Mapping[str, int]
    ) -> None:
        super().__init__([], None, rng)
        self.application = application
        self.issued: set[str] = set()
        self._random = rng
        self._life = timedelta(seconds=lifetime)
        self._quotas = quotas
        self._codes: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        self._access: dict[str, Grant] = {}
        self._spent: Counter[tuple[str, str]] = Counter()

    # What the seller does

    def consent(self, address: str, now: datetime) -> str:
        """The seller agrees on eBay's page at this address; gives the address that the browser is led back to.

        Raises ValueError for an address that eBay's page would refuse.
        """
        asked = dict(parse_qsl(urlsplit(address).query))
        scopes = frozenset(asked.get("scope", "").split())
        if asked.get("client_id") != self.application.client_id or asked.get("response_type") != "code":
            raise ValueError(f"eBay's page shows: unknown client_id, or response_type is not code, in {address}")
        if asked.get("redirect_uri") != self.application.ru_name:
            raise ValueError(f"eBay's page shows: redirect_uri must be the RuName {self.application.ru_name}")
        if not scopes or not scopes <= set(SCOPES.values()):
            raise ValueError(f"eBay's page shows: invalid_scope {sorted(scopes - set(SCOPES.values()))}")
        code = self._new("v^1.1#i^1#r^1")
        self._codes[code] = Grant("user", scopes, now + _CODE_LIVES)
        back = {"code": code, "expires_in": str(int(_CODE_LIVES.total_seconds()))}
        if "state" in asked:
            back["state"] = asked["state"]
        return f"https://seller.example/ebay/accepted?{urlencode(back)}"

    def seller_token(self, now: datetime, scopes: frozenset[str] = frozenset(SCOPES.values())) -> str:
        """A refresh token, as if the seller had consented just now."""
        token = self._new("v^1.1#i^1#p^3")
        self._refresh[token] = Grant("user", scopes, now + timedelta(seconds=REFRESH_LIVES))
        return token

    def withdraw_consent(self) -> None:
        """The seller removes the application: no token of the user's is worth anything any more."""
        self._refresh.clear()
        self._codes.clear()
        self._access = {token: grant for token, grant in self._access.items() if grant.kind == "application"}

    def drop(self) -> None:
        """All access tokens end now; refresh tokens stay valid."""
        self._access.clear()

    # What calls do

    def holder(self, token: str, now: datetime) -> Grant | None:
        """What an access token stands for; None for one that is not valid (any more)."""
        grant = self._access.get(token)
        return grant if grant is not None and now < grant.until else None

    def ran_out(self, token: str, now: datetime) -> bool:
        """Whether a token was valid once and is too old now."""
        grant = self._access.get(token)
        return grant is not None and now >= grant.until

    def answer(self, request: Request, now: datetime) -> Answer:
        """POST /identity/v1/oauth2/token"""
        try:
            self._check_application(request)
            asked = self._form(request)
            kind = asked.get("grant_type", "")
            self._charge(kind, now)
            return Answer(200, self._grant(kind, asked, now))
        except TokenError as error:
            return Answer(error.status, {"error": error.error, "error_description": error.description})

    def _check_application(self, request: Request) -> None:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(secret, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            given = ""
        wanted = f"{self.application.client_id}:{self.application.client_secret}"
        if scheme.lower() != "basic" or given != wanted:
            raise TokenError(401, "invalid_client", "client authentication failed")

    def _form(self, request: Request) -> dict[str, str]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise TokenError(400, "invalid_request", "request is missing a required parameter or malformed.")
        return dict(parse_qsl(request.body.decode("latin-1")))

    def _charge(self, kind: str, now: datetime) -> None:
        if kind not in self._quotas:
            raise TokenError(400, "unsupported_grant_type", "grant type in request is not supported by the server")
        key = (kind, now.date().isoformat())
        if self._spent[key] >= self._quotas[kind]:
            raise Refused(429, TOO_MANY)
        self._spent[key] += 1

    def _grant(self, kind: str, asked: Mapping[str, str], now: datetime) -> dict[str, object]:
        wanted = frozenset(asked.get("scope", "").split())
        if kind == "client_credentials":
            self._check_scopes(wanted or frozenset({BASE}), frozenset({BASE}))
            return self._told(Grant("application", frozenset({BASE}), now + self._life), "Application Access Token")
        if kind == "authorization_code":
            given = self._codes.pop(asked.get("code", ""), None)
            if given is None or now >= given.until or asked.get("redirect_uri") != self.application.ru_name:
                raise TokenError(
                    400,
                    "invalid_grant",
                    "the provided authorization grant code is invalid or was issued to another client",
                )
            refresh = self.seller_token(now, given.scopes)
            told = self._told(Grant("user", given.scopes, now + self._life), "User Access Token")
            return told | {"refresh_token": refresh, "refresh_token_expires_in": REFRESH_LIVES}
        held = self._refresh.get(asked.get("refresh_token", ""))
        if held is None or now >= held.until:
            raise TokenError(
                400,
                "invalid_grant",
                "the provided authorization refresh token is invalid or was issued to another client",
            )
        self._check_scopes(wanted, held.scopes)
        return self._told(Grant("user", wanted or held.scopes, now + self._life), "User Access Token")

    def _check_scopes(self, wanted: frozenset[str], granted: frozenset[str]) -> None:
        if not wanted <= granted:
            raise TokenError(
                400,
                "invalid_scope",
                "The requested scope is invalid, unknown, malformed, or exceeds the scope granted to the client",
            )

    def _told(self, grant: Grant, kind: str) -> dict[str, object]:
        token = self._new("v^1.1#i^1#f^0")
        self._access[token] = grant
        return {"access_token": token, "expires_in": int(self._life.total_seconds()), "token_type": kind}

    def _new(self, prefix: str) -> str:
        token = f"{prefix}#t^H4sIA{self._random.getrandbits(160):040x}"
        self.issued.add(token)
        return token
