"""Access tokens: the seller's, renewed with the refresh token of the consent, and the application's own.

eBay's refresh token is good for 18 months and stays the same; an access token is good for two hours (eBay OAuth
guide, refresh token grant). So there is nothing to be kept but the refresh token.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from pydantic import SecretStr

from channelsync.sdk.access_tokens import AccessToken, AccessTokens, code_of_refusal, use_for
from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import NeedsSeller
from channelsync.sdk.http import Answer, Call
from channelsync.sdk.vault import Vault
from channelsync.sdk.wire import read_answer
from channelsync_ebay import wire_account
from channelsync_ebay.hosts import Hosts
from channelsync_ebay.settings import OTHER, EbaySettings

_SCOPE = "https://api.ebay.com/oauth/api_scope"
SCOPES = (
    _SCOPE,
    f"{_SCOPE}/sell.inventory",
    f"{_SCOPE}/sell.fulfillment.readonly",
    f"{_SCOPE}/sell.account.readonly",
    f"{_SCOPE}/commerce.identity.readonly",
    f"{_SCOPE}/commerce.notification.subscription",
)
"""What a seller is asked to consent to: what the operations that we call ask for (security of eBay's OpenAPI
documents). The names are the same in the sandbox."""

OPTIONAL_SCOPES = frozenset({f"{_SCOPE}/commerce.notification.subscription"})
"""Without these all but notifications works."""

REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a name
REFRESH_TOKEN_UNTIL = "refresh_token_until"  # noqa: S105 - a name
"""In the vault: when the refresh token ends, as ISO 8601; eBay tells it only once."""

_REFUSED = (400, 401, 403)


class Access:
    """The tokens of one account. seller: for the seller. application: for what concerns no seller."""

    def __init__(self, hosts: Hosts, settings: EbaySettings, clock: Clock, vault: Vault) -> None:
        self._hosts = hosts
        self._settings = settings
        self._clock = clock
        self._vault = vault
        self.seller = AccessTokens(clock, lambda _: self._renewed(seller=True))
        self.application = AccessTokens(clock, lambda _: self._renewed(seller=False))

    async def redeemed(self, code: str) -> tuple[SecretStr, datetime | None]:
        """The refresh token for a code that eBay gave after the seller's consent, and when it ends."""
        if self._settings.ru_name is None:
            raise NeedsSeller("Set ru_name to the application's RuName: eBay sends the seller back to it.")
        asked = self._clock.now()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._settings.ru_name}
        answer = await self._asked(form, secret=SecretStr(code))
        if answer.status in _REFUSED:
            raise NeedsSeller(
                f"Agree anew and paste the whole new address: eBay does not take the code ({code_of_refusal(answer)});"
                " it is good for five minutes, and once."
            )
        token = self._read(answer)
        if not token.refresh_token:
            raise NeedsSeller("Agree anew: eBay gave no refresh token for the code.")
        seconds = token.refresh_token_expires_in
        return SecretStr(token.refresh_token), None if seconds is None else asked + timedelta(seconds=seconds)

    async def lacking(self, scopes: Sequence[str]) -> list[str]:
        """Those of these permissions that the consent does not hold: eBay tells them only by refusing a token."""
        form = await self._renewal()
        if await self._granted(form, scopes):
            return []
        return [scope for scope in scopes if not await self._granted(form, [scope])]

    async def _granted(self, form: Mapping[str, str], scopes: Sequence[str]) -> bool:
        answer = await self._asked({**form, "scope": " ".join(scopes)})
        if answer.status not in _REFUSED:
            self._read(answer)
            return True
        if code_of_refusal(answer) != "invalid_scope":
            raise self._refusal(answer, seller=True)
        return False

    async def _renewed(self, *, seller: bool) -> AccessToken:
        form = await self._renewal() if seller else {"grant_type": "client_credentials", "scope": _SCOPE}
        asked = self._clock.monotonic()
        answer = await self._asked(form)
        if answer.status in _REFUSED:
            raise self._refusal(answer, seller=seller)
        token = self._read(answer)
        return AccessToken(SecretStr(token.access_token), asked + use_for(token.expires_in))

    async def _renewal(self) -> dict[str, str]:
        secret = self._settings.refresh_token or await self._vault.get(REFRESH_TOKEN)
        if secret is None:
            raise NeedsSeller("Connect the eBay account: there is no refresh token of it yet.")
        self._hosts.keep_secret(secret)
        return {"grant_type": "refresh_token", "refresh_token": secret.get_secret_value()}

    async def _asked(self, form: Mapping[str, str], *, secret: SecretStr | None = None) -> Answer:
        """eBay's answer. A read: asking twice gives two tokens, and both are good; a code is asked for once."""
        if secret is not None:
            self._hosts.keep_secret(secret)
        pair = f"{self._settings.client_id}:{self._settings.client_secret.get_secret_value()}"
        basic = SecretStr(base64.b64encode(pair.encode()).decode())
        self._hosts.keep_secret(basic)
        url = self._settings.tokens
        call = Call(
            "POST",
            url,
            "read" if secret is None else "write",
            bucket=OTHER,
            cost=0,
            headers={
                "Authorization": SecretStr(f"Basic {basic.get_secret_value()}"),
                "Content-Type": "application/x-www-form-urlencoded",
            },
            content=urlencode(form).encode(),
            accept=_REFUSED,
        )
        return await self._hosts.at(url).request(call)

    def _read(self, answer: Answer) -> wire_account.Token:
        token = read_answer(wire_account.Token, answer)
        for text in (token.access_token, token.refresh_token):
            if text:
                self._hosts.keep_secret(SecretStr(text))
        return token

    def _refusal(self, answer: Answer, *, seller: bool) -> NeedsSeller:
        reason = code_of_refusal(answer)
        if seller and reason in ("invalid_grant", "invalid_request"):
            return NeedsSeller(
                f"Connect the eBay account anew: eBay does not take its refresh token ({reason}). It ends after 18"
                " months, and when the seller takes the consent back or changes the password."
            )
        return NeedsSeller(
            f"Check client_id and client_secret, and that they are of the {self._settings.environment} keyset:"
            f" eBay hands out no token ({reason})."
        )
