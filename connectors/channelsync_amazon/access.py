"""The access token of one account: Login with Amazon makes it from the refresh token, for an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import SecretStr, ValidationError

from channelsync.sdk.clock import Clock
from channelsync.sdk.errors import AnswerUnreadable, NeedsSeller
from channelsync.sdk.http import Answer, Call, HttpTransport
from channelsync_amazon import wire
from channelsync_amazon.settings import LWA_BUCKET, AmazonSettings

_RENEW_BEFORE = 120.0
"""Seconds before its end in which an access token is not used any more."""
_RENEW_SHARE = 0.1
"""The same, as a share of its life, where that is less."""

_REFUSED = (400, 401, 403)
_FORM = "application/x-www-form-urlencoded;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class _Token:
    secret: SecretStr
    use_until: float
    """On the monotonic clock."""


class Access:
    """One caller at a time gets a new access token, the others wait for it.

    http: leads to Login with Amazon. tell: is told every new token, so that it can be hidden elsewhere too.
    """

    def __init__(
        self, http: HttpTransport, clock: Clock, settings: AmazonSettings, tell: Callable[[SecretStr], None]
    ) -> None:
        self._http = http
        self._clock = clock
        self._settings = settings
        self._tell = tell
        self._token: _Token | None = None
        self._renewing = asyncio.Lock()

    async def token(self, *, refused: SecretStr | None = None) -> SecretStr:
        """A token to be used now. refused: one that Amazon did not accept, so another is wanted.

        Raises NeedsSeller when Amazon makes no other, and what the transport raises.
        """
        async with self._renewing:
            token = self._token
            if token is None or token.secret is refused or self._clock.monotonic() >= token.use_until:
                token = self._token = await self._renewed()
            return token.secret

    async def _renewed(self) -> _Token:
        asked = self._clock.monotonic()
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._settings.refresh_token.get_secret_value(),
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
        }
        # A read: the refresh token stays the same, so asking twice changes nothing.
        call = Call(
            "POST",
            "/auth/o2/token",
            "read",
            bucket=LWA_BUCKET,
            headers={"Content-Type": _FORM},
            content=urlencode(form).encode(),
            accept=_REFUSED,
        )
        answer = await self._http.request(call)
        if answer.status in _REFUSED:
            raise NeedsSeller(
                f"Authorise the app for the account anew and set refresh_token, client_id and client_secret:"
                f" Amazon makes no access token ({_reason(answer)}). An app's secret ends after 180 days."
            )
        token = _read(answer)
        secret = SecretStr(token.access_token)
        self._http.keep_secret(secret)
        self._tell(secret)
        return _Token(secret, asked + token.expires_in - min(_RENEW_BEFORE, token.expires_in * _RENEW_SHARE))


def _read(answer: Answer) -> wire.Token:
    try:
        return wire.Token.model_validate(answer.json())
    except ValidationError as error:
        raise AnswerUnreadable(f"{answer.call}: HTTP {answer.status} with {wire.why(error)}") from None


def _reason(answer: Answer) -> str:
    """The code of a refusal; an answer that carries none is named by its status."""
    try:
        code = wire.TokenRefusal.model_validate_json(answer.body).error
    except ValidationError:
        code = ""
    return code[:60] or f"HTTP {answer.status}"
