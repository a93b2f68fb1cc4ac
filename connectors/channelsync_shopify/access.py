"""The access token of one shop: where it comes from, when it ends, and who keeps what replaces it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, SecretStr, ValidationError

from channelsync.sdk.access_tokens import AccessToken, AccessTokens, code_of_refusal, use_for
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import AnswerUnreadable, NeedsSeller
from channelsync.sdk.http import Call, HttpTransport
from channelsync.sdk.vault import Vault
from channelsync.sdk.wire import read_answer
from channelsync_shopify import wire
from channelsync_shopify.settings import ShopifySettings

KEPT_AS = "offline"
"""The name in the vault of what renews the access: see Kept."""

_REFUSED = (400, 401, 403)


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
    """The shop's access; see `HasTokens`."""

    def __init__(self, http: HttpTransport, clock: Clock, settings: ShopifySettings, vault: Vault) -> None:
        self._http = http
        self._clock = clock
        self._settings = settings
        self._vault = vault
        self._tokens = AccessTokens(clock, self._renewed)

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """A token to be used now. refused: one that Shopify did not accept, so another is wanted.

        Raises NeedsSeller when there is no other, and what the transport raises.
        """
        if self._settings.access_token is not None:
            if refused is not None:
                raise NeedsSeller("Set a new access_token: Shopify does not accept the present one.")
            return self._settings.access_token
        return await self._tokens.token(refused=refused)

    async def _renewed(self, refused: SecretStr | None) -> AccessToken:
        if self._settings.refresh_token is None:
            token, left = await self._asked({"grant_type": "client_credentials"})
            return AccessToken(SecretStr(token.access_token), self._clock.monotonic() + left)
        return await self._rotated(self._settings.refresh_token, refused)

    async def _rotated(self, first: SecretStr, refused: SecretStr | None) -> AccessToken:
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
            token, left = await self._asked({"grant_type": "refresh_token", "refresh_token": refresh})
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
            use_until=now + timedelta(seconds=min(left, _A_YEAR)),
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

    def _usable(self, kept: Kept, now: datetime) -> AccessToken:
        left = (kept.use_until - now).total_seconds()
        return AccessToken(SecretStr(kept.access_token), self._clock.monotonic() + left)

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
                f"Connect the shop anew: Shopify does not accept the app's {_what(grant)} ({code_of_refusal(answer)})."
            )
        token = read_answer(wire.Token, answer)
        self._http.keep_secret(SecretStr(token.access_token))
        if token.refresh_token:
            self._http.keep_secret(SecretStr(token.refresh_token))
        return token, use_for(token.expires_in) - (self._clock.monotonic() - asked)


_A_YEAR = timedelta(days=365).total_seconds()


def _good(kept: Kept, now: datetime, refused: SecretStr | None) -> bool:
    """Whether the kept access token may still be used."""
    known = refused is not None and refused.get_secret_value() == kept.access_token
    return now < kept.use_until and not known


def _what(grant: Mapping[str, str]) -> str:
    refresh = grant["grant_type"] == "refresh_token"
    return "refresh token" if refresh else "client id and secret"
