"""The access token of one shop: where it comes from, when it ends, and who keeps what replaces it."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, ValidationError

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import AnswerUnreadable, NeedsSeller
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync.sdk.vault import Vault
from channelsync_shopify import wire
from channelsync_shopify.settings import ShopifySettings

KEPT_AS = "offline"
"""The name in the vault of what renews the access: see Kept."""

_RENEW_BEFORE = 120.0
"""Seconds before its end in which an access token is not used any more."""
_RENEW_SHARE = 0.1
"""The same, as a share of its life, where that is less."""

_REFUSED = (400, 401, 403)


@dataclass(frozen=True, slots=True)
class _Token:
    secret: SecretStr
    use_until: float
    """On the monotonic clock."""


class Kept(BaseModel):
    """What the vault holds. first: a digest of the refresh token in the settings; another one there counts more.

    access_token: the newest, so that a restart need not renew it. use_until: our clock.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    first: str
    refresh_token: str
    access_token: str
    use_until: AwareDatetime


class _GrantRefused(NeedsSeller):
    """Shopify gives no token for what we showed."""


class Access:
    """One caller at a time gets a new access token, the others wait for it."""

    def __init__(self, http: HttpTransport, clock: Clock, settings: ShopifySettings, vault: Vault) -> None:
        self._http = http
        self._clock = clock
        self._settings = settings
        self._vault = vault
        self._token: _Token | None = None
        self._renewing = asyncio.Lock()

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """A token to be used now. refused: one that Shopify did not accept, so another is wanted.

        Raises NeedsSeller when there is no other, and what the transport raises.
        """
        if self._settings.access_token is not None:
            if refused is not None:
                raise NeedsSeller("Set a new access_token: Shopify does not accept the present one.")
            return self._settings.access_token
        async with self._renewing:
            token = self._token
            if token is None or token.secret is refused or self._clock.monotonic() >= token.use_until:
                token = self._token = await self._renewed(refused)
            return token.secret

    async def _renewed(self, refused: SecretStr | None) -> _Token:
        if self._settings.refresh_token is None:
            token, use_for = await self._asked({"grant_type": "client_credentials"})
            return _Token(SecretStr(token.access_token), self._clock.monotonic() + use_for)
        return await self._rotated(self._settings.refresh_token, refused)

    async def _rotated(self, first: SecretStr, refused: SecretStr | None) -> _Token:
        """The kept access token while it is good, else a new pair, which is kept before it is used.

        Another process may have renewed it meanwhile: what the vault says counts, also when Shopify refuses a refresh
        token that was the newest a moment ago. An answer that is lost on its way costs nothing: Shopify takes the old
        refresh token until the new access token is used for the first time.
        """
        digest = hashlib.sha256(first.get_secret_value().encode()).hexdigest()
        kept = await self._kept(digest)
        now = self._clock.now()
        if kept is not None and _good(kept, now, refused):
            return self._usable(kept, now)
        refresh = first.get_secret_value() if kept is None else kept.refresh_token
        try:
            token, use_for = await self._asked({"grant_type": "refresh_token", "refresh_token": refresh})
        except _GrantRefused:
            newer, now = await self._kept(digest), self._clock.now()
            if newer is None or newer == kept or not _good(newer, now, refused):
                raise
            return self._usable(newer, now)
        if not token.refresh_token:
            raise AnswerUnreadable("Shopify renewed the access token without a new refresh token")
        kept = Kept(
            first=digest,
            refresh_token=token.refresh_token,
            access_token=token.access_token,
            use_until=now + timedelta(seconds=min(use_for, _A_YEAR)),
        )
        await self._vault.put(KEPT_AS, SecretStr(kept.model_dump_json()))
        return self._usable(kept, now)

    async def _kept(self, first: str) -> Kept | None:
        """What is kept; None for nothing, and for what belongs to another connection than the one in the settings."""
        text = await self._vault.get(KEPT_AS)
        if text is None:
            return None
        try:
            kept = Kept.model_validate_json(text.get_secret_value())
        except ValidationError:
            raise NeedsSeller(
                f"What the vault keeps as {KEPT_AS!r} is not ours: run `channelsync secrets forget` with it, then"
                " connect the shop anew."
            ) from None
        if kept.first != first:
            return None
        self._http.keep_secret(SecretStr(kept.access_token))
        self._http.keep_secret(SecretStr(kept.refresh_token))
        return kept

    def _usable(self, kept: Kept, now: datetime) -> _Token:
        left = (kept.use_until - now).total_seconds()
        return _Token(SecretStr(kept.access_token), self._clock.monotonic() + left)

    async def _asked(self, grant: Mapping[str, str]) -> tuple[wire.Token, float]:
        """A new token, and the seconds from now in which it may be used."""
        secret = self._settings.client_secrets[0]
        body = {"client_id": self._settings.client_id, "client_secret": secret.get_secret_value(), **grant}
        asked = self._clock.monotonic()
        # A read: asking twice gives two tokens, and both are good.
        call = Call("POST", "/admin/oauth/access_token", "read", cost=0, json=body, accept=_REFUSED)
        answer = await self._http.request(call)
        if answer.status in _REFUSED:
            raise _GrantRefused(
                f"Connect the shop anew: Shopify does not accept the app's {_what(grant)} ({_reason(answer)})."
            )
        token = wire.read(wire.Token, answer.json(), answer, "token")
        self._http.keep_secret(SecretStr(token.access_token))
        if token.refresh_token:
            self._http.keep_secret(SecretStr(token.refresh_token))
        if token.expires_in is None:
            return token, math.inf
        took = self._clock.monotonic() - asked
        return token, token.expires_in - took - min(_RENEW_BEFORE, token.expires_in * _RENEW_SHARE)


_A_YEAR = timedelta(days=365).total_seconds()


def _good(kept: Kept, now: datetime, refused: SecretStr | None) -> bool:
    """Whether the kept access token may still be used."""
    known = refused is not None and refused.get_secret_value() == kept.access_token
    return now < kept.use_until and not known


def _what(grant: Mapping[str, str]) -> str:
    refresh = grant["grant_type"] == "refresh_token"
    return "refresh token" if refresh else "client id and secret"


def _reason(answer: Answer) -> str:
    """The code of a refusal; an answer that carries none is named by its status."""
    try:
        code = wire.TokenRefusal.model_validate_json(answer.body).error
    except ValidationError:
        code = ""
    return code[:60] or f"HTTP {answer.status}"
